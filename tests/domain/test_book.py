"""The slotted arena: what rows hold after any sequence of changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.domain.book import Book
from solvent.domain.symbols import instrument
from solvent.domain.universe import Universe
from solvent.errors import SolventError

UNIVERSE = Universe([instrument(id, 100.0) for id in ("USDC", "BTC", "ETH", "SOL", "BTC/USDC:USDC", "ETH/USDC:USDC")])
changes = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, len(UNIVERSE) - 1), st.integers(-5, 5), st.integers(-3, 3)),
    max_size=200,
)


def rows_of(book: Book, account: int) -> dict[int, tuple[int, int]]:
    return {i: (q, c) for i, q, c in zip(*(column.tolist() for column in book.row(account)), strict=True)}


@given(changes)
def test_rows_hold_the_sum_of_all_changes(sequence: list[tuple[int, int, int, int]]) -> None:
    book = Book(UNIVERSE, [f"a{k}" for k in range(41)])
    expected: dict[tuple[int, int], tuple[int, int]] = {}
    for account, which, lots, cost in sequence:
        book.add(account, which, lots, cost)
        q, c = expected.get((account, which), (0, 0))
        expected[account, which] = (q + lots, c + cost)
    for account in range(41):
        kept = {i: held for (a, i), held in expected.items() if a == account and held != (0, 0)}
        assert rows_of(book, account) == kept
    assert book.positions == sum(held != (0, 0) for held in expected.values())


@given(changes)
def test_columns_at_once_are_the_same_book(sequence: list[tuple[int, int, int, int]]) -> None:
    one = Book(UNIVERSE, [f"a{k}" for k in range(41)])
    for change in sequence:
        one.add(*change)
    columns = np.array(sequence, dtype=np.int64).reshape(len(sequence), 4).T
    other = Book.from_rows(UNIVERSE, one.names, columns[0], columns[1], columns[2], columns[3])
    for account in range(41):
        assert rows_of(one, account) == {i: held for i, held in rows_of(other, account).items() if held != (0, 0)}


def test_set_row_replaces_and_moves_to_a_larger_slot() -> None:
    book = Book(UNIVERSE, ["a", "b"])
    book.add(1, 0, 7)
    for size in (2, 6, 0, 3):
        book.set_row(0, list(range(size)), [5] * size, [1] * size)
        assert rows_of(book, 0) == dict.fromkeys(range(size), (5, 1))
    assert rows_of(book, 1) == {0: (7, 0)}


def test_what_does_not_fit_is_refused() -> None:
    book = Book(UNIVERSE, ["a"])
    with pytest.raises(SolventError, match="a quantity of less"):
        book.add(0, 0, 2**63)
    with pytest.raises(SolventError, match="one of a"):
        book.index("b")


def test_accounts_can_be_opened_without_end() -> None:
    book = Book(UNIVERSE)
    for k in range(1_000):
        assert book.open(f"n{k}") == k
        book.add(k, k % len(UNIVERSE), k + 1)
    assert all(rows_of(book, k) == {k % len(UNIVERSE): (k + 1, 0)} for k in range(1_000))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_table_of_what_if_rows_is_a_book_of_its_own(count: int) -> None:
    instruments = np.array([0, 4, 5])
    instruments.setflags(write=False)
    lots = np.arange(3 * count, dtype=np.int64).reshape(count, 3) - 2
    book = Book.of_table(UNIVERSE, instruments, lots, 10 * lots)
    assert len(book) == count
    for k in range(count):
        assert [column.tolist() for column in book.row(k)] == [[0, 4, 5], lots[k].tolist(), (10 * lots[k]).tolist()]
    # Kernels compile anew for arrays that cannot be written to: every book's are of one kind.
    columns = (book.start, book.length, book.instrument, book.lots, book.cost)
    assert all(each.flags.writeable and each.flags.c_contiguous and each.dtype == np.int64 for each in columns)
