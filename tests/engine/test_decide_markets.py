"""Listing, policies, marks, settlement, funding, interest, expiry, sweep: who pays whom, to the atom."""

from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.desk import (
    BTC,
    CALL,
    COIN_CALL,
    E8,
    ETH,
    ETH_PERP,
    EXPIRY_NS,
    FUTURE,
    HOUR_NS,
    INSURANCE,
    INVERSE,
    MARKET,
    PERP,
    PUT,
    USDC,
    Desk,
    events_of,
    lots,
    policy_with,
    ticks,
    usdc,
)

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.instruments import Perpetual, Spot
from solvent.domain.owners import POOL, ROUNDING
from solvent.domain.symbols import spot
from solvent.engine.decide.accounts import pool_of
from solvent.engine.decide.markets import FUNDING_NS, _cash
from solvent.engine.files import read_policy
from solvent.engine.sources.tick import SourcePrice
from solvent.ledger.state import State
from solvent.pools.interest import interest_up
from solvent.pools.shares import atoms_down


@pytest.fixture
def desk() -> Desk:
    return Desk()


def pair(desk: Desk, instrument: int, size: int, usd: float = 50_000.0, **coins: float) -> tuple[int, int]:
    """A long and a short of an instrument at the mark, each with money enough."""
    long, short = desk.open("long", usd, **coins), desk.open("short", usd, **coins)
    desk.ok(desk.trade(instrument, long, short, size))
    return long, short


# ---- listing and policies


def test_an_instrument_is_listed_once_with_sound_terms(desk: Desk) -> None:
    assert "an id listed once" in desk.refused(c.ListInstrument(spot("BTC")))
    quanto = Perpetual("X", "BTC", "ETH")
    assert "quanto settlement is refused" in desk.refused(c.ListInstrument(quanto))


def test_an_instrument_that_the_rule_could_not_margin_is_not_listed(desk: Desk) -> None:
    fine = Spot("DUST", "DUST", decimals=24, tick=Decimal("1e-30"))
    assert "DUST" in desk.refused(c.ListInstrument(fine))
    assert desk.engine.risk.prepared is not None


def test_delisting_names_an_instrument(desk: Desk) -> None:
    desk.ok(c.DelistInstrument(PERP))
    assert desk.state.delisted == {PERP}
    assert "an instrument from" in desk.refused(c.DelistInstrument(99))


def test_an_unsafe_policy_is_refused_with_all_that_is_wrong(desk: Desk) -> None:
    unsafe = policy_with(
        liquidation={"buffer": -1.0, "penalty_rate": 0.5, "sizing": "magic"},
        margin={"offset_most": 0.9},
        oracle={"band": 2.0},
        limits={"BTC": {"owner_usd": -1}},
        pools={"curve": {"kink_utilisation": 2.0}},
    )
    reason = desk.refused(c.SetPolicy(unsafe))
    for word in ("buffer", "penalty_rate", "sizing", "offset_most", "oracle.band", "owner_usd", "kink_utilisation"):
        assert word in reason, word
    assert desk.state.policy.name == "portfolio"


def test_a_policy_that_cannot_margin_the_market_as_it_is_is_refused(desk: Desk) -> None:
    """Safe by itself, but with a crash in which a lot of an option is worth more than 63 bits hold."""
    wild = policy_with(margin={"crashes": {"moon": {"BTC": 1e12}}})
    reason = desk.refused(c.SetPolicy(wild))
    assert reason
    desk.ok(c.SetPolicy(policy_with(margin={"margin_scale": 2.0})))
    assert desk.state.policy.margin["margin_scale"] == 2.0


# ---- marks


def quote_of(desk: Desk, instrument: int, **changes: int) -> c.Quote:
    found: c.Quote = msgspec.structs.replace(desk.state.quotes[instrument], **changes)
    return found


def test_a_mark_changes_quotes_and_moves_nothing(desk: Desk) -> None:
    (event,) = desk.ok(c.Mark((quote_of(desk, BTC, ticks=61_000_000_000),), (), desk.now_ns))
    assert event.postings == event.legs == ()
    assert len(event.digest) == 32
    assert desk.state.quotes[BTC].ticks == 61_000_000_000


