"""Several bars ahead: overlapping paths of a filter; the square root of time where there is no path."""

import math
from typing import Any, Protocol

import numpy as np

F64 = np.ndarray[Any, np.dtype[np.float64]]


class Steps(Protocol):
    """What a path needs of a volatility filter."""

    @property
    def mean(self) -> float:
        """Mean log return of a bar."""
        ...

    def step(self, variances: F64, returns: F64) -> F64:
        """The next variances after `returns` came."""
        ...


def filtered_paths(filter: Steps, variance: float, surprises: F64, bars: int) -> F64:
    """Log returns over `bars` bars, one a start in the window: n - bars + 1 values.

    Each path takes `bars` neighbouring standardised returns as they came, so that their order stays, and moves
    the filter's variance with every step. filter: has `mean` and `step`. variance: of the first bar.
    """
    paths = len(surprises) - bars + 1
    if paths < 1:
        raise ValueError(f"{bars} bars: at most the {len(surprises)} of the window")
    variances = np.full(paths, variance)
    total = np.zeros(paths)
    for bar in range(bars):
        shocks = np.sqrt(variances) * surprises[bar : bar + paths]
        total += filter.mean + shocks
        variances = filter.step(variances, filter.mean + shocks)
    return total


def scaled(one_bar: float, bars: float) -> float:
    """A one-bar loss by the square root of time: right for independent normal returns, often above paths."""
    return one_bar * math.sqrt(bars)
