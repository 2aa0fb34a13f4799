"""Euler v2's risk-adjusted liquidity."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.conform.vectors import faults, report_of

from solvent.margin.rules.euler_v2 import (
    Collateral,
    Holding,
    adjusted_value_down,
    health_e18_down,
    is_liquidatable,
    liquidation_ltv_bps_down,
    value_down,
)
from solvent.pools.fixed_point import BPS, WAD

holdings = st.lists(
    st.builds(Holding, st.integers(0, 10**30), st.integers(0, 10**30), st.integers(0, BPS)), max_size=10
)


def test_reference_vectors(shared: Path) -> None:
    report = report_of(shared, "euler_vault_kit")
    assert len(report.rows) >= 12
    assert faults(report) == []


@given(holdings)
def test_adjusted_value_is_at_most_the_value(rows: list[Holding]) -> None:
    assert 0 <= adjusted_value_down(rows) <= sum(value_down(row.amount, row.price_e18) for row in rows)


@given(holdings, st.integers(1, 10**40))
def test_equality_is_liquidatable_and_health_agrees(rows: list[Holding], liability: int) -> None:
    adjusted = adjusted_value_down(rows)
    assert is_liquidatable(liability, liability)
    if health_e18_down(adjusted, liability) < WAD:
        assert is_liquidatable(adjusted, liability)


@given(st.integers(0, BPS), st.integers(0, BPS), st.integers(1, 10**7), st.integers(0, 10**7))
def test_an_ltv_falls_along_the_ramp_and_rises_at_once(initial: int, target: int, duration: int, passed: int) -> None:
    ramp = Collateral(0, target, initial, ramp_end_s=duration, ramp_duration_s=duration)
    now = liquidation_ltv_bps_down(ramp, passed)
    assert now >= target
    assert now <= max(initial, target)
    assert liquidation_ltv_bps_down(ramp, passed + 1) <= now
    assert liquidation_ltv_bps_down(ramp, 0) == max(initial, target)
    assert liquidation_ltv_bps_down(ramp, duration) == target
