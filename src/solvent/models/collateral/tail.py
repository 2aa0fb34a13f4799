"""Day by day the loss quantile of an asset: filtered historical simulation with a stressed anchor."""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from solvent.models.ewma import Ewma
from solvent.valuation.tiers import F64

DECAY = 0.97
"""Of the variance filter: a memory of about 150 days."""
WINDOW = 1000
"""Days of standardised losses that the quantile is taken of."""
STRESS_WINDOW = 250
STRESS_WEIGHT = 0.25
"""Weight of the worst year so far: EMIR's anti-procyclicality option (b), Regulation 153/2013 Article 28."""
LEAST_DAYS = 100
"""Fewer returns give no quantile."""


class Tail(NamedTuple):
    """Forecasts for the last days; each uses returns before its day only. Arrays of one length."""

    sigma: F64
    """Daily standard deviation."""
    quantile: F64
    """One-day loss at the level, in log terms: (1 - w) sigma z + w x the worst year's quantile so far."""


def downside_tail(returns: ArrayLike, level: float, days: int) -> Tail:
    """Tail forecasts of the last `days` days and of the day after the returns end: up to days + 1 values.

    Parameters
    ----------
    returns : array_like, shape (n,)
        Daily log returns, oldest first.
    level : float
        Confidence: 0.99.
    days : int
        How far back forecasts go; fewer where there are less than `LEAST_DAYS` returns before.

    Returns
    -------
    Tail
        The last value is the forecast for the day after the last return. Empty for too short a history.
    """
    loss = -np.asarray(returns, np.float64)
    count = min(days + 1, loss.size + 1 - LEAST_DAYS)
    if count <= 0:
        return Tail(np.empty(0), np.empty(0))
    sigma = np.sqrt(Ewma(DECAY).variances(loss))
    scaled = loss / np.maximum(sigma[:-1], 1e-9)
    ends = np.arange(loss.size + 1 - count, loss.size + 1)
    filtered = _trailing_quantile(scaled, ends, WINDOW, level) * sigma[ends]
    worst = np.maximum.accumulate(_trailing_quantile(loss, np.arange(LEAST_DAYS, loss.size + 1), STRESS_WINDOW, level))
    anchored = (1.0 - STRESS_WEIGHT) * filtered + STRESS_WEIGHT * worst[ends - LEAST_DAYS]
    return Tail(sigma[ends], np.maximum(anchored, 0.0))


def _trailing_quantile(
    values: F64, ends: "np.ndarray[tuple[int], np.dtype[np.intp]]", window: int, level: float
) -> F64:
    """Upper quantile of the `window` values before each end; of all there are where those are fewer."""
    found = np.empty(len(ends))
    whole = ends >= window
    for i in np.flatnonzero(~whole):
        found[i] = np.quantile(values[: ends[i]], level, method="higher")
    if whole.any():
        rows = sliding_window_view(values, window)[ends[whole] - window]
        found[whole] = np.quantile(rows, level, axis=1, method="higher")
    return found
