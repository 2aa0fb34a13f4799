"""Silo's rate: a proportional part above a critical utilisation, an integral part that remembers, a floor."""

from decimal import ROUND_FLOOR, Decimal, localcontext

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.pools.fixed_point import UINT256_MAX, WAD, YEAR_S, div_to_zero

COMPOUND_MOST_E18 = 2**16 * WAD
"""The most that one accrual multiplies debt by, less one."""
EXPONENT_MOST_E18 = 11_090_370_147_631_773_313
"""ln(2^16 + 1): from here on the accrual overflows."""
AMOUNT_MOST = UINT256_MAX // COMPOUND_MOST_E18
"""Deposits and debt stay below it, atoms."""
RATE_MOST_E18 = 100 * WAD
"""10,000 % a year."""
COMPOUND_MOST_E18_PER_S = 100 * WAD // YEAR_S


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One market's curve: utilisations in 1e-18, gains in 1e-18 a second, `beta` in 1e-18 a second.

    Source: silo-finance/silo-contracts-v2, silo-core/contracts/interestRateModel/InterestRateModelV2.sol.
    """

    uopt: int
    ucrit: int
    ulow: int
    ki: int
    kcrit: int
    klow: int
    klin: int
    beta: int
    amount_most: int = AMOUNT_MOST
    exponent_most_e18: int = EXPONENT_MOST_E18


class State(msgspec.Struct, frozen=True):
    """What the curve remembers between accruals."""

    ri: int
    """Integral part of the rate, 1e-18 a second."""
    t_crit: int
    """Time spent above the critical utilisation, grown by `beta`, 1e-18."""


def utilization_e18_down(deposits: int, debt: int) -> int:
    """debt / deposits, at most 1e18; 0 where either is 0."""
    return 0 if deposits == 0 or debt == 0 else min(mul_div_down(debt, WAD, deposits), WAD)


def current_rate_e18(curve: Params, state: State, deposits: int, debt: int, interval_s: int) -> int:
    """Yearly rate `interval_s` after the last accrual, at most 10,000 %; 0 where the accrual overflows.

    Parameters
    ----------
    deposits, debt : int
        Totals of the market, atoms.
    interval_s : int
        Seconds since the last accrual, at least 0.
    """
    if accrue(curve, state, deposits, debt, interval_s)[2]:
        return 0
    u = utilization_e18_down(deposits, debt)
    if u > curve.ucrit:
        gain = div_to_zero(curve.kcrit * (WAD + state.t_crit + curve.beta * interval_s), WAD)
        proportional = div_to_zero(gain * (u - curve.ucrit), WAD)
    else:
        proportional = min(0, div_to_zero(curve.klow * (u - curve.ulow), WAD))
    floor = div_to_zero(curve.klin * u, WAD)
    integral = max(state.ri, floor) + div_to_zero(curve.ki * (u - curve.uopt) * interval_s, WAD)
    return min(max(max(integral, floor) + proportional, floor) * YEAR_S, RATE_MOST_E18)


def accrue(curve: Params, state: State, deposits: int, debt: int, interval_s: int) -> tuple[int, State, bool]:
    """Compound interest of an interval.

    Returns
    -------
    interest_e18 : int
        exp(integral of the rate) - 1, at most 10,000 % a year of the interval.
    state : State
        Set to zero where a cap was hit, so that the market can recover.
    overflow : bool
        Whether exponent or amounts left the range of the protocol.
    """
    u = utilization_e18_down(deposits, debt)
    slope_integral = div_to_zero(curve.ki * (u - curve.uopt), WAD)
    if u > curve.ucrit:
        gain = div_to_zero(curve.kcrit * (WAD + state.t_crit), WAD)
        proportional = div_to_zero(gain * (u - curve.ucrit), WAD)
        growth = div_to_zero(curve.kcrit * curve.beta, WAD)
        slope = slope_integral + div_to_zero(growth * (u - curve.ucrit), WAD)
        t_crit = state.t_crit + curve.beta * interval_s
    else:
        proportional = min(0, div_to_zero(curve.klow * (u - curve.ulow), WAD))
        slope = slope_integral
        t_crit = max(0, state.t_crit - curve.beta * interval_s)
    floor = div_to_zero(curve.klin * u, WAD)
    integral = max(state.ri, floor)
    exponent = _exponent_e18(integral + proportional, slope, floor, interval_s)
    interest, overflow = _interest_e18(curve, deposits, debt, exponent)
    most = COMPOUND_MOST_E18_PER_S * interval_s
    if overflow or interest > most:
        return min(interest, most), State(0, 0), overflow
    return interest, State(max(integral + slope_integral * interval_s, floor), t_crit), overflow


def _exponent_e18(rate_start: int, slope: int, floor: int, interval_s: int) -> int:
    """Integral over the interval of max(rate_start + slope t, floor)."""
    rate_end = rate_start + slope * interval_s
    if rate_start >= floor and rate_end >= floor:
        return div_to_zero((rate_start + rate_end) * interval_s, 2)
    if rate_start < floor and rate_end < floor:
        return floor * interval_s
    if rate_start >= floor:
        return floor * interval_s - div_to_zero(div_to_zero((rate_start - floor) ** 2, slope), 2)
    return floor * interval_s + div_to_zero(div_to_zero((rate_end - floor) ** 2, slope), 2)


def _interest_e18(curve: Params, deposits: int, debt: int, exponent_e18: int) -> tuple[int, bool]:
    overflow = exponent_e18 >= curve.exponent_most_e18
    interest = COMPOUND_MOST_E18 if overflow else max(exponential_e18_down(exponent_e18) - WAD, 0)
    largest = max(deposits, debt)
    if largest >= curve.amount_most:
        return 0, True
    if interest * debt > UINT256_MAX or interest * debt // WAD > curve.amount_most - largest:
        return (curve.amount_most - largest) * WAD // debt, True
    return interest, overflow


def exponential_e18_down(x_e18: int) -> int:
    """exp(x) rounded down to 1e-18; the protocol's own series is within a few 1e-18 relative of it."""
    with localcontext() as context:
        context.prec = 60
        value = (Decimal(x_e18) / WAD).exp() * WAD
        return int(value.to_integral_value(rounding=ROUND_FLOOR))
