"""The hourly layer as a whole: what it forecasts, what governs it, and that no future is in it."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.hourly_market import made_candles

from solvent.errors import SolventError
from solvent.models import boosting, hourly
from solvent.models.backtests.summary import summarise
from solvent.models.hours import PRICES, hours
from solvent.models.walk_forward import FORECASTS

pytest.importorskip("lightgbm", reason="needs the extra `models`")

COUNT = hourly.WARM_UP_HOURS + 3_000
CANDLES = made_candles(COUNT)
FOLDER = Path(__file__).parents[3] / "shared" / "data" / "prices_intraday"
QUICK = (hourly.TEXTBOOK, hourly.CHAMPION, "har-hour-fhs", "boosting-fhs", "mean-fhs", hourly.GOVERNED)


@pytest.fixture(scope="module")
def forecasts() -> pl.DataFrame:
    return hourly.forecast(CANDLES, models=QUICK)


def test_the_frame_is_the_joint_one(forecasts: pl.DataFrame) -> None:
    assert dict(forecasts.schema) == dict(FORECASTS)
    assert len(forecasts) == len(QUICK) * 2 * 3_000
    assert forecasts.select(pl.col("margin", "shortfall", "loss").is_finite().all()).row(0) == (True, True, True)
    assert (forecasts["shortfall"] >= forecasts["margin"]).all()
    assert forecasts["ts"].min() == CANDLES["ts"][hourly.WARM_UP_HOURS]


def test_prediction_pays_where_there_is_something_to_predict(forecasts: pl.DataFrame) -> None:
    rows = {(row["model"], row["side"]): row for row in summarise(forecasts).to_dicts()}
    for side in ("long", "short"):
        governed, textbook = rows[hourly.GOVERNED, side], rows[hourly.TEXTBOOK, side]
        assert governed["pinball"] < textbook["pinball"]
        assert governed["kupiec_p"] > 0.05
        assert governed["independence_p"] > 0.05


def test_the_margin_is_never_below_three_quarters_of_the_core(forecasts: pl.DataFrame) -> None:
    both = {name: forecasts.filter(pl.col("model") == name) for name in (hourly.CHAMPION, hourly.GOVERNED)}
    share = both[hourly.GOVERNED]["margin"] / both[hourly.CHAMPION]["margin"]
    assert share.min() >= hourly.FLOOR - 1e-12
    assert share.max() > 1.25, "upward it may go further"


@pytest.mark.parametrize("model", QUICK)
def test_changing_the_future_changes_no_forecast(forecasts: pl.DataFrame, model: str) -> None:
    cut = hourly.WARM_UP_HOURS + 1_000
    after = pl.int_range(pl.len()) >= cut
    factor = pl.when(after).then(2.0 + pl.int_range(pl.len()) % 2).otherwise(1.0)
    other = CANDLES.with_columns(
        *(pl.col(name) * factor for name in PRICES), volume_usd=pl.when(after).then(1.0).otherwise("volume_usd")
    )
    found = hourly.forecast(other, models=(model,))
    until = pl.col("ts") <= CANDLES["ts"][cut]
    columns = ("ts", "side", "margin", "shortfall", "note")
    expected = forecasts.filter(pl.col("model") == model)
    assert found.filter(until).select(columns).equals(expected.filter(until).select(columns))
    assert not found.filter(~until).select(columns).equals(expected.filter(~until).select(columns)), "the control"


def test_missing_candles_give_the_core_and_say_so() -> None:
    gap = hourly.WARM_UP_HOURS + 2_000
    holed = CANDLES.filter(~pl.int_range(pl.len()).is_between(gap, gap + 9))
    found = hourly.forecast(holed, models=(hourly.CHAMPION, hourly.GOVERNED))
    first_back = found.filter(pl.col("ts") == CANDLES["ts"][gap + 11])
    core, governed = (first_back.filter(pl.col("model") == name) for name in (hourly.CHAMPION, hourly.GOVERNED))
    assert governed["note"].to_list() == [hourly.MISSING] * 2
    assert governed["margin"].to_list() == core["margin"].to_list()
    assert found.filter(pl.col("ts").is_between(CANDLES["ts"][gap], CANDLES["ts"][gap + 10])).is_empty()


def test_the_next_hour_can_be_asked_for() -> None:
    found = hourly.forecast(CANDLES, models=(hourly.CHAMPION,), ahead=True)
    ahead = found.filter(pl.col("loss").is_null())
    assert ahead["ts"].unique().to_list() == [CANDLES["ts"][-1] + pl.Series([3_600_000]).cast(pl.Duration("ms"))[0]]
    assert (ahead["margin"] > 0).all()


@pytest.fixture(scope="module")
def kept() -> hourly.Kept:
    """A model that has not seen the last 90 days."""
    return hourly.trained(CANDLES, "BTC")


def test_a_model_file_stands_for_the_monthly_fits(kept: hourly.Kept) -> None:
    found = hourly.forecast(CANDLES, models=("boosting-fhs", hourly.TEXTBOOK), kept={"BTC": kept})
    own = found.filter((pl.col("model") == "boosting-fhs") & pl.col("note").is_null())
    assert own["ts"].min() == CANDLES["ts"][COUNT - hourly.HELD_OUT_HOURS + hourly.RESIDUALS_LEAST]
    scores = {r["model"]: r["pinball"] for r in summarise(found.filter(pl.col("ts") >= own["ts"].min())).to_dicts()}
    assert scores["boosting-fhs"] < scores[hourly.TEXTBOOK]


def test_a_model_is_made_of_what_came_before_its_day_and_is_the_same_each_time(kept: hourly.Kept) -> None:
    first = COUNT - hourly.HELD_OUT_HOURS
    assert kept.learnt_before_ns == CANDLES["ts"].dt.epoch("ns")[first]
    later = pl.int_range(pl.len()) >= first
    changed = CANDLES.with_columns(*(pl.col(name) * pl.when(later).then(3.0).otherwise(1.0) for name in PRICES))
    assert hourly.trained(changed, "BTC") == kept
    earlier = CANDLES.with_columns(high=pl.col("high") * pl.when(later).then(1.0).otherwise(1.01))
    assert hourly.trained(earlier, "BTC") != kept, "the control"


def test_volume_is_no_part_of_a_kept_model(kept: hourly.Kept) -> None:
    assert hourly.trained(CANDLES.drop("volume_usd"), "BTC") == kept


def test_a_model_of_other_features_is_refused() -> None:
    rng = np.random.default_rng(0)
    other = hourly.Kept(boosting.fit(rng.normal(size=(1_000, 2)), rng.normal(size=1_000), ["moon", "tide"]), 0)
    with pytest.raises(SolventError, match=r"features = moon, tide: the frozen list"):
        hourly.forecast(CANDLES, models=("boosting-fhs",), kept={"BTC": other})


def test_too_short_a_history_trains_no_model() -> None:
    with pytest.raises(SolventError, match="more than 7920 hours, of which 2160 are held out"):
        hourly.trained(CANDLES[:7_920], "BTC")


def test_the_next_hour_is_the_last_row_of_the_frame(kept: hourly.Kept) -> None:
    frame = hourly.forecast(CANDLES, kept={"BTC": kept}, ahead=True).filter(pl.col("loss").is_null())
    found = hourly.next_hour(hours(CANDLES, "BTC", ahead=True), 0.99, kept)
    assert list(found.margins) == frame["margin"].to_list()
    assert found.note == frame["note"][0]


@given(seed=st.integers(0, 1_000), scale=st.floats(0.05, 5.0))
@settings(max_examples=25, deadline=None)
def test_whatever_is_predicted_the_floor_holds_and_nothing_missing_is_charged(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    core = np.sort(rng.uniform(0.01, 0.02, (500, 4)), axis=1)
    predicted = core * scale * np.exp(rng.normal(0.0, 0.3, (500, 1)))
    predicted[rng.random(500) < 0.1] = np.nan
    returns = rng.normal(0.0, 0.006, 500)
    margins = hourly.governed(core, predicted, returns, 0.99)
    assert (margins.values >= hourly.FLOOR * core - 1e-15).all()
    missing = np.isnan(predicted[:, 0])
    np.testing.assert_array_equal(margins.values[missing], core[missing])


@pytest.mark.parametrize(
    ("candles", "models", "said"),
    [
        pytest.param(CANDLES[:500], ("hourly",), "more than 5760 hours", id="short"),
        pytest.param(CANDLES, ("oracle",), "oracle: one of ewma-fhs", id="unknown-model"),
    ],
)
def test_what_cannot_be_forecast_is_named(candles: pl.DataFrame, models: tuple[str, ...], said: str) -> None:
    with pytest.raises(SolventError, match=said):
        hourly.forecast(candles, models=models)


@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the recorded candles in ../shared/data")
def test_recorded_hours_are_covered() -> None:
    candles = pl.read_parquet(FOLDER / "binance_perp_1h_2023_2024.parquet").filter(pl.col("asset") == "ETH")[:11_000]
    found = summarise(hourly.forecast(candles, models=(hourly.TEXTBOOK, hourly.GOVERNED)))
    cost = {(row["model"], row["side"]): row["mean_margin_at_equal_coverage"] for row in found.to_dicts()}
    for row in found.filter(pl.col("model") == hourly.GOVERNED).to_dicts():
        assert row["kupiec_p"] > 0.05
        assert row["conditional_coverage_p"] > 0.05
        assert cost[hourly.GOVERNED, row["side"]] < 0.95 * cost[hourly.TEXTBOOK, row["side"]]
