"""Liquity's base rate: redemptions raise it, minutes halve it."""

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.pools.fixed_point import WAD, power_half_up

MINUTES_MOST = 525_600_000
"""1000 years: the exponent is clipped there."""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Source: liquity/bold, contracts/src/Dependencies/Constants.sol; v1's decay halves in 12 h."""

    minute_decay_factor_e18: int = 998_076_443_575_628_800
    """A half-life of 6 h."""
    beta: int = 1
    """The base rate rises by the redeemed share of supply over `beta`."""
    fee_floor_e18: int = 5 * WAD // 1000


def decayed_e18_down(params: Params, base_rate_e18: int, minutes: int) -> int:
    """The base rate after whole minutes without redemption (LiquityMath._decPow: half-up squarings)."""
    factor = power_half_up(params.minute_decay_factor_e18, min(minutes, MINUTES_MOST), WAD)
    return mul_div_down(base_rate_e18, factor, WAD)


def redeemed_e18(params: Params, decayed_e18: int, redeemed: int, supply: int) -> int:
    """The base rate after a redemption of `redeemed` from `supply`, at most 1e18."""
    return min(decayed_e18 + mul_div_down(redeemed, WAD, supply) // params.beta, WAD)


def redemption_fee_e18(params: Params, base_rate_e18: int) -> int:
    """Fee rate of a redemption, at most 1e18."""
    return min(params.fee_floor_e18 + base_rate_e18, WAD)
