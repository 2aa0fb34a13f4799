"""Aave v4's health factor."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.conform.vectors import faults, report_of

from solvent.margin.rules.aave_v4 import (
    collateral_value_down,
    debt_value_up,
    health_factor_e18_down,
    is_liquidatable,
)
from solvent.pools.fixed_point import BPS, UINT256_MAX, WAD

values = st.integers(0, 10**40)


def test_reference_vectors(shared: Path) -> None:
    report = report_of(shared, "aave_v4_target_hf")
    assert len(report.rows) >= 5
    assert faults(report) == []


@given(st.integers(0, 10**30), st.integers(1, 10**16), st.integers(1, 10**18))
def test_values_round_against_the_account(amount: int, price: int, unit: int) -> None:
    exact = amount * price * WAD
    assert collateral_value_down(amount, price, unit) * unit <= exact <= debt_value_up(amount, price, unit) * unit


@given(st.lists(st.tuples(values, st.integers(0, BPS))), st.integers(1, 10**40))
def test_liquidatable_exactly_when_weighted_value_is_below_debt(rows: list[tuple[int, int]], debt: int) -> None:
    weighted = sum(value * factor for value, factor in rows)
    assert is_liquidatable(health_factor_e18_down(rows, debt)) == (weighted < debt * BPS)


def test_without_debt_health_is_the_largest_integer() -> None:
    assert health_factor_e18_down([], 0) == UINT256_MAX
