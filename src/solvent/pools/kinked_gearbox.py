"""Gearbox v3's rate with two kinks, in ray a year."""

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.pools.fixed_point import BPS, RAY, WAD


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Basis points. U1 <= U2 < 10,000; slopes do not fall from the first to the third.

    Source: Gearbox-protocol/core-v3, contracts/pool/LinearInterestRateModelV3.sol.
    """

    u1_bps: int
    u2_bps: int
    base_bps: int
    slope1_bps: int
    slope2_bps: int
    slope3_bps: int
    borrowing_above_u2_forbidden: bool = False


def utilization_e18_down(expected_liquidity: int, available_liquidity: int) -> int:
    """(expected - available) / expected; 0 for an empty pool and where more is available than expected."""
    if expected_liquidity == 0 or expected_liquidity < available_liquidity:
        return 0
    return mul_div_down(WAD, expected_liquidity - available_liquidity, expected_liquidity)


def borrow_rate_ray_down(curve: Params, expected_liquidity: int, available_liquidity: int) -> int:
    """Yearly borrow rate in ray.

    Parameters
    ----------
    expected_liquidity : int
        What lenders are owed, atoms.
    available_liquidity : int
        Cash of the pool, atoms.
    """
    u = utilization_e18_down(expected_liquidity, available_liquidity)
    u1, u2 = curve.u1_bps * (WAD // BPS), curve.u2_bps * (WAD // BPS)
    base, slope1, slope2, slope3 = (
        bps * (RAY // BPS) for bps in (curve.base_bps, curve.slope1_bps, curve.slope2_bps, curve.slope3_bps)
    )
    if u < u1:
        return base + mul_div_down(slope1, u, u1)
    if u < u2:
        return base + slope1 + mul_div_down(slope2, u - u1, u2 - u1)
    return base + slope1 + slope2 + mul_div_down(slope3, u - u2, WAD - u2)


def may_borrow(curve: Params, expected_liquidity: int, available_liquidity: int) -> bool:
    """Whether utilisation after a borrowing is allowed: below U2 where the pool forbids more."""
    u = utilization_e18_down(expected_liquidity, available_liquidity)
    return not curve.borrowing_above_u2_forbidden or u < curve.u2_bps * (WAD // BPS)
