"""Predictions beside a venue: marked hours, model files, who speaks when, and evidence that can be made again."""

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.engine.adaptive_desk import AdaptiveDesk, evidence
from tests.engine.desk import START_NS
from tests.models.hourly_market import made_candles

from solvent.domain import events as e
from solvent.domain.adaptive import Evidence, Forecast
from solvent.domain.commands import Quote
from solvent.domain.policy import Policy
from solvent.domain.symbols import instrument
from solvent.engine.adaptive import model_files
from solvent.engine.adaptive.marked_hours import SLOT_NS, MarkedHours
from solvent.engine.adaptive.model_files import Model
from solvent.engine.adaptive.past import past_marks
from solvent.engine.adaptive.predictions import (
    LEARNT,
    NO_MODEL,
    SILENT,
    STALE_HOUR,
    HourlyPredictor,
    predictions_hold,
    predictor_of,
)
from solvent.engine.adaptive.proposer import OTHER_MODEL, Sight, TailProposer
from solvent.engine.adaptive.runner import Adapter
from solvent.engine.files import read_policy
from solvent.engine.sources.tick import SourcePrice, Tick
from solvent.engine.venue import VenueOptions, open_venue
from solvent.errors import SolventError
from solvent.models import hourly
from solvent.models.hours import HOUR_NS, hours
from solvent.models.ranges import parkinson

pytest.importorskip("lightgbm", reason="needs the extra `models`")

COUNT = hourly.WARM_UP_HOURS + hourly.HELD_OUT_HOURS + 1
BTC = instrument("BTC")
MODEL = "fhs-ewma-97"


def marked(path: Any, begins_ns: int = 0, step_ns: int = SLOT_NS, hours: MarkedHours | None = None) -> MarkedHours:
    """Marks of BTC at these prices, evenly in time."""
    found = hours or MarkedHours()
    for k, ticks in enumerate(path):
        found.add(begins_ns + k * step_ns, [BTC], {0: Quote(0, int(ticks))})
    return found


# ---- hours of the venue's own marks


def test_an_hour_that_is_over_and_was_watched_has_a_candle() -> None:
    path = [1_000_000 + 100 * (k % 5) for k in range(24)]
    found = marked(path)
    assert len(found.candles("BTC")) == 1, "the second hour is not over"
    found.add(2 * HOUR_NS, [BTC], {0: Quote(0, 1_000_000)})
    candles = found.candles("BTC")
    assert candles["ts"].dt.epoch("ns").to_list() == [0, HOUR_NS]
    assert candles["close"].to_list() == [path[11], path[23]]
    assert candles["open"].to_list() == [path[0], path[11]], "an hour opens where the one before closed"
    assert found.candles("ETH").is_empty()
    assert len(hours(candles, "BTC")) == 2


def test_an_hour_with_five_minutes_unwatched_has_none() -> None:
    found = MarkedHours()
    for k in (each for each in range(25) if each != 7):
        found.add(k * SLOT_NS, [BTC], {0: Quote(0, 1_000_000)})
    assert found.candles("BTC")["ts"].dt.epoch("ns").to_list() == [HOUR_NS]


def test_prices_in_doubt_and_dollars_are_left_out() -> None:
    found = MarkedHours()
    for k in range(13):
        found.add(
            k * SLOT_NS, [BTC, instrument("USDC")], {0: Quote(0, 1_000_000, state=k == 5), 1: Quote(1, 1_000_000)}
        )
    assert found.candles("BTC").is_empty()
    assert found.candles("USDC").is_empty()


@pytest.mark.parametrize("per_hour", [12, 60, 1_800])
def test_few_marks_and_many_say_the_same_about_volatility(per_hour: int) -> None:
    count = 400
    steps = np.random.default_rng(3).normal(0.0, 0.01 / math.sqrt(per_hour), per_hour * count)
    path = np.round(1e9 * np.exp(np.cumsum(steps)))
    step_ns = HOUR_NS // per_hour
    found = marked([*path, path[-1]], step_ns=step_ns).candles("BTC")
    variance = float(np.mean(parkinson(found["high"].to_numpy(), found["low"].to_numpy())))
    assert variance == pytest.approx(0.01**2, rel=0.12)


def test_the_past_is_forgotten_by_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solvent.engine.adaptive.marked_hours.HOURS_MOST", 5)
    found = marked([1_000_000] * (12 * 11 + 1)).candles("BTC")
    assert found["ts"].dt.epoch("ns").to_list() == [k * HOUR_NS for k in range(5, 11)]


