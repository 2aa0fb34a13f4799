"""Euler v2: a vault's borrower against up to ten collateral vaults, borrow and liquidation LTV apart.

Numeraire: the vault's unit of account, 18 decimals. Equity is positive collateral value less liability value.
Unsettled profit: none. Breach is not strict: adjusted collateral at or below liability value (mid prices).
Rounding: every quote and every LTV product down.
Source: euler-xyz/euler-vault-kit, src/EVault/shared/LiquidityUtils.sol, shared/types/LTVConfig.sol.
"""

from collections.abc import Iterable

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.pools.fixed_point import BPS, WAD


class Collateral(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """LTV of one collateral vault, basis points."""

    borrow_ltv_bps: int
    liquidation_ltv_bps: int
    """Target of the ramp."""
    initial_ltv_bps: int = 0
    """Liquidation LTV at the start of the ramp."""
    ramp_end_s: int = 0
    ramp_duration_s: int = 0


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Collaterals by asset, and the most that a liquidator is given off."""

    collaterals: dict[str, Collateral] = {}
    maximum_discount_bps: int = 2000


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
