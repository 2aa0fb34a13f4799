"""Maker: one vault, one collateral type, one liquidation ratio.

Numeraire: DAI at its target price, products in rad (1e-45). Equity is positive: ink x price less art x rate.
Unsettled profit: none; the stability fee stands in `rate`. Breach is strict: ink x spot below art x rate.
Rounding: none in the test; spot is the price over the ratio, rounded down.
Source: makerdao/dss, src/vat.sol, src/spot.sol, src/dog.sol.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.quantities import mul_div_down
from solvent.errors import Problem, problem
from solvent.margin.rules.kernel_lending import Totals
from solvent.margin.rules.lending import (
    LendingParams,
    LendingRule,
    LoanMarket,
    Position,
    Shared,
    Terms,
    Weighed,
    collateral_ratio,
    wad_down,
    wad_up,
)
from solvent.pools.fixed_point import RAD, RAY, WAD


class Ilk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One collateral type."""

    liquidation_ratio: Decimal
    """`mat`: 1.5 for 150 %."""
    liquidation_penalty: Decimal = Decimal(0)
    """`chop` - 1: 0.13 where an auction raises 113 % of the debt."""


class Params(LendingParams, frozen=True):
    """Collateral types by spot id, one each."""

    ilks: dict[str, Ilk]
    stablecoins: tuple[str, ...] = ("DAI", "USDS")
    """Spot ids that vaults owe, at one USD."""


def spot_ray_down(price_ray: int, mat_ray: int, par_ray: int = RAY) -> int:
    """Price with safety margin: price / par / mat, each rounded down."""
    return mul_div_down(mul_div_down(price_ray, RAY, par_ray), RAY, mat_ray)


def is_liquidatable(ink_wad: int, spot_ray: int, art_wad: int, rate_ray: int) -> bool:
    """ink x spot below art x rate, strictly; never at a price of 0."""
    return spot_ray > 0 and ink_wad * spot_ray < art_wad * rate_ray


def collateral_ratio_ray_down(ink_wad: int, price_ray: int, art_wad: int, rate_ray: int) -> int:
    """Collateral value over debt, 1e-27; debt above 0."""
    return mul_div_down(ink_wad * price_ray, RAY, art_wad * rate_ray)


class Maker(LendingRule):
    """The rule; see the module. One ratio serves drawing and liquidation."""

    name: ClassVar[str] = "maker"
    Params: ClassVar[type[msgspec.Struct]] = Params
    isolated: ClassVar[bool] = True
    pegged: ClassVar[bool] = True
    oracle_decimals: ClassVar[int | None] = 18
    weight_one: ClassVar[int] = RAY
    weight_names: ClassVar[tuple[str, str]] = ("1/liquidation ratio", "1/liquidation ratio")
    ratio_name: ClassVar[str] = "collateralization ratio"

    def check_own(self, params: Any) -> list[Problem]:
        """Ratios of at least 100 %."""
        return [
            problem("policy margin", None, f"ilks.{id}.liquidation_ratio", str(each.liquidation_ratio), "at least 1")
            for id, each in params.ilks.items()
            if each.liquidation_ratio < 1
        ]

    def markets(self, params: Any, now_s: int) -> list[LoanMarket]:
        """The stablecoin against each collateral type."""
        rows = {
            id: Terms(
                1 / Fraction(x.liquidation_ratio), 1 / Fraction(x.liquidation_ratio), Fraction(x.liquidation_penalty)
            )
            for id, x in params.ilks.items()
        }
        return [LoanMarket(params.stablecoins, rows)]

    def weight(self, fraction: Fraction) -> Fraction:
        """`mat`."""
        return self.weight_one / fraction

    def weighed(self, shared: Shared, position: Position, initial: bool) -> Weighed:
        """In rad."""
        weights = shared.fixed.weights[position.market]
        return Weighed(
            Fraction(1, RAD),
            [
                (i, wad_down(shared, i, n) * spot_ray_down(shared.oracle_down[i] * (RAY // WAD), weights[i][initial]))
                for i, n in position.pledged
            ],
            [(i, wad_up(shared, i, n) * RAY) for i, n in position.owed],
        )

    def grain_usd(self, shared: Shared, market: int) -> float:
        """A wad where a token has more decimals."""
        return 2 / WAD

    def venue_ratio(self, sums: Totals) -> NDArray[np.float64]:
        """Collateral over debt: liquidatable below the liquidation ratio."""
        return collateral_ratio(sums)