# ---- model files


@pytest.fixture(scope="module")
def recorded() -> pl.DataFrame:
    """Hours that end soon after desks begin."""
    made = made_candles(COUNT)
    end_ns = (START_NS // HOUR_NS + 2) * HOUR_NS
    ts = pl.Series("ts", [end_ns - (COUNT - k) * HOUR_NS for k in range(COUNT)])
    return made.with_columns(pl.from_epoch(ts, "ns").dt.replace_time_zone("UTC"))


@pytest.fixture(scope="module")
def model(recorded: pl.DataFrame) -> Model:
    return model_files.trained(recorded, ("BTC",))["BTC"]


@pytest.fixture(scope="module")
def folder(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("models")
    model_files.write_models(found, {"BTC": model})
    return found


@pytest.fixture(scope="module")
def policy(model: Model) -> Policy:
    return model_files.with_models(read_policy("portfolio"), {"BTC": model})


def test_what_a_policy_names_is_read_back(policy: Policy, model: Model, folder: Path) -> None:
    assert model_files.models_of(policy, folder) == {"BTC": model}
    assert Policy.from_toml(model_files.policy_toml(policy)).digest() == policy.digest()
    assert model_files.models_of(read_policy("portfolio"), None) == {}


def test_a_file_with_another_hash_is_refused_with_both(policy: Policy, model: Model, tmp_path: Path) -> None:
    model_files.write_models(tmp_path, {"BTC": model})
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text().replace("leaf_value=", "leaf_value= ", 1))
    changed = model_files.boosting.digest(path.read_text())
    with pytest.raises(SolventError, match=f"{changed}.*{model.blake2b}"):
        model_files.models_of(policy, tmp_path)
    with pytest.raises(SolventError, match="--models"):
        model_files.models_of(policy, None)
    path.unlink()
    with pytest.raises(SolventError, match="missing"):
        model_files.models_of(policy, tmp_path)


def test_a_venue_with_another_file_does_not_begin(policy: Policy, tmp_path: Path) -> None:
    (tmp_path / "named.toml").write_text(model_files.policy_toml(policy))
    store = tmp_path / "venue.journal"
    with pytest.raises(SolventError, match="missing"):
        open_venue(VenueOptions(store=str(store), policy=str(tmp_path / "named.toml"), accounts=10, adaptive_every=12))
    assert not store.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"models": "folder"}, "--adaptive too"),
        ({"history": "file"}, "--adaptive too"),
        ({"models": "folder", "adaptive_every": 12}, r"\[margin.prediction.ASSET\]"),
    ],
)
def test_models_without_a_use_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SolventError, match=said):
        open_venue(VenueOptions(accounts=10, **options))


# ---- who speaks


def after(recorded: pl.DataFrame) -> int:
    """Time at which the recorded candles end."""
    return int(recorded["ts"].dt.epoch("ns")[-1]) + HOUR_NS


def spoken(predictor: HourlyPredictor, at_ns: int) -> Any:
    predictor.marked.last_ns = at_ns
    return predictor("BTC", "long")


def test_recorded_hours_make_a_prediction_of_the_next_one(recorded: pl.DataFrame, model: Model) -> None:
    end_ns = after(recorded)
    found = spoken(HourlyPredictor({"BTC": model}, recorded), end_ns + 1)
    frame = hourly.forecast(recorded, kept={"BTC": model.kept}, ahead=True)
    margin = frame.filter(pl.col("loss").is_null() & (pl.col("side") == "long"))["margin"][0]
    assert found.margin == pytest.approx(1.0 - math.exp(-margin * math.sqrt(24)))
    assert (found.ts_ns, found.model) == (end_ns, model.blake2b)
    assert len(found.data_digest) == 64


def test_the_venue_s_own_hours_go_on_where_recorded_ones_end(recorded: pl.DataFrame, model: Model) -> None:
    predictor = HourlyPredictor({"BTC": model}, recorded)
    path = np.round(1e6 * np.exp(np.cumsum(np.random.default_rng(1).normal(0.0, 0.002, 12 * 30 + 1))))
    marked(path, after(recorded), hours=predictor.marked)
    found = predictor("BTC", "short")
    assert found.ts_ns == after(recorded) + 30 * HOUR_NS
    of = predictor.hours_before("BTC", found.ts_ns)
    assert of is not None
    assert of.close[-31] == path[11]
    assert math.isnan(of.returns[-31]), "no return at the seam"
    assert np.isfinite(of.returns[-30:-1]).all()
    assert math.isfinite(found.margin)


