"""Silo v2: isolated pairs; a borrower's LTV against the collateral silo's liquidation threshold.

Numeraire: the oracle's quote, 1e-18. Equity is positive collateral value less debt value. Unsettled profit:
none. Breach is strict: LTV above the threshold. Rounding: LTV up.
Source: silo-finance/silo-contracts-v2, silo-core/contracts/lib/SiloSolvencyLib.sol, Rounding.sol.
"""

import msgspec

from solvent.domain.quantities import mul_div_up
from solvent.pools.fixed_point import UINT256_MAX, WAD


class Silo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One collateral silo, 1e-18."""

    maximum_ltv_e18: int
    """Above it nothing more is lent."""
    liquidation_threshold_e18: int
    liquidation_target_ltv_e18: int
    """LTV that a partial liquidation restores, typically 0.9 of the threshold."""
    liquidation_fee_e18: int


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Silos by collateral asset."""

    silos: dict[str, Silo] = {}


def ltv_e18_up(debt_value: int, collateral_value: int) -> int:
    """Debt over collateral, ceiling; 0 without debt, 2^256 - 1 for debt without collateral."""
    if debt_value == 0:
        return 0
    return UINT256_MAX if collateral_value == 0 else mul_div_up(debt_value, WAD, collateral_value)


def is_liquidatable(ltv_e18: int, liquidation_threshold_e18: int) -> bool:
    """LTV above the threshold, strictly."""
    return ltv_e18 > liquidation_threshold_e18
