"""Aave v3's fixed-spread liquidation: close factor, bonus, protocol fee, dust rule, deficit."""

from collections.abc import Sequence

import msgspec

from solvent.domain.quantities import mul_div_down, mul_div_up
from solvent.liquidation.reverted import require
from solvent.margin.rules.aave_v3 import (
    Debt,
    collateral_base_down,
    debt_base_up,
    health_factor_e18_down,
    is_liquidatable,
)
from solvent.pools.fixed_point import BPS, WAD, mul_div_half_up


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Constants of the pool. Defaults are those since v3.3; base currency is 1e-8 USD.

    Source: aave-dao/aave-v3-origin, src/contracts/protocol/libraries/logic/LiquidationLogic.sol.
    """

    close_factor_bps: int = 5000
    """Of the whole debt since v3.3, of the reserve's debt before."""
    full_close_health_e18: int = 95 * WAD // 100
    """At or below it all of a reserve's debt may be repaid."""
    full_close_below_base: int = 2000 * 10**8
    """Collateral or debt of the reserve below it: all may be repaid. 0 before v3.3."""
    leftover_least_base: int = 1000 * 10**8
    """A liquidation leaves none, or this much, of both sides. 0 before v3.3."""
    close_factor_of_reserve: bool = False
    """Before v3.3: the close factor is of the reserve's debt."""


BEFORE_3_3 = Params(full_close_below_base=0, leftover_least_base=0, close_factor_of_reserve=True)


class Seizure(msgspec.Struct, frozen=True):
    """Amounts of one liquidation, atoms."""

    debt_repaid: int
    collateral_to_liquidator: int
    protocol_fee: int


class Outcome(msgspec.Struct, frozen=True):
    """One liquidation in full."""

    health_factor_e18: int
    max_liquidatable: int
    seizure: Seizure
    deficits: tuple[int, ...]
    """Debt written off in each reserve, in the order of the debts."""


class Position(msgspec.Struct, frozen=True):
    """An account before liquidation of one of its collaterals."""

    collateral_balance: int
    collateral_price: int
    collateral_unit: int
    liquidation_threshold_bps: int
    liquidation_bonus_bps: int
    liquidation_protocol_fee_bps: int
    debts: tuple[Debt, ...]
    other_collateral_base: int = 0
    other_weighted_base_bps: int = 0
    """Value of the other collaterals, times their thresholds."""


def close_factor_bps(params: Params, health_e18: int, collateral_base: int, debt_base: int) -> int:
    """Share of debt that one call may repay: whole for small reserves and for deeply unhealthy accounts."""
    small = min(collateral_base, debt_base) < params.full_close_below_base
    return BPS if small or health_e18 <= params.full_close_health_e18 else params.close_factor_bps


def max_liquidatable_base(
    params: Params, health_e18: int, collateral_base: int, debt_base: int, total_debt_base: int
) -> int:
    """The most of a reserve's debt that one call may repay, in base currency.

    Parameters
    ----------
    collateral_base, debt_base : int
        Of the two reserves of the call.
    total_debt_base : int
        Of all reserves.
    """
    factor = close_factor_bps(params, health_e18, collateral_base, debt_base)
    whole = debt_base if params.close_factor_of_reserve else total_debt_base
    return debt_base if factor == BPS else min(debt_base, mul_div_half_up(whole, factor, BPS))


def seizure(position: Position, debt: Debt, debt_to_cover: int) -> Seizure:
    """Collateral for a repayment: bonus down, the repayment for all of a balance up, fee on the bonus up."""
    base = mul_div_down(debt.price * debt_to_cover, position.collateral_unit, position.collateral_price * debt.unit)
    bonus = position.liquidation_bonus_bps
    collateral, repaid = mul_div_down(base, bonus, BPS), debt_to_cover
    if collateral > position.collateral_balance:
        collateral = position.collateral_balance
        value = mul_div_down(position.collateral_price * collateral, debt.unit, debt.price * position.collateral_unit)
        repaid = mul_div_up(value, BPS, bonus)
    excess = collateral - mul_div_down(collateral, BPS, bonus)
    fee = mul_div_up(excess, position.liquidation_protocol_fee_bps, BPS)
    return Seizure(repaid, collateral - fee, fee)


def liquidate(params: Params, position: Position, index: int, debt_to_cover: int | None) -> Outcome:
    """Liquidate one collateral against the debt at `index`.

    Parameters
    ----------
    debt_to_cover : int or None
        Atoms of the debt asset; None for as much as is allowed.

    Raises
    ------
    RevertedError
        HealthFactorNotBelowThreshold for a healthy account; MustNotLeaveDust where less than the least
        leftover would stay on either side.
    """
    debt = position.debts[index]
    held_base = collateral_base_down(position.collateral_balance, position.collateral_price, position.collateral_unit)
    debts_base = [debt_base_up(row.amount, row.price, row.unit) for row in position.debts]
    weighted = held_base * position.liquidation_threshold_bps + position.other_weighted_base_bps
    health = health_factor_e18_down(weighted, sum(debts_base))
    require(is_liquidatable(health), "HealthFactorNotBelowThreshold")
    most_base = max_liquidatable_base(params, health, held_base, debts_base[index], sum(debts_base))
    most = debt.amount if most_base == debts_base[index] else mul_div_down(most_base, debt.unit, debt.price)
    taken = seizure(position, debt, most if debt_to_cover is None else min(debt_to_cover, most))
    _require_no_dust(params, position, debt, taken)
    consumed = taken.collateral_to_liquidator + taken.protocol_fee
    consumed_base = collateral_base_down(consumed, position.collateral_price, position.collateral_unit)
    is_bare = consumed_base == held_base + position.other_collateral_base
    return Outcome(health, most, taken, _deficits(position.debts, index, taken.debt_repaid, is_bare))


def _require_no_dust(params: Params, position: Position, debt: Debt, taken: Seizure) -> None:
    debt_left = debt.amount - taken.debt_repaid
    collateral_left = position.collateral_balance - taken.collateral_to_liquidator - taken.protocol_fee
    if debt_left > 0 and collateral_left > 0:
        least = params.leftover_least_base
        left_base = collateral_base_down(collateral_left, position.collateral_price, position.collateral_unit)
        require(debt_base_up(debt_left, debt.price, debt.unit) >= least and left_base >= least, "MustNotLeaveDust")


def _deficits(debts: Sequence[Debt], index: int, repaid: int, is_bare: bool) -> tuple[int, ...]:
    """What is written off: without collateral left, all debt that was not repaid, in every reserve."""
    if not is_bare:
        return (0,) * len(debts)
    return tuple(row.amount - (repaid if i == index else 0) for i, row in enumerate(debts))
