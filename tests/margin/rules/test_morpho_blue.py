"""Morpho Blue's shares and loan-to-value test."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.conform.vectors import faults, report_of

from solvent.margin.rules.morpho_blue import (
    PRICE_SCALE,
    assets_down,
    assets_up,
    is_liquidatable,
    maximum_borrow_down,
    shares_down,
    shares_up,
)
from solvent.pools.fixed_point import WAD

totals = st.integers(0, 10**36)
amounts = st.integers(0, 10**36)


def test_reference_vectors(shared: Path) -> None:
    report = report_of(shared, "morpho_blue")
    assert len(report.rows) >= 7
    assert faults(report) == []


@given(amounts, totals, totals)
def test_roundings_bracket_each_other(amount: int, assets: int, shares: int) -> None:
    assert 0 <= assets_up(amount, assets, shares) - assets_down(amount, assets, shares) <= 1
    assert 0 <= shares_up(amount, assets, shares) - shares_down(amount, assets, shares) <= 1


@given(amounts, totals, totals)
def test_no_round_trip_gains(amount: int, assets: int, shares: int) -> None:
    assert assets_down(shares_down(amount, assets, shares), assets, shares) <= amount
    assert assets_up(shares_up(amount, assets, shares), assets, shares) >= amount


def test_a_first_share_cannot_be_inflated() -> None:
    """A donation of a million to one share takes at most 1e-6 of a later deposit of a million."""
    bought = shares_down(10**12, 10**12, 1)
    assert assets_down(bought, 2 * 10**12, 1 + bought) >= 10**12 * (1 - 2e-6)


@given(amounts, st.integers(1, 10**40), st.integers(1, WAD))
def test_the_maximum_borrow_is_healthy_and_one_more_is_not(collateral: int, price: int, lltv: int) -> None:
    most = maximum_borrow_down(collateral, price, lltv)
    assert most * PRICE_SCALE * WAD <= collateral * price * lltv
    assert not is_liquidatable(most, collateral, price, lltv)
    assert is_liquidatable(most + 1, collateral, price, lltv)
