"""The summary says of every model what its tests say; wrong models of each kind show in their own column."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from solvent.errors import SolventError
from solvent.models.backtests import coverage
from solvent.models.backtests.distributions import NORMAL
from solvent.models.backtests.scores import diebold_mariano, pinball
from solvent.models.backtests.summary import against, summarise

DAYS = 1500
START = datetime(2020, 1, 1, tzinfo=UTC)
PROMISED = {
    "observations", "exceptions", "exception_rate", "kupiec_p", "independence_p", "conditional_coverage_p", "dq_p",
    "traffic_light", "mean_margin", "mean_margin_at_equal_coverage", "worst_breach", "mean_shortfall_beyond",
    "peak_to_trough", "max_one_day_rise", "max_five_day_rise", "pinball", "fz0", "z2", "e_process",
}  # fmt: skip


def forecasts(factors: dict[str, float], with_shortfall: bool = True, bursts: bool = False) -> pl.DataFrame:
    """Normal losses of changing scale and models that state the true margin times a factor."""
    chance = np.random.default_rng(11)
    day = np.arange(DAYS)
    scale = 0.03 * (np.where(day % 250 < 10, 6.0, 1.0) if bursts else np.exp(0.4 * np.sin(day / 40.0)))
    losses = scale * chance.standard_normal(DAYS)
    ts = [START + timedelta(days=i) for i in range(DAYS)]
    return pl.concat(
        pl.DataFrame(
            {
                "ts": ts, "asset": "BTC", "side": "long", "model": name, "level": 0.99,
                "margin": factor * scale * float(NORMAL.quantile(0.01)),
                "shortfall": factor * scale * float(NORMAL.shortfall(0.01)) if with_shortfall else None,
                "loss": losses,
            },
            schema_overrides={"shortfall": pl.Float64},
        )
        for name, factor in factors.items()
    )  # fmt: skip


def row(frame: pl.DataFrame, model: str) -> dict[str, object]:
    return frame.row(by_predicate=pl.col("model") == model, named=True)


def test_a_right_model_passes_and_a_low_one_fails_everything_of_frequency_and_size() -> None:
    found = summarise(forecasts({"right": 1.0, "low": 0.6}))
    right, low = row(found, "right"), row(found, "low")
    assert set(found.columns) >= PROMISED
    for name in ("kupiec_p", "conditional_coverage_p"):
        assert right[name] > 0.05
        assert low[name] < 1e-4
    assert (right["traffic_light"], low["traffic_light"]) == ("green", "red")
    assert right["z2"] > -0.7 > low["z2"]
    assert right["e_process"] < 20.0 < low["e_process"]
    assert right["pinball"] < low["pinball"]
    assert right["fz0"] < low["fz0"]
    assert right["mean_margin_at_equal_coverage"] == pytest.approx(low["mean_margin_at_equal_coverage"])


def test_figures_are_those_of_the_tests() -> None:
    frame = forecasts({"right": 1.0})
    found = row(summarise(frame), "right")
    hit = coverage.hits(frame["loss"], frame["margin"])
    assert found["exceptions"] == int(hit.sum())
    assert found["kupiec_p"] == coverage.kupiec(DAYS, int(hit.sum()), 0.01).p_value
    assert found["dq_p"] == coverage.dynamic_quantile(hit, frame["margin"], 0.01).p_value


def test_a_margin_that_never_moves_shows_in_the_tests_of_order() -> None:
    frame = forecasts({"still": 1.0}, bursts=True).with_columns(margin=pl.col("loss").quantile(0.99))
    found = row(summarise(frame), "still")
    assert found["kupiec_p"] > 0.5
    assert found["dq_p"] < 0.05
    assert found["peak_to_trough"] == 1.0


def test_order_of_rows_and_warm_up_change_nothing() -> None:
    frame = forecasts({"right": 1.0})
    warm_up = frame.head(20).with_columns(margin=pl.lit(None, pl.Float64), ts=pl.col("ts") - timedelta(days=100))
    nothing = frame.head(5).with_columns(margin=pl.lit(float("nan")), ts=pl.col("ts") - timedelta(days=50))
    shuffled = pl.concat([frame, warm_up, nothing]).sample(fraction=1.0, shuffle=True, seed=1)
    assert summarise(shuffled).equals(summarise(frame))


def test_without_shortfall_its_figures_are_null() -> None:
    missing = summarise(forecasts({"right": 1.0}).drop("shortfall"))
    null = summarise(forecasts({"right": 1.0}, with_shortfall=False))
    assert missing.equals(null)
    assert missing.select("fz0", "z2", "e_process_shortfall").row(0) == (None, None, None)
    assert missing["pinball"][0] > 0.0


def test_what_is_not_a_frame_of_forecasts_is_refused_with_all_that_is_missing() -> None:
    with pytest.raises(SolventError) as caught:
        summarise(pl.DataFrame({"ts": [1], "asset": ["BTC"], "loss": [0.1]}))
    assert {each.field for each in caught.value.problems} == {"side", "model", "level", "margin"}


def test_nothing_forecast_is_an_empty_summary() -> None:
    assert len(summarise(forecasts({"right": 1.0}).head(0))) == 0


def test_scores_against_a_benchmark_are_those_of_the_test() -> None:
    frame = forecasts({"right": 1.0, "low": 0.5})
    found = row(against(frame, "right"), "low")
    loss, right = frame.filter(pl.col("model") == "right")["loss"].to_numpy(), frame["margin"].to_numpy()[:DAYS]
    test = diebold_mariano(pinball(-loss, -0.5 * right, 0.01), pinball(-loss, -right, 0.01))
    assert found["pinball_t"] == pytest.approx(test.statistic)
    assert found["pinball_p"] < 0.01
    assert found["pinball_relative"] > 0.1
    assert found["fz0_difference"] > 0.0
    assert row(against(frame, "low"), "right")["pinball_t"] == pytest.approx(-test.statistic)


def test_scores_compare_only_what_both_forecast() -> None:
    frame = forecasts({"right": 1.0, "low": 0.5})
    later = frame.filter((pl.col("model") == "right") | (pl.col("ts") >= START + timedelta(days=1000)))
    assert row(against(later, "right"), "low")["observations"] == DAYS - 1000
    assert len(against(frame, "absent")) == 0
    assert against(frame.drop("shortfall"), "right")["fz0_t"].to_list() == [None]
