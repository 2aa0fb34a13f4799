"""The engine and the reference side by side: every command goes to both, and everything is compared after it."""

from collections import Counter
from typing import Any

from tests.engine.desk import submission
from tests.reference.venue import Reference
from tests.reference.waterfall import Misjudged, Plan

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.owners import MARKET
from solvent.engine.engine import Engine
from solvent.ledger.journal import MemoryJournal


class Differ(AssertionError):
    """Engine and reference are of two minds."""


class Pair:
    """An engine in memory and the reference, kept in step."""

    def __init__(self, reference: Reference | None = None) -> None:
        self.now_ns = 0
        self.engine = Engine(MemoryJournal(), clock=lambda: self.now_ns)
        self.reference = reference or Reference()
        self.done: list[c.Command] = []
        self.counts: Counter[str] = Counter()
        """Commands by kind and outcome, and comparisons."""

    @property
    def state(self) -> Any:
        return self.engine.state

    def send(self, command: c.Command) -> bool:
        """Perform a command on both sides; whether it was accepted. Raises Differ."""
        self.done.append(command)
        (entry,) = self.engine.execute([submission(self.state, command)], self.now_ns)
        events = entry.events
        refused = events[0].reason if isinstance(events[0], e.Refused) else ""
        before = self.reference.world
        plan = plan_of(self.state, command, events)
        try:
            reason = self.reference.perform(command, self.state.ts_ns, plan)
        except Misjudged as wrong:
            raise Differ(f"{command}\n  engine: {events}\n  reference: {wrong}") from wrong
        if bool(refused) != bool(reason):
            raise Differ(f"{command}\n  engine: {refused or 'accepted'}\n  reference: {reason or 'accepted'}")
        self.counts[f"{type(command).__name__} {'refused' if refused else 'accepted'}"] += 1
        self.counts["leaned"] += self.reference.world.leaned - before.leaned
        if not refused:
            self._moves(command, before, events)
        self._standing(command)
        self._verdicts(command, events)
        return not refused

    def _moves(self, command: c.Command, before: Any, events: tuple[e.Event, ...]) -> None:
        """Postings and legs of all events, netted by owner, are what the reference moved."""
        atoms: Counter[tuple[int, int]] = Counter()
        lots: Counter[tuple[int, int]] = Counter()
        quotes: Counter[tuple[int, int]] = Counter()
        for event in events:
            for owner, asset, amount in event.postings:
                atoms[owner, asset] += amount
            for owner, i, size, quote in event.legs:
                lots[owner, i] += size
                quotes[owner, i] += quote
        after = self.reference.world
        pairs = (
            ("atoms", atoms, changes(before.atoms, after.atoms)),
            ("lots", lots, changes(*({k: v[0] for k, v in w.held.items()} for w in (before, after)))),
            ("quote legs", quotes, changes(*({k: v[1] for k, v in w.held.items()} for w in (before, after)))),
        )
        for name, ours, theirs in pairs:
            ours = {key: x for key, x in ours.items() if x}
            if ours != theirs:
                raise Differ(f"{command}\n  {name} (owner, instrument)\n  engine: {ours}\n  reference: {theirs}")

    def _standing(self, command: c.Command) -> None:
        """Balances, positions, shares, orders, stages: the whole state."""
        state, world = self.state, self.reference.world
        rows = (
            ("balances", {(o, a): x for o, row in state.balances.items() for a, x in row.items()}, world.atoms),
            ("positions", {(o, i): x for o, row in state.positions.items() for i, x in row.items()}, world.held),
            ("shares", {(o, a): x for a, pool in state.pools.items() for o, x in pool.shares.items()}, world.shares),
            ("orders", sorted((a, id) for a, row in state.orders.items() for id in row), sorted(world.orders)),
            ("stages", [(x.stage, x.frozen) for x in state.accounts], [(x.stage, x.frozen) for x in world.accounts]),
            ("auctions", {a: (x.start_ns, x.resets) for a, x in state.auctions.items()}, world.auctions),
            ("expired", state.expired, world.expired),
        )
        for name, ours, theirs in rows:
            if ours != theirs:
                raise Differ(f"{command}\n  {name}\n  engine: {ours}\n  reference: {theirs}")

    def _verdicts(self, command: c.Command, events: tuple[e.Event, ...]) -> None:
        """Equity, IM and MM: of everybody after a mark, else of whom the command touched."""
        if self.engine.risk.prepared is None or isinstance(command, c.OpenAccount):
            return
        if isinstance(command, (c.Mark, c.SetPolicy, c.ListInstrument)):
            touched = set(range(len(self.state.accounts)))
        else:
            touched = {row[0] for event in events for row in (*event.postings, *event.legs) if row[0] >= 0}
            touched |= {getattr(command, "account", -1)}
        for account in sorted(touched):
            if 0 <= account < len(self.state.accounts):
                self._verdict(command, account)

    def _verdict(self, command: c.Command, account: int) -> None:
        ours, theirs = self.engine.risk.exact(account), self.reference.verdict(account)
        self.counts["verdicts"] += 1
        self.counts["verdicts equal to the digit"] += tuple(ours[:3]) == tuple(theirs[:3])
        if any(abs(a - b) > theirs.doubt for a, b in zip(ours[:3], theirs[:3], strict=True)):
            raise Differ(f"{command}\n  verdict on account {account}\n  engine: {ours}\n  reference: {theirs}")


def changes(before: dict[Any, int], after: dict[Any, int]) -> dict[Any, int]:
    """What became more or less."""
    found = {key: after.get(key, 0) - before.get(key, 0) for key in before.keys() | after.keys()}
    return {key: x for key, x in found.items() if x}


def plan_of(state: Any, command: c.Command, events: tuple[e.Event, ...]) -> Plan:
    """What floats chose in the engine's answer."""
    event = events[0]
    account = getattr(command, "account", -1)
    told = next((row for each in events for row in each.verdicts if row.account == account), None)
    plan = Plan(accepted=not isinstance(event, e.Refused), verdict=told)
    if isinstance(event, e.Deleveraged):
        return plan._replace(price_ticks=event.price_ticks)
    if not isinstance(event, e.Liquidated):
        return plan
    closed: Counter[int] = Counter()
    quotes = {i: quote for owner, i, _, quote in event.legs if owner == event.account}
    isolated = state.accounts[event.account].isolated
    payment = isolated if isolated >= 0 else state.universe.index("USDC")
    for owner, i, lots, _ in event.legs:
        if owner == MARKET:
            closed[i] += lots
    for owner, asset, atoms in event.postings:
        # A forced purchase of an option moves its premium in the payment asset: what is left is spot sold or bought.
        if owner == event.account and asset != payment:
            closed[asset] -= atoms
    closed_whole = {i: x for i, x in closed.items() if x}
    return plan._replace(closed=closed_whole, quotes=quotes, notional_micro=event.notional_micro)
