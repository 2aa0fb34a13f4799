"""A venue on a store that fails: whatever was acknowledged is there, and nothing that was never decided."""

import os
import random
import resource
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import apsw
import pytest
from tests.conftest import NIGHTLY
from tests.engine.desk import BTC, ETH, INSTRUMENTS, PERP, PRICES, START_NS, USDC, btc, lots, ticks, usdc
from tests.ledger.disks import CachingDisk, DyingDisk, Mode
from tests.ledger.samples import deposit

from solvent.domain import commands as c
from solvent.engine.engine import Engine, Submission
from solvent.engine.files import read_policy
from solvent.engine.sources.tick import SourcePrice, Tick
from solvent.errors import SolventError, StoreFull, StoreLost
from solvent.ledger import witness
from solvent.ledger.group_commit import GroupCommitter, decided
from solvent.ledger.recovery import recover, verify
from solvent.ledger.signing import SignedHead, make_key
from solvent.ledger.sqlite import SqliteJournal
from solvent.ledger.witness import PublishedWitness

MINUTE_NS = 60 * 10**9
BLOCKS, COMMANDS_A_BLOCK = 50, 10


def script() -> list[Tick | list[Submission]]:
    """500 commands in 50 blocks, with a tick before every fifth: deposits, loans, trades, and refusals."""
    drawn = random.Random(8)
    begin: list[Tick | list[Submission]] = [
        [Submission(c.ListInstrument(each)) for each in INSTRUMENTS],
        [Submission(c.SetPolicy(read_policy("portfolio")))],
        tick(0),
        [Submission(c.OpenAccount(f"trader-{n}")) for n in range(8)],
        [Submission(c.Deposit(n, USDC, usdc(50_000), f"first-{n}"), "engine") for n in range(8)],
    ]
    for block in range(BLOCKS):
        if block % 5 == 4:
            begin.append(tick(block))
        begin.append([drawn_command(drawn, f"{block}-{n}") for n in range(COMMANDS_A_BLOCK)])
    return begin


def tick(block: int) -> Tick:
    moved = {name: price * (1 - 0.004 * block * (name != "USDC")) for name, price in PRICES.items()}
    prices = tuple(SourcePrice(name, "venue", price) for name, price in moved.items())
    return Tick(START_NS + block * MINUTE_NS, prices, dict.fromkeys(PRICES, 1e12), {"BTC": 0.6, "ETH": 0.6})


def drawn_command(drawn: random.Random, name: str) -> Submission:
    one, other = drawn.sample(range(8), 2)
    commands: list[c.Command] = [
        c.Deposit(one, drawn.choice([USDC, ETH]), drawn.randrange(1, 10**9), f"wire-{name}"),
        c.Deposit(one, BTC, btc(drawn.random()), f"coins-{name}"),
        c.Withdraw(one, USDC, usdc(drawn.randrange(1, 90_000))),
        c.Supply(one, USDC, usdc(drawn.randrange(1, 500))),
        c.Fill(PERP, one, other, lots(drawn.uniform(0.01, 0.4)), ticks(60_000 + drawn.randrange(-50, 50))),
        c.OpenOrder(one, PERP, lots(drawn.uniform(-0.2, 0.2)) or 1, ticks(60_000)),
    ]
    command = drawn.choice(commands)
    origin = "venue" if isinstance(command, c.Fill) else "engine" if isinstance(command, c.Deposit) else "owner"
    return Submission(command, origin, f"trader-{one}", f"key-{name}")


def run(journal: SqliteJournal, hashes: list[bytes] | None = None) -> tuple[int, SolventError | None]:
    """Play the script; the last acknowledged height, and what ended it."""
    acknowledged = 0
    engine = Engine(journal, lambda: START_NS, snapshot_every_blocks=16)
    for number, each in enumerate(script()):
        try:
            if isinstance(each, Tick):
                engine.tick(each)
            else:
                engine.execute(each, START_NS + number)
        except (StoreLost, StoreFull) as error:
            return acknowledged, error
        acknowledged = engine.state.height
        if hashes is not None:
            hashes.append(engine.state.hash())
    return acknowledged, None


