"""Maker: one vault, one collateral type, one liquidation ratio.

Numeraire: DAI at its target price, products in rad (1e-45). Equity is positive: ink x price less art x rate.
Unsettled profit: none; the stability fee stands in `rate`. Breach is strict: ink x spot below art x rate.
Rounding: none in the test; spot is the price over the ratio, rounded down.
Source: makerdao/dss, src/vat.sol, src/spot.sol, src/dog.sol.
"""

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.pools.fixed_point import RAY


class Ilk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One collateral type."""

    mat_ray: int
    """Liquidation ratio: 1.5e27 for 150 %."""
    dust_rad: int = 0
    """The least debt of a vault."""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Collateral types by asset."""

    ilks: dict[str, Ilk] = {}


def spot_ray_down(price_ray: int, mat_ray: int, par_ray: int = RAY) -> int:
    """Price with safety margin: price / par / mat, each rounded down."""
    return mul_div_down(mul_div_down(price_ray, RAY, par_ray), RAY, mat_ray)


def is_liquidatable(ink_wad: int, spot_ray: int, art_wad: int, rate_ray: int) -> bool:
    """ink x spot below art x rate, strictly; never at a price of 0."""
    return spot_ray > 0 and ink_wad * spot_ray < art_wad * rate_ray


def collateral_ratio_ray_down(ink_wad: int, price_ray: int, art_wad: int, rate_ray: int) -> int:
    """Collateral value over debt, 1e-27; debt above 0."""
    return mul_div_down(ink_wad * price_ray, RAY, art_wad * rate_ray)
