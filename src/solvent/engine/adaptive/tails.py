"""A tail model walked along one asset's closes: a forecast a bar made from the bars before it, and how they did."""

import math
from typing import Any

import numpy as np

from solvent.domain.adaptive import EvidenceRow
from solvent.engine.adaptive.history import Closes
from solvent.models.backtests.coverage import kupiec
from solvent.models.model import Fitted, Model
from solvent.models.returns import SIDES, Side, price_fraction
from solvent.models.walk_forward import known

TESTED_MOST = 1_000
"""Bars that a backtest begins with; it grows as bars come."""


class Walk:
    """One asset's forecasts. `advance` takes the bars that are new, each with what was known before it."""

    def __init__(self, model: Model, level: float) -> None:
        self.model, self.level = model, level
        self.fitted: Fitted | None = None
        self.exceptions: dict[Side, int] = dict.fromkeys(SIDES, 0)
        self.tested = 0
        self._first_ns = 0
        self._seen = 0

    def advance(self, closes: Closes) -> bool:
        """Forecast every bar up to the one after the last; whether there are enough bars for a forecast."""
        returns = closes.returns() if len(closes.ticks) > 1 else np.empty(0)
        if len(returns) < self.model.least:
            return False
        if self.fitted is None or closes.end_ns[0] != self._first_ns or len(returns) < self._seen:
            self._begin(closes, len(returns))
        while self._seen < len(returns):
            if self.fitted is not None:
                self._count(float(returns[self._seen]))
            self._seen += 1
            if self._seen >= self.model.least:
                self.fitted = self.model.fit(known(returns, self._seen), self.fitted)
        return True

    def _begin(self, closes: Closes, returns: int) -> None:
        """Start anew: what the history begins with has changed."""
        self.fitted, self.tested, self._first_ns = None, 0, closes.end_ns[0]
        self.exceptions = dict.fromkeys(SIDES, 0)
        self._seen = max(self.model.least, returns - TESTED_MOST) - 1

    def _count(self, came: float) -> None:
        """Compare a return with the forecast that was made before it."""
        assert self.fitted is not None
        self.tested += 1
        self.exceptions["long"] += -came > self.fitted.quantile(self.level, "long")
        self.exceptions["short"] += came > self.fitted.quantile(self.level, "short")

    def rows(self, asset: str, bars: float) -> tuple[EvidenceRow, ...]:
        """Evidence of both sides: the quantile of a margin period of `bars` bars, by the square root of time.

        A fraction of the price, as is its margin: liquidity and predictions come on top of it.
        """
        fitted: Any = self.fitted
        found = []
        for side in SIDES:
            core = price_fraction(fitted.quantile(self.level, side) * math.sqrt(bars), side)
            p = kupiec(self.tested, self.exceptions[side], 1.0 - self.level).p_value if self.tested else 0.0
            found.append(
                EvidenceRow(
                    asset=asset, side=side, margin=core, core=core, level=self.level, observations=self._seen,
                    exceptions=self.exceptions[side], tested=self.tested, kupiec_p=p,
                )
            )  # fmt: skip
        return tuple(found)
