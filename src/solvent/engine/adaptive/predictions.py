"""The hourly layer beside a venue: what a policy's models say of the next hour, and why they are silent."""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from solvent.domain.adaptive import Evidence
from solvent.domain.policy import Policy
from solvent.engine.adaptive.history import DAY_S
from solvent.engine.adaptive.marked_hours import CANDLES, HOURS_MOST, MarkedHours
from solvent.engine.adaptive.model_files import Model, models_of
from solvent.engine.adaptive.parameters import RULE
from solvent.engine.adaptive.past import past_marks
from solvent.engine.adaptive.proposer import LEVEL, PERIOD_S, Prediction
from solvent.engine.files import read_candles
from solvent.ledger.journal import Journal
from solvent.models import hourly
from solvent.models.hours import HOUR_NS, Hours, assets_of, hours
from solvent.models.returns import SIDES, price_fraction

PERIOD_HOURS = 24 * PERIOD_S // DAY_S
SILENT = {hourly.MISSING: "a feature is missing", hourly.DRIFTED: f"worse than {hourly.CHAMPION} of late"}
"""Notes of the hourly layer with which its own champion speaks: beside a venue the core does then."""
NO_MODEL = "the policy names no model"
LEARNT = "the model has learnt from this time"
STALE_HOUR = "no candle of the last hour"


class HourlyPredictor:
    """Predicts with the models that a policy names, from recorded candles and the venue's own hours after them.

    What it says within an hour follows from the candles that ended before that hour began, and from nothing else.
    """

    def __init__(self, models: Mapping[str, Model], candles: pl.DataFrame | None = None, level: float = LEVEL) -> None:
        """candles: hourly, of `read_candles`; later ones than a venue's time are not looked at.

        Raises SolventError for candles that are not hourly.
        """
        self.models, self.level = models, level
        self.marked = MarkedHours()
        self._recorded = {} if candles is None else _by_asset(candles, models)
        self._said: dict[str, dict[str, Prediction]] = {}

    def __call__(self, asset: str, side: str) -> Prediction:
        """Of the hour under way; the margin is NaN where nothing is predicted, and the note says why."""
        begins_ns = self.marked.last_ns // HOUR_NS * HOUR_NS
        said = self._said.get(asset)
        if said is None or said[side].ts_ns != begins_ns:
            said = self._said[asset] = self._predicted(asset, begins_ns)
        return said[side]

    def _predicted(self, asset: str, begins_ns: int) -> dict[str, Prediction]:
        """Both sides for the hour that begins."""
        if asset not in self.models:
            return _silent(begins_ns, NO_MODEL)
        model = self.models[asset]
        of = self.hours_before(asset, begins_ns)
        there = 0 if of is None else len(of) - 1
        if of is None or there < hourly.WARM_UP_HOURS:
            return _silent(begins_ns, f"{there:,} of {hourly.WARM_UP_HOURS:,} hours of candles", model)
        if begins_ns < model.kept.learnt_before_ns:
            return _silent(begins_ns, LEARNT, model)
        if of.ts_ns[-1] != begins_ns:
            return _silent(begins_ns, STALE_HOUR, model)
        margins, note = hourly.next_hour(of, self.level, model.kept)
        note = SILENT.get(note or "", note or "")
        spoken = note not in SILENT.values() and all(map(math.isfinite, margins))
        found: dict[str, Prediction] = {}
        for side, margin in zip(SIDES, margins, strict=True):
            period = price_fraction(margin * math.sqrt(PERIOD_HOURS), side) if spoken else math.nan
            found[side] = Prediction(period, begins_ns, HOUR_NS, model.blake2b, digest(of), note)
        return found

    def hours_before(self, asset: str, begins_ns: int) -> Hours | None:
        """Two years of hours that ended by `begins_ns`, then the one that is forecast; None without any.

        Recorded candles go first, the venue's own hours after their end; at the seam there is no return.
        """
        parts = [self.marked.candles(asset)]
        if asset in self._recorded:
            parts.append(self._recorded[asset])
        ended = pl.concat(parts).filter(pl.col("ts").dt.epoch("ns") + HOUR_NS <= begins_ns)
        return None if ended.is_empty() else hours(ended, asset, ahead=True).last(HOURS_MOST)


def _by_asset(candles: pl.DataFrame, models: Mapping[str, Model]) -> dict[str, pl.DataFrame]:
    there = [asset for asset in assets_of(candles) if asset in models]
    found = {asset: candles.filter(pl.col("asset") == asset).select(CANDLES) for asset in there}
    for asset, frame in found.items():
        hours(frame, asset)  # raises for candles that are not hourly
    return found


def _silent(begins_ns: int, why: str, model: Model | None = None) -> dict[str, Prediction]:
    blake2b = model.blake2b if model else ""
    return {side: Prediction(math.nan, begins_ns, HOUR_NS, blake2b, note=why) for side in SIDES}


def digest(of: Hours) -> str:
    """BLAKE2b-256 of the candles that a prediction was made from: times, then prices, as they lie in memory."""
    found = hashlib.blake2b(of.asset.encode(), digest_size=32)
    for column in (of.ts_ns[:-1], of.open[:-1], of.high[:-1], of.low[:-1], of.close[:-1]):
        found.update(np.ascontiguousarray(column).astype("<i8" if column.dtype.kind == "i" else "<f8").tobytes())
    return found.hexdigest()


def predictor_of(policy: Policy, folder: str | Path | None, history: str | Path | None) -> HourlyPredictor | None:
    """The predictor of the models that a policy names; None where it names none. Raises SolventError."""
    if policy.rule != RULE:
        return None
    models = models_of(policy, None if folder is None else Path(folder))
    if not models:
        return None
    return HourlyPredictor(models, None if history is None else read_candles(history))


def predictions_hold(journal: Journal, evidence: Evidence, predictor: HourlyPredictor) -> bool:
    """Whether a fresh predictor says of the journal's own marks what some evidence says that was predicted."""
    said = {(row.asset, row.side): row.forecast for row in evidence.rows if row.forecast is not None}
    ends = {forecast.ts_ns for forecast in said.values()}
    if len(ends) != 1:
        return not ends
    (begins_ns,) = ends
    for mark in past_marks(journal):
        predictor.marked.add(mark.ts_ns, mark.instruments, mark.quotes)
        if mark.ts_ns >= begins_ns:
            break
    return all(predictor(asset, side).forecast() == forecast for (asset, side), forecast in said.items())
