"""What holds after every step of an engine, whoever sent what: each law raises AssertionError where it does not."""

from collections import defaultdict
from collections.abc import Iterable

import msgspec
import numpy as np
from tests.engine.desk import Desk

from solvent.domain import events as e
from solvent.domain.owners import INSURANCE
from solvent.engine.decide.estate import held_back
from solvent.engine.risk import Risk, row_of, states_of
from solvent.ledger.apply import apply_block
from solvent.ledger.image import Image, image_of
from solvent.ledger.journal import Head, check_link
from solvent.ledger.recovery import recover, verify
from solvent.ledger.state import State

BAND = 4e-6
"""USD by which the exact form rounds against the account, whatever its size."""


class Follower:
    """Reads the journal as it grows and adds it up beside the engine: what a replica would do."""

    def __init__(self) -> None:
        self.state, self.head = State(), Head()

    def follow(self, desk: Desk) -> list[e.Entry]:
        """The chain holds, and what it says adds up to what the engine has in memory. Returns the new entries."""
        found: list[e.Entry] = []
        for block in desk.engine.journal.read(self.head.height + 1):
            problems = check_link("journal", self.head, block)
            assert problems == [], problems
            self.head = block.head
            entries = block.entries()
            apply_block(self.state, block.ts_ns, entries)
            found += entries
        assert self.head == desk.engine.journal.head()
        assert self.state.height == desk.state.height == self.head.height
        assert self.state.hash() == desk.state.hash(), "replay of the journal gives another state"
        return found


def conserved(state: State) -> None:
    """Per asset and instrument everything sums to zero; no pool, no fund below zero."""
    problems = state.violations()
    assert problems == [], problems
    for asset in state.balances.get(INSURANCE, {}):
        assert state.balance(INSURANCE, asset) >= 0
    for asset in state.loans:
        assert state.pool_cash(asset) >= 0


def adds_up(entries: Iterable[e.Entry]) -> None:
    """What accounts fell short of = insurance + deleveraging + shared + bad debt - surplus, where all is decided.

    An account that was insolvent before these entries began without its shortfall: its balance is not looked at.
    """
    left: dict[int, int] = defaultdict(int)
    begun: set[int] = set()
    ended: set[int] = set()
    for event in (event for entry in entries for event in entry.events):
        match event:
            case e.Insured():
                left[event.account] = event.shortfall_e42 - event.paid_e42
                begun.add(event.account)
                ended.discard(event.account)
                if event.shortfall_e42 == event.paid_e42 and not event.shortfall_e42:
                    ended.add(event.account)
            case e.Deleveraged():
                left[event.account] -= event.loss_e42
            case e.LossShared():
                left[event.account] += event.surplus_e42 - event.shared_e42 - event.bad_debt_e42
                ended.add(event.account)
    for account in begun & ended:
        assert left[account] == 0, (account, left[account])


def refusals_change_nothing(before: Image, after: Image, entry: e.Entry) -> None:
    """But for the idempotency key."""
    if isinstance(entry.events[0], e.Refused):
        assert len(entry.events) == 1
        assert plain(before) == plain(after), entry


def plain(image: Image) -> Image:
    """An image less time, height and keys."""
    return msgspec.structs.replace(image, ts_ns=0, height=0, receipts=[])


def float_form_is_certain(desk: Desk) -> None:
    """Where the kernel is certain, the exact form says the same; and it is near it everywhere."""
    risk = desk.engine.risk
    statement = risk.statement()
    for account in range(len(desk.state.accounts)):
        exact = risk.exact(account)
        figures = (statement.equity, statement.initial_margin, statement.maintenance_margin)
        size = gross_usd(desk, account)
        for column, value in zip(figures, exact[:3], strict=True):
            assert abs(column[account] - value / 1e6) <= BAND + 1e-8 * size + 1e-9 * abs(value), (account, exact)
        if statement.certain[account]:
            assert bool(statement.liquidatable[account]) == exact.liquidatable
            assert bool(statement.equity[account] < statement.initial_margin[account]) == exact.below_initial


def gross_usd(desk: Desk, account: int) -> float:
    """USD of all that an account holds, signs aside: the scale of rounding errors."""
    risk = desk.engine.risk
    row = row_of(desk.state, account)
    payer = desk.state.universe.terms.settlement[row.instruments].astype(int) if row.instruments else []
    unit = [risk.atom_value(desk.state, int(c)) * desk.state.universe.spot_of(int(c)).lot_atoms / 1e42 for c in payer]
    exposure = np.abs(np.array(row.lots, dtype=float)) * np.nan_to_num(desk.engine.risk.exposure_usd()[row.instruments])
    return float(exposure.sum() + sum(abs(c) * u for c, u in zip(row.cost, unit, strict=True)))


def margins_are_of_the_state(desk: Desk) -> None:
    """The view that follows the state step by step equals one that is built anew from it."""
    fresh = Risk(recover(desk.engine.journal))
    for account in range(len(desk.state.accounts)):
        assert fresh.exact(account) == desk.engine.risk.exact(account)
    assert fresh.ready().digest() == desk.engine.risk.ready().digest()


def nobody_below_zero_is_overlooked(desk: Desk) -> None:
    """At the end of a tick an account below zero is insolvent, with bad debt or with something that cannot be closed;
    or a price that it depends on is gone."""
    risk, state = desk.engine.risk, desk.state
    for account, record in enumerate(state.accounts):
        if risk.exact(account).equity >= 0:
            continue
        gone = states_of(state, row_of(state, account).instruments) == 3
        assert gone or record.stage == "insolvent", (account, record, risk.exact(account))
        if not gone and not held_back(state, account):
            assert not any(lots for lots, _ in state.positions.get(account, {}).values()), "a position left open"


def the_journal_verifies(desk: Desk) -> None:
    """The whole chain, its snapshots and its sums, read again from the start."""
    report = verify(desk.engine.journal)
    assert report.problems == [], report.problems
    assert report.state_hash == desk.state.hash().hex()


def image(desk: Desk) -> Image:
    """The state as it is."""
    return image_of(desk.state)
