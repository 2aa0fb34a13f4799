"""Hyperliquid: tiered maintenance margin of perpetuals, and portfolio margin over borrowed and supplied spot.

Numeraire: USDC. Equity is account value: cash plus unrealised profit, which counts in full. A tier's
maintenance rate is half its initial rate at maximum leverage: 1 / (2 max leverage). Breach: cross margin is
liquidated iff account value < maintenance margin (strict); a portfolio margin account iff its ratio > 0.95
(strict). Rounding: reals. Unpublished: the order in which positions and borrows are liquidated.
As a Statement: all USD assets count as USDC at par. Cross (`hyperliquid`): equity = account value, MM and IM are
the tiers at half and at the whole of the initial rate of maximum leverage. Portfolio margin (`hyperliquid-pm`):
MM = equity - (trigger x liquidation value - requirement) where a position or borrow is open, so that equity < MM
iff ratio > trigger; IM = equity - what is left to borrow and to open positions with at the loan-to-values.
Source: Hyperliquid docs, trading/margin-tiers, trading/liquidations, trading/portfolio-margin.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.instruments import STABLECOINS, Spot
from solvent.domain.universe import LINEAR, Universe
from solvent.errors import Problem
from solvent.margin.rules.brackets import Bracket, BracketTable, bracket_of, charge, check_brackets, deductions
from solvent.margin.rules.rows import Held, found_in, sums
from solvent.margin.rules.venue import (
    Addend,
    Addends,
    Block,
    Figures,
    PreparedVenue,
    VenueRule,
    at_least,
    checked,
    total,
    unlisted,
)

F64 = NDArray[np.float64]

UNPUBLISHED = ("order of perpetual and borrow liquidations in portfolio margin",)


class PerpetualParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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


class HyperliquidParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tiers by instrument id or underlying; `*` stands for all others."""

    markets: Mapping[str, PerpetualParams]


class CollateralTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One collateral token of portfolio margin."""

    loan_to_value: float
    supply_cap: float = float("inf")
    """Coins of an account that count."""


class HyperliquidPortfolioParams(HyperliquidParams, frozen=True, forbid_unknown_fields=True):
    """With the collateral that USDC can be borrowed against, by asset."""

    collateral: Mapping[str, CollateralTerms] = {}
    min_borrow_offset_usd: float = 20.0
    trigger: float = 0.95
    borrow_cap_usd: float = float("inf")


class PreparedHyperliquid(PreparedVenue):
    """Cross margin at one market."""

    cash_at_par = True

    def build(self) -> None:
        """Maintenance brackets of each perpetual."""
        self.brackets = {
            i: found_in(self.params.markets, each).brackets
            for i, each in enumerate(self.universe)
            if self.universe.terms.form[i] == LINEAR and i not in self.missing
        }
        self.table = BracketTable.of(len(self.universe), self.brackets)

    def perpetual_maintenance(self, block: Block) -> F64:
        """(A,) cross maintenance margin."""
        rows = block.rows
        size = np.abs(rows.lots) * self.notional[rows.instrument]
        return rows.total(self.table.charge(size, rows.instrument))

    def figures(self, block: Block) -> Figures:
        """Margins of a block of accounts."""
        maintenance = self.perpetual_maintenance(block)
        return Figures(2.0 * maintenance, maintenance, maintenance)

    def perpetual_addends(self, held: Held) -> list[Addend]:
        """Maintenance margin of each position."""
        return [
            (
                "cross maintenance margin",
                self.universe[i].id,
                maintenance_margin(abs(lots) * float(self.notional[i]), self.brackets[i]),
            )
            for i, lots in held.lots.items()
        ]

    def addends(self, held: Held) -> Addends:
        """Account value and maintenance margin of each position; initial margin is twice that."""
        rows = self.perpetual_addends(held)
        initial: list[Addend] = [("cross initial margin", id, 2 * Fraction(x)) for _, id, x in rows]
        return Addends(self.value_addends(held), initial, rows)


class Counted(NamedTuple):
    """What portfolio margin counts of A accounts, USD."""

    cash: F64
    """USDC with unsettled profit, signed."""
    liquidation: F64
    """Collateral at liquidation thresholds, below its caps."""
    borrowable: F64
    """At loan-to-values."""


class PreparedHyperliquidPortfolio(PreparedHyperliquid):
    """Portfolio margin at one market."""

    ratio_name = "portfolio_margin_ratio"

    def build(self) -> None:
        """Brackets, and each collateral's loan-to-value and cap."""
        super().build()
        self.loan_to_value, self.supply_cap = np.zeros(len(self.universe)), np.full(len(self.universe), np.inf)
        for i, each in enumerate(self.universe):
            terms = found_in(self.params.collateral, each)
            if isinstance(each, Spot) and each.asset not in STABLECOINS and terms is not None:
                self.loan_to_value[i], self.supply_cap[i] = terms.loan_to_value, terms.supply_cap

    def weights(self) -> F64:
        """Liquidation thresholds; cash counts in full."""
        found = np.zeros(len(self.universe))
        for i, each in enumerate(self.universe):
            terms = found_in(self.params.collateral, each) if isinstance(each, Spot) else None
            if isinstance(each, Spot) and each.asset in STABLECOINS:
                found[i] = 1.0
            elif terms is not None:
                found[i] = liquidation_threshold(terms.loan_to_value)
        return found

    def _counted(self, block: Block) -> Counted:
        """Sums over the accounts' balances."""
        balances, cap = block.balances, self.params.borrow_cap_usd
        spot, owner, size = balances.spot, balances.owner, block.size
        cash = self.at_par[spot]
        value = np.where(cash, 0.0, np.minimum(balances.coins, self.supply_cap[spot]) * self.price_usd[spot])
        threshold = np.where(cash, 0.0, self.collateral_weight[spot])
        return Counted(
            sums(owner, np.where(cash, balances.usd, 0.0), size),
            np.minimum(cap, sums(owner, value * threshold, size)),
            np.minimum(cap, sums(owner, value * self.loan_to_value[spot], size)),
        )

    def figures(self, block: Block) -> Figures:
        """Margins and ratio of a block of accounts."""
        found = self._counted(block)
        cross = self.perpetual_maintenance(block)
        borrowed = np.maximum(0.0, -found.cash)
        held = np.maximum(0.0, found.cash)
        open_ = (cross > 0) | (borrowed > 0)
        requirement = np.where(open_, self.params.min_borrow_offset_usd + cross + borrowed, 0.0)
        value = held + found.liquidation
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(requirement == 0, 0.0, np.where(value > 0, requirement / value, np.inf))
        maintenance = np.where(open_, block.equity - (self.params.trigger * value - requirement), 0.0)
        initial = block.equity - (held + found.borrowable - borrowed - 2.0 * cross)
        return Figures(np.maximum(initial, maintenance), maintenance, requirement + value, ratio)

    def addends(self, held: Held) -> Addends:
        """Requirement and liquidation value by the venue's own test, put as margins."""
        equity, cross = self.value_addends(held), self.perpetual_addends(held)
        balances = self.balances_usd(held)
        cash = sum((x for i, x in balances.items() if self.at_par[i]), Fraction(0))
        counted = [(i, min(coins, _exact(self.supply_cap[i])) * self.exact_price_usd(i))
                   for i, coins in held.coins.items() if not self.at_par[i]]  # fmt: skip
        cap = _exact(self.params.borrow_cap_usd)
        backing = min(cap, sum((x * Fraction(float(self.collateral_weight[i])) for i, x in counted), Fraction(0)))
        borrowable = min(cap, sum((x * Fraction(float(self.loan_to_value[i])) for i, x in counted), Fraction(0)))
        value = total(equity)
        short, long = max(Fraction(0), -cash), max(Fraction(0), cash)
        maintenance: list[Addend] = []
        if short or any(x for _, _, x in cross):
            trigger = Fraction(self.params.trigger)
            maintenance = [
                ("min borrow offset", "", Fraction(self.params.min_borrow_offset_usd)),
                *cross,
                ("borrowed", "", short),
                ("equity", "", value),
                ("balance in liquidation value", "", -trigger * long),
                ("collateral in liquidation value", "", -trigger * backing),
            ]
        initial: list[Addend] = [
            *(("cross initial margin", id, 2 * Fraction(x)) for _, id, x in cross),
            ("borrowed", "", short),
            ("equity", "", value),
            ("balance", "", -long),
            ("borrowable", "", -borrowable),
        ]
        return Addends(equity, at_least(initial, maintenance), maintenance)


