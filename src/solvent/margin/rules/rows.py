"""What rules share about a book's rows: netting, sums by owner, exact holdings of one account, refusals by name."""

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.book import Book
from solvent.domain.instruments import STABLECOINS, Future, Instrument, Option, Spot, unit
from solvent.domain.market import Market
from solvent.domain.universe import INVERSE, LINEAR, Universe
from solvent.errors import SolventError, problem, raise_if

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
BOOL = NDArray[np.bool_]

KINDS = frozenset(
    {
        "cash",
        "spot",
        "debt",
        "perpetual",
        "inverse perpetual",
        "future",
        "inverse future",
        "option",
        "inverse option",
    }
)
"""What an account can hold. Cash: a USD asset of either sign; spot: any other balance; debt: one below zero."""
REASONS_SHOWN = 12


class Rows(NamedTuple):
    """Positions of A accounts, netted: one entry an account and instrument, rising in both; none of nothing."""

    size: int
    """A."""
    owner: I64
    """(N,) place of the account among those asked for, 0 to A - 1."""
    instrument: I64
    lots: I64
    cost: I64

    def total(self, amounts: F64) -> F64:
        """(A,) sums of one amount an entry."""
        return sums(self.owner, amounts, self.size)

    def only(self, which: BOOL) -> "Rows":
        """Those entries alone."""
        return Rows(self.size, *(column[which] for column in self[1:]))


def sums(owner: I64, amounts: NDArray[Any], size: int) -> F64:
    """(size,) sum of the amounts of each owner, in their order."""
    return np.bincount(owner, amounts, size).astype(np.float64, copy=False)


class Groups(NamedTuple):
    """Entries that belong together, in an order in which they are neighbours."""

    order: I64
    """Of entries; those left out are not in it."""
    start: I64
    key: I64
    """Of each group, rising."""

    @classmethod
    def of(cls, key: I64, which: BOOL | None = None) -> "Groups":
        """Group entries (those of a mask) by an integer key."""
        place = np.arange(len(key)) if which is None else np.flatnonzero(which)
        ranked = key[place]
        if (ranked[1:] < ranked[:-1]).any():
            order = np.argsort(ranked, kind="stable")
            place, ranked = place[order], ranked[order]
        change = np.ones(len(ranked), np.bool_)
        change[1:] = ranked[1:] != ranked[:-1]
        start = np.flatnonzero(change)
        return cls(place, start, ranked[start])

    def sums(self, amounts: NDArray[Any]) -> NDArray[Any]:
        """Sum of each group over the first axis; `amounts` has a row for every entry."""
        if not len(self.start):
            return np.zeros((0, *amounts.shape[1:]), amounts.dtype)
        return np.asarray(np.add.reduceat(amounts[self.order], self.start, axis=0))


