"""Hot loops of volatility filters: conditional variances along a series, one more than it has returns."""

import math
from typing import Any

import numpy as np
from numba import njit

F64 = np.ndarray[Any, np.dtype[np.float64]]

VARIANCE_LEAST = 1e-16
"""A price that stands still has no variance; its standardised returns must stay finite."""


@njit(cache=True)
def ewma_variances(returns: F64, decay: float, start: float) -> F64:
    """s2[t+1] = decay s2[t] + (1 - decay) r[t]^2, from s2[0] = start; n + 1 values (RiskMetrics 1996)."""
    found = np.empty(len(returns) + 1)
    found[0] = max(start, VARIANCE_LEAST)
    for t in range(len(returns)):
        found[t + 1] = max(decay * found[t] + (1.0 - decay) * returns[t] ** 2, VARIANCE_LEAST)
    return found


@njit(cache=True)
def garch_variances(residuals: F64, omega: float, alpha: float, gamma: float, beta: float, start: float) -> F64:
    """s2[t+1] = omega + (alpha + gamma 1{e[t] < 0}) e[t]^2 + beta s2[t]; n + 1 values.

    `start` stands for both the squared residual and the variance before the first (Bollerslev 1986; gamma of
    Glosten, Jagannathan and Runkle 1993, with half of it before the first).
    """
    found = np.empty(len(residuals) + 1)
    found[0] = max(omega + (alpha + 0.5 * gamma + beta) * start, VARIANCE_LEAST)
    for t in range(len(residuals)):
        e = residuals[t]
        size = alpha + gamma if e < 0.0 else alpha
        found[t + 1] = max(omega + size * e * e + beta * found[t], VARIANCE_LEAST)
    return found


@njit(cache=True)
def egarch_variances(
    residuals: F64, omega: float, alpha: float, gamma: float, beta: float, mean_size: float, start: float
) -> F64:
    """ln s2[t+1] = omega + alpha (|z[t]| - mean_size) + gamma z[t] + beta ln s2[t]; n + 1 values (Nelson 1991).

    mean_size: the constant that is taken off |z|. start: variance before the first, whose z counts as zero-sized.
    """
    found = np.empty(len(residuals) + 1)
    log_variance = omega + beta * math.log(max(start, VARIANCE_LEAST))
    for t in range(len(residuals) + 1):
        log_variance = min(max(log_variance, -36.0), 12.0)
        found[t] = math.exp(log_variance)
        if t < len(residuals):
            z = residuals[t] / math.sqrt(found[t])
            log_variance = omega + alpha * (abs(z) - mean_size) + gamma * z + beta * log_variance
    return found
