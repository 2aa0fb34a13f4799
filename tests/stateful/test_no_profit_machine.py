"""At constant prices no sequence of commands raises what colluding accounts can take out together; nothing is made."""

import os
from collections import Counter
from fractions import Fraction
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain import origins
from solvent.domain.owners import INSURANCE, MARKET, POOL
from solvent.domain.quantities import mul_div_up
from solvent.engine import decide as decisions
from solvent.engine.decide import accounts as account_decisions
from solvent.engine.engine import Submission
from solvent.engine.risk import VALUE, profit_atoms
from solvent.lab.attacks.scene import BTC, BTC_PERP, DOT, DOT_PERP, USDC, USDT, Scene
from solvent.pools import shares

NIGHTLY = os.environ.get("SOLVENT_NIGHTLY") == "1"
STEPS_A_RUN = 100
STEPS = 1_000_000 if NIGHTLY else 20_000
RUNS = STEPS * 11 // 10 // STEPS_A_RUN
"""Some runs end early."""
STARTS = {USDC: 300_000.0, BTC: 3.0, DOT: 10_000.0}
"""What each of the first three colluders brings, in coins."""
ASSETS, PERPS = (USDC, USDT, BTC, DOT), (BTC_PERP, DOT_PERP)

who = st.integers(0, 3)
parts = st.sampled_from([0.0, 1e-9, 0.01, 0.3, 0.5, 0.9, 1.0])
assets, perps = st.sampled_from(ASSETS), st.sampled_from(PERPS)
sizes = st.one_of(st.sampled_from([1, 2, 999, 10**6, 10**9]), st.integers(1, 10**12))