def net(book: Book, accounts: I64) -> Rows:
    """The rows of `accounts` with repeated instruments added up, those of zero lots and cost left out."""
    start, length = book.start[accounts], book.length[accounts]
    ends = np.cumsum(length)
    size = int(ends[-1]) if len(ends) else 0
    slot = np.arange(size) + np.repeat(start - (ends - length), length)
    owner = np.repeat(np.arange(len(accounts)), length)
    width = max(1, len(book.universe))
    groups = Groups.of(owner * width + book.instrument[slot])
    lots, cost = groups.sums(book.lots[slot]), groups.sums(book.cost[slot])
    rows = Rows(len(accounts), groups.key // width, groups.key % width, lots, cost)
    held = (lots != 0) | (cost != 0)
    return rows if held.all() else rows.only(held)


class Held(msgspec.Struct, frozen=True):
    """One account's holdings, netted and exact."""

    coins: dict[int, Fraction]
    """Balance of each spot instrument in coins, unsettled profit not in it."""
    lots: dict[int, int]
    """Lots of each derivative."""
    profit: dict[int, Fraction]
    """Unsettled profit of each perpetual and future in coins of its settlement asset."""
    cost: dict[int, Fraction]
    """Quote leg of each perpetual and future in coins of its settlement asset."""

    @classmethod
    def of(cls, book: Book, account: int, market: Market) -> "Held":
        """Read one account's row."""
        universe = market.universe
        held = cls({}, {}, {}, {})
        for i, (q, c) in sorted(row_of(book, account).items()):
            spot = universe.spot_of(i)
            if isinstance(universe[i], Spot):
                held.coins[i] = q * spot.lot_coins
                continue
            held.lots[i] = q
            if not isinstance(universe[i], Option):
                held.cost[i] = c * spot.lot_coins
                held.profit[i] = gain_coins(universe, i, q, int(market.ticks[i])) + held.cost[i]
        return held

    def balances(self, universe: Universe) -> dict[int, Fraction]:
        """Coins of each spot instrument with the unsettled profit that is paid in it."""
        found = dict(self.coins)
        for i, profit in self.profit.items():
            payer = int(universe.terms.settlement[i])
            found[payer] = found.get(payer, Fraction(0)) + profit
        return found


def row_of(book: Book, account: int) -> dict[int, tuple[int, int]]:
    """Lots and quote leg by instrument of one account, netted; none of nothing."""
    found: dict[int, tuple[int, int]] = {}
    for i, q, c in zip(*(column.tolist() for column in book.row(account)), strict=True):
        lots, cost = found.get(i, (0, 0))
        found[i] = lots + q, cost + c
    return {i: row for i, row in found.items() if any(row)}


def gain_coins(universe: Universe, i: int, lots: int, ticks: int) -> Fraction:
    """What lots of a perpetual or future are worth at a mark in coins of settlement, before the quote leg."""
    numerator, denominator = universe.value_atoms[i]
    atoms = 10 ** universe.spot_of(i).decimals
    if universe.terms.form[i] == INVERSE:
        return Fraction(-lots * numerator, denominator * ticks * atoms)
    return Fraction(lots * numerator * ticks, denominator * atoms)


def exact_price(market: Market, i: int) -> Fraction:
    """The mark of an instrument as it is: USD for spot, settlement units else."""
    return int(market.ticks[i]) * Fraction(market.universe[i].tick)


def exact_coins(universe: Universe, i: int, lots: int) -> Fraction:
    """Coins (USD where inverse) of lots of a derivative."""
    return lots * unit(universe[i])


def kind_of(instrument: Instrument) -> str:
    """One of `KINDS`; a balance below zero of what is not cash is a `debt` beside it."""
    if isinstance(instrument, Spot):
        return "cash" if instrument.asset in STABLECOINS else "spot"
    name = "option" if isinstance(instrument, Option) else "future" if isinstance(instrument, Future) else "perpetual"
    return f"inverse {name}" if instrument.inverse else name


def found_in(table: Mapping[str, Any], instrument: Instrument) -> Any:
    """A policy's entry for an instrument: by its id, else its underlying (asset), else `*`, else None."""
    for key in (instrument.id, instrument.underlying, "*"):
        if key in table:
            return table[key]
    return None


def rules_for(kind: str) -> list[str]:
    """Built-in rules that margin a kind of instrument."""
    from solvent.margin.rule import BUILT_IN, rule

    return sorted(name for name in BUILT_IN if kind in getattr(rule(name), "margins", KINDS))


class Marginable(msgspec.Struct, frozen=True, eq=False):
    """What a rule can margin in a universe."""

    name: str
    """Of the rule."""
    margins: frozenset[str]
    """The `KINDS` that it takes."""
    missing: Mapping[int, str]
    """Instruments of a kind that it takes, but that its policy does not know: what would have to be given."""
    refused: BOOL
    """(I,) what it cannot margin, by kind or for want of parameters."""
    positive: BOOL
    """(I,) what it takes as long as it is no debt."""

    @classmethod
    def of(cls, name: str, margins: frozenset[str], universe: Universe, missing: Mapping[int, str]) -> "Marginable":
        """Look at every instrument once."""
        kinds = [kind_of(each) for each in universe]
        refused = np.array([kind not in margins or i in missing for i, kind in enumerate(kinds)], dtype=np.bool_)
        positive = np.array([kind == "spot" and "debt" not in margins for kind in kinds], dtype=np.bool_)
        return cls(name, margins, missing, refused, positive)


def refuse_unmarginable(rule: Marginable, book: Book, accounts: I64, rows: Rows) -> None:
    """Raise SolventError naming every held instrument that a rule cannot margin, and the rules that could.

    rows: of `accounts`, netted.
    """
    bad = rule.refused[rows.instrument]
    owed = rule.positive[rows.instrument] & (rows.lots < 0)
    if not (bad.any() or owed.any()):
        return
    found = []
    for mask, what in ((bad, ""), (owed & ~bad, "debt")):
        place = np.flatnonzero(mask)
        held, first = np.unique(rows.instrument[place], return_index=True)
        for i, owner in zip(held.tolist(), rows.owner[place[first]].tolist(), strict=True):
            kind = what or kind_of(book.universe[i])
            why = rule.missing.get(i) if kind in rule.margins else _alternatives(rule, kind)
            account = book.names[int(accounts[owner])]
            found.append(problem("book", None, account, f"{book.universe[i].id} ({kind})", why or ""))
    raise_if(found)


def _alternatives(rule: Marginable, kind: str) -> str:
    others = rules_for(kind)
    could = f"rules that margin {kind}: {', '.join(others)}" if others else f"no built-in rule margins {kind}"
    return f"what {rule.name} margins ({', '.join(sorted(rule.margins))}); {could}"


def check_accounts(book: Book, accounts: I64 | None, universe: Universe) -> I64:
    """Indices of the accounts asked for (all by default). Raises SolventError for what is not there."""
    which = np.arange(len(book), dtype=np.int64) if accounts is None else np.asarray(accounts, dtype=np.int64)
    if len(book.universe) > len(universe):
        accepted = f"the {len(universe)} instruments of the market"
        raise SolventError(problem("book", None, "universe", len(book.universe), accepted))
    if len(which) and not 0 <= which.min() <= which.max() < len(book):
        raise SolventError(problem("book", None, "accounts", [which.min(), which.max()], f"0 to {len(book) - 1}"))
    return which


def blocks(length: I64, most: int) -> list[slice]:
    """Cut accounts into runs of at most `most` rows (or one account)."""
    if not len(length):
        return []
    cut = np.flatnonzero(np.diff(np.cumsum(length) // most, prepend=0))
    edges = np.unique([0, *cut.tolist(), len(length)])
    return [slice(a, b) for a, b in pairwise(edges.tolist())]


def gain_lots(market: Market) -> F64:
    """(I,) what a lot of a perpetual or future is worth in lots of its settlement asset, before the quote leg."""
    terms = market.universe.terms
    per_lot = terms.unit / terms.lot_coins
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = -per_lot / market.price
    return np.where(terms.form == LINEAR, per_lot * market.price, np.where(terms.form == INVERSE, inverse, 0.0))
