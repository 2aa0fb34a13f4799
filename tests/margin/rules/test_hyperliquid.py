"""Hyperliquid: printed formulas and tiers, liquidation prices, portfolio margin."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.margin.rules.hyperliquid import (
    Borrowable,
    PerpetualParams,
    PortfolioParams,
    account_maintenance_margin,
    borrowable_amount,
    collateral_thresholds,
    initial_margin,
    liquidation_price,
    liquidation_threshold,
    maintenance_margin,
    portfolio_margin_ratio,
)

FNS = (
    "hyperliquid_maintenance_margin",
    "hyperliquid_liq_price",
    "hyperliquid_portfolio_margin_ratio",
    "hyperliquid_collateral_thresholds",
    "hyperliquid_borrowable",
)


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "venues_published_examples", *FNS))


@given(st.floats(0, 1e9))
def test_maintenance_is_half_of_initial_in_the_first_tier_and_more_beyond(notional: float) -> None:
    brackets = PerpetualParams().brackets
    found = maintenance_margin(notional, brackets)
    assert found == pytest.approx(account_maintenance_margin([(notional, brackets)]), rel=1e-12, abs=1e-9)
    assert found >= initial_margin(notional, 40.0) / 2 - 1e-6


@given(st.sampled_from([1, -1]), st.floats(1, 1000), st.floats(0.1, 100), st.floats(0.01, 0.9), st.floats(0.005, 0.1))
def test_at_the_liquidation_price_value_is_maintenance(
    side: int, price: float, size: float, share: float, rate: float
) -> None:
    value = size * price * (share + rate)  # account value above maintenance margin
    at = liquidation_price(price, side, value - size * price * rate, size, rate)
    assert value + side * size * (at - price) == pytest.approx(size * at * rate, rel=1e-9, abs=1e-9)


@given(st.floats(0, 1), st.floats(0, 1e6))
def test_thresholds_are_ordered(ltv: float, value: float) -> None:
    partial, full = collateral_thresholds(value, ltv)
    assert borrowable_amount(value, 1.0, ltv) <= partial + 1e-6
    assert partial <= full + 1e-6
    assert full <= value + 1e-6
    assert partial == pytest.approx(value * liquidation_threshold(ltv), abs=1e-6)


def test_no_liquidation_value_is_liquidatable() -> None:
    token = Borrowable(0.0, 1.0, -100.0, 1e6, 1e6, 0.5)
    assert portfolio_margin_ratio(0.0, token, PortfolioParams()).is_liquidatable


def test_the_trigger_is_strict() -> None:
    token = Borrowable(75.0, 1.0, 100.0, 0.0, 0.0, 0.5)
    found = portfolio_margin_ratio(0.0, token, PortfolioParams())
    assert found.ratio == pytest.approx(0.95)
    assert not portfolio_margin_ratio(0.0, token, PortfolioParams(trigger=found.ratio)).is_liquidatable
