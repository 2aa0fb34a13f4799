"""Bybit: initial margin by leverage, maintenance margin by marginal tiers of position value.

Numeraire: the settlement coin (inverse) or USDT (linear). Equity is wallet balance plus unrealised profit,
which counts in full. Breach: the unified account is liquidated iff maintenance margin rate >= 100 %, that is
margin balance <= maintenance margin (not strict). Rounding: reals. Unpublished: none of the tiers.
As a Statement: MM = equity - margin balance + maintenance margin, margin balance being each asset's equity at its
collateral value ratio, so that equity <= MM iff the maintenance margin rate >= 100 %; IM with position value over
leverage. Position value is at the mark. Without positions MM is 0 unless the margin balance is negative.
Source: Bybit help centre, "Initial Margin" and "Maintenance Margin" of inverse and linear contracts.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from solvent.domain.universe import INVERSE, LINEAR, Universe
from solvent.errors import Problem
from solvent.margin.rules.brackets import Bracket, BracketTable, Tiers, charge, check_brackets, from_uppers
from solvent.margin.rules.rows import Held, found_in
from solvent.margin.rules.venue import (
    F64,
    Addend,
    Addends,
    Block,
    Figures,
    PreparedVenue,
    VenueRule,
    at_least,
    check_rates,
    checked,
    listed_rates,
    required_addends,
    required_margin,
    total,
    unlisted,
)

EXAMPLE_TIERS = from_uppers((10.0, 20.0, 30.0, 40.0, 50.0), (0.01, 0.02, 0.03, 0.04, 0.05))
"""Of the help centre's worked example, uppers in coin; each contract has its own table."""


class InverseMargin(msgspec.Struct, frozen=True):
    """Of one inverse position, in coin."""

    position_value: float
    initial_margin: float


def inverse_initial_margin(contracts_usd: float, entry_price: float, leverage: float) -> InverseMargin:
    """Position value contracts / entry in coin, and that over leverage."""
    value = abs(contracts_usd) / entry_price
    return InverseMargin(value, value / leverage)


def linear_initial_margin(size: float, entry_price: float, leverage: float) -> float:
    """Position value size x entry, over leverage."""
    return abs(size) * entry_price / leverage


def maintenance_margin(position_value: float, tiers: Sequence[Bracket]) -> float:
    """Marginal rates by position value, in the unit of the tiers."""
    return charge(abs(position_value), tiers)


def is_liquidatable(margin_balance: float, maintenance: float) -> bool:
    """Maintenance margin rate at 100 % or above."""
    return maintenance > 0 and margin_balance <= maintenance


class ContractTerms(Tiers, frozen=True, forbid_unknown_fields=True):
    """Tiers of position value and the leverage that the account chose."""

    leverage: float = 10.0


class BybitParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Terms by instrument id or underlying, `*` for all others; collateral value ratios by asset."""

    linear: Mapping[str, ContractTerms]
    """Tiers in the quote currency."""
    inverse: Mapping[str, ContractTerms]
    """Tiers in coin."""
    collateral_rates: Mapping[str, float]


class PreparedBybit(PreparedVenue):
    """The rule at one market."""

    strict = False
    ratio_name = "maintenance_margin_rate"

    def build(self) -> None:
        """Terms and position value of each contract."""
        form = self.universe.terms.form
        tables = {LINEAR: self.params.linear, INVERSE: self.params.inverse}
        self.contracts: dict[int, ContractTerms] = {
            i: found_in(tables[form[i]], each)
            for i, each in enumerate(self.universe)
            if form[i] in tables and i not in self.missing
        }
        self.table = BracketTable.of(len(self.universe), {i: each.brackets for i, each in self.contracts.items()})
        self.leverage = np.full(len(self.universe), np.inf)
        for i, each in self.contracts.items():
            self.leverage[i] = each.leverage
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = self.universe.terms.unit / self.market.price
        linear = self.universe.terms.unit * self.market.price
        self.position_value = np.where(form == LINEAR, linear, np.where(form == INVERSE, inverse, 0.0))
        """(I,) of one lot, in its settlement asset."""
        self.settlement_usd = self.price_usd[self.universe.terms.settlement]

    def weights(self) -> F64:
        """Collateral value ratios."""
        return listed_rates(self.universe, self.params.collateral_rates)

    def figures(self, block: Block) -> Figures:
        """Margins and rate of a block of accounts."""
        rows, which = block.rows, block.rows.instrument
        value = np.abs(rows.lots) * self.position_value[which]
        maintenance = rows.total(self.table.charge(value, which) * self.settlement_usd[which])
        required = rows.total(value / self.leverage[which] * self.settlement_usd[which])
        balance = block.equity - self.haircuts(block)
        found = required_margin(block, balance, maintenance)
        initial = np.maximum(block.equity - balance + required, found.maintenance)
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = np.where(maintenance == 0, 0.0, np.where(balance > 0, maintenance / balance, np.inf))
        return Figures(initial, found.maintenance, maintenance + required, rate, slack=found.slack)

    def addends(self, held: Held) -> Addends:
        """Haircuts, and each contract's margins."""
        equity, haircuts = self.value_addends(held), self.haircut_addends(held)
        initial, requirement = list[Addend](), list[Addend]()
        for i, lots in held.lots.items():
            id, terms = self.universe[i].id, self.contracts[i]
            value, usd = abs(lots) * float(self.position_value[i]), Fraction(float(self.settlement_usd[i]))
            initial.append(("initial margin", id, Fraction(value / terms.leverage) * usd))
            requirement.append(("maintenance margin", id, Fraction(maintenance_margin(value, terms.brackets)) * usd))
        maintenance = required_addends(haircuts, requirement, total(equity))
        return Addends(equity, at_least([*haircuts, *initial], maintenance), maintenance)


class BybitRule(VenueRule):
    """Bybit unified account over linear and inverse contracts; see the module."""

    name = "bybit"
    Params = BybitParams
    margins = frozenset({"cash", "spot", "debt", "perpetual", "future", "inverse perpetual", "inverse future"})
    homogeneous = False
    prepared = PreparedBybit

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Tiers that fall, rates outside [0, 1], leverage below 1."""
        found = checked(check_rates(params.collateral_rates, "collateral_rates"))
        for table in ("linear", "inverse"):
            for name, terms in getattr(params, table).items():
                found += check_brackets(terms.brackets, f"{table}.{name}")
                found += checked([(f"{table}.{name}.leverage", terms.leverage, terms.leverage >= 1, "1 or more")])
        return found

    def missing(self, params: Any, universe: Universe) -> dict[int, str]:
        """Contracts without tiers."""
        linear = unlisted(universe, params.linear, "linear", (LINEAR,))
        return {**linear, **unlisted(universe, params.inverse, "inverse", (INVERSE,))}
