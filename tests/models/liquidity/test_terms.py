"""Horizons, optimal sizes, concentration, tiers and the margin that they make up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.models.liquidity.concentration import concentration_add_on, concentration_multiplier
from solvent.models.liquidity.horizon import liquidation_days, optimal_days, slice_factor
from solvent.models.liquidity.margin import Position, maintenance_margin, margin_terms, total
from solvent.models.liquidity.sizes import (
    constant_product_profit,
    constant_product_size,
    square_root_profit_usd,
    square_root_size,
)
from solvent.models.liquidity.tiers import PERIOD_DAYS, herfindahl, liquidity_score

SIZES = st.floats(0.0, 1e12)


def test_equal_slices_by_their_own_sum() -> None:
    """A position sold in n daily slices holds (n, n - 1, ..., 1) / n: the factor is the root of the squares' sum."""
    for n in (1, 2, 7, 30):
        held = np.arange(1, n + 1) / n
        assert float(slice_factor(n)) == pytest.approx(np.sqrt(held @ held))
    assert float(slice_factor(10)) == pytest.approx(1.962142, abs=1e-6)
    assert float(slice_factor(10)) < np.sqrt(10)
    assert float(slice_factor(10, delay_days=2.0)) == pytest.approx(np.sqrt(2 + 1.962142**2), abs=1e-5)


def test_how_long_a_sale_takes() -> None:
    assert liquidation_days([0.0, 1e6, 5e7], 1e8).tolist() == [1.0, 1.0, 5.0]
    assert float(liquidation_days(5e7, 1e8, participation=0.05)) == 10.0
    assert float(liquidation_days(1.0, 0.0)) == np.inf
    assert float(liquidation_days(1.0, np.nan)) == np.inf
    assert float(slice_factor(np.inf)) == np.inf


@given(st.floats(1e5, 1e9), st.floats(1.0, 4.0))
def test_the_optimal_horizon_is_a_minimum(size: float, quantile: float) -> None:
    volume, sigma, factor = 1e8, 0.04, 0.8

    def cost(days: float) -> float:
        return float(quantile * sigma * np.sqrt(days / 3) + factor * sigma * np.sqrt(size / (volume * days)))

    best = float(optimal_days(size, volume, quantile, factor))
    assert cost(best) <= min(cost(best * 0.9), cost(best * 1.1))


@given(st.floats(0.005, 0.3), st.floats(0.005, 0.2), st.floats(0.5, 2.0))
def test_no_other_liquidation_earns_more(bonus: float, sigma: float, other: float) -> None:
    best = square_root_size(sigma, 1e8, bonus)
    assert best.profit_usd >= square_root_profit_usd(best.repay_usd * other, sigma, 1e8, bonus) - 1e-6
    assert best.profit_usd == pytest.approx(bonus * best.repay_usd / 3)
    pool = constant_product_size(1e7, bonus)
    assert pool.profit >= constant_product_profit(pool.seized * other, 1e7, bonus) - 1e-6
    assert pool.repay * (1 + bonus) == pytest.approx(pool.seized)


def test_without_a_bonus_nobody_liquidates() -> None:
    assert square_root_size(0.04, 1e8, 0.0) == (0.0, 0.0)
    assert constant_product_size(1e7, 0.0) == (0.0, 0.0, 0.0)
    assert square_root_size(0.0, 1e8, 0.05).repay_usd == np.inf


@given(SIZES, SIZES)
def test_concentration_is_free_below_a_tenth_and_never_falls(one: float, other: float) -> None:
    low, high = sorted((one, other))
    first, second = concentration_multiplier([low, high], 1e8)
    assert 1.0 <= first <= second
    assert (first == 1.0) == (low <= 1e7 * (1 + 1e-12)) or first - 1.0 < 1e-9


