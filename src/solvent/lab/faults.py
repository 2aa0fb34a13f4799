"""A venue whose disk fails, whose clock jumps, whose process dies and whose clients try again: one seed, one history.

Everything happens in one thread and every choice is drawn from the seed, so a history that goes wrong goes wrong
again. The disk is a model of what a store promises: a block is there or not, and a caller that gets no answer does not
know which. What is looked for after every step: sums that do not come to zero, an acknowledged command that the store
does not hold or holds twice, an answer that changed, a state that recovery does not give, time or epochs that go
back, a writer that was superseded and commits all the same.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np

from solvent.domain import commands as c
from solvent.domain.events import Entry, Refused
from solvent.domain.instruments import Perpetual
from solvent.engine import start
from solvent.engine.engine import Engine, Submission
from solvent.engine.files import read_policy
from solvent.engine.risk import payment_asset
from solvent.engine.sources.simulated import Simulated, SimulationParams
from solvent.engine.sources.tick import Tick
from solvent.errors import Fenced, JournalCorrupt, StoreFull, StoreLost
from solvent.ledger.journal import Block, Head, MemoryJournal, seal
from solvent.ledger.recovery import Follower

ASSETS = ("BTC", "ETH")
ACCOUNTS = 24
INSURANCE_USD = 20_000.0
FAULT_SHARE = 0.12
"""Of commits that fail in one way or another."""
HOUR_NS = 3_600 * 10**9
RETRIES_MOST = 4
"""Times that a client sends a command again though it has its answer."""
FAULTS = ("lost before", "lost after", "full", "power before", "power after")


class PowerCut(BaseException):
    """The process ends here and now; what is in memory is gone."""


class Disk:
    """What outlives processes: blocks, and the epoch of who may write."""

    def __init__(self, lying: bool = False) -> None:
        """lying: it says that a block is durable when it is not; a power cut takes the last ones away."""
        self.lying = lying
        self.blocks: list[Block] = []
        self.unsafe = 0
        """Blocks at the end that only a lying disk holds."""
        self.epoch = 0

    def cut(self) -> None:
        """The power goes."""
        if self.unsafe:
            del self.blocks[-self.unsafe :]
        self.unsafe = 0


class FaultyJournal(MemoryJournal):
    """A writer's journal on a disk that fails as `next_fault` says."""

    def __init__(self, disk: Disk, next_fault: Callable[[], str] = lambda: "") -> None:
        super().__init__("simulated disk")
        self.disk, self.blocks, self._next_fault = disk, disk.blocks, next_fault
        disk.epoch += 1
        self.epoch = disk.epoch
        self._broken = False

    def commit(self, entries: Sequence[Entry], ts_ns: int) -> int:
        """Append one block, or fail as drawn. Raises as `Journal.commit`, or PowerCut."""
        if self._broken:
            raise StoreLost(message=f"{self.name}: a commit failed before; recover from the journal")
        if self.epoch != self.disk.epoch:
            raise Fenced(message=f"{self.name}: another writer took the journal over")
        block = seal(self.head(), entries, ts_ns, self.epoch)
        fault = self._next_fault()
        if fault == "full":
            raise StoreFull(message=f"{self.name}: no room")
        if fault.endswith("after") or not fault:
            self.blocks.append(block)
            self.disk.unsafe += self.disk.lying
        if fault.startswith("power"):
            raise PowerCut
        if fault:
            self._broken = True
            raise StoreLost(message=f"{self.name}: the disk failed")
        return block.height


class Request(msgspec.Struct):
    """What a client wants, until it is answered."""

    submission: Submission
    again: int = 0
    """How often it will be sent once more though it was answered."""


class Outcome(msgspec.Struct):
    """What a history came to."""

    seed: int
    steps: int
    blocks: int = 0
    commands: int = 0
    """Acknowledged, repetitions aside."""
    refused: int = 0
    """Of these."""
    repeated: int = 0
    """Answers given once more."""
    liquidated: int = 0
    processes: int = 0
    """Engines that were started on the disk."""
    faults: dict[str, int] = {}
    state_hash: str = ""
    trace: str = ""
    """Of everything that happened: equal for equal histories."""
    problems: list[str] = []


def simulate(seed: int, steps: int, *, lying: bool = False, faults: bool = True) -> Outcome:
    """Run one history of `steps` steps. lying: on a disk that loses what it called durable, which must be found."""
    return _History(seed, steps, lying, faults).run()


