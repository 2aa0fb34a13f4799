"""Silo v2: isolated pairs; a borrower's LTV against the collateral silo's liquidation threshold.

Numeraire: the oracle's quote, 1e-18. Equity is positive collateral value less debt value. Unsettled profit:
none. Breach is strict: LTV above the threshold. Rounding: LTV up.
Source: silo-finance/silo-contracts-v2, silo-core/contracts/lib/SiloSolvencyLib.sol, Rounding.sol.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.quantities import mul_div_down, mul_div_up
from solvent.margin.rules.kernel_lending import Totals
from solvent.margin.rules.lending import (
    LendingParams,
    LendingRule,
    LoanMarket,
    Position,
    Shared,
    Terms,
    Weighed,
    loan_to_value,
)
from solvent.pools.fixed_point import UINT256_MAX, WAD


class Silo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One collateral silo, as fractions."""

    maximum_ltv: Decimal
    """Above it nothing more is lent."""
    liquidation_threshold: Decimal
    liquidation_fee: Decimal = Decimal(0)
    """Taken beyond the debt that is repaid."""


class Params(LendingParams, frozen=True):
    """By spot id of the asset that is borrowed, the silos of its collaterals by spot id."""

    silos: dict[str, dict[str, Silo]]


def ltv_e18_up(debt_value: int, collateral_value: int) -> int:
    """Debt over collateral, ceiling; 0 without debt, 2^256 - 1 for debt without collateral."""
    if debt_value == 0:
        return 0
    return UINT256_MAX if collateral_value == 0 else mul_div_up(debt_value, WAD, collateral_value)


def is_liquidatable(ltv_e18: int, liquidation_threshold_e18: int) -> bool:
    """LTV above the threshold, strictly."""
    return ltv_e18 > liquidation_threshold_e18


class SiloV2(LendingRule):
    """The rule; see the module. Values are quoted in USD of 18 decimals, each rounded down."""

    name: ClassVar[str] = "silo-v2"
    Params: ClassVar[type[msgspec.Struct]] = Params
    isolated: ClassVar[bool] = True
    oracle_decimals: ClassVar[int | None] = 18
    weight_one: ClassVar[int] = WAD
    weight_names: ClassVar[tuple[str, str]] = ("liquidation threshold", "maximum LTV")
    ratio_name: ClassVar[str] = "loan-to-value"

    def markets(self, params: Any, now_s: int) -> list[LoanMarket]:
        """Those of one loan asset together: a position has one collateral of them."""
        return [
            LoanMarket((loan,), {id: _terms(each) for id, each in rows.items()}) for loan, rows in params.silos.items()
        ]

    def weighed(self, shared: Shared, position: Position, initial: bool) -> Weighed:
        """In 1e-36 USD."""
        price, unit, weights = shared.oracle_down, shared.coin, shared.fixed.weights[position.market]
        return Weighed(
            Fraction(1, WAD * WAD),
            [(i, mul_div_down(n, price[i], unit[i]) * weights[i][initial]) for i, n in position.pledged],
            [(i, mul_div_down(n, shared.oracle_up[i], unit[i]) * WAD) for i, n in position.owed],
        )

    def grain_usd(self, shared: Shared, market: int) -> float:
        """A quote."""
        return 1 / WAD

    def venue_ratio(self, sums: Totals) -> NDArray[np.float64]:
        """Debt over collateral: liquidatable above the threshold."""
        return loan_to_value(sums)


def _terms(silo: Silo) -> Terms:
    return Terms(Fraction(silo.liquidation_threshold), Fraction(silo.maximum_ltv), Fraction(silo.liquidation_fee))
