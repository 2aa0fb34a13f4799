"""Compound III: one base asset is borrowed against many collaterals, each with two factors.

Numeraire: USD in 1e-8. Equity is positive: the signed base balance plus collateral value. Unsettled profit:
none; interest stands in the present value of principal. Breach is strict: liquidity below 0 at the liquidate
factors. Rounding: every product down, the debt's value toward zero.
Source: compound-finance/comet, contracts/Comet.sol (isLiquidatable, isBorrowCollateralized).
"""

from collections.abc import Iterable

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.pools.fixed_point import WAD, mul_div_to_zero


class Asset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One collateral's factors, 1e-18; borrow < liquidate < liquidation."""

    borrow_collateral_factor_e18: int
    liquidate_collateral_factor_e18: int
    liquidation_factor_e18: int
    """Share of value that an absorbed account is credited."""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Factors by collateral, and the store front's share of the discount."""

    assets: dict[str, Asset] = {}
    store_front_price_factor_e18: int = WAD // 2


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
