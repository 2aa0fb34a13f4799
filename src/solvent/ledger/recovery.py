"""From the journal back to the state: fast after a crash, or step by step to prove that nothing was changed."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec

from solvent.domain.events import Entry, Event, SnapshotNoted
from solvent.errors import JournalCorrupt, Problem, problem
from solvent.ledger import snapshots
from solvent.ledger.apply import apply_block, apply_entry
from solvent.ledger.journal import Block, Head, Journal, Snapshot, check_link
from solvent.ledger.state import State

Redecide: TypeAlias = Callable[[State, Entry], tuple[Event, ...]]
"""Decides an entry's command again on the state before it; must not change the state."""


FAULTS_MOST = 1_000
"""Verification stops there: a file that is wrong throughout costs bounded memory."""


class Report(msgspec.Struct):
    """What `verify` found."""

    journal: str
    blocks: int = 0
    entries: int = 0
    events: int = 0
    snapshots: int = 0
    redecided: int = 0
    """Entries that were decided again."""
    ts_ns: int = 0
    """Time of the last block."""
    head_hash: str = ""
    """Hash of the last block; who notes it down can later ask whether the chain still holds it."""
    state_hash: str = ""
    """Empty where the state is not known, because a block is damaged."""
    problems: list[Problem] = []


def walk(journal: Journal, head: Head) -> Iterator[tuple[Block | None, list[Problem]]]:
    """Every block behind `head` with what is wrong with it; at last None with what is wrong with the end.

    After a damaged block the walk goes on from what that block says of itself, so that each fault is seen
    once. A writer may append meanwhile; its blocks are walked too. Raises JournalCorrupt where the store
    cannot be read on.
    """
    recorded = journal.head()
    held = head == recorded
    for block in journal.read(head.height + 1):
        found = check_link(journal.name, head, block)
        head = block.head
        held = held or head == recorded
        yield block, found
    if held and journal.head().height >= head.height:
        yield None, []
        return
    last = f"{head.height} with hash {head.hash.hex()}"
    accepted = f"{recorded.height} with hash {recorded.hash.hex()}, as recorded with the last commit"
    yield None, [problem(journal.name, head.height, "last block", last, accepted)]


def recover(journal: Journal) -> State:
    """The state that the journal holds: the newest sound snapshot and the blocks after it.

    Damaged snapshots are passed over, if need be to the first block: the result is that of a full replay.
    Raises JournalCorrupt naming the block that was cut or altered, StoreLost.
    """
    follower = Follower(journal)
    follower.follow()
    return follower.state


class Follower:
    """A state in memory that goes along with a journal: of a reader that stands by, or of one that recovers."""

    def __init__(self, journal: Journal) -> None:
        """At the newest sound snapshot. Raises as `recover`."""
        self.journal = journal
        self.state, self.head = newest_snapshot(journal)

    def follow(self) -> int:
        """Apply the blocks that were written since; how many there were. Raises as `recover`, then is of no use."""
        before = self.head.height
        for block, found in walk(self.journal, self.head):
            if found:
                raise JournalCorrupt(*found)
            if block is not None:
                entries = block.entries()
                try:
                    apply_block(self.state, block.ts_ns, entries)
                except Exception as error:
                    raise JournalCorrupt(_inapplicable(self.journal, block, "entries", error)) from error
                self.head = block.head
        return self.head.height - before


def _inapplicable(journal: Journal, block: Block, field: str, error: Exception) -> Problem:
    """`apply` is total over what `decide` returns; whoever forges a whole chain may write anything."""
    return problem(journal.name, block.height, field, repr(error), "events that can be applied")


def newest_snapshot(journal: Journal) -> tuple[State, Head]:
    """State and head of the newest snapshot that can be believed, because the chain vouches for it; else empty."""
    kept = journal.snapshots()
    while True:
        try:
            snapshot = next(kept, None)
            if snapshot is None:
                return State(), Head()
            if not snapshots.is_noted(journal, snapshot):
                continue
            state = snapshots.restore(journal, snapshot)
        except JournalCorrupt:
            continue
        return state, Head(snapshot.height, state.ts_ns, snapshot.block_hash)


