"""Liquity's collateral ratios, with and without recovery mode."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.conform.vectors import faults, report_of

from solvent.margin.rules.liquity import Params, collateral_ratio_e18_down, is_liquidatable
from solvent.pools.fixed_point import UINT256_MAX, WAD

V1 = Params(has_recovery_mode=True)
V2 = Params()
PERCENT = WAD // 100


def test_reference_vectors(shared: Path) -> None:
    report = report_of(shared, "liquity_stability_pool")
    assert len(report.rows) >= 10
    assert faults(report) == []


@given(st.integers(0, 10**30), st.integers(1, 10**30), st.integers(1, 10**24))
def test_the_ratio_rounds_down(collateral: int, debt: int, price: int) -> None:
    ratio = collateral_ratio_e18_down(collateral, debt, price)
    assert ratio * debt <= collateral * price < (ratio + 1) * debt


def test_without_debt_the_ratio_is_the_largest_integer() -> None:
    assert collateral_ratio_e18_down(1, 0, 1) == UINT256_MAX


def test_the_minimum_ratio_itself_is_safe() -> None:
    assert not is_liquidatable(V2, 110 * PERCENT, 200 * PERCENT, 1, 10)
    assert is_liquidatable(V2, 110 * PERCENT - 1, 200 * PERCENT, 1, 10)


def test_recovery_mode_takes_troves_below_the_system_that_the_pool_covers() -> None:
    trove, system = 130 * PERCENT, 140 * PERCENT
    assert is_liquidatable(V1, trove, system, 10, 10)
    assert not is_liquidatable(V1, trove, system, 11, 10)
    assert not is_liquidatable(V1, trove, 151 * PERCENT, 10, 10)
    assert not is_liquidatable(V2, trove, system, 10, 10)
