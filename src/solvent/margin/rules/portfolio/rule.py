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
from solvent.errors import Problem, SolventError, problem
from solvent.margin.rules.portfolio import kernel
from solvent.margin.rules.portfolio.exact import exact_statement
from solvent.margin.rules.portfolio.explain import explanation
from solvent.margin.rules.portfolio.fixed import Fixed
from solvent.margin.rules.portfolio.params import (
    PortfolioParams,
    check_params,
    check_universe,
    penalty_rate,
    portfolio_params,
)
from solvent.margin.rules.portfolio.tables import Shared, shared_tables
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
        """Unsafe parameters, and terms that the exact form cannot hold."""
        return check_params(params) or check_universe(params, universe)

    def check_policy(self, policy: Policy, universe: Universe) -> list[Problem]:
        """The same of a whole policy: close-out costs must cover the penalty that its liquidation table states."""
        try:
            portfolio_params(policy, universe)
        except SolventError as error:
            return list(error.problems)
        return []

    def fixed(self, universe: Universe, policy: Policy) -> Fixed:
        """What depends on universe and policy alone; kept while both stay the same objects."""
        if self._fixed is None or self._fixed[0] is not universe or self._fixed[1] is not policy:
            params = portfolio_params(policy, universe)
            self._fixed = universe, policy, Fixed.of(universe, params, penalty_rate(policy.liquidation))
        return self._fixed[2]

    def prepare(self, universe: Universe, market: Market, policy: Policy) -> "PreparedPortfolio":
        """Scenario values, charges and their integer forms. Raises SolventError for unusable prices or policy."""
        return PreparedPortfolio(shared_tables(self.fixed(universe, policy), market))


class PreparedPortfolio:
    """The rule at one market."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    def digest(self) -> str:
        """Digest of the shared integer tables."""
        return self.shared.digest

    def assess(self, book: Book, accounts: I64 | None = None) -> Statement:
        """Statement of `accounts` (all by default) from the float kernel; `certain` marks what it may decide.

        Raises SolventError for accounts that are not in the book and for instruments without a mark.
        """
        which = np.arange(len(book), dtype=np.int64) if accounts is None else np.asarray(accounts, dtype=np.int64)
        self._check(book, which)
        out = kernel.assess(self.shared.tables, which, book.start, book.length, book.instrument, book.lots, book.cost)
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
            names=tuple(book.names) if accounts is None else tuple(book.names[a] for a in which),
            scenarios=self.shared.fixed.scenarios.names,
        )
        if book.orders:
            self._with_orders(statement, book)
        return statement

    def _check(self, book: Book, accounts: I64) -> None:
        """The kernel trusts its indices."""
        listed = len(self.shared.fixed.universe)
        if len(book.universe) > listed:
            raise SolventError(
                problem("book", None, "universe", len(book.universe), f"the {listed} instruments of the market")
            )
        if len(accounts) and not 0 <= accounts.min() <= accounts.max() < len(book):
            raise SolventError(
                problem("book", None, "accounts", [accounts.min(), accounts.max()], f"0 to {len(book) - 1}")
            )
        if len(self.shared.unmarked):
            for account in accounts.tolist():
                self._check_marks(book, account)

    def _check_marks(self, book: Book, account: int) -> None:
        held = book.row(account)[0]
        for i in held[np.isin(held, self.shared.unmarked)].tolist():
            id, name = self.shared.fixed.ids[i], book.names[account]
            raise SolventError(problem("market", None, id, "no mark", f"a price: {name} holds it, though it expired"))

    def _with_orders(self, statement: Statement, book: Book) -> None:
        """Accounts with open orders take all their figures from the exact form."""
        for row, account in enumerate(statement.account.tolist()):
            if book.orders.get(account):
                exact = self.exact(book, account)
                statement.equity[row] = exact.equity / 1e6
                statement.initial_margin[row] = exact.initial_margin / 1e6
                statement.maintenance_margin[row] = exact.maintenance_margin / 1e6
                statement.certain[row] = max(map(abs, exact[:3])) < 2**53  # else the division rounds

    def exact(self, book: Book, account: int) -> ExactStatement:
        """Integers of 1e-6 USD that decide about one account."""
        self._check_one(book, account)
        return exact_statement(self.shared, book.row(account), book.orders.get(account, ()))

    def explain(self, book: Book, account: int) -> Explanation:
        """Every term of one account; the terms of each total add up to it."""
        self._check_one(book, account)
        return explanation(self.shared, book.names[account], book.row(account), book.orders.get(account, ()))

    def _check_one(self, book: Book, account: int) -> None:
        if len(self.shared.unmarked):
            self._check_marks(book, account)
