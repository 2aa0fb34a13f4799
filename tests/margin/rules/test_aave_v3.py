"""Aave v3's health factor."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.conform.vectors import faults, report_of

from solvent.margin.rules.aave_v3 import (
    Collateral,
    Debt,
    account_health_factor_e18_down,
    collateral_base_down,
    debt_base_up,
    health_factor_e18_down,
    is_liquidatable,
)
from solvent.pools.fixed_point import BPS, UINT256_MAX, WAD

amounts = st.integers(0, 10**30)
prices = st.integers(1, 10**16)
units = st.sampled_from([1, 10**6, 10**18])
thresholds = st.integers(0, BPS)


def test_reference_vectors(shared: Path) -> None:
    report = report_of(shared, "aave_v3")
    assert len(report.rows) >= 14
    assert faults(report) == []


@given(amounts, prices, units)
def test_collateral_rounds_down_and_debt_up(amount: int, price: int, unit: int) -> None:
    down, up = collateral_base_down(amount, price, unit), debt_base_up(amount, price, unit)
    assert down * unit <= amount * price <= up * unit
    assert up - down == (amount * price % unit != 0)


@given(amounts, amounts, prices, units, thresholds, st.integers(1, 10**30))
def test_more_collateral_never_lowers_health(
    amount: int, more: int, price: int, unit: int, threshold: int, debt: int
) -> None:
    debts = [Debt(debt, 10**8, 10**6)]
    before = account_health_factor_e18_down([Collateral(amount, price, unit, threshold)], debts)
    after = account_health_factor_e18_down([Collateral(amount + more, price, unit, threshold)], debts)
    assert after >= before


@given(st.integers(0, 10**30), st.integers(1, 10**30))
def test_liquidatable_exactly_when_weighted_collateral_is_below_debt(collateral: int, debt: int) -> None:
    assert is_liquidatable(health_factor_e18_down(collateral * BPS, debt)) == (collateral < debt)


def test_without_debt_health_is_the_largest_integer() -> None:
    assert account_health_factor_e18_down([Collateral(1, 1, 1, BPS)], []) == UINT256_MAX


def test_health_of_one_is_healthy() -> None:
    assert not is_liquidatable(WAD)
    assert is_liquidatable(WAD - 1)
