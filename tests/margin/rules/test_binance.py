"""Binance: printed bracket amounts, cross liquidation prices with all other margin counted, uniMMR."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.margin.rules.binance import (
    BTCUSDT_BRACKETS,
    Holding,
    PortfolioParams,
    bracketed_liquidation_price,
    cross_liquidation_price,
    maintenance_margin,
    portfolio_state,
    unified_maintenance_ratio,
)


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "venues_published_examples", "tier_cumulative_deduction", "cross_liquidation_price"))


@given(st.floats(-50, 50), st.floats(0.02, 0.9), st.floats(0, 1e4))
def test_equity_meets_maintenance_at_the_answer(size: float, share: float, other: float) -> None:
    mark = 50_000.0
    assume(abs(size) > 1e-3)
    equity = abs(size) * mark * share + other
    assume(equity > maintenance_margin(abs(size) * mark, BTCUSDT_BRACKETS) + other)
    price = bracketed_liquidation_price(equity, size, mark, BTCUSDT_BRACKETS, other)
    assert price is not None
    required = maintenance_margin(abs(size) * price, BTCUSDT_BRACKETS) + other
    assert equity + size * (price - mark) == pytest.approx(required, rel=1e-9, abs=1e-5)
    assert (price - mark) * size < 0


def test_an_unleveraged_long_has_none() -> None:
    assert bracketed_liquidation_price(200_000.0, 1.0, 50_000.0, BTCUSDT_BRACKETS, 0.0) is None


def test_ignoring_other_positions_shows_too_much_room() -> None:
    with_others = cross_liquidation_price(5.0, 1.0, 100.0, 0.004, 4.0)
    assert with_others > cross_liquidation_price(5.0, 1.0, 100.0, 0.004, 0.0)


def test_debts_count_in_full() -> None:
    holdings = [Holding(1_000.0, 0.9), Holding(-100.0, 0.9)]
    assert unified_maintenance_ratio(holdings, 100.0) == pytest.approx(8.0)
    assert unified_maintenance_ratio([Holding(-1.0, 0.9)], 0.0) == float("-inf")
    assert unified_maintenance_ratio([], 0.0) == float("inf")


def test_levels() -> None:
    states = [portfolio_state(ratio, PortfolioParams()) for ratio in (1.05, 1.2, 1.5, 1.51)]
    assert states == ["liquidation", "blocked", "warning", "normal"]
