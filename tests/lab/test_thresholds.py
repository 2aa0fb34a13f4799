"""Thresholds by simulation: the kernel on days that are known by hand, and what must hold of any curve."""

import math
from functools import cache

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from solvent.errors import SolventError
from solvent.lab import kernel_loans as kernel
from solvent.lab.liquidator import optimum_constant_product, optimum_square_root
from solvent.lab.paths import Bars
from solvent.lab.thresholds import TAILS, Setting, Threshold, borrowers, quantile_interval, simulate_threshold

F64 = NDArray[np.float64]
SMALL = Setting(paths=400, borrowers=60)


def day(
    path: list[float], debt: list[float], collateral: list[float], *, latency: int = 0, capacity: float = 1e12,
    gas: float = 0.0, law: int = kernel.SQUARE_ROOT, scale: float = 1e-9, size: float = 1e12, close_factor: float = 0.5,
) -> F64:  # fmt: skip
    """One path at threshold 0.8, bonus 0.05; by default a market without depth limits."""
    arguments = (0.8, 0.05, close_factor, 0.95, latency, capacity, gas, law, scale, size, 1.0)
    return np.asarray(kernel.run_paths(np.array([path]), np.array(debt), np.array(collateral), *arguments)[0])


def test_half_of_a_loan_just_below_health_one_is_repaid_at_the_bonus() -> None:
    out = day([1.0, 0.99], [80.0], [100.0])
    assert out[kernel.REPAID] == pytest.approx(40)
    assert out[kernel.SEIZED] == pytest.approx(42)
    assert out[kernel.KEEPERS] == pytest.approx(2, rel=1e-6)
    assert out[kernel.BAD_DEBT] == 0


def test_deep_under_water_all_is_seized_and_the_rest_is_bad_debt() -> None:
    out = day([1.0, 0.7], [80.0], [100.0])
    assert out[kernel.REPAID] == pytest.approx(70 / 1.05)
    assert out[kernel.BAD_DEBT] == pytest.approx(80 - 70 / 1.05)
    assert out[kernel.UNDERWATER] == 0  # what is written off is no longer there


def test_without_keepers_the_hole_at_the_end_is_bad_debt() -> None:
    out = day([1.0, 0.7, 0.75], [80.0], [100.0], capacity=0.0)
    assert out[kernel.REPAID] == 0
    assert out[kernel.BAD_DEBT] == pytest.approx(5)
    assert out[kernel.UNDERWATER] == 1
    assert day([1.0, 0.7, 0.9], [80.0], [100.0], capacity=0.0)[kernel.BAD_DEBT] == 0


def test_a_price_that_is_seen_late_liquidates_late() -> None:
    dip = [1.0, 0.99, 1.1, 1.1]
    assert day(dip, [80.0], [100.0])[kernel.REPAID] > 0
    assert day([1.0, 0.99, 0.99], [80.0], [100.0], latency=1)[kernel.REPAID] == pytest.approx(40)
    assert day([1.0, 0.99], [80.0], [100.0], latency=1)[kernel.REPAID] == 0
    # fallen further than the bonus since: nobody pays the oracle's price
    assert day([1.0, 0.99, 0.9], [80.0], [100.0], latency=1)[kernel.REPAID] == 0


def test_gas_above_the_bonus_keeps_keepers_away() -> None:
    assert day([1.0, 0.99], [80.0], [100.0], gas=2.1)[kernel.REPAID] == 0
    assert day([1.0, 0.99], [80.0], [100.0], gas=1.9)[kernel.REPAID] > 0


def test_keepers_sell_what_pays_best_in_a_thin_market() -> None:
    """As the closed forms say, in the unit of the repayment."""
    pool = optimum_constant_product(0.05, 1_000.0)
    out = day([1.0, 0.99], [8_000.0], [10_000.0], law=kernel.CONSTANT_PRODUCT, size=1_000.0)
    assert out[kernel.SEIZED] == pytest.approx(pool.seized)
    assert out[kernel.KEEPERS] == pytest.approx(pool.profit)
    book = optimum_square_root(1 - 1 / 1.05, 1_000.0, 0.04, 0.8)  # per USD seized the edge is 1 - 1 / 1.05
    out = day([1.0, 0.99], [8_000.0], [10_000.0], scale=0.032, size=1_000.0)
    assert out[kernel.SEIZED] == pytest.approx(book.repay)


def test_sales_move_the_price_that_others_are_judged_at() -> None:
    """A second borrower, safe at 0.99, is liquidated only because the first one's sale lowers the price."""
    debt, collateral = [80_000.0, 78.0], [100_000.0, 100.0]
    assert day([1.0, 0.99, 0.99], debt, collateral)[kernel.REPAID] == pytest.approx(40_000)
    assert day([1.0, 0.99, 0.99], debt, collateral, scale=0.02, size=4.2e4)[kernel.REPAID] == pytest.approx(40_039)


