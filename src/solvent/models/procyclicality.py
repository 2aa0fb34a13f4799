"""Against procyclical margins: the three options of EMIR RTS 153/2013 Art 28, as functions of a margin path.

a: a buffer of 25 % that is released while the model rises. b: at least 25 % weight on stressed observations.
c: a floor from the volatility of ten years.
"""

from typing import Any

import numpy as np

F64 = np.ndarray[Any, np.dtype[np.float64]]

BUFFER = 0.25
STRESS_WEIGHT = 0.25
BUFFER_WINDOW = 60
TEN_YEARS = 3650


def buffered(base: F64, buffer: float = BUFFER, window: int = BUFFER_WINDOW) -> F64:
    """Option a: base (1 + b), b = clip((1 + buffer) mean(last `window` of base) / base, 1, 1 + buffer) - 1.

    base: the unmitigated path, n values; each answer uses those up to its own. A rising base uses the buffer up.
    """
    base = np.asarray(base, np.float64)
    sums = np.cumsum(base)
    counts = np.minimum(np.arange(1, len(base) + 1), window)
    before = np.concatenate((np.zeros(min(window, len(base))), sums[:-window]))
    means = (sums - before) / counts
    return base * np.clip((1.0 + buffer) * means / base, 1.0, 1.0 + buffer)


def stressed_weight(core: float, stressed: float, weight: float = STRESS_WEIGHT) -> float:
    """Option b: (1 - weight) core + weight stressed."""
    return (1.0 - weight) * core + weight * stressed


def stressed(base: F64, quantiles: F64, weight: float = STRESS_WEIGHT) -> F64:
    """Option b along a path: the stressed part is the highest of `quantiles` so far."""
    base, quantiles = np.asarray(base, np.float64), np.asarray(quantiles, np.float64)
    return (1.0 - weight) * base + weight * np.maximum.accumulate(quantiles)


def floored(base: F64, past: F64, multiplier: float, window: int = TEN_YEARS) -> F64:
    """Option c: max(base, multiplier x deviation of the past ten years, or of all there is).

    past: log returns, of which the last len(base) are those of the path's own bars: bar i sees those before it.
    multiplier: the quantile of the standardised return, such as 2.326.
    """
    base, past = np.asarray(base, np.float64), np.asarray(past, np.float64)
    first = len(past) - len(base)
    if first < 2:
        raise ValueError(f"{len(past)} returns for {len(base)} margins: at least two before the first margin")
    deviations = [float(np.std(past[max(0, end - window) : end])) for end in range(first, len(past))]
    return np.maximum(base, multiplier * np.array(deviations))
