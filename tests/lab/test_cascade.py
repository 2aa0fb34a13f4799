"""Cascades: what each price liquidates is what the rule says at that price; moves end where the equation has them."""

import math

import numpy as np
import polars as pl
import pytest

from solvent.domain.book import Book
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.engine.files import read_policy
from solvent.errors import SolventError
from solvent.lab.cascade import (
    EDGES,
    STEP,
    Ladder,
    amplification,
    branching,
    cascade_frame,
    distance,
    heat_frame,
    kappa_of_volume,
    ladders,
    market_kappas,
    total_move,
    totals_frame,
)
from solvent.margin.rule import rule
from solvent.valuation.impact import impact_cost_usd
from solvent.valuation.shocks import shocked

PERPETUAL = "BTC/USDC:USDC"


@pytest.fixture(scope="module")
def market() -> Market:
    rows = [("BTC", 60000.0, 2e10), ("USDC", 1.0, None), (PERPETUAL, 60000.0, 1e10), ("ETH", 3000.0, None)]
    return Market.from_frame(pl.DataFrame(rows, ["instrument", "price", "volume_usd_daily"], orient="row"))


@pytest.fixture(scope="module")
def policy() -> Policy:
    return read_policy("portfolio")


def book_of(market: Market, *rows: tuple[str, str, float, float | None]) -> Book:
    frame = pl.DataFrame(rows, ["account", "instrument", "quantity", "entry_price"], orient="row")
    return Book.from_frame(frame, market.universe, market)


@pytest.fixture(scope="module")
def book(market: Market) -> Book:
    rows: list[tuple[str, str, float, float | None]] = []
    for i in range(20):
        rows += [(f"long {i}", "USDC", 15_000 + 1_500.0 * i, None), (f"long {i}", PERPETUAL, 1.0, 60000.0)]
    for i in range(10):
        rows += [(f"short {i}", "USDC", 20_000 + 3_000.0 * i, None), (f"short {i}", PERPETUAL, -1.0, 60000.0)]
    return book_of(market, *rows, ("cash", "USDC", 1000.0, None))


def test_accounts_up_to_a_bin_are_those_liquidatable_at_its_end(book: Book, market: Market, policy: Policy) -> None:
    for ladder in ladders(book, market, policy, "BTC"):
        assert int(ladder.accounts.sum()) > 5
        for k in (5, 20, 60, len(ladder.move) - 1):
            moved = shocked(market, {"BTC": 1 + float(ladder.move[k])})
            found = rule(policy.rule).prepare(moved.universe, moved, policy).assess(book)
            assert abs(int(ladder.accounts[: k + 1].sum()) - int(found.liquidatable.sum())) <= 1


def test_what_is_liquidated_is_the_position_at_that_price(book: Book, market: Market, policy: Policy) -> None:
    """One coin each: the bin's USD are its accounts times a price within the bin."""
    for ladder in ladders(book, market, policy, "BTC"):
        held = ladder.accounts > 0
        each = ladder.liquidated_usd[held] / ladder.accounts[held]
        far = 60000 * (1 + ladder.move[held])
        near = far * np.exp(STEP * (1 if ladder.direction == "down" else -1))
        assert (each >= np.minimum(near, far) * 0.999).all()
        assert (each <= np.maximum(near, far) * 1.001).all()


def test_a_share_of_the_position_scales_everything(book: Book, market: Market, policy: Policy) -> None:
    whole, half = ladders(book, market, policy, "BTC"), ladders(book, market, policy, "BTC", 0.5)
    for one, other in zip(whole, half, strict=True):
        assert other.liquidated_usd == pytest.approx(one.liquidated_usd / 2)
    with pytest.raises(SolventError, match="closed_share"):
        ladders(book, market, policy, "BTC", 0.0)


def test_who_is_liquidatable_now_stands_in_the_first_bin(market: Market, policy: Policy) -> None:
    late = book_of(market, ("late", "USDC", 2_000.0, None), ("late", PERPETUAL, 1.0, 60000.0))
    down, up = ladders(late, market, policy, "BTC")
    assert down.accounts[0] == 1
    assert int(up.accounts.sum()) == 0


def test_refused_accounts_and_untouched_assets_add_nothing(book: Book, market: Market) -> None:
    found = ladders(book, market, read_policy("aave-v3"), "BTC")  # it margins no perpetuals
    assert sum(int(each.accounts.sum()) for each in found) == 0


def ladder_of(density_usd: dict[int, float]) -> Ladder:
    sold = np.zeros(len(EDGES) - 1)
    for k, usd in density_usd.items():
        sold[k] = usd
    return Ladder("X", "down", np.exp(-EDGES[1:]) - 1, sold, (sold > 0).astype(np.int64))


def test_an_even_ladder_amplifies_as_the_first_order_says() -> None:
    """q everywhere the same: the total is s / (1 - R) exactly."""
    even = ladder_of(dict.fromkeys(range(len(EDGES) - 1), 1e6))
    kappa = 0.5 * STEP / 1e6  # R = 0.5
    end = total_move(even, kappa, 0.1)
    assert end.total == pytest.approx(0.1 * amplification(0.5), rel=1e-9)
    assert end.amplification == pytest.approx(2)
    assert end.liquidated_usd == pytest.approx(end.total / STEP * 1e6)
    assert math.isinf(total_move(even, 2.1 * kappa, 0.1).total)
    assert math.isnan(distance(even, kappa))
    assert distance(even, 2.1 * kappa) == pytest.approx(1 - math.exp(-STEP))


def test_a_gap_in_the_ladder_stops_a_cascade_that_its_top_would_not() -> None:
    wall = ladder_of({10: 1e6, 11: 1e6})
    kappa = 1.5 * STEP / 1e6
    end = total_move(wall, kappa, 0.105)
    assert end.total == pytest.approx(0.105 + 2e6 * kappa)
    assert end.liquidated_usd == 2e6
    assert distance(wall, kappa) == pytest.approx(1 - math.exp(-11 * STEP))
    assert total_move(wall, kappa, 0.05).total == 0.05


def test_frames_hold_what_the_ladders_do() -> None:
    ladder = ladder_of({3: 2e6, 9: 5e5})
    kappas = {"X": STEP / 1e6}
    frame = cascade_frame([ladder], kappas)
    assert frame["branching"][3] == pytest.approx(2.0)
    assert math.isinf(frame["amplification"][3])
    assert frame["amplification"][9] == pytest.approx(2.0)
    heat = heat_frame([ladder], kappas).filter(pl.col("liquidity") == 0.5)
    assert heat["branching"].to_list() == pytest.approx((2 * frame["branching"]).to_list())
    totals = totals_frame([ladder], kappas)
    assert totals["distance"].unique().to_list() == [pytest.approx(math.exp(-4 * STEP) - 1)]
    assert totals["shock"].to_list() == [-0.05, -0.1, -0.2, -0.3]
    assert (totals["total"] <= totals["shock"] + 1e-12).all()


def test_kappa_is_the_impact_of_a_hundredth_of_the_volume(market: Market) -> None:
    kappa = kappa_of_volume(1e9, 0.05, 0.8)
    assert kappa * 1e7 == pytest.approx(float(impact_cost_usd(1e7, 1e9, 0.05, 0.8)) / 1e7)
    found = market_kappas(market, ["BTC", "ETH"], 5e7)
    assert found["BTC"] == pytest.approx(kappa_of_volume(3e10))
    assert found["ETH"] == pytest.approx(kappa_of_volume(5e7))
    assert branching(2e-9, 1e8) == pytest.approx(0.2)
    assert math.isinf(amplification(1.0))