class NoProfitMachine(RuleBasedStateMachine):
    """Four accounts of three owners who work together, against a maker, lenders and a fund that only stand there."""

    steps = 0
    came: ClassVar[Counter[type[e.Event]]] = Counter()
    """Events of all runs: a law that holds because all is refused says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()
        self.ours = [self.scene.joins(name, STARTS) for name in ("one", "two", "three")]
        second = self.scene.ok(c.OpenAccount("one-2", "one"), "owner", "one").account
        self.ours.append(second)
        self.outside = 0
        """What was taken out less what was brought in, in 1e-42 USD."""
        self.most = self.could_take()
        self.sent: list[Submission] = []

    # ---- what they could take out

    def could_take(self) -> Fraction:
        """What the accounts have at the marks, debts left behind, with what is outside already."""
        return self.outside + sum((max(Fraction(0), self.worth(account)) for account in self.ours), Fraction(0))

    def worth(self, account: int) -> Fraction:
        """Balances, positions and exact pool shares of an account in 1e-42 USD."""
        state, risk = self.state, self.scene.engine.risk
        found = Fraction(0)
        for asset, atoms in state.balances.get(account, {}).items():
            found += atoms * risk.atom_value(state, asset)
        for i, (lots, quote) in state.positions.get(account, {}).items():
            payer = int(state.universe.terms.settlement[i])
            found += profit_atoms(state, i, lots, quote) * risk.atom_value(state, payer)
        for asset, pool in state.pools.items():
            if held := pool.shares.get(account, 0):
                lenders, total = state.balance(POOL, asset) + shares.VIRTUAL_ATOMS, pool.total + shares.VIRTUAL_SHARES
                found += Fraction(held * lenders * risk.atom_value(state, asset), total)
        return found

    @property
    def state(self) -> Any:
        return self.scene.engine.state

    # ---- how they send

    def send(self, command: c.Command, origin: c.Origin, caller: str = "", key: str = "") -> e.Event:
        submission = Submission(command, origin, caller, key)
        if key:
            self.sent.append(submission)
        return self.execute(submission)

    def execute(self, submission: Submission) -> e.Event:
        (entry,) = self.scene.engine.execute([submission], self.scene.now_ns)
        if not entry.repeated:
            for event in entry.events:
                self.came[type(event)] += 1
                self.count(event)
        return entry.events[0]

    def count(self, event: e.Event) -> None:
        """Money that came from outside or went there, if it is theirs."""
        if isinstance(event, e.Deposited | e.Withdrawn | e.Loaded) and event.account in self.ours:
            for owner, asset, atoms in event.postings:
                if owner == event.account:
                    self.outside -= atoms * self.scene.engine.risk.atom_value(self.state, asset)
        if isinstance(event, e.Withdrawn) and event.account not in self.ours:
            for owner, asset, atoms in event.postings:  # somebody else's money: whoever sent it has it now
                if owner == event.account:
                    self.outside -= atoms * self.scene.engine.risk.atom_value(self.state, asset)

    def name(self, account: int) -> str:
        owner: str = self.state.accounts[account].owner
        return owner

    def own(self, command: c.Command, which: int) -> e.Event:
        """As the owner of one of theirs; every third under a key."""
        caller = self.name(self.ours[which])
        return self.send(command, "owner", caller, f"k{self.steps}" if self.steps % 3 == 0 else "")

    # ---- money

    @rule(which=who, asset=assets, part=parts, size=sizes)
    def withdraw(self, which: int, asset: int, part: float, size: int) -> None:
        atoms = max(0, self.state.balance(self.ours[which], asset))
        self.own(c.Withdraw(self.ours[which], asset, int(atoms * part) or size), which)

    @rule(which=who, asset=assets, size=sizes, number=st.integers(0, 30))
    def deposit(self, which: int, asset: int, size: int, number: int) -> None:
        """What they have outside; some references come again."""
        small = c.Deposit(self.ours[which], asset, min(size, 10**7), f"transfer-{number}")
        self.send(small, "operator", "custodian")

    @rule(
        payer=st.sampled_from((0, 3, 0, 3, 1)), payee=st.sampled_from((3, 0, 2)), asset=assets, part=parts, size=sizes
    )
    def transfer(self, payer: int, payee: int, asset: int, part: float, size: int) -> None:
        atoms = max(0, self.state.balance(self.ours[payer], asset))
        self.own(c.Transfer(self.ours[payer], self.ours[payee], asset, int(atoms * part) or size), payer)

    @rule(which=who, asset=assets, part=parts, size=sizes)
    def supply(self, which: int, asset: int, part: float, size: int) -> None:
        atoms = max(0, self.state.balance(self.ours[which], asset))
        self.own(c.Supply(self.ours[which], asset, int(atoms * part) or size), which)

    @rule(which=who, asset=assets, part=parts, size=sizes)
    def redeem(self, which: int, asset: int, part: float, size: int) -> None:
        held = self.state.pool_shares(asset, self.ours[which])
        self.own(c.Redeem(self.ours[which], asset, int(held * part) or size), which)

    # ---- trades

    @rule(i=perps, buyer=who, seller=who, part=parts, size=sizes, off=st.sampled_from([-0.031, -0.029, 0.0, 0.03]))
    def trade(self, i: int, buyer: int, seller: int, part: float, size: int, off: float) -> None:
        """Among themselves, at any price that the venue takes."""
        self.fill(i, self.ours[buyer], self.ours[seller], self.lots(i, self.ours[buyer], part) or size, off)

    @rule(i=perps, which=who, sells=st.booleans(), part=parts, off=st.sampled_from([0.0, 0.01]))
    def trade_with_the_maker(self, i: int, which: int, sells: bool, part: float, off: float) -> None:
        """At the mark or worse: the maker gives nothing away."""
        maker, account = self.scene.maker, self.ours[which]
        sides = (maker, account) if sells else (account, maker)
        self.fill(i, *sides, self.lots(i, account, part) or 1, -off if sells else off)

    @rule(
        asset=st.sampled_from((USDT, BTC, DOT)),
        buyer=who,
        seller=who,
        size=st.integers(1, 10**7),
        off=st.floats(-0.03, 0.03),
    )
    def swap(self, asset: int, buyer: int, seller: int, size: int, off: float) -> None:
        self.fill(asset, self.ours[buyer], self.ours[seller], size, off)

    def lots(self, i: int, account: int, part: float) -> int:
        """A size that the account's equity carries about this part of."""
        exact, unit = self.scene.engine.risk.exact(account), float(self.scene.engine.risk.exposure_usd()[i])
        return int(part * max(0, exact.equity - exact.initial_margin) / 1e6 / 0.3 / unit)

    def fill(self, i: int, buyer: int, seller: int, lots: int, off: float) -> None:
        ticks = round(self.state.quotes[i].ticks * (1 + off))
        fees = 0 if lots % 2 else 3
        self.send(c.Fill(i, buyer, seller, lots, ticks, -1, fees, fees), "venue")

    @rule(i=perps, which=who, part=parts, sells=st.booleans())
    def order(self, i: int, which: int, part: float, sells: bool) -> None:
        lots = self.lots(i, self.ours[which], part) or 1
        self.own(c.OpenOrder(self.ours[which], i, -lots if sells else lots, self.state.quotes[i].ticks), which)

    @rule(which=who)
    def cancel(self, which: int) -> None:
        orders = sorted(self.state.orders.get(self.ours[which], {}))
        self.own(c.CancelOrder(self.ours[which], orders[0] if orders else 0), which)

    # ---- what they may also try

    @rule(i=perps)
    def settle(self, i: int) -> None:
        self.send(c.Settle(i), "venue")

    @rule(
        kind=st.sampled_from((c.MarginCall, c.Liquidate, c.StartAuction, c.ResetAuction, c.CloseAuction)), which=who,
        origin=st.sampled_from(origins.ORIGINS[1:]),
    )  # fmt: skip
    def keep(self, kind: Any, which: int, origin: c.Origin) -> None:
        self.send(kind(self.ours[which]), origin, "one")

    @rule(which=who, bidder=st.integers(-1, 3), share=st.sampled_from([1, 10**8, 10**9]))
    def bid(self, which: int, bidder: int, share: int) -> None:
        taker = MARKET if bidder < 0 else self.ours[bidder]
        self.send(c.Bid(self.ours[which], taker, share), "keeper", "" if bidder < 0 else self.name(taker))

    @rule(kind=st.integers(0, 8), which=who, asset=st.sampled_from((USDC, USDC, *ASSETS)), size=sizes)
    def take(self, kind: int, which: int, asset: int, size: int) -> None:
        """Other people's money, and what only the engine or an operator may do."""
        mine, maker = self.ours[which], self.scene.maker
        command = (
            c.Withdraw(maker, asset, size), c.Transfer(maker, mine, asset, size), c.Withdraw(INSURANCE, asset, size),
            c.Redeem(maker + 1, asset, size), c.Insure(mine), c.Socialise(mine), c.Sweep(asset),
            c.Load(mine, ((asset, size),)), c.Deposit(mine, asset, size),
        )[kind]  # fmt: skip
        self.send(command, "owner", self.name(mine))

    @rule(number=st.integers(0, 20))
    def again(self, number: int) -> None:
        """A command under its old key."""
        if self.sent:
            self.execute(self.sent[number % len(self.sent)])

    @rule(minutes=st.sampled_from([0.0, 1.0, 30.0, 61.0, 500.0]))
    def wait(self, minutes: float) -> None:
        self.scene.tick(minutes)

    # ---- the law

    @invariant()
    def nothing_is_gained(self) -> None:
        type(self).steps += 1
        now = self.could_take()
        assert now <= self.most, f"{float(now - self.most) / VALUE:.9f} USD out of nothing"
        self.most = now
        assert self.state.violations() == []


