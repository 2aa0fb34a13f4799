"""Liquity v2's split of a liquidated trove: pool, other troves, liquidator, and surplus to the owner."""

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.pools.fixed_point import WAD


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One branch. Source: liquity/bold, contracts/src/TroveManager.sol, Dependencies/Constants.sol."""

    penalty_pool_e18: int = 5 * WAD // 100
    penalty_redistribution_e18: int = WAD // 10
    """20 % for the branches of staked ether."""
    gas_compensation_divisor: int = 200
    gas_compensation_most: int = 2 * WAD
    """Collateral, 1e-18."""


class Split(msgspec.Struct, frozen=True):
    """Where debt and collateral of a trove went, 1e-18; both add up to the trove's."""

    debt_offset: int
    debt_redistributed: int
    collateral_to_pool: int
    collateral_redistributed: int
    gas_compensation: int
    surplus: int
    """To the owner."""


def seized_and_surplus(collateral: int, debt: int, penalty_e18: int, price_e18: int) -> tuple[int, int]:
    """Collateral worth debt x (1 + penalty), as far as there is, and what is left of it."""
    seized = min(collateral, mul_div_down(debt, WAD + penalty_e18, price_e18))
    return seized, collateral - seized


def split(params: Params, debt: int, collateral: int, pool: int, price_e18: int) -> Split:
    """Close a trove.

    Parameters
    ----------
    pool : int
        Deposits that can absorb debt: the pool's total less the least that stays in it.
    price_e18 : int
        Stablecoin of one collateral.

    Notes
    -----
    Gas compensation is on the part that the pool absorbs; the surplus of that part can be eaten up by the
    redistribution penalty (_getOffsetAndRedistributionVals).
    """
    offset = min(debt, pool)
    portion = mul_div_down(collateral, offset, debt)
    compensation = min(portion // params.gas_compensation_divisor, params.gas_compensation_most)
    to_pool, surplus = seized_and_surplus(portion - compensation, offset, params.penalty_pool_e18, price_e18)
    redistributed = 0
    if debt > offset and collateral > portion:
        redistributed, surplus = seized_and_surplus(
            collateral - portion + surplus, debt - offset, params.penalty_redistribution_e18, price_e18
        )
    return Split(offset, debt - offset, to_pool, redistributed, compensation, surplus)
