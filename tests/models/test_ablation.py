"""Ablation: a group that tells something is found, one that is noise is not, and both are judged on the same hours."""

import numpy as np
import polars as pl
import pytest
from tests.models.hourly_market import made_candles

from solvent.models import boosting
from solvent.models.ablation import ablation
from solvent.models.hourly import target
from solvent.models.hours import hours

pytest.importorskip("lightgbm", reason="needs the extra `models`")


@pytest.fixture(scope="module")
def changes() -> dict[tuple[str, str], dict[str, float]]:
    candles = made_candles(8_000, seed=5)
    of = hours(candles, "BTC")
    rng = np.random.default_rng(0)
    # What DVOL would be if it knew the next hour: what is stamped now may be used an hour later.
    oracle = candles.select("ts").with_columns(pl.Series("value", np.roll(target(of), -1)))
    noise = candles.select("ts").with_columns(pl.Series("value", rng.normal(size=len(candles))))
    series = {"dvol": oracle, "fear_greed": noise.with_columns(change_7=pl.col("value").diff(7)).drop_nulls()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boosting, "ROUNDS", 60)  # enough to tell knowledge from noise
        found = ablation(of, series, others=("implied", "fear_greed", "news"), every_months=3)
    return {(row["change"], row["group"]): row for row in found.to_dicts()}


def test_what_is_not_there_is_not_judged(changes: dict[tuple[str, str], dict[str, float]]) -> None:
    core = [("without", each) for each in ("volatility", "returns", "liquidity", "calendar")]
    assert list(changes) == [*core, ("with", "implied"), ("with", "fear_greed")]


def test_a_group_that_knows_the_answer_is_found(changes: dict[tuple[str, str], dict[str, float]]) -> None:
    row = changes["with", "implied"]
    assert row["r2_log_changed"] > 0.9 > row["r2_log_base"]
    assert row["dm_t"] < -3
    assert row["dm_qlike_t"] < -3


def test_noise_is_not(changes: dict[tuple[str, str], dict[str, float]]) -> None:
    row = changes["with", "fear_greed"]
    assert row["dm_qlike_t"] > -1.96
    assert abs(row["r2_log_changed"] - row["r2_log_base"]) < 0.01


def test_volatility_is_missed_most(changes: dict[tuple[str, str], dict[str, float]]) -> None:
    losses = {
        group: row["r2_log_base"] - row["r2_log_changed"]
        for (change, group), row in changes.items()
        if change == "without"
    }
    assert max(losses, key=lambda group: losses[group]) in ("volatility", "liquidity")
    assert changes["without", "volatility"]["dm_qlike_t"] > 1.96
