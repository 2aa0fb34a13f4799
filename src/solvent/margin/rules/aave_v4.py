"""Aave v4: health factor of a spoke's account, collateral factors weighted by value.

Numeraire: USD in 1e-26 (a price of 1e-8 times an amount of 1e-18). Equity is positive collateral value less
debt value. Unsettled profit: none; drawn and premium debt stand in the balances. Breach is strict: health
factor below 1e18. Rounding: collateral value down, debt value up, health factor down.
Source: aave/aave-v4, src/spoke/Spoke.sol (_processUserAccountData).
"""

from collections.abc import Iterable

import msgspec

from solvent.domain.quantities import mul_div_down, mul_div_up
from solvent.pools.fixed_point import BPS, UINT256_MAX, WAD

HEALTH_ONE_E18 = WAD


class Reserve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reserve of a spoke, in basis points."""

    collateral_factor_bps: int
    maximum_bonus_bps: int = BPS
    """10,000 is no bonus; times the collateral factor it stays below 100 %."""
    liquidation_fee_bps: int = 0
    """Share of the bonus that the protocol keeps."""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reserves by asset."""

    reserves: dict[str, Reserve] = {}


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
