"""Historical simulation: the past as it was, equally weighted or by age."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from solvent.models.model import LEAST_RETURNS, Scenarios, check_enough
from solvent.models.returns import compounded

F64 = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Historical:
    """The last `window` returns; fewer, at least `least`, while there are no more."""

    window: int = 500
    least: int = LEAST_RETURNS
    memory: int = 0

    def fit(self, returns: F64, previous: Any = None) -> Scenarios:
        """Each of the window's returns is as likely to come as any other."""
        check_enough(returns, self.least)
        window = returns[-self.window :]
        return Scenarios(window, long_paths=lambda bars: Scenarios(compounded(window, bars)))


@dataclass(frozen=True)
class AgeWeighted:
    """Historical simulation in which a day counts less the older it is (Boudoukh, Richardson and Whitelaw 1998)."""

    window: int = 500
    decay: float = 0.99
    least: int = LEAST_RETURNS
    memory: int = 0

    def fit(self, returns: F64, previous: Any = None) -> Scenarios:
        """The window's returns with the weights of their age."""
        check_enough(returns, self.least)
        window = returns[-self.window :]

        def over(bars: int) -> Scenarios:
            paths = compounded(window, bars)
            return Scenarios(paths, age_weights(self.decay, len(paths))[::-1])

        return Scenarios(window, age_weights(self.decay, len(window))[::-1], over)


def age_weights(decay: float, window: int) -> F64:
    """decay^(i-1) (1-decay) / (1-decay^window) for ages i = 1..window: they sum to 1."""
    powers = decay ** np.arange(window, dtype=np.float64)
    if decay == 1.0:
        return powers / window
    return powers * (1.0 - decay) / (1.0 - decay**window)
