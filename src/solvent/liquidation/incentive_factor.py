"""Morpho's liquidation with an incentive factor set by LLTV, its bad debt, and the pre-liquidation add-on."""

import msgspec

from solvent.domain.quantities import mul_div_down, mul_div_up
from solvent.liquidation.reverted import require
from solvent.margin.rules import morpho_blue
from solvent.margin.rules.morpho_blue import PRICE_SCALE, assets_down, assets_up, shares_up
from solvent.pools.fixed_point import WAD


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Constants. Source: morpho-org/morpho-blue, src/libraries/ConstantsLib.sol."""

    cursor_e18: int = morpho_blue.INCENTIVE_CURSOR_E18
    maximum_factor_e18: int = morpho_blue.INCENTIVE_MOST_E18


class PreLiquidation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Terms that a borrower accepts ahead of LLTV; factors run linearly from the first to the second LTV.

    Source: morpho-org/pre-liquidation, src/PreLiquidation.sol.
    """

    pre_lltv_e18: int
    lltv_e18: int
    close_factor_first_e18: int
    close_factor_last_e18: int
    incentive_factor_first_e18: int = WAD
    incentive_factor_last_e18: int = WAD
    """At most 1 / LLTV."""


class Market(msgspec.Struct, frozen=True):
    """A market's borrow totals, and the price of collateral in 1e-36 loan atoms of one atom."""

    borrow_assets: int
    borrow_shares: int
    price_e36: int


def incentive_factor_e18_down(params: Params, lltv_e18: int) -> int:
    """min(maximum, 1 / (1 - cursor (1 - LLTV)))."""
    return morpho_blue.incentive_factor_e18_down(lltv_e18, params.cursor_e18, params.maximum_factor_e18)


def seized_for_shares(market: Market, factor_e18: int, repaid_shares: int) -> tuple[int, int]:
    """Collateral seized (down) and loan assets repaid (up) for a number of borrow shares."""
    assets = assets_down(repaid_shares, market.borrow_assets, market.borrow_shares)
    seized = mul_div_down(mul_div_down(assets, factor_e18, WAD), PRICE_SCALE, market.price_e36)
    return seized, assets_up(repaid_shares, market.borrow_assets, market.borrow_shares)


def shares_for_seized(market: Market, factor_e18: int, seized: int) -> tuple[int, int]:
    """Borrow shares and loan assets to repay for an amount of collateral, both up."""
    quoted = mul_div_up(seized, market.price_e36, PRICE_SCALE)
    shares = shares_up(mul_div_up(quoted, WAD, factor_e18), market.borrow_assets, market.borrow_shares)
    return shares, assets_up(shares, market.borrow_assets, market.borrow_shares)


def bad_debt(market: Market, collateral_left: int, shares_left: int) -> int:
    """Loan assets written off to the lenders: all that is left once collateral is 0."""
    if collateral_left > 0:
        return 0
    owed = assets_up(shares_left, market.borrow_assets, market.borrow_shares)
    return min(market.borrow_assets, owed)


def pre_liquidation_factors_e18(terms: PreLiquidation, ltv_e18: int) -> tuple[int, int]:
    """Incentive factor and close factor at an LTV between the two.

    Raises
    ------
    RevertedError
        NotPreLiquidatablePosition at or below the first LTV, LiquidatablePosition above LLTV.
    """
    require(ltv_e18 <= terms.lltv_e18, "LiquidatablePosition")
    require(ltv_e18 > terms.pre_lltv_e18, "NotPreLiquidatablePosition")
    part = mul_div_down(ltv_e18 - terms.pre_lltv_e18, WAD, terms.lltv_e18 - terms.pre_lltv_e18)

    def between(first: int, last: int) -> int:
        return first + mul_div_down(part, last - first, WAD)

    return (
        between(terms.incentive_factor_first_e18, terms.incentive_factor_last_e18),
        between(terms.close_factor_first_e18, terms.close_factor_last_e18),
    )
