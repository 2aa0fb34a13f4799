"""Aave's two-slope rates in ray, simple interest for lenders, three-term compounding for borrowers."""

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.pools.fixed_point import BPS, RAY, YEAR_S, mul_div_half_up


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reserve's curve, in basis points a year.

    Source: aave-dao/aave-v3-origin, src/contracts/misc/DefaultReserveInterestRateStrategyV2.sol.
    """

    optimal_bps: int = 8000
    """Utilisation at the kink; the protocol takes 100 to 9900."""
    base_bps: int = 0
    slope1_bps: int = 400
    """Rise from 0 to the kink."""
    slope2_bps: int = 6000
    """Rise from the kink to full utilisation; the maximum rate is at most 100,000."""
    reserve_factor_bps: int = 1000
    """Share of interest that the treasury keeps."""


def borrow_rate_ray(curve: Params, total_debt: int, available: int) -> int:
    """Yearly borrow rate in ray at debt / (available + debt); `base` where nothing is borrowed."""
    base = _ray(curve.base_bps)
    if total_debt == 0:
        return base
    usage = mul_div_half_up(total_debt, RAY, available + total_debt)
    optimal, slope1, slope2 = _ray(curve.optimal_bps), _ray(curve.slope1_bps), _ray(curve.slope2_bps)
    if usage > optimal:
        excess = mul_div_half_up(usage - optimal, RAY, RAY - optimal)
        return base + slope1 + mul_div_half_up(slope2, excess, RAY)
    return base + mul_div_half_up(mul_div_half_up(slope1, usage, RAY), RAY, optimal)


def supply_rate_ray(curve: Params, total_debt: int, available: int, unbacked: int = 0) -> int:
    """Yearly rate that lenders earn, in ray.

    Parameters
    ----------
    total_debt, available, unbacked : int
        Atoms. `unbacked` (older versions) and the reserve's deficit (since 3.3) lower the share of claims
        that borrowers pay for; give their sum.
    """
    if total_debt == 0:
        return 0
    usage = mul_div_half_up(total_debt, RAY, available + total_debt + unbacked)
    gross = mul_div_half_up(borrow_rate_ray(curve, total_debt, available), usage, RAY)
    return mul_div_half_up(gross, BPS - curve.reserve_factor_bps, BPS)


def linear_factor_ray(rate_ray: int, interval_s: int) -> int:
    """1 + rate t in ray, floor: what lenders' index grows by (MathUtils.calculateLinearInterest)."""
    return RAY + mul_div_down(rate_ray, interval_s, YEAR_S)


def compounded_factor_ray(rate_ray: int, interval_s: int) -> int:
    """1 + x + x^2/2 + x^3/6 in ray, x = rate t: what borrowers' index grows by.

    Below exp(x) by about x^4/24, which undercharges borrowers. Source: aave-dao/aave-v3-origin,
    src/contracts/protocol/libraries/math/MathUtils.sol (calculateCompoundedInterest, since 3.4).
    """
    x = mul_div_down(rate_ray, interval_s, YEAR_S)
    return RAY + x + mul_div_half_up(x, x // 2 + mul_div_half_up(x, x // 6, RAY), RAY)


def _ray(bps: int) -> int:
    return bps * (RAY // BPS)