@pytest.fixture(scope="module")
def hashes(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """State hash at each height of a run in which nothing fails."""
    found: list[bytes] = []
    journal = SqliteJournal(tmp_path_factory.mktemp("whole") / "journal.db")
    assert run(journal, found) == (len(found), None)
    journal.close()
    return found


@pytest.fixture(scope="module")
def disk() -> DyingDisk:
    return DyingDisk("dying")


@pytest.fixture(scope="module")
def calls(disk: DyingDisk, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How often the script calls the store to change something."""
    disk.set()
    journal = SqliteJournal(tmp_path_factory.mktemp("calls") / "journal.db", vfs="dying")
    run(journal)
    made = disk.calls
    journal.close()
    return made


def dies_at(disk: DyingDisk, path: Path, last: int, mode: Mode, hashes: list[bytes]) -> int:
    """Let the disk die at a call; what a new process finds is what was acknowledged, or one block more."""
    disk.set(last, mode)
    acknowledged = 0
    with suppress(SolventError, apsw.Error):  # it may die while the journal is made
        journal = SqliteJournal(path, vfs="dying")
        acknowledged, _ = run(journal)
        with suppress(apsw.Error):
            journal.close()
    disk.set()
    again = SqliteJournal(path)
    state = recover(again)
    assert acknowledged <= state.height <= acknowledged + 1, (last, mode)
    assert state.height == 0 or state.hash() == hashes[state.height - 1], (last, mode)
    assert verify(again).problems == [], (last, mode)
    again.close()
    return acknowledged


@pytest.mark.parametrize("mode", ["before", "torn", "after"])
def test_a_store_that_dies_at_any_call_keeps_what_was_acknowledged(
    disk: DyingDisk, calls: int, hashes: list[bytes], tmp_path: Path, mode: Mode
) -> None:
    assert calls > 200, "control: the script does use the store"
    every = range(1, calls + 1)
    chosen = every if NIGHTLY else sorted(random.Random(mode).sample(every, 12))
    heights = {dies_at(disk, tmp_path / f"{last}.db", last, mode, hashes) for last in chosen}
    assert len(heights) > 6, "control: it died at different blocks"


def test_synced_blocks_survive_a_power_cut_at_any_moment(tmp_path: Path, hashes: list[bytes]) -> None:
    for blocks in range(5, len(hashes), 3 if NIGHTLY else 17):
        caching, folder = CachingDisk("caching"), tmp_path / str(blocks)
        folder.mkdir()
        journal = SqliteJournal(folder / "journal.db", vfs="caching")
        acknowledged = run_until(journal, blocks)
        caching.cut()
        again = reopened(folder / "journal.db")
        assert again.head().height >= acknowledged
        assert recover(again).hash() == hashes[again.head().height - 1]
        again.close()
        with suppress(apsw.Error):
            journal.close()


def test_a_disk_that_lies_about_syncs_loses_blocks_and_the_witness_tells(tmp_path: Path) -> None:
    """The control of the test above, and what is left to do about such a disk."""
    signer, told = make_key(tmp_path / "key.pem"), list[SignedHead]()
    caching = CachingDisk("lying", lying=True)
    journal = SqliteJournal(tmp_path / "journal.db", vfs="lying")
    acknowledged = run_until(journal, 30)
    told.append(signer.sign(journal.head()))
    caching.cut()
    again = reopened(tmp_path / "journal.db")
    assert again.head().height < acknowledged
    (found,) = witness.check(again, PublishedWitness(told.append, lambda: told), "witness")
    assert "the tail was cut" in found.accepted
    again.close()
    with suppress(apsw.Error):
        journal.close()


def run_until(journal: SqliteJournal, blocks: int) -> int:
    engine = Engine(journal, lambda: START_NS, snapshot_every_blocks=16)
    for number, each in enumerate(script()[:blocks]):
        if isinstance(each, Tick):
            engine.tick(each)
        else:
            engine.execute(each, START_NS + number)
    return engine.state.height


def reopened(path: Path) -> SqliteJournal:
    """What the platters hold, on another machine: no shared memory, no locks."""
    copy = path.with_name("platters.db")
    for suffix in ("", "-wal"):
        if path.with_name(path.name + suffix).exists():
            shutil.copy(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
    return SqliteJournal(copy)


def test_slow_syncs_make_larger_blocks_and_lose_nothing(tmp_path: Path) -> None:
    slow = CachingDisk("slow", sync_s=0.02)
    journal = SqliteJournal(tmp_path / "journal.db", vfs="slow")
    with GroupCommitter(journal, decided) as committer:
        waiting = [committer.submit([deposit(0, 0, n)]) for n in range(300)]
        heights = [each.result(30).height for each in waiting]
    assert journal.head().height == max(heights) < 50
    assert slow.syncs >= max(heights), "control: each block was synced"
    assert [len(block.entries()) for block in journal.read()] == [heights.count(n) for n in sorted(set(heights))]
    journal.close()


def test_a_full_file_system_ends_in_order(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: the process is told, acknowledges nothing more, recovers."""
    path = tmp_path / "journal.db"
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - measured in the parent
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
            journal, height = SqliteJournal(path), 0
            try:
                while True:
                    height = journal.commit([deposit(0, 0, height)] * 20, height)
            except (StoreFull, StoreLost) as error:
                os.write(writing, f"{height} {type(error).__name__}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        height, _, kind = pipe.read().partition(" ")
    assert kind in ("StoreFull", "StoreLost")
    assert int(height) > 5, "control: there was room at first"
    journal = SqliteJournal(path)
    assert int(height) <= journal.head().height <= int(height) + (kind == "StoreLost")
    assert verify(journal).problems == []
    assert journal.commit([deposit(0, 0, 1)], 10**9) == journal.head().height
    journal.close()


def test_a_clock_that_jumps_ahead_of_the_marks_stops_new_risk(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    engine = Engine(journal, lambda: START_NS)
    for number, each in enumerate(script()[:5]):
        engine.tick(each) if isinstance(each, Tick) else engine.execute(each, START_NS + number)
    trade = Submission(c.Fill(PERP, 0, 1, lots(0.1), ticks(60_000)), "venue")
    now, ahead = START_NS + MINUTE_NS, START_NS + 3_600 * 10**9
    (done,) = engine.execute([trade], now)
    assert type(done.events[0]).__name__ == "Filled"
    (refused,) = engine.execute([trade], ahead)
    assert "the clock is 3600 s ahead of them" in refused.events[0].reason
    back = engine.execute([Submission(c.Deposit(0, USDC, 1, "late"), "engine")], START_NS - 10**12)
    assert back
    times = [block.ts_ns for block in journal.read()]
    assert times == sorted(times), "time stands still where the clock goes back"
    journal.close()