def test_concentration_is_continuous_and_knows_other_limits() -> None:
    edges = concentration_multiplier([1e7, 1e7 * (1 + 1e-9), 1e8, 1e8 * (1 + 1e-9)], 1e8)
    assert edges == pytest.approx([1, 1, np.sqrt(10), np.sqrt(10)], rel=1e-6)
    assert float(concentration_add_on(0.1, 1e6, 1e9)) == 0.0
    assert float(concentration_add_on(0.1, 1e6, 1e9, float_usd=1e7)) == pytest.approx(0.1 * (10 - 1))
    assert float(concentration_add_on(0.1, 1e6, 1e9, open_interest_usd=1e7)) == pytest.approx(0.1)


def test_a_margin_is_the_sum_of_named_terms() -> None:
    terms = margin_terms(0.10, Position(1e6, 1e9, 0.04, 0.001))
    assert [term.name for term in terms] == ["core", "horizon", "spread", "impact", "concentration", "wrong way"]
    by = {term.name: term.fraction for term in terms}
    assert by["core"] == 0.10
    assert [by[name] for name in ("horizon", "concentration", "wrong way")] == pytest.approx([0.0] * 3, abs=1e-15)
    assert by["spread"] == pytest.approx(0.0005)
    assert by["impact"] == pytest.approx(0.8 * 0.04 * np.sqrt(1e-3))
    assert total(terms) == pytest.approx(sum(by.values()))


@given(st.floats(0.01, 0.5), SIZES, SIZES, st.floats(0.0, 1.0))
def test_a_larger_position_never_needs_less(quantile: float, one: float, other: float, rho: float) -> None:
    low, high = (
        total(margin_terms(quantile, Position(size, 1e8, 0.05, 0.002, correlation_stress=rho)))
        for size in sorted((one, other))
    )
    assert quantile * (1 + rho) <= low <= high + 1e-9


def test_a_margin_period_above_the_sale_delays_it() -> None:
    one, two = (total(margin_terms(0.1, Position(1e5, 1e9, 0.04, 0.0, period_days=days))) for days in (1.0, 2.0))
    assert two - one == pytest.approx(0.1 * (np.sqrt(2) - 1))


def test_maintenance_has_the_floor_of_a_liquidation_and_the_cap_of_initial() -> None:
    assert maintenance_margin(0.10, 0.01, 0.02, 0.01) == pytest.approx(0.08)
    assert maintenance_margin(0.10, 0.05, 0.03, 0.01) == pytest.approx(0.09)
    assert maintenance_margin(0.10, 0.10, 0.05, 0.01) == 0.10


def test_a_score_needs_a_volume() -> None:
    rich = {"volume_usd_daily": 2e10, "spread": 1e-5, "amihud": 1e-13, "age_days": 4000.0, "herfindahl": 0.1}
    assert liquidity_score(rich).tier == 1
    assert liquidity_score(rich | {"volume_usd_daily": None}).tier == 4
    assert liquidity_score(rich | {"volume_usd_daily": float("nan")}).score == 0.0
    assert liquidity_score({"volume_usd_daily": 1e5}).tier == 4
    assert liquidity_score({"volume_usd_daily": 1e9, "spread": 0.0}).parts["spread"] == 1.0
    assert sorted(PERIOD_DAYS.values()) == list(PERIOD_DAYS.values())


@given(st.floats(1e3, 1e12), st.floats(1e3, 1e12))
def test_more_volume_never_scores_less(one: float, other: float) -> None:
    low, high = (liquidity_score({"volume_usd_daily": volume, "spread": 0.001}) for volume in sorted((one, other)))
    assert low.score <= high.score
    assert low.tier >= high.tier


def test_venues_are_counted_by_their_shares() -> None:
    assert herfindahl(np.array([1.0, 1.0, 1.0, 1.0])) == pytest.approx(0.25)
    assert herfindahl(np.array([5.0, 0.0])) == 1.0
    assert np.isnan(herfindahl(np.array([0.0])))
