"""Aave v3: health factor over all reserves of one account.

Numeraire: the oracle's base currency, 1e-8 USD. Equity is positive collateral value less debt value.
Unsettled profit: none; interest stands in the balances. Breach is strict: health factor below 1e18.
Rounding: collateral value down, debt value up, health factor down (since 3.5).
Source: aave-dao/aave-v3-origin, src/contracts/protocol/libraries/logic/GenericLogic.sol.
"""

from collections.abc import Iterable

import msgspec

from solvent.domain.quantities import mul_div_down, mul_div_up
from solvent.pools.fixed_point import BPS, UINT256_MAX, WAD

HEALTH_ONE_E18 = WAD


class Reserve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one asset is worth as collateral, in basis points."""

    ltv_bps: int = 0
    """Borrowing power; 0 for an asset that backs no new debt."""
    liquidation_threshold_bps: int = 0
    liquidation_bonus_bps: int = BPS
    """10,000 is no bonus, 10,500 is 5 %."""
    liquidation_protocol_fee_bps: int = 0
    """Share of the bonus that the treasury keeps."""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reserves by asset."""

    reserves: dict[str, Reserve] = {}


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
