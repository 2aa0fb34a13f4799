"""Group commit: durable before anybody hears of it, in order, and stopped for good by the first failure."""

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest
from tests.ledger.samples import deposit

from solvent.domain.events import Entry
from solvent.errors import SolventError, StoreLost
from solvent.ledger import group_commit as module
from solvent.ledger.group_commit import Committed, GroupCommitter, decided
from solvent.ledger.journal import MemoryJournal


class GatedJournal(MemoryJournal):
    """Commits only while its gate is open, so that a test decides what gathers; may be told to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.failure: BaseException | None = None

    def commit(self, entries: Sequence[Entry], ts_ns: int) -> int:
        self.entered.set()
        assert self.gate.wait(10)
        if self.failure:
            raise self.failure
        return super().commit(entries, ts_ns)


@pytest.fixture
def journal() -> Iterator[GatedJournal]:
    journal = GatedJournal()
    yield journal
    journal.gate.set()


def test_what_gathers_becomes_one_block(journal: GatedJournal) -> None:
    with GroupCommitter(journal, decided, clock=lambda: 7) as committer:
        first = committer.submit([deposit(0, 0, 0)])
        assert journal.entered.wait(10)
        rest = [committer.submit([deposit(0, 0, n), deposit(1, 0, n)]) for n in range(1, 50)]
        assert not first.done()
        journal.gate.set()
        assert first.result(10) == Committed(1, 7, [deposit(0, 0, 0)], next(journal.read()).hash)
        assert [each.result(10).height for each in rest] == [2] * 49
    blocks = list(journal.read())
    assert [len(block.entries()) for block in blocks] == [1, 98]
    assert [entry.command.atoms for entry in blocks[1].entries()] == [n for n in range(1, 50) for _ in "ab"]


def test_many_threads_get_their_own_answers() -> None:
    journal = MemoryJournal()
    answers: dict[int, Committed] = {}

    def client(number: int) -> None:
        for step in range(20):
            answers[number * 100 + step] = committer.submit([deposit(number, 0, step)]).result(10)

    with GroupCommitter(journal, decided) as committer:
        threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    stored = [(block.height, entry) for block in journal.read() for entry in block.entries()]
    assert len(stored) == len(answers) == 320
    for number, answer in answers.items():
        assert answer.entries == [deposit(number // 100, 0, number % 100)]
        assert (answer.height, answer.entries[0]) in stored


def test_tasks_are_woken_in_their_loop() -> None:
    journal = MemoryJournal()

    async def clients() -> list[Committed]:
        return await asyncio.gather(*(committer.commit([deposit(0, 0, n)]) for n in range(100)))

    with GroupCommitter(journal, decided) as committer:
        answers = asyncio.run(clients())
    assert [each.entries[0].command.atoms for each in answers] == list(range(100))
    assert {each.height for each in answers} == {block.height for block in journal.read()}


def test_a_request_is_decided_at_the_time_of_its_block(journal: GatedJournal) -> None:
    seen: list[tuple[list[int], int]] = []
    times = iter([5, 3, 9])

    def decide(requests: Sequence[int], ts_ns: int) -> list[list[Entry]]:
        seen.append((list(requests), ts_ns))
        return [[deposit(0, 0, request)] for request in requests]

    journal.gate.set()
    with GroupCommitter(journal, decide, clock=lambda: next(times)) as committer:
        answers = [committer.submit(request).result(10) for request in (1, 2, 3)]
    assert seen == [([1], 5), ([2], 5), ([3], 9)]
    assert [each.ts_ns for each in answers] == [block.ts_ns for block in journal.read()] == [5, 5, 9]


def test_who_waits_for_a_durable_block_hears_of_it_before_the_answer(journal: GatedJournal) -> None:
    told: list[tuple[int, int, bool]] = []

    def durable(height: int) -> None:
        told.append((height, journal.head().height, future.done()))

    with GroupCommitter(journal, decided, durable=durable) as committer:
        future = committer.submit([deposit(0, 0, 1)])
        assert told == []
        journal.gate.set()
        future.result(10)
        committer.submit([]).result(10)
    assert told == [(1, 1, False)]


def test_a_block_of_nothing_but_cancelled_requests_is_not_decided(journal: GatedJournal) -> None:
    asked: list[int] = []

    def decide(requests: Sequence[Sequence[Entry]], ts_ns: int) -> Sequence[Sequence[Entry]]:
        asked.append(len(requests))
        return requests

    with GroupCommitter(journal, decide) as committer:
        committer.submit([deposit(0, 0, 1)])
        assert journal.entered.wait(10)
        assert committer.submit([deposit(0, 0, 2)]).cancel()
        journal.gate.set()
    assert asked == [1]


def test_nothing_to_commit_makes_no_block() -> None:
    journal = MemoryJournal()
    with GroupCommitter(journal, decided) as committer:
        assert committer.submit([]).result(10).entries == []
    assert journal.head().height == 0


@pytest.mark.parametrize("where", ["journal", "decide"])
def test_a_failure_reaches_everybody_and_stops_the_committer(journal: GatedJournal, where: str) -> None:
    failure = StoreLost(message="the disk is gone")

    def decide(requests: Sequence[list[Entry]], ts_ns: int) -> Sequence[Sequence[Entry]]:
        journal.entered.set()
        if where == "decide":
            assert journal.gate.wait(10)
            raise failure
        return requests

    journal.failure = failure
    committer = GroupCommitter(journal, decide)
    first = committer.submit([deposit(0, 0, 0)])
    assert journal.entered.wait(10)
    others = [committer.submit([deposit(0, 0, n)]) for n in range(10)]

    async def task() -> None:
        waiting = asyncio.ensure_future(committer.commit([deposit(0, 0, 1)]))
        await asyncio.sleep(0)
        journal.gate.set()
        await waiting

    with pytest.raises(StoreLost, match="the disk is gone"):
        asyncio.run(task())
    assert [each.exception(10) for each in (first, *others)] == [failure] * 11
    with pytest.raises(SolventError, match="writer stopped: the disk is gone") as stopped:
        committer.submit([])
    assert stopped.value.__cause__ is failure
    committer.close()
    assert journal.head().height == 0


def test_close_commits_what_has_gathered(journal: GatedJournal) -> None:
    committer = GroupCommitter(journal, decided)
    futures = [committer.submit([deposit(0, 0, n)]) for n in range(5)]
    journal.gate.set()
    committer.close()
    assert all(each.done() for each in futures)
    assert sum(len(block.entries()) for block in journal.read()) == 5
    with pytest.raises(SolventError, match="closed"):
        committer.submit([])


def test_a_cancelled_request_is_never_decided(journal: GatedJournal) -> None:
    with GroupCommitter(journal, decided) as committer:
        committer.submit([deposit(0, 0, 0)])
        assert journal.entered.wait(10)
        second, third = committer.submit([deposit(0, 0, 1)]), committer.submit([deposit(0, 0, 2)])
        assert second.cancel()
        journal.gate.set()
        assert third.result(10).height == 2
    assert [entry.command.atoms for block in journal.read() for entry in block.entries()] == [0, 2]


def test_a_cancelled_task_does_not_disturb_the_others(journal: GatedJournal) -> None:
    async def clients() -> Committed:
        first = asyncio.ensure_future(committer.commit([deposit(0, 0, 0)]))
        await asyncio.sleep(0)
        assert journal.entered.wait(10)
        first.cancel()
        second = asyncio.ensure_future(committer.commit([deposit(0, 0, 1)]))
        await asyncio.sleep(0)
        journal.gate.set()
        return await second

    with GroupCommitter(journal, decided) as committer:
        assert asyncio.run(clients()).height == 2


def test_the_queue_is_bounded(journal: GatedJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PENDING_MOST", 3)
    monkeypatch.setattr(module, "REQUESTS_MOST", 2)
    with GroupCommitter(journal, decided) as committer:
        committer.submit([deposit(0, 0, 0)])
        assert journal.entered.wait(10)
        for n in range(3):
            committer.submit([deposit(0, 0, n)])
        with pytest.raises(SolventError, match="pending requests = 3"):
            committer.submit([deposit(0, 0, 9)])
        journal.gate.set()
    assert [len(block.entries()) for block in journal.read()] == [1, 2, 1]