def test_later_candles_of_a_file_are_not_looked_at(recorded: pl.DataFrame, model: Model) -> None:
    at_ns = after(recorded) - 100 * HOUR_NS
    whole = HourlyPredictor({"BTC": model}, recorded)
    cut = HourlyPredictor({"BTC": model}, recorded[:-100])
    assert spoken(whole, at_ns) == spoken(cut, at_ns)
    other = recorded.with_columns(close=pl.col("close") * 1.01, high=pl.col("high") * 1.01)
    assert spoken(HourlyPredictor({"BTC": model}, other), at_ns) != spoken(cut, at_ns), "the control"


@pytest.mark.parametrize(
    ("silent", "note"),
    [
        (lambda r, m: HourlyPredictor({}, r), NO_MODEL),
        (lambda r, m: HourlyPredictor({"BTC": m}), "0 of 5,760 hours of candles"),
        (lambda r, m: HourlyPredictor({"BTC": m}, r[-100:]), "100 of 5,760 hours of candles"),
        (lambda r, m: HourlyPredictor({"BTC": m}, r[:-1]), STALE_HOUR),
        (lambda r, m: HourlyPredictor({"BTC": Model(m.blake2b, unlearnt(m))}, r), LEARNT),
        (lambda r, m: HourlyPredictor({"BTC": m}, r.filter(~hole(r))), SILENT[hourly.MISSING]),
    ],
)
def test_silence_has_a_reason(recorded: pl.DataFrame, model: Model, silent: Any, note: str) -> None:
    found = spoken(silent(recorded, model), after(recorded))
    assert math.isnan(found.margin)
    assert found.note == note


def unlearnt(model: Model) -> hourly.Kept:
    return msgspec.structs.replace(model.kept, learnt_before_ns=2**62)


def hole(recorded: pl.DataFrame) -> pl.Expr:
    """Half a day is missing, so that means over a day are too."""
    return pl.int_range(pl.len()).is_between(len(recorded) - 14, len(recorded) - 3)


