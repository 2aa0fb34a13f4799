"""Liquidators: optima against a grid, partial steps against the identities, auctions at their limits."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from solvent.lab import liquidator
from solvent.lab.liquidator import optimum_constant_product, optimum_square_root, partial_liquidation
from solvent.margin import admissibility


def test_no_other_repayment_pays_more() -> None:
    best = optimum_square_root(0.05, 1e9, 0.04, 0.8)
    sizes = np.linspace(0.01, 3, 2_000) * best.repay
    profits = 0.05 * sizes - 0.8 * 0.04 * sizes * np.sqrt(sizes / 1e9)
    assert profits.max() <= best.profit + 1e-6
    assert best.profit == pytest.approx(profits.max(), rel=1e-5)
    pool = optimum_constant_product(0.05, 1e6)
    seized = np.linspace(0.01, 3, 2_000) * pool.seized
    profits = 1e6 * seized / (1e6 + seized) - seized / 1.05
    assert pool.profit == pytest.approx(profits.max(), rel=1e-5)
    assert profits.max() <= pool.profit + 1e-6
    assert pool.seized == pytest.approx(pool.repay * 1.05)


def test_markets_without_depth_or_impact() -> None:
    assert optimum_constant_product(0.05, 0.0).profit == 0
    assert optimum_square_root(0.05, 0.0, 0.04).profit == 0
    assert math.isinf(optimum_square_root(0.05, 1e9, 0.0).profit)
    assert not liquidator.participates(optimum_constant_product(0.05, 1_000), gas=50)
    assert liquidator.participates(optimum_constant_product(0.05, 1_000_000), gas=50)


@given(
    st.integers(1, 10**6),
    st.integers(1, 10**6),
    st.fractions(0, 1),
    st.fractions(0, Fraction(1, 2)),
    st.fractions(0, 1),
)
def test_ltv_rises_exactly_in_the_toxic_region(
    collateral: int, debt: int, threshold: Fraction, bonus: Fraction, part: Fraction
) -> None:
    repay = part * min(Fraction(debt), collateral / (1 + bonus))
    assume(0 < repay < debt)
    assume(repay * (1 + bonus) < collateral)
    found = partial_liquidation(collateral, debt, threshold, bonus, repay)  # type: ignore[arg-type]
    assert (found.ltv_after > found.ltv_before) == found.is_toxic
    assert found.is_toxic == (found.ltv_before > admissibility.toxic_ltv(bonus))
    slope = repay * (found.health_before - threshold * (1 + bonus)) / (debt - repay)  # type: ignore[arg-type]
    assert found.health_change == slope


def test_what_is_left_over_decides_health_at_the_ends() -> None:
    whole = partial_liquidation(100, 80, 0.85, 0.05, 80)
    assert math.isinf(whole.health_after)
    assert partial_liquidation(100, 97, 0.8, 0.05, 97).ltv_after == math.inf
    assert liquidator.toxic_ltv(0.05) == pytest.approx(1 / 1.05)
    assert liquidator.toxic_ltv(0.05, 1.1) == pytest.approx(1 / 1.05 / 1.1)


def test_auctions_give_the_prize_away() -> None:
    assert liquidator.dissipated(100, 2) == 100
    assert liquidator.dissipated(100, 1) == 0
    assert liquidator.dissipated(100, 3, "all_pay") == 100
    shares = [liquidator.dissipated(100, n, "private_values") for n in (1, 2, 10, 10_000)]
    assert shares == sorted(shares)
    assert shares[1] == pytest.approx(100 / 3)
    assert shares[-1] > 99.9
    with pytest.raises(ValueError, match="first_price"):
        liquidator.dissipated(100, 2, "english")


def test_two_private_values_pay_what_simulated_second_prices_do() -> None:
    values = np.random.default_rng(1).random((200_000, 4))
    paid = float(np.sort(values, axis=1)[:, -2].mean())
    assert liquidator.dissipated(1.0, 4, "private_values") == pytest.approx(paid, abs=0.003)


def test_a_rising_bonus_stops_at_the_second_lowest_cost() -> None:
    assert [liquidator.rising_bonus(t, 0.01, 0.05, 100) for t in (-1, 0, 50, 100, 1e9)] == pytest.approx(
        [0.01, 0.01, 0.03, 0.05, 0.05]
    )
    assert liquidator.clearing_bonus([900, 300, 500], 10_000) == 0.05
    assert math.isinf(liquidator.clearing_bonus([300], 10_000))


def test_entry_and_latency() -> None:
    assert liquidator.entry_equilibrium(1_000_000, 0.2, 30_000) == 6
    # the mean gain of who may still step back when the price moves before the trade stands
    moves = np.random.default_rng(2).standard_normal(400_000) * 0.8 * math.sqrt(12 / 31_536_000)
    assert liquidator.latency_option(0.8, 12) == pytest.approx(float(np.maximum(moves, 0).mean()), rel=0.01)
