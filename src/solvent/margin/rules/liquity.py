"""Liquity v1 and v2: a trove's collateral ratio, and the system's.

Numeraire: the stablecoin at one USD, 1e-18. Equity is positive: collateral x price less debt. Unsettled
profit: none; pending redistributions stand in collateral and debt. Breach is strict: collateral ratio below
MCR; v1 in recovery mode also below the system's ratio. Rounding: ratios down.
Source: liquity/dev, packages/contracts/contracts/TroveManager.sol; liquity/bold, contracts/src.
"""

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.pools.fixed_point import UINT256_MAX, WAD


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ratios in 1e-18. Defaults are v2's WETH branch; v1 has MCR 110 %, CCR 150 % and recovery mode."""

    mcr_e18: int = 110 * WAD // 100
    """Minimum collateral ratio: 120 % for v2's staked-ether branches."""
    ccr_e18: int = 150 * WAD // 100
    """Below it the system takes no new debt (v2), or is in recovery mode (v1)."""
    scr_e18: int = 110 * WAD // 100
    """v2: below it the branch shuts down."""
    has_recovery_mode: bool = False
    """v1: below the critical ratio troves under the system's ratio can be liquidated."""
    minimum_debt: int = 2000 * WAD


def collateral_ratio_e18_down(collateral: int, debt: int, price_e18: int) -> int:
    """collateral x price / debt; 2^256 - 1 without debt."""
    return UINT256_MAX if debt == 0 else mul_div_down(collateral, price_e18, debt)


def is_liquidatable(params: Params, ratio_e18: int, system_ratio_e18: int, debt: int, pool: int) -> bool:
    """Whether a trove can be closed now.

    Parameters
    ----------
    ratio_e18, system_ratio_e18 : int
        Collateral ratios of the trove and of the whole system.
    debt, pool : int
        The trove's debt and what the stability pool can absorb: in recovery mode a trove above MCR is taken
        only where the pool covers it whole.
    """
    if ratio_e18 < params.mcr_e18:
        return True
    in_recovery = params.has_recovery_mode and system_ratio_e18 < params.ccr_e18
    return in_recovery and ratio_e18 < system_ratio_e18 and debt <= pool
