"""From margin call to auction: when a stage begins and ends, what a step closes and costs, who may bid."""

from fractions import Fraction

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.desk import (
    BTC,
    CALL,
    COIN_CALL,
    ETH,
    ETH_PERP,
    FUTURE,
    INSURANCE,
    INVERSE,
    MARKET,
    PERP,
    PUT,
    USDC,
    Desk,
    btc,
    lots,
    policy_with,
    ticks,
    usdc,
)

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.owners import FEES
from solvent.engine.decide.liquidation import (
    PartialStep,
    Requirement,
    closable,
    discount_e18,
    liquidate,
    liquidation_params,
    restored,
)
from solvent.liquidation import sizing
from solvent.liquidation.legs import bankruptcy_price, loss_shares
from solvent.pools.fixed_point import WAD

MICRO = 10**6


@pytest.fixture
def desk() -> Desk:
    return Desk()


def long_of_one(desk: Desk, usd: float, name: str = "long", coins: float = 1.0) -> int:
    """A long of the linear perpetual at 60,000 USD."""
    return desk.load(name, {USDC: usdc(usd)}, {PERP: lots(coins)})


def health(desk: Desk, account: int) -> float:
    exact = desk.exact(account)
    return exact.equity / exact.maintenance_margin


def liquidating(desk: Desk, usd: float = 9_500.0, price: float = 58_000.0) -> int:
    """A long of 1 BTC that has been handed to liquidation at `price`."""
    account = long_of_one(desk, usd)
    desk.mark(1, BTC=price)
    desk.ok(c.MarginCall(account))
    assert desk.stage(account) == "liquidating"
    return account


# ---- stages


def test_a_call_begins_below_initial_margin_and_ends_above_it_by_the_release(desk: Desk) -> None:
    account = long_of_one(desk, 10_050.0)
    assert desk.exact(account).equity == desk.exact(account).initial_margin
    assert "stage changes" in desk.refused(c.MarginCall(account))  # at it is not below it
    desk.mark(1, BTC=59_999.0)
    (event,) = desk.ok(c.MarginCall(account))
    assert (event.stage, event.verdicts[0].equity) == ("called", usdc(10_049))
    initial = desk.exact(account).initial_margin
    lacking = initial * 102 // 100 - desk.exact(account).equity
    desk.ok(c.Deposit(account, USDC, lacking - 1))
    assert "stage changes" in desk.refused(c.MarginCall(account))  # above IM, below IM and the release
    desk.ok(c.Deposit(account, USDC, 2))
    (event,) = desk.ok(c.MarginCall(account))
    assert event.stage == "healthy"