def verify(journal: Journal, *, holds: str = "", redecide: Redecide | None = None) -> Report:
    """Walk the whole chain, add it up and compare it with everything the store says of it.

    holds: hash of a block, noted down earlier, that the chain must hold: the only way to see that a chain was
    rewritten, or cut together with the store's own record of its end. redecide: decide every command again and
    report where the answer differs. Every problem names its block's height as the row; after `FAULTS_MOST` the
    rest of the chain is not looked at.
    """
    return _Verification(journal, redecide).run(holds)


class _Verification:
    """One pass over the chain; `state` is None from the first block on that cannot be believed."""

    def __init__(self, journal: Journal, redecide: Redecide | None) -> None:
        self.journal = journal
        self.redecide = redecide
        self.report = Report(journal.name, problems=journal.faults())
        self.state: State | None = State()
        self.snapshots: dict[int, Snapshot] = {}
        self.noted: dict[int, str] = {}

    def run(self, holds: str) -> Report:
        seen = not holds
        problems, last = self.report.problems, Head()
        try:
            self.snapshots = {each.height: each for each in self.journal.snapshots()}
        except JournalCorrupt as error:
            problems += error.problems
        self.report.snapshots = len(self.snapshots)
        try:
            for block, found in walk(self.journal, last):
                problems += found
                if block is not None:
                    last, seen = block.head, seen or block.hash.hex() == holds
                    self._block(block, sound=not found)
                if len(problems) >= FAULTS_MOST:
                    self.state, seen = None, True
                    break
        except JournalCorrupt as error:
            problems += error.problems
            self.state = None
        if not seen:
            problems.append(
                problem(self.journal.name, None, "hash", holds, "a block's hash: the chain was cut or rewritten")
            )
        for height, snapshot in self.snapshots.items():
            problems += snapshots.check(self.journal, snapshot)
            if self.noted.get(height, snapshot.digest.hex()) != snapshot.digest.hex():
                self._wrong(height, "snapshot.digest", snapshot.digest.hex(), f"{self.noted[height]}, as noted")
        self.report.ts_ns, self.report.head_hash = last.ts_ns, last.hash.hex()
        if self.state is not None:
            problems += self.state.violations()
            self.report.state_hash = self.state.hash().hex()
        return self.report

    def _block(self, block: Block, sound: bool) -> None:
        """Add up one block, as far as the chain up to it can be believed."""
        self.report.blocks += 1
        try:
            entries = block.entries()
        except JournalCorrupt as error:
            self.report.problems += error.problems
            entries, sound = (), False
        self.report.entries += len(entries)
        self.report.events += sum(len(entry.events) for entry in entries)
        events = (event for entry in entries for event in entry.events)
        self.noted |= {event.height: event.digest for event in events if isinstance(event, SnapshotNoted)}
        if not sound:
            self.state = None
        if self.state is None:
            return
        position = 0
        try:
            self.state.begin_block(block.ts_ns)
            for position, entry in enumerate(entries):
                self._decide_again(block.height, position, entry)
                apply_entry(self.state, entry)
        except Exception as error:
            self.report.problems.append(_inapplicable(self.journal, block, f"entry {position}", error))
            self.state = None
            return
        if self.redecide is None:  # else it is the reader of what was touched, and clears it
            self.state.touched.clear()
        snapshot = self.snapshots.get(block.height)
        if snapshot is not None and self.state.hash() != snapshot.state_hash:
            accepted = f"{self.state.hash().hex()}, what the blocks add up to"
            self._wrong(block.height, "snapshot.state_hash", snapshot.state_hash.hex(), accepted)

    def _decide_again(self, height: int, position: int, entry: Entry) -> None:
        if self.redecide is None or self.state is None:
            return
        self.report.redecided += 1
        try:
            again = repr(self.redecide(self.state, entry))
        except Exception as error:
            again = repr(error)
        if again != repr(entry.events):
            field = f"entry {position} {type(entry.command).__name__}"
            self._wrong(height, field, again, f"as journalled: {entry.events!r:.200}")

    def _wrong(self, height: int, field: str, value: object, accepted: str) -> None:
        self.report.problems.append(problem(self.journal.name, height, field, value, accepted))