def test_drift_makes_it_silent(recorded: pl.DataFrame, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solvent.models.drift.trusted", lambda one, other: np.zeros(len(one), np.bool_))
    found = spoken(HourlyPredictor({"BTC": model}, recorded), after(recorded))
    assert math.isnan(found.margin)
    assert found.note == SILENT[hourly.DRIFTED]


def test_candles_of_half_hours_are_refused(recorded: pl.DataFrame, model: Model) -> None:
    half = recorded.with_columns(ts=pl.lit(recorded["ts"][0]) + (pl.col("ts") - recorded["ts"][0]) / 2)
    with pytest.raises(SolventError, match="candles of one hour"):
        HourlyPredictor({"BTC": model}, half)


# ---- a venue


class Venue:
    """An adaptive desk whose policy names a model, after recorded candles, marked every five minutes."""

    def __init__(self, policy: Policy, model: Model, recorded: pl.DataFrame) -> None:
        self.predictor = HourlyPredictor({"BTC": model}, recorded)
        self.desk = AdaptiveDesk(policy=policy)
        self.desk.now_ns = after(recorded)
        self.adapter = Adapter(self.desk.engine, 12, TailProposer(MODEL, self.predictor), self.predictor.marked)
        self.random = np.random.default_rng(2)

    def go(self, ticks: int, scale: float) -> list[e.Entry]:
        found: list[e.Entry] = []
        for _ in range(ticks):
            self.desk.now_ns += SLOT_NS
            for asset in ("BTC", "ETH"):
                self.desk.prices[asset] *= float(np.exp(self.random.normal(0, scale)))
            prices = tuple(SourcePrice(name, "venue", price) for name, price in self.desk.prices.items())
            tick = Tick(self.desk.now_ns, prices, dict(self.desk.volumes), {"BTC": 0.6, "ETH": 0.6})
            self.desk.engine.tick(self.adapter.before_tick(tick))
            found += self.adapter.after_tick()
        return found

    @property
    def latest(self) -> Evidence:
        assert isinstance(self.adapter.proposer, TailProposer)
        assert self.adapter.proposer.latest is not None
        return self.adapter.proposer.latest


def test_evidence_in_the_journal_names_the_model_and_can_be_made_again(
    policy: Policy, model: Model, recorded: pl.DataFrame
) -> None:
    venue = Venue(policy, model, recorded)
    events = [event for entry in venue.go(300, 0.01) for event in entry.events]
    proposals = [event for event in events if isinstance(event, e.PolicyProposed)]
    assert proposals
    assert not [event for event in events if isinstance(event, e.Refused)]
    rows = {(row.asset, row.side): row for row in venue.latest.rows}
    btc, eth = rows["BTC", "long"], rows["ETH", "long"]
    assert btc.forecast is not None
    assert btc.forecast.model == model.blake2b
    assert btc.prediction == max(btc.forecast.margin or 0.0, 0.75 * btc.core)
    assert eth.prediction is None
    assert eth.forecast == Forecast(btc.forecast.ts_ns, note=NO_MODEL)
    for event in proposals:
        assert predictions_hold(venue.desk.engine.journal, event.evidence, HourlyPredictor({"BTC": model}, recorded))
    other = recorded.with_columns(high=pl.col("high") * 1.001)
    assert not predictions_hold(
        venue.desk.engine.journal, proposals[-1].evidence, HourlyPredictor({"BTC": model}, other)
    ), "the control"


def test_a_venue_that_is_taken_up_again_says_the_same(policy: Policy, model: Model, recorded: pl.DataFrame) -> None:
    venue = Venue(policy, model, recorded)
    venue.go(60, 0.002)
    again = HourlyPredictor({"BTC": model}, recorded)
    Adapter(venue.desk.engine, 12, TailProposer(MODEL, again), again.marked)
    assert again.marked.candles("BTC").equals(venue.predictor.marked.candles("BTC"))
    assert again("BTC", "long") == venue.predictor("BTC", "long")


def test_the_journal_is_read_once(policy: Policy, model: Model, recorded: pl.DataFrame) -> None:
    venue = Venue(policy, model, recorded)
    venue.go(30, 0.002)
    journal = venue.desk.engine.journal
    reads: list[int] = []
    read = journal.read
    venue.desk.engine.journal = type("Counted", (), {"read": lambda self, start=0: reads.append(1) or read(start)})()
    predictor = HourlyPredictor({"BTC": model}, recorded)
    adapter = Adapter(venue.desk.engine, 12, TailProposer(MODEL, predictor), predictor.marked)
    assert reads == [1]
    assert adapter.history.closes("BTC") == venue.adapter.history.closes("BTC")
    day = venue.desk.now_ns
    assert adapter.volume.counted("BTC", day) == venue.adapter.volume.counted("BTC", day)
    assert len(list(past_marks(journal))) >= 30


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prediction": 0.5, "forecast": Forecast(0, "ff" * 32)}, "by the model of the policy"),
        ({"prediction": 0.5}, "by the model of the policy"),
        ({"prediction": 0.3, "core": 0.5}, "at least 0.375"),
    ],
)
def test_predictions_of_other_models_and_below_the_band_are_refused(
    policy: Policy, model: Model, row: dict[str, Any], said: str
) -> None:
    desk = AdaptiveDesk(policy=policy)
    named = {"forecast": Forecast(0, model.blake2b)} if "core" in row else {}
    refused = desk.propose(proof=evidence(0.5, ("BTC",), **row, **named), BTC=0.2)
    assert isinstance(refused, e.Refused)
    assert said in refused.reason
    good = evidence(0.5, ("BTC",), prediction=0.4, core=0.5, forecast=Forecast(0, model.blake2b))
    assert isinstance(desk.propose(proof=good, BTC=0.2), e.PolicyProposed)


def test_a_policy_of_another_rule_has_no_predictor() -> None:
    assert predictor_of(read_policy("dydx-v4"), None, None) is None


def test_a_sight_of_another_policy_silences_the_model(policy: Policy, model: Model, recorded: pl.DataFrame) -> None:
    venue = Venue(policy, model, recorded)
    venue.go(264, 0.002)
    assert venue.latest.rows[0].forecast is not None
    assert venue.latest.rows[0].forecast.margin is not None
    sight = venue.adapter._sight
    assert isinstance(sight, Sight)
    proposer = venue.adapter.proposer
    assert isinstance(proposer, TailProposer)
    plain = proposer.evidence(venue.adapter.history, sight._replace(policy=read_policy("portfolio")))
    assert plain is not None
    assert plain.rows[0].prediction is None
    assert plain.rows[0].forecast is not None
    assert plain.rows[0].forecast.note == OTHER_MODEL
