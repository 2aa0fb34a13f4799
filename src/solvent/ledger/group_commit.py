"""Group commit: whatever gathered while the last block was written becomes the next block."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from solvent.domain.events import Entry
from solvent.errors import SolventError, problem
from solvent.ledger.journal import Journal
from solvent.ledger.signing import SignedHead, Signer

Request = TypeVar("Request")

PENDING_MOST = 100_000
"""Requests that may wait; more are refused at once, so that a slow disk cannot fill the memory."""
REQUESTS_MOST = 16_384
"""Requests of one block: bounds how long the first of them waits for the last."""


class Committed(NamedTuple):
    """What became of one request; it is durable."""

    height: int
    ts_ns: int
    entries: Sequence[Entry]
    hash: bytes
    """Of the block: whoever keeps it can ask later whether the chain still holds it."""
    signed: SignedHead | None = None
    """The writer's signature of height and hash, where it has a key."""


Decide: TypeAlias = Callable[[Sequence[Request], int], Sequence[Sequence[Entry]]]
"""(requests of one block, its time) -> the entries of each request, in order.

Runs in the writer's thread, one call a block, which is committed before the next call: here the engine begins
a block, decides and applies."""

_Waiter: TypeAlias = "Future[Committed] | tuple[asyncio.AbstractEventLoop, asyncio.Future[Committed]]"


def decided(requests: Sequence[Sequence[Entry]], ts_ns: int) -> Sequence[Sequence[Entry]]:
    """The `Decide` of requests that are entries already."""
    return requests


class GroupCommitter(Generic[Request]):
    """One thread that writes; any number of threads and asyncio tasks that submit to it.

    A future is done only when its block is durable. If deciding or committing fails, every request that waits
    gets the error and the committer stops for good: its owner recovers from the journal and makes a new one.
    """

    def __init__(
        self,
        journal: Journal,
        decide: Decide[Request],
        clock: Callable[[], int] = time.time_ns,
        durable: Callable[[int], None] | None = None,
        signer: Signer | None = None,
    ) -> None:
        """Starts the writer. `clock` gives nanoseconds since the epoch; should it go back, time stands still.

        durable: called in the writer's thread with a block's height once it is durable, before it is answered.
        signer: signs the block of every answer.
        """
        self._journal = journal
        self._decide = decide
        self._clock = clock
        self._durable = durable
        self._signer = signer
        self._queue: deque[tuple[Request, _Waiter]] = deque()
        self._change = threading.Condition()
        self._closing = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> "Future[Committed]":
        """For threads: done when the request's block is durable. Raises SolventError once the writer stopped."""
        future: Future[Committed] = Future()
        self._enqueue(request, future)
        return future

    async def commit(self, request: Request) -> Committed:
        """For asyncio: the same, awaited. All tasks of a loop are woken by one call a block."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Committed] = loop.create_future()
        self._enqueue(request, (loop, future))
        return await future

    def close(self) -> None:
        """Commit what has gathered, then stop the writer. The journal stays open."""
        with self._change:
            self._closing = True
            self._change.notify()
        self._thread.join()

    def __enter__(self) -> "GroupCommitter[Request]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _enqueue(self, request: Request, waiter: _Waiter) -> None:
        with self._change:
            if self._error is not None:
                raise SolventError(message=f"the journal's writer stopped: {self._error}") from self._error
            if self._closing:
                raise SolventError(message="the journal's writer is closed")
            if len(self._queue) >= PENDING_MOST:
                raise SolventError(problem("journal", None, "pending requests", PENDING_MOST, "fewer: try again"))
            self._queue.append((request, waiter))
            if len(self._queue) == 1:  # the writer can only be asleep if the queue was empty
                self._change.notify()

    def _run(self) -> None:
        while True:
            with self._change:
                while not self._queue and not self._closing:
                    self._change.wait()
                taken = [self._queue.popleft() for _ in range(min(len(self._queue), REQUESTS_MOST))]
            if not taken:
                return
            live = [(request, waiter) for request, waiter in taken if _claim(waiter)]
            if not live:
                continue  # no request, no block
            try:
                _answer([waiter for _, waiter in live], self._write([request for request, _ in live]), None)
            except BaseException as error:
                self._stop([waiter for _, waiter in live], error)
                return

    def _write(self, requests: Sequence[Request]) -> list[Committed]:
        """Decide and commit one block; what became of each request."""
        ts_ns = max(self._clock(), self._journal.head().ts_ns)
        answers = self._decide(requests, ts_ns)
        assert len(answers) == len(requests), "one answer a request"
        entries = [entry for answer in answers for entry in answer if not entry.repeated]
        height = self._journal.commit(entries, ts_ns) if entries else self._journal.head().height
        if entries and self._durable is not None:
            self._durable(height)
        head = self._journal.head()
        signed = self._signer.sign(head) if self._signer else None
        return [Committed(height, ts_ns, answer, head.hash, signed) for answer in answers]

    def _stop(self, waiters: list[_Waiter], error: BaseException) -> None:
        with self._change:
            self._error = error
            queued = [waiter for _, waiter in self._queue]
            self._queue.clear()
        _answer([*waiters, *(waiter for waiter in queued if _claim(waiter))], None, error)


def _claim(waiter: _Waiter) -> bool:
    """Whether somebody still waits; from here on a thread's future cannot be cancelled, a task's is ignored."""
    return waiter.set_running_or_notify_cancel() if isinstance(waiter, Future) else not waiter[1].cancelled()


def _answer(waiters: list[_Waiter], results: list[Committed] | None, error: BaseException | None) -> None:
    """Complete all futures of a block: those of threads at once, those of each event loop in one call."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Committed], Committed | None]]] = {}
    for position, waiter in enumerate(waiters):
        result = results[position] if results else None
        if not isinstance(waiter, Future):
            loops.setdefault(waiter[0], []).append((waiter[1], result))
        elif result is None:
            waiter.set_exception(error)
        else:
            waiter.set_result(result)
    for loop, rows in loops.items():
        try:
            loop.call_soon_threadsafe(_wake, rows, error)
        except RuntimeError:  # the loop was closed: nobody waits any more
            continue


def _wake(rows: list[tuple["asyncio.Future[Committed]", Committed | None]], error: BaseException | None) -> None:
    for future, result in rows:
        if future.done():
            continue
        if result is None:
            assert error is not None
            future.set_exception(error)
        else:
            future.set_result(result)