def machine_settings(runs: int) -> settings:
    return settings(
        max_examples=runs, stateful_step_count=STEPS_A_RUN, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


def test_no_sequence_brings_anything() -> None:
    """20,000 steps here, 1,000,000 nightly."""
    NoProfitMachine.steps = 0
    run_state_machine_as_test(NoProfitMachine, settings=machine_settings(RUNS))
    assert NoProfitMachine.steps >= STEPS
    wanted = (
        e.Deposited,
        e.Withdrawn,
        e.Transferred,
        e.Supplied,
        e.Filled,
        e.OrderOpened,
        e.OrdersCancelled,
        e.Settled,
    )
    few = {kind.__name__: came for kind in wanted if (came := NoProfitMachine.came[kind]) < STEPS // 400}
    assert not few, few


def _atoms_up(pool: shares.Pool, given: int) -> int:
    return mul_div_up(given, pool.lenders + shares.VIRTUAL_ATOMS, pool.shares + shares.VIRTUAL_SHARES)


@pytest.mark.parametrize(
    ("place", "name", "instead"),
    [
        (decisions, "permitted", lambda *_: None),
        (shares, "atoms_down", _atoms_up),
        (account_decisions, "borrowable", lambda *_: None),
    ],
    ids=["no origins", "rounding for the account", "no limit of loans"],
)
def test_control_a_guard_that_is_off_is_found(place: Any, name: str, instead: Any) -> None:
    with patch.object(place, name, instead), pytest.raises(AssertionError):
        # It ends at the first that is found; how long that takes is chance.
        run_state_machine_as_test(NoProfitMachine, settings=settings(machine_settings(2_000), phases=[Phase.generate]))