def test_a_mark_older_than_the_last_or_ahead_of_the_clock_is_refused(desk: Desk) -> None:
    quote = quote_of(desk, BTC)
    seen = desk.state.marked_ns
    desk.now_ns += 10
    desk.ok(c.Mark((quote,), (), seen))  # as old as the last
    assert "not older than the last" in desk.refused(c.Mark((quote,), (), seen - 1))
    assert "not ahead of the clock" in desk.refused(c.Mark((quote,), (), desk.now_ns + 1))
    desk.ok(c.Mark((quote,)))  # at the block's time
    assert desk.state.marked_ns == desk.now_ns
    assert "not older than the last" in desk.refused(c.Mark((quote,), (), desk.now_ns - 1))


@pytest.mark.parametrize(
    ("instrument", "changes"),
    [
        (BTC, {"ticks": 0}),
        (BTC, {"ticks": -5}),
        (PERP, {"ticks": 0}),
        (CALL, {"ticks": -1}),
        (BTC, {"ticks": 2**53}),
        (BTC, {"state": 4}),
        (BTC, {"state": -1}),
        (BTC, {"confidence_e9": -1}),
        (BTC, {"confidence_e9": 2 * 10**9}),
        (BTC, {"spread_e9": -1}),
        (BTC, {"age_ms": -1}),
        (BTC, {"slow_ticks": -1}),
        (CALL, {"vol_e9": 0}),
        (CALL, {"forward_ticks": -1}),
    ],
)
def test_what_is_no_price_is_refused(desk: Desk, instrument: int, changes: dict[str, int]) -> None:
    assert desk.refused(c.Mark((quote_of(desk, instrument, **changes),), (), desk.now_ns))


def test_an_unknown_instrument_has_no_mark(desk: Desk) -> None:
    assert "an instrument from" in desk.refused(c.Mark((c.Quote(99, 1),)))


def test_an_option_may_be_worth_nothing(desk: Desk) -> None:
    desk.ok(c.Mark((quote_of(desk, CALL, ticks=0),), (), desk.now_ns))


# ---- settle


def test_settlement_pays_unsettled_profit_and_resets_the_quote_legs(desk: Desk) -> None:
    long, short = pair(desk, PERP, lots(0.5))
    desk.mark(1, BTC=61_000.0)
    before = desk.exact(long), desk.exact(short)
    (event,) = desk.ok(c.Settle(PERP))
    assert {owner: atoms for owner, _, atoms in event.postings} == {long: usdc(500), short: -usdc(500)}
    assert event.unpaid_atoms == 0
    assert desk.position(long, PERP) == (lots(0.5), -lots(0.5) * ticks(61_000))
    assert (desk.exact(long), desk.exact(short)) == before  # settling moves no equity
    (event,) = desk.ok(c.Settle(PERP))
    assert event.postings == ()


def test_a_loser_without_cash_borrows_as_far_as_the_pool_has_it(desk: Desk) -> None:
    desk.lend(USDC, usdc(300))
    long = desk.open("long", BTC=10.0)
    short = desk.open("short", 50_000.0)
    desk.ok(desk.trade(PERP, long, short, lots(0.5)))
    desk.mark(1, BTC=59_000.0)
    (event,) = desk.ok(c.Settle(PERP))
    assert desk.atoms(long) == -usdc(300)
    assert desk.state.pool_cash(USDC) == 0
    assert desk.atoms(short) == usdc(50_300)
    assert event.unpaid_atoms == usdc(200)  # stays in the winner's quote leg
    worth = desk.position(short, PERP)[1] - lots(0.5) * ticks(59_000)
    assert worth == usdc(200)


def test_insurance_lends_the_pool_what_forced_loans_need_and_gets_it_back(desk: Desk) -> None:
    desk.lend(USDC, usdc(300))
    desk.insure(1_000.0)
    long = desk.open("long", BTC=10.0)
    short = desk.open("short", 50_000.0)
    desk.ok(desk.trade(PERP, long, short, lots(0.5)))
    desk.mark(1, BTC=59_000.0)
    lent, settled = desk.ok(c.Settle(PERP))
    assert isinstance(lent, e.Supplied)
    assert (lent.account, lent.postings) == (INSURANCE, ((INSURANCE, USDC, -usdc(200)), (POOL, USDC, usdc(200))))
    assert settled.unpaid_atoms == 0
    assert desk.atoms(short) == usdc(50_500)
    assert desk.state.pool_shares(USDC, INSURANCE) == lent.shares > 0
    assert "nothing to sweep" in desk.refused(c.Sweep(USDC))  # the pool has no cash yet
    desk.ok(c.Deposit(long, USDC, usdc(400)))
    (back,) = desk.ok(c.Sweep(USDC))
    assert desk.atoms(INSURANCE) in (usdc(1_000), usdc(1_000) - 1)
    assert desk.state.pool_shares(USDC, INSURANCE) == lent.shares + back.shares <= 10**6


