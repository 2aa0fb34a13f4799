"""Margin a book once: frames or domain objects in, a statement out; pure, and what `import solvent` offers."""

from typing import Any, Protocol

import numpy as np

from solvent.domain.book import Book
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.domain.universe import Universe
from solvent.errors import SolventError, problem
from solvent.margin.rule import Prepared, rule
from solvent.margin.statement import Explanation, Statement

POLICY_DEFAULT = "portfolio"


class ArrowStream(Protocol):
    """A frame of any library that speaks Arrow: polars, pyarrow, pandas, duckdb, ..."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Its columns as an Arrow C stream."""
        ...


def assess(book: Book | ArrowStream, market: Market | ArrowStream, policy: Policy | str = POLICY_DEFAULT) -> Statement:
    """What every account holds, must hold, and whether it may be liquidated.

    Parameters
    ----------
    book : Book or frame of `account, instrument, quantity[, entry_price][, owner]`
        A row a position; quantity in coins or contracts, signed; see `book_from_frame`.
    market : Market or frame of `instrument, price[, ...]`
        A row an instrument; see `market_from_frame`.
    policy : Policy or str
        Or the name of a ready-made one.

    Returns
    -------
    Statement
        A row an account, USD. Where the float form is too close to a margin to tell (`certain` is False), the
        figures are the exact form's.

    Raises
    ------
    SolventError
        With all problems of a frame, a policy that is unsafe, or what the rule cannot margin.
    """
    book, market, policy = inputs(book, market, policy)
    prepared = rule(policy.rule).prepare(market.universe, market, policy)
    return decided(prepared, book, prepared.assess(book))


def explain(
    book: Book | ArrowStream,
    market: Market | ArrowStream,
    policy: Policy | str = POLICY_DEFAULT,
    account: str | None = None,
) -> Explanation:
    """Every term of one account by name, adding up to its totals; arguments as for `assess`.

    `account` may be left out where the book has only one. Raises SolventError as `assess` does, and for an
    account that is not in the book.
    """
    book, market, policy = inputs(book, market, policy)
    if account is None and len(book) != 1:
        raise SolventError(problem("book", None, "account", "none", f"one of {', '.join(book.names[:8])}"))
    which = 0 if account is None else book.index(account)
    return rule(policy.rule).prepare(market.universe, market, policy).explain(book, which)


def decided(prepared: Prepared, book: Book, statement: Statement) -> Statement:
    """The statement with the exact form's figures wherever the float form may not decide."""
    for row in np.flatnonzero(~statement.certain).tolist():
        exact = prepared.exact(book, int(statement.account[row]))
        statement.equity[row] = exact.equity / 1e6
        statement.initial_margin[row] = exact.initial_margin / 1e6
        statement.maintenance_margin[row] = exact.maintenance_margin / 1e6
    return statement


def inputs(book: Book | ArrowStream, market: Market | ArrowStream, policy: Policy | str) -> tuple[Book, Market, Policy]:
    """Domain objects of what `assess` takes. Raises SolventError with all problems of a frame."""
    prices = market if isinstance(market, Market) else Market.from_frame(_frame(market, "market"))
    universe = prices.universe
    rows = book if isinstance(book, Book) else Book.from_frame(_frame(book, "book"), universe, prices)
    if isinstance(policy, str):
        from solvent.engine.files import read_policy

        policy = read_policy(policy)
    _check_same(rows.universe, universe)
    return rows, prices, policy


def _frame(given: Any, name: str) -> Any:
    if hasattr(given, "__arrow_c_stream__"):
        return given
    accepted = f"a {name.capitalize()}, or a frame with __arrow_c_stream__ (polars, pyarrow, pandas, ...)"
    raise SolventError(problem(name, None, name, type(given).__name__, accepted))


def _check_same(held: Universe, priced: Universe) -> None:
    """A book made for another universe has other indices; one made before some were listed is good."""
    if held is priced:
        return
    wrong = [one.id for one, other in zip(held, priced, strict=False) if one != other]
    wrong += [each.id for each in held.instruments[len(priced) :]]
    if wrong:
        shown = ", ".join(wrong[:5])
        raise SolventError(problem("book", None, "universe", shown, "the instruments of the market, in its order"))
