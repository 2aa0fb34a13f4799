"""Returns and losses: all models, margins and losses are in log returns, as the field states value at risk.

A loss is -r for a long and r for a short, r = ln(p[t] / p[t-1]). `price_fraction` turns a margin into the fraction
of the price that a position must hold: 10 % in log terms are 9.5 % for a long and 10.5 % for a short.
"""

import math
from typing import Any, Literal

import numpy as np

F64 = np.ndarray[Any, np.dtype[np.float64]]
Side = Literal["long", "short"]
SIDES: tuple[Side, Side] = ("long", "short")


def log_returns(prices: F64) -> F64:
    """ln(p[t] / p[t-1]): n prices give n - 1 returns. Raises ValueError for a price that is not above zero."""
    prices = np.asarray(prices, np.float64)
    if not (prices > 0).all():
        raise ValueError(f"{prices[~(prices > 0)][0]} is no price above 0")
    return np.diff(np.log(prices))


def losses(returns: F64, side: Side) -> F64:
    """What each return is to a side: -r to a long, r to a short; gains are below 0."""
    returns = np.asarray(returns, np.float64)
    return -returns if side == "long" else returns


def price_fraction(loss: float, side: Side) -> float:
    """A loss or margin in log terms as a fraction of the price: 1 - exp(-x) for a long, exp(x) - 1 for a short."""
    return -math.expm1(-loss) if side == "long" else math.expm1(loss)


def log_loss(fraction: float, side: Side) -> float:
    """The inverse of `price_fraction`; infinite for a long that may lose the whole price."""
    if side == "short":
        return math.log1p(fraction)
    return -math.log1p(-fraction) if fraction < 1.0 else math.inf


def compounded(returns: F64, bars: int) -> F64:
    """Log returns over every run of `bars` neighbouring bars, overlapping: n - bars + 1 values."""
    if bars == 1:
        return np.asarray(returns, np.float64)
    sums = np.concatenate(([0.0], np.cumsum(returns)))
    return sums[bars:] - sums[:-bars]
