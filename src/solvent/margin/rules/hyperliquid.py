"""Hyperliquid: tiered maintenance margin of perpetuals, and portfolio margin over borrowed and supplied spot.

Numeraire: USDC. Equity is account value: cash plus unrealised profit, which counts in full. A tier's
maintenance rate is half its initial rate at maximum leverage: 1 / (2 max leverage). Breach: cross margin is
liquidated iff account value < maintenance margin (strict); a portfolio margin account iff its ratio > 0.95
(strict). Rounding: reals. Unpublished: the order in which positions and borrows are liquidated.
Source: Hyperliquid docs, trading/margin-tiers, trading/liquidations, trading/portfolio-margin.
"""

from collections.abc import Iterable, Sequence

import msgspec

from solvent.margin.rules.brackets import Bracket, bracket_of, charge, deductions

UNPUBLISHED = ("order of perpetual and borrow liquidations in portfolio margin",)


class PerpetualParams(msgspec.Struct, frozen=True):
    """Tiers of one perpetual: (lower notional, maximum leverage)."""

    lowers_usd: tuple[float, ...] = (0.0, 150_000_000.0)
    leverages_max: tuple[float, ...] = (40.0, 20.0)

    @property
    def brackets(self) -> tuple[Bracket, ...]:
        """Maintenance brackets, rate 1 / (2 maximum leverage)."""
        return tuple(
            Bracket(lower, 0.5 / leverage) for lower, leverage in zip(self.lowers_usd, self.leverages_max, strict=True)
        )


class PortfolioParams(msgspec.Struct, frozen=True):
    """Portfolio margin settings."""

    min_borrow_offset_usd: float = 20.0
    trigger: float = 0.95


class Borrowable(msgspec.Struct, frozen=True):
    """What an account owes and owns in one borrowable token."""

    borrowed: float
    """Tokens borrowed, for maintenance."""
    price_usd: float
    """Borrow oracle price."""
    balance: float
    """Portfolio balance."""
    borrow_cap: float
    supply_cap: float
    loan_to_value: float


class PortfolioRatio(msgspec.Struct, frozen=True):
    """Portfolio margin test of one borrowable token, USDC."""

    maintenance_requirement: float
    liquidation_value: float
    ratio: float
    is_liquidatable: bool


def maintenance_margin(notional_usd: float, brackets: Sequence[Bracket]) -> float:
    """notional x rate - deduction of the notional's tier; continuous over tiers."""
    tier = bracket_of(notional_usd, brackets)
    return notional_usd * brackets[tier].rate - deductions(brackets)[tier]


def initial_margin(notional_usd: float, leverage: float) -> float:
    """Notional over the leverage that the account chose for the market."""
    return notional_usd / leverage


def account_maintenance_margin(positions: Iterable[tuple[float, Sequence[Bracket]]]) -> float:
    """Cross maintenance margin: sum over (notional, tiers of the market)."""
    return sum(charge(notional, brackets) for notional, brackets in positions)


def liquidation_price(price: float, side: int, margin_available: float, size: float, maintenance_rate: float) -> float:
    """Price at which one position brings the account to its maintenance margin, the rest unchanged.

    P - side margin / size / (1 - l side). `side` is 1 for long, -1 for short; `margin_available` is account
    value less maintenance margin at `price`; `size` > 0.
    """
    return price - side * margin_available / size / (1.0 - maintenance_rate * side)


def borrowable_amount(balance: float, price_usd: float, loan_to_value: float) -> float:
    """What a collateral balance lets an account borrow, USDC."""
    return balance * price_usd * loan_to_value


def liquidation_threshold(loan_to_value: float) -> float:
    """Fraction of collateral that counts in liquidation: half way from the loan-to-value to one."""
    return 0.5 + 0.5 * loan_to_value


def collateral_thresholds(value_usd: float, loan_to_value: float) -> tuple[float, float]:
    """Borrow against `value_usd` of collateral at which (partial, full) liquidation of the borrow begins.

    Half and two thirds of the way from the loan-to-value to one.
    """
    headroom = 1.0 - loan_to_value
    return value_usd * (loan_to_value + headroom / 2.0), value_usd * (loan_to_value + headroom * 2.0 / 3.0)


def portfolio_margin_ratio(cross_maintenance_usd: float, token: Borrowable, params: PortfolioParams) -> PortfolioRatio:
    """Requirement over liquidation value of one borrowable token; an account's ratio is the highest.

    requirement = offset + cross maintenance + borrowed price;
    value = balance + min(borrow cap, min(balance, supply cap) price threshold).
    A value that is not positive makes the ratio infinite.
    """
    requirement = params.min_borrow_offset_usd + cross_maintenance_usd + token.borrowed * token.price_usd
    counted = min(token.balance, token.supply_cap) * token.price_usd
    value = token.balance + min(token.borrow_cap, counted * liquidation_threshold(token.loan_to_value))
    ratio = requirement / value if value > 0 else float("inf")
    return PortfolioRatio(requirement, value, ratio, ratio > params.trigger)
