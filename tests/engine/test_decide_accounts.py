"""Accounts and their cash: what each command moves, and every gate that stops it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.desk import (
    BTC,
    CALL,
    E8,
    ETH,
    INVERSE,
    PERP,
    USDC,
    Desk,
    lots,
    policy_with,
    usdc,
)

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.owners import INSURANCE, MARKET, OUTSIDE, POOL
from solvent.domain.quantities import ATOM_BOUND
from solvent.domain.symbols import spot
from solvent.engine.decide.accounts import NAME_MOST, pool_of
from solvent.engine.engine import Submission
from solvent.pools.shares import VIRTUAL_SHARES


@pytest.fixture
def desk() -> Desk:
    return Desk()


# ---- open


def test_an_account_stands_for_itself_unless_it_names_an_owner(desk: Desk) -> None:
    (alone,) = desk.ok(c.OpenAccount("alone"))
    (sub,) = desk.ok(c.OpenAccount("sub", "alone", isolated=USDC))
    assert (alone.account, alone.owner, alone.isolated) == (0, "alone", -1)
    assert (sub.account, sub.owner, sub.isolated) == (1, "alone", USDC)
    assert desk.state.owned == {"alone": [0, 1]}


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (c.OpenAccount(""), "name: 1 to"),
        (c.OpenAccount("x" * (NAME_MOST + 1)), "name: 1 to"),
        (c.OpenAccount("taken"), "that no account has"),
        (c.OpenAccount("sub", isolated=PERP), "a spot instrument"),
        (c.OpenAccount("sub", isolated=99), "an instrument from 0"),
    ],
)
def test_names_are_unique_and_isolation_names_an_asset(desk: Desk, command: c.OpenAccount, reason: str) -> None:
    desk.open("taken")
    assert reason in desk.refused(command)


# ---- deposit


def test_a_deposit_comes_from_outside(desk: Desk) -> None:
    account = desk.open("depositor")
    (event,) = desk.ok(c.Deposit(account, BTC, 5, "wire"))
    assert event.postings == ((OUTSIDE, BTC, -5), (account, BTC, 5))
    assert desk.atoms(account, BTC) == 5
    assert "never credited" in desk.refused(c.Deposit(account, BTC, 5, "wire"))


def test_insurance_can_be_seeded_and_nobody_else_without_an_account(desk: Desk) -> None:
    desk.insure(7.0)
    assert desk.atoms(INSURANCE) == usdc(7)
    for owner in (OUTSIDE, POOL, MARKET, 0, 99):
        assert "an account from" in desk.refused(c.Deposit(owner, USDC, 1))


@pytest.mark.parametrize("atoms", [0, -1, ATOM_BOUND])
def test_amounts_are_above_zero_and_fit(desk: Desk, atoms: int) -> None:
    account = desk.open("depositor", 100.0)
    assert "amount above 0" in desk.refused(c.Deposit(account, USDC, atoms))
    assert "amount above 0" in desk.refused(c.Withdraw(account, USDC, atoms))


def test_a_balance_fits_the_book(desk: Desk) -> None:
    account = desk.open("depositor")
    most = (2**63 - 1) * 10**9  # a lot of ETH is 1e9 atoms
    assert "2**63 lots" in desk.refused(c.Deposit(account, ETH, most + 10**9))
    desk.ok(c.Deposit(account, ETH, most))


def test_an_isolated_account_holds_one_asset(desk: Desk) -> None:
    account = desk.open("isolated", isolated=USDC)
    assert "settlement asset of the isolated account" in desk.refused(c.Deposit(account, BTC, 1))
    desk.ok(c.Deposit(account, USDC, 1))


def test_an_asset_without_a_mark_is_not_taken_and_does_not_stop_the_rest(desk: Desk) -> None:
    account = desk.open("depositor", 1_000.0)
    (listed,) = desk.ok(c.ListInstrument(spot("SOL")))
    sol = desk.state.universe.index("SOL")
    assert listed.instrument.id == "SOL"
    assert "with a mark" in desk.refused(c.Deposit(account, sol, 1))
    desk.ok(c.Withdraw(account, USDC, usdc(1)))  # margins go on for what has marks
    desk.tick(1, SOL=150.0)
    desk.ok(c.Deposit(account, sol, 1))


LIMITS = {
    "USDC": {"owner_usd": 1_000, "total_usd": 1_500, "daily_usd": 1_200},
    "BTC": {"owner_units": 2, "total_units": 3},
}


def test_caps_of_a_listing_hold_for_the_owner_for_all_and_by_the_day() -> None:
    desk = Desk(policy_with(limits=LIMITS))
    first, second = desk.open("first", owner="one"), desk.open("second", owner="one")
    other = desk.open("other")
    desk.ok(c.Deposit(first, USDC, usdc(600)))
    assert "owner cap of 1000 USD" in desk.refused(c.Deposit(second, USDC, usdc(400) + 1))
    desk.ok(c.Deposit(second, USDC, usdc(400)))
    assert "daily cap of 1200 USD" in desk.refused(c.Deposit(other, USDC, usdc(200) + 1))
    desk.ok(c.Deposit(other, USDC, usdc(200)))
    desk.tick(60 * 24)  # a new day
    assert "total cap of 1500 USD" in desk.refused(c.Deposit(other, USDC, usdc(300) + 1))
    desk.ok(c.Deposit(other, USDC, usdc(300)))


def test_caps_in_coins() -> None:
    desk = Desk(policy_with(limits=LIMITS))
    one, two = desk.open("one"), desk.open("two")
    assert "owner cap of 2 coins" in desk.refused(c.Deposit(one, BTC, 2 * E8 + 1))
    desk.ok(c.Deposit(one, BTC, 2 * E8))
    assert "total cap of 3 coins" in desk.refused(c.Deposit(two, BTC, E8 + 1))
    desk.ok(c.Deposit(two, BTC, E8))


def test_the_fund_has_no_caps() -> None:
    desk = Desk(policy_with(limits=LIMITS))
    desk.insure(10_000.0)
    account = desk.open("owner")
    desk.ok(c.Deposit(account, USDC, usdc(1)))
    assert desk.state.deposited == {USDC: usdc(1)}


# ---- withdraw


def test_a_withdrawal_goes_outside_with_the_verdict_after_it(desk: Desk) -> None:
    account = desk.open("owner", 100.0)
    (event,) = desk.ok(c.Withdraw(account, USDC, usdc(40)))
    assert event.postings == ((account, USDC, -usdc(40)), (OUTSIDE, USDC, usdc(40)))
    assert event.verdicts == (e.Verdict(account, usdc(60), 0, 0),)


def long_at_its_margin(desk: Desk) -> tuple[int, int]:
    """A long of 0.1 BTC with 500 USDC beyond its initial margin in micro USD; (account, excess atoms)."""
    account = desk.load("long", {USDC: usdc(1_505)}, {PERP: lots(0.1)})
    exact = desk.exact(account)
    return account, exact.equity - exact.initial_margin


def test_equity_after_a_withdrawal_is_at_least_initial_margin(desk: Desk) -> None:
    account, excess = long_at_its_margin(desk)
    assert excess == usdc(500)
    assert "at least the initial margin" in desk.refused(c.Withdraw(account, USDC, excess + 1))
    desk.ok(c.Withdraw(account, USDC, excess))
    assert "at least the initial margin" in desk.refused(c.Withdraw(account, USDC, 1))


def test_the_slow_price_enters_withdrawals(desk: Desk) -> None:
    account = desk.open("owner", BTC=1.0)
    desk.hold(desk.open("filler"), PERP, lots(0.1))
    at_rest = desk.exact(account)
    desk.tick(5, BTC=66_000.0)  # the slow price lags: collateral counts at the lower
    raised = desk.exact(account)
    assert raised.equity == at_rest.equity * 66 // 60
    charged = raised.initial_margin - at_rest.initial_margin * 66 // 60
    assert charged > 0.085 * 60_000e6  # nearly the whole rise of 6,000 USD
    assert raised.maintenance_margin == pytest.approx(at_rest.maintenance_margin * 1.1)


@pytest.mark.parametrize("move", ["withdraw", "transfer", "supply"])
def test_all_ways_out_share_the_gates(desk: Desk, move: str) -> None:
    account, excess = long_at_its_margin(desk)
    other = desk.open("other", owner="long")

    def out(atoms: int) -> c.Command:
        if move == "transfer":
            return c.Transfer(account, other, USDC, atoms)
        return (c.Withdraw if move == "withdraw" else c.Supply)(account, USDC, atoms)

    assert "initial margin" in desk.refused(out(excess + 1))
    desk.ok(c.Freeze(account=account))
    assert "not frozen" in desk.refused(out(1))
    desk.ok(c.Freeze(account=account, on=False))
    desk.ok(out(excess))
    desk.tick(1, BTC=59_500.0)
    assert desk.stage(account) == "called"
    assert "healthy, not called" in desk.refused(out(1))


def test_no_withdrawal_on_prices_that_are_not_ok_nor_by_a_clock_ahead_of_them(desk: Desk) -> None:
    account = desk.open("owner", 100.0, BTC=1.0)
    plain = desk.open("plain", 100.0)
    desk.ok(mark_state(desk, BTC, 1))
    assert "is degraded" in desk.refused(c.Withdraw(account, USDC, 1))
    desk.ok(c.Withdraw(plain, USDC, 1))  # depends on no price that is in doubt
    desk.ok(mark_state(desk, BTC, 2))
    assert "is halted" in desk.refused(c.Withdraw(account, USDC, 1))
    desk.ok(mark_state(desk, BTC, 3))
    assert "is gone" in desk.refused(c.Withdraw(account, USDC, 1))
    desk.ok(mark_state(desk, BTC, 0))
    desk.now_ns += 601 * 10**9
    assert "the clock is 601 s ahead" in desk.refused(c.Withdraw(account, USDC, 1))


def mark_state(desk: Desk, instrument: int, state: int) -> c.Mark:
    """The last quote of an instrument in another state."""
    return c.Mark((msgspec.structs.replace(desk.state.quotes[instrument], state=state),), (), desk.now_ns)


def test_a_loan_taken_out_is_bounded_by_the_pools_cash(desk: Desk) -> None:
    desk.lend(USDC, usdc(1_000))
    account = desk.open("borrower", BTC=1.0)
    assert "pool cash of 1000000000" in desk.refused(c.Withdraw(account, USDC, usdc(1_000) + 1))
    desk.ok(c.Withdraw(account, USDC, usdc(1_000)))
    assert desk.atoms(account) == -usdc(1_000)
    assert desk.state.pool_cash(USDC) == 0


def test_unsettled_profit_cannot_be_withdrawn_nor_lent_against(desk: Desk) -> None:
    desk.lend(USDC, usdc(100_000))
    account = desk.load("long", {USDC: usdc(5_000)}, {PERP: lots(0.1)})
    desk.mark(1, BTC=100_000.0)
    desk.mark(60 * 24 * 30)  # the slow price has caught up
    exact = desk.exact(account)
    assert exact.equity - exact.initial_margin > usdc(7_000)  # 4,000 of it unsettled
    assert "backs no loan" in desk.refused(c.Withdraw(account, USDC, usdc(5_000) + 1))
    desk.ok(c.Settle(PERP))
    desk.ok(c.Withdraw(account, USDC, usdc(5_000) + 1))


# ---- transfer


def test_transfers_stay_with_one_owner(desk: Desk) -> None:
    source, target = desk.open("source", 10.0, owner="one"), desk.open("target", owner="one")
    stranger = desk.open("stranger")
    isolated = desk.open("isolated", owner="one", isolated=BTC)
    (event,) = desk.ok(c.Transfer(source, target, USDC, 3))
    assert event.postings == ((source, USDC, -3), (target, USDC, 3))
    assert "one owner" in desk.refused(c.Transfer(source, stranger, USDC, 1))
    assert "two different accounts" in desk.refused(c.Transfer(source, source, USDC, 1))
    assert "isolated account" in desk.refused(c.Transfer(source, isolated, USDC, 1))
    assert "an account from" in desk.refused(c.Transfer(source, 99, USDC, 1))
    assert "an account of the caller" in desk.refused(c.Transfer(-3, target, USDC, 1))


# ---- load


def test_load_takes_over_balances_from_outside_and_positions_from_the_market(desk: Desk) -> None:
    desk.lend(USDC, usdc(100))
    account = desk.open("newcomer")
    (event,) = desk.ok(c.Load(account, ((BTC, 5), (USDC, -usdc(100))), ((PERP, -7, 70), (CALL, 2, 0))))
    assert (OUTSIDE, BTC, -5) in event.postings
    assert (MARKET, PERP, 7, -70) in event.legs
    assert desk.position(account, PERP) == (-7, 70)
    assert desk.position(account, CALL) == (2, 0)
    assert desk.atoms(account) == -usdc(100)
    assert "nothing yet" in desk.refused(c.Load(account, ((BTC, 1),)))


def test_load_keeps_to_what_can_be_held(desk: Desk) -> None:
    account, isolated = desk.open("newcomer"), desk.open("isolated", isolated=USDC)
    assert "pool's cash" in desk.refused(c.Load(account, ((USDC, -1),)))
    desk.lend(USDC, 9)
    assert "pool's cash" in desk.refused(c.Load(account, ((USDC, -5), (USDC, -5))))  # each alone would do
    assert "positions in derivatives" in desk.refused(c.Load(account, (), ((BTC, 1, 0),)))
    assert "a spot instrument" in desk.refused(c.Load(account, ((PERP, 1),)))
    assert "below 2**63" in desk.refused(c.Load(account, (), ((PERP, 2**63, 0),)))
    assert "below 2**63" in desk.refused(c.Load(account, (), ((PERP, 1, 2**127),)))
    assert "below 2**63" in desk.refused(c.Load(account, ((USDC, 2**63),)))
    assert "isolated" in desk.refused(c.Load(isolated, ((BTC, 1),)))
    assert "isolated" in desk.refused(c.Load(isolated, (), ((INVERSE, 1, 0),)))
    desk.ok(c.Freeze(instrument=PERP))
    assert "is frozen" in desk.refused(c.Load(account, (), ((PERP, 1, 0),)))


def test_nothing_is_taken_over_before_a_policy_and_a_mark() -> None:
    desk = Desk(marked=False)
    account = desk.open("newcomer")
    assert "a policy and a mark" in desk.refused(c.Load(account, ((USDC, 1),)))
    assert "with a mark" in desk.refused(c.Deposit(account, USDC, 1))


# ---- lend and redeem


def test_shares_are_rounded_against_who_lends_and_who_redeems(desk: Desk) -> None:
    lender, borrower = desk.open("lender", 100.0), desk.open("borrower", BTC=1.0)
    (event,) = desk.ok(c.Supply(lender, USDC, usdc(100)))
    assert event.shares == usdc(100) * VIRTUAL_SHARES
    assert event.postings == ((lender, USDC, -usdc(100)), (POOL, USDC, usdc(100)))
    desk.ok(c.Withdraw(borrower, USDC, usdc(90)))
    desk.tick(60 * 24)  # interest makes a share worth more than an atom over a million
    pool = pool_of(desk.state, USDC)
    assert pool.lenders > usdc(100)
    late = desk.open("late", 100.0)
    (event,) = desk.ok(c.Supply(late, USDC, usdc(10)))
    exact = usdc(10) * (pool.shares + VIRTUAL_SHARES) / (pool.lenders + 1)
    assert exact - 1 < event.shares <= exact
    (event,) = desk.ok(c.Redeem(late, USDC, event.shares))
    assert event.postings[1][2] in (usdc(10) - 1, usdc(10))  # never more than was put in


def test_redemption_is_bounded_by_shares_and_by_the_pools_cash(desk: Desk) -> None:
    lender = desk.lend(USDC, usdc(100))
    held = desk.state.pool_shares(USDC, lender)
    assert "1 to" in desk.refused(c.Redeem(lender, USDC, held + 1))
    assert "1 to" in desk.refused(c.Redeem(lender, USDC, 0))
    borrower = desk.open("borrower", BTC=1.0)
    desk.ok(c.Withdraw(borrower, USDC, usdc(60)))
    assert "the pool's cash" in desk.refused(c.Redeem(lender, USDC, held // 2))
    desk.ok(c.Redeem(lender, USDC, held * 4 // 10))
    assert "an account of the caller" in desk.refused(c.Redeem(INSURANCE, USDC, 1))


def test_only_own_cash_can_be_lent(desk: Desk) -> None:
    account = desk.open("lender", 1.0)
    assert "at most the balance" in desk.refused(c.Supply(account, USDC, usdc(1) + 1))
    assert "an account of the caller" in desk.refused(c.Supply(POOL, USDC, 1))


@given(st.integers(1, 10**12), st.integers(1, 10**12), st.integers(0, 10**9))
def test_no_round_trip_through_a_pool_gains(first: int, second: int, gift: int) -> None:
    from solvent.pools.shares import Pool, atoms_down, redeem, supply

    pool, bought = supply(Pool(), first)
    pool = msgspec.structs.replace(pool, cash=pool.cash + gift, lenders=pool.lenders + gift)
    pool, shares = supply(pool, second)
    assert atoms_down(pool, shares) <= second
    pool, paid = redeem(pool, shares)
    assert paid <= second
    assert atoms_down(pool, bought) <= first + gift


# ---- freeze


def test_freeze_names_an_account_or_an_instrument(desk: Desk) -> None:
    account = desk.open("owner", 10.0)
    assert "an account or an instrument" in desk.refused(c.Freeze())
    assert "an account or an instrument" in desk.refused(c.Freeze(account=account, instrument=PERP))
    assert "an account from" in desk.refused(c.Freeze(account=9))
    assert "an instrument from" in desk.refused(c.Freeze(instrument=99))
    desk.ok(c.Freeze(account=account))
    desk.ok(c.Deposit(account, USDC, 1))  # frozen except for deposits
    assert "not frozen" in desk.refused(c.Withdraw(account, USDC, 1))


# ---- keys


def test_a_key_is_answered_once_and_moves_money_once(desk: Desk) -> None:
    account = desk.open("owner")
    first = desk.send(c.Deposit(account, USDC, 5), "desk", "k")
    height, state_hash = desk.state.height, desk.state.hash()
    again = desk.send(c.Deposit(account, USDC, 5), "desk", "k")
    assert again.events == first.events
    assert again.repeated
    assert desk.atoms(account) == 5
    assert (desk.state.height, desk.state.hash()) == (height, state_hash)  # no block for it
    desk.send(c.Deposit(account, USDC, 5), "another desk", "k")
    assert desk.atoms(account) == 10


def test_a_key_with_another_body_is_refused(desk: Desk) -> None:
    account = desk.open("owner")
    desk.send(c.Deposit(account, USDC, 5), "desk", "k")
    (event,) = desk.send(c.Deposit(account, USDC, 6), "desk", "k").events
    assert isinstance(event, e.Refused)
    assert "the same command as before" in event.reason
    assert desk.atoms(account) == 5
    assert desk.send(c.Deposit(account, USDC, 5), "desk", "k").repeated  # the key still stands for the first


def test_a_key_used_twice_in_one_block_counts_once_and_recovers(desk: Desk) -> None:
    from solvent.ledger.recovery import recover

    account = desk.open("owner")
    deposit = Submission(c.Deposit(account, USDC, 5), "engine", "desk", "k")
    other = Submission(c.Deposit(account, BTC, 1), "engine", "desk", "l")
    entries = desk.engine.execute([deposit, other, deposit], desk.now_ns)
    assert [entry.repeated for entry in entries] == [False, False, True]
    assert entries[2].events == entries[0].events
    entries = desk.engine.execute([deposit, Submission(c.Deposit(account, BTC, 7), "engine")], desk.now_ns)
    assert entries[0].repeated
    recovered = recover(desk.engine.journal)
    assert recovered.hash() == desk.state.hash()
    assert recovered.balance(account, USDC) == 5
    assert recovered.receipts == desk.state.receipts


def test_a_refusal_keeps_its_key(desk: Desk) -> None:
    account = desk.open("owner")
    desk.send(c.Withdraw(account, USDC, 5), "desk", "k")
    desk.ok(c.Deposit(account, USDC, 5))
    (event,) = desk.send(c.Withdraw(account, USDC, 5), "desk", "k").events
    assert isinstance(event, e.Refused)  # the first answer, though it would do now


def test_keys_find_their_answers_behind_needless_commands_of_a_tick(desk: Desk) -> None:
    """Entries that leave no line in the journal do not shift the places of those that do."""
    from solvent.engine.sources.tick import SourcePrice, Tick

    account = desk.open("owner")
    desk.tick(60 * 24)
    prices = tuple(SourcePrice(name, "venue", price) for name, price in desk.prices.items())
    tick = Tick(desk.now_ns + 86_400 * 10**9, prices, {}, {"BTC": 0.6})
    deposit = Submission(c.Deposit(account, USDC, 5), "engine", "desk", "k")
    with desk.engine.serve() as committer:
        futures = [committer.submit(tick), committer.submit(deposit)]
        first = futures[1].result().entries[0]
        again = committer.submit(deposit).result().entries[0]
    assert again.repeated
    assert again.events == first.events
