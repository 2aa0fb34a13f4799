"""The stack: the mean of three filters, a stressed anchor, a slow tracker of breaches, and a limit on steps.

base = 3/4 mean of the filtered forecasts + 1/4 the highest 250-bar historical quantile so far, which is option b
of EMIR RTS 153/2013 Art 28; the anchor counts at most `ANCHOR_MOST` times the mean, or the first mania after a
listing would stand in the margins for ever. The tracker moves the base on a log scale so that breaches come as
often as they should (quantile tracking: Angelopoulos, Candes and Tibshirani 2023). The limiter bounds a bar's change.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvent.models.ewma import Ewma
from solvent.models.filtered import Filtered
from solvent.models.garch import Garch
from solvent.models.historical import Historical
from solvent.models.model import LEAST_RETURNS, Fitted, Model, check_enough
from solvent.models.procyclicality import stressed_weight
from solvent.models.returns import SIDES, Side, losses
from solvent.models.tracker import CLIP, ETA

F64 = np.ndarray[Any, np.dtype[np.float64]]

STRESS_WINDOW = 250
ANCHOR_MOST = 4.0
"""Chosen on eight assets (LTC, XRP, LINK, ADA, BNB, DOGE, TRX, XLM); on BTC and ETH it never binds."""
WARM_UP = 1000
BELOW = 1.0 - 1e-12
"""Keeps a rise within its limit after rounding."""


@dataclass(frozen=True)
class Tracker:
    """How fast the correction follows breaches, and how far it goes (log scale)."""

    speed: float = ETA
    """A breach lifts the margin by nearly so much; a quiet bar releases (1 - level) of it."""
    clip: float = CLIP

    def moved(self, correction: float, breached: bool, level: float) -> float:
        """The correction after a bar: clip(theta + speed (breached - alpha))."""
        moved = correction + self.speed * (float(breached) - (1.0 - level))
        return min(max(moved, -self.clip), self.clip)


@dataclass(frozen=True)
class Limiter:
    """How much a margin may change in a bar, as fractions of the last one."""

    up: float = 0.25
    down: float = 0.02

    def limited(self, target: float, last: float | None) -> float:
        """The target, within the steps that are allowed from the last margin; the first margin is free."""
        if last is None:
            return target
        return min(max(target, last * (1.0 - self.down)), last * (1.0 + self.up) * BELOW)


@dataclass(frozen=True)
class Tracked:
    """What a side remembers from bar to bar."""

    anchor: float
    """The highest stressed quantile so far."""
    base: float
    correction: float
    tracked: tuple[float, ...]
    """The quantiles as tracked whose bars are not over yet, oldest first: as many as the horizon has bars."""
    margin: float
    shortfall_ratio: float
    """Expected shortfall over quantile, of the parts."""


@dataclass(frozen=True)
class FittedStack:
    """The stack's forecast at the one level and horizon that it tracks."""

    level: float
    bars: int
    sides: dict[Side, Tracked]
    parts: tuple[Fitted, ...]
    seen: int
    """How many returns it was fitted to."""

    @property
    def note(self) -> str | None:
        """The first part's that has one."""
        return next((each.note for each in self.parts if each.note), None)

    def quantile(self, level: float, side: Side = "long") -> float:
        """The margin. Raises ValueError for another level than the tracked one."""
        if abs(level - self.level) > 1e-12:
            raise ValueError(f"{level}: this stack tracks {self.level}")
        return self.sides[side].margin

    def shortfall(self, level: float, side: Side = "long") -> float:
        """The margin times the ratio of shortfall to quantile that its parts have."""
        return self.quantile(level, side) * self.sides[side].shortfall_ratio

    def over(self, bars: int) -> "FittedStack":
        """Itself. Raises ValueError for another horizon than the tracked one."""
        if bars != self.bars:
            raise ValueError(f"{bars} bars: this stack tracks {self.bars}")
        return self


PARTS: tuple[Model, ...] = (Filtered(Ewma(0.97)), Filtered(Ewma(0.99)), Filtered(Garch("garch")))
"""A fast and a slow exponential filter, and one with its own persistence."""


@dataclass(frozen=True)
class Stack:
    """The champion. It has a memory: each fit goes on from the previous one."""

    level: float = 0.99
    bars: int = 1
    parts: tuple[Model, ...] = PARTS
    tracker: Tracker | None = Tracker()
    limiter: Limiter | None = Limiter()
    shortfall_level: float | None = None
    """Charge the larger of quantile and expected shortfall at this level (0.975), where it is given."""
    least: int = LEAST_RETURNS
    memory: int = WARM_UP

    def fit(self, returns: F64, previous: FittedStack | None = None) -> FittedStack:
        """The margins of both sides for the bars after the last return.

        previous: the fit one return earlier. Without it the anchor is made from all the past, and the
        tracker starts at no correction.
        """
        check_enough(returns, self.least)
        if previous is not None and previous.seen + 1 != len(returns):
            raise ValueError(f"previous has seen {previous.seen} returns: {len(returns) - 1} come before these")
        old = (None,) * len(self.parts) if previous is None else previous.parts
        parts = tuple(part.fit(returns, before) for part, before in zip(self.parts, old, strict=True))
        ahead = [part.over(self.bars) for part in parts]
        sides = {
            side: self._side(returns, ahead, side, None if previous is None else previous.sides[side]) for side in SIDES
        }
        return FittedStack(self.level, self.bars, sides, parts, len(returns))

    def _side(self, returns: F64, ahead: list[Any], side: Side, before: Tracked | None) -> Tracked:
        """One side's memory after the last return."""
        quantiles = [each.quantile(self.level, side) for each in ahead]
        shortfalls = [each.shortfall(self.level, side) for each in ahead]
        core = float(np.mean(quantiles))
        if self.shortfall_level is not None:
            core = max(core, float(np.mean([each.shortfall(self.shortfall_level, side) for each in ahead])))
        anchor = self._anchor(returns, side, None if before is None else before.anchor)
        base = stressed_weight(core, min(anchor, ANCHOR_MOST * core))
        correction = 0.0 if before is None else before.correction
        waiting = () if before is None else before.tracked
        if self.tracker is not None and len(waiting) == self.bars:
            came = float(losses(returns[-self.bars :], side).sum())
            correction = self.tracker.moved(correction, came > waiting[0], self.level)
        quantile = base * math.exp(correction)
        last = None if before is None else before.margin
        margin = quantile if self.limiter is None else self.limiter.limited(quantile, last)
        waiting = (*waiting, quantile)[-self.bars :]
        ratio = float(np.mean(shortfalls)) / float(np.mean(quantiles))
        return Tracked(anchor, base, correction, waiting, margin, max(ratio, 1.0))

    def _anchor(self, returns: F64, side: Side, before: float | None) -> float:
        """The highest quantile of 250 neighbouring returns so far."""
        stressed = Historical(STRESS_WINDOW, STRESS_WINDOW)
        ends = [len(returns)] if before is not None else range(STRESS_WINDOW, len(returns) + 1)
        found = (stressed.fit(returns[:end]).over(self.bars).quantile(self.level, side) for end in ends)
        return max(before or 0.0, *found) if before is not None else max(found)
