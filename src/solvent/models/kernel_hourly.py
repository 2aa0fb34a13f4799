"""Numba kernels of the hourly layer: rolling means, EWMA variance, filtered tails, the tracker, the drift watch."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


@njit(cache=True)
def rolling_mean(values: F64, window: int, least: int) -> F64:
    """(T,) mean of the last `window` values, NaN left out; NaN where fewer than `least` are there."""
    out = np.full(len(values), np.nan)
    total, count = 0.0, 0
    sums = np.zeros(len(values) + 1)
    counts = np.zeros(len(values) + 1, np.int64)
    for t in range(len(values)):
        if not math.isnan(values[t]):
            total += values[t]
            count += 1
        sums[t + 1], counts[t + 1] = total, count
        first = max(0, t + 1 - window)
        inside = counts[t + 1] - counts[first]
        if inside >= least:
            out[t] = (sums[t + 1] - sums[first]) / inside
    return out


@njit(cache=True)
def ewma_variance(returns: F64, decay: float, warm_up: int) -> F64:
    """(T,) s2_t = decay s2_(t-1) + (1 - decay) r_(t-1)^2 of returns before t alone; NaN for the first `warm_up`.

    Starts at the mean square of the first `warm_up` returns. A missing return leaves the variance as it is.
    """
    out = np.full(len(returns), np.nan)
    s2, count = 0.0, 0
    for t in range(len(returns)):
        if count >= warm_up:
            out[t] = s2
        r = returns[t]
        if math.isnan(r):
            continue
        s2 = (s2 * count + r * r) / (count + 1) if count < warm_up else decay * s2 + (1.0 - decay) * r * r
        count += 1
    return out


@njit(cache=True)
def filtered_tail(returns: F64, sigma: F64, level: float, window: int, least: int) -> F64:
    """(T, 4) VaR and ES of a long, VaR and ES of a short: order statistics of the last residuals, times sigma.

    Residual z_s = r_s / sigma_s; at t only s < t is used. Of n residuals the k-th smallest loss with
    k = ceil(level (n + 1)) is taken, which the next one passes with probability 1 - k/(n + 1) <= 1 - level
    if residuals are exchangeable. NaN where sigma is, and until `least` residuals are there.
    """
    T = len(returns)
    out = np.full((T, 4), np.nan)
    ring = np.empty(window)
    ordered = np.empty(window)
    n, seen = 0, 0
    for t in range(T):
        s = sigma[t]
        if math.isnan(s):
            continue
        if n >= least:
            k = min(n, math.ceil(level * (n + 1) - 1e-9))
            low, high = 0.0, 0.0
            for i in range(n - k + 1):
                low += ordered[i]
                high += ordered[n - 1 - i]
            tail = n - k + 1
            out[t, 0], out[t, 1] = -ordered[n - k] * s, -low / tail * s
            out[t, 2], out[t, 3] = ordered[k - 1] * s, high / tail * s
        r = returns[t]
        if math.isnan(r):
            continue
        z = r / s
        if n == window:
            i = np.searchsorted(ordered[:n], ring[seen % window])
            ordered[i : n - 1] = ordered[i + 1 : n].copy()
            n -= 1
        i = np.searchsorted(ordered[:n], z)
        ordered[i + 1 : n + 1] = ordered[i:n].copy()
        ordered[i] = z
        ring[seen % window] = z
        n += 1
        seen += 1
    return out


@njit(cache=True)
def tracked(margin: F64, loss: F64, alpha: float, step: float, most: float, lift: float) -> F64:
    """(T,) logarithm of the factor on each margin: a slow tracker plus a lift for the hour after a breach.

    theta_(t+1) = clip(theta_t + step (hit_t - alpha), +-most); factor_t = theta_t + lift hit_(t-1), where
    hit_t = loss_t > margin_t exp(factor_t). A missing margin or loss leaves theta and ends the lift.
    """
    out = np.full(len(margin), np.nan)
    theta, lifted = 0.0, 0.0
    for t in range(len(margin)):
        out[t] = theta + lifted
        lifted = 0.0
        if math.isnan(margin[t]) or math.isnan(loss[t]):
            continue
        hit = loss[t] > margin[t] * math.exp(out[t])
        theta = min(most, max(-most, theta + step * ((1.0 if hit else 0.0) - alpha)))
        lifted = lift if hit else 0.0
    return out


@njit(cache=True)
def page_hinkley(score: F64, tolerance: float, most: float) -> Bool:
    """(T,) alarm before each t: the sum of (score - tolerance) has risen by `most` from its lowest; then it restarts.

    score: excess loss over a reference, whose expectation is at most 0 while all is well; NaN is left out.
    """
    out = np.zeros(len(score), np.bool_)
    total, lowest = 0.0, 0.0
    for t in range(len(score)):
        if total - lowest > most:
            out[t] = True
            total, lowest = 0.0, 0.0
        if not math.isnan(score[t]):
            total += score[t] - tolerance
            lowest = min(lowest, total)
    return out


@njit(cache=True)
def latched(worse: Bool, failing: Bool, patience: int) -> Bool:
    """(T,) True while in use: `patience` hours in a row that are worse, or one that is failing, end it; as many
    in a row that are neither bring it back."""
    out = np.empty(len(worse), np.bool_)
    used, run = True, 0
    for t in range(len(worse)):
        against = worse[t] or failing[t]
        run = run + 1 if against == used else 0
        if failing[t] or run >= patience:
            used, run = not used if not failing[t] else False, 0
        out[t] = used
    return out