def test_liquidation_begins_below_maintenance_margin_and_ends_at_its_buffer(desk: Desk) -> None:
    account = long_of_one(desk, 8_106.0)
    assert desk.exact(account).equity == desk.exact(account).maintenance_margin
    (event,) = desk.ok(c.MarginCall(account))
    assert event.stage == "called"
    desk.mark(1, BTC=59_999.0)
    (event,) = desk.ok(c.MarginCall(account))
    assert event.stage == "liquidating"
    exact = desk.exact(account)
    lacking = -(-exact.maintenance_margin * 115 // 100) - exact.equity
    desk.ok(c.Deposit(account, USDC, lacking - 1))
    assert health(desk, account) > 1.0
    assert "stage changes" in desk.refused(c.MarginCall(account))  # a smaller deposit does not end it
    assert "liquidating" in desk.refused(c.Withdraw(account, USDC, 1))
    desk.ok(c.Deposit(account, USDC, 1))
    (event,) = desk.ok(c.MarginCall(account))
    assert event.stage == "called"  # above the buffer, below initial margin


def test_an_account_that_liquidates_trades_no_more(desk: Desk) -> None:
    account = liquidating(desk)
    rich = desk.open("rich", 1e6)
    assert "is liquidating" in desk.refused(desk.trade(PERP, rich, account, 1))
    assert "healthy" in desk.refused(c.OpenOrder(account, PERP, -1, ticks(58_000)))
    desk.ok(c.Deposit(account, USDC, 1))


def test_a_call_cancels_orders_that_add_risk_and_keeps_those_that_close(desk: Desk) -> None:
    account = long_of_one(desk, 20_000.0)
    adds = desk.ok(c.OpenOrder(account, PERP, lots(0.1), ticks(59_000)))[0].order.id
    closes = desk.ok(c.OpenOrder(account, PERP, -lots(0.4), ticks(60_500)))[0].order.id
    beyond = desk.ok(c.OpenOrder(account, PERP, -lots(0.9), ticks(60_500)))[0].order.id  # would turn it short
    desk.mark(1, BTC=48_000.0)
    cancelled, staged = desk.ok(c.MarginCall(account))
    assert (cancelled.orders, cancelled.reason) == ((adds, beyond), "called")
    assert staged.stage == "called"
    assert set(desk.state.orders[account]) == {closes}


def test_an_account_that_cancelling_orders_lifts_above_initial_margin_is_not_called(desk: Desk) -> None:
    account = long_of_one(desk, 14_000.0)
    desk.ok(c.OpenOrder(account, PERP, lots(0.35), ticks(60_000)))
    desk.mark(1, BTC=58_000.0)
    (event,) = desk.ok(c.MarginCall(account))
    assert isinstance(event, e.OrdersCancelled)
    assert desk.stage(account) == "healthy"


def test_liquidation_cancels_all_orders_and_margins_again(desk: Desk) -> None:
    account = long_of_one(desk, 12_000.0)
    desk.ok(c.OpenOrder(account, PERP, -lots(0.5), ticks(60_000)))
    desk.mark(1, BTC=55_400.0)
    cancelled, staged = desk.ok(c.MarginCall(account))
    assert (cancelled.reason, staged.stage) == ("liquidating", "liquidating")
    assert account not in desk.state.orders
    verdict = staged.verdicts[0]
    assert (verdict.equity, verdict.initial_margin) == desk.exact(account)[:2]


# ---- prices that are not ok


def doubt(desk: Desk, state: int, instrument: int = BTC) -> None:
    desk.ok(c.Mark((msgspec.structs.replace(desk.state.quotes[instrument], state=state),), (), desk.now_ns))


@pytest.mark.parametrize("state", [1, 2])
def test_in_doubt_liquidation_begins_and_goes_on_only_far_below(desk: Desk, state: int) -> None:
    near, far = long_of_one(desk, 7_500.0, "near"), long_of_one(desk, 7_200.0, "far")
    assert 0.9 < health(desk, near) < 1.0
    assert health(desk, far) < 0.9
    doubt(desk, state)
    assert desk.ok(c.MarginCall(near))[-1].stage == "called"
    assert desk.ok(c.MarginCall(far))[-1].stage == "liquidating"
    desk.ok(c.Liquidate(far))
    doubt(desk, 0)
    assert desk.ok(c.MarginCall(near))[-1].stage == "liquidating"
    doubt(desk, state)
    assert "far enough below 1" in desk.refused(c.Liquidate(near))


def test_where_a_price_is_gone_nobody_is_liquidated(desk: Desk) -> None:
    account = liquidating(desk)
    broke = long_of_one(desk, 100.0, "broke")
    desk.mark(1, BTC=57_000.0)
    doubt(desk, 3)
    assert desk.exact(broke).equity < 0
    assert desk.ok(c.MarginCall(broke))[-1].stage == "called"
    for command in (c.Liquidate(account), c.StartAuction(account), c.Insure(broke)):
        assert "far enough below 1" in desk.refused(command)


# ---- a partial step


def step(desk: Desk, account: int) -> tuple[e.Liquidated, list[e.Event]]:
    found = desk.ok(c.Liquidate(account))
    assert isinstance(found[0], e.Liquidated), found[0]
    return found[0], list(found[1:])


def test_a_step_closes_no_more_than_restores_the_buffer(desk: Desk) -> None:
    account = liquidating(desk)
    before = desk.exact(account)
    done, rest = step(desk, account)
    after = desk.exact(account)
    assert restored(after, liquidation_params(desk.engine.risk))
    assert after.equity * 100 < after.maintenance_margin * 116
    assert (done.verdicts[0].equity, done.verdicts[1].equity) == (before.equity, after.equity)
    (staged,) = rest
    assert staged.stage == desk.stage(account) == "called"
    left, _ = desk.position(account, PERP)
    assert 0 < left < lots(1)
    assert desk.position(MARKET, PERP)[0] == -left  # it was all against the outside market
    closed = lots(1) - left
    assert done.notional_micro == pytest.approx(closed * 0.58 * MICRO)


def test_the_exact_form_closes_what_floats_miss(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    account = liquidating(desk)

    def blind(lots: np.ndarray, *more: object) -> sizing.Sizing:
        return sizing.Sizing(np.zeros_like(lots), 0.0, 0.0, True)

    monkeypatch.setitem(sizing.METHODS, "linear_programme", blind)
    step(desk, account)
    assert restored(desk.exact(account), liquidation_params(desk.engine.risk))
    assert desk.stage(account) == "called"


def test_coarse_lots_are_given_back_where_fewer_will_do(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much floats would close, no lot more is closed than restores the buffer."""
    account = desk.load("options", {USDC: usdc(12_000)}, {PERP: lots(1), CALL: -20, PUT: -30})
    desk.mark(1, BTC=58_000.0)
    desk.ok(c.MarginCall(account))
    assert desk.stage(account) == "liquidating"

    def too_much(held: np.ndarray, *more: object) -> sizing.Sizing:
        return sizing.Sizing(np.abs(held) - 3, 0.0, 0.0, True)

    monkeypatch.setitem(sizing.METHODS, "linear_programme", too_much)
    no_lot_too_many(desk, account)
    step(desk, account)
    assert restored(desk.exact(account), liquidation_params(desk.engine.risk))


def test_full_means_everything(desk: Desk) -> None:
    desk.ok(c.SetPolicy(policy_with(liquidation={"sizing": "full"})))
    account = liquidating(desk)
    step(desk, account)
    assert desk.position(account, PERP)[0] == 0


def test_an_option_is_bought_back_in_what_it_settles_in(desk: Desk) -> None:
    """Its premium may leave a debt in coins, which needs margin too: one step is enough all the same."""
    desk.lend(BTC, btc(10))
    account = desk.load("short calls", {USDC: usdc(14_000)}, {COIN_CALL: -150})
    desk.mark(1, BTC=62_000.0)
    desk.ok(c.MarginCall(account))
    assert desk.stage(account) == "liquidating"
    step(desk, account)
    assert desk.atoms(account, BTC) < 0
    assert restored(desk.exact(account), liquidation_params(desk.engine.risk))


def test_the_penalty_is_split_to_the_atom(desk: Desk) -> None:
    account = liquidating(desk)
    before = {owner: desk.atoms(owner) for owner in (MARKET, INSURANCE, FEES)}
    done, _ = step(desk, account)
    liquidator, insurance, venue = (desk.atoms(owner) - before[owner] for owner in (MARKET, INSURANCE, FEES))
    total = liquidator + insurance + venue
    assert total == done.penalty_micro == -(-done.notional_micro * 5 // 1000)
    assert (liquidator, venue) == (total * 5 // 10, total // 10)


def test_the_penalty_leaves_equity_at_least_zero() -> None:
    desk = Desk(policy_with(liquidation={"auction_below": 0.0, "sizing": "full"}))
    account = long_of_one(desk, 10_000.0)
    desk.mark(1, BTC=50_200.0)
    desk.ok(c.MarginCall(account))
    before = desk.exact(account).equity
    done, _ = step(desk, account)
    assert done.notional_micro == usdc(50_200)
    assert done.penalty_micro < usdc(251)  # 0.5 % of it would be more than the equity of 200 USD
    assert before == usdc(200)
    assert desk.exact(account).equity == 0


def test_only_accounts_that_fall_short_are_liquidated(desk: Desk) -> None:
    healthy = long_of_one(desk, 20_000.0, "healthy")
    assert "is liquidating" in desk.refused(c.Liquidate(healthy))
    assert "an account from" in desk.refused(c.Liquidate(99))
    account = liquidating(desk)
    desk.ok(c.Deposit(account, USDC, usdc(5_000)))
    assert "falls short" in desk.refused(c.Liquidate(account))
    desk.mark(1, BTC=30_000.0)
    assert "insurance comes next" in desk.refused(c.Liquidate(account))


def test_hedges_are_kept_where_closing_them_costs_margin(desk: Desk) -> None:
    account = desk.load("hedged", {USDC: usdc(10_100)}, {PERP: lots(2), FUTURE: -lots(1)})
    desk.mark(1, BTC=58_000.0)
    desk.ok(c.MarginCall(account))
    step(desk, account)
    assert desk.position(account, FUTURE)[0] == -lots(1)
    assert lots(1) <= desk.position(account, PERP)[0] < lots(2)


def test_a_leg_that_nobody_takes_does_not_stop_the_others(desk: Desk) -> None:
    desk.volumes["ETH"] = 1_000.0  # no depth: selling costs a fifth
    desk.tick(1)
    account = desk.load("two legs", {USDC: usdc(12_500)}, {PERP: lots(1), ETH_PERP: 40_000})
    desk.mark(1, BTC=57_000.0)
    desk.ok(c.MarginCall(account))
    step(desk, account)
    assert desk.position(account, ETH_PERP)[0] == 40_000
    assert desk.position(account, PERP)[0] < lots(1)


def test_nothing_frozen_is_closed(desk: Desk) -> None:
    account = desk.load("two legs", {USDC: usdc(12_500)}, {PERP: lots(1), ETH_PERP: 40_000})
    desk.ok(c.Freeze(instrument=ETH_PERP))
    desk.mark(1, BTC=55_500.0)
    desk.ok(c.MarginCall(account))
    step(desk, account)
    assert desk.position(account, ETH_PERP)[0] == 40_000
    desk.ok(c.Freeze(instrument=ETH_PERP, on=False))
    alone = desk.load("frozen leg", {USDC: usdc(1_500)}, {ETH_PERP: 40_000})
    desk.ok(c.Freeze(instrument=ETH_PERP))
    desk.mark(1, ETH=2_900.0)
    desk.ok(c.MarginCall(alone))
    assert "something to close" in desk.refused(c.Liquidate(alone))


def test_what_would_be_left_as_dust_is_closed_too(desk: Desk) -> None:
    account = long_of_one(desk, 75.0, coins=0.01)
    desk.mark(1, BTC=58_500.0)
    desk.ok(c.MarginCall(account))
    step(desk, account)
    assert desk.position(account, PERP)[0] == 0  # what is left would be below 500 USD
    assert desk.stage(account) == "healthy"


def test_a_debt_is_bought_back_only_as_far_as_there_is_cash(desk: Desk) -> None:
    lender = desk.lend(BTC, btc(1))
    desk.lend(USDC, usdc(100))
    account = desk.load("short of BTC", {BTC: -btc(0.1), USDC: usdc(50), ETH: 22 * 10**17}, {})
    desk.mark(1, BTC=60_500.0)
    desk.ok(c.MarginCall(account))
    assert desk.stage(account) == "liquidating"
    for _ in range(4):
        if desk.stage(account) != "liquidating":
            break
        desk.send(c.Liquidate(account))
    assert desk.state.pool_cash(USDC) >= 0
    assert -btc(0.1) < desk.atoms(account, BTC) <= 0
    assert lender >= 0


def test_an_isolated_account_is_closed_and_charged_in_its_own_asset(desk: Desk) -> None:
    desk.lend(USDC, usdc(10_000))
    account = desk.open("isolated", isolated=BTC)
    quote = desk.entry_quote(INVERSE, 60_000)
    desk.ok(c.Load(account, ((BTC, btc(0.2)),), ((INVERSE, 60_000, quote),)))
    desk.mark(1, BTC=54_500.0)
    desk.ok(c.MarginCall(account))
    done, _ = step(desk, account)
    assert {asset for owner, asset, _ in done.postings if owner == account} == {BTC}
    assert desk.atoms(INSURANCE, BTC) > 0
    assert USDC not in desk.state.balances[account]


# Random accounts: whatever they hold, a step keeps its promises.

SIZES = {PERP: 100_000, FUTURE: 100_000, ETH_PERP: 100_000, INVERSE: 60_000, CALL: 100, PUT: 100}


@st.composite
def portfolios(draw: st.DrawFn) -> dict[int, int]:
    legs = draw(st.lists(st.sampled_from(sorted(SIZES)), min_size=1, max_size=4, unique=True))
    return {i: round(SIZES[i] * draw(st.floats(-2, 2))) or 1 for i in legs}


_SHARED: list[Desk] = []


def thin_desk() -> Desk:
    """One venue for all examples: a day's volume of 300 M USD, so that fills cost something."""
    if not _SHARED:
        _SHARED.append(Desk(volume_usd_daily=3e8))
        _SHARED[0].lend(USDC, usdc(1e9))
        _SHARED[0].lend(BTC, btc(1e4))
    return _SHARED[0]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(portfolios(), st.floats(0.5, 0.999), st.booleans())
def test_a_step_restores_and_no_leg_is_filled_beyond_its_bankruptcy_price(
    legs: dict[int, int], part: float, coins: bool
) -> None:
    desk = thin_desk()
    desk.engine.risk.taken_usd.clear()
    cash = {BTC: btc(0.3)} if coins else {}
    probe = desk.load(f"probe {len(desk.state.accounts)}", cash, legs)
    exact = desk.exact(probe)
    if exact.maintenance_margin < MICRO:
        return
    owed = round(exact.maintenance_margin * part) - exact.equity
    account = desk.load(f"account {len(desk.state.accounts)}", {**cash, USDC: owed}, legs)
    exact = desk.exact(account)
    if not exact.liquidatable or exact.equity * 2 <= exact.maintenance_margin:
        return
    desk.ok(c.MarginCall(account))
    prices = bankruptcy_prices(desk, account)
    no_lot_too_many(desk, account)
    events = desk.ok(c.Liquidate(account))
    if not isinstance(events[0], e.Liquidated):
        assert isinstance(events[0], e.AuctionStarted)
        return
    after = desk.exact(account)
    assert after.equity >= 0
    for _, i, size, quote in (leg for leg in events[0].legs if leg[0] == account):
        held, left = legs[i], desk.position(account, i)[0]
        assert held * left >= 0  # only toward zero
        assert abs(left) <= abs(held)
        if desk.state.universe.terms.form[i] == 1:
            price = Fraction(-quote, size)  # of linear contracts an atom per tick and lot
            better = prices[i] <= price if held > 0 else price <= prices[i]
            assert better, (i, held, float(price), float(prices[i]))
    if len(events) > 1:
        assert restored(after, liquidation_params(desk.engine.risk))


def no_lot_too_many(desk: Desk, account: int) -> None:
    """A step is enough, and with a lot less of any leg would not be; asked of the exact form before it is done."""
    state, risk = desk.state, desk.engine.risk
    done = liquidate(state, risk, c.Liquidate(account))[0]
    risk.pending_usd.clear()
    if not isinstance(done, e.Liquidated):
        return
    legs = closable(state, risk, account)
    moved = [(owner, i, size) for owner, i, size, _ in done.legs] + list(done.postings)
    closed = np.array(
        [abs(sum(x for row in moved if row[:2] == (account, i) for x in row[2:])) for i in legs.instrument]
    )
    closed //= [state.universe.lot_atoms[i] if state.universe.terms.form[i] == 0 else 1 for i in legs.instrument]
    step = PartialStep(state, risk, account, legs)
    assert step(closed).notional_micro == done.notional_micro
    spare = step.spare_micro(closed)
    whole = closed == np.abs(legs.lots)
    if spare < 0:
        assert whole[closed > 0].all()
    elif spare >= sizing.GRAIN_USD * MICRO and not whole.all():  # all is closed where dust would be left
        fewer = closed - np.eye(len(closed), dtype=np.int64)[closed > 0]
        assert all(step.spare_micro(row) < 0 for row in fewer)


def bankruptcy_prices(desk: Desk, account: int) -> dict[int, Fraction]:
    """Of the linear legs, in ticks, by the text: mark - sign(q) E w / (|q| M)."""
    state, risk = desk.state, desk.engine.risk
    legs = closable(state, risk, account)
    alone = Requirement(state, risk, account, legs).alone()
    shares = loss_shares([int(x * MICRO) for x in alone])
    equity = Fraction(desk.exact(account).equity, MICRO)
    found = {}
    for i, size, share in zip(legs.instrument.tolist(), legs.lots.tolist(), shares, strict=True):
        if state.universe.terms.form[i] == 1:
            usd_a_tick = Fraction(1, MICRO)
            mark = Fraction(state.quotes[i].ticks)
            found[i] = bankruptcy_price(mark, size, usd_a_tick, equity, share)
    return found


# ---- auctions


def auctioned(desk: Desk, usd: float = 10_100.0, price: float = 53_000.0) -> int:
    """A long of 1 BTC with less than half of its maintenance margin, in auction."""
    account = liquidating(desk, usd, price)
    assert health(desk, account) < 0.5
    started, staged = desk.ok(c.Liquidate(account))
    assert isinstance(started, e.AuctionStarted)
    assert staged.stage == desk.stage(account) == "auction"
    return account


def test_an_account_with_less_than_half_of_its_margin_is_auctioned_for_a_fee(desk: Desk) -> None:
    account = liquidating(desk, 10_100.0, 53_000.0)
    before = desk.exact(account)
    started, _ = desk.ok(c.Liquidate(account))
    fee = desk.atoms(INSURANCE)
    missing = before.maintenance_margin * 115 // 100 - before.equity
    slice_ = Fraction(missing, missing + before.equity)
    assert fee == pytest.approx(float(before.equity * slice_) * 0.01, abs=2)
    assert started.slice_e9 == pytest.approx(1e9 * missing / (missing + 0.98 * before.equity))
    assert "without an auction" in desk.refused(c.StartAuction(account))


def test_partial_steps_come_first(desk: Desk) -> None:
    account = liquidating(desk)
    assert health(desk, account) > 0.5
    assert "partial steps cannot help" in desk.refused(c.StartAuction(account))
    desk.mark(1, BTC=53_000.0)
    desk.ok(c.StartAuction(account))


def test_without_any_fill_inside_the_bankruptcy_price_an_account_is_auctioned() -> None:
    desk = Desk(policy_with(liquidation={"volume_usd_daily_default": 1_000.0}))
    desk.volumes.clear()  # the market does not say, so no margin is charged for it
    desk.tick(1)
    account = liquidating(desk)
    assert health(desk, account) > 0.9
    started, _ = desk.ok(c.Liquidate(account))
    assert isinstance(started, e.AuctionStarted)


def test_the_price_falls_with_time_and_a_reset_starts_it_over(desk: Desk) -> None:
    account = auctioned(desk)
    state, risk = desk.state, desk.engine.risk
    assert discount_e18(state, risk, account) == 98 * WAD // 100
    assert "needs a reset" in desk.refused(c.ResetAuction(account))
    before = 0
    for minutes, expected in ((7.5, 0.98 * 0.9), (7.5, 0.98 * 0.8)):
        before = state.auctions[account].start_ns
        desk.mark(minutes)
        assert discount_e18(state, risk, account) / WAD == pytest.approx(expected)
    desk.mark(60 * 4)
    (event,) = desk.ok(c.ResetAuction(account))
    assert (event.resets, event.start_ns) == (1, desk.now_ns)
    assert event.start_ns > before
    assert event.postings == ()  # the fee is paid once
    desk.mark(60 * 5)
    assert "needs a reset" in desk.refused(c.ResetAuction(account))  # only one: then it goes on to zero


def test_a_bid_takes_the_slice_at_the_present_price_and_stays_funded(desk: Desk) -> None:
    account = auctioned(desk)
    bidder = desk.open("bidder", 100_000.0)
    before, cash = desk.exact(account), desk.atoms(bidder)
    total = before.equity + desk.exact(bidder).equity
    (event,) = desk.ok(c.Bid(account, bidder, 10**9))
    after = desk.exact(account)
    assert restored(after, liquidation_params(desk.engine.risk))
    fraction = event.share_e9 / 1e9
    assert event.price_micro == pytest.approx(0.98 * before.equity * fraction, abs=3)
    taken = desk.position(bidder, PERP)[0]
    assert taken == pytest.approx(fraction * lots(1), abs=1)
    assert taken + desk.position(account, PERP)[0] == lots(1)
    assert desk.atoms(bidder) != cash
    assert after.equity + desk.exact(bidder).equity in range(total - 3, total + 1)  # nothing is lost between them
    closed, staged = desk.ok(c.CloseAuction(account))
    assert isinstance(closed, e.AuctionClosed)
    assert staged.stage == "called"


def test_a_bid_may_take_a_part(desk: Desk) -> None:
    account = auctioned(desk)
    one, two = desk.open("one", 100_000.0), desk.open("two", 100_000.0)
    desk.ok(c.Bid(account, one, 5 * 10**8))
    assert not restored(desk.exact(account), liquidation_params(desk.engine.risk))
    assert "restored" in desk.refused(c.CloseAuction(account))
    desk.ok(c.Bid(account, two, 10**9))
    assert restored(desk.exact(account), liquidation_params(desk.engine.risk))
    assert "falls short" in desk.refused(c.Bid(account, one, 10**9))


def test_who_may_bid(desk: Desk) -> None:
    account = auctioned(desk)
    sub = desk.open("sub", 100_000.0, owner="long")
    poor = desk.open("poor", 100.0)
    isolated = desk.open("isolated", isolated=BTC, BTC=10.0)
    frozen = desk.open("frozen", 100_000.0)
    desk.ok(c.Freeze(account=frozen))
    coins = desk.open("coins", BTC=10.0)
    assert "other than the account's owner" in desk.refused(c.Bid(account, sub, 10**9))
    assert "at or above initial margin" in desk.refused(c.Bid(account, poor, 10**9)) or poor
    assert "not isolated" in desk.refused(c.Bid(account, isolated, 10**9))
    assert "not frozen" in desk.refused(c.Bid(account, frozen, 10**9))
    assert "an account from" in desk.refused(c.Bid(account, -3, 10**9))
    assert "share_e9" in desk.refused(c.Bid(account, coins, 0))
    assert "share_e9" in desk.refused(c.Bid(account, coins, 10**9 + 1))
    assert "in auction" in desk.refused(c.Bid(sub, coins, 10**9))


def test_a_bidder_pays_from_cash_or_from_what_the_pool_can_lend(desk: Desk) -> None:
    desk.lend(USDC, usdc(500))
    account = desk.load("coins", {BTC: btc(0.2)}, {PERP: lots(1)})
    desk.mark(1, BTC=52_500.0)
    desk.ok(c.MarginCall(account))
    desk.ok(c.Liquidate(account))
    assert desk.stage(account) == "auction"
    bidder = desk.open("bidder", BTC=5.0)
    assert "its pool's cash" in desk.refused(c.Bid(account, bidder, 10**9))
    desk.ok(c.Deposit(bidder, USDC, usdc(2_000)))
    desk.ok(c.Bid(account, bidder, 10**9))
    assert desk.state.pool_cash(USDC) >= 0


def test_bids_below_the_minimum_and_bids_that_leave_dust_are_cut_or_refused() -> None:
    desk = Desk()
    account = long_of_one(desk, 300.0, coins=0.03)
    desk.mark(1, BTC=53_500.0)
    desk.ok(c.MarginCall(account))
    desk.ok(c.Liquidate(account))
    offered = desk.exact(account).equity / 1e6
    assert 10 < offered < 110  # less than dust and minimum together
    bidder = desk.open("bidder", 100_000.0)
    assert "leaves no dust" in desk.refused(c.Bid(account, bidder, 10**8))
    desk.ok(c.Bid(account, bidder, 10**9))


def test_no_bid_by_an_account_on_prices_in_doubt(desk: Desk) -> None:
    account = auctioned(desk)
    bidder = desk.open("bidder", 100_000.0)
    doubt(desk, 1)
    assert "is degraded" in desk.refused(c.Bid(account, bidder, 10**9))
    desk.ok(c.Bid(account, MARKET, 10**9))


def test_ticks_let_the_market_bid_once_the_discount_pays_its_impact() -> None:
    desk = Desk(volume_usd_daily=2e7)
    account = auctioned(desk)
    report = desk.tick(0.5)
    assert desk.stage(account) == "auction"
    assert not [entry for entry in report.entries if isinstance(entry.command, c.Bid)]
    for _ in range(60):
        desk.tick(5)
        if desk.stage(account) != "auction":
            break
    assert desk.stage(account) in ("called", "healthy")
    assert desk.position(account, PERP)[0] < lots(1)


def test_an_auction_whose_price_is_zero_is_sold_and_the_fund_pays_for_it() -> None:
    desk = Desk(volume_usd_daily=1e4)  # closing costs more than the equity left
    desk.insure(50_000.0)
    account = auctioned(desk)
    for _ in range(20):
        desk.tick(60)
        if desk.stage(account) != "auction":
            break
    assert desk.stage(account) == "healthy"
    assert desk.position(account, PERP) == (0, 0)
    assert desk.atoms(INSURANCE) < usdc(50_000)
    assert desk.exact(account).equity >= 0


def test_an_auction_ends_where_price_and_deposits_restore_the_account(desk: Desk) -> None:
    account = auctioned(desk)
    desk.mark(1, BTC=60_000.0)
    desk.ok(c.Deposit(account, USDC, usdc(2_000)))
    closed, staged = desk.ok(c.MarginCall(account))
    assert isinstance(closed, e.AuctionClosed)
    assert staged.stage == "healthy"
    assert account not in desk.state.auctions
