"""Extreme value theory: a generalised Pareto tail on what filtered returns exceed a high threshold by.

McNeil and Frey 2000; the Pareto is fitted as by Zhang and Stephens 2009, which needs no optimiser and never fails.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from solvent.models.filtered import Estimator, standardised
from solvent.models.garch import Garch
from solvent.models.model import LEAST_RETURNS, MARGIN_LEAST, check_enough
from solvent.models.returns import Side, losses

F64 = np.ndarray[Any, np.dtype[np.float64]]

THRESHOLD_LEVEL = 0.90
SHAPE_MOST = 0.95
"""Expected shortfall is infinite from a shape of 1 on."""
GARCH = Garch()


@dataclass(frozen=True)
class Pareto:
    """The tail of a loss above a threshold: excesses y have P(Y > y) = (1 + shape y / scale)^(-1/shape)."""

    threshold: float
    scale: float
    shape: float
    share: float
    """Of all observations, those above the threshold."""

    def quantile(self, level: float) -> float:
        """u + beta/xi ((n/N_u (1 - q))^-xi - 1), for levels above the threshold's own."""
        ratio = (1.0 - level) / self.share
        if abs(self.shape) < 1e-9:
            return self.threshold - self.scale * math.log(ratio)
        return float(self.threshold + self.scale / self.shape * (ratio**-self.shape - 1.0))

    def shortfall(self, level: float) -> float:
        """(VaR + beta - xi u) / (1 - xi). Raises ValueError for a shape of 1 or more: the mean is infinite."""
        if self.shape >= 1.0:
            raise ValueError(f"shape {self.shape}: below 1 for a mean")
        return (self.quantile(level) + self.scale - self.shape * self.threshold) / (1.0 - self.shape)


@dataclass(frozen=True)
class FittedTails:
    """Both tails of the standardised return, at the volatility of the bar to come."""

    mean: float
    deviation: float
    tails: dict[Side, Pareto]
    note: str | None = None
    filter: Any = None

    def quantile(self, level: float, side: Side = "long") -> float:
        return self._return(self.tails[side].quantile(level), side)

    def shortfall(self, level: float, side: Side = "long") -> float:
        return self._return(self.tails[side].shortfall(level), side)

    def over(self, bars: int) -> Self:
        """By the square root of time."""
        return replace(self, mean=self.mean * bars, deviation=self.deviation * math.sqrt(bars))

    def _return(self, surprise: float, side: Side) -> float:
        return max(self.deviation * surprise + (-self.mean if side == "long" else self.mean), MARGIN_LEAST)


@dataclass(frozen=True)
class PeaksOverThreshold:
    """A volatility filter with Pareto tails; needs at least 20 standardised returns in each."""

    filter: Estimator = GARCH
    window: int = 1000
    least: int = LEAST_RETURNS
    memory: int = 0

    def fit(self, returns: F64, previous: FittedTails | None = None) -> FittedTails:
        """Each tail is that of the last `window` standardised returns."""
        check_enough(returns, self.least)
        filter = self.filter.estimate(returns, None if previous is None else previous.filter)
        surprises, variance = standardised(filter, returns)
        z = surprises[-self.window :]
        tails: dict[Side, Pareto] = {"long": fit_tail(losses(z, "long")), "short": fit_tail(losses(z, "short"))}
        return FittedTails(filter.mean, math.sqrt(variance), tails, filter.note, filter)


def fit_tail(values: F64, level: float = THRESHOLD_LEVEL) -> Pareto:
    """The Pareto tail of what is above the `level` quantile of the values; an exponential one where all are alike."""
    ordered = np.sort(values)
    above = max(math.ceil((1.0 - level) * len(values) - 1e-9), 1)
    threshold = float(ordered[-above - 1])
    excesses = ordered[-above:] - threshold
    scale, shape = pareto(excesses)
    return Pareto(threshold, scale, min(shape, SHAPE_MOST), above / len(values))


def pareto(excesses: F64) -> tuple[float, float]:
    """Scale and shape of a generalised Pareto distribution: the posterior mean of Zhang and Stephens (2009).

    excesses: n values >= 0, ascending. The prior of its theta = -shape / scale needs only the largest value
    and the first quartile.
    """
    n = len(excesses)
    largest, quartile = float(excesses[-1]), float(excesses[max(math.floor(n / 4 + 0.5) - 1, 0)])
    if not largest > 0.0 or not quartile > 0.0 or n < 5:
        return max(float(excesses.mean()), MARGIN_LEAST), 0.0
    grid = 20 + math.floor(math.sqrt(n))
    places = np.arange(1, grid + 1) - 0.5
    theta = 1.0 / largest + (1.0 - np.sqrt(grid / places)) / (3.0 * quartile)
    shapes = np.log1p(-theta[:, None] * excesses).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        likelihood = n * (np.log(-theta / shapes) - shapes - 1.0)
    likelihood = np.where(np.isfinite(likelihood), likelihood, -np.inf)
    weights = np.exp(likelihood - likelihood.max())
    mean = float((theta * weights).sum() / weights.sum())
    if abs(mean) * largest < 1e-9:
        return float(excesses.mean()), 0.0
    shape = float(np.log1p(-mean * excesses).mean())
    return -shape / mean, shape
