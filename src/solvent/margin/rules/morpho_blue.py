"""Morpho Blue: isolated markets of one loan and one collateral asset, one liquidation LTV.

Numeraire: the market's loan asset. Equity is positive: collateral quoted in the loan asset less borrowed
assets. Unsettled profit: none; interest stands in the value of borrow shares. Breach is strict: borrowed above
the maximum borrow. Rounding: borrowed up, maximum borrow down.
Source: morpho-org/morpho-blue, src/Morpho.sol, src/libraries/SharesMathLib.sol, MathLib.sol.
"""

import msgspec

from solvent.domain.quantities import mul_div_down, mul_div_up
from solvent.pools.fixed_point import WAD

PRICE_SCALE = 10**36
"""Prices are loan atoms of one collateral atom in 1e-36."""
VIRTUAL_SHARES = 10**6
VIRTUAL_ASSETS = 1
"""Added to every market's totals so that share prices cannot be inflated."""


class Market(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One market's fixed terms."""

    lltv_e18: int
    """Liquidation loan-to-value."""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Markets by collateral asset."""

    markets: dict[str, Market] = {}


def assets_up(shares: int, total_assets: int, total_shares: int) -> int:
    """Assets of borrow shares, ceiling: what a borrower owes."""
    return mul_div_up(shares, total_assets + VIRTUAL_ASSETS, total_shares + VIRTUAL_SHARES)


def assets_down(shares: int, total_assets: int, total_shares: int) -> int:
    """Assets of shares, floor: what a lender owns."""
    return mul_div_down(shares, total_assets + VIRTUAL_ASSETS, total_shares + VIRTUAL_SHARES)


def shares_up(assets: int, total_assets: int, total_shares: int) -> int:
    """Shares of assets, ceiling."""
    return mul_div_up(assets, total_shares + VIRTUAL_SHARES, total_assets + VIRTUAL_ASSETS)


def shares_down(assets: int, total_assets: int, total_shares: int) -> int:
    """Shares of assets, floor."""
    return mul_div_down(assets, total_shares + VIRTUAL_SHARES, total_assets + VIRTUAL_ASSETS)


def maximum_borrow_down(collateral: int, price_e36: int, lltv_e18: int) -> int:
    """Loan atoms that a collateral bears: quoted down, then times LLTV down."""
    return mul_div_down(mul_div_down(collateral, price_e36, PRICE_SCALE), lltv_e18, WAD)


def is_liquidatable(borrowed: int, collateral: int, price_e36: int, lltv_e18: int) -> bool:
    """Borrowed assets above the maximum borrow, strictly; never without debt."""
    return borrowed > maximum_borrow_down(collateral, price_e36, lltv_e18)
