"""Aave v4's liquidation to a target health factor, with a bonus that grows as health falls."""

import msgspec

from solvent.domain.quantities import mul_div_down, mul_div_up
from solvent.liquidation.reverted import require
from solvent.pools.fixed_point import BPS, WAD


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A spoke's liquidation terms.

    Source: aave/aave-v4, src/spoke/libraries/LiquidationLogic.sol, src/spoke/interfaces/ISpoke.sol.
    """

    target_health_factor_e18: int = WAD
    """Health that a liquidation restores, at least 1e18."""
    health_factor_for_max_bonus_e18: int = 8 * WAD // 10
    """At or below it the bonus is the reserve's maximum."""
    bonus_factor_bps: int = 5000
    """Share of the maximum bonus at a health factor of 1."""
    dust_value: int = 1000 * 10**26
    """Value that a liquidation leaves at least, or none, on both sides: 1e-18 of the price's unit."""


class Reserves(msgspec.Struct, frozen=True):
    """The pair of reserves of one call; prices in one unit, units in atoms of one whole."""

    collateral_balance: int
    collateral_price: int
    collateral_unit: int
    debt_balance: int
    debt_price: int
    debt_unit: int
    collateral_factor_bps: int
    maximum_bonus_bps: int
    """10,000 is no bonus."""
    fee_bps: int
    """Share of the bonus that the protocol keeps."""


class Amounts(msgspec.Struct, frozen=True):
    """Atoms that one liquidation moves."""

    debt: int
    collateral: int
    to_liquidator: int


def bonus_bps_down(params: Params, health_e18: int, maximum_bonus_bps: int) -> int:
    """Linear from the least bonus at health 1 to the maximum at `health_factor_for_max_bonus_e18`."""
    highest_at = params.health_factor_for_max_bonus_e18
    if health_e18 <= highest_at:
        return maximum_bonus_bps
    least = mul_div_down(maximum_bonus_bps - BPS, params.bonus_factor_bps, BPS) + BPS
    return least + mul_div_down(maximum_bonus_bps - least, WAD - health_e18, WAD - highest_at)


def debt_to_target_up(
    total_debt_value: int,
    health_e18: int,
    target_e18: int,
    bonus_bps: int,
    collateral_factor_bps: int,
    debt_price: int,
    debt_unit: int,
) -> int:
    """Debt atoms whose repayment brings health to the target.

    total debt x (target - health) / (target - bonus x collateral factor) / price.

    Parameters
    ----------
    total_debt_value : int
        Of all reserves, 1e-18 of the price's unit.

    Notes
    -----
    bonus x collateral factor stays below 1 (the spoke's configuration check), the target at or above 1.
    """
    penalty = mul_div_up(bonus_bps * (WAD // BPS), collateral_factor_bps, BPS)
    return mul_div_up(
        total_debt_value, debt_unit * (target_e18 - health_e18), (target_e18 - penalty) * debt_price * WAD
    )


def debt_to_liquidate(
    params: Params, reserves: Reserves, debt_to_cover: int, total_debt_value: int, health_e18: int, bonus: int
) -> int:
    """The least of balance, wish and debt to target; the whole balance where dust would stay."""
    target = debt_to_target_up(
        total_debt_value,
        health_e18,
        params.target_health_factor_e18,
        bonus,
        reserves.collateral_factor_bps,
        reserves.debt_price,
        reserves.debt_unit,
    )
    balance = reserves.debt_balance
    debt = min(balance, debt_to_cover, target)
    left = mul_div_down(balance - debt, reserves.debt_price * WAD, reserves.debt_unit)
    return balance if debt < balance and left < params.dust_value else debt


def liquidation_amounts(
    params: Params, reserves: Reserves, debt_to_cover: int, total_debt_value: int, health_e18: int
) -> Amounts:
    """What one call repays and seizes.

    Clearing the side that would be dust overrides the target.

    Raises
    ------
    RevertedError
        MustNotLeaveDust where the wish is below what must be repaid to leave no dust.
    """
    bonus = bonus_bps_down(params, health_e18, reserves.maximum_bonus_bps)
    debt = debt_to_liquidate(params, reserves, debt_to_cover, total_debt_value, health_e18, bonus)
    per_debt = reserves.debt_price * reserves.collateral_unit * bonus
    per_collateral = reserves.debt_unit * reserves.collateral_price * BPS
    collateral, balance = mul_div_down(debt, per_debt, per_collateral), reserves.collateral_balance
    left = mul_div_down(max(balance - collateral, 0), reserves.collateral_price * WAD, reserves.collateral_unit)
    leaves_dust = collateral < balance and left < params.dust_value
    if collateral > balance or (leaves_dust and debt < reserves.debt_balance):
        collateral = balance
        debt = mul_div_up(collateral, per_collateral, per_debt)
    require(debt_to_cover >= debt, "MustNotLeaveDust")
    fee = mul_div_down(collateral, reserves.fee_bps * (bonus - BPS), bonus * BPS)
    return Amounts(debt, collateral, collateral - fee)
