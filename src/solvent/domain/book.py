"""Rows of signed whole lots, accounts x instruments, in a slotted arena that grows and shrinks in O(1)."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain import kernel_book
from solvent.domain.quantities import LOT_BOUND, Lots
from solvent.domain.universe import Universe
from solvent.errors import SolventError, problem

I64 = NDArray[np.int64]


class Order(msgspec.Struct, frozen=True, array_like=True):
    """An open order, known for margin only."""

    id: int
    instrument: int
    lots: int
    """Positive buys, negative sells."""
    price_ticks: int


class Book:
    """Accounts x instruments. Quote legs (`cost`) are in lots of the settlement asset.

    `start`, `length` give each account's slot in `instrument`, `lots`, `cost`: what kernels read.
    """

    def __init__(self, universe: Universe, names: Sequence[str] = (), owners: Sequence[str] = ()) -> None:
        """Empty rows for `names`; `owners` names who stands behind each (default: the account itself)."""
        self.universe = universe
        self.names: list[str] = []
        self.owners: list[str] = []
        self.orders: dict[int, list[Order]] = {}
        self.start, self.length, self.capacity = (np.zeros(16, np.int64) for _ in range(3))
        self.instrument, self.lots, self.cost = (np.zeros(64, np.int64) for _ in range(3))
        self._tail = 0
        for position, name in enumerate(names):
            self.open(name, owners[position] if owners else name)

    def __len__(self) -> int:
        return len(self.names)

    def open(self, name: str, owner: str = "") -> int:
        """A new account with an empty row; its index."""
        account = len(self.names)
        self.names.append(name)
        self.owners.append(owner or name)
        if account == len(self.start):
            self.start, self.length, self.capacity = (
                np.concatenate([each, np.zeros(len(each), np.int64)])
                for each in (self.start, self.length, self.capacity)
            )
        return account

    def add(self, account: int, instrument: int, lots: Lots | int, cost: int = 0) -> None:
        """Add signed lots and quote leg to a position. Raises SolventError beyond 63 bits."""
        if not (-LOT_BOUND < lots < LOT_BOUND and -LOT_BOUND < cost < LOT_BOUND):
            raise SolventError(
                problem("book", None, self.names[account], lots, f"a quantity of less than {LOT_BOUND} lots")
            )
        arrays = (self.start, self.length, self.capacity, self.instrument, self.lots, self.cost)
        if kernel_book.add(*arrays, account, instrument, int(lots), int(cost)) == kernel_book.FULL:
            self._move(account, max(4, 2 * int(self.capacity[account])))
            self.add(account, instrument, lots, cost)

    def set_row(self, account: int, instruments: Sequence[int], lots: Sequence[int], cost: Sequence[int]) -> None:
        """Replace the whole row of an account."""
        size = len(instruments)
        if size > self.capacity[account]:
            self._move(account, max(4, 1 << (size - 1).bit_length()))
        first = int(self.start[account])
        self.instrument[first : first + size] = instruments
        self.lots[first : first + size] = lots
        self.cost[first : first + size] = cost
        self.length[account] = size

    def _move(self, account: int, capacity: int) -> None:
        """Give an account a larger slot at the tail."""
        while self._tail + capacity > len(self.instrument):
            self.instrument, self.lots, self.cost = (
                np.concatenate([each, np.zeros(len(each), np.int64)])
                for each in (self.instrument, self.lots, self.cost)
            )
        old, size = int(self.start[account]), int(self.length[account])
        for each in (self.instrument, self.lots, self.cost):
            each[self._tail : self._tail + size] = each[old : old + size]
        self.start[account], self.capacity[account] = self._tail, capacity
        self._tail += capacity

    def copy(self) -> "Book":
        """A book of its own with the same accounts, rows and orders."""
        twin = Book(self.universe)
        twin.names, twin.owners = list(self.names), list(self.owners)
        twin.orders = {account: list(orders) for account, orders in self.orders.items()}
        for name in ("start", "length", "capacity", "instrument", "lots", "cost"):
            setattr(twin, name, getattr(self, name).copy())
        twin._tail = self._tail
        return twin

    def row(self, account: int) -> tuple[I64, I64, I64]:
        """Instruments, lots and quote legs of an account (copies)."""
        span = slice(int(self.start[account]), int(self.start[account] + self.length[account]))
        return self.instrument[span].copy(), self.lots[span].copy(), self.cost[span].copy()

    def index(self, name: str) -> int:
        """Index of an account by name. Raises SolventError."""
        try:
            return self.names.index(name)
        except ValueError:
            raise SolventError(problem("book", None, "account", name, f"one of {', '.join(self.names[:8])}")) from None

    @property
    def positions(self) -> int:
        """How many positions there are in all."""
        return int(self.length[: len(self)].sum())

    @classmethod
    def from_rows(
        cls,
        universe: Universe,
        names: Sequence[str],
        account: NDArray[np.integer[Any]],
        instrument: NDArray[np.integer[Any]],
        lots: NDArray[np.integer[Any]],
        cost: NDArray[np.integer[Any]] | None = None,
        owners: Sequence[str] = (),
    ) -> "Book":
        """A book from columns of row indices; repeated (account, instrument) pairs are added up."""
        book = cls(universe)
        book.names = list(names)
        book.owners = list(owners) if owners else list(names)
        cost = np.zeros(len(lots), np.int64) if cost is None else cost
        width = max(1, len(universe))
        key, inverse = np.unique(account.astype(np.int64) * width + instrument, return_inverse=True)
        book.lots = np.zeros(max(1, len(key)), np.int64)
        book.cost = np.zeros(max(1, len(key)), np.int64)
        np.add.at(book.lots, inverse, lots.astype(np.int64))
        np.add.at(book.cost, inverse, cost.astype(np.int64))
        book.instrument = np.resize((key % width).astype(np.int64), max(1, len(key)))
        counts = np.bincount(key // width, minlength=len(names)).astype(np.int64)
        book.start = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64) if len(names) else counts
        book.length, book.capacity = counts.copy(), counts.copy()
        book._tail = len(key)
        if not len(names):
            book.start, book.length, book.capacity = (np.zeros(16, np.int64) for _ in range(3))
        return book

    @classmethod
    def of_table(cls, universe: Universe, instruments: I64, lots: I64, cost: I64) -> "Book":
        """k nameless accounts with the same n instruments: lots and cost are (k, n). For what-if portfolios."""
        count, width = lots.shape
        book = cls.__new__(cls)
        book.universe, book.orders = universe, {}
        book.names = book.owners = [""] * count
        book.start = np.arange(0, count * width, max(1, width), dtype=np.int64)
        book.length = book.capacity = np.full(count, width, dtype=np.int64)
        # An array of its own: kernels are compiled once more for arrays that cannot be written to.
        book.instrument = np.tile(np.asarray(instruments, dtype=np.int64), count)
        book.lots, book.cost = np.ascontiguousarray(lots).ravel(), np.ascontiguousarray(cost).ravel()
        book._tail = count * width
        return book

    @classmethod
    def from_frame(cls, frame: Any, universe: Universe, market: Any = None, *, file: str = "book") -> "Book":
        """A book from any frame with `__arrow_c_stream__`: account, instrument, quantity[, entry_price][, owner].

        `market` gives the mark of positions without an entry price. Raises SolventError with all problems.
        """
        from solvent.domain.frames import book_from_frame

        return book_from_frame(frame, universe, market, file=file)
