"""Compound III's two steps: the protocol absorbs an account whole, then sells what it seized at a discount."""

from collections.abc import Iterable

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.pools.fixed_point import WAD


class Seized(msgspec.Struct, frozen=True):
    """One collateral of an absorbed account."""

    amount: int
    """Atoms."""
    price: int
    """1e-8 USD of one unit."""
    scale: int
    """Atoms of one unit."""
    liquidation_factor_e18: int


def credit_down(seized: Iterable[Seized], base_price: int, base_scale: int) -> int:
    """Base atoms that an absorbed account is credited: sum of value x liquidation factor over base price."""
    value = sum(
        mul_div_down(mul_div_down(row.amount, row.price, row.scale), row.liquidation_factor_e18, WAD) for row in seized
    )
    return mul_div_down(value, base_scale, base_price)


def absorb(balance: int, seized: Iterable[Seized], base_price: int, base_scale: int) -> tuple[int, int]:
    """Take all collateral of a liquidatable account.

    Parameters
    ----------
    balance : int
        Signed base balance before, negative for debt.

    Returns
    -------
    balance : int
        After: credited, never below 0.
    base_paid_out : int
        What reserves lost on the account: the rise of its balance. The collateral is theirs now.

    Notes
    -----
    Source: compound-finance/comet, contracts/Comet.sol (absorbInternal).
    """
    after = max(balance + credit_down(seized, base_price, base_scale), 0)
    return after, after - balance


def discounted_price_down(price: int, liquidation_factor_e18: int, store_front_factor_e18: int) -> int:
    """Price at which seized collateral is sold: less store-front factor x (1 - liquidation factor)."""
    discount = mul_div_down(store_front_factor_e18, WAD - liquidation_factor_e18, WAD)
    return mul_div_down(price, WAD - discount, WAD)


def quote_collateral_down(base_amount: int, base_price: int, base_scale: int, discounted_price: int, scale: int) -> int:
    """Collateral atoms that `base_amount` buys (Comet.quoteCollateral)."""
    return base_price * base_amount * scale // discounted_price // base_scale


def sells_collateral(reserves: int, target_reserves: int) -> bool:
    """Collateral is for sale only while base reserves are below their target."""
    return reserves < target_reserves