def test_capacity_bounds_each_step() -> None:
    out = day([1.0, 0.99, 0.99, 0.99], [80.0], [100.0], capacity=5.0)
    assert out[kernel.REPAID] <= 15 + 1e-9
    assert day([1.0, 0.99], [80.0], [100.0], capacity=5.0)[kernel.REPAID] == pytest.approx(5)


def history(scale: float = 0.006, n: int = 2_000) -> Bars:
    chance = np.random.default_rng(5)
    sigma = scale * np.where(np.arange(n) % 400 < 40, 4.0, 1.0)
    return Bars(sigma * chance.standard_t(5, n), sigma, np.full(n, 5e7), 3_600)


@cache
def found(**changes: float) -> Threshold:
    return simulate_threshold("X", history(), msgspec.structs.replace(SMALL, **changes))


def test_the_choice_passes_the_next_does_not_and_bounds_hold() -> None:
    result = found()
    assert 0.3 <= result.liquidation_threshold < result.toxic_bound
    assert result.liquidation_threshold <= result.latency_bound
    assert result.loan_to_value == pytest.approx(result.liquidation_threshold - result.cushion)
    assert result.cushion >= 0.03
    assert result.reasons
    curve = result.curve
    below = curve.filter(curve["liquidation_threshold"] <= result.liquidation_threshold + 1e-9)
    assert below["passes"].all()
    for level, most in TAILS:
        assert (below[f"bad_debt_{level * 100:.0f}_high"] < most).all()
    following = curve.filter(curve["liquidation_threshold"] > result.liquidation_threshold + 1e-9).head(1)
    assert not following["passes"][0] or following["liquidation_threshold"][0] > result.latency_bound


def test_bad_debt_rises_with_the_threshold() -> None:
    mean = found(vol_multiple=3.0).curve["bad_debt_mean"].to_numpy()
    assert mean[-1] > mean[0]
    assert (np.diff(mean) >= -1e-4).all()


def test_intervals_hold_their_figures_and_every_part_is_one() -> None:
    curve = found(vol_multiple=3.0).curve
    for name in ("bad_debt_mean", "bad_debt_95", "bad_debt_99"):
        assert (curve[f"{name}_low"] <= curve[name]).all()
        assert (curve[name] <= curve[f"{name}_high"]).all()
    for name in ("bad_debt_mean", "bad_debt_99", "bad_debt_chance", "underwater_99"):
        assert curve[name].is_between(0, 1).all()


@pytest.mark.parametrize(
    "worse",
    [
        {"vol_multiple": 3.5},
        {"borrows_usd": 2e9},
        {"latency_s": 7_200.0},
        {"liquidity_left": 0.005},
        {"gas_usd": 50_000.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_makes_it_harder_never_allows_more(worse: dict[str, float]) -> None:
    assert found(**worse).liquidation_threshold <= found().liquidation_threshold
    assert found(**worse).curve["bad_debt_mean"].sum() > found().curve["bad_debt_mean"].sum()


def test_the_same_setting_gives_the_same_curve_and_borrowers_are_shared_by_thresholds() -> None:
    again = simulate_threshold("X", history(), SMALL)
    assert again.curve.equals(found().curve)
    debt, health = borrowers(SMALL)
    assert debt.sum() == pytest.approx(SMALL.borrows_usd)
    assert (np.diff(health) >= 0).all()
    assert (health > 1).all()


def test_where_nothing_passes_there_is_no_threshold() -> None:
    result = found(capacity_usd_hourly=0.0, vol_multiple=20.0)
    assert result.liquidation_threshold == 0
    assert result.loan_to_value == 0
    assert "30%" in result.reasons[0]


def test_quantiles_hold_the_true_one_about_as_often_as_they_say() -> None:
    chance = np.random.default_rng(1)
    hits = [
        low <= 0.95 <= high
        for _, low, high in (quantile_interval(np.sort(chance.random(1_000)), 0.95) for _ in range(500))
    ]
    assert 0.92 <= np.mean(hits) <= 0.99


def test_settings_that_cannot_be_are_refused_all_at_once() -> None:
    with pytest.raises(SolventError) as refused:
        simulate_threshold("X", history(), Setting(bonus=2.0, paths=1, impact_law="cubic"))
    assert {each.field for each in refused.value.problems} == {"bonus", "paths", "impact_law"}
    blind = history()._replace(volume_usd=np.full(2_000, math.nan))
    with pytest.raises(SolventError, match="volume"):
        simulate_threshold("X", blind, SMALL)
