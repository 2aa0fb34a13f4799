"""The one interface of tail models, and the two kinds of forecast that nearly all of them make.

`model.fit(returns)` takes log returns, oldest first, and answers for the bar after the last one.
`fitted.quantile(level, side)` is the value at risk and `fitted.shortfall(level, side)` the expected shortfall of
that side, as positive log losses (see `returns`). `fitted.over(bars)` is the same over several bars.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np

from solvent.models.returns import Side, losses

F64 = np.ndarray[Any, np.dtype[np.float64]]

MARGIN_LEAST = 1e-6
"""No forecast is below this: margins are positive and have a logarithm."""
LEAST_RETURNS = 250
"""A year of trading days: no model speaks with less (EMIR RTS 153/2013 Art 25: at least twelve months)."""
ROUNDING = 1e-9


class Fitted(Protocol):
    """A forecast of the bars to come."""

    @property
    def note(self) -> str | None:
        """Why something other than the model itself speaks, such as a fit that failed; None where it does."""
        ...

    def quantile(self, level: float, side: Side = "long") -> float:
        """Value at risk at `level` (0.99), positive."""
        ...

    def shortfall(self, level: float, side: Side = "long") -> float:
        """Expected shortfall: the mean loss beyond the quantile, at least the quantile."""
        ...

    def over(self, bars: int) -> "Fitted":
        """The forecast over so many bars."""
        ...


class Model(Protocol):
    """How forecasts are made from the past."""

    @property
    def least(self) -> int:
        """How many returns `fit` needs."""
        ...

    @property
    def memory(self) -> int:
        """How many bars it should run before its forecasts count; 0 for a model that remembers none."""
        ...

    def fit(self, returns: F64, previous: Any = None) -> Fitted:
        """The forecast for the bar after the last return.

        previous: what this model fitted to an earlier prefix of the same returns. Models that estimate seldom
        keep its parameters, and models with a memory go on from it; without it they start anew.
        Raises ValueError for fewer than `least` returns.
        """
        ...


def check_enough(returns: F64, least: int) -> None:
    """Raise ValueError for too few returns to fit to."""
    if len(returns) < least:
        raise ValueError(f"{len(returns)} returns: at least {least} are needed")


def lower_tail(returns: F64, level: float) -> tuple[float, float]:
    """Quantile at 1 - level, the lower order statistic, and the mean of what is at or below it."""
    place = math.floor((1.0 - level) * (len(returns) - 1) + ROUNDING)
    smallest = np.partition(returns, place)[: place + 1]
    return float(smallest[place]), float(smallest.mean())


def weighted_tail(returns: F64, weights: F64, level: float) -> tuple[float, float]:
    """As `lower_tail` where scenarios have weights that sum to 1: the first return with 1 - level at or below it."""
    order = np.argsort(returns, kind="stable")
    sums = np.cumsum(weights[order])
    place = min(int(np.searchsorted(sums, 1.0 - level - ROUNDING)), len(order) - 1)
    tail = order[: place + 1]
    return float(returns[tail[-1]]), float(np.average(returns[tail], weights=weights[tail]))


@dataclass(frozen=True)
class Scenarios:
    """A forecast as log returns that may come, equally likely or with weights."""

    returns: F64
    weights: F64 | None = None
    long_paths: Any = None
    """bars -> Scenarios over so many bars; None: by the square root of time."""
    note: str | None = None

    def quantile(self, level: float, side: Side = "long") -> float:
        return max(-self._tail(level, side)[0], MARGIN_LEAST)

    def shortfall(self, level: float, side: Side = "long") -> float:
        return max(-self._tail(level, side)[1], MARGIN_LEAST)

    def over(self, bars: int) -> "Scenarios":
        if bars == 1:
            return self
        if self.long_paths is None:
            return replace(self, returns=self.returns * math.sqrt(bars))
        found: Scenarios = self.long_paths(bars)
        return found

    def _tail(self, level: float, side: Side) -> tuple[float, float]:
        signed = -losses(self.returns, side)
        return lower_tail(signed, level) if self.weights is None else weighted_tail(signed, self.weights, level)


@dataclass(frozen=True)
class Parametric:
    """A forecast as a normal or unit-variance Student t distribution of the log return."""

    mean: float
    deviation: float
    freedom: float = math.inf
    """Degrees of freedom, above 2; infinite is the normal distribution."""
    note: str | None = None

    def quantile(self, level: float, side: Side = "long") -> float:
        return max(self.deviation * upper_quantile(level, self.freedom) + self._drift(side), MARGIN_LEAST)

    def shortfall(self, level: float, side: Side = "long") -> float:
        return max(self.deviation * upper_shortfall(level, self.freedom) + self._drift(side), MARGIN_LEAST)

    def over(self, bars: int) -> Self:
        """By the square root of time."""
        return replace(self, mean=self.mean * bars, deviation=self.deviation * math.sqrt(bars))

    def _drift(self, side: Side) -> float:
        return -self.mean if side == "long" else self.mean


def upper_quantile(level: float, freedom: float = math.inf) -> float:
    """Quantile of the standard normal, or of Student's t scaled to unit variance: t(level) sqrt((v-2)/v)."""
    from scipy.special import ndtri, stdtrit

    if math.isinf(freedom):
        return float(ndtri(level))
    return float(stdtrit(freedom, level)) * math.sqrt((freedom - 2.0) / freedom)


def upper_shortfall(level: float, freedom: float = math.inf) -> float:
    """Mean beyond `upper_quantile`: phi(z)/alpha; f(q)/alpha (v + q^2)/(v - 1), scaled to unit variance."""
    from scipy.special import gammaln, ndtri, stdtrit

    if math.isinf(freedom):
        z = float(ndtri(level))
        return math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) / (1.0 - level)
    q = float(stdtrit(freedom, level))
    log_density = gammaln((freedom + 1.0) / 2.0) - gammaln(freedom / 2.0) - 0.5 * math.log(freedom * math.pi)
    density = math.exp(log_density - (freedom + 1.0) / 2.0 * math.log1p(q * q / freedom))
    return density / (1.0 - level) * (freedom + q * q) / (freedom - 1.0) * math.sqrt((freedom - 2.0) / freedom)
