"""Aave v3: health factor over all reserves of one account.

Numeraire: the oracle's base currency, 1e-8 USD. Equity is positive collateral value less debt value.
Unsettled profit: none; interest stands in the balances. Breach is strict: health factor below 1e18.
Rounding: collateral value down, debt value up, health factor down (since 3.5).
Source: aave-dao/aave-v3-origin, src/contracts/protocol/libraries/logic/GenericLogic.sol.
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
BASE_DECIMALS = 8
"""Of the oracle's base currency, USD."""


class Reserve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one asset is worth as collateral, as fractions in whole basis points."""

    ltv: Decimal = Decimal(0)
    """Borrowing power; 0 for an asset that backs no new debt."""
    liquidation_threshold: Decimal = Decimal(0)
    liquidation_bonus: Decimal = Decimal(0)
    """0.05 where a liquidator takes collateral worth 105 % of what he repays."""


class Params(LendingParams, frozen=True):
    """Reserves by spot id: any of them can be owed against all of them."""

    reserves: dict[str, Reserve]


class Collateral(msgspec.Struct, frozen=True):
    """One enabled collateral of an account."""

    amount: int
    """Atoms."""
    price: int
    """Base currency of one unit."""
    unit: int
    """Atoms of one unit."""
    liquidation_threshold_bps: int


class Debt(msgspec.Struct, frozen=True):
    """One debt of an account; fields as in `Collateral`."""

    amount: int
    price: int
    unit: int


def collateral_base_down(amount: int, price: int, unit: int) -> int:
    """Value of a collateral in base currency, floor."""
    return mul_div_down(amount, price, unit)


def debt_base_up(amount: int, price: int, unit: int) -> int:
    """Value of a debt in base currency, ceiling."""
    return mul_div_up(amount, price, unit)


def health_factor_e18_down(weighted_base_bps: int, debt_base: int) -> int:
    """sum(collateral x threshold) / sum(debt), floor; 2^256 - 1 without debt.

    Parameters
    ----------
    weighted_base_bps : int
        Sum of collateral value in base currency times its threshold in basis points.
    debt_base : int
        Sum of debts in base currency.
    """
    return UINT256_MAX if debt_base == 0 else mul_div_down(weighted_base_bps, WAD, debt_base * BPS)


def account_health_factor_e18_down(collaterals: Iterable[Collateral], debts: Iterable[Debt]) -> int:
    """Health factor of an account, 1e-18."""
    weighted = sum(
        collateral_base_down(row.amount, row.price, row.unit) * row.liquidation_threshold_bps for row in collaterals
    )
    return health_factor_e18_down(weighted, sum(debt_base_up(row.amount, row.price, row.unit) for row in debts))


def is_liquidatable(health_factor_e18: int) -> bool:
    """Health factor below 1, strictly."""
    return health_factor_e18 < HEALTH_ONE_E18


class AaveV3(LendingRule):
    """The rule; see the module. New debt is limited by the average LTV, here not floored to a basis point."""

    name: ClassVar[str] = "aave-v3"
    Params: ClassVar[type[msgspec.Struct]] = Params
    oracle_decimals: ClassVar[int | None] = BASE_DECIMALS
    weight_one: ClassVar[int] = BPS
    weight_names: ClassVar[tuple[str, str]] = ("liquidation threshold", "LTV")

    def markets(self, params: Any, now_s: int) -> list[LoanMarket]:
        """One pool."""
        rows = {
            id: Terms(Fraction(each.liquidation_threshold), Fraction(each.ltv), Fraction(each.liquidation_bonus))
            for id, each in params.reserves.items()
        }
        return [LoanMarket(tuple(rows), {id: terms for id, terms in rows.items() if terms.maintenance})]

    def weighed(self, shared: Shared, position: Position, initial: bool) -> Weighed:
        """In base currency times basis points."""
        price, unit, weights = shared.oracle_down, shared.coin, shared.fixed.weights[position.market]
        return Weighed(
            Fraction(1, 10**BASE_DECIMALS * BPS),
            [(i, collateral_base_down(n, price[i], unit[i]) * weights[i][initial]) for i, n in position.pledged],
            [(i, debt_base_up(n, shared.oracle_up[i], unit[i]) * BPS) for i, n in position.owed],
        )

    def grain_usd(self, shared: Shared, market: int) -> float:
        """One unit of base currency."""
        return float(10**-BASE_DECIMALS)