class _History:
    """One run; `expected` is what clients were told."""

    def __init__(self, seed: int, steps: int, lying: bool, faults: bool) -> None:
        self.random = np.random.default_rng([seed, 0xFA])
        self.disk = Disk(lying)
        self.faults: Counter[str] = Counter()
        self.failing = False
        self.with_faults = faults
        self.outcome = Outcome(seed, steps)
        self.digest = hashlib.blake2b(digest_size=16)
        params = SimulationParams(crash_first_tick=steps // 6, crash_every_ticks=max(60, steps // 3))
        self.source: Iterator[Tick] = iter(Simulated(ASSETS, seed, params=params))
        self.told: dict[tuple[str, str], tuple[int, Entry]] = {}
        """Acknowledged: by caller and key, the height and the entry."""
        self.waiting: list[Request] = []
        self.sent = 0
        self.step = 0
        self.now_ns = 0
        self.audited, self.found = Follower(FaultyJournal(Disk())), Counter[tuple[str, str]]()
        self.engine = self._begin(seed)

    def _begin(self, seed: int) -> Engine:
        """A venue with a generated book, before anything fails."""
        tick = start.with_cash(next(self.source))
        self.now_ns = tick.ts_ns
        engine = self._started()
        prices = start.prices_of(tick)
        start.begin(engine, read_policy("portfolio"), start.instruments_for(ASSETS, prices), tick)
        start.load_generated(engine, prices, ACCOUNTS, seed, INSURANCE_USD)
        self.disk.unsafe = 0
        self.audited = Follower(engine.journal)
        return engine

    def _started(self) -> Engine:
        """A process on the disk."""
        self.outcome.processes += 1
        return Engine(FaultyJournal(self.disk, self._fault), lambda: self.now_ns)

    def _fault(self) -> str:
        if not self.failing or self.random.random() >= FAULT_SHARE:
            return ""
        fault = str(self.random.choice(FAULTS))
        self.faults[fault] += 1
        return fault

    # One step

    def run(self) -> Outcome:
        """All steps, then the last look."""
        self.failing = self.with_faults
        for step in range(self.outcome.steps):
            self.step = step
            self._note("step", step)
            self._step()
            self._look()
            if self.outcome.problems:
                break
        self.failing = False
        self._restart()
        self._look()
        self.outcome.blocks = len(self.disk.blocks)
        self.outcome.commands = len(self.told)
        self.outcome.faults = dict(sorted(self.faults.items()))
        self.outcome.state_hash = self.engine.state.hash().hex()
        self.outcome.trace = self.digest.hexdigest()
        return self.outcome

    def _step(self) -> None:
        draw = self.random.random()
        if draw < 0.04 and self.with_faults:
            self._jump()
        elif draw < 0.07 and self.with_faults:
            self._take_over()
        elif draw < 0.10 and self.with_faults:
            self._restart()
        elif draw < 0.55:
            self._tick()
        else:
            self._send()

    def _jump(self) -> None:
        """The machine's clock is set: back by up to an hour, or ahead by up to three."""
        by_ns = int(self.random.integers(-HOUR_NS, 3 * HOUR_NS))
        self._count("clock back" if by_ns < 0 else "clock ahead")
        self.now_ns += by_ns
        self._note("clock", by_ns)

    def _restart(self) -> None:
        self.disk.cut()
        self.engine = self._started()
        self._note("restart", self.engine.state.hash().hex())

    def _take_over(self) -> None:
        """A standby takes the journal over; the writer before, which knows nothing of it, must commit nothing more."""
        self._count("take-over")
        stale, self.engine = self.engine, self._started()
        try:
            stale.execute([Submission(c.OpenAccount(f"ghost-{len(self.disk.blocks)}"))], self.now_ns)
        except Fenced:
            return
        self._wrong("a superseded writer committed")

    def _tick(self) -> None:
        tick = next(self.source)
        while tick.ts_ns <= self.engine.state.ts_ns - HOUR_NS:
            tick = next(self.source)  # what the market said while nobody listened
        kept = tuple(each for each in tick.prices if self.random.random() > 0.1)
        tick = start.with_cash(msgspec.structs.replace(tick, prices=kept))
        self.now_ns = max(self.now_ns, tick.ts_ns)

        def take() -> None:
            report = self.engine.tick(tick)
            self.outcome.liquidated += sum(isinstance(each.command, c.Liquidate) for each in report.entries)

        self._survive(take)

    def _send(self) -> None:
        """Clients send what they still wait for, and something new, as one block."""
        for _ in range(int(self.random.integers(1, 5))):
            self.waiting.append(Request(self._drawn(), int(self.random.integers(0, RETRIES_MOST))))
        batch = [each for each in self.waiting if self.random.random() < 0.7]

        def send() -> None:
            answers = self.engine.execute([each.submission for each in batch], self.now_ns)
            for request, answer in zip(batch, answers, strict=True):
                self._answered(request, answer)

        if batch:
            self._survive(send)

    def _answered(self, request: Request, answer: Entry) -> None:
        key = (request.submission.caller, request.submission.key)
        first = self.told.get(key)
        if first is None:
            self.told[key] = (self.engine.state.height, msgspec.structs.replace(answer, repeated=False))
            self.outcome.refused += isinstance(answer.events[0], Refused)
        elif first[1].events != answer.events:
            self._wrong(f"another answer to {key}: {answer.events!r:.200}, first {first[1].events!r:.200}")
        self.outcome.repeated += answer.repeated
        request.again -= 1
        if request.again < 0:
            self.waiting.remove(request)

    def _survive(self, action: Callable[[], None]) -> None:
        """Do it; where the store fails or the power goes, start again on what the disk holds."""
        try:
            action()
            self._note("done", self.engine.state.height)
        except StoreFull:
            self._note("full", self.engine.state.height)  # nothing was written: the engine went back and goes on
        except (StoreLost, PowerCut) as error:
            self._note(type(error).__name__, len(self.disk.blocks))
            if isinstance(error, PowerCut):
                self.disk.cut()
            self.engine = self._started()

    def _drawn(self) -> Submission:
        """Something that a client may want; much of it is refused, which is an answer too."""
        state, random = self.engine.state, self.random
        universe = state.universe
        account, other = (int(random.integers(0, len(state.accounts))) for _ in range(2))
        cash = payment_asset(universe)
        atoms = int(random.integers(1, 2_000)) * 10**6
        perpetuals = [i for i, each in enumerate(universe) if isinstance(each, Perpetual)]
        market = int(random.choice(perpetuals))
        quote = state.quotes.get(market)
        self.sent += 1
        key = f"request-{self.sent}"
        lots = int(random.integers(1, 20_000))
        price = (quote.ticks if quote else 1) + int(random.integers(-3, 4))
        choices: tuple[tuple[c.Command, c.Origin], ...] = (
            (c.Deposit(account, cash, atoms, f"transfer-{self.sent}"), "operator"),
            (c.Withdraw(account, cash, atoms), "owner"),
            (c.Transfer(account, other, cash, atoms), "owner"),
            (c.Fill(market, account, other, lots, max(1, price)), "venue"),
            (c.OpenOrder(account, market, lots if random.random() < 0.5 else -lots, max(1, price)), "owner"),
            (c.Supply(account, cash, atoms), "owner"),
        )
        command, origin = choices[int(random.integers(0, len(choices)))]
        caller = state.accounts[account].owner
        return Submission(command, origin, caller if origin == "owner" else "desk", key)

    # What must hold

    def _look(self) -> None:
        """Everything that can be wrong now."""
        try:
            self._audit()
        except JournalCorrupt as error:
            self._wrong(f"the journal is not sound: {error}")
            return
        state = self.engine.state
        for each in state.violations():
            self._wrong(f"not conserved: {each}")
        if self.audited.state.hash() != state.hash():
            self._wrong("the engine's state is not what its journal adds up to")
        for key, (height, _) in self.told.items():
            if self.found[key] != 1:
                self._wrong(f"acknowledged at height {height} and {self.found[key]} times in the journal: {key}")

    def _audit(self) -> None:
        """Follow the disk with a memory of its own; where the disk lost blocks, from the start."""
        head = self.audited.head
        held = self.disk.blocks[head.height - 1].head if 0 < head.height <= len(self.disk.blocks) else Head()
        if held != head:
            self.audited, self.found = Follower(self.engine.journal), Counter()
            head = Head()
        self.audited.journal = self.engine.journal
        before = head
        self.audited.follow()
        for block in self.disk.blocks[head.height :]:
            if block.ts_ns < before.ts_ns:
                self._wrong(f"time went back at height {block.height}")
            before = block.head
            self.found.update((entry.caller, entry.key) for entry in block.entries() if entry.key)

    def _count(self, fault: str) -> None:
        self.faults[fault] += 1

    def _note(self, what: str, value: object) -> None:
        self.digest.update(f"{what} {value}\n".encode())

    def _wrong(self, problem: str) -> None:
        self.outcome.problems.append(f"step {self.step}, {len(self.disk.blocks)} blocks: {problem}")
