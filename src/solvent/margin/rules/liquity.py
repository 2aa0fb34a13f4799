"""Liquity v1 and v2: a trove's collateral ratio, and the system's.

Numeraire: the stablecoin at one USD, 1e-18. Equity is positive: collateral x price less debt. Unsettled
profit: none; pending redistributions stand in collateral and debt. Breach is strict: collateral ratio below
MCR; v1 in recovery mode also below the system's ratio. Rounding: ratios down.
Source: liquity/dev, packages/contracts/contracts/TroveManager.sol; liquity/bold, contracts/src.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.quantities import mul_div_down
from solvent.errors import Problem, problem
from solvent.margin.rules.kernel_lending import Totals
from solvent.margin.rules.lending import (
    LendingParams,
    LendingRule,
    LoanMarket,
    Position,
    Shared,
    Terms,
    Weighed,
    collateral_ratio,
    wad_down,
    wad_up,
)
from solvent.pools.fixed_point import UINT256_MAX, WAD

GAS_COMPENSATION = Fraction(1, 200)
"""Share of a liquidated trove's collateral that the caller keeps."""


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


class Branch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One collateral."""

    minimum_ratio: Decimal
    """MCR: 1.1 for 110 %."""
    critical_ratio: Decimal = Decimal("1.5")
    """CCR."""
    liquidation_penalty: Decimal = Decimal(0)
    """v2: what the stability pool takes beyond the debt; the rest stays the owner's. v1 takes the whole trove."""


class ParamsV2(LendingParams, frozen=True):
    """Branches by spot id; a trove is of one of them."""

    branches: dict[str, Branch]
    stablecoins: tuple[str, ...] = ("BOLD",)
    """Spot ids that troves owe, at one USD."""


class ParamsV1(LendingParams, frozen=True):
    """As v2, and what says whether the system is in recovery mode."""

    branches: dict[str, Branch]
    stablecoins: tuple[str, ...] = ("LUSD",)
    system_ratio: Decimal | None = None
    """Collateral ratio of the whole system; below CCR it is in recovery mode. None: it is not."""
    stability_pool: Decimal = Decimal(0)
    """What the stability pool holds: in recovery mode a trove above MCR is taken only where that covers it."""


class LiquityV2(LendingRule):
    """The rule of v2; see the module. A branch below CCR takes no new debt: the caller of `check` knows that."""

    name: ClassVar[str] = "liquity-v2"
    Params: ClassVar[type[msgspec.Struct]] = ParamsV2
    isolated: ClassVar[bool] = True
    pegged: ClassVar[bool] = True
    oracle_decimals: ClassVar[int | None] = 18
    weight_one: ClassVar[int] = WAD
    weight_names: ClassVar[tuple[str, str]] = ("1/MCR", "1/MCR")
    ratio_name: ClassVar[str] = "individual collateral ratio"

    def check_own(self, params: Any) -> list[Problem]:
        """Ratios of at least 100 %, the critical one not below the minimum."""
        return [
            problem("policy margin", None, f"branches.{id}", f"{x.minimum_ratio}, {x.critical_ratio}",
                    "1 <= minimum_ratio <= critical_ratio")
            for id, x in params.branches.items()
            if not 1 <= x.minimum_ratio <= x.critical_ratio
        ]  # fmt: skip

    def markets(self, params: Any, now_s: int) -> list[LoanMarket]:
        """The stablecoin against each branch."""
        return [LoanMarket(params.stablecoins, {id: self._terms(x, params) for id, x in params.branches.items()})]

    def _terms(self, branch: Branch, params: Any) -> Terms:
        weight = 1 / Fraction(branch.minimum_ratio)
        return Terms(weight, weight, Fraction(branch.liquidation_penalty) + GAS_COMPENSATION)

    def weight(self, fraction: Fraction) -> Fraction:
        """A ratio."""
        return self.weight_one / fraction

    def trigger_bonus(self, terms: Terms) -> Fraction:
        """The gas compensation is of collateral, which the owner's surplus pays first."""
        return terms.bonus - GAS_COMPENSATION

    def least_ratio_e18(self, shared: Shared, position: Position, initial: bool) -> int:
        """Ratio below which a trove is liquidated, or not opened."""
        return shared.fixed.weights[position.market][position.pledged[0][0]][initial] if position.pledged else WAD

    def weighed(self, shared: Shared, position: Position, initial: bool) -> Weighed:
        """In 1e-18 USD over the least ratio: ICR below it exactly where collateral x price is below debt x ratio."""
        least = self.least_ratio_e18(shared, position, initial)
        return Weighed(
            Fraction(1, WAD * least),
            [(i, wad_down(shared, i, n) * shared.oracle_down[i]) for i, n in position.pledged],
            [(i, wad_up(shared, i, n) * least) for i, n in position.owed],
        )

    def grain_usd(self, shared: Shared, market: int) -> float:
        """A wad where a token has more decimals."""
        return 2 / WAD

    def venue_ratio(self, sums: Totals) -> NDArray[np.float64]:
        """Collateral over debt: liquidatable below MCR."""
        return collateral_ratio(sums)


