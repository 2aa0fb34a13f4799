"""Any sequence of commands, ticks, crashes, failing sources and failing disks: the laws hold after every step."""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.engine.desk import (
    BTC,
    CALL,
    COIN_CALL,
    ETH,
    ETH_PERP,
    FUTURE,
    HOUR_NS,
    INSURANCE,
    INVERSE,
    MARKET,
    PERP,
    PUT,
    USDC,
    Desk,
    btc,
    policy_with,
    submission,
    usdc,
)
from tests.stateful import laws

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.symbols import instrument
from solvent.engine.decide.markets import FUNDING_NS
from solvent.engine.engine import Submission
from solvent.engine.sources.tick import SourcePrice, Tick
from solvent.errors import StoreLost
from solvent.ledger.journal import MemoryJournal

DERIVATIVES = (PERP, ETH_PERP, INVERSE, FUTURE, CALL, PUT, COIN_CALL)
ASSETS = (USDC, BTC, ETH)
UNITS = {
    USDC: 10**6, BTC: 10**8 // 60_000, ETH: 10**18 // 3_000,  # a USD of each asset, in atoms
    PERP: 100_000, ETH_PERP: 200_000, INVERSE: 60_000, FUTURE: 100_000, CALL: 100, PUT: 100, COIN_CALL: 100,
}  # fmt: skip
"""About 60,000 USD of each derivative, in lots."""
POLICIES = (
    policy_with(liquidation={"insurance": {"owner_cap_usd_daily": 3_000}}),
    policy_with(liquidation={"deleveraging": "pro_rata", "sizing": "closed_form"}, margin={"margin_scale": 1.5}),
    policy_with(limits={"BTC/USDC:USDC": {"owner_usd": 200_000, "total_usd": 500_000}, "ETH": {"daily_usd": 50_000}}),
)
UNSAFE = policy_with(liquidation={"buffer": -1.0})

accounts = st.integers(0, 8)
traders = st.integers(0, 7)
parts = st.one_of(st.sampled_from([0.3, 0.9, 0.97]), st.floats(0.01, 1.0))
"""Of what an account's equity allows."""
sides = st.integers(-1, 8)
"""-1 is the outside market."""
sizes = st.one_of(st.sampled_from([0.001, 0.01, 0.1, 0.3, 1.0, 2.0]), st.floats(1e-5, 3.0))
usd = st.one_of(st.sampled_from([1.0, 100.0, 5_000.0, 50_000.0]), st.floats(1e-6, 2e5))
moves = st.one_of(st.floats(-0.03, 0.03), st.sampled_from([-0.5, -0.3, -0.15, 0.15, 0.4]), st.floats(-0.45, 0.6))
minutes = st.sampled_from([0.0, 0.5, 5.0, 30.0, 60.0, 480.0, 1_440.0])


class FlakyJournal(MemoryJournal):
    """A store that can be told to fail, before or after it has written."""

    failing = ""

    def commit(self, entries: Any, ts_ns: int) -> int:
        failing, self.failing = self.failing, ""
        if failing == "before":
            raise StoreLost(message="told to fail before it wrote")
        height = super().commit(entries, ts_ns)
        if failing == "after":
            raise StoreLost(message="told to fail after it wrote")
        return height


