"""Euler v2: a vault's borrower against up to ten collateral vaults, borrow and liquidation LTV apart.

Numeraire: the vault's unit of account, 18 decimals. Equity is positive collateral value less liability value.
Unsettled profit: none. Breach is not strict: adjusted collateral at or below liability value (mid prices).
Rounding: every quote and every LTV product down.
Source: euler-xyz/euler-vault-kit, src/EVault/shared/LiquidityUtils.sol, shared/types/LTVConfig.sol.
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from math import sqrt
from typing import Any, ClassVar

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.errors import Problem, problem
from solvent.margin.rules.lending import LendingParams, LendingRule, LoanMarket, Position, Shared, Terms, Weighed
from solvent.pools.fixed_point import BPS, WAD

UNIT_DECIMALS = 18
"""Of the unit of account, USD."""


class Collateral(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """LTV of one collateral vault, basis points."""

    borrow_ltv_bps: int
    liquidation_ltv_bps: int
    """Target of the ramp."""
    initial_ltv_bps: int = 0
    """Liquidation LTV at the start of the ramp."""
    ramp_end_s: int = 0
    ramp_duration_s: int = 0


class Ltv(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """LTV of one collateral vault, as fractions in whole basis points."""

    borrow_ltv: Decimal
    liquidation_ltv: Decimal
    """Target of the ramp."""
    initial_ltv: Decimal = Decimal(0)
    """Liquidation LTV at the start of the ramp."""
    ramp_end_s: int = 0
    """Unix time."""
    ramp_duration_s: int = 0


class Params(LendingParams, frozen=True):
    """By spot id of the asset that a vault lends, the collaterals it takes by spot id."""

    vaults: dict[str, dict[str, Ltv]]
    maximum_discount: Decimal = Decimal("0.2")
    """The most that a liquidator is given off."""


class Holding(msgspec.Struct, frozen=True):
    """One enabled collateral of an account."""

    amount: int
    """Atoms."""
    price_e18: int
    """Unit of account of one atom, 1e-18."""
    ltv_bps: int


def value_down(amount: int, price_e18: int) -> int:
    """Quote of an amount in the unit of account, floor."""
    return mul_div_down(amount, price_e18, WAD)


def liquidation_ltv_bps_down(collateral: Collateral, now_s: int) -> int:
    """Liquidation LTV now: falls linearly over the ramp, rises at once; nothing is seized by a vote alone."""
    target, initial = collateral.liquidation_ltv_bps, collateral.initial_ltv_bps
    if now_s >= collateral.ramp_end_s or target >= initial:
        return target
    return target + mul_div_down(initial - target, collateral.ramp_end_s - now_s, collateral.ramp_duration_s)


def adjusted_value_down(holdings: Iterable[Holding]) -> int:
    """Sum of value x LTV over collaterals, each floored."""
    return sum(mul_div_down(value_down(row.amount, row.price_e18), row.ltv_bps, BPS) for row in holdings)


def health_e18_down(adjusted_value: int, liability_value: int) -> int:
    """Adjusted collateral over liability, floor; `liability_value` above 0."""
    return mul_div_down(adjusted_value, WAD, liability_value)


def is_liquidatable(adjusted_value: int, liability_value: int) -> bool:
    """Adjusted collateral at or below liability; equality counts."""
    return adjusted_value <= liability_value


class EulerV2(LendingRule):
    """The rule; see the module. New debt is tested at the same mid price, where the protocol takes bid and ask.

    At the trigger the discount is 0, and it grows as health falls; below a health of 1 - maximum discount it stays.
    A liquidation at LTV v repays 1 - discount = liquidation LTV / v of what it takes, so that it raises LTV where v
    is above that, which is above sqrt(liquidation LTV), or above 1 - maximum discount where that is more.
    """

    name: ClassVar[str] = "euler-v2"
    Params: ClassVar[type[msgspec.Struct]] = Params
    strict: ClassVar[bool] = False
    ramps: ClassVar[bool] = True
    oracle_decimals: ClassVar[int | None] = UNIT_DECIMALS
    weight_one: ClassVar[int] = BPS
    weight_names: ClassVar[tuple[str, str]] = ("liquidation LTV", "borrow LTV")
    ratio_name: ClassVar[str] = "health score"

    def check_own(self, params: Any) -> list[Problem]:
        """The discount, and ramps in whole basis points."""
        found = []
        if not 0 <= params.maximum_discount < 1:
            found.append(
                problem("policy margin", None, "maximum_discount", str(params.maximum_discount), "0 to below 1")
            )
        for loan, collaterals in params.vaults.items():
            for id, each in collaterals.items():
                whole = all((x * BPS) % 1 == 0 for x in (each.borrow_ltv, each.liquidation_ltv, each.initial_ltv))
                if not whole or each.ramp_duration_s < 0:
                    accepted = "LTVs in whole basis points, a duration of at least 0 s"
                    found.append(problem("policy margin", None, f"vaults.{loan}.{id}", str(each), accepted))
        return found

    def markets(self, params: Any, now_s: int) -> list[LoanMarket]:
        """One a vault that lends; where a ramp is under way, its LTV now."""
        return [
            LoanMarket((loan,), {id: _terms(each, params, now_s) for id, each in collaterals.items()})
            for loan, collaterals in params.vaults.items()
        ]

    def weighed(self, shared: Shared, position: Position, initial: bool) -> Weighed:
        """In 1e-18 of the unit of account."""
        weights = shared.fixed.weights[position.market]
        return Weighed(
            Fraction(1, WAD),
            [
                (i, mul_div_down(_quote(shared, i, n, shared.oracle_down[i]), weights[i][initial], BPS))
                for i, n in position.pledged
            ],
            [(i, _quote(shared, i, n, shared.oracle_up[i])) for i, n in position.owed],
        )

    def grain_usd(self, shared: Shared, market: int) -> float:
        """Price, quote and product."""
        return 3 / WAD

    def toxic(self, terms: Terms) -> Fraction | float:
        """See the class; here `terms.bonus` is that of the maximum discount."""
        return max(sqrt(terms.maintenance), float(1 / (1 + terms.bonus)))

    def trigger_bonus(self, terms: Terms) -> Fraction:
        """The discount is 0 at the trigger."""
        return Fraction(0)


def _quote(shared: Shared, i: int, atoms: int, price: int) -> int:
    """Quote of an amount at a price in 1e-18 of a coin."""
    return value_down(atoms, price * WAD // shared.coin[i])


def _terms(ltv: Ltv, params: Params, now_s: int) -> Terms:
    borrow, target, start = (int(x * BPS) for x in (ltv.borrow_ltv, ltv.liquidation_ltv, ltv.initial_ltv))
    ramp = Collateral(borrow, target, start, ltv.ramp_end_s, ltv.ramp_duration_s)
    now = liquidation_ltv_bps_down(ramp, max(now_s, ltv.ramp_end_s - ltv.ramp_duration_s))
    bonus = 1 / (1 - Fraction(params.maximum_discount)) - 1
    return Terms(Fraction(now, BPS), Fraction(ltv.borrow_ltv), bonus)
