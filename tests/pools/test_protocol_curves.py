"""Interest curves of protocols: anchors, continuity at kinks, monotonicity."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.pools import (
    adaptive_curve,
    base_rate,
    hyperbolic,
    kinked_aave,
    kinked_compound,
    kinked_euler,
    kinked_gearbox,
    silo_curve,
)
from solvent.pools.fixed_point import RAY, WAD, YEAR_S

PERCENT = WAD // 100
amounts = st.integers(0, 10**30)
AAVE = kinked_aave.Params()
COMET = kinked_compound.Params(PERCENT, 80 * PERCENT, 5 * PERCENT, 30 * PERCENT)
EULER = kinked_euler.Params(0, 1406417851, 19050045013, 2147483648)
GEARBOX = kinked_gearbox.Params(8000, 9500, 1500, 500, 1000, 9000)
SILO = silo_curve.Params(
    80 * PERCENT, 90 * PERCENT, 70 * PERCENT, 367011, 317097919837, 13589910850, 2972792998, 69444444444444
)
MORPHO = adaptive_curve.Params()


@given(amounts, amounts, amounts)
def test_aave_rates_rise_with_debt_and_lenders_earn_less_than_borrowers_pay(
    debt: int, more: int, available: int
) -> None:
    rate = kinked_aave.borrow_rate_ray(AAVE, debt, available)
    assert kinked_aave.borrow_rate_ray(AAVE, debt + more, available) >= rate - 10
    assert 0 <= kinked_aave.supply_rate_ray(AAVE, debt, available) <= rate
    assert kinked_aave.supply_rate_ray(AAVE, debt, available, unbacked=more) <= kinked_aave.supply_rate_ray(
        AAVE, debt, available
    )


def test_aave_rates_at_their_anchors() -> None:
    assert kinked_aave.borrow_rate_ray(AAVE, 0, 0) == 0
    assert kinked_aave.supply_rate_ray(AAVE, 0, 10) == 0
    assert kinked_aave.borrow_rate_ray(AAVE, 80, 20) == 4 * RAY // 100
    assert kinked_aave.borrow_rate_ray(AAVE, 100, 0) == 64 * RAY // 100


@given(st.integers(0, RAY), st.integers(0, 5 * YEAR_S))
def test_aave_compounding_lies_between_linear_and_exponential(rate: int, interval: int) -> None:
    factor = kinked_aave.compounded_factor_ray(rate, interval)
    exact = (Decimal(rate * interval) / YEAR_S / RAY).exp() * RAY
    assert kinked_aave.linear_factor_ray(rate, interval) <= factor <= exact + 3


@given(st.integers(0, WAD), st.integers(0, WAD))
def test_comet_rates_rise_and_meet_at_the_kink(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert kinked_compound.rate_e18_down(COMET, low) <= kinked_compound.rate_e18_down(COMET, high)
    assert kinked_compound.rate_e18_down(COMET, COMET.kink_e18) == 5 * PERCENT
    assert kinked_compound.utilization_e18_down(0, one) == 0
    assert kinked_compound.utilization_e18_down(WAD, one) == one


@pytest.mark.parametrize(("u", "yield_"), [(0.25, 0.04880875), (0.5, 0.1), (0.75, 1.0976171), (1.0, 3.0)])
def test_euler_yields_of_the_protocols_own_tests(u: float, yield_: float) -> None:
    """euler-xyz/euler-vault-kit, InterestRateLinearKink.t.sol."""
    rate = kinked_euler.rate_e27(EULER, int(u * kinked_euler.UTILIZATION_ONE))
    assert kinked_euler.yield_annual(rate) == pytest.approx(yield_, rel=2e-4)


def test_euler_utilization() -> None:
    assert kinked_euler.utilization_down(0, 0) == 0
    assert kinked_euler.utilization_down(0, 5) == kinked_euler.UTILIZATION_ONE


@given(amounts, amounts)
def test_gearbox_rates_lie_between_base_and_the_sum(expected: int, available: int) -> None:
    rate = kinked_gearbox.borrow_rate_ray_down(GEARBOX, expected, available)
    assert 1500 * RAY <= rate * 10_000 <= 12_000 * RAY
    assert kinked_gearbox.may_borrow(GEARBOX, expected, available)


@pytest.mark.parametrize(
    ("available", "bps"), [(150, 1500), (100, 1500), (60, 1750), (20, 2000), (5, 3000), (0, 12_000)]
)
def test_gearbox_rates_at_its_kinks(available: int, bps: int) -> None:
    assert kinked_gearbox.borrow_rate_ray_down(GEARBOX, 100, available) * 10_000 == bps * RAY


def test_gearbox_may_forbid_borrowing_in_the_steep_part() -> None:
    strict = kinked_gearbox.Params(8000, 9500, 0, 0, 0, 0, borrowing_above_u2_forbidden=True)
    assert kinked_gearbox.may_borrow(strict, 100, 6)
    assert not kinked_gearbox.may_borrow(strict, 100, 5)


@given(st.integers(-40 * WAD, 90 * WAD))
def test_morphos_exponential_is_within_a_hundredth(x: int) -> None:
    exact = (Decimal(x) / WAD).exp() * WAD
    assert abs(adaptive_curve.exponential_e18(x) - exact) <= exact / 100 + 1


def test_morphos_exponential_is_clipped() -> None:
    assert adaptive_curve.exponential_e18(-42 * WAD) == 0
    assert adaptive_curve.exponential_e18(100 * WAD) == adaptive_curve.EXP_CLIPPED


@given(st.integers(0, WAD), st.integers(1, 10**10), st.integers(0, 10**8))
def test_morphos_rate_at_target_drifts_with_the_sign_of_the_error(u: int, start: int, interval: int) -> None:
    start = min(max(start, MORPHO.lowest_rate_e18), MORPHO.highest_rate_e18)
    average, end = adaptive_curve.accrued_rates_e18(MORPHO, u, start, interval)
    error = adaptive_curve.error_e18(MORPHO, u)
    assert MORPHO.lowest_rate_e18 <= end <= MORPHO.highest_rate_e18
    assert (end - start) * error >= -start * WAD // 1000
    assert average >= 0
    assert average <= 4 * MORPHO.highest_rate_e18


def test_morphos_anchors() -> None:
    first, start = adaptive_curve.accrued_rates_e18(MORPHO, 9 * WAD // 10, 0, 0)
    assert first == start == MORPHO.initial_rate_e18
    assert adaptive_curve.rate_e18(MORPHO, 1000, WAD) == 4000
    assert adaptive_curve.rate_e18(MORPHO, 1000, -WAD) == 250
    assert adaptive_curve.compounded_e18_down(WAD // YEAR_S, YEAR_S) == pytest.approx(5 / 3 * WAD, rel=1e-6)


@given(
    st.integers(1, 10**30), st.integers(0, 10**30), st.integers(0, 10**12), st.integers(0, 10**19),
    st.integers(0, 10**7),
)  # fmt: skip
def test_silos_rate_has_a_floor_and_a_cap(deposits: int, debt: int, ri: int, t_crit: int, interval: int) -> None:
    state = silo_curve.State(ri, t_crit)
    u = silo_curve.utilization_e18_down(deposits, debt)
    rate = silo_curve.current_rate_e18(SILO, state, deposits, debt, interval)
    interest, after, overflow = silo_curve.accrue(SILO, state, deposits, debt, interval)
    floor = SILO.klin * u // WAD * YEAR_S
    assert rate == 0 if overflow else min(floor, silo_curve.RATE_MOST_E18) <= rate <= silo_curve.RATE_MOST_E18
    assert 0 <= interest <= silo_curve.COMPOUND_MOST_E18_PER_S * interval
    assert after.t_crit >= 0


def test_silos_utilization_is_capped_and_amounts_overflow() -> None:
    assert silo_curve.utilization_e18_down(5, 10) == WAD
    assert silo_curve.utilization_e18_down(0, 10) == 0
    assert silo_curve.accrue(SILO, silo_curve.State(0, 0), silo_curve.AMOUNT_MOST, 1, 1) == (
        0, silo_curve.State(0, 0), True,
    )  # fmt: skip


def test_silos_interest_over_a_second_is_the_rate() -> None:
    state = silo_curve.State(10**10, 0)
    interest = silo_curve.accrue(SILO, state, 100 * WAD, 80 * WAD, 1)[0]
    assert interest == pytest.approx(10**10, rel=1e-8)


@given(st.integers(1, 99), st.integers(1, 99), st.integers(101, 1000))
def test_the_hyperbola_goes_through_its_three_points(target: int, low: int, high: int) -> None:
    points = hyperbolic.Params(target * PERCENT, low * PERCENT, high * PERCENT)
    if (high - 100) * target <= (100 - target) * (100 - low):
        with pytest.raises(ValueError, match="high_ratio"):
            hyperbolic.curve_through(points)
        return
    curve = hyperbolic.curve_through(points)
    for u, ratio in ((0, low), (target, 100), (100, high)):
        found = hyperbolic.rate_e18(curve, u * PERCENT, WAD)
        assert found == pytest.approx(ratio * PERCENT, rel=1e-9)


def test_a_negative_rate_is_refused() -> None:
    curve = hyperbolic.Curve(2 * WAD, 0, -WAD)
    with pytest.raises(ValueError, match="at least 0"):
        hyperbolic.rate_e18(curve, 0, WAD)


@given(st.integers(0, 100))
def test_the_semilog_rate_runs_from_lowest_to_highest(percent: int) -> None:
    lowest, highest = 31_709_791, 317_097_919
    rate = hyperbolic.semilog_rate_e18_down(lowest, highest, percent, 100)
    assert rate == pytest.approx(lowest * 10 ** (percent / 100), rel=1e-7)
    assert lowest <= rate <= highest


def test_curve_market_helpers() -> None:
    assert hyperbolic.rate_annual_e18(2) == 2 * YEAR_S
    assert hyperbolic.utilization_e18_down(0, 0) == 0
    assert hyperbolic.utilization_e18_down(50, 50) == WAD // 2
    assert hyperbolic.utilization_e18_down(5, 50, admin_fees=10) == WAD


@given(st.integers(0, WAD), st.integers(0, 10**6))
def test_the_base_rate_halves_every_six_hours(rate: int, minutes: int) -> None:
    params = base_rate.Params()
    decayed = base_rate.decayed_e18_down(params, rate, minutes)
    assert abs(base_rate.decayed_e18_down(params, rate, minutes + 360) - decayed // 2) <= rate // 10**6 + 2
    assert decayed <= rate


def test_redemptions_raise_base_rate_and_fee_to_1_at_most() -> None:
    params = base_rate.Params()
    assert base_rate.redeemed_e18(params, PERCENT, 5, 100) == 6 * PERCENT
    assert base_rate.redeemed_e18(params, WAD, 5, 100) == WAD
    assert base_rate.redemption_fee_e18(params, PERCENT) == PERCENT * 3 // 2
    assert base_rate.redemption_fee_e18(params, WAD) == WAD
