"""Variance of one candle from its range: far less noisy than a squared return of the same hour.

With u = ln(high/open), d = ln(low/open), c = ln(close/open):

    Parkinson         (u - d)^2 / (4 ln 2)                          Parkinson (1980), 5 times as precise as c^2
    Garman-Klass      (u - d)^2 / 2 - (2 ln 2 - 1) c^2              Garman and Klass (1980), 7 times
    Rogers-Satchell   u (u - c) + d (d - c)                         Rogers and Satchell (1991), free of drift
"""

import math

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

VARIANCE_LEAST = 1e-8
"""(1 basis point)^2: below that a range is the tick and the spread, and its logarithm is noise."""


def parkinson(high: F64, low: F64) -> F64:
    """(T,) variance of each candle from its high and low."""
    return np.asarray(np.log(high / low) ** 2 / (4.0 * math.log(2.0)))


def garman_klass(open: F64, high: F64, low: F64, close: F64) -> F64:
    """(T,) variance of each candle; never negative for a candle in order, since |c| <= u - d."""
    return np.asarray(0.5 * np.log(high / low) ** 2 - (2.0 * math.log(2.0) - 1.0) * np.log(close / open) ** 2)


def rogers_satchell(open: F64, high: F64, low: F64, close: F64) -> F64:
    """(T,) variance of each candle; 0 for a candle that only rises or only falls."""
    u, d, c = np.log(high / open), np.log(low / open), np.log(close / open)
    return np.asarray(u * (u - c) + d * (d - c))


def log_variance(variance: F64) -> F64:
    """(T,) natural logarithm, floored at `VARIANCE_LEAST`; NaN stays NaN."""
    return np.asarray(np.log(np.maximum(variance, VARIANCE_LEAST)))
