"""Claim: with a 2 ms fsync, 1,000 concurrent clients get at least 100 times the durable commands/s of one.

Every client waits for its command to be durable before it sends the next; all write one SQLite journal whose
syncs are made to take 2 ms by a file system of our own, given to the journal's constructor. The roof is the
same commands committed in blocks of 1,000 with nobody waiting.
`python benchmarks/bench_journal.py [--json] [--rounds N]`.
"""

import asyncio
import sys
import tempfile
import threading
import time
from pathlib import Path

import apsw
from paired import arguments, paired, report

from solvent.domain.commands import Deposit
from solvent.domain.events import Deposited, Entry
from solvent.domain.owners import OUTSIDE
from solvent.ledger.group_commit import GroupCommitter, decided
from solvent.ledger.sqlite import SqliteJournal

FLOOR = 100.0
FSYNC_S = 0.002
CLIENTS = 1_000
COMMANDS_ALONE = 50
COMMANDS_EACH = 10


class SlowDisk(apsw.VFS):
    """The system's files with syncs that take `FSYNC_S` longer."""

    def __init__(self) -> None:
        super().__init__("slow", "")
        self.syncs = 0

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "SlowFile":  # noqa: N802
        return SlowFile(self, name, flags)


class SlowFile(apsw.VFSFile):
    def __init__(self, disk: SlowDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self.disk = disk

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        time.sleep(FSYNC_S)
        self.disk.syncs += 1


def command(client: int, number: int) -> list[Entry]:
    """A deposit of its own, with its idempotency key, decided."""
    moved = ((OUTSIDE, 0, -number), (client, 0, number))
    event = Deposited(account=client, postings=moved)
    return [Entry(Deposit(client, 0, number), (event,), "owner", "bench", f"{client}-{number}")]


def tasks(committer: GroupCommitter[list[Entry]], clients: int, each: int) -> None:
    """`clients` tasks of one event loop send `each` commands one after the other."""

    async def client(number: int) -> None:
        for step in range(each):
            await committer.commit(command(number, step))

    async def all_clients() -> None:
        await asyncio.gather(*(client(number) for number in range(clients)))

    asyncio.run(all_clients())


def threads(committer: GroupCommitter[list[Entry]], clients: int, each: int) -> None:
    """The same with a thread a client."""

    def client(number: int) -> None:
        for step in range(each):
            committer.submit(command(number, step)).result()

    all_clients = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in all_clients:
        thread.start()
    for thread in all_clients:
        thread.join()


def alone(journal: SqliteJournal, blocks: int) -> None:
    """The roof: blocks of `CLIENTS` commands with nobody waiting."""
    for step in range(blocks):
        entries = [entry for client in range(CLIENTS) for entry in command(client, step)]
        journal.commit(entries, time.time_ns())


def main() -> None:
    given = arguments(__doc__.splitlines()[0])
    disk = SlowDisk()
    with tempfile.TemporaryDirectory() as folder:
        journal = SqliteJournal(Path(folder) / "journal.db", vfs="slow")
        roof = SqliteJournal(Path(folder) / "roof.db", vfs="slow")
        with GroupCommitter(journal, decided) as committer:
            tasks(committer, 1, 1)
            before = disk.syncs
            tasks(committer, 1, 10)
            syncs_a_commit = (disk.syncs - before) / 10
            timings = paired(
                {
                    "1 client": lambda: tasks(committer, 1, COMMANDS_ALONE),
                    "1,000 tasks": lambda: tasks(committer, CLIENTS, COMMANDS_EACH),
                    "1,000 threads": lambda: threads(committer, CLIENTS, COMMANDS_EACH),
                    "roof: blocks of 1,000": lambda: alone(roof, COMMANDS_EACH),
                },
                rounds=given.rounds,
            )
        journal.close()
        roof.close()
    one, many, threaded, most = timings
    share = CLIENTS * COMMANDS_EACH / COMMANDS_ALONE
    ratio = share / many.ratio
    facts = {
        "fsync_ms": 1e3 * FSYNC_S,
        "syncs_a_commit": syncs_a_commit,
        "durable commands/s, 1 client": round(1e3 * COMMANDS_ALONE / one.median_ms),
        "durable commands/s, 1,000 tasks": round(1e3 * CLIENTS * COMMANDS_EACH / many.median_ms),
        "durable commands/s, 1,000 threads": round(1e3 * CLIENTS * COMMANDS_EACH / threaded.median_ms),
        "durable commands/s, roof": round(1e3 * CLIENTS * COMMANDS_EACH / most.median_ms),
        "times one client, 1,000 tasks": round(ratio, 1),
        "times one client, 1,000 threads": round(share / threaded.ratio, 1),
        "share of the roof, 1,000 tasks": round(most.ratio / many.ratio, 2),
        "floor": FLOOR,
    }
    report("journal: group commit", timings, facts=facts, as_json=given.json)
    if ratio < FLOOR:
        sys.exit(f"1,000 clients get {ratio:.0f} times one client's commands/s, less than {FLOOR:.0f}")


if __name__ == "__main__":
    main()
