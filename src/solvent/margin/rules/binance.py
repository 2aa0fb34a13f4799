"""Binance: maintenance brackets of USD-margined futures, and the unified maintenance ratio of portfolio margin.

Numeraire: USD(T). Equity is wallet balance plus unrealised profit, which counts in full. Breach: cross margin
is liquidated iff margin balance < maintenance margin (strict); portfolio margin iff uniMMR <= 1.05. Rounding:
reals. Unpublished: how collateral rates change with size in portfolio margin.
As a Statement (portfolio margin): MM = equity - adjusted equity + 1.05 maintenance, so that equity <= MM iff uniMMR
<= 1.05; IM the same at the level that blocks new risk, 1.2. Without positions MM is 0 unless adjusted equity is
negative. An asset's equity is its balance with the unsettled profit that is paid in it.
Source: Binance "Leverage and margin of USD-M futures" and "Portfolio margin" pages; brackets of BTCUSDT, 2025.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from solvent.domain.universe import LINEAR, Universe
from solvent.errors import Problem
from solvent.margin.rules.brackets import (
    Bracket,
    BracketTable,
    Tiers,
    bracket_of,
    charge,
    check_brackets,
    deductions,
    from_uppers,
)
from solvent.margin.rules.rows import Held, found_in
from solvent.margin.rules.venue import (
    F64,
    Addend,
    Addends,
    Block,
    Figures,
    PreparedVenue,
    VenueRule,
    check_rates,
    checked,
    listed_rates,
    required_addends,
    required_margin,
    total,
    unlisted,
)

UNPUBLISHED = ("collateral rates by size in portfolio margin",)

BTCUSDT_BRACKETS = from_uppers(
    (5e4, 2.5e5, 1e6, 1e7, 2e7, 5e7, 1e8, 2e8, 3e8, 5e8),
    (0.004, 0.005, 0.01, 0.025, 0.05, 0.1, 0.125, 0.15, 0.25, 0.5),
)


class PortfolioParams(msgspec.Struct, frozen=True):
    """Levels of the unified maintenance ratio."""

    warning: float = 1.5
    block: float = 1.2
    """No new borrowing or orders that add risk at or below this."""
    liquidation: float = 1.05


class Holding(msgspec.Struct, frozen=True):
    """Equity in one asset, signed, USD, and its collateral rate."""

    equity_usd: float
    collateral_rate: float


def maintenance_margin(notional_usd: float, brackets: Sequence[Bracket]) -> float:
    """Maintenance margin of one position: marginal rates by notional."""
    return charge(notional_usd, brackets)


def unified_maintenance_ratio(holdings: Iterable[Holding], maintenance_usd: float) -> float:
    """uniMMR = sum min(equity rate, equity) / maintenance; +inf where nothing is required of a solvent account.

    A debt counts in full, since its product with the rate is the higher of the two.
    """
    adjusted = sum(min(each.equity_usd * each.collateral_rate, each.equity_usd) for each in holdings)
    if maintenance_usd == 0:
        return float("inf") if adjusted >= 0 else float("-inf")
    return adjusted / maintenance_usd


def portfolio_state(ratio: float, params: PortfolioParams) -> str:
    """`normal`, `warning`, `blocked` or `liquidation`."""
    if ratio <= params.liquidation:
        return "liquidation"
    if ratio <= params.block:
        return "blocked"
    return "warning" if ratio <= params.warning else "normal"


def cross_liquidation_price(
    equity: float, size: float, mark: float, maintenance_rate: float, other_maintenance: float, deduction: float = 0.0
) -> float:
    """Price at which equity meets the maintenance margin of this and all other positions, the rest unchanged.

    Solves equity + size (P - mark) = |size| P rate - deduction + other maintenance.

    Parameters
    ----------
    equity : of the whole cross account at `mark`.
    size : signed.
    maintenance_rate, deduction : of the bracket that holds the position at the answer.
    other_maintenance : maintenance margin of all other positions.
    """
    return (mark * size - equity + other_maintenance - deduction) / (size - abs(size) * maintenance_rate)


def bracketed_liquidation_price(
    equity: float, size: float, mark: float, brackets: Sequence[Bracket], other_maintenance: float
) -> float | None:
    """The same over all brackets: the nearest positive price whose own bracket holds the position there."""
    found = []
    for index, (bracket, deduction) in enumerate(zip(brackets, deductions(brackets), strict=True)):
        price = cross_liquidation_price(equity, size, mark, bracket.rate, other_maintenance, deduction)
        if price > 0 and bracket_of(abs(size) * price, brackets) == index:
            found.append(price)
    return min(found, key=lambda price: abs(price - mark), default=None)


class BinanceParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Brackets by instrument id or underlying, `*` for all others; collateral rates by asset."""

    markets: Mapping[str, Tiers]
    collateral_rates: Mapping[str, float]
    liquidation: float = 1.05
    block: float = 1.2
    """Levels of the unified maintenance ratio."""


