"""Volume, Amihud, Kyle's lambda: who counts, and what is unknown."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.models.liquidity.volume import amihud, amihud_daily, kyle_lambda, lower_volume

NAN = float("nan")


def test_the_lowest_source_counts_over_weeks() -> None:
    honest, inflated = np.full(40, 1e6), np.full(40, 5e6)
    assert lower_volume([honest, inflated]) == 1e6
    honest[-1] = 1e9
    assert lower_volume([honest, inflated]) == 1e6, "one busy day is no liquidity"


def test_a_source_with_few_days_does_not_count() -> None:
    few = np.full(40, NAN)
    few[-5:] = 10.0
    assert lower_volume([np.full(40, 1e6), few]) == 1e6
    assert np.isnan(lower_volume(few))
    assert np.isnan(lower_volume(np.full((2, 40), NAN)))


@given(st.lists(st.lists(st.floats(1.0, 1e12), min_size=28, max_size=28), min_size=1, max_size=4))
def test_one_more_source_never_raises_the_volume(sources: list[list[float]]) -> None:
    assert lower_volume(sources) <= lower_volume(sources[:1])


def test_days_without_volume_are_left_out_of_amihud() -> None:
    assert amihud([0.02, -0.01, 0.5], [1e6, 5e5, 0.0]) == pytest.approx(2e-8)
    assert amihud([0.02, NAN], [1e6, 1e6]) == pytest.approx(2e-8)
    assert np.isnan(amihud([0.02], [NAN]))
    assert np.isnan(amihud_daily([0.02], [0.0]))[0]


@given(st.floats(-1e-3, 1e-3), st.integers(0, 99))
def test_kyle_finds_the_slope_of_its_own_model(slope: float, seed: int) -> None:
    flow = np.random.default_rng(seed).normal(size=50)
    assert kyle_lambda(0.01 + slope * flow, flow) == pytest.approx(slope, abs=1e-12)
    assert np.isnan(kyle_lambda(flow, np.ones(50)))


def test_buying_lifted_the_price_in_august_2024(shared: Path) -> None:
    trades = pl.read_parquet(shared / "data" / "liquidity" / "trades_2024_08.parquet")
    trades = trades.filter((pl.col("asset") == "BTC") & (pl.col("market") == "spot")).sort("ts")
    side = pl.when(pl.col("taker_side") == "buy").then(1.0).otherwise(-1.0)
    bars = trades.group_by_dynamic("ts", every="10s").agg(
        pl.col("price").last(), (side * pl.col("size")).sum().alias("flow")
    )
    change, flow = np.diff(np.log(bars["price"].to_numpy())), bars["flow"].to_numpy()[1:]
    found = kyle_lambda(change, flow)
    assert 1e-5 < found < 1e-4, "a fraction of the price a coin bought"
    assert abs(kyle_lambda(change, np.roll(flow, 7))) < found / 2, "the control: flow of another time"
