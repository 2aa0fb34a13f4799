"""Maker's Dog: how much of an unsafe vault goes to auction, within limits on running auctions."""

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.liquidation.reverted import require
from solvent.pools.fixed_point import WAD


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One collateral type. Source: makerdao/dss, src/dog.sol."""

    chop_wad: int = 113 * WAD // 100
    """Liquidation penalty as a multiplier: 1.13e18 is 13 %."""
    hole_rad: int = 0
    """Most debt and penalty in running auctions of the type."""
    dust_rad: int = 0
    """The least debt of a vault or an auction."""


class Bark(msgspec.Struct, frozen=True):
    """What leaves a vault for auction."""

    art: int
    """Normalised debt, wad."""
    ink: int
    """Collateral, wad."""
    tab: int
    """To be raised, rad: debt x rate x penalty."""


def room_rad(total_hole: int, total_dirt: int, hole: int, dirt: int) -> int:
    """Space left under both limits, rad.

    Raises
    ------
    RevertedError
        liquidation-limit-hit where either limit is reached.
    """
    require(total_hole > total_dirt and hole > dirt, "liquidation-limit-hit")
    return min(total_hole - total_dirt, hole - dirt)


def bark(params: Params, ink: int, art: int, rate_ray: int, room: int) -> Bark:
    """Start an auction of as much of an unsafe vault as `room` allows.

    A remnant below dust goes along, so `room` can be exceeded by less than dust x penalty.

    Raises
    ------
    RevertedError
        dusty-auction-from-partial-liquidation, null-auction, liquidation-limit-hit.
    """
    require(room > 0, "liquidation-limit-hit")
    taken = min(art, room * WAD // rate_ray // params.chop_wad)
    if taken < art:
        if (art - taken) * rate_ray < params.dust_rad:
            taken = art
        else:
            require(taken * rate_ray >= params.dust_rad, "dusty-auction-from-partial-liquidation")
    collateral = mul_div_down(ink, taken, art)
    require(collateral > 0, "null-auction")
    return Bark(taken, collateral, mul_div_down(taken * rate_ray, params.chop_wad, WAD))
