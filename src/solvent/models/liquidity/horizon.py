"""How long a position takes to sell, and how much longer than a day that makes its risk."""

import numpy as np
from numpy.typing import ArrayLike

from solvent.valuation.impact import IMPACT_FACTOR
from solvent.valuation.tiers import F64

PARTICIPATION = 0.10
"""phi: the share of a day's volume that a sale may be without being the market."""
PARTICIPATION_STRESS = 0.05


def liquidation_days(
    size_usd: ArrayLike,
    volume_usd_daily: ArrayLike,
    least_days: ArrayLike = 1.0,
    participation: float = PARTICIPATION,
) -> F64:
    """max(margin period, Q / (phi ADV)), days; infinite where nothing trades. Shapes broadcast."""
    size, volume = np.abs(np.asarray(size_usd, np.float64)), np.asarray(volume_usd_daily, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        days = np.where(size > 0.0, size / (participation * volume), 0.0)
    return np.asarray(np.maximum(np.nan_to_num(days, nan=np.inf, posinf=np.inf), np.asarray(least_days, np.float64)))


def slice_factor(days: ArrayLike, delay_days: float = 0.0) -> F64:
    """What one-day risk grows by when a position is sold in equal daily slices, the first after a day.

    sqrt((n + 1)(2 n + 1) / (6 n)): 1 for one day, 1.962 for ten, less than sqrt(n) because ever less is held.
    With a delay d before the first slice, for managing a default: sqrt(d + that squared). Below one day it is
    one day. Source: A. Malz, "Financial risk management" (2011), transaction liquidity; the sum of squares.
    """
    n = np.maximum(np.asarray(days, np.float64), 1.0)
    # (n + 1)(2 n + 1) / (6 n) written out, so that a position that never sells is infinite and not NaN.
    return np.asarray(np.sqrt(delay_days + n / 3.0 + 0.5 + 1.0 / (6.0 * n)))


def optimal_days(
    size_usd: ArrayLike, volume_usd_daily: ArrayLike, quantile: float, factor: float = IMPACT_FACTOR
) -> F64:
    """The horizon at which waiting any longer risks more than it saves: sqrt(3) (Y / k) sqrt(Q / ADV), days.

    It minimises k sigma Q sqrt(T / 3) + Y sigma Q sqrt(Q / (ADV T)): sigma drops out.

    quantile: k, the tail in standard deviations (2.33 for a normal 99 %).
    """
    share = np.abs(np.asarray(size_usd, np.float64)) / np.asarray(volume_usd_daily, np.float64)
    return np.asarray(np.sqrt(3.0) * factor / quantile * np.sqrt(share))
