"""Curve's lending rates: hyperbola through three points of utilisation, and the semilogarithmic curve."""

from decimal import ROUND_FLOOR, Decimal, localcontext

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.pools.fixed_point import WAD, YEAR_S, mul_div_to_zero


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Three points of the hyperbola, 1e-18: the rate is low, 1 and high times the base rate at 0, target, 1.

    Source: curvefi/curve-stablecoin, curve_stablecoin/mpolicies/v2/HyperbolicDynamicMP.vy.
    """

    target_utilization_e18: int = 85 * WAD // 100
    low_ratio_e18: int = WAD // 2
    high_ratio_e18: int = 2 * WAD


class Curve(msgspec.Struct, frozen=True):
    """rate / base = rate_far + numerator / (asymptote - u), all in 1e-18."""

    asymptote: int
    """Utilisation, above 1, at which the rate has no bound."""
    numerator: int
    rate_far: int
    """May be negative."""


def curve_through(points: Params) -> Curve:
    """The hyperbola through the three points, in the protocol's own order of roundings.

    Raises
    ------
    ValueError
        Where the points do not rise steeply enough above the target for a pole above full utilisation.
    """
    target, low, high = points.target_utilization_e18, points.low_ratio_e18, points.high_ratio_e18
    steep = (high - WAD) * target
    flat = (WAD - target) * (WAD - low)
    if steep < flat + WAD:
        raise ValueError("(high_ratio - 1) target above (1 - target) (1 - low_ratio)")
    asymptote = steep * WAD // (steep - flat)
    numerator = (WAD - low) * asymptote // WAD * (asymptote - target) // target
    return Curve(asymptote, numerator, low - numerator * WAD // asymptote)


def rate_e18(curve: Curve, utilization_e18: int, base_rate_e18: int, shift_e18: int = 0) -> int:
    """Borrow rate in the unit of the base rate; utilisation is capped at 1.

    Raises
    ------
    ValueError
        Where a negative far rate and shift give a negative rate: the contract reverts.
    """
    far = mul_div_to_zero(base_rate_e18, curve.rate_far, WAD)
    near = curve.numerator * base_rate_e18 // (curve.asymptote - min(utilization_e18, WAD))
    rate = far + near + shift_e18
    if rate < 0:
        raise ValueError("a curve whose rate is at least 0")
    return rate


def semilog_rate_e18_down(lowest_e18: int, highest_e18: int, debt: int, reserves: int) -> int:
    """lowest (highest / lowest)^(debt / reserves), the lowest where there is no debt.

    The contract computes exponential and logarithm to about 1e-17 relative; this is the exact value, rounded
    down. Source: curvefi/curve-stablecoin, contracts/mpolicies/SemilogMonetaryPolicy.vy.
    """
    if debt == 0:
        return lowest_e18
    with localcontext() as context:
        context.prec = 60
        exponent = Decimal(debt) / Decimal(reserves)
        rate = lowest_e18 * (Decimal(highest_e18) / Decimal(lowest_e18)) ** exponent
        return int(rate.to_integral_value(rounding=ROUND_FLOOR))


def rate_annual_e18(rate_per_s_e18: int) -> int:
    """Simple yearly rate of a rate a second (Vault.borrow_apr)."""
    return rate_per_s_e18 * YEAR_S


def utilization_e18_down(available: int, debt: int, admin_fees: int = 0) -> int:
    """debt / (available + debt - admin fees), at most 1e18; 0 for an empty market."""
    reserves = available + debt - admin_fees
    return 0 if reserves <= 0 else min(mul_div_down(debt, WAD, reserves), WAD)
