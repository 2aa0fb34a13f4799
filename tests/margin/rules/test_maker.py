"""Maker's vault test."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.conform.vectors import faults, report_of

from solvent.margin.rules.maker import collateral_ratio_ray_down, is_liquidatable, spot_ray_down
from solvent.pools.fixed_point import RAY, WAD

wads = st.integers(1, 10**27)
rays = st.integers(RAY // 10**6, RAY * 10**6)


def test_reference_vectors(shared: Path) -> None:
    report = report_of(shared, "maker_clip_dog", "maker_auction_curves")
    assert len(report.rows) >= 25
    assert faults(report) == []


@given(wads, rays, wads, st.integers(RAY, 2 * RAY), st.integers(RAY, 3 * RAY))
def test_a_vault_is_unsafe_below_its_liquidation_ratio(ink: int, price: int, art: int, rate: int, mat: int) -> None:
    if collateral_ratio_ray_down(ink, price, art, rate) < mat:
        assert is_liquidatable(ink, spot_ray_down(price, mat), art, rate)


def test_exactly_at_the_ratio_is_safe_and_a_price_of_0_stops_liquidation() -> None:
    spot = spot_ray_down(1500 * RAY, 15 * RAY // 10)
    assert spot == 1000 * RAY
    assert not is_liquidatable(WAD, spot, 1000 * WAD, RAY)
    assert is_liquidatable(WAD, spot, 1000 * WAD + 1, RAY)
    assert not is_liquidatable(WAD, 0, 1000 * WAD, RAY)
