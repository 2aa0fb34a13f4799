"""Following a quantile as losses arrive: our log-scale tracker, and the adaptive conformal level it replaces.

Adaptive conformal inference moves the level and keeps its frequency, but a level near 0 or 1 makes the margin
explode; the tracker moves the margin itself by bounded steps of its logarithm.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]

ETA = 0.05
"""A breach lifts the margin by about 5 %, a quiet day at 99 % releases 0.05 %."""
CLIP = 0.7
"""The factor stays within exp(-0.7) and exp(0.7): a half and twice."""


class Tracked(NamedTuple):
    """A tracked margin and what moved it; arrays of shape (T,)."""

    margin: F64
    exceptions: NDArray[np.bool_]
    log_factor: F64
    """theta_t, with which the margin of t was made."""
    next_log_factor: float
    """theta_{T+1}, for the day after the last."""


def log_quantile_tracker(
    base: ArrayLike,
    losses: ArrayLike,
    alpha: float,
    eta: float = ETA,
    clip: float = CLIP,
    log_factor: float = 0.0,
) -> Tracked:
    """q_t = base_t exp(theta_t); theta_{t+1} = clip(theta_t + eta (1{L_t > q_t} - alpha), -clip, clip).

    base, losses: shape (T,), positive fractions of price; alpha the promised frequency of exceptions; log_factor is
    theta_1. A margin of t uses losses before t only. Without clipping |mean exception - alpha| is
    |theta_{T+1} - theta_1| / (eta T).
    Source: A. Angelopoulos, E. Candes, R. Tibshirani, "Conformal PID control" (2023), on the logarithm.
    """
    bases, loss = np.asarray(base, np.float64).tolist(), np.asarray(losses, np.float64).tolist()
    theta = log_factor
    margins, factors, exceptions = [], [], []
    for each, lost in zip(bases, loss, strict=True):
        margin = each * math.exp(theta)
        hit = lost > margin
        margins.append(margin)
        factors.append(theta)
        exceptions.append(hit)
        theta = moved(theta, hit, alpha, eta, clip)
    return Tracked(np.array(margins), np.array(exceptions, np.bool_), np.array(factors), theta)


def moved(log_factor: float, exception: bool, alpha: float, eta: float = ETA, clip: float = CLIP) -> float:
    """theta of the next day: clip(theta + eta (h - alpha), -clip, clip)."""
    return min(clip, max(-clip, log_factor + eta * (exception - alpha)))


def adaptive_levels(exceptions: ArrayLike, alpha: float, gamma: float, first: float | None = None) -> F64:
    """(T,) levels a_2 .. a_{T+1} of adaptive conformal inference: a_{t+1} = a_t + gamma (alpha - err_t).

    exceptions: shape (T,), 1 where the interval of t missed; first is a_1, by default alpha. Levels may leave
    [0, 1], where an interval is everything or nothing.
    Source: I. Gibbs and E. Candes, "Adaptive conformal inference under distribution shift" (2021).
    """
    steps = gamma * (alpha - np.asarray(exceptions, np.float64))
    return np.asarray((alpha if first is None else first) + np.cumsum(steps))


def adaptive_bound(first: float, gamma: float, periods: int) -> float:
    """The most by which the frequency of exceptions can miss alpha: (max(a_1, 1 - a_1) + gamma) / (gamma T).

    Source: Gibbs and Candes (2021), proposition 4.1. At 99 % and 5 years of days it says nothing.
    """
    return (max(first, 1.0 - first) + gamma) / (gamma * periods)
