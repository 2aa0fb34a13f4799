"""crvUSD's bands: prices, effective collateral, what bands yield, health."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conform.vectors import faults, report_of

from solvent.margin.rules.crvusd import (
    Band,
    Params,
    amm_price_e18_down,
    band_depth_down,
    band_stablecoin_down,
    debt_up,
    effective_collateral_down,
    health_e18_down,
    is_liquidatable,
    lower_price_e18_down,
    maximum_debt_down,
    stablecoin_down,
    upper_price_e18_down,
)
from solvent.pools.fixed_point import WAD

PARAMS = Params()
bands = st.integers(-200, 200)


def test_reference_vectors(shared: Path) -> None:
    report = report_of(shared, "crvusd_llamma")
    assert len(report.rows) >= 9
    assert faults(report) == []


@given(bands, st.integers(10, 1000))
def test_band_edges_fall_by_one_part_in_a(n: int, A: int) -> None:
    upper, lower = (edge(A, 3000 * WAD, n) for edge in (upper_price_e18_down, lower_price_e18_down))
    assert lower == upper_price_e18_down(A, 3000 * WAD, n + 1)
    assert abs(lower * A - upper * (A - 1)) <= A
    if n >= 0:
        assert upper * A**n <= 3000 * WAD * (A - 1) ** n < (upper + 1) * A**n


def test_a_band_beyond_the_range_of_the_contract_is_refused() -> None:
    with pytest.raises(ValueError, match="nearer to 0"):
        upper_price_e18_down(100, WAD, 10**9)


@given(bands)
def test_the_amm_price_meets_the_oracle_where_the_oracle_is_on_the_edge(n: int) -> None:
    edge = upper_price_e18_down(100, 3000 * WAD, n)
    assert abs(amm_price_e18_down(edge, edge) - edge) <= 1


@given(st.integers(10**12, 10**24), st.integers(4, 50), st.integers(0, WAD), st.integers(2, 1000))
def test_effective_collateral_is_below_collateral_and_falls_with_discount(
    collateral: int, count: int, discount: int, A: int
) -> None:
    effective = effective_collateral_down(collateral, count, discount, A)
    assert 0 <= effective <= collateral
    assert effective <= effective_collateral_down(collateral, count, discount // 2, A)
    assert effective <= effective_collateral_down(collateral, count, discount, A, dead_shares=0)


@given(st.integers(10**15, 10**22), st.integers(4, 50), st.integers(0, 50))
def test_untouched_bands_yield_what_effective_collateral_says(collateral: int, count: int, first: int) -> None:
    """With the oracle above all bands, x_down is effective collateral at the top price."""
    slices = [Band(first + k, 0, collateral // count) for k in range(count)]
    top = upper_price_e18_down(PARAMS.A, PARAMS.base_price_e18, first)
    effective = effective_collateral_down(collateral // count * count, count, 0, PARAMS.A, dead_shares=0)
    expected = maximum_debt_down(effective, top)
    assert abs(stablecoin_down(PARAMS, slices, top * 2) - expected) <= expected // 10**12 + 10**6


@given(st.integers(10**15, 10**22), st.integers(0, 20))
def test_a_sold_out_band_yields_its_stablecoin(x: int, n: int) -> None:
    oracle = lower_price_e18_down(PARAMS.A, PARAMS.base_price_e18, n) * 9 // 10
    found = band_stablecoin_down(PARAMS, Band(n, x, 0), oracle)
    assert abs(found - x) <= x // 10**12 + 10**6


@given(st.integers(10**15, 10**22), st.integers(0, 20), st.integers(1, 99))
def test_depth_of_a_full_band_at_its_upper_edge_is_its_collateral(y: int, n: int, part: int) -> None:
    upper = upper_price_e18_down(PARAMS.A, PARAMS.base_price_e18, n)
    assert abs(band_depth_down(PARAMS.A, 0, y, upper, upper) - y) <= y // 10**12 + 10
    inside = upper * (PARAMS.A * 100 - part) // (PARAMS.A * 100)
    assert band_stablecoin_down(PARAMS, Band(n, 0, y), inside) <= y * upper // WAD


def test_health_breaches_strictly_below_zero() -> None:
    assert health_e18_down(100, 94, 6 * WAD // 100) == 0
    assert not is_liquidatable(health_e18_down(100, 94, 6 * WAD // 100))
    assert is_liquidatable(health_e18_down(100, 95, 6 * WAD // 100))


def test_an_empty_band_yields_nothing_and_interest_rounds_up() -> None:
    assert band_stablecoin_down(PARAMS, Band(3, 0, 0), WAD) == 0
    assert debt_up(10, WAD + 1, WAD) == 11
