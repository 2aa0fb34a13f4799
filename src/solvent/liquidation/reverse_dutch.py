"""Euler's liquidation: the discount is how far health is below 1, so it grows until someone takes it."""

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.liquidation.reverted import require
from solvent.margin.rules.euler_v2 import health_e18_down, is_liquidatable, value_down
from solvent.pools.fixed_point import BPS, WAD


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A vault's terms. Source: euler-xyz/euler-vault-kit, src/EVault/modules/Liquidation.sol."""

    maximum_discount_bps: int = 2000
    socialises_debt: bool = True
    socialised_liability_least: int = 10**6
    """Liability value, in units of account, from which on remaining debt is written off."""


class Violator(msgspec.Struct, frozen=True):
    """An account and the one collateral that is taken; values in the unit of account at mid prices."""

    adjusted_value: int
    """Of all its collaterals, times liquidation LTV."""
    debt: int
    """Atoms."""
    debt_price_e18: int
    collateral_balance: int
    """Atoms of the collateral that is taken."""
    collateral_price_e18: int


def discount_factor_e18(params: Params, health_e18: int) -> int:
    """Price of collateral for a liquidator: health, but not below 1 - maximum discount."""
    return max(health_e18, WAD - params.maximum_discount_bps * (WAD // BPS))


def maximum_liquidation(params: Params, violator: Violator) -> tuple[int, int]:
    """The most that can be repaid, and the collateral given for it, atoms.

    (0, 0) for a healthy account; worthless collateral is given for nothing.
    """
    liability = value_down(violator.debt, violator.debt_price_e18)
    if violator.debt == 0 or not is_liquidatable(violator.adjusted_value, liability):
        return 0, 0
    balance = violator.collateral_balance
    value = value_down(balance, violator.collateral_price_e18)
    if value == 0:
        return 0, balance
    if liability == 0:
        return 0, 0
    factor = discount_factor_e18(params, health_e18_down(violator.adjusted_value, liability))
    repay_value, yield_value = liability, mul_div_down(liability, WAD, factor)
    if value < yield_value:
        repay_value, yield_value = mul_div_down(value, factor, WAD), value
    return mul_div_down(repay_value, violator.debt, liability), mul_div_down(yield_value, balance, value)


def partial_yield_down(maximum_repay: int, maximum_yield: int, repay: int) -> int:
    """Collateral for repaying less than the most.

    Raises
    ------
    RevertedError
        ExcessiveRepayAmount above the most.
    """
    require(repay <= maximum_repay, "ExcessiveRepayAmount")
    return maximum_yield if maximum_repay == 0 else mul_div_down(repay, maximum_yield, maximum_repay)


def is_socialised(params: Params, liability_value: int, debt: int, repaid: int, has_collateral: bool) -> bool:
    """Whether the rest of a debt is written off to the vault's depositors.

    Parameters
    ----------
    liability_value : int
        Before the liquidation, units of account.
    has_collateral : bool
        Whether any recognised collateral is left afterwards.
    """
    return (
        params.socialises_debt
        and liability_value >= params.socialised_liability_least
        and debt > repaid
        and not has_collateral
    )
