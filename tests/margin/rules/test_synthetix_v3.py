"""Synthetix v3: the protocol's cases; ratios that grow with the share of the market."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.margin.rules.synthetix_v3 import MarketParams, Position, account, fill_price, position_margins

PARAMS = MarketParams(100.0, 2.0, 0.01, 0.5, position_margin_min_usd=10.0)


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "synthetix_vega", "snx_account"))


def test_the_maintenance_margin_is_what_the_protocol_implies() -> None:
    flat = MarketParams(100.0, 2.0, 0.01, 0.5)
    assert position_margins(-1.0, 30_000.0, flat) == pytest.approx((900.0, 450.0))


@given(st.floats(-50, 50), st.floats(1, 1e5))
def test_maintenance_is_below_initial_and_both_above_the_flat_minimum(size: float, price: float) -> None:
    initial, maintenance = position_margins(size, price, PARAMS)
    assert initial >= maintenance >= 10.0


@given(st.floats(-50, 50), st.floats(-50, 50))
def test_trading_against_the_skew_is_cheaper(size: float, skew: float) -> None:
    premium = (fill_price(size, skew, 100.0, 1_000.0) - 100.0) * size
    worse = (fill_price(size, skew + abs(skew) * (1 if size > 0 else -1), 100.0, 1_000.0) - 100.0) * size
    assert worse >= premium - 1e-9


def test_the_breach_is_strict_and_needs_positions() -> None:
    position = Position("ETH", 1.0, 100.0, PARAMS)
    needed = position_margins(1.0, 100.0, PARAMS)[1]
    prices = {"ETH": 100.0}
    assert not account(needed, [position], prices).is_liquidatable
    assert account(needed, [position], prices, liquidation_rewards_usd=0.01).is_liquidatable
    assert not account(-1.0, [], {}).is_liquidatable


@given(st.floats(0, 1e4), st.floats(0, 1e4))
def test_collateral_never_hurts(collateral: float, more: float) -> None:
    position = Position("ETH", -3.0, 110.0, PARAMS, funding_usd=-5.0)
    poor, rich = (account(x, [position], {"ETH": 120.0}) for x in (collateral, collateral + more))
    assert rich.available_margin >= poor.available_margin
    assert not (rich.is_liquidatable and not poor.is_liquidatable)
