"""Returns and losses: log returns go into models; losses and margins are fractions of the price."""

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
    """What one unit of price lost on each log return: 1 - exp(r) for a long, exp(r) - 1 for a short; gains below 0."""
    moves = np.expm1(np.asarray(returns, np.float64))
    return -moves if side == "long" else moves


def price_loss(log_loss: float, side: Side) -> float:
    """A loss in log terms (-r for a long, r for a short) as a fraction of the price: at most 1 for a long."""
    with np.errstate(over="ignore"):
        return float(-np.expm1(-log_loss) if side == "long" else np.expm1(log_loss))


def compounded(returns: F64, bars: int) -> F64:
    """Log returns over every run of `bars` neighbouring bars, overlapping: n - bars + 1 values."""
    if bars == 1:
        return np.asarray(returns, np.float64)
    sums = np.concatenate(([0.0], np.cumsum(returns)))
    return sums[bars:] - sums[:-bars]
