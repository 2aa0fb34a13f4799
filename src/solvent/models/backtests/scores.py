"""What forecasts of quantile and shortfall cost when losses come: consistent scores, and which model has the lower.

Both scores are lowest in expectation at the true forecast, so means over the same days can be compared.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

F64 = NDArray[np.float64]

NEWEY_WEST_LAGS = 5


class DieboldMariano(NamedTuple):
    """Mean difference of two series of scores against its own standard error."""

    difference: float
    """Mean of first less second: negative where the first is better."""
    statistic: float
    """NaN where the scores never differ."""
    p_value: float
    """Two-sided, normal."""


def pinball(returns: ArrayLike, quantile: ArrayLike, alpha: float) -> F64:
    """(T,) quantile loss (alpha - 1{y < q}) (y - q) of returns y and their alpha-quantile forecasts q.

    For losses and margins: returns = -losses, quantile = -margins. Source: Koenker and Bassett (1978).
    """
    y, q = np.asarray(returns, np.float64), np.asarray(quantile, np.float64)
    return np.asarray((alpha - (y < q)) * (y - q))


def fissler_ziegel(returns: ArrayLike, quantile: ArrayLike, shortfall: ArrayLike, alpha: float) -> F64:
    """(T,) joint score FZ0 of quantile v and shortfall e, both of returns: e <= v < 0.

    -1{y <= v} (v - y) / (alpha e) + v/e + ln(-e) - 1; NaN where e is not below zero.
    Source: A. Patton, J. Ziegel, R. Chen, "Dynamic semiparametric models for expected shortfall", J. of
    Econometrics 211 (2019).
    """
    y, v, e = (np.asarray(each, np.float64) for each in (returns, quantile, shortfall))
    e = np.where(e < 0.0, e, np.nan)
    return np.asarray(-((y <= v) * (v - y)) / (alpha * e) + v / e + np.log(-e) - 1.0)


def diebold_mariano(first: ArrayLike, second: ArrayLike, lags: int = NEWEY_WEST_LAGS) -> DieboldMariano:
    """Is one of two series of scores, shape (T,), lower than chance explains?

    The variance of the mean difference is Newey and West's with Bartlett weights, as errors follow one another.
    Source: F. Diebold and R. Mariano, "Comparing predictive accuracy", J. of Business & Economic Statistics 13 (1995).
    """
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    size, mean = len(difference), float(difference.mean()) if len(difference) else np.nan
    centred = difference - mean
    variance = float(centred @ centred) / size if size else np.nan
    for lag in range(1, min(lags, size - 1) + 1):
        variance += 2.0 * (1.0 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag]) / size
    if not variance > 0.0:
        return DieboldMariano(mean, np.nan, np.nan)
    statistic = mean / float(np.sqrt(variance / size))
    return DieboldMariano(mean, statistic, float(2.0 * norm.sf(abs(statistic))))
