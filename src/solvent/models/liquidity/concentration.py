"""The charge on positions that are large for their market: by volume, open interest and circulating float."""

import numpy as np
from numpy.typing import ArrayLike

from solvent.valuation.tiers import F64

FREE_SHARE = 0.10
"""Of a day's volume: below it a position is not concentrated."""
OPEN_INTEREST_SHARE = 0.05
FLOAT_SHARE = 0.01
"""Of all open contracts, and of all coins in circulation, that one holder may have without a charge."""


def concentration_multiplier(size_usd: ArrayLike, volume_usd_daily: ArrayLike, free_share: float = FREE_SHARE) -> F64:
    """m(Q): 1 up to 10 % of a day's volume, sqrt(Q / (0.1 ADV)) up to all of it, then linear. Continuous.

    Infinite where nothing trades and something is held. Shapes broadcast.
    """
    size, volume = np.abs(np.asarray(size_usd, np.float64)), np.asarray(volume_usd_daily, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(size > 0.0, size / volume, 0.0)
    share = np.nan_to_num(share, nan=np.inf, posinf=np.inf)
    bent = np.sqrt(np.maximum(share / free_share, 1.0))
    return np.where(share > 1.0, np.sqrt(1.0 / free_share) * share, bent)


def concentration_add_on(
    core: ArrayLike,
    size_usd: ArrayLike,
    volume_usd_daily: ArrayLike,
    open_interest_usd: float | None = None,
    float_usd: float | None = None,
    free_share: float = FREE_SHARE,
) -> F64:
    """What concentration adds to a margin, a fraction of price: core x (m - 1), m the largest of the charges.

    By volume as `concentration_multiplier`; by open interest and by coins in circulation Q / (share x total)
    once a holder has more than `OPEN_INTEREST_SHARE` and `FLOAT_SHARE`. Totals that are None are not charged.
    """
    size = np.abs(np.asarray(size_usd, np.float64))
    most = concentration_multiplier(size, volume_usd_daily, free_share)
    for total, share in ((open_interest_usd, OPEN_INTEREST_SHARE), (float_usd, FLOAT_SHARE)):
        if total is not None:
            with np.errstate(divide="ignore"):
                held = np.where(size > 0.0, size / (share * np.float64(total)), 0.0)
            most = np.maximum(most, held)
    return np.asarray(np.asarray(core, np.float64) * (most - 1.0))
