"""Binance: maintenance brackets of USD-margined futures, and the unified maintenance ratio of portfolio margin.

Numeraire: USD(T). Equity is wallet balance plus unrealised profit, which counts in full. Breach: cross margin
is liquidated iff margin balance < maintenance margin (strict); portfolio margin iff uniMMR <= 1.05. Rounding:
reals. Unpublished: how collateral rates change with size in portfolio margin.
Source: Binance "Leverage and margin of USD-M futures" and "Portfolio margin" pages; brackets of BTCUSDT, 2025.
"""

from collections.abc import Iterable, Sequence

import msgspec

from solvent.margin.rules.brackets import Bracket, bracket_of, charge, deductions, from_uppers

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
