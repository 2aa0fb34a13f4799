"""Morpho's adaptive curve: the rate at target utilisation drifts exponentially with the error."""

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.pools.fixed_point import WAD, YEAR_S, div_to_zero, mul_div_to_zero

LN_2 = 693_147_180_559_945_309
EXP_LOWEST = -41_446_531_673_892_822_312
"""ln(1e-18): below it the exponential is 0."""
EXP_HIGHEST = 93_859_467_695_000_404_319
"""Above it the exponential is clipped to `EXP_CLIPPED`."""
EXP_CLIPPED = 57_716_089_161_558_943_949_701_069_502_944_508_345_128_422_502_756_744_429_568


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Constants of the curve; rates in 1e-18 a second.

    Source: morpho-org/morpho-blue-irm, src/adaptive-curve-irm/libraries/ConstantsLib.sol.
    """

    steepness_e18: int = 4 * WAD
    """Rate at full utilisation over the rate at target; its inverse at zero utilisation."""
    speed_e18: int = 50 * WAD // YEAR_S
    """Drift of the logarithm of the rate at target per unit of error, a second."""
    target_utilization_e18: int = 9 * WAD // 10
    initial_rate_e18: int = 4 * WAD // 100 // YEAR_S
    lowest_rate_e18: int = WAD // 1000 // YEAR_S
    highest_rate_e18: int = 2 * WAD // YEAR_S


def exponential_e18(x_e18: int) -> int:
    """exp(x) by 2^q e^r, r to second order: below 1e-3 relative of the exponential.

    Source: morpho-org/morpho-blue-irm, src/adaptive-curve-irm/libraries/ExpLib.sol (wExp).
    """
    if x_e18 < EXP_LOWEST:
        return 0
    if x_e18 >= EXP_HIGHEST:
        return EXP_CLIPPED
    half = LN_2 // 2
    q = div_to_zero(x_e18 - half if x_e18 < 0 else x_e18 + half, LN_2)
    r = x_e18 - q * LN_2
    exp_r = WAD + r + r * r // WAD // 2
    return exp_r << q if q >= 0 else exp_r >> -q


def error_e18(params: Params, utilization_e18: int) -> int:
    """Distance from target utilisation, -1e18 at zero and 1e18 at full utilisation."""
    target = params.target_utilization_e18
    width = WAD - target if utilization_e18 > target else target
    return mul_div_to_zero(utilization_e18 - target, WAD, width)


def rate_e18(params: Params, rate_at_target_e18: int, error: int) -> int:
    """Borrow rate a second: that at target times 1 at target, `steepness` at full, its inverse at zero use."""
    steepness = params.steepness_e18
    slope = WAD - mul_div_to_zero(WAD, WAD, steepness) if error < 0 else steepness - WAD
    return mul_div_to_zero(mul_div_to_zero(slope, error, WAD) + WAD, rate_at_target_e18, WAD)


def accrued_rates_e18(
    params: Params, utilization_e18: int, rate_at_target_e18: int, interval_s: int
) -> tuple[int, int]:
    """Average borrow rate over an interval, and the rate at target at its end.

    Parameters
    ----------
    utilization_e18 : int
        Borrowed over supplied, held for the whole interval.
    rate_at_target_e18 : int
        At the start; 0 for a market's first interaction.
    interval_s : int
        Seconds since the last interaction.

    Notes
    -----
    The average is the trapezoid with two pieces, (start + end + 2 mid) / 4.
    Source: morpho-org/morpho-blue-irm, src/adaptive-curve-irm/AdaptiveCurveIrm.sol (_borrowRate).
    """
    error = error_e18(params, utilization_e18)
    start = rate_at_target_e18
    if start == 0:
        return rate_e18(params, params.initial_rate_e18, error), params.initial_rate_e18
    drift = mul_div_to_zero(params.speed_e18, error, WAD) * interval_s
    if drift == 0:
        return rate_e18(params, start, error), start
    end = _drifted(params, start, drift)
    middle = _drifted(params, start, div_to_zero(drift, 2))
    return rate_e18(params, div_to_zero(start + end + 2 * middle, 4), error), end


def compounded_e18_down(rate_e18: int, interval_s: int) -> int:
    """exp(rate t) - 1 to third order, each term rounded down (morpho-blue MathLib.wTaylorCompounded)."""
    first = rate_e18 * interval_s
    second = mul_div_down(first, first, 2 * WAD)
    return first + second + mul_div_down(second, first, 3 * WAD)


def _drifted(params: Params, start: int, drift_e18: int) -> int:
    moved = mul_div_to_zero(start, exponential_e18(drift_e18), WAD)
    return min(max(moved, params.lowest_rate_e18), params.highest_rate_e18)
