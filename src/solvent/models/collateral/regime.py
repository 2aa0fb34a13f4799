"""Calm or stress, day by day: four signals of the market and one of the peg, and the multiplier they give."""

from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from solvent.models.ewma import Ewma
from solvent.valuation.tiers import F64

Signals = Mapping[str, NDArray[np.bool_]]
"""Name -> whether the signal stood, a value a day."""

VOLATILITY_Z = 2.0
DEPTH_SHARE = 0.5
SPREAD_MULTIPLE = 3.0
FUNDING_Z = 3.0
PEG_SHORTFALL = 0.01
MULTIPLIERS = (1.0, 1.25, 1.6)
"""Of no, one, and two or more signals."""
YEAR = 365
MONTH = 30
FAST_DECAY = 0.94


def volatility_signal(returns: ArrayLike) -> NDArray[np.bool_]:
    """Whether log volatility stands more than two standard deviations above its mean of a year.

    returns: shape (n,). Shape (n + 1,): day t uses returns before t; False in the first year.
    """
    variances = Ewma(FAST_DECAY).variances(np.asarray(returns, np.float64))
    return np.asarray(_zscore(0.5 * np.log(np.maximum(variances, 1e-18)), YEAR) > VOLATILITY_Z)


def depth_signal(depth: ArrayLike) -> NDArray[np.bool_]:
    """Whether depth is below half of its median of a month; also of 1 / Amihud where no book is known. Shape kept."""
    return _against_median(np.asarray(depth, np.float64)) < DEPTH_SHARE


def spread_signal(spread: ArrayLike) -> NDArray[np.bool_]:
    """Whether the spread is above three times its median of a month. Shape kept."""
    return _against_median(np.asarray(spread, np.float64)) > SPREAD_MULTIPLE


def funding_signal(rate: ArrayLike) -> NDArray[np.bool_]:
    """Whether funding is more than three standard deviations from its mean of a month. Shape kept."""
    return np.abs(_zscore(np.asarray(rate, np.float64), MONTH)) > FUNDING_Z


def peg_signal(shortfall: ArrayLike) -> NDArray[np.bool_]:
    """Whether a stablecoin traded more than 1 % below its peg. Shape kept."""
    return np.asarray(shortfall, np.float64) > PEG_SHORTFALL


def multiplier(signals: Signals) -> F64:
    """The stress multiplier of each day: 1, 1.25 or 1.6 by how many signals stand. All arrays of one length."""
    count = np.sum([np.asarray(each, np.int64) for each in signals.values()], axis=0)
    return np.asarray(np.asarray(MULTIPLIERS)[np.minimum(count, len(MULTIPLIERS) - 1)])


def _zscore(values: F64, window: int) -> F64:
    """Distance from the mean of the `window` values before, in their standard deviations; 0 without as many."""
    found = np.zeros(values.size)
    if values.size > window:
        before = sliding_window_view(values, window)[:-1]
        spread = before.std(axis=1)
        apart = values[window:] - before.mean(axis=1)
        found[window:] = np.where(spread > 0.0, apart / np.where(spread > 0.0, spread, 1.0), 0.0)
    return found


def _against_median(values: F64) -> F64:
    """Share of the median of the month before; 1 without a month or where one of both is unknown."""
    found = np.ones(values.size)
    if values.size > MONTH:
        before = sliding_window_view(values, MONTH)[:-1]
        known = np.isfinite(before).sum(axis=1) > MONTH // 2
        median = np.full(len(before), np.nan)
        median[known] = np.nanmedian(before[known], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = values[MONTH:] / median
        found[MONTH:] = np.where(np.isfinite(share), share, 1.0)
    return found
