"""The margin view of a state: kept in step, rounded against accounts, sized by what is marked."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.engine.desk import (
    BTC,
    CALL,
    COIN_CALL,
    ETH,
    ETH_PERP,
    FUTURE,
    INSTRUMENTS,
    INVERSE,
    MARKET,
    PERP,
    PUT,
    USDC,
    Desk,
    btc,
    lots,
    ticks,
    usdc,
)

from solvent.domain import commands as c
from solvent.domain.book import Order
from solvent.domain.instruments import Spot
from solvent.domain.symbols import instrument
from solvent.domain.universe import Universe
from solvent.engine.decide.moves import Moves
from solvent.engine.risk import (
    VALUE,
    Risk,
    exposure_usd,
    payment_asset,
    profit_atoms,
    row_of,
    states_of,
    trade_quote,
)
from solvent.errors import SolventError
from solvent.ledger.recovery import recover
from solvent.ledger.state import State

UNIVERSE = Universe(INSTRUMENTS)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_view_follows_every_change(desk: Desk) -> None:
    account, other = desk.open("account", 20_000.0), desk.open("other", 1e6)
    risk = desk.engine.risk
    for command in (
        desk.trade(PERP, account, other, lots(0.3)),
        c.OpenOrder(account, FUTURE, lots(0.1), ticks(59_000)),
        c.Deposit(account, BTC, btc(0.1)),
        c.CancelOrder(account, 0),
        c.Withdraw(account, USDC, usdc(100)),
    ):
        before = desk.exact(account)
        desk.ok(command)
        fresh = Risk(recover(desk.engine.journal))
        assert risk.exact(account) == fresh.exact(account) != before
        statement = risk.statement()
        assert statement.equity[account] == pytest.approx(fresh.exact(account).equity / 1e6)


def test_what_if_leaves_the_view_alone(desk: Desk) -> None:
    account = desk.open("account", 10_000.0)
    risk = desk.engine.risk
    before = risk.exact(account)
    moves = Moves(desk.state)
    moves.trade(account, MARKET, PERP, lots(1), ticks(60_000))
    assert risk.exact_after(desk.state, account, moves.row(account)).initial_margin == usdc(10_050)
    order = Order(7, PERP, lots(1), ticks(60_000))
    assert risk.gate_with_order(desk.state, account, order).initial_margin > 0
    assert risk.exact(account) == before
    assert desk.position(account, PERP) == (0, 0)


def test_rows_are_rounded_against_the_account(desk: Desk) -> None:
    owner, debtor = desk.open("owner", ETH=1.0), desk.open("debtor", 10_000.0)
    desk.ok(c.Deposit(owner, ETH, 999_999_999))  # a lot of ETH is 1e9 atoms
    desk.lend(ETH, 10**18)
    desk.ok(c.Withdraw(debtor, ETH, 10**9 + 1))
    assert row_of(desk.state, owner).lots == [10**9]
    row = row_of(desk.state, debtor)
    assert dict(zip(row.instruments, row.lots, strict=True))[ETH] == -2


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12), st.integers(1, 10**9))
def test_moves_show_the_row_that_the_ledger_will_have(size: int, quote: int, atoms: int) -> None:
    state = State(universe=UNIVERSE)
    moves = Moves(state)
    moves.pay(-2, 0, ETH, atoms)
    moves.give(MARKET, 0, INVERSE, size, quote)
    row = moves.row(0)
    state.balances[0] = {ETH: atoms}
    if size or quote:
        state.positions[0] = {INVERSE: (size, quote)}
    assert row == row_of(state, 0)


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**9), st.integers(1, 10**9))
def test_profit_is_rounded_down_whatever_the_sign(size: int, entry: int, mark: int) -> None:
    state = State(universe=UNIVERSE)
    state.quotes = {PERP: c.Quote(PERP, mark), INVERSE: c.Quote(INVERSE, mark), CALL: c.Quote(CALL, mark)}
    assert profit_atoms(state, PERP, size, -size * entry) == size * (mark - entry)
    quote = trade_quote(UNIVERSE, INVERSE, size, entry)
    exact = Fraction(quote) - Fraction(size * 10**10, mark)
    found = profit_atoms(state, INVERSE, size, quote)
    assert exact - 1 < found <= exact
    assert profit_atoms(state, CALL, size, 5) == 5


def test_atoms_are_worth_their_mark_to_the_last_digit(desk: Desk) -> None:
    risk = desk.engine.risk
    assert risk.atom_value(desk.state, USDC) == VALUE // 10**6
    assert risk.atom_value(desk.state, BTC) == 60_000 * VALUE // 10**8
    assert risk.atom_value(desk.state, ETH) == 3_000 * VALUE // 10**18
    assert risk.usd_micro_down(desk.state, BTC, -1) == -600


def test_exposure_is_notional_and_for_options_that_of_their_delta(desk: Desk) -> None:
    assert desk.engine.risk.market is not None
    found = exposure_usd(desk.engine.risk.market)
    assert found[PERP] == pytest.approx(0.6)
    assert found[ETH_PERP] == pytest.approx(0.3)
    assert found[INVERSE] == 1.0
    assert found[BTC] == pytest.approx(60_000 * 1e-8)
    assert 0.3 < found[CALL] / 600 < 0.7
    assert found[CALL] + found[PUT] == pytest.approx(600)  # deltas of call and put are one apart
    assert found[COIN_CALL] == pytest.approx(found[CALL])


def test_a_new_listing_without_a_mark_does_not_stop_the_margins_of_the_rest(desk: Desk) -> None:
    account = desk.open("account", 10_000.0)
    desk.ok(c.ListInstrument(instrument("SOL")))
    desk.ok(c.ListInstrument(instrument("SOL/USDC:USDC", 150.0)))
    risk = desk.engine.risk
    assert len(risk.universe) == len(INSTRUMENTS)
    assert risk.exact(account).equity == usdc(10_000)
    desk.tick(1)  # SOL is not priced yet
    desk.ok(desk.trade(PERP, account, MARKET, 1))
    assert "with a mark" in desk.refused(c.Fill(len(INSTRUMENTS) + 1, account, MARKET, 1, 1))
    report = desk.tick(1, SOL=150.0)
    assert report.statement is not None
    assert len(risk.universe) == len(INSTRUMENTS) + 2
    desk.ok(desk.trade(len(INSTRUMENTS) + 1, account, MARKET, 1))


def test_before_a_policy_or_a_mark_there_are_no_margins() -> None:
    desk = Desk(marked=False)
    with pytest.raises(SolventError, match="a policy and a mark"):
        desk.engine.risk.ready()
    bare = Risk(State(universe=UNIVERSE))
    with pytest.raises(SolventError, match="a policy"):
        bare.parameters()


def test_the_worst_state_of_all_that_a_row_depends_on(desk: Desk) -> None:
    state = desk.state
    assert states_of(state, [PERP, CALL, USDC]) == 0
    state.quotes[USDC] = replace(state.quotes[USDC], state=1)
    assert states_of(state, [PERP]) == 1  # its payer
    state.quotes[BTC] = replace(state.quotes[BTC], state=2)
    assert states_of(state, [PERP]) == 2  # its index
    assert states_of(state, [ETH]) == 0
    state.quotes[FUTURE] = replace(state.quotes[FUTURE], state=3)
    assert states_of(state, [FUTURE]) == 3
    state.expired.add(FUTURE)
    assert states_of(state, [FUTURE]) == 2  # what has expired has no price of its own


def test_liquidations_are_paid_in_the_first_dollar_at_the_house() -> None:
    away = Spot("USDC@arbitrum", "USDC", 6, location="arbitrum")
    assert payment_asset(Universe((instrument("BTC"), away, instrument("USDT"), instrument("USDC")))) == 2
    with pytest.raises(SolventError, match="no USD asset"):
        payment_asset(Universe((instrument("BTC"), away)))


def test_what_the_market_takes_counts_once_it_is_applied(desk: Desk) -> None:
    account = desk.load("account", {USDC: usdc(9_500)}, {PERP: lots(1)})
    desk.mark(1, BTC=58_000.0)
    desk.ok(c.MarginCall(account))
    risk = desk.engine.risk
    assert risk.taken_usd == {}
    (done, *_) = desk.ok(c.Liquidate(account))
    assert risk.taken_usd[PERP] == pytest.approx(done.notional_micro / 1e6, rel=1e-6)
    assert risk.pending_usd == {}
    desk.mark(1)
    assert risk.taken_usd == {}  # a new mark, a new volume


def test_trials_of_insurance_leave_no_trace_in_what_the_market_took(desk: Desk) -> None:
    account = desk.load("account", {USDC: usdc(9_500)}, {PERP: lots(1)})
    desk.mark(1, BTC=45_000.0)
    desk.ok(c.Insure(account))  # there is no fund: nothing was closed, though closing was tried
    assert desk.engine.risk.taken_usd == {}


def test_the_digest_in_the_journal_is_of_the_tables_that_decide(desk: Desk) -> None:
    risk = desk.engine.risk
    assert Risk(recover(desk.engine.journal)).ready().digest() == risk.ready().digest()
    desk.mark(1, BTC=61_000.0)
    last = desk.engine.journal.blocks[-1].entries()[0].events[0]
    assert last.digest == risk.ready().digest()  # type: ignore[union-attr]
    assert np.all(risk.market.ticks == Risk(recover(desk.engine.journal)).market.ticks)  # type: ignore[union-attr]
