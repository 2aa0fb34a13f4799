"""Silo's liquidation to a target LTV, whole where little would be left."""

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.liquidation.reverted import require
from solvent.margin.rules.silo_v2 import ltv_e18_up
from solvent.pools.fixed_point import WAD

BAD_DEBT_LTV_E18 = WAD
"""From here on any amount may be repaid."""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Terms of a pair, 1e-18.

    Source: silo-finance/silo-contracts-v2,
    silo-core/contracts/hooks/liquidation/lib/PartialLiquidationLib.sol.
    """

    target_ltv_e18: int
    fee_e18: int
    """Bonus of the liquidator."""
    full_above_e18: int = 9 * WAD // 10
    """A repayment above this share of debt becomes the whole debt."""
    underestimated_atoms: int = 2
    """Taken off a stated maximum: seized collateral passes through shares, rounded down twice."""


class Borrower(msgspec.Struct, frozen=True):
    """One borrower's totals: assets in atoms, values in the oracle's quote."""

    debt_assets: int
    debt_value: int
    collateral_assets: int
    collateral_value: int


def repay_value_most(params: Params, debt_value: int, collateral_value: int) -> int:
    """Repayment that lands on the target LTV.

    x = (D - l C) / (1 - l (1 + f)). 0 already below the target; all debt where collateral does not exceed it,
    the target is 0, l (1 + f) >= 1, or x is above `full_above_e18` of D.
    """
    if debt_value == 0 or params.fee_e18 >= WAD:
        return 0
    target = params.target_ltv_e18
    if debt_value >= collateral_value or target == 0:
        return debt_value
    above = debt_value * WAD - target * collateral_value
    if above <= 0:
        return 0
    seized_per_repaid = target + mul_div_down(target, params.fee_e18, WAD)
    if seized_per_repaid >= WAD:
        return debt_value
    repaid = above // (WAD - seized_per_repaid)
    is_most = repaid > debt_value or mul_div_down(repaid, WAD, debt_value) > params.full_above_e18
    return debt_value if is_most else repaid


def collateral_for(params: Params, repaid: int, collateral: int) -> int:
    """repaid x (1 + fee), at most `collateral`; all three values, or all three assets."""
    return min(repaid + mul_div_down(repaid, params.fee_e18, WAD), collateral)


def by_ratio_down(amount: int, total_to: int, total_from: int) -> int:
    """A part of one total as the same part of another.

    Raises
    ------
    RevertedError
        UnknownRatio where the total is 0.
    """
    require(total_from != 0, "UnknownRatio")
    return mul_div_down(amount, total_to, total_from)


def collateral_assets_for(params: Params, repaid_value: int, assets: int, value: int) -> tuple[int, int]:
    """Collateral assets and value for a repaid value."""
    seized = collateral_for(params, repaid_value, value)
    return (assets, value) if seized == value else (by_ratio_down(seized, assets, value), seized)


def maximum_preview(params: Params, debt_value: int, collateral_value: int) -> tuple[int, int]:
    """Collateral value and repaid value of the largest liquidation."""
    repaid = repay_value_most(params, debt_value, collateral_value)
    return collateral_for(params, repaid, collateral_value), repaid


def maximum_liquidation(params: Params, borrower: Borrower) -> tuple[int, int]:
    """Collateral assets (underestimated) and debt assets of the largest liquidation."""
    seized, repaid = maximum_preview(params, borrower.debt_value, borrower.collateral_value)
    assets = by_ratio_down(seized, borrower.collateral_assets, borrower.collateral_value)
    debt = by_ratio_down(repaid, borrower.debt_assets, borrower.debt_value)
    return max(assets - params.underestimated_atoms, 0), debt


def preview(params: Params, borrower: Borrower, debt_to_cover: int) -> tuple[int, int, int]:
    """One liquidation call.

    Parameters
    ----------
    debt_to_cover : int
        Debt assets that the liquidator would repay at most. A liquidation that must be whole is whole.

    Returns
    -------
    collateral_assets, debt_assets : int
    ltv_after_e18 : int
        Rounded up; 0 where either side is cleared.
    """
    debt_value, debt_assets = borrower.debt_value, borrower.debt_assets
    if ltv_e18_up(debt_value, borrower.collateral_value) >= BAD_DEBT_LTV_E18:
        repaid = min(debt_to_cover, debt_assets)
        repaid_value = by_ratio_down(repaid, debt_value, debt_assets)
    else:
        most = repay_value_most(params, debt_value, borrower.collateral_value)
        if most == debt_value:
            repaid, repaid_value = debt_assets, debt_value
        else:
            repaid = min(debt_to_cover, by_ratio_down(most, debt_assets, debt_value))
            repaid_value = by_ratio_down(repaid, debt_value, debt_assets)
    seized_value = collateral_for(params, repaid_value, borrower.collateral_value)
    seized = by_ratio_down(seized_value, borrower.collateral_assets, borrower.collateral_value)
    debt_left, collateral_left = debt_value - repaid_value, borrower.collateral_value - seized_value
    is_cleared = debt_left <= 0 or collateral_left <= 0
    return seized, repaid, 0 if is_cleared else ltv_e18_up(debt_left, collateral_left)