def test_what_cannot_be_paid_is_shared_pro_rata_to_the_atom(desk: Desk) -> None:
    loser = desk.open("loser", BTC=10.0)
    winners = [desk.open(f"winner {k}", 20_000.0) for k in range(3)]
    for k, winner in enumerate(winners):
        desk.ok(desk.trade(PERP, loser, winner, lots(0.1) * (k + 1)))
    desk.ok(c.Deposit(loser, USDC, usdc(100) + 1))
    desk.mark(1, BTC=59_000.0)
    (event,) = desk.ok(c.Settle(PERP))
    owed = [usdc(100), usdc(200), usdc(300)]
    paid = {owner: atoms for owner, _, atoms in event.postings}
    assert paid[loser] == -usdc(100) - 1
    assert event.unpaid_atoms == sum(owed) - usdc(100) - 1
    for winner, due in zip(winners, owed, strict=True):
        fair = Fraction(due * (usdc(100) + 1), sum(owed))
        assert abs(paid[winner] - fair) < 1


def test_the_outside_market_always_pays(desk: Desk) -> None:
    account = desk.open("long", 10_000.0)
    desk.ok(desk.trade(PERP, account, MARKET, lots(0.1)))
    desk.mark(1, BTC=61_000.0)
    desk.ok(c.Settle(PERP))
    assert desk.atoms(account) == usdc(10_100)
    assert desk.atoms(MARKET) == -usdc(100)


def test_only_derivatives_with_a_mark_are_settled(desk: Desk) -> None:
    assert "a derivative with a mark" in desk.refused(c.Settle(BTC))
    assert "an instrument from" in desk.refused(c.Settle(99))


@given(
    st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=8),
    st.lists(st.integers(0, 10**11), min_size=8, max_size=8),
    st.integers(0, 10**11),
    st.integers(0, 10**11),
)
def test_settlement_sums_to_zero_and_overdraws_nothing(
    values: list[int], cash: list[int], pool: int, fund: int
) -> None:
    state = State()
    state.balances = {k: {0: x} for k, x in enumerate(cash) if x}
    state.balances[POOL], state.balances[INSURANCE] = {0: pool}, {0: fund}
    rows = list(enumerate(values))
    found = _cash(state, 0, rows)
    assert sum(found.paid.values()) == 0
    assert 0 <= found.lent <= fund
    loans = sum(max(0, -(state.balance(k, 0) + atoms)) for k, atoms in found.paid.items())
    assert loans <= pool + found.lent
    owed, due = sum(v for v in values if v > 0), dict(rows)
    for owner, atoms in found.paid.items():
        assert abs(atoms) <= abs(due[owner])
        assert atoms * due[owner] >= 0
    received = sum(atoms for atoms in found.paid.values() if atoms > 0)
    assert found.unpaid == owed - received
    for owner, v in rows:
        if v > 0:
            assert abs(found.paid.get(owner, 0) - Fraction(v * received, owed)) < 1


# ---- funding


