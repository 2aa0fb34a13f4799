"""The loop: commands and ticks in, decided and applied in memory, committed as one block, then told to others."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

import msgspec

from solvent.domain import commands as c
from solvent.domain.events import Entry, Event, Refused
from solvent.domain.instruments import Future as DatedFuture
from solvent.domain.instruments import Option, Perpetual, Spot
from solvent.engine.decide import Sender, decide
from solvent.engine.decide.markets import FUNDING_NS, HOUR_NS
from solvent.engine.marks import Marker
from solvent.engine.risk import Risk
from solvent.engine.rounds import run_waterfall
from solvent.engine.sources.tick import Tick
from solvent.ledger import snapshots
from solvent.ledger.apply import DAY_NS, apply_entry, command_digest
from solvent.ledger.group_commit import Committed, GroupCommitter
from solvent.ledger.journal import Journal, entry_at
from solvent.ledger.recovery import Follower
from solvent.ledger.signing import Signer
from solvent.ledger.state import State
from solvent.ledger.witness import Witnessing
from solvent.margin.statement import Statement


class Submission(NamedTuple):
    """A command as somebody sends it."""

    command: c.Command
    origin: c.Origin = "operator"
    caller: str = ""
    key: str = ""


class TickReport(msgspec.Struct):
    """What one tick did."""

    ts_ns: int
    height: int
    entries: tuple[Entry, ...]
    statement: Statement | None
    """Of all accounts after the mark and before liquidations; None while the engine is not ready."""
    degraded: int
    """Prices that are not ok."""
    margin_s: float
    """How long the statement of all accounts took."""
    commit_s: float = 0.0
    """How long it took to make the block durable."""


Listener = Callable[[TickReport], None]
"""Called with each tick's report in the writer's thread, between blocks: it may read state and risk."""


class Engine:
    """One writer over one journal. Nothing is told to anybody before its block is durable."""

    def __init__(
        self,
        journal: Journal,
        clock: Callable[[], int] = time.time_ns,
        snapshot_every_blocks: int = 0,
        follower: Follower | None = None,
    ) -> None:
        """Recovers what the journal holds. `clock` gives nanoseconds for commands outside of ticks.

        snapshot_every_blocks: how often the state is saved beside the journal, 0 for never: it shortens recovery.
        follower: a state that went along with the same journal while another wrote it; only the rest is read.
        """
        self.journal = journal
        self.clock = clock
        self.snapshot_every_blocks = snapshot_every_blocks
        self.listeners: list[Listener] = []
        """Who hears of each tick once its block is durable."""
        self.signer: Signer | None = None
        """Signs acknowledgements, from `serve` on."""
        self.witnessing: Witnessing | None = None
        """Tells a witness of the journal's head from time to time."""
        self.marker = Marker()
        self._decided_s = 0.0
        self._reports: list[TickReport] = []
        self._unnoted: c.NoteSnapshot | None = None
        """Puts the digest of the last snapshot into the next tick's block."""
        self._answered: dict[tuple[str, str], Entry] = {}
        """Answers to idempotency keys in the block that is being decided."""
        self._committer: GroupCommitter[Submission | Tick] | None = None
        self._report: TickReport | None = None
        if follower is not None:
            follower.journal = journal
        self._recover(follower)

    def _recover(self, follower: Follower | None = None) -> None:
        follower = follower or Follower(self.journal)
        follower.follow()
        self.state: State = follower.state
        self.risk = Risk(self.state)
        self.marker.restore(self.state)
        self._reports = []

    def submit(
        self, command: c.Command, origin: c.Origin = "operator", caller: str = "", key: str = ""
    ) -> "Future[Committed]":
        """Hand in a command; the future is done when its block is durable. Commands gather into blocks.

        Only after `serve`. Raises SolventError once the writer stopped.
        """
        assert self._committer is not None, "serve() first"
        return self._committer.submit(Submission(command, origin, caller, key))

    def serve(self) -> GroupCommitter[Submission | Tick]:
        """Start the writer's thread: from here on commands and ticks are committed in groups."""
        if self._committer is None:
            self._committer = GroupCommitter(self.journal, self._decide_block, self.clock, self._durable, self.signer)
        return self._committer

    @property
    def serving(self) -> bool:
        """Whether commands are taken by `submit`; else by `execute`."""
        return self._committer is not None

    def close(self) -> None:
        """Commit what has gathered and stop."""
        if self._committer is not None:
            self._committer.close()
            self._committer = None

    def execute(self, submissions: Iterable[Submission], ts_ns: int) -> list[Entry]:
        """Decide, apply and commit some commands as one block, in this thread; their entries."""
        assert self._committer is None, "a serving engine takes commands by submit()"
        entries = [entry for answer in self._decided(list(submissions), ts_ns) for entry in answer]
        self._commit(entries)
        return entries

    def tick(self, tick: Tick) -> TickReport:
        """One step of the market: mark, expire, fund, settle, accrue, and the waterfall; one block."""
        if self._committer is not None:
            self._committer.submit(tick).result()
        else:
            (entries,) = self._decided([tick], tick.ts_ns)
            self._commit(entries)
        assert self._report is not None
        return self._report

    def _decided(self, requests: Sequence[Submission | Tick], ts_ns: int) -> list[Sequence[Entry]]:
        """Decide a block in this thread; if that fails half-way, drop what is in memory."""
        try:
            return self._decide_block(requests, max(ts_ns, self.state.ts_ns))
        except BaseException:
            self._recover()
            raise

    def _commit(self, entries: Sequence[Entry]) -> None:
        """Make the block durable; if that fails, drop what is in memory and recover from the journal."""
        entries = [entry for entry in entries if not entry.repeated]
        if not entries:
            return
        try:
            height = self.journal.commit(entries, self.state.ts_ns)
        except BaseException:
            self._recover()
            raise
        self._durable(height)

    def _durable(self, height: int) -> None:
        """The block just decided is durable: tell of its ticks, and save a snapshot where one is due."""
        reports, self._reports = self._reports, []
        commit_s = time.perf_counter() - self._decided_s
        for report in reports:
            report.height, report.commit_s = height, commit_s
            for listener in self.listeners:
                listener(report)
        if self.witnessing is not None:
            self.witnessing.durable(self.journal.head())
        if self.snapshot_every_blocks:
            self._unnoted = snapshots.save_if_due(self.journal, self.state, self.snapshot_every_blocks) or self._unnoted

    def save_snapshot(self) -> None:
        """Save the state beside the journal and note it in the chain, after `close`."""
        self.execute([Submission(snapshots.save(self.journal, self.state), "engine")], self.state.ts_ns)

    def _decide_block(self, requests: Sequence[Submission | Tick], ts_ns: int) -> list[Sequence[Entry]]:
        """Entries of each request, applied in memory; a block that would hold none is not begun."""
        state = self.state
        before = state.height, state.ts_ns, state.entries
        state.begin_block(ts_ns)
        self._answered.clear()
        answers = [
            self._tick_entries(request) if isinstance(request, Tick) else [self._one(request)] for request in requests
        ]
        if all(entry.repeated for answer in answers for entry in answer):
            state.height, state.ts_ns, state.entries = before
        self._decided_s = time.perf_counter()
        return answers

    def _one(self, submission: Submission) -> Entry:
        """Decide and apply one command; a repeated idempotency key gets its first answer and does nothing."""
        state = self.state
        receipt = state.receipts.get((submission.caller, submission.key)) if submission.key else None
        if receipt is not None:
            if receipt.digest != command_digest(submission.command):
                reason = f"key {submission.key!r}: the same command as before under this key"
                return Entry(submission.command, (Refused(reason=reason),), submission.origin, submission.caller)
            first = self._answered.get((submission.caller, submission.key))
            first = first or entry_at(self.journal, receipt.height, receipt.position)
            return msgspec.structs.replace(first, repeated=True)
        entry = self.run(submission.command, submission)
        if submission.key:
            self._answered[submission.caller, submission.key] = entry
        return entry

    def run(self, command: c.Command, submission: Submission | None = None) -> Entry:
        """Decide a command at the present state and apply what follows; part of the block being built."""
        if submission is None:
            entry = Entry(command, decide(self.state, self.risk, command))
        else:
            events = decide(self.state, self.risk, command, Sender(submission.origin, submission.caller))
            entry = Entry(command, events, submission.origin, submission.caller, submission.key)
        if submission is None and _idle(entry):
            return entry
        apply_entry(self.state, entry)
        self.risk.refresh(self.state)
        if isinstance(command, c.Mark):
            self.risk.remark(self.state)
        return entry

    def _tick_entries(self, tick: Tick) -> Sequence[Entry]:
        """Everything that follows from one tick, in the order of semantics: one block.

        A tick older than the last mark marks nothing. Nobody is liquidated at marks too old to count.
        """
        params, before_ns = self.risk.parameters(), self.state.marked_ns
        oracle, late = params.oracle, tick.ts_ns < before_ns
        seen = c.Mark((), (), tick.ts_ns) if late else self.marker.mark(self.state, tick, oracle, params.sources())
        mark = self.run(seen)
        entries = self._timed(tick, before_ns)
        if self.state.adaptive is not None and self.state.adaptive.ramps:
            entries.append(self.run(c.RampPolicy()))
        if self._unnoted is not None:
            entries.append(self.run(self._unnoted))
            self._unnoted = None
        statement, margin_s = None, 0.0
        young = self.state.ts_ns - self.state.marked_ns <= oracle.halt_age_s * 1e9
        if self.risk.prepared is not None and young:
            started = time.perf_counter()
            statement = self.risk.statement()
            margin_s = time.perf_counter() - started
            entries += run_waterfall(self, statement)
        entries = [mark, *(entry for entry in entries if not _idle(entry))]
        degraded = sum(1 for state in self.marker.states.values() if state != "ok")
        self._report = TickReport(tick.ts_ns, 0, tuple(entries), statement, degraded, margin_s)
        self._reports.append(self._report)
        return entries

    def _timed(self, tick: Tick, before_ns: int) -> list[Entry]:
        """What the clock brings: expiries, funding and settlement, interest, the daily sweep."""
        state, now = self.state, self.state.ts_ns
        entries: list[Entry] = []
        for i, instrument in enumerate(state.universe):
            due = isinstance(instrument, (DatedFuture, Option)) and instrument.expiry_ns <= now
            if due and i not in state.expired:
                entries.append(self.run(c.Expire(i, self.marker.settlement_micro(instrument.underlying, now))))
        if before_ns and now // FUNDING_NS > before_ns // FUNDING_NS:
            entries += self._funding(tick, now // FUNDING_NS)
        if before_ns and now // HOUR_NS > before_ns // HOUR_NS:
            for asset in sorted(state.loans.keys() | state.accrued.keys()):  # hours without loans count too
                entries.append(self.run(c.Accrue(asset, now // HOUR_NS)))
        if before_ns and now // DAY_NS > before_ns // DAY_NS:
            for asset, instrument in enumerate(state.universe):
                if isinstance(instrument, Spot):
                    entries.append(self.run(c.Sweep(asset)))
        return entries

    def _funding(self, tick: Tick, interval: int) -> list[Entry]:
        """Funding where there is a rate, then settlement of every perpetual and future, and of what else is unpaid."""
        state = self.state
        entries: list[Entry] = []
        for i, instrument in enumerate(state.universe):
            if isinstance(instrument, (Spot, Option)) or i in state.expired:
                if any(state.position(owner, i)[1] for owner in state.holders.get(i, ())):
                    entries.append(self.run(c.Settle(i)))
                continue
            rate = tick.funding_rate.get(instrument.underlying, 0.0)
            if rate and isinstance(instrument, Perpetual):
                entries.append(self.run(c.Fund(i, interval, round(rate * 1e12))))
            entries.append(self.run(c.Settle(i)))
        return entries


def _idle(entry: Entry) -> bool:
    """An automatic command that turned out to be needless: not worth a line in the journal. A mark always is."""
    events: tuple[Event, ...] = entry.events
    return len(events) == 1 and isinstance(events[0], Refused) and not isinstance(entry.command, c.Mark)


class Redecider:
    """Decides the commands of a journal again, one after another, with a margin view that is kept in step.

    What `journal verify --redecide` compares with the events that stand there.
    """

    def __init__(self) -> None:
        self._risk: Risk | None = None
        self._marked = False

    def __call__(self, state: State, entry: Entry) -> tuple[Event, ...]:
        """Events of an entry's command at the state before it."""
        if self._risk is None:
            self._risk = Risk(state)
        self._risk.refresh(state)
        if self._marked:
            self._risk.remark(state)
        self._marked = isinstance(entry.command, c.Mark)
        return decide(state, self._risk, entry.command, Sender(entry.origin, entry.caller))
