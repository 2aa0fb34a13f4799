"""Cornish-Fisher: a normal quantile corrected for skewness and kurtosis. A diagnostic, never a margin.

Zangari 1996; where the correction is no quantile function at all: Maillard 2012. Daily crypto returns have an
excess kurtosis above 8, and nearly always lie outside that domain.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from solvent.models.model import LEAST_RETURNS, MARGIN_LEAST, check_enough, upper_quantile
from solvent.models.returns import Side

F64 = np.ndarray[Any, np.dtype[np.float64]]

NODES = 200
OUTSIDE = "outside the domain in which Cornish-Fisher is a quantile function"


@dataclass(frozen=True)
class Expansion:
    """Moments of the return, and the quantiles that follow from them."""

    mean: float
    deviation: float
    skewness: float
    excess_kurtosis: float

    @property
    def note(self) -> str | None:
        """Says so where the moments are outside the domain."""
        return None if in_domain(self.skewness, self.excess_kurtosis) else OUTSIDE

    def quantile(self, level: float, side: Side = "long") -> float:
        z = upper_quantile(level)
        if side == "long":
            return max(-(self.mean + self.deviation * corrected(-z, *self._shape)), MARGIN_LEAST)
        return max(self.mean + self.deviation * corrected(z, *self._shape), MARGIN_LEAST)

    def shortfall(self, level: float, side: Side = "long") -> float:
        """The mean of the quantiles beyond the level, by the midpoint rule; at least the quantile."""
        beyond = 1.0 - (1.0 - level) * (np.arange(NODES) + 0.5) / NODES
        mean = float(np.mean([self.quantile(each, side) for each in beyond]))
        return max(mean, self.quantile(level, side))

    def over(self, bars: int) -> Self:
        """Of a sum of independent returns: skewness falls with the root of time, kurtosis with time."""
        return replace(
            self,
            mean=self.mean * bars,
            deviation=self.deviation * math.sqrt(bars),
            skewness=self.skewness / math.sqrt(bars),
            excess_kurtosis=self.excess_kurtosis / bars,
        )

    @property
    def _shape(self) -> tuple[float, float]:
        return self.skewness, self.excess_kurtosis


@dataclass(frozen=True)
class CornishFisher:
    """Moments of the last `window` returns."""

    window: int = 500
    least: int = LEAST_RETURNS
    memory: int = 0

    def fit(self, returns: F64, previous: Any = None) -> Expansion:
        """Sample moments; no skewness and kurtosis for a price that does not move."""
        check_enough(returns, self.least)
        window = returns[-self.window :]
        mean, deviation = float(window.mean()), float(window.std())
        if deviation < 1e-12:
            return Expansion(mean, deviation, 0.0, 0.0)
        z = (window - mean) / deviation
        return Expansion(mean, deviation, float(np.mean(z**3)), float(np.mean(z**4)) - 3.0)


def corrected(z: float, skewness: float, excess_kurtosis: float) -> float:
    """z + (z^2 - 1) S/6 + (z^3 - 3z) K/24 - (2 z^3 - 5z) S^2/36, K in excess of the normal's."""
    third = (z**3 - 3.0 * z) * excess_kurtosis / 24.0
    return z + (z * z - 1.0) * skewness / 6.0 + third - (2.0 * z**3 - 5.0 * z) * skewness**2 / 36.0


def in_domain(skewness: float, excess_kurtosis: float) -> bool:
    """Whether the corrected quantile rises with the level: S^2/9 - 4 (K/8 - S^2/6)(1 - K/8 - 5 S^2/36) <= 0."""
    s2, k = skewness**2, excess_kurtosis / 8.0
    return s2 / 9.0 - 4.0 * (k - s2 / 6.0) * (1.0 - k - 5.0 * s2 / 36.0) <= 0.0
