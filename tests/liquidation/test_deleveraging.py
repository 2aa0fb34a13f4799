"""Deleveraging: whole lots that sum exactly, an exact queue, nobody touched who must not be."""

from fractions import Fraction
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.liquidation.deleveraging import METHODS, Counterparties, deleverage, pro_rata, ranking

rows = st.tuples(
    st.integers(0, 10**12),
    st.integers(-(10**15), 10**15),
    st.integers(0, 10**15),
    st.integers(0, 10**15),
    st.integers(-(10**15), 10**15),
    st.booleans(),
)
near = st.tuples(
    st.integers(0, 5),
    st.integers(-3, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(-1, 3),
    st.booleans(),
)
books = st.one_of(st.lists(rows, max_size=12), st.lists(near, max_size=12))


def holders(table: list[tuple[int, int, int, int, int, bool]], seed: int = 0) -> Counterparties:
    columns = list(zip(*table, strict=True)) or [()] * 6
    ids = np.random.default_rng(seed).permutation(len(table)).astype(np.int64)
    numbers = [np.array(column, dtype=np.int64) for column in columns[:5]]
    return Counterparties(ids, *numbers, np.array(columns[5], dtype=bool))


def usable(book: Counterparties) -> np.ndarray:
    return np.flatnonzero(~book.skip & (book.equity > 0))


@given(books, st.integers(0, 10**13), st.sampled_from(sorted(METHODS)))
def test_lots_sum_to_what_is_needed_or_to_all_there_is(table: list, needed: int, method: str) -> None:
    book = holders(table)
    there = int(book.lots[usable(book)].sum(dtype=object)) if table else 0
    result = deleverage(method, needed, book)
    assert int(result.closed_lots.sum()) == min(needed, there)
    assert result.overshoot_lots == min(needed, there) - needed
    assert np.all((result.closed_lots >= 0) & (result.closed_lots <= book.lots))
    untouched = np.setdiff1d(np.arange(len(table)), usable(book))
    assert not result.closed_lots[untouched].any()
    assert 0 <= result.regret_lots <= min(needed, there)
    assert result.touched == np.count_nonzero(result.closed_lots)


def score(book: Counterparties, row: int) -> Fraction:
    return Fraction(
        int(book.profit[row]) * int(book.account_notional[row]),
        max(int(book.notional[row]), 1) * int(book.equity[row]),
    )


@given(books)
def test_the_ranking_is_the_exact_order_of_scores(table: list) -> None:
    book = holders(table)
    listed = [row for row in usable(book) if book.lots[row] > 0]
    expected = sorted(listed, key=lambda row: (-score(book, row), book.account[row]))
    assert ranking(book) == expected


def test_integers_settle_what_floats_cannot() -> None:
    """Two scores that differ in the 17th digit: a float sort would have left them to the account id."""
    big = 10**15
    book = holders([(1, big, 1, 1, big, False), (1, big + 1, 1, 1, big, False)])
    book = Counterparties(np.array([0, 1]), *(getattr(book, f) for f in Counterparties.__struct_fields__[1:]))
    assert ranking(book) == [1, 0]
    assert float(score(book, 0)) == pytest.approx(float(score(book, 1)), rel=1e-14)


@given(books, st.integers(0, 10**13))
def test_pro_rata_is_within_a_lot_of_the_exact_share(table: list, needed: int) -> None:
    book = holders(table)
    there = int(book.lots[usable(book)].sum(dtype=object)) if table else 0
    needed = min(needed, there)
    closed = pro_rata(needed, book)
    for row in usable(book):
        if there:
            assert abs(int(closed[row]) - Fraction(int(book.lots[row]) * needed, there)) < 1
    assert deleverage("pro_rata", needed, book).regret_lots == 0


@given(books, st.integers(1, 10**13), st.integers(0, 99))
def test_the_order_of_the_rows_does_not_matter(table: list, needed: int, seed: int) -> None:
    book = holders(table)
    shuffle = np.random.default_rng(seed).permutation(len(table))
    moved = Counterparties(*(getattr(book, name)[shuffle] for name in Counterparties.__struct_fields__))
    for method in METHODS:
        before, after = deleverage(method, needed, book), deleverage(method, needed, moved)
        assert np.array_equal(before.closed_lots[shuffle], after.closed_lots)


def test_the_queue_takes_the_first_and_pro_rata_a_part_of_each() -> None:
    book = holders([(10, 5, 10, 10, 10, False), (10, 9, 10, 10, 10, False), (20, 1, 10, 10, 10, False)])
    first = deleverage("queue", 10, book)
    assert first.closed_lots.tolist() == [0, 10, 0]
    assert (first.regret_lots, first.touched) == (7, 1)
    fair = deleverage("pro_rata", 10, book)
    assert sorted(fair.closed_lots[:2].tolist()) == [2, 3]
    assert (fair.closed_lots[2], fair.overshoot_lots) == (5, 0)


def test_too_little_on_the_other_side_is_reported() -> None:
    book = holders([(3, 1, 1, 1, 1, False), (4, 1, 1, 1, 1, True), (5, 1, 1, 1, 0, False)])
    result = deleverage("queue", 10, book)
    assert (result.closed_lots.tolist(), result.overshoot_lots) == ([3, 0, 0], -7)


def test_ten_thousand_counterparties_are_ranked_in_a_blink() -> None:
    rng = np.random.default_rng(1)
    amount = [rng.integers(1, 10**12, 10_000) for _ in range(5)]
    book = Counterparties(np.arange(10_000), *amount, np.zeros(10_000, dtype=bool))
    start = perf_counter()
    assert len(ranking(book)) == 10_000
    assert perf_counter() - start < 2, "a second here would be a quadratic order"