def test_longs_pay_a_positive_rate_and_what_rounding_leaves_goes_to_rounding(desk: Desk) -> None:
    long, short = pair(desk, PERP, 3)  # notional 1,800,000 atoms
    other = desk.open("other", 100.0)
    desk.ok(desk.trade(PERP, other, short, 1))
    interval = desk.now_ns // FUNDING_NS
    (event,) = desk.ok(c.Fund(PERP, interval, 100_000_001))  # 1e-4 and a bit
    rate = Fraction(100_000_001, 10**12)
    paid = {owner: -quote for owner, _, _, quote in event.legs}
    assert paid[long] == -(-3 * 600_000 * rate // 1) == 181
    assert paid[other] == -(-600_000 * rate // 1) == 61
    assert paid[short] == -(4 * 600_000 * rate // 1) == -240  # gets the floor
    assert paid[ROUNDING] == -(181 + 61 - 240)
    assert desk.position(ROUNDING, PERP) == (0, 2)
    desk.ok(c.Settle(PERP))
    assert desk.atoms(ROUNDING) == 2
    assert desk.atoms(long) == usdc(50_000) - 181


def test_shorts_pay_a_negative_rate(desk: Desk) -> None:
    long, short = pair(desk, PERP, lots(1))
    desk.ok(c.Fund(PERP, desk.now_ns // FUNDING_NS, -(10**8)))
    desk.ok(c.Settle(PERP))
    assert desk.atoms(long) == usdc(50_000) + usdc(6)
    assert desk.atoms(short) == usdc(50_000) - usdc(6)


def test_funding_of_an_inverse_perpetual_is_in_coins(desk: Desk) -> None:
    long, short = pair(desk, INVERSE, 60_000, usd=0.0, BTC=5.0)  # 1 BTC
    (event,) = desk.ok(c.Fund(INVERSE, desk.now_ns // FUNDING_NS, 10**8))
    assert {owner: quote for owner, _, _, quote in event.legs} == {long: -10_000, short: 10_000}


def test_each_interval_is_funded_once_and_none_in_the_future(desk: Desk) -> None:
    pair(desk, PERP, 3)
    now = desk.now_ns // FUNDING_NS
    desk.ok(c.Fund(PERP, now, 10**8))
    assert "not funded yet" in desk.refused(c.Fund(PERP, now, 10**8))
    assert "not funded yet" in desk.refused(c.Fund(PERP, now - 1, 10**8))
    assert "not in the future" in desk.refused(c.Fund(PERP, now + 1, 10**8))
    assert "at most 1" in desk.refused(c.Fund(ETH_PERP, now, 10**12 + 1))
    for instrument in (BTC, FUTURE, CALL):
        assert "a perpetual" in desk.refused(c.Fund(instrument, now, 10**8))


def test_ticks_fund_and_settle_at_funding_times(desk: Desk) -> None:
    long, _ = pair(desk, PERP, lots(1))
    report = desk.tick(60, BTC=60_500.0, funding={"BTC": 0.001})  # 10:00: no funding time
    assert not events_of(report, e.Funded)
    report = desk.tick(6 * 60, funding={"BTC": 0.001})  # 16:00
    assert [event.interval for event in events_of(report, e.Funded) if event.instrument == PERP]
    assert PERP in [event.instrument for event in events_of(report, e.Settled)]
    assert desk.atoms(long) == usdc(50_000) + usdc(500) - usdc(60.5)


# ---- interest


def test_interest_is_posted_on_loans_and_split_to_the_atom(desk: Desk) -> None:
    desk.lend(USDC, usdc(1_000))
    borrower = desk.open("borrower", BTC=1.0)
    desk.ok(c.Withdraw(borrower, USDC, usdc(400)))
    hour = desk.now_ns // HOUR_NS
    (event,) = desk.ok(c.Accrue(USDC, hour))
    interest = interest_up(usdc(400), event.rate_e18, 3_600)
    assert event.rate_e18 == 2 * 10**16  # half of the way to the kink at 4 %
    lenders = interest * 9 // 10  # the default reserve factor is a tenth
    assert event.postings == ((borrower, USDC, -interest), (POOL, USDC, lenders), (INSURANCE, USDC, interest - lenders))
    assert "not accrued yet" in desk.refused(c.Accrue(USDC, hour))
    assert "not in the future" in desk.refused(c.Accrue(USDC, hour + 1))
    assert "a spot instrument" in desk.refused(c.Accrue(PERP, hour))


def test_a_reserve_that_the_pool_has_no_cash_for_is_paid_in_shares(desk: Desk) -> None:
    desk.lend(USDC, usdc(1_000))
    borrower = desk.open("borrower", BTC=1.0)
    desk.ok(c.Withdraw(borrower, USDC, usdc(1_000)))
    accrued, minted = desk.ok(c.Accrue(USDC, desk.now_ns // HOUR_NS))
    total = -accrued.postings[0][2]
    assert accrued.postings == ((borrower, USDC, -total), (POOL, USDC, total))
    assert desk.state.pool_cash(USDC) == 0
    worth = atoms_down(pool_of(desk.state, USDC), minted.shares)
    reserve = total - total * 9 // 10
    assert worth in (reserve, reserve - 1)


def test_ticks_charge_each_hour_once_and_hours_without_loans_count_for_nobody(desk: Desk) -> None:
    desk.lend(USDC, usdc(1_000))
    borrower = desk.open("borrower", BTC=1.0)
    desk.ok(c.Withdraw(borrower, USDC, usdc(100)))
    desk.tick(60)
    first = -desk.atoms(borrower) - usdc(100)
    assert first > 0
    desk.tick(30)
    assert -desk.atoms(borrower) == usdc(100) + first
    desk.ok(c.Deposit(borrower, USDC, -desk.atoms(borrower)))
    for _ in range(10):
        desk.tick(60)  # nobody owes anything
    desk.ok(c.Withdraw(borrower, USDC, usdc(100)))
    desk.tick(60)
    assert -desk.atoms(borrower) - usdc(100) <= first + 1  # one hour, not eleven


def test_an_outage_is_charged_when_it_is_over(desk: Desk) -> None:
    desk.lend(USDC, usdc(1_000))
    borrower = desk.open("borrower", BTC=1.0)
    desk.ok(c.Withdraw(borrower, USDC, usdc(100)))
    desk.tick(60)
    one = -desk.atoms(borrower) - usdc(100)
    desk.tick(60 * 5)
    assert -desk.atoms(borrower) - usdc(100) == pytest.approx(6 * one, abs=6)  # rounded up once, not six times


# ---- expiry


def at_expiry(desk: Desk) -> None:
    desk.now_ns = EXPIRY_NS
    desk.mark()


@pytest.mark.parametrize(
    ("instrument", "price", "payoff"),
    [(CALL, 65_000, 5_000), (CALL, 55_000, 0), (PUT, 55_000, 5_000), (PUT, 65_000, 0), (CALL, 60_000, 0)],
)
def test_options_pay_their_intrinsic_value(desk: Desk, instrument: int, price: int, payoff: int) -> None:
    long, short = pair(desk, instrument, 100)  # one contract
    cash = desk.atoms(long), desk.atoms(short)
    at_expiry(desk)
    desk.ok(c.Expire(instrument, price * 10**6))
    assert (desk.atoms(long) - cash[0], desk.atoms(short) - cash[1]) == (usdc(payoff), -usdc(payoff))
    assert desk.position(long, instrument) == desk.position(short, instrument) == (0, 0)


def test_a_coin_option_pays_coins_rounded_against_both(desk: Desk) -> None:
    long, short = pair(desk, COIN_CALL, 100, usd=0.0, BTC=5.0)
    cash = desk.atoms(long, BTC), desk.atoms(short, BTC)
    at_expiry(desk)
    desk.ok(c.Expire(COIN_CALL, 70_000 * 10**6))
    exact = Fraction(10_000, 70_000) * E8
    assert desk.atoms(long, BTC) - cash[0] == exact // 1
    assert desk.atoms(short, BTC) - cash[1] == -(exact // 1) - 1
    assert desk.atoms(ROUNDING, BTC) == 1


def test_a_future_settles_at_the_settlement_price(desk: Desk) -> None:
    long, short = pair(desk, FUTURE, lots(0.5))
    at_expiry(desk)
    desk.ok(c.Expire(FUTURE, 61_234_560_000))
    assert desk.atoms(long) == usdc(50_000 + 617.28)
    assert desk.atoms(short) == usdc(50_000 - 617.28)
    assert desk.state.holders_of(FUTURE) == []


def test_nothing_settles_before_its_expiry_nor_twice_nor_at_no_price(desk: Desk) -> None:
    pair(desk, FUTURE, lots(0.5))
    desk.now_ns = EXPIRY_NS - 1
    desk.mark()
    assert "never before" in desk.refused(c.Expire(FUTURE, 60_000 * 10**6))
    desk.now_ns = EXPIRY_NS
    assert "a settlement price above 0" in desk.refused(c.Expire(FUTURE, 0))
    assert "a future or an option" in desk.refused(c.Expire(PERP, 60_000 * 10**6))
    desk.ok(c.Expire(FUTURE, 60_000 * 10**6))
    assert "has expired already" in desk.refused(c.Expire(FUTURE, 60_000 * 10**6))


def test_what_an_option_writer_cannot_pay_stays_owed_counts_as_equity_and_is_settled_later(desk: Desk) -> None:
    """An unpaid option turns into quote legs without lots: a balance of what it settles in."""
    writer = desk.open("writer", BTC=10.0)
    holder = desk.open("holder", 100_000.0)
    desk.ok(desk.trade(CALL, holder, writer, 100))
    premium = desk.atoms(writer)
    desk.mark(1, BTC=70_000.0)
    desk.now_ns = EXPIRY_NS
    desk.mark()
    before = desk.atoms(holder)
    (event,) = desk.ok(c.Expire(CALL, 70_000 * 10**6))
    unpaid = usdc(10_000) - premium
    assert event.unpaid_atoms == unpaid
    assert desk.atoms(holder) == before + premium
    assert desk.position(holder, CALL) == (0, unpaid)
    assert desk.position(writer, CALL) == (0, -unpaid)
    assert desk.exact(holder).equity == desk.atoms(holder) + unpaid
    assert desk.exact(writer).equity == 10 * 70_000 * 10**6 - unpaid
    statement = desk.engine.risk.statement()
    assert statement.equity[holder] == pytest.approx(desk.exact(holder).equity / 1e6)
    desk.ok(c.Deposit(writer, USDC, unpaid))
    desk.tick(60 * 8)  # the next funding time settles what is still owed
    assert desk.position(holder, CALL) == desk.position(writer, CALL) == (0, 0)
    assert desk.atoms(holder) == before + usdc(10_000)


def test_ticks_settle_at_the_mean_index_of_the_last_half_hour(desk: Desk) -> None:
    long, _ = pair(desk, FUTURE, lots(1), usd=200_000.0)
    desk.now_ns = EXPIRY_NS - 40 * 60 * 10**9
    desk.tick(BTC=90_000.0)  # too long ago
    desk.tick(20, BTC=60_000.0)
    desk.tick(10, BTC=62_000.0)
    report = desk.tick(10, BTC=64_000.0)
    settled = {event.instrument: event.price_ticks for event in events_of(report, e.Expired)}
    assert settled[FUTURE] == settled[CALL] == 62_000 * 10**6
    assert desk.atoms(long) == usdc(202_000)


def test_without_a_price_in_the_last_half_hour_nothing_is_settled() -> None:
    desk = Desk(policy_with(oracle={"minimum_sources": 1}))
    pair(desk, FUTURE, lots(1), usd=200_000.0)
    desk.now_ns = EXPIRY_NS
    stale = tuple(SourcePrice(name, "venue", price, age_s=1e5) for name, price in desk.prices.items())
    report = desk.tick(sources=stale)
    assert not events_of(report, e.Expired)
    report = desk.tick(1)
    assert FUTURE in [event.instrument for event in events_of(report, e.Expired)]


# ---- sweep


def test_rounding_is_swept_into_insurance(desk: Desk) -> None:
    pair(desk, PERP, 3)
    desk.ok(c.Fund(PERP, desk.now_ns // FUNDING_NS, 100_000_001))
    desk.ok(c.Settle(PERP))
    left = desk.atoms(ROUNDING)
    (event,) = desk.ok(c.Sweep(USDC))
    assert event.postings == ((ROUNDING, USDC, -left), (INSURANCE, USDC, left))
    assert "nothing to sweep" in desk.refused(c.Sweep(USDC))
    assert "a spot instrument" in desk.refused(c.Sweep(PERP))


def test_a_policy_that_cannot_margin_what_is_held_is_refused_and_under_it_nothing_such_is_taken(desk: Desk) -> None:
    """The rule of a venue without options, by name of what it refuses."""
    holder = desk.load("holder", {USDC: usdc(10_000)}, {CALL: 5})
    venue = read_policy("hyperliquid")
    assert "BTC/USDC:USDC-240607-60000-C" in desk.refused(c.SetPolicy(venue))
    desk.ok(desk.trade(CALL, MARKET, holder, 5))
    desk.ok(c.SetPolicy(venue))
    desk.tick(1)
    newcomer = desk.open("newcomer", 1_000.0)
    assert "BTC/USDC:USDC-240607-60000-C" in desk.refused(desk.trade(CALL, newcomer, MARKET, 1))
    empty = desk.open("empty")
    assert "BTC/USDC:USDC-240607-60000-C" in desk.refused(c.Load(empty, (), ((CALL, 1, 0),)))
    assert "ETH" in desk.refused(c.Deposit(empty, ETH, 10**18))
    assert desk.tick(1).statement is not None
