"""Paradex: printed examples; scenarios, floor and provisions of portfolio margin."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.margin.rules.paradex import (
    PortfolioParams,
    initial_margin_check,
    minimum_delta_requirement,
    portfolio_margins,
    scan_risk,
    split_deltas,
    vol_factor,
)

PARAMS = PortfolioParams()
FNS = ("initial_margin_check", "net_gross_hedged_delta", "min_delta_risk")


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "venues_published_examples", *FNS))


def test_there_are_24_scenarios() -> None:
    assert len(PARAMS.scenarios) == 24


@given(st.lists(st.floats(-100, 100), max_size=6))
def test_a_hedge_never_raises_the_floor_above_the_gross(deltas: list[float]) -> None:
    found = split_deltas(deltas)
    assert found.gross == pytest.approx(abs(found.net) + 2 * found.hedged, abs=1e-9)
    assert 0 <= minimum_delta_requirement(found, 100.0, PARAMS) <= 0.02 * found.gross * 100.0 + 1e-9


def test_losses_count_at_their_weight() -> None:
    profits = [0.0] * 24
    profits[0], profits[16] = -100.0, -500.0
    assert scan_risk(profits, PARAMS) == pytest.approx(120.0)
    assert scan_risk([5.0] * 24, PARAMS) == 0.0


def test_margins() -> None:
    assert portfolio_margins(100.0, 150.0, 10.0, 5.0, PARAMS) == (165.0, 90.0)


def test_vol_moves_more_near_expiry() -> None:
    assert vol_factor("up", 30.0, PARAMS) == pytest.approx(1.4)
    assert vol_factor("up", 1.0, PARAMS) == vol_factor("up", 0.1, PARAMS) > vol_factor("up", 5.0, PARAMS)
    assert vol_factor("none", 1.0, PARAMS) == 1.0
    assert 0.0 <= vol_factor("down", 1.0, PARAMS) < 1.0


@given(st.floats(0, 1e4), st.floats(-10, 10))
def test_an_order_at_the_mark_brings_no_profit(collateral: float, size: float) -> None:
    check = initial_margin_check(collateral, size, 100.0, 100.0, 0.1)
    assert check.account_value == collateral
    assert check.passes == (collateral >= abs(size) * 100.0 * 0.1)
