"""Generated books: zero-sum, seeded, with the distributions that they state, and nobody called at the start."""

from typing import Any

import numpy as np
import pytest
from tests.engine.desk import INSURANCE, USDC, Desk, usdc

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.owners import MARKET
from solvent.domain.symbols import instrument
from solvent.engine.generate import COLLATERAL_MEDIAN_USD, COLLATERAL_MOST_USD, generate
from solvent.engine.start import instruments_for
from solvent.errors import SolventError

PRICES = {"USDC": 1.0, "BTC": 60_000.0, "ETH": 3_000.0, "XRP": 0.5}
ACCOUNTS = 4_000


def venue() -> Desk:
    desk = Desk(instruments=tuple(instruments_for(("BTC", "ETH", "XRP"), PRICES)), marked=False)
    desk.prices = dict(PRICES)
    desk.tick()
    return desk


@pytest.fixture(scope="module")
def book() -> Desk:
    desk = venue()
    entries = desk.engine.execute(generate(desk.state.universe, PRICES, ACCOUNTS, 7, 50_000.0), desk.now_ns)
    refused = [event for entry in entries for event in entry.events if isinstance(event, e.Refused)]
    assert refused == []
    return desk


def commands(seed: int, accounts: int = 300) -> list[c.Command]:
    return [each.command for each in generate(venue().state.universe, PRICES, accounts, seed, 1_000.0)]


def test_the_same_seed_gives_the_same_book_and_another_another() -> None:
    assert commands(1) == commands(1)
    assert commands(1) != commands(2)


def test_every_perpetual_is_zero_sum_without_the_outside_market(book: Desk) -> None:
    assert book.state.violations() == []
    perpetuals = [i for i, each in enumerate(book.state.universe) if each.kind == 1]
    assert len(perpetuals) == 3
    for i in perpetuals:
        assert book.position(MARKET, i)[0] == 0
        assert book.state.holders_of(i)


def test_accounts_fund_and_pool_are_there(book: Desk) -> None:
    assert len(book.state.accounts) == ACCOUNTS + 1
    assert book.atoms(INSURANCE) == usdc(50_000)
    assert book.state.pool_cash(USDC) > 0
    assert book.state.accounts[0].name == "lender"


def test_nobody_begins_below_initial_margin(book: Desk) -> None:
    statement = book.engine.risk.statement()
    below = np.flatnonzero(statement.equity < statement.initial_margin)
    assert [book.state.accounts[a].name for a in below] == []
    near = (statement.equity < 1.4 * statement.initial_margin) & (statement.initial_margin > 0)
    assert 0.05 < near.mean() < 0.2  # about a tenth stands within a third of its call


def drawn(book: Desk) -> range:
    return range(1, ACCOUNTS + 1 - ACCOUNTS // 500)


def test_collateral_is_as_stated(book: Desk) -> None:
    state, risk = book.state, book.engine.risk
    worth = np.array([risk.exact(a).equity / 1e6 for a in drawn(book)])
    assert np.median(worth) == pytest.approx(COLLATERAL_MEDIAN_USD, rel=0.1)
    assert worth.max() <= COLLATERAL_MOST_USD
    assert np.std(np.log(worth)) == pytest.approx(1.4, rel=0.05)
    only_cash = sum(set(state.balances[a]) == {USDC} for a in drawn(book))
    owes = sum(state.balance(a, USDC) < 0 for a in drawn(book))
    assert only_cash / len(drawn(book)) == pytest.approx(0.60, abs=0.03)
    assert owes / len(drawn(book)) == pytest.approx(0.06 * 0.25, abs=0.01)  # of those who hold but coins


def test_sides_and_legs_are_as_stated(book: Desk) -> None:
    state = book.state
    rows = [list(state.positions.get(a, {}).values()) for a in drawn(book)]
    sizes = [lots for row in rows for lots, _ in row]
    assert np.mean(np.array(sizes) > 0) == pytest.approx(0.58, abs=0.02)
    assert np.mean([len(row) == 2 for row in rows]) == pytest.approx(0.3, abs=0.03)


def test_a_universe_without_perpetuals_is_refused() -> None:
    desk = Desk(instruments=(instrument("USDC"), instrument("BTC")))
    with pytest.raises(SolventError, match="at least one linear perpetual"):
        list(generate(desk.state.universe, PRICES, 10, 1, 0.0))


def test_too_small_a_book_is_refused() -> None:
    with pytest.raises(SolventError, match="3 or more"):
        commands(1, 2)


@pytest.mark.parametrize("accounts", [3, 10, 499])
def test_small_books_are_zero_sum_too(accounts: int) -> None:
    desk = venue()
    entries: Any = desk.engine.execute(generate(desk.state.universe, PRICES, accounts, 3, 0.0), desk.now_ns)
    assert not [event for entry in entries for event in entry.events if isinstance(event, e.Refused)]
    for i, each in enumerate(desk.state.universe):
        assert each.kind != 1 or desk.position(MARKET, i)[0] == 0
