"""Gearbox v3's weighted value, thresholds on the move, and debt."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.conform.vectors import faults, report_of

from solvent.margin.rules.gearbox_v3 import (
    Threshold,
    interest_down,
    is_liquidatable,
    threshold_bps_down,
    total_debt,
    weighted_value_down,
)
from solvent.pools.fixed_point import BPS, RAY

points = st.integers(0, BPS)


def test_reference_vectors(shared: Path) -> None:
    report = report_of(shared, "gearbox_v3")
    assert len(report.rows) >= 9
    assert faults(report) == []


@given(points, points, st.integers(0, 10**9), st.integers(0, 10**7), st.integers(0, 2 * 10**9))
def test_a_threshold_stays_between_its_ends(initial: int, final: int, start: int, duration: int, now: int) -> None:
    moving = Threshold(initial, final, start, duration)
    found = threshold_bps_down(moving, now)
    assert min(initial, final) <= found <= max(initial, final)
    assert threshold_bps_down(moving, start + duration) == final
    if duration:
        assert threshold_bps_down(moving, start) == initial


def test_a_threshold_without_ramp_stays() -> None:
    assert threshold_bps_down(Threshold(9000, 0), 1_700_000_000) == 9000


@given(st.lists(st.tuples(st.integers(0, 10**30), points, st.integers(0, 10**30))))
def test_weighted_value_is_capped_by_quota(rows: list[tuple[int, int, int]]) -> None:
    assert weighted_value_down(rows) <= sum(min(value, quota) for value, _, quota in rows)


def test_interest_and_fees_are_part_of_debt() -> None:
    interest = interest_down(1000, RAY, RAY * 11 // 10)
    assert interest == 100
    assert total_debt(1000, interest, 5000) == 1150
    assert is_liquidatable(1149, 1150)
    assert not is_liquidatable(1150, 1150)
