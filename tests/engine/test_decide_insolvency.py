"""Below zero: insurance and its caps, deleveraging at the bankruptcy price, shared losses; adding up to the atom."""

from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.desk import (
    BTC,
    CALL,
    ETH,
    ETH_PERP,
    FUTURE,
    INSURANCE,
    INVERSE,
    MARKET,
    PERP,
    USDC,
    Desk,
    btc,
    events_of,
    lots,
    policy_with,
    ticks,
    usdc,
)

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.owners import POOL
from solvent.engine.decide.counterparties import harmed
from solvent.engine.decide.estate import worth_e42
from solvent.engine.decide.moves import Moves
from solvent.margin.statement import ExactStatement

E36 = 10**36
"""A micro USD in the unit of losses."""


@pytest.fixture
def desk() -> Desk:
    return Desk()


def worth(desk: Desk, account: int) -> int:
    found: int = worth_e42(desk.state, desk.engine.risk, Moves(desk.state), account)
    return found


def two_sides(desk: Desk, usd: float = 10_000.0, others: tuple[float, ...] = (100_000.0,)) -> tuple[int, list[int]]:
    """A long of 1 BTC with little, and shorts who hold the other side."""
    long = desk.open("long", usd * 2)
    shorts = [desk.open(f"short {k + 1}", cash) for k, cash in enumerate(others)]
    for short in shorts:
        desk.ok(desk.trade(PERP, long, short, lots(1) // len(shorts)))
    desk.ok(c.Withdraw(long, USDC, usdc(usd * 2) - max(usdc(usd), desk.exact(long).initial_margin)))
    return long, shorts


def insolvent(desk: Desk, price: float = 48_000.0, **more: Any) -> tuple[int, list[int]]:
    """The long, below zero at `price` and handed to the waterfall without a fund."""
    long, shorts = two_sides(desk, **more)
    desk.mark(1, BTC=price)
    assert desk.exact(long).equity < 0
    desk.ok(c.Insure(long))
    assert desk.stage(long) == "insolvent"
    return long, shorts


# ---- insurance


def test_a_fund_that_suffices_closes_the_account_at_the_market_and_makes_it_whole(desk: Desk) -> None:
    desk.insure(10_000.0)
    long, _ = two_sides(desk)
    desk.mark(1, BTC=48_000.0)
    owed = -desk.exact(long).equity
    (insured,) = desk.ok(c.Insure(long))
    assert insured.paid_e42 == insured.shortfall_e42
    costs = insured.shortfall_micro - owed  # of closing 48,000 USD in a deep market
    assert 0 < costs < usdc(10)
    assert desk.atoms(INSURANCE) == usdc(10_000) - insured.paid_micro
    assert desk.position(long, PERP) == (0, 0)
    assert desk.atoms(long) == 0
    assert desk.stage(long) == "healthy"
    assert insured.instrument == PERP


def test_collateral_is_sold_before_the_fund_pays(desk: Desk) -> None:
    desk.insure(50_000.0)
    account = desk.load("coins", {BTC: btc(0.2), ETH: 10**18}, {PERP: lots(1)})
    desk.mark(1, BTC=45_000.0)
    assert desk.exact(account).equity < 0
    (insured, *_) = desk.ok(c.Insure(account))
    assert desk.state.balances[account] == {}
    assert insured.shortfall_micro == pytest.approx(15_000e6 - 0.2 * 45_000e6 - 3_000e6, rel=0.02)


def test_who_is_insured(desk: Desk) -> None:
    long, _ = two_sides(desk)
    assert "equity below 0" in desk.refused(c.Insure(long))
    assert "an account from" in desk.refused(c.Insure(99))
    desk.mark(1, BTC=48_000.0)
    desk.ok(c.Insure(long))
    assert "not paid for yet" in desk.refused(c.Insure(long))


def test_a_fund_that_falls_short_pays_what_it_has_and_no_closing_costs(desk: Desk) -> None:
    desk.insure(500.0)
    long, _ = two_sides(desk)
    desk.mark(1, BTC=48_000.0)
    owed = -desk.exact(long).equity
    insured, staged = desk.ok(c.Insure(long))
    assert insured.shortfall_micro == owed
    assert insured.paid_micro == usdc(500)
    assert desk.atoms(INSURANCE) == 0
    assert desk.position(long, PERP)[0] == lots(1)
    assert staged.stage == "insolvent"
    assert desk.exact(long).equity == -owed + usdc(500)


def test_a_fund_that_covers_the_mark_but_not_the_closing_leaves_the_rest_to_deleveraging() -> None:
    desk = Desk(volume_usd_daily=1e7)
    desk.insure(2_050.0)
    long, _ = two_sides(desk)
    desk.mark(1, BTC=48_000.0)
    owed = -desk.exact(long).equity
    assert owed == pytest.approx(usdc(1_950), abs=usdc(5))
    insured, staged = desk.ok(c.Insure(long))
    assert insured.paid_micro == insured.shortfall_micro == owed
    assert staged.stage == "insolvent"  # nobody is healthy with a position and no equity
    (event,) = desk.ok(c.Deleverage(long, PERP))
    assert event.price_ticks == ticks(48_000)  # at no equity the bankruptcy price is the mark
    assert event.loss_e42 == 0


CAPS = {
    "owner_cap_usd_daily": "owner",
    "instrument_cap_usd_daily": "instrument",
    "cap_usd_daily": "day",
}


@pytest.mark.parametrize("cap", sorted(CAPS))
def test_the_fund_is_capped_by_owner_instrument_and_day(cap: str) -> None:
    desk = Desk(policy_with(liquidation={"insurance": {cap: 2_500}}))
    desk.insure(1e6)
    desk.open("rich", 1e7)
    accounts = [
        desk.load("one", {USDC: usdc(9_000)}, {PERP: lots(1)}, owner="owner"),
        desk.load("same owner", {USDC: usdc(9_000)}, {FUTURE: lots(1)}, owner="owner"),
        desk.load("same instrument", {USDC: usdc(9_000)}, {PERP: lots(1)}),
        desk.load("neither", {USDC: usdc(9_000)}, {FUTURE: lots(1)}),
    ]
    desk.mark(1, BTC=49_000.0)  # each owes 2,000 USD
    paid = [desk.ok(c.Insure(account))[0].paid_micro / 1e6 for account in accounts]
    if cap == "owner_cap_usd_daily":
        expected = (2_000, 500, 2_000, 2_000)
    elif cap == "instrument_cap_usd_daily":
        expected = (2_000, 2_000, 500, 500)
    else:
        expected = (2_000, 500, 0, 0)
    assert paid == pytest.approx(expected, abs=10)
    desk.now_ns += 86_400 * 10**9  # caps are by the day
    desk.mark()
    tomorrow = desk.load("tomorrow", {USDC: usdc(9_000)}, {PERP: lots(1)}, owner="owner")
    desk.mark(1, BTC=38_000.0)
    assert desk.ok(c.Insure(tomorrow))[0].paid_micro == pytest.approx(usdc(2_000), abs=usdc(10))


def test_other_assets_of_the_fund_pay_at_their_price(desk: Desk) -> None:
    desk.insure(1_000.0)
    desk.insure(asset=BTC, atoms=btc(0.1))
    long, _ = two_sides(desk)
    desk.mark(1, BTC=48_000.0)
    (insured, *_) = desk.ok(c.Insure(long))
    assert insured.paid_e42 == insured.shortfall_e42
    assert desk.atoms(INSURANCE) in range(480)  # its own asset first; a whole atom of BTC is 480 of USDC
    left = (insured.paid_micro - usdc(1_000)) / 48_000e6
    assert desk.atoms(INSURANCE, BTC) == pytest.approx(btc(0.1) - left * 1e8, abs=1)


def test_a_debt_in_coins_is_paid_in_coins_first(desk: Desk) -> None:
    desk.lend(BTC, btc(1))
    desk.insure(50_000.0)
    desk.insure(asset=BTC, atoms=btc(0.01))
    account = desk.load("short of BTC", {BTC: -btc(0.1), USDC: usdc(6_500)}, {})
    desk.mark(1, BTC=70_000.0)
    assert desk.exact(account).equity < 0
    (insured, *_) = desk.ok(c.Insure(account))
    assert insured.instrument == -1
    assert desk.atoms(INSURANCE, BTC) == pytest.approx(btc(0.01) - insured.paid_micro / 700, abs=2)
    assert desk.atoms(INSURANCE) - usdc(50_000) in range(700)  # cash that buys no whole atom of BTC
    assert desk.atoms(account, BTC) == 0


# ---- deleveraging


def test_a_leg_is_closed_at_its_bankruptcy_price_and_no_fund_money_moves(desk: Desk) -> None:
    long, (short,) = insolvent(desk)
    owed = -desk.exact(long).equity
    before = desk.exact(short).equity
    (event,) = desk.ok(c.Deleverage(long, PERP))
    exact_price = Fraction(ticks(48_000)) + Fraction(owed, lots(1))
    assert event.price_ticks == -(-exact_price // 1)  # a long sells no lower
    assert event.lots == lots(1)
    assert (event.overshoot_lots, event.counterparties) == (0, 1)
    assert desk.position(long, PERP)[0] == desk.position(short, PERP)[0] == 0
    assert event.postings == ()
    assert before - desk.exact(short).equity == event.loss_micro
    assert 0 <= desk.exact(long).equity < lots(1)  # less than a tick on every lot


def test_every_leg_takes_its_share_by_stand_alone_margin(desk: Desk) -> None:
    account = desk.load("two legs", {USDC: usdc(15_000)}, {PERP: lots(1), ETH_PERP: 200_000})
    other = desk.open("other", 1e6)
    desk.ok(desk.trade(PERP, MARKET, other, lots(1)))
    desk.ok(desk.trade(ETH_PERP, MARKET, other, 200_000))
    desk.mark(1, BTC=50_000.0, ETH=2_500.0)
    desk.ok(c.Insure(account))
    start = worth(desk, account)
    first = desk.ok(c.Deleverage(account, PERP))[0]
    between = worth(desk, account)
    second = desk.ok(c.Deleverage(account, ETH_PERP))[0]
    assert start < between < 0 <= worth(desk, account)
    assert first.loss_e42 == between - start
    assert second.loss_e42 == worth(desk, account) - between
    # BTC: 0.16, ETH: 0.16 of 50,000 USD each, closed for the same rate: half and half
    assert first.loss_e42 / -start == pytest.approx(0.5, abs=0.01)


def test_the_price_of_one_leg_among_several_is_decided_by_the_exact_form(desk: Desk) -> None:
    account = desk.load("three legs", {USDC: usdc(15_000)}, {PERP: lots(1), ETH_PERP: 200_000, INVERSE: 30_000})
    other = desk.load("other", {USDC: usdc(1e6)}, {PERP: -lots(1)})
    desk.mark(1, BTC=47_123.4, ETH=2_511.7)
    desk.ok(c.Insure(account))
    alone = []
    for name, i, size in (("one", PERP, lots(1)), ("two", ETH_PERP, 200_000), ("three", INVERSE, 30_000)):
        alone.append(desk.exact(desk.load(name, {}, {i: size})).maintenance_margin)
    lost = Fraction(desk.exact(account).equity * alone[0], sum(alone) * lots(1))  # in ticks: a tick is 1e-6 USD a lot
    (event,) = desk.ok(c.Deleverage(account, PERP))
    assert event.price_ticks == -((lost - desk.state.quotes[PERP].ticks) // 1)
    assert desk.position(other, PERP)[0] == 0


def test_an_inverse_leg_taken_alone_carries_no_debt_in_coins(desk: Desk) -> None:
    """Its margin is that of its dollars, like the linear leg's."""
    account = desk.load("two legs", {USDC: usdc(17_000)}, {PERP: lots(1), INVERSE: 60_000})
    other = desk.open("other", 1e6)
    desk.ok(desk.trade(PERP, MARKET, other, lots(1)))
    desk.mark(1, BTC=50_000.0)
    desk.ok(c.Insure(account))
    start = worth(desk, account)
    (event,) = desk.ok(c.Deleverage(account, PERP))
    assert event.loss_e42 / -start == pytest.approx(50 / 110, abs=0.005)


def test_the_most_profitable_leveraged_counterparty_goes_first(desk: Desk) -> None:
    long, shorts = insolvent(desk, others=(200_000.0, 6_000.0))
    (event,) = desk.ok(c.Deleverage(long, PERP))
    assert event.counterparties == 2  # both are needed
    assert [desk.position(short, PERP)[0] for short in shorts] == [0, 0]
    desk = Desk()
    long, shorts = two_sides(desk, others=(200_000.0, 6_000.0))
    extra = desk.open("another long", 1e6)
    for short in shorts:
        desk.ok(desk.trade(PERP, extra, short, 10))
    desk.mark(1, BTC=48_000.0)
    desk.ok(c.Insure(long))
    desk.ok(c.Deleverage(long, PERP))
    assert [desk.position(short, PERP)[0] for short in shorts] == [-20, 0]


def test_who_may_not_be_deleveraged(desk: Desk) -> None:
    """The account's own owner, the insolvent, and holders of hedges that they need."""
    long, (short,) = two_sides(desk)
    friend = desk.open("friend", 100_000.0, owner="long")
    hedged = desk.load("hedged", {USDC: usdc(3_000)}, {FUTURE: lots(1), PERP: -lots(1)})
    desk.ok(desk.trade(PERP, desk.open("third", 1e6), friend, lots(0.5)))
    desk.mark(1, BTC=48_000.0)
    desk.mark(3 * 24 * 60)  # the slow price has come after it
    assert desk.exact(hedged).equity >= desk.exact(hedged).initial_margin
    desk.ok(c.Insure(long))
    (event,) = desk.ok(c.Deleverage(long, PERP))
    touched = {owner for owner, *_ in event.legs} - {long}
    assert touched == {short}
    assert desk.position(hedged, PERP)[0] == -lots(1)
    assert desk.position(friend, PERP)[0] == -lots(0.5)


def test_where_too_few_are_on_the_other_side_the_rest_is_reported(desk: Desk) -> None:
    long = desk.load("long", {USDC: usdc(10_100)}, {PERP: lots(1)})
    short = desk.open("short", 1e6)
    desk.ok(desk.trade(PERP, MARKET, short, lots(0.3)))
    desk.mark(1, BTC=48_000.0)
    desk.ok(c.Insure(long))
    (event,) = desk.ok(c.Deleverage(long, PERP))
    assert (event.lots, event.overshoot_lots) == (lots(0.3), lots(0.3) - lots(1))
    assert desk.position(long, PERP)[0] == lots(0.7)
    assert "a counterparty" in desk.refused(c.Deleverage(long, PERP))


def test_what_is_deleveraged(desk: Desk) -> None:
    healthy, _ = two_sides(desk)
    assert "that is insolvent" in desk.refused(c.Deleverage(healthy, PERP))
    assert "an instrument from" in desk.refused(c.Deleverage(healthy, 99))
    desk.mark(1, BTC=48_000.0)
    desk.ok(c.Insure(healthy))
    assert "a position to close" in desk.refused(c.Deleverage(healthy, FUTURE))
    desk.ok(c.Freeze(instrument=PERP))
    assert "is frozen" in desk.refused(c.Deleverage(healthy, PERP))
    assert "is frozen" in desk.refused(c.Socialise(healthy))


def test_pro_rata_touches_all_and_rounds_by_largest_remainder() -> None:
    desk = Desk(policy_with(liquidation={"deleveraging": "pro_rata"}))
    long = desk.load("long", {USDC: usdc(10_100)}, {PERP: 7})
    account = desk.open("filler", 1e6)
    shorts = [desk.open(f"short {k}", 1e6) for k in range(3)]
    for k, short in enumerate(shorts):
        desk.ok(desk.trade(PERP, account, short, k + 2))  # 2 + 3 + 4
    desk.ok(c.Withdraw(long, USDC, desk.atoms(long) - usdc(1)))
    desk.mark(1, BTC=40_000.0)
    desk.ok(c.Insure(long))
    desk.ok(c.Deleverage(long, PERP))
    assert [-desk.position(short, PERP)[0] for short in shorts] == [2 - 2, 3 - 2, 4 - 3]  # 7/9 of each: 1.6, 2.3, 3.1


def test_options_are_deleveraged_too_and_what_lacks_cash_stands_in_quote_legs(desk: Desk) -> None:
    writer, holder = desk.open("writer", 12_000.0), desk.open("holder", 1e6)
    desk.ok(desk.trade(CALL, holder, writer, 100))
    desk.ok(c.Withdraw(writer, USDC, desk.exact(writer).equity - desk.exact(writer).initial_margin))
    desk.mark(1, BTC=85_000.0)
    assert desk.exact(writer).equity < 0
    start = worth(desk, writer)
    (insured, *_) = desk.ok(c.Insure(writer))
    assert insured.shortfall_e42 == -start
    (event,) = desk.ok(c.Deleverage(writer, CALL))
    assert event.counterparties == 1
    assert desk.position(writer, CALL)[0] == desk.position(holder, CALL)[0] == 0
    assert desk.atoms(writer) >= 0
    assert event.loss_e42 == worth(desk, writer) - start
    shared, staged = desk.ok(c.Socialise(writer))
    assert staged.stage == "healthy"
    assert shared.bad_debt_e42 == 0
    assert worth(desk, writer) == 0


@given(st.integers(-100, 100), st.integers(0, 100), st.integers(-100, 100), st.integers(0, 100))
def test_nobody_is_left_insolvent_or_further_below_initial_margin(was: int, im: int, now: int, after_im: int) -> None:
    before, after = ExactStatement(was, im, 0), ExactStatement(now, after_im, 0)
    if not harmed(before, after):
        assert after.equity >= 0
        assert after.equity >= after.initial_margin or after.equity - after.initial_margin >= was - im
    elif after.equity >= 0:
        assert after.below_initial


# ---- sharing


def test_what_is_left_is_shared_by_the_winners_in_proportion(desk: Desk) -> None:
    """All on the other side are hedged, so that none can be deleveraged: they share."""
    long = desk.load("long", {USDC: usdc(10_000)}, {PERP: lots(1)})
    winners = [
        desk.load(f"winner {k}", {USDC: usdc(8_000 * k)}, {FUTURE: k * lots(1), PERP: -k * lots(1)}) for k in (1, 2)
    ]
    desk.mark(1, BTC=48_000.0)
    desk.ok(c.Insure(long))
    before = [desk.exact(winner).equity for winner in winners]
    owed = -worth(desk, long)
    shared, staged = desk.ok(c.Socialise(long))
    assert (shared.shared_e42, shared.bad_debt_e42, shared.surplus_e42) == (owed, 0, 0)
    lost = [x - desk.exact(winner).equity for x, winner in zip(before, winners, strict=True)]
    assert sum(lost) == shared.shared_micro == usdc(2_000)
    assert lost == pytest.approx([usdc(2_000) / 3, usdc(4_000) / 3], abs=1)
    assert staged.stage == desk.stage(long) == "healthy"
    assert desk.position(long, PERP) == (0, 0)
    assert desk.atoms(POOL) == 0


def test_a_debt_is_shared_by_the_lenders_of_its_own_asset(desk: Desk) -> None:
    lender, other = desk.lend(BTC, btc(1)), desk.lend(USDC, usdc(10_000))
    account = desk.load("short of BTC", {BTC: -btc(0.1), USDC: usdc(6_500)}, {})
    desk.mark(1, BTC=70_000.0)
    desk.ok(c.Insure(account))
    owed = -worth(desk, account)
    shared, _ = desk.ok(c.Socialise(account))
    assert shared.shared_e42 - shared.surplus_e42 == owed
    assert shared.surplus_micro < 700  # cash that buys no whole atom of BTC
    lost = btc(1) - desk.atoms(POOL, BTC)
    assert lost * 700 == pytest.approx(shared.shared_micro, abs=700)
    assert desk.atoms(POOL) == usdc(10_000)
    assert desk.state.loans == {}
    assert desk.state.pool_shares(BTC, lender) > 0 < desk.state.pool_shares(USDC, other)


def test_where_winners_were_paid_already_the_pool_bears_it(desk: Desk) -> None:
    long, (short,) = two_sides(desk)
    desk.lend(USDC, usdc(5_000))
    desk.mark(1, BTC=48_000.0)
    desk.ok(c.Settle(PERP))  # the loser borrows 1,950 USD to pay the winner
    desk.ok(desk.trade(PERP, short, MARKET, lots(1)))
    desk.ok(c.Insure(long))
    shared, _ = desk.ok(c.Socialise(long))
    assert shared.shared_micro == pytest.approx(usdc(1_950), abs=usdc(5))
    assert desk.atoms(POOL) == pytest.approx(usdc(5_000) - shared.shared_micro, abs=1)
    assert desk.state.pool_cash(USDC) >= 0


def test_what_nobody_can_pay_stays_as_bad_debt_until_somebody_can(desk: Desk) -> None:
    long = desk.load("long", {USDC: usdc(10_000)}, {PERP: lots(1)})  # the other side is outside
    desk.mark(1, BTC=48_000.0)
    desk.ok(c.Insure(long))
    (shared,) = desk.ok(c.Socialise(long))
    assert shared.shared_e42 == 0
    assert shared.bad_debt_micro == usdc(2_000)
    assert desk.stage(long) == "insolvent"
    assert "who can share" in desk.refused(c.Socialise(long))
    desk.lend(USDC, usdc(5_000))
    shared, staged = desk.ok(c.Socialise(long))
    assert (shared.shared_micro, shared.bad_debt_e42, staged.stage) == (usdc(2_000), 0, "healthy")


def test_bad_debt_ends_by_a_deposit_too(desk: Desk) -> None:
    long = desk.load("long", {USDC: usdc(10_000)}, {PERP: lots(1)})
    desk.mark(1, BTC=48_000.0)
    desk.ok(c.Insure(long))
    desk.ok(c.Socialise(long))
    desk.ok(c.Deposit(long, USDC, usdc(3_000)))
    (staged,) = desk.ok(c.MarginCall(long))
    assert staged.stage == "healthy"


def test_what_ticks_leave_over_goes_to_insurance(desk: Desk) -> None:
    long, _ = insolvent(desk)
    desk.ok(c.Deposit(long, USDC, 7))
    desk.ok(c.Deleverage(long, PERP))
    surplus = desk.exact(long).equity
    assert surplus > 0
    shared, _ = desk.ok(c.Socialise(long))
    assert shared.surplus_micro == surplus == desk.atoms(INSURANCE)
    assert worth(desk, long) == 0


def test_only_the_insolvent_share(desk: Desk) -> None:
    long, _ = two_sides(desk)
    assert "that is insolvent" in desk.refused(c.Socialise(long))


def test_an_insolvent_account_whose_price_recovers_is_liquidated_like_others(desk: Desk) -> None:
    long, _ = insolvent(desk)
    desk.mark(1, BTC=53_000.0)
    (staged,) = desk.ok(c.MarginCall(long))
    assert staged.stage == "liquidating"
    assert isinstance(desk.ok(c.Liquidate(long))[0], (e.Liquidated, e.AuctionStarted))


# ---- the whole waterfall


def identity(events: list[Any], account: int) -> int:
    """shortfall - insurance - deleveraging - shared - bad debt + surplus of one account."""
    left = 0
    for event in events:
        if isinstance(event, e.Insured) and event.account == account:
            left += event.shortfall_e42 - event.paid_e42
        elif isinstance(event, e.Deleveraged) and event.account == account:
            left -= event.loss_e42
        elif isinstance(event, e.LossShared) and event.account == account:
            left += event.surplus_e42 - event.shared_e42 - event.bad_debt_e42
    return left


KINDS = (e.Insured, e.Deleveraged, e.LossShared)

UNITS = {PERP: 100_000, FUTURE: 100_000, ETH_PERP: 200_000, INVERSE: 60_000, CALL: 100}
"""About 60,000 USD of each, in lots."""
books = st.lists(
    st.tuples(
        st.floats(1.0, 1.3),  # equity over initial margin
        st.dictionaries(st.sampled_from(sorted(UNITS)), st.floats(-2, 2), min_size=1, max_size=3),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)
drops = st.one_of(st.sampled_from([-0.3, -0.2, 0.25, 0.4]), st.floats(-0.45, 0.45))
funds = st.sampled_from([0.0, 500.0, 5_000.0, 50_000.0])


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(books, drops, drops, funds, funds, st.integers(0, 2))
def test_shortfalls_add_up_to_the_atom_and_nobody_is_left_below_zero(
    accounts: list[tuple[float, dict[int, float], bool]],
    btc_move: float,
    eth_move: float,
    fund: float,
    pool: float,
    takers: int,
) -> None:
    """Books of several kinds, funds and pools of several sizes, the other side held by few, by many, by nobody."""
    desk = Desk(volume_usd_daily=1e9)
    if fund:
        desk.insure(fund)
    if pool:
        desk.lend(USDC, usdc(pool))
    desk.lend(BTC, btc(100))
    others = [desk.open(f"taker {k}", 3e5, BTC=3.0) for k in range(takers)]
    for k, (cover, legs, coins) in enumerate(accounts):
        held = {i: round(size * UNITS[i]) or 1 for i, size in legs.items()}
        cash = {BTC: btc(0.1)} if coins else {}
        probe = desk.exact(desk.load(f"probe {k}", cash, held))
        owed = round(cover * probe.initial_margin) - probe.equity
        desk.load(f"account {k}", {**cash, USDC: max(0, owed)}, held)
        for i, size in held.items():
            for other in others:
                part = 2 * abs(size) // len(others)
                if part:
                    desk.send(desk.trade(i, *((MARKET, other) if size > 0 else (other, MARKET)), part))
    report = desk.tick(1, BTC=60_000 * (1 + btc_move), ETH=3_000 * (1 + eth_move))
    events = [event for entry in report.entries for event in entry.events if isinstance(event, KINDS)]
    for account in range(len(desk.state.accounts)):
        assert identity(events, account) == 0
    bad = {event.account: event.bad_debt_e42 for event in events_of(report, e.LossShared) if event.bad_debt_e42}
    for account, record in enumerate(desk.state.accounts):
        if desk.exact(account).equity < 0:
            assert record.stage == "insolvent"
            assert account in bad
        assert record.stage != "insolvent" or account in bad


def test_the_waterfall_of_a_tick_runs_in_order() -> None:
    """One tick: a call, a partial step, an auction, insurance, deleveraging, a shared loss - worst first."""
    desk = Desk(policy_with(liquidation={"insurance": {"owner_cap_usd_daily": 1_000}}))
    desk.insure(2_500.0)
    rich = desk.open("rich", 1e7)
    names = {
        "called": 14_500.0,
        "partial": 12_500.0,
        "auctioned": 8_500.0,
        "insured": 5_200.0,
        "deleveraged": 4_000.0,
    }
    accounts = {name: desk.load(name, {USDC: usdc(usd)}, {PERP: lots(1)}) for name, usd in names.items()}
    desk.ok(desk.trade(PERP, MARKET, rich, lots(5)))
    report = desk.tick(1, BTC=54_500.0)
    kinds = [(type(entry.command).__name__, getattr(entry.command, "account", None)) for entry in report.entries]
    order = [name for name, _ in kinds if name != "Mark"]
    first = {name: order.index(name) for name in ("MarginCall", "Liquidate", "Insure", "Deleverage", "Socialise")}
    assert first["MarginCall"] < first["Insure"] < first["Deleverage"] < first["Socialise"] < first["Liquidate"]
    calls = [account for name, account in kinds if name == "MarginCall"]
    assert calls == sorted(calls)
    insured = [account for name, account in kinds if name == "Insure"]
    assert insured == [accounts["deleveraged"], accounts["insured"]]  # by shortfall
    assert desk.stage(accounts["called"]) == "called"
    assert desk.state.violations() == []


def test_those_whom_a_shared_loss_ruins_are_looked_at_in_the_same_tick(desk: Desk) -> None:
    """A winner with nothing but unsettled profit, hedged so that it cannot be deleveraged, shares and is ruined."""
    long = desk.load("long", {USDC: usdc(10_000)}, {PERP: lots(1)})
    winner = desk.load("winner", {USDC: usdc(700)}, {FUTURE: lots(1), PERP: -lots(1)})
    report = desk.tick(1, BTC=45_000.0)
    events = [event for kind in KINDS for event in events_of(report, kind)]
    assert {event.account for event in events} == {long, winner}
    assert desk.exact(winner).equity >= 0 or desk.stage(winner) == "insolvent"


def test_in_doubt_the_waterfall_waits_where_a_price_is_gone(desk: Desk) -> None:
    long, _ = insolvent(desk)
    gone = msgspec.structs.replace(desk.state.quotes[BTC], state=3)
    desk.ok(c.Mark((gone,), (), desk.now_ns))
    assert "far enough below 1" in desk.refused(c.Deleverage(long, PERP))
    assert "far enough below 1" in desk.refused(c.Socialise(long))


def test_positions_beyond_all_measure_do_not_stop_deleveraging(desk: Desk) -> None:
    long, _ = two_sides(desk)
    whale = desk.open("whale")
    desk.ok(c.Load(whale, ((USDC, 2**62),), ((PERP, -(2**43), 2**43 * 700_000),)))
    desk.mark(1, BTC=48_000.0)
    desk.ok(c.Insure(long))
    (event,) = desk.ok(c.Deleverage(long, PERP))
    assert event.lots == lots(1)
