"""Morpho Blue: isolated markets of one loan and one collateral asset, one liquidation LTV.

Numeraire: the market's loan asset. Equity is positive: collateral quoted in the loan asset less borrowed
assets. Unsettled profit: none; interest stands in the value of borrow shares. Breach is strict: borrowed above
the maximum borrow. Rounding: borrowed up, maximum borrow down.
Source: morpho-org/morpho-blue, src/Morpho.sol, src/libraries/SharesMathLib.sol, MathLib.sol.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.quantities import fraction_down, mul_div_down, mul_div_up
from solvent.margin.rules.kernel_lending import Totals
from solvent.margin.rules.lending import (
    LendingParams,
    LendingRule,
    LoanMarket,
    Position,
    Shared,
    Terms,
    Weighed,
    atom_usd,
    loan_to_value,
)
from solvent.pools.fixed_point import WAD

PRICE_SCALE = 10**36
"""Prices are loan atoms of one collateral atom in 1e-36."""
VIRTUAL_SHARES = 10**6
VIRTUAL_ASSETS = 1
"""Added to every market's totals so that share prices cannot be inflated."""


INCENTIVE_CURSOR_E18 = 3 * WAD // 10
INCENTIVE_MOST_E18 = 115 * WAD // 100
"""Constants of the liquidation incentive. Source: src/libraries/ConstantsLib.sol."""


class Params(LendingParams, frozen=True):
    """By spot id of the loan asset, the LLTV of each collateral by spot id."""

    markets: dict[str, dict[str, Decimal]]


def incentive_factor_e18_down(
    lltv_e18: int, cursor_e18: int = INCENTIVE_CURSOR_E18, maximum_e18: int = INCENTIVE_MOST_E18
) -> int:
    """Collateral seized per debt repaid: min(maximum, 1 / (1 - cursor (1 - LLTV)))."""
    below = WAD - mul_div_down(cursor_e18, WAD - lltv_e18, WAD)
    return min(maximum_e18, mul_div_down(WAD, WAD, below))


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


def price_e36_down(collateral_atom: Fraction, loan_atom: Fraction) -> int:
    """Loan atoms of one collateral atom, 1e-36, from what an atom of each is worth."""
    return fraction_down(collateral_atom / loan_atom, PRICE_SCALE)


class MorphoBlue(LendingRule):
    """The rule; see the module. One LLTV serves borrowing and liquidation."""

    name: ClassVar[str] = "morpho-blue"
    Params: ClassVar[type[msgspec.Struct]] = Params
    isolated: ClassVar[bool] = True
    weight_one: ClassVar[int] = WAD
    weight_names: ClassVar[tuple[str, str]] = ("LLTV", "LLTV")
    ratio_name: ClassVar[str] = "loan-to-value"

    def markets(self, params: Any, now_s: int) -> list[LoanMarket]:
        """Those of one loan asset together: a position has one collateral of them."""
        return [
            LoanMarket((loan,), {id: _terms(lltv) for id, lltv in rows.items()})
            for loan, rows in params.markets.items()
        ]

    def weighed(self, shared: Shared, position: Position, initial: bool) -> Weighed:
        """In loan atoms."""
        (loan, borrowed), weights = position.owed[0], shared.fixed.weights[position.market]
        worth = atom_usd(shared, loan)
        return Weighed(
            worth,
            [
                (i, maximum_borrow_down(n, price_e36_down(atom_usd(shared, i), worth), weights[i][initial]))
                for i, n in position.pledged
            ],
            [(loan, borrowed)],
        )

    def grain_usd(self, shared: Shared, market: int) -> float:
        """Quote, its product with LLTV, and the price: a loan atom each."""
        return max((float(3 * atom_usd(shared, i)) for i, m in shared.fixed.lender.items() if m == market), default=0.0)

    def venue_ratio(self, sums: Totals) -> NDArray[np.float64]:
        """Debt over collateral: liquidatable above LLTV."""
        return loan_to_value(sums)


def _terms(lltv: Decimal) -> Terms:
    factor = Fraction(incentive_factor_e18_down(int(lltv * WAD)), WAD) if 0 <= lltv <= 1 else Fraction(1)
    return Terms(Fraction(lltv), Fraction(lltv), factor - 1)
