"""Depth and the cost of a sale: the worse of book and square-root law, more for more."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.models.liquidity.depth import DEPTH_HAIRCUT_STRESS, depth_usd, sale_cost_usd

PRICES, SIZES, MID = [99.0, 98.0, 90.0], [10.0, 10.0, 100.0], 100.0


def test_depth_counts_what_is_near() -> None:
    assert depth_usd(PRICES, SIZES, MID, 0.02) == pytest.approx(990 + 980)
    assert depth_usd(PRICES, SIZES, MID, 0.001) == 0.0


def test_a_walk_by_hand() -> None:
    """Half of each level is trusted: 5 at 99, 5 at 98, the rest at 90."""
    cost = sale_cost_usd([5.0, 10.0, 20.0], MID, PRICES, SIZES, 0.0, 1e9)
    assert cost == pytest.approx([5.0, 15.0, 115.0])


def test_beyond_the_book_the_last_price_is_paid() -> None:
    assert float(sale_cost_usd(70.0, MID, PRICES, SIZES, 0.0, 1e9)) == pytest.approx(5 + 10 + 50 * 10 + 10 * 10)
    assert float(sale_cost_usd(1.0, MID, [], [], 0.04, 1e4)) == pytest.approx(0.8 * 0.04 * 0.1 * 100.0)


@given(st.floats(0.01, 1e3), st.floats(1.0, 3.0))
def test_more_costs_more_a_unit_and_stress_costs_more(quantity: float, times: float) -> None:
    one, many = sale_cost_usd([quantity, times * quantity], MID, PRICES, SIZES, 0.04, 1e6)
    assert many / (times * quantity) >= one / quantity - 1e-9
    stressed = sale_cost_usd(quantity, MID, PRICES, SIZES, 0.04, 1e6, DEPTH_HAIRCUT_STRESS)
    assert float(stressed) >= one - 1e-9


def test_a_hundred_bitcoin_into_the_book_of_august_2024(shared: Path) -> None:
    """What the file's own depth columns hold is found from its levels; a sale of more costs more."""
    levels = pl.read_parquet(shared / "data" / "liquidity" / "book_levels_10s_2024_08.parquet")
    wanted = (pl.col("asset") == "BTC") & (pl.col("market") == "spot")
    first = levels.filter(wanted)["ts"].min()
    sides = {
        side: levels.filter(wanted & (pl.col("ts") == first) & (pl.col("side") == side)).sort("level")
        for side in ("bid", "ask")
    }
    mid = float(np.mean([side["price"][0] for side in sides.values()]))
    bids = sides["bid"]["price"].to_numpy(), sides["bid"]["size"].to_numpy()
    near, all_ = depth_usd(*bids, mid, 0.0005), depth_usd(*bids, mid, 0.5)
    assert 0 < near <= all_ == pytest.approx(float(np.sum(bids[0] * bids[1])))
    cost = sale_cost_usd([1.0, 100.0], mid, *bids, 0.03, 2e10)
    assert 0 < cost[0] < cost[1] / 100