class PreparedBinance(PreparedVenue):
    """The rule at one market."""

    strict = False
    ratio_name = "uniMMR"

    def build(self) -> None:
        """Brackets of each contract."""
        self.brackets = {
            i: found_in(self.params.markets, each).brackets
            for i, each in enumerate(self.universe)
            if self.universe.terms.form[i] == LINEAR and i not in self.missing
        }
        self.table = BracketTable.of(len(self.universe), self.brackets)

    def weights(self) -> F64:
        """Collateral rates."""
        return listed_rates(self.universe, self.params.collateral_rates)

    def figures(self, block: Block) -> Figures:
        """Margins and uniMMR of a block of accounts."""
        rows = block.rows
        size = np.abs(rows.lots) * self.notional[rows.instrument]
        maintenance = rows.total(self.table.charge(size, rows.instrument))
        adjusted = block.equity - self.haircuts(block)
        found = required_margin(block, adjusted, self.params.liquidation * maintenance)
        initial = block.equity - adjusted + self.params.block * maintenance
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(maintenance > 0, adjusted / maintenance, np.where(adjusted >= 0, np.inf, -np.inf))
        return Figures(np.maximum(initial, found.maintenance), found.maintenance, maintenance, ratio, slack=found.slack)

    def addends(self, held: Held) -> Addends:
        """Haircuts, and each contract's maintenance margin at the level of the ratio."""
        equity, haircuts = self.value_addends(held), self.haircut_addends(held)
        margins = [
            (self.universe[i].id, Fraction(maintenance_margin(abs(lots) * float(self.notional[i]), self.brackets[i])))
            for i, lots in held.lots.items()
        ]

        def at(level: float) -> list[Addend]:
            return [(f"maintenance margin x {level:g}", id, x * Fraction(level)) for id, x in margins]

        maintenance = required_addends(haircuts, at(self.params.liquidation), total(equity))
        return Addends(equity, [*haircuts, *at(self.params.block)], maintenance)


class BinanceRule(VenueRule):
    """Binance portfolio margin over USD-margined contracts; see the module."""

    name = "binance"
    Params = BinanceParams
    margins = frozenset({"cash", "spot", "debt", "perpetual", "future"})
    homogeneous = False
    prepared = PreparedBinance

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Brackets that fall, rates outside [0, 1], levels out of order."""
        found = checked(
            [
                ("liquidation", params.liquidation, params.liquidation > 0, "above 0"),
                ("block", params.block, params.block >= params.liquidation, "at least the level of liquidation"),
                *check_rates(params.collateral_rates, "collateral_rates"),
            ]
        )
        for name, tiers in params.markets.items():
            found += check_brackets(tiers.brackets, f"markets.{name}")
        return found

    def missing(self, params: Any, universe: Universe) -> dict[int, str]:
        """Contracts without brackets."""
        return unlisted(universe, params.markets, "markets", (LINEAR,))
