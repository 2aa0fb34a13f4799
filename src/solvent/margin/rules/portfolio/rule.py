"""The `portfolio` rule: cross margin from joint price and volatility scenarios, in USD.

Numeraire USD. Equity is signed, at guarded marks, without haircuts; unsettled profit counts, netted per
settlement asset before its sign is taken. Liquidatable iff equity < maintenance margin (strict). Shared values
are rounded once to stated integer scales; an account's terms are exact integer sums of them, rounded against
the account. Source: the project's own rule, `docs/how-it-works.md`.
"""

from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.book import Book
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.domain.universe import Universe
from solvent.errors import Problem
from solvent.margin.rules.portfolio import kernel
from solvent.margin.rules.portfolio.exact import exact_statement, explanation
from solvent.margin.rules.portfolio.params import (
    PortfolioParams,
    check_params,
    penalty_rate,
    portfolio_params,
    scenario_set,
)
from solvent.margin.rules.portfolio.tables import Fixed, Shared, shared_tables
from solvent.margin.statement import ExactStatement, Explanation, Statement

I64 = NDArray[np.int64]


class Portfolio:
    """The rule; see the module."""

    name: ClassVar[str] = "portfolio"
    Params: ClassVar[type[msgspec.Struct]] = PortfolioParams
    needs: ClassVar[frozenset[str]] = frozenset({"price"})

    def __init__(self) -> None:
        self._fixed: tuple[Universe, Policy, Fixed] | None = None

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Unsafe parameters; every spot, perpetual, future and option can be margined."""
        return check_params(params)

    def fixed(self, universe: Universe, policy: Policy) -> Fixed:
        """What depends on universe and policy alone; kept while both stay the same objects."""
        if self._fixed is None or self._fixed[0] is not universe or self._fixed[1] is not policy:
            params = portfolio_params(policy)
            made = Fixed.of(universe, params, scenario_set(params, universe), penalty_rate(policy.liquidation))
            self._fixed = universe, policy, made
        return self._fixed[2]

    def prepare(self, universe: Universe, market: Market, policy: Policy) -> "PreparedPortfolio":
        """Scenario values, charges and their integer forms. Raises SolventError for unusable prices or policy."""
        fixed = self.fixed(universe, policy)
        return PreparedPortfolio(shared_tables(fixed, market))


class PreparedPortfolio:
    """The rule at one market."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    def assess(self, book: Book, accounts: I64 | None = None) -> Statement:
        """Statement of `accounts` (all by default) from the float kernel; `certain` marks what it may decide."""
        which = np.arange(len(book), dtype=np.int64) if accounts is None else np.asarray(accounts, dtype=np.int64)
        arrays = (book.start, book.length, book.instrument, book.lots, book.cost)
        out = kernel.assess(self.shared.tables, which, *arrays)
        statement = Statement(
            account=which,
            equity=out.equity,
            initial_margin=out.initial,
            maintenance_margin=out.maintenance,
            collateral_value=out.collateral,
            liabilities=out.liabilities,
            leverage=out.leverage,
            worst_scenario=out.worst,
            certain=out.certain,
            names=tuple(book.names[a] for a in which) if accounts is not None else tuple(book.names),
            scenarios=self.shared.fixed.scenarios.names,
        )
        if book.orders:
            self._with_orders(statement, book)
        return statement

    def _with_orders(self, statement: Statement, book: Book) -> None:
        """Accounts with open orders take their initial margin from the exact form."""
        for row, account in enumerate(statement.account):
            if book.orders.get(int(account)):
                statement.initial_margin[row] = self.exact(book, int(account)).initial_margin / 1e6

    def exact(self, book: Book, account: int) -> ExactStatement:
        """Integers of 1e-6 USD that decide about one account."""
        return exact_statement(self.shared, book.row(account), book.orders.get(account, ()))

    def explain(self, book: Book, account: int) -> Explanation:
        """Every term of one account; the terms of each total add up to it."""
        return explanation(self.shared, book.names[account], book.row(account), book.orders.get(account, ()))
