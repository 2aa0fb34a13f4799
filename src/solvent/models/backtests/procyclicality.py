"""How much a margin moves: what it asks for when everybody else asks too.

Source: D. Murphy, M. Vasios, N. Vause, "An investigation into the procyclicality of risk-based initial margin
models", Bank of England Financial Stability Paper 29 (2014).
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvent.models.backtests.coverage import promised

F64 = NDArray[np.float64]


class Procyclicality(NamedTuple):
    """Metrics of one margin path; shares of price, or ratios where said."""

    mean_margin: float
    """What it costs."""
    peak_to_trough: float
    """Largest margin over smallest."""
    max_one_day_rise: float
    max_five_day_rise: float
    max_thirty_day_rise: float
    """Largest M_t / M_{t-n} - 1."""
    mean_shortfall_beyond: float
    """Mean loss beyond the margin, of those beyond it; NaN where none was."""
    worst_breach: float
    """Largest loss over its margin, as a ratio; above 1 it was an exception."""


def procyclicality(losses: ArrayLike, margins: ArrayLike) -> Procyclicality:
    """All metrics of losses and their margins, shape (T,), one row a period in time order."""
    margin, loss = np.asarray(margins, np.float64), np.asarray(losses, np.float64)
    return Procyclicality(
        float(margin.mean()) if len(margin) else math.nan,
        peak_to_trough(margin),
        largest_rise(margin, 1),
        largest_rise(margin, 5),
        largest_rise(margin, 30),
        mean_shortfall_beyond(loss, margin),
        worst_breach(loss, margin),
    )


def peak_to_trough(margins: F64) -> float:
    """Largest over smallest margin; infinite where the smallest is nothing."""
    if not len(margins):
        return math.nan
    lowest = float(margins.min())
    return float(margins.max()) / lowest if lowest > 0.0 else math.inf


def largest_rise(margins: F64, periods: int) -> float:
    """Largest M_t / M_{t-n} - 1; NaN where the path is no longer than n periods."""
    if len(margins) <= periods:
        return math.nan
    return float(np.max(margins[periods:] / margins[:-periods])) - 1.0


def mean_shortfall_beyond(losses: F64, margins: F64) -> float:
    """Mean of L - M over losses above their margin; NaN where there was none."""
    beyond = (losses - margins)[losses > margins]
    return float(beyond.mean()) if len(beyond) else math.nan


def worst_breach(losses: F64, margins: F64) -> float:
    """Largest L / M."""
    return float(np.max(_ratios(losses, margins))) if len(losses) else math.nan


def factor_for_coverage(losses: F64, margins: F64, level: float) -> float:
    """The factor on all margins with which exactly the promised share of losses is above them.

    The level-quantile of L / M that leaves floor((1 - level) T) losses above: rescaled to it, models of different
    coverage can be compared by their mean margin. In-sample by construction.
    """
    size = len(losses)
    if not size:
        return math.nan
    allowed = math.floor(promised(level) * size + 1e-9)
    ratio = np.sort(_ratios(losses, margins))
    return float(ratio[size - 1 - allowed])


def _ratios(losses: F64, margins: F64) -> F64:
    """Losses over margins; a loss without a margin is infinitely many times it, no loss is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = losses / margins
    return np.asarray(np.where(np.isnan(ratio), 0.0, ratio))
