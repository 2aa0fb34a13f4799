"""Exponentially weighted variance: the filter of RiskMetrics, and the normal model on it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvent.models.kernel_filters import ewma_variances
from solvent.models.model import LEAST_RETURNS, Parametric, check_enough

F64 = np.ndarray[Any, np.dtype[np.float64]]

START_RETURNS = 100
"""The filter starts from the mean square of so many first returns."""


@dataclass(frozen=True)
class Ewma:
    """A variance filter whose memory fades by `decay` a bar; it is its own estimate."""

    decay: float = 0.97
    mean: float = 0.0
    note: str | None = None

    def estimate(self, returns: F64, previous: Any = None) -> "Ewma":
        """Nothing is estimated."""
        return self

    def variances(self, returns: F64) -> F64:
        """Variance of each bar from those before it, and of the bar to come: n + 1 values."""
        start = float(np.mean(np.square(returns[:START_RETURNS])))
        return np.asarray(ewma_variances(returns, self.decay, start))

    def step(self, variances: F64, returns: F64) -> F64:
        """The variances after `returns` came, for many paths at once."""
        return np.asarray(self.decay * variances + (1.0 - self.decay) * np.square(returns))


@dataclass(frozen=True)
class EwmaNormal:
    """Normal returns with the filter's variance: the textbook's model, kept as a benchmark that fails."""

    decay: float = 0.94
    least: int = LEAST_RETURNS
    memory: int = 0

    def fit(self, returns: F64, previous: Any = None) -> Parametric:
        """A normal forecast of mean zero."""
        check_enough(returns, self.least)
        return Parametric(0.0, math.sqrt(Ewma(self.decay).variances(returns)[-1]))


def ewma_update(decay: float, deviation: float, last_return: float) -> float:
    """Variance of the next bar from this bar's deviation and return."""
    return decay * deviation**2 + (1.0 - decay) * last_return**2


def effective_days(decay: float, tolerance: float = 0.01) -> float:
    """How many days hold all but `tolerance` of the weight: ln(tolerance) / ln(decay) (RiskMetrics 1996)."""
    return math.log(tolerance) / math.log(decay)
