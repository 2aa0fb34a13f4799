"""Compound III's two kinked curves: supply and borrow rates are set apart, each from utilisation."""

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.pools.fixed_point import WAD


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One curve. Rates in 1e-18 of any one period: the result is in the same period.

    The protocol keeps them a second; yearly ones lose nothing to rounding.
    Source: compound-finance/comet, contracts/Comet.sol (getSupplyRate, getBorrowRate).
    """

    base_e18: int
    kink_e18: int
    """Utilisation at the kink."""
    slope_low_e18: int
    """Rate per whole utilisation, below the kink."""
    slope_high_e18: int
    """Rate per whole utilisation, above the kink."""


def utilization_e18_down(total_supply: int, total_borrow: int) -> int:
    """Borrows over supply at present values, 0 where nothing is supplied; may exceed 1e18."""
    return 0 if total_supply == 0 else mul_div_down(total_borrow, WAD, total_supply)


def rate_e18_down(curve: Params, utilization_e18: int) -> int:
    """base + low u, and above the kink base + low kink + high (u - kink); each product rounded down."""
    if utilization_e18 <= curve.kink_e18:
        return curve.base_e18 + mul_div_down(curve.slope_low_e18, utilization_e18, WAD)
    below = mul_div_down(curve.slope_low_e18, curve.kink_e18, WAD)
    above = mul_div_down(curve.slope_high_e18, utilization_e18 - curve.kink_e18, WAD)
    return curve.base_e18 + below + above
