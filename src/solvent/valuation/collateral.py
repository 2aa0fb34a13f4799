"""What collateral counts for: marginal haircuts that rise with size, and their other face, the weight."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from solvent.errors import Problem
from solvent.valuation.tiers import (
    F64,
    RATE_ONE,
    check_tiers,
    marginal_charge,
    marginal_charge_up,
)


def tiered_haircut_usd(value_usd: ArrayLike, edges_usd: Sequence[float], rates: Sequence[float]) -> F64:
    """Haircut on collateral in USD: tier j's rate on the value between edges j - 1 and j.

    The last edge is the cap: value above it counts for nothing. An infinite last edge means no cap.

    Parameters
    ----------
    value_usd : array_like, any shape
        Market value; what is negative is debt and has no haircut.
    edges_usd : sequence of n floats
        Upper edge of each tier, rising.
    rates : sequence of n floats
        Marginal haircuts in [0, 1], rising; 0.05 = 5 %.

    Returns
    -------
    ndarray, shape of `value_usd`
        At most the value itself.
    """
    value = np.maximum(np.asarray(value_usd, np.float64), 0.0)
    return np.asarray(np.minimum(marginal_charge(value, edges_usd, (*rates, 1.0)), value))


def tiered_haircut_up(value_atoms: int, edges_atoms: Sequence[int], rates_e9: Sequence[int]) -> int:
    """The exact mirror of `tiered_haircut_usd`: whole atoms, rounded up, so against the account.

    value_atoms, edges_atoms: whole numbers of one unit (atoms, or 1e-6 USD). rates_e9: whole numbers of 1e-9.
    """
    return marginal_charge_up(value_atoms, edges_atoms, (*rates_e9, RATE_ONE))


def weighted_value_usd(value_usd: ArrayLike, edges_usd: Sequence[float], rates: Sequence[float]) -> F64:
    """Value after the haircut, never falling as the value rises; debts stay as they are. Shapes as above."""
    return np.asarray(value_usd, np.float64) - tiered_haircut_usd(value_usd, edges_usd, rates)


def collateral_weight(value_usd: ArrayLike, edges_usd: Sequence[float], rates: Sequence[float]) -> F64:
    """Share of the value that counts, in [0, 1]: one minus the average haircut. Shapes as above.

    The first tier's weight where the value is zero, 1 where it is negative.
    """
    value = np.asarray(value_usd, np.float64)
    positive = value > 0.0
    share = tiered_haircut_usd(value, edges_usd, rates) / np.where(positive, value, 1.0)
    return np.where(positive, 1.0 - share, np.where(value < 0.0, 1.0, 1.0 - rates[0]))


def check_haircuts(
    edges_usd: Sequence[float], rates: Sequence[float], file: str = "policy", field: str = "haircut"
) -> list[Problem]:
    """Problems of a haircut schedule: a rate for each edge, edges rising, rates rising and inside [0, 1]."""
    return check_tiers(edges_usd, (*rates, 1.0), most=1.0, file=file, field=field)
