"""Watching a margin model as losses arrive: e-processes, valid whenever one looks at them.

An e-value has mean at most 1 under a model that is right; betting a small part of one's wealth on it each day
gives a process that a right model takes above 20 with probability at most 1/20, at any time and forever.
Source: Q. Wang, R. Wang, J. Ziegel, "E-backtesting" (2022).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvent.models.backtests.coverage import promised

F64 = NDArray[np.float64]

BET = 0.01
ALERT_FROM, BREACH_FROM = 5.0, 20.0
"""Wealth at which somebody looks at the model, and at which it is wrong."""
STATES = ("quiet", "alert", "breach")


def e_values_var(losses: ArrayLike, margins: ArrayLike, level: float) -> F64:
    """(T,) 1{L > VaR} / (1 - level)."""
    return np.asarray((np.asarray(losses, np.float64) > np.asarray(margins, np.float64)) / promised(level))


def e_values_shortfall(losses: ArrayLike, margins: ArrayLike, shortfalls: ArrayLike, level: float) -> F64:
    """(T,) (L - VaR)+ / ((1 - level) (ES - VaR)); infinite for a loss beyond an ES that is no more than its VaR."""
    loss, var, es = (np.asarray(each, np.float64) for each in (losses, margins, shortfalls))
    excess, room = np.maximum(loss - var, 0.0), promised(level) * (es - var)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(excess == 0.0, 0.0, np.where(room > 0.0, excess / room, np.inf)))


def e_process(e_values: ArrayLike, bet: float = BET) -> F64:
    """(T,) wealth after each day, from 1, that stakes the share `bet` of itself: prod(1 - bet + bet e)."""
    return np.asarray(np.cumprod(1.0 - bet + bet * np.asarray(e_values, np.float64)))


def state(wealth: float) -> str:
    """Which of `STATES` a present wealth means."""
    return STATES[(wealth >= ALERT_FROM) + (wealth >= BREACH_FROM)]


def first_at_least(wealth: ArrayLike, bound: float) -> int | None:
    """The day, counted from 0, on which a process first reaches a bound; None where it never does."""
    days = np.flatnonzero(np.asarray(wealth, np.float64) >= bound)
    return int(days[0]) if len(days) else None