class EngineMachine(RuleBasedStateMachine):
    """Nine accounts of seven owners at a venue with little depth, little insurance and small pools."""

    def __init__(self) -> None:
        super().__init__()
        self.journal = FlakyJournal()
        self.follower = laws.Follower()
        self.keys = 0
        self.used: list[tuple[e.Entry, str]] = []
        self.ticked = False

    @initialize(
        policy=st.sampled_from((None, *POLICIES)),
        fund=st.sampled_from([0.0, 1_000.0, 20_000.0]),
        book=st.lists(st.tuples(st.integers(0, 7), st.sampled_from(DERIVATIVES), parts, st.booleans()), max_size=10),
    )
    def open_venue(self, policy: Any, fund: float, book: list[tuple[int, int, float, bool]]) -> None:
        self.desk = desk = Desk(policy, volume_usd_daily=2e8, journal=self.journal)
        names = ("north", "north-2", "south", "south-2", "east", "west", "lender", "alone", "maker")
        for name in names:
            isolated = BTC if name == "alone" else -1
            desk.ok(c.OpenAccount(name, name.partition("-")[0], isolated))
        for account in range(6):
            desk.ok(c.Deposit(account, USDC, usdc(20_000)))
        for account in (1, 3, 7):
            desk.ok(c.Deposit(account, BTC, btc(0.5)))
        desk.ok(c.Deposit(8, USDC, usdc(3e6)))
        desk.ok(c.Deposit(8, BTC, btc(30)))
        for asset, worth in ((USDC, 30_000), (BTC, 60_000)):
            desk.ok(c.Deposit(6, asset, worth * UNITS[asset]))
            desk.ok(c.Supply(6, asset, worth * UNITS[asset]))
        if fund:
            desk.insure(fund)
        for account, i, part, sells in book:
            self.trade(account, i, part, sells)

    # ---- how commands are sent

    def send(self, command: c.Command) -> e.Entry:
        desk = self.desk
        before = laws.image(desk)
        self.keys += 1
        key = f"k{self.keys}" if self.keys % 3 == 0 else ""
        (entry,) = desk.engine.execute([submission(desk.state, command, "desk", key)], desk.now_ns)
        if key:
            self.used.append((entry, key))
        self.ticked = False
        laws.refusals_change_nothing(before, laws.image(desk), entry)
        return entry

    # ---- money

    @rule(account=accounts, asset=st.sampled_from(ASSETS), amount=usd)
    def deposit(self, account: int, asset: int, amount: float) -> None:
        self.send(c.Deposit(account, asset, max(1, int(amount * UNITS[asset]))))

    @rule(account=accounts, asset=st.sampled_from(ASSETS), amount=usd, all_of_it=st.booleans())
    def withdraw(self, account: int, asset: int, amount: float, all_of_it: bool) -> None:
        atoms = self.desk.atoms(account, asset) if all_of_it else int(amount * UNITS[asset])
        entry = self.send(c.Withdraw(account, asset, max(1, atoms)))
        if isinstance(entry.events[0], e.Withdrawn):
            exact = self.desk.exact(account)
            assert exact.equity >= exact.initial_margin

    @rule(payer=accounts, payee=accounts, asset=st.sampled_from(ASSETS), amount=usd)
    def transfer(self, payer: int, payee: int, asset: int, amount: float) -> None:
        self.send(c.Transfer(payer, payee, asset, max(1, int(amount * UNITS[asset]))))

    @rule(account=accounts, asset=st.sampled_from(ASSETS), amount=usd)
    def supply(self, account: int, asset: int, amount: float) -> None:
        self.send(c.Supply(account, asset, max(1, int(amount * UNITS[asset]))))

    @rule(account=accounts, asset=st.sampled_from(ASSETS), part=st.floats(0.0, 1.0))
    def redeem(self, account: int, asset: int, part: float) -> None:
        held = self.desk.state.pool_shares(asset, account)
        self.send(c.Redeem(account, asset, round(held * part)))

    @rule(amount=usd, asset=st.sampled_from(ASSETS))
    def seed_insurance(self, amount: float, asset: int) -> None:
        self.send(c.Deposit(INSURANCE, asset, max(1, int(amount / 10 * UNITS[asset]))))

    # ---- trades

    @rule(account=traders, i=st.sampled_from(DERIVATIVES), part=parts, sells=st.booleans())
    def trade(self, account: int, i: int, part: float, sells: bool) -> None:
        """A trade with the market maker that uses a part of what the account's equity allows."""
        exact = self.desk.exact(account)
        free_usd = max(0, exact.equity - exact.initial_margin) / 1e6
        size = max(1, int(part * free_usd / 0.17 / 60_000 * UNITS[i]))
        both = (8, account) if sells else (account, 8)
        self.send(c.Fill(i, *both, size, max(1, self.desk.state.quotes[i].ticks)))

    @rule(i=st.sampled_from(DERIVATIVES), buyer=sides, seller=sides, size=sizes, off=st.floats(-0.032, 0.032))
    def fill(self, i: int, buyer: int, seller: int, size: float, off: float) -> None:
        desk = self.desk
        quote = desk.state.quotes[i].ticks
        fees = 0 if size > 0.5 else 7
        before = {side: desk.exact(side) for side in {buyer, seller} - {MARKET}}
        entry = self.send(
            c.Fill(i, buyer, seller, max(1, int(size * UNITS[i])), max(1, round(quote * (1 + off))), -1, fees, fees)
        )
        if isinstance(entry.events[0], e.Filled):
            for side, was in before.items():
                now = desk.exact(side)
                reduces = now.initial_margin <= was.initial_margin
                better = now.equity - now.initial_margin >= was.equity - was.initial_margin
                assert not now.below_initial or (reduces and better)

    @rule(i=st.sampled_from((BTC, ETH)), buyer=sides, seller=sides, amount=usd, payment=st.sampled_from((-1, BTC)))
    def swap(self, i: int, buyer: int, seller: int, amount: float, payment: int) -> None:
        price = self.desk.state.quotes[i].ticks
        if payment == BTC:
            price = price * 10**6 // self.desk.state.quotes[BTC].ticks
        lot = self.desk.state.universe.spot_of(i).lot_atoms
        self.send(c.Fill(i, buyer, seller, max(1, int(amount * UNITS[i]) // lot), max(1, price), payment))

    @rule(account=accounts, i=st.sampled_from((*DERIVATIVES, BTC)), size=sizes, sells=st.booleans())
    def order(self, account: int, i: int, size: float, sells: bool) -> None:
        many = max(1, int(size * UNITS[i] * (60_000 if i == BTC else 1)))
        self.send(c.OpenOrder(account, i, -many if sells else many, self.desk.state.quotes[i].ticks or 1))

    @rule(account=accounts, which=st.integers(0, 3))
    def cancel(self, account: int, which: int) -> None:
        orders = sorted(self.desk.state.orders.get(account, {}))
        self.send(c.CancelOrder(account, orders[which] if which < len(orders) else 10**6))

    # ---- the waterfall by hand

    @rule(
        kind=st.sampled_from(
            (c.MarginCall, c.Liquidate, c.StartAuction, c.ResetAuction, c.CloseAuction, c.Insure, c.Socialise)
        ),
        account=accounts,
    )
    def act(self, kind: Any, account: int) -> None:
        self.send(kind(account))

    @rule(account=accounts, i=st.sampled_from(DERIVATIVES))
    def deleverage(self, account: int, i: int) -> None:
        self.send(c.Deleverage(account, i))

    @rule(account=accounts, bidder=sides, share=st.sampled_from([1, 10**8, 5 * 10**8, 10**9]))
    def bid(self, account: int, bidder: int, share: int) -> None:
        entry = self.send(c.Bid(account, bidder, share))
        if isinstance(entry.events[0], e.AuctionTaken) and bidder != MARKET:
            assert not self.desk.exact(bidder).below_initial

    # ---- markets

    @rule(i=st.sampled_from(DERIVATIVES))
    def settle(self, i: int) -> None:
        equity = [self.desk.exact(account).equity for account in range(9)]
        self.send(c.Settle(i))
        after = [self.desk.exact(account).equity for account in range(9)]
        assert all(abs(x - y) <= 2 for x, y in zip(equity, after, strict=True)), "a settlement moved equity"

    @rule(i=st.sampled_from((PERP, ETH_PERP, INVERSE)), rate=st.integers(-(10**10), 10**10), ahead=st.integers(-1, 1))
    def fund(self, i: int, rate: int, ahead: int) -> None:
        self.send(c.Fund(i, self.desk.now_ns // FUNDING_NS + ahead, rate))

    @rule(asset=st.sampled_from(ASSETS), ahead=st.integers(-1, 1))
    def accrue(self, asset: int, ahead: int) -> None:
        self.send(c.Accrue(asset, self.desk.now_ns // HOUR_NS + ahead))

    @rule(i=st.sampled_from((FUTURE, CALL, PUT, COIN_CALL, PERP)), price=st.floats(1e4, 2e5))
    def expire(self, i: int, price: float) -> None:
        self.send(c.Expire(i, round(price * 1e6)))

    @rule(
        command=st.one_of(
            st.sampled_from(ASSETS).map(c.Sweep),
            st.builds(c.Freeze, account=accounts, on=st.booleans()),
            st.builds(c.Freeze, instrument=st.sampled_from((PERP, ETH_PERP, ETH)), on=st.booleans()),
            st.sampled_from((ETH_PERP, PUT)).map(c.DelistInstrument),
            st.sampled_from(("SOL", "SOL/USDC:USDC", "BTC")).map(lambda id: c.ListInstrument(instrument(id, 150.0))),
        )
    )
    def operate(self, command: c.Command) -> None:
        self.send(command)

    @rule(policy=st.sampled_from((*POLICIES, UNSAFE)))
    def set_policy(self, policy: Any) -> None:
        entry = self.send(c.SetPolicy(policy))
        assert isinstance(entry.events[0], e.Refused) == (policy is UNSAFE)

    # ---- ticks

    @rule(wait=minutes, btc_move=moves, eth_move=moves, funding=st.floats(-0.01, 0.01))
    def tick(self, wait: float, btc_move: float, eth_move: float, funding: float) -> None:
        prices = self.desk.prices
        self.desk.tick(
            wait,
            funding={"BTC": funding, "ETH": -funding},
            BTC=min(1e6, max(2_000.0, prices["BTC"] * (1 + btc_move))),
            ETH=min(1e5, max(100.0, prices["ETH"] * (1 + eth_move))),
        )
        self.ticked = True

    @rule(down=st.booleans(), by=st.floats(0.08, 0.45), wait=st.sampled_from([0.0, 1.0, 15.0]))
    def crash(self, down: bool, by: float, wait: float) -> None:
        self.tick(wait, -by if down else by, -by if down else by, 0.0)

    @rule(wait=minutes, usdc_price=st.sampled_from([0.87, 0.97, 1.0, 1.001]))
    def depeg(self, wait: float, usdc_price: float) -> None:
        self.desk.tick(wait, USDC=usdc_price)
        self.ticked = True

    @rule(wait=minutes, kind=st.sampled_from(("stale", "outlier", "missing", "two agree", "not a price", "future")))
    def tick_of_failing_sources(self, wait: float, kind: str) -> None:
        rows = []
        for name, price in self.desk.prices.items():
            if name != "BTC":
                rows.append(SourcePrice(name, "venue", price))
            elif kind == "stale":
                rows.append(SourcePrice(name, "venue", price, age_s=1e4))
            elif kind == "outlier":
                rows += [SourcePrice(name, "a", price), SourcePrice(name, "b", price * 3)]
            elif kind == "two agree":
                rows += [SourcePrice(name, s, price * f) for s, f in (("a", 0.97), ("b", 0.971), ("c", 2.0))]
            elif kind == "not a price":
                rows += [
                    SourcePrice(name, "a", price),
                    SourcePrice(name, "b", float("nan")),
                    SourcePrice(name, "c", -1),
                ]
            elif kind == "future":
                rows.append(SourcePrice(name, "venue", price, age_s=-60.0))
        self.desk.tick(wait, sources=tuple(rows))
        self.ticked = True

    @rule(late=st.sampled_from([1, 10**9, HOUR_NS]), price=st.floats(1e4, 1e5))
    def late_tick(self, late: int, price: float) -> None:
        """A tick from before the last one marks nothing."""
        quotes = dict(self.desk.state.quotes)
        marked = self.desk.state.marked_ns
        tick = Tick(marked - late, (SourcePrice("BTC", "venue", price),))
        report = self.desk.engine.tick(tick)
        assert isinstance(report.entries[0].events[0], e.Refused)
        assert self.desk.state.quotes == quotes
        self.ticked = True

    @rule(ahead=st.sampled_from([10**9, 700 * 10**9, 5 * HOUR_NS]))
    def clock_jumps(self, ahead: int) -> None:
        self.desk.now_ns += ahead
        entry = self.send(c.Withdraw(4, USDC, 1))
        if self.desk.now_ns - self.desk.state.marked_ns > 600 * 10**9:
            assert isinstance(entry.events[0], e.Refused)

    # ---- keys and disks

    @precondition(lambda self: self.used)
    @rule(data=st.data())
    def repeat_a_key(self, data: st.DataObject) -> None:
        first, key = data.draw(st.sampled_from(self.used))
        before, height = self.desk.state.hash(), self.desk.state.height
        again = Submission(first.command, first.origin, first.caller, key)
        (entry,) = self.desk.engine.execute([again], self.desk.now_ns)
        assert entry.repeated
        assert entry.events == first.events
        assert (self.desk.state.hash(), self.desk.state.height) == (before, height)
        other = Submission(c.Deposit(0, USDC, 123_456_789), first.origin, first.caller, key)
        (entry,) = self.desk.engine.execute([other], self.desk.now_ns)
        assert isinstance(entry.events[0], e.Refused)

    @rule(when=st.sampled_from(("before", "after")), account=accounts)
    def the_disk_fails(self, when: str, account: int) -> None:
        height = self.desk.state.height
        self.journal.failing = when
        with pytest.raises(StoreLost):
            self.desk.engine.execute([Submission(c.Deposit(account, USDC, 1), "engine")], self.desk.now_ns)
        assert self.desk.state.height == height + (when == "after")
        self.ticked = False

    # ---- the laws

    @invariant()
    def laws_hold(self) -> None:
        if not hasattr(self, "desk"):
            return
        entries = self.follower.follow(self.desk)
        laws.conserved(self.desk.state)
        laws.adds_up(entries)
        laws.float_form_is_certain(self.desk)
        if self.ticked:
            laws.nobody_below_zero_is_overlooked(self.desk)
            laws.margins_are_of_the_state(self.desk)

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            laws.the_journal_verifies(self.desk)


NIGHTLY = os.environ.get("SOLVENT_NIGHTLY") == "1"
TestEngineMachine = EngineMachine.TestCase
TestEngineMachine.settings = settings(
    settings.default if NIGHTLY else settings(max_examples=120, stateful_step_count=30),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
