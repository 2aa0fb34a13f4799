"""Maker's Clipper: a Dutch auction that anyone may take a part of, its price curves, resets and rewards."""

from collections.abc import Callable

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.liquidation.reverted import require
from solvent.pools.fixed_point import RAY, WAD, power_half_up


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One collateral type's auctions.

    Source: makerdao/dss, src/clip.sol, src/abaci.sol.
    """

    buf_ray: int = 125 * RAY // 100
    """Starting price over the feed."""
    tail_s: int = 3600
    """An auction older than this must be reset."""
    cusp_ray: int = 3 * RAY // 10
    """An auction whose price fell below this share of its start must be reset."""
    tip_rad: int = 0
    """Flat reward for starting or resetting."""
    chip_wad: int = 0
    """Reward as a share of tab."""
    curve: str = "stairstep"
    """One of `CURVES`."""
    tau_s: int = 3600
    """Linear: seconds to a price of 0."""
    cut_ray: int = 99 * RAY // 100
    """Stairstep and continuous: factor a step."""
    step_s: int = 60
    """Stairstep: seconds of a step; continuous steps every second."""


class Sale(msgspec.Struct, frozen=True):
    """A running auction."""

    tab: int
    """To be raised, rad."""
    lot: int
    """Collateral for sale, wad."""


class Taken(msgspec.Struct, frozen=True):
    """What one taking moved, and the auction after it."""

    bought: int
    paid: int
    returned_to_owner: int
    """Collateral left when the tab is raised."""
    closed: bool
    sale: Sale
    """Empty when closed."""


def linear_price_ray_down(top: int, tau_s: int, elapsed_s: int) -> int:
    """top (tau - t) / tau; 0 from tau on."""
    return 0 if elapsed_s >= tau_s else mul_div_down(top, (tau_s - elapsed_s) * RAY // tau_s, RAY)


def stairstep_price_ray_down(top: int, cut_ray: int, step_s: int, elapsed_s: int) -> int:
    """top cut^floor(t / step); the power half-up at each squaring, the product down."""
    return mul_div_down(top, power_half_up(cut_ray, elapsed_s // step_s, RAY), RAY)


def continuous_price_ray_down(top: int, cut_ray: int, elapsed_s: int) -> int:
    """top cut^t."""
    return stairstep_price_ray_down(top, cut_ray, 1, elapsed_s)


CURVES: dict[str, Callable[[Params, int, int], int]] = {
    "linear": lambda params, top, elapsed_s: linear_price_ray_down(top, params.tau_s, elapsed_s),
    "stairstep": lambda params, top, elapsed_s: stairstep_price_ray_down(top, params.cut_ray, params.step_s, elapsed_s),
    "continuous": lambda params, top, elapsed_s: continuous_price_ray_down(top, params.cut_ray, elapsed_s),
}
"""Price of an auction by its start and age, ray."""


def price_ray_down(params: Params, top: int, elapsed_s: int) -> int:
    """Price of an auction that started at `top`, ray."""
    return CURVES[params.curve](params, top, elapsed_s)


def top_ray_down(params: Params, feed_ray: int) -> int:
    """Starting price: feed x buf."""
    return mul_div_down(feed_ray, params.buf_ray, RAY)


def needs_reset(params: Params, top: int, price_ray: int, elapsed_s: int) -> bool:
    """Older than tail, or below cusp of its start; both strict."""
    return elapsed_s > params.tail_s or mul_div_down(price_ray, RAY, top) < params.cusp_ray


def chost_rad_down(dust_rad: int, chop_wad: int) -> int:
    """The least tab of a live auction: dust x penalty."""
    return mul_div_down(dust_rad, chop_wad, WAD)


def start_reward_rad_down(tip_rad: int, chip_wad: int, tab: int) -> int:
    """tip + chip x tab, for starting an auction."""
    return tip_rad + mul_div_down(tab, chip_wad, WAD)


def reset_reward_rad_down(tip_rad: int, chip_wad: int, tab: int, lot: int, feed_ray: int, chost_rad: int) -> int:
    """As for starting, but 0 for an auction whose tab or value is below chost."""
    if tab < chost_rad or lot * feed_ray < chost_rad:
        return 0
    return start_reward_rad_down(tip_rad, chip_wad, tab)


def take(sale: Sale, amount: int, maximum_price_ray: int, price_ray: int, chost_rad: int) -> Taken:
    """Buy up to `amount` of a running auction at its price.

    Never collects more than the tab; a part leaves a tab of at least chost, else it shrinks to that.

    Raises
    ------
    RevertedError
        too-expensive above the taker's price; no-partial-purchase where the tab is at or below chost.
    """
    require(maximum_price_ray >= price_ray, "too-expensive")
    bought = min(sale.lot, amount)
    paid = bought * price_ray
    if paid > sale.tab:
        paid = sale.tab
        bought = paid // price_ray
    elif paid < sale.tab and bought < sale.lot and sale.tab - paid < chost_rad:
        require(sale.tab > chost_rad, "no-partial-purchase")
        paid = sale.tab - chost_rad
        bought = paid // price_ray
    left = Sale(sale.tab - paid, sale.lot - bought)
    if left.lot == 0:
        return Taken(bought, paid, 0, True, Sale(0, 0))
    if left.tab == 0:
        return Taken(bought, paid, left.lot, True, Sale(0, 0))
    return Taken(bought, paid, 0, False, left)
