"""Filtered historical simulation: past surprises in units of their own volatility, at today's volatility.

Hull and White 1998; Barone-Adesi, Giannopoulos and Vosper 1999.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from solvent.models.ewma import Ewma
from solvent.models.horizons import filtered_paths
from solvent.models.model import LEAST_RETURNS, Scenarios, check_enough

F64 = np.ndarray[Any, np.dtype[np.float64]]


class Filter(Protocol):
    """A volatility filter with its parameters."""

    @property
    def mean(self) -> float:
        """Mean log return, taken off before the filter."""
        ...

    @property
    def note(self) -> str | None:
        """Why another filter speaks, where one does."""
        ...

    def variances(self, returns: F64) -> F64:
        """Conditional variance of each return, and of the next: n + 1 values."""
        ...

    def step(self, variances: F64, returns: F64) -> F64:
        """The next variances of many paths after `returns` came."""
        ...


class Estimator(Protocol):
    """How a filter gets its parameters."""

    def estimate(self, returns: F64, previous: Any = None) -> Filter:
        """The filter fitted to the returns; `previous`, an earlier one, where no new fit is due."""
        ...


EWMA = Ewma()


@dataclass(frozen=True)
class FilteredScenarios(Scenarios):
    """Scenarios that remember the filter which made them, so that the next fit can keep its parameters."""

    filter: Any = None


@dataclass(frozen=True)
class Filtered:
    """Filtered historical simulation on a filter, with the last `window` standardised returns."""

    filter: Estimator = EWMA
    window: int = 1000
    least: int = LEAST_RETURNS
    memory: int = 0

    def fit(self, returns: F64, previous: FilteredScenarios | None = None) -> FilteredScenarios:
        """Scenarios z sigma: every standardised return of the window at the volatility of the bar to come."""
        check_enough(returns, self.least)
        filter = self.filter.estimate(returns, None if previous is None else previous.filter)
        surprises, variance = standardised(filter, returns)
        z = surprises[-self.window :]

        def over(bars: int) -> Scenarios:
            return Scenarios(filtered_paths(filter, variance, z, bars), note=filter.note)

        scenarios = filter.mean + np.sqrt(variance) * z
        return FilteredScenarios(scenarios, long_paths=over, note=filter.note, filter=filter)


def standardised(filter: Filter, returns: F64) -> tuple[F64, float]:
    """Returns less their mean in units of their own volatility, and the variance of the bar to come."""
    variances = filter.variances(returns)
    return (returns - filter.mean) / np.sqrt(variances[:-1]), float(variances[-1])


def rescaled(last_return: float, deviation: float, deviation_now: float) -> float:
    """A past return at today's volatility: r sigma_T / sigma_t (Hull and White 1998)."""
    return last_return * deviation_now / deviation
