"""Netting, sums, cutting into blocks, exact holdings, refusals."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.margin.rules.venue_worlds import MARKET, UNIVERSE

from solvent.domain.book import Book
from solvent.errors import SolventError
from solvent.margin.rules.rows import (
    KINDS,
    Groups,
    Held,
    Marginable,
    blocks,
    check_accounts,
    found_in,
    gain_lots,
    kind_of,
    net,
    refuse_unmarginable,
    rules_for,
)

rows = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(-9, 9), st.integers(-9, 9)), max_size=40)


def book_of(table: list[tuple[int, int, int, int]]) -> Book:
    """Rows as they come, repeated instruments and all."""
    book = Book(UNIVERSE, [f"account {a}" for a in range(5)])
    for account in range(5):
        mine = [row[1:] for row in table if row[0] == account]
        if mine:
            book.set_row(account, *(list(column) for column in zip(*mine, strict=True)))
    return book


@given(rows, st.lists(st.integers(0, 4), max_size=8))
def test_netting_is_a_sum_by_account_and_instrument(table: list[tuple[int, int, int, int]], which: list[int]) -> None:
    found = net(book_of(table), np.array(which, dtype=np.int64))
    wanted: dict[tuple[int, int], tuple[int, int]] = {}
    for place, account in enumerate(which):
        for owner, i, lots, cost in table:
            if owner == account:
                q, c = wanted.get((place, i), (0, 0))
                wanted[place, i] = q + lots, c + cost
    wanted = {key: row for key, row in wanted.items() if any(row)}
    keys = list(zip(found.owner.tolist(), found.instrument.tolist(), strict=True))
    assert keys == sorted(wanted)
    assert [(q, c) for q, c in zip(found.lots.tolist(), found.cost.tolist(), strict=True)] == [wanted[k] for k in keys]


@given(hnp.arrays(np.int64, st.integers(0, 30), elements=st.integers(0, 5)))
def test_groups_sum_what_belongs_together(key: np.ndarray) -> None:
    amounts = np.arange(len(key), dtype=float) + 1
    which = amounts % 3 != 0
    groups = Groups.of(key, which)
    wanted = {k: amounts[which & (key == k)].sum() for k in set(key[which].tolist())}
    assert groups.key.tolist() == sorted(wanted)
    assert groups.sums(amounts).tolist() == [wanted[k] for k in sorted(wanted)]
    table = np.stack([amounts, -amounts], axis=1)
    assert (groups.sums(table)[:, 1] == -groups.sums(amounts)).all()


@given(hnp.arrays(np.int64, st.integers(0, 30), elements=st.integers(0, 12)), st.integers(1, 20))
def test_blocks_cover_every_account_once(length: np.ndarray, most: int) -> None:
    cut = blocks(length, most)
    assert [i for each in cut for i in range(len(length))[each]] == list(range(len(length)))
    assert all(length[each].sum() <= 2 * most or each.stop - each.start == 1 or most < 12 for each in cut)


def test_what_an_account_holds_is_exact() -> None:
    book = Book(UNIVERSE, ["trader"])
    book.add(0, 0, 1_500_001)
    book.add(0, UNIVERSE.index("BTC/USDC:USDC"), 10, -30_000_001)
    book.add(0, UNIVERSE.index("BTC/USD:BTC"), -7, 10)
    held = Held.of(book, 0, MARKET)
    linear, inverse = UNIVERSE.index("BTC/USDC:USDC"), UNIVERSE.index("BTC/USD:BTC")
    price = Fraction(int(MARKET.ticks[inverse])) / 2
    assert held.coins == {0: Fraction(1_500_001, 10**6)}
    assert held.profit[linear] == Fraction(10, 10_000) * Fraction(36_036) - Fraction(30_000_001, 10**6)
    assert held.profit[inverse] == 70 / price + Fraction(10, 10**8)
    assert held.balances(UNIVERSE)[0] == held.coins[0] + held.profit[linear]


def test_gains_of_a_lot_are_those_of_the_exact_form() -> None:
    gain = gain_lots(MARKET)
    for i, each in enumerate(UNIVERSE):
        book = Book(UNIVERSE, ["trader"])
        book.add(0, i, 1_000)
        profit = Held.of(book, 0, MARKET).profit.get(i, Fraction(0))
        assert 1_000 * gain[i] * float(UNIVERSE.spot_of(i).lot_coins) == pytest.approx(float(profit), rel=1e-14), (
            each.id
        )


def test_every_instrument_is_of_a_known_kind_that_the_portfolio_rule_margins() -> None:
    assert {kind_of(each) for each in UNIVERSE} | {"debt"} == KINDS
    for kind in KINDS:
        assert "portfolio" in rules_for(kind)
    assert "dydx-v4" not in rules_for("option")
    assert "aave-v3" in rules_for("debt")


def test_refusals_name_account_instrument_and_remedy() -> None:
    some = Marginable.of(
        "some rule", frozenset({"cash", "perpetual"}), UNIVERSE, {UNIVERSE.index("SOL/USDC:USDC"): "tiers"}
    )
    book = Book(UNIVERSE, ["good", "bad"])
    book.add(0, 0, 1)
    for id in ("SOL/USDC:USDC", "BTC", "BTC/USDC:USDC-20-36000-C"):
        book.add(1, UNIVERSE.index(id), 1)
    accounts = np.array([0, 1])
    refuse_unmarginable(some, book, accounts[:1], net(book, accounts[:1]))
    with pytest.raises(SolventError) as error:
        refuse_unmarginable(some, book, accounts, net(book, accounts))
    found = {each.value: each for each in error.value.problems}
    assert set(found) == {"SOL/USDC:USDC (perpetual)", "BTC (spot)", "BTC/USDC:USDC-20-36000-C (option)"}
    assert all(each.field == "bad" for each in found.values())
    assert found["SOL/USDC:USDC (perpetual)"].accepted == "tiers"
    assert "deribit-pme" in found["BTC/USDC:USDC-20-36000-C (option)"].accepted


def test_accounts_that_are_not_there_are_refused() -> None:
    book = Book(UNIVERSE, ["one"])
    with pytest.raises(SolventError, match="0 to 0"):
        check_accounts(book, np.array([1]), UNIVERSE)
    with pytest.raises(SolventError, match="instruments of the market"):
        check_accounts(Book(UNIVERSE.listed()), None, type(UNIVERSE)(UNIVERSE.instruments[:1]))


def test_policy_entries_are_found_by_id_then_underlying_then_star() -> None:
    each = UNIVERSE[UNIVERSE.index("BTC/USDC:USDC")]
    assert found_in({"*": 1, "BTC": 2, each.id: 3}, each) == 3
    assert found_in({"*": 1, "BTC": 2}, each) == 2
    assert found_in({"*": 1}, each) == 1
    assert found_in({"ETH": 1}, each) is None
