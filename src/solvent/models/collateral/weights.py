"""Size tiers of a haircut: marginal rates that rise as a position takes longer to sell and moves its price more."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from solvent.models.collateral.haircuts import market_haircut
from solvent.models.liquidity.horizon import liquidation_days, slice_factor
from solvent.valuation.impact import impact_fraction
from solvent.valuation.tiers import F64

EDGE_SHARES = (0.02, 0.10, 0.50)
"""Edges of the tiers as shares of a day's volume; the last is the cap's share where volume sets it."""
LAST_TIER_FROM = 0.9
"""Of the cap: no tier begins so close to it."""
DIGITS = 2
"""Significant digits of the edges, which people read."""


class SizeTiers(NamedTuple):
    """As the `portfolio` rule's terms: what is added to the haircut above each edge."""

    edges_usd: tuple[float, ...]
    add: tuple[float, ...]


def sized_haircut(
    quantile: float, sigma: float, period_days: float, spread: float, volume_usd_daily: float, multiplier: float = 1.0
) -> Callable[[F64], F64]:
    """Haircut on the whole of a position as a function of its size in USD.

    Its horizon is the margin period, or that of equal daily slices where the sale takes longer; its impact the
    square-root law's.
    """

    def haircut(size_usd: F64) -> F64:
        selling = liquidation_days(size_usd, volume_usd_daily)
        horizon = np.maximum(period_days, slice_factor(selling) ** 2)
        impact = impact_fraction(size_usd, volume_usd_daily, sigma)
        return market_haircut(quantile, horizon, spread, impact, multiplier)

    return haircut


def size_tiers(
    haircut: Callable[[F64], F64], volume_usd_daily: float, cap_usd: float, shares: Sequence[float] = EDGE_SHARES
) -> SizeTiers:
    """Marginal tiers that charge at each edge what the haircut on the whole position is: its chords.

    The charge Q h(Q) is convex where h rises with size; rates are kept from falling where it is not.

    Parameters
    ----------
    haircut : callable
        Sizes in USD, shape (n,) -> haircut on the whole of each.
    volume_usd_daily : float
    cap_usd : float
        No tier begins at or above it.
    shares : sequence of float
        Of a day's volume, rising: where each tier ends. The last tier goes on to the cap.
    """
    ends = np.array([_rounded(share * volume_usd_daily) for share in shares])
    ends = np.append(ends[ends < LAST_TIER_FROM * cap_usd], cap_usd)
    if not (np.isfinite(ends).all() and ends[0] > 0.0) or len(ends) < 2:
        return SizeTiers((), ())
    charge = ends * haircut(ends)
    rates = np.diff(charge, prepend=0.0) / np.diff(ends, prepend=0.0)
    rates = np.maximum.accumulate(np.minimum(rates, 1.0))
    add = np.ceil((rates[1:] - rates[0]) * 1e4) / 1e4
    return SizeTiers(tuple(ends[:-1].tolist()), tuple(add.tolist()))


def _rounded(usd: float) -> float:
    """Down to `DIGITS` significant digits."""
    if not (np.isfinite(usd) and usd > 0.0):
        return 0.0
    unit = 10.0 ** (np.floor(np.log10(usd)) - DIGITS + 1)
    return float(np.floor(usd / unit) * unit)
