"""Compound III: one base asset is borrowed against many collaterals, each with two factors.

Numeraire: USD in 1e-8. Equity is positive: the signed base balance plus collateral value. Unsettled profit:
none; interest stands in the present value of principal. Breach is strict: liquidity below 0 at the liquidate
factors. Rounding: every product down, the debt's value toward zero.
Source: compound-finance/comet, contracts/Comet.sol (isLiquidatable, isBorrowCollateralized).
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.quantities import mul_div_down
from solvent.errors import Problem, problem
from solvent.margin.rules.kernel_lending import Totals
from solvent.margin.rules.lending import LendingParams, LendingRule, LoanMarket, Position, Shared, Terms, Weighed
from solvent.pools.fixed_point import WAD, mul_div_to_zero

PRICE_DECIMALS = 8


class Asset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One collateral's factors; borrow < liquidate < liquidation."""

    borrow_collateral_factor: Decimal
    liquidate_collateral_factor: Decimal
    liquidation_factor: Decimal
    """Share of value that an absorbed account is credited."""


class Params(LendingParams, frozen=True):
    """By spot id of the base asset that is borrowed, the collaterals of its Comet by spot id."""

    comets: dict[str, dict[str, Asset]]


class Holding(msgspec.Struct, frozen=True):
    """One collateral of an account at one of its factors."""

    amount: int
    """Atoms."""
    price: int
    """1e-8 USD of one unit."""
    scale: int
    """Atoms of one unit."""
    factor_e18: int


def value_down(amount: int, price: int, scale: int) -> int:
    """amount price / scale in 1e-8 USD, floor."""
    return mul_div_down(amount, price, scale)


def liquidity(base_balance: int, base_price: int, base_scale: int, holdings: Iterable[Holding]) -> int:
    """Signed value of the base balance plus sum of collateral value x factor, 1e-8 USD."""
    base = mul_div_to_zero(base_balance, base_price, base_scale)
    return base + sum(
        mul_div_down(value_down(row.amount, row.price, row.scale), row.factor_e18, WAD) for row in holdings
    )


def is_liquidatable(base_balance: int, base_price: int, base_scale: int, holdings: Iterable[Holding]) -> bool:
    """Liquidity at the liquidate factors below 0, strictly; never without debt."""
    return base_balance < 0 and liquidity(base_balance, base_price, base_scale, holdings) < 0


def is_borrow_collateralized(base_balance: int, base_price: int, base_scale: int, holdings: Iterable[Holding]) -> bool:
    """Liquidity at the borrow factors at least 0; always without debt."""
    return base_balance >= 0 or liquidity(base_balance, base_price, base_scale, holdings) >= 0


class CompoundV3(LendingRule):
    """The rule; see the module. An absorbed account loses 1 - liquidation factor of its collateral."""

    name: ClassVar[str] = "compound-v3"
    Params: ClassVar[type[msgspec.Struct]] = Params
    oracle_decimals: ClassVar[int | None] = PRICE_DECIMALS
    weight_one: ClassVar[int] = WAD
    weight_names: ClassVar[tuple[str, str]] = ("liquidate collateral factor", "borrow collateral factor")
    ratio_name: ClassVar[str] = "liquidity"

    def check_own(self, params: Any) -> list[Problem]:
        """Liquidation factors from above 0 to 1: the bonus is what is left."""
        return [
            problem("policy margin", None, f"comets.{base}.{id}.liquidation_factor", str(each.liquidation_factor),
                    "above 0, at most 1")
            for base, assets in params.comets.items()
            for id, each in assets.items()
            if not 0 < each.liquidation_factor <= 1
        ]  # fmt: skip

    def markets(self, params: Any, now_s: int) -> list[LoanMarket]:
        """One a base asset."""
        return [
            LoanMarket((base,), {id: _terms(each) for id, each in assets.items()})
            for base, assets in params.comets.items()
        ]

    def weighed(self, shared: Shared, position: Position, initial: bool) -> Weighed:
        """In 1e-8 USD."""
        price, unit, weights = shared.oracle_down, shared.coin, shared.fixed.weights[position.market]
        return Weighed(
            Fraction(1, 10**PRICE_DECIMALS),
            [
                (i, mul_div_down(value_down(n, price[i], unit[i]), weights[i][initial], WAD))
                for i, n in position.pledged
            ],
            [(i, mul_div_to_zero(n, shared.oracle_up[i], unit[i])) for i, n in position.owed],
        )

    def grain_usd(self, shared: Shared, market: int) -> float:
        """A value and its product with a factor."""
        return float(2 * 10**-PRICE_DECIMALS)

    def venue_ratio(self, sums: Totals) -> NDArray[np.float64]:
        """Liquidity at the liquidate factors, USD: an account is absorbed below 0."""
        return sums.maintenance - sums.owed


def _terms(asset: Asset) -> Terms:
    lost = 1 / Fraction(asset.liquidation_factor) - 1
    return Terms(Fraction(asset.liquidate_collateral_factor), Fraction(asset.borrow_collateral_factor), lost)
