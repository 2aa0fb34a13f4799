"""Aave v4: health factor of a spoke's account, collateral factors weighted by value.

Numeraire: USD in 1e-26 (a price of 1e-8 times an amount of 1e-18). Equity is positive collateral value less
debt value. Unsettled profit: none; drawn and premium debt stand in the balances. Breach is strict: health
factor below 1e18. Rounding: collateral value down, debt value up, health factor down.
Source: aave/aave-v4, src/spoke/Spoke.sol (_processUserAccountData).
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import msgspec

from solvent.domain.quantities import mul_div_down, mul_div_up
from solvent.margin.rules.lending import LendingParams, LendingRule, LoanMarket, Position, Shared, Terms, Weighed
from solvent.pools.fixed_point import BPS, UINT256_MAX, WAD

HEALTH_ONE_E18 = WAD
PRICE_DECIMALS = 8


class Reserve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reserve of a spoke, as fractions in whole basis points."""

    collateral_factor: Decimal = Decimal(0)
    """0 for an asset that is only borrowed."""
    maximum_bonus: Decimal = Decimal(0)
    """Liquidation bonus at the lowest health factors; 1 + bonus times the collateral factor stays below 1."""


class Params(LendingParams, frozen=True):
    """Reserves of one spoke by spot id: any of them can be owed against all of them."""

    reserves: dict[str, Reserve]


def collateral_value_down(amount: int, price: int, unit: int) -> int:
    """amount price / unit in 1e-18 of the price's unit, floor."""
    return mul_div_down(amount, price * WAD, unit)


def debt_value_up(amount: int, price: int, unit: int) -> int:
    """amount price / unit in 1e-18 of the price's unit, ceiling."""
    return mul_div_up(amount, price * WAD, unit)


def health_factor_e18_down(collaterals: Iterable[tuple[int, int]], debt_value: int) -> int:
    """sum(value x factor) / debt, floor; 2^256 - 1 without debt.

    Parameters
    ----------
    collaterals : iterable of (value, collateral factor in basis points)
    debt_value : int
        In the same unit as the values.
    """
    if debt_value == 0:
        return UINT256_MAX
    return mul_div_down(sum(value * factor for value, factor in collaterals), WAD, debt_value * BPS)


def is_liquidatable(health_factor_e18: int) -> bool:
    """Health factor below 1, strictly."""
    return health_factor_e18 < HEALTH_ONE_E18


class AaveV4(LendingRule):
    """The rule; see the module. One collateral factor serves borrowing and liquidation."""

    name: ClassVar[str] = "aave-v4"
    Params: ClassVar[type[msgspec.Struct]] = Params
    oracle_decimals: ClassVar[int | None] = PRICE_DECIMALS
    weight_one: ClassVar[int] = BPS
    weight_names: ClassVar[tuple[str, str]] = ("collateral factor", "collateral factor")

    def markets(self, params: Any, now_s: int) -> list[LoanMarket]:
        """One spoke."""
        factor = {id: Fraction(each.collateral_factor) for id, each in params.reserves.items()}
        bonus = {id: Fraction(each.maximum_bonus) for id, each in params.reserves.items()}
        return [LoanMarket(tuple(factor), {id: Terms(x, x, bonus[id]) for id, x in factor.items() if x})]

    def weighed(self, shared: Shared, position: Position, initial: bool) -> Weighed:
        """In 1e-26 USD times basis points."""
        price, unit, weights = shared.oracle_down, shared.coin, shared.fixed.weights[position.market]
        return Weighed(
            Fraction(1, 10**PRICE_DECIMALS * WAD * BPS),
            [(i, collateral_value_down(n, price[i], unit[i]) * weights[i][initial]) for i, n in position.pledged],
            [(i, debt_value_up(n, shared.oracle_up[i], unit[i]) * BPS) for i, n in position.owed],
        )

    def grain_usd(self, shared: Shared, market: int) -> float:
        """One unit of value."""
        return float(10**-PRICE_DECIMALS) / WAD