class LiquityV1(LiquityV2):
    """The rule of v1; see the module. In recovery mode a trove is opened at CCR, and taken below the system's ratio."""

    name: ClassVar[str] = "liquity-v1"
    Params: ClassVar[type[msgspec.Struct]] = ParamsV1
    weight_names: ClassVar[tuple[str, str]] = ("1/MCR", "1/MCR (CCR in recovery mode)")

    def check_own(self, params: Any) -> list[Problem]:
        """As v2, a ratio of the system above 0."""
        found = super().check_own(params)
        if params.system_ratio is not None and params.system_ratio <= 0:
            found.append(problem("policy margin", None, "system_ratio", str(params.system_ratio), "above 0"))
        return found

    def _terms(self, branch: Branch, params: Any) -> Terms:
        recovers = recovery_ratio(branch, params) is not None
        most = branch.critical_ratio if recovers else branch.minimum_ratio
        return Terms(1 / Fraction(branch.minimum_ratio), 1 / Fraction(most), GAS_COMPENSATION)

    def least_ratio_e18(self, shared: Shared, position: Position, initial: bool) -> int:
        """In recovery mode the system's ratio, where that is more and the pool covers the debt."""
        least = super().least_ratio_e18(shared, position, initial)
        if initial or not position.pledged:
            return least
        params = shared.fixed.params
        system = recovery_ratio(params.branches[shared.fixed.universe[position.pledged[0][0]].id], params)
        debt = sum(wad_up(shared, i, n) for i, n in position.owed)
        return least if system is None or debt > params.stability_pool * WAD else max(least, int(system * WAD))

    def reweighed(self, shared: Shared, sums: Totals) -> Totals:
        """The same of a book."""
        fixed, params = shared.fixed, shared.fixed.params
        maintenance, band = sums.maintenance, sums.band
        pool = float(params.stability_pool)
        for i in fixed.alone:
            branch = params.branches[fixed.universe[i].id]
            system = recovery_ratio(branch, params)
            if system is None:
                continue
            mine = (sums.asset == i) & (sums.market >= 0)
            least = float(max(system, branch.minimum_ratio))
            maintenance = np.where(mine & (sums.owed <= pool), sums.pledged / least, maintenance)
            band = np.where(mine & (np.abs(sums.owed - pool) <= band), np.inf, band)
        return sums._replace(maintenance=maintenance, band=band)


def recovery_ratio(branch: Branch, params: ParamsV1) -> Decimal | None:
    """The system's ratio where it is in recovery mode, in whole 1e-18."""
    ratio = params.system_ratio
    return None if ratio is None or ratio >= branch.critical_ratio else Decimal(int(ratio * WAD)) / WAD
