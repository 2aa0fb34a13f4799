"""A tiny margin rule with every way to refuse: derivatives, debts of one asset, three assets at once."""

from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import numpy as np

from solvent.domain.book import Book
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.domain.universe import Universe
from solvent.errors import SolventError, problem
from solvent.margin.statement import ExactStatement, Explanation, Statement, Term


def pair_policy(**margin: Any) -> Policy:
    """A policy of the rule."""
    return Policy("pair", "1", "2026-01-01", "a test", {"rule": "pair", **margin})


class PairRule:
    """A tiny rule: MM is a tenth of gross spot value, IM a fifth; at most two assets, and never a derivative."""

    name: ClassVar[str] = "pair"
    Params: ClassVar[type[msgspec.Struct]] = msgspec.Struct
    needs: ClassVar[frozenset[str]] = frozenset({"price"})

    def check(self, params: Any, universe: Universe) -> list[Any]:
        return []

    def prepare(self, universe: Universe, market: Market, policy: Policy) -> "PreparedPair":
        if policy.margin.get("needs_volume"):
            raise SolventError(problem("market", None, "volume_usd_daily", "missing", "USD a day"))
        if policy.margin.get("unsafe"):
            raise SolventError(problem("policy pair margin", None, "unsafe", "true", "a safe policy"))
        return PreparedPair(market, bool(policy.margin.get("silent")))


class PreparedPair:
    def __init__(self, market: Market, silent: bool) -> None:
        self.market = market
        self.silent = silent
        """Say what is wrong, but not of whom."""

    def digest(self) -> str:
        return ""

    def assess(self, book: Book, accounts: Any = None) -> Statement:
        which = np.arange(len(book)) if accounts is None else accounts
        rows = [self._figures(book, int(a)) for a in which]
        equity, margin = np.array(rows, dtype=float).reshape(len(which), 2).T.copy()
        zero = np.zeros(len(which))
        names = tuple(book.names[a] for a in which)
        near = np.abs(equity - margin) > 1.0
        return Statement(
            which, equity, 2 * margin, margin, equity, zero, zero, np.full(len(which), -1), near, names=names
        )

    def _figures(self, book: Book, account: int) -> tuple[float, float]:
        universe = self.market.universe
        instruments, lots, _ = book.row(account)
        if len(instruments) > 2:
            field = "assets" if self.silent else book.names[account]
            raise SolventError(problem("book", None, field, "three assets", "at most two"))
        terms = universe.terms
        for i in instruments:
            if terms.form[i] != 0:
                raise SolventError(problem("book", None, book.names[account], f"{universe[i].id} (perpetual)", "spot"))
            if universe[i].id == "ETH" and lots[list(instruments).index(i)] < 0:
                raise SolventError(problem("book", None, book.names[account], "ETH (debt)", "ETH of your own"))
        value = lots * terms.lot_coins[instruments] * self.market.price[instruments]
        return float(value.sum()), float(np.abs(value).sum() / 10)

    def exact(self, book: Book, account: int) -> ExactStatement:
        equity, margin = self._figures(book, account)
        return ExactStatement(round(equity * 1e6) - 1, round(2e6 * margin), round(margin * 1e6))

    def explain(self, book: Book, account: int) -> Explanation:
        """Equity and margin, a term each."""
        equity, margin = (Decimal(f"{x:.9f}") for x in self._figures(book, account))
        totals = {"equity": equity, "initial_margin": 2 * margin, "maintenance_margin": margin}
        terms = [Term(total, "tenth" if "margin" in total else "value", "", x) for total, x in totals.items()]
        return Explanation(book.names[account], totals, tuple(terms))