def _exact(x: float) -> Fraction:
    """A cap as a fraction; infinity as what no account reaches."""
    return Fraction(float(x)) if x < 1e40 else Fraction(10**40)


class HyperliquidRule(VenueRule):
    """Hyperliquid cross margin; see the module."""

    name = "hyperliquid"
    Params: ClassVar[type[msgspec.Struct]] = HyperliquidParams
    margins = frozenset({"cash", "perpetual"})
    homogeneous = False
    prepared: ClassVar[type[PreparedVenue]] = PreparedHyperliquid

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Tiers whose leverage rises."""
        found = []
        for name, market in params.markets.items():
            field = f"markets.{name}"
            good = len(market.lowers_usd) == len(market.leverages_max) and min(market.leverages_max, default=0) >= 1
            found += checked([(field, market, good, "a maximum leverage of 1 or more for each lower limit")])
            if good:
                found += check_brackets(market.brackets, field)
        return found

    def missing(self, params: Any, universe: Universe) -> dict[int, str]:
        """Perpetuals without tiers."""
        return unlisted(universe, params.markets, "markets", (LINEAR,))


class HyperliquidPortfolioRule(HyperliquidRule):
    """Hyperliquid portfolio margin; see the module."""

    name = "hyperliquid-pm"
    Params = HyperliquidPortfolioParams
    margins = frozenset({"cash", "spot", "perpetual"})
    prepared = PreparedHyperliquidPortfolio

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Also loan-to-values and the trigger."""
        rows = [
            (f"collateral.{name}.loan_to_value", terms.loan_to_value, 0 <= terms.loan_to_value < 1, "from 0 to below 1")
            for name, terms in params.collateral.items()
        ]
        rows += [
            ("trigger", params.trigger, 0 < params.trigger <= 1, "above 0, at most 1"),
            ("min_borrow_offset_usd", params.min_borrow_offset_usd, params.min_borrow_offset_usd >= 0, "0 or more"),
        ]
        return super().check(params, universe) + checked(rows)
