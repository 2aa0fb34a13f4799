"""Silo v2's loan-to-value test."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.conform.vectors import faults, report_of

from solvent.margin.rules.silo_v2 import is_liquidatable, ltv_e18_up
from solvent.pools.fixed_point import UINT256_MAX, WAD


def test_reference_vectors(shared: Path) -> None:
    report = report_of(shared, "silo_target_ltv", "silo_irm_v2")
    assert len(report.rows) >= 26
    assert faults(report) == []


@given(st.integers(0, 10**40), st.integers(1, 10**40))
def test_ltv_rounds_up(debt: int, collateral: int) -> None:
    ltv = ltv_e18_up(debt, collateral)
    assert (ltv - 1) * collateral < debt * WAD <= ltv * collateral


def test_debt_without_collateral_is_liquidatable_and_no_debt_never_is() -> None:
    assert ltv_e18_up(1, 0) == UINT256_MAX
    assert ltv_e18_up(0, 0) == 0
    assert not is_liquidatable(8 * WAD // 10, 8 * WAD // 10)
    assert is_liquidatable(8 * WAD // 10 + 1, 8 * WAD // 10)
