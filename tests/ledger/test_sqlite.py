"""The SQLite store: durable, fenced, readable while it is written, and plain about what is wrong."""

import json
import random
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import apsw
import pytest
from tests.ledger import samples
from tests.ledger.samples import deposit

from solvent.errors import JournalCorrupt, SolventError, StoreFull, StoreLost
from solvent.ledger import sqlite
from solvent.ledger.journal import Head, check_link
from solvent.ledger.recovery import recover, verify
from solvent.ledger.sqlite import SqliteJournal
from solvent.ledger.state import State


def write_day(path: Path, every: int = 2) -> State:
    """A journal of the sample day with snapshots; the state it holds."""
    journal = SqliteJournal(path)
    state = samples.write_day(journal, every)
    journal.close()
    return state


def sound(path: Path) -> list[int]:
    """Heights of a journal that must be sound."""
    journal = SqliteJournal(path, writer=False)
    assert verify(journal).problems == []
    heights = [block.height for block in journal.read()]
    journal.close()
    return heights


def test_any_sqlite_tool_can_read_it(tmp_path: Path) -> None:
    write_day(tmp_path / "journal.db")
    tool = apsw.Connection(str(tmp_path / "journal.db"), apsw.SQLITE_OPEN_READONLY)
    row = tool.execute("SELECT position, time, origin, caller, command FROM entry WHERE height = 2").fetchone()
    assert row[:4] == (0, "1970-01-01 02:00:00", "owner", "custodian")
    assert json.loads(row[4]) == {"type": "Deposit", "account": 0, "asset": 0, "atoms": 10**12, "reference": "wire-1"}
    assert tool.pragma("journal_mode") == "wal"
    tool.close()


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    write_day(tmp_path / "journal.db")
    assert stat.S_IMODE((tmp_path / "journal.db").stat().st_mode) == 0o600


# What is wrong with a file


def make_text(path: Path) -> None:
    path.write_text("a journal? " * 100)


def make_other(path: Path) -> None:
    with apsw.Connection(str(path)) as other:
        other.execute("CREATE TABLE block (height)")


def make_newer(path: Path) -> None:
    write_day(path)
    with apsw.Connection(str(path)) as newer:
        newer.execute("PRAGMA user_version = 99")


def make_view(path: Path) -> None:
    """A file that would keep its reader busy for ever."""
    write_day(path)
    with apsw.Connection(str(path)) as forged:
        forged.execute("ALTER TABLE block RENAME TO kept")
        forged.execute(
            "CREATE VIEW block AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n"
        )


def make_trigger(path: Path) -> None:
    write_day(path)
    with apsw.Connection(str(path)) as forged:
        forged.execute("CREATE TRIGGER cut AFTER INSERT ON block BEGIN DELETE FROM block; END")


@pytest.mark.parametrize("writer", [True, False])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_text, "not a database"),
        (make_other, "application_id = 0"),
        (make_newer, "user_version = 99"),
        (make_view, "tables = "),
        (make_trigger, "tables = "),
        (Path.mkdir, "unable to open|no such file"),
    ],
)
def test_what_is_no_journal_is_refused_and_left_alone(
    tmp_path: Path, make: Callable[[Path], None], message: str, writer: bool
) -> None:
    path = tmp_path / "journal.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(SolventError, match=message):
        SqliteJournal(path, writer=writer)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(SolventError, match="no such file"):
        SqliteJournal(tmp_path / "journal.db", writer=False)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SolventError, match="journal = No such file or directory"):
        SqliteJournal(tmp_path / "nowhere" / "journal.db")


def test_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "SQLITE_LEAST", (99, 0, 0))
    with pytest.raises(SolventError, match=r"at least 99\.0\.0"):
        SqliteJournal(tmp_path / "journal.db")


COLUMNS = ("height", "ts_ns", "epoch", "state_version", "codec", "prev_hash", "hash", "payload")


@pytest.mark.parametrize("height", [1, 3, 5])
@pytest.mark.parametrize("column", COLUMNS)
def test_any_changed_byte_of_any_column_is_found(tmp_path: Path, column: str, height: int) -> None:
    path = tmp_path / "journal.db"
    write_day(path)
    tool = apsw.Connection(str(path))
    value = tool.execute(f"SELECT {column} FROM block WHERE height = ?", (height,)).get
    if isinstance(value, bytes):
        positions = range(0, len(value), max(1, len(value) // 8))
        changed = [value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :] for at in positions]
        changed += [value[:-1], value + b" "]
    else:
        changed = [value + 1, value ^ (1 << 40)] if column != "height" else [value + 100]
    for each in changed:
        tool.execute("BEGIN")
        tool.execute(f"UPDATE block SET {column} = ? WHERE height = ?", (each, height))
        tool.execute("COMMIT")
        journal = SqliteJournal(path, writer=False)
        found = verify(journal).problems
        assert {problem.row for problem in found} & {height, height + 1, height + 100}, (each, found)
        if height > 4 or column == "height":  # behind the last snapshot
            with pytest.raises(JournalCorrupt):
                recover(journal)
        journal.close()
        now = height + 100 if column == "height" else height
        tool.execute(f"UPDATE block SET {column} = ? WHERE height = ?", (value, now))
    tool.close()
    assert sound(path) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kept", range(5))
def test_a_tail_cut_from_the_table_is_found(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "journal.db"
    write_day(path)
    last = SqliteJournal(path, writer=False).head().hash.hex()
    with apsw.Connection(str(path)) as tool:
        tool.execute("DELETE FROM block WHERE height > ?", (kept,))
    journal = SqliteJournal(path, writer=False)
    report = verify(journal)
    assert "last block" in [each.field for each in report.problems]
    with pytest.raises(JournalCorrupt, match="last block"):
        recover(journal)
    journal.close()
    # With the record of the end rewritten too, snapshots behind the end and a hash that was noted down still tell.
    with apsw.Connection(str(path)) as tool:
        row = tool.execute("SELECT height, ts_ns, hash FROM block ORDER BY 1 DESC LIMIT 1").get

        tool.execute("UPDATE writer SET height = ?, ts_ns = ?, hash = ?", row or (0, 0, bytes(32)))
    journal = SqliteJournal(path, writer=False)
    found = [each.field for each in verify(journal).problems]
    assert found == ["snapshot.height"] * sum(height > kept for height in (4, 2))
    assert [each.field for each in verify(journal, holds=last).problems] == ["hash", *found]
    journal.close()


def test_a_flipped_byte_anywhere_in_the_file_is_found_or_harmless(tmp_path: Path) -> None:
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    state = write_day(path)
    data, rng, found = path.read_bytes(), random.Random(1), 0
    for _ in range(150):
        at = rng.randrange(len(data))
        copy.write_bytes(data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :])
        try:
            journal = SqliteJournal(copy, writer=False)
        except SolventError:
            found += 1
            continue
        try:
            report = verify(journal)
            found += bool(report.problems)
            assert report.problems or report.state_hash == state.hash().hex(), at
        finally:
            journal.close()
    assert found > 50, "control: many bytes of this file do matter"


def test_a_file_cut_anywhere_is_found(tmp_path: Path) -> None:
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    write_day(path)
    data = path.read_bytes()
    for size in (1, 50, 99, 100, 512, 4095, 4096, len(data) // 2, len(data) - 4096, len(data) - 1):
        copy.write_bytes(data[:size])
        with pytest.raises(SolventError):  # noqa: PT012 - either step may see it
            journal = SqliteJournal(copy, writer=False)
            report = verify(journal)
            journal.close()
            if report.problems:
                raise JournalCorrupt(*report.problems)


# Crashes and failing disks


def test_a_wal_cut_anywhere_leaves_whole_blocks(tmp_path: Path) -> None:
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    journal = SqliteJournal(path)
    for height in range(1, 9):
        journal.commit([deposit(0, 0, height)] * height, height)
    wal, database = (tmp_path / "journal.db-wal").read_bytes(), path.read_bytes()
    rng, lengths = random.Random(2), set()
    for size in [*range(0, len(wal), 4096 + 24), *(rng.randrange(len(wal)) for _ in range(40)), len(wal)]:
        copy.write_bytes(database)
        (tmp_path / "copy.db-wal").write_bytes(wal[:size])
        reopened = SqliteJournal(copy)
        report = verify(reopened)
        assert report.problems == []
        assert [len(block.entries()) for block in reopened.read()] == list(range(1, report.blocks + 1))
        lengths.add(report.blocks)
        reopened.close()
        for rest in tmp_path.glob("copy.db*"):
            rest.unlink()
    journal.close()
    assert lengths == set(range(9)), "every prefix of the chain was seen, whole blocks only"


class FailingDisk(apsw.VFS):
    """The system's file system until its `left` writes (and syncs) are used up; then every one fails."""

    def __init__(self, name: str, error: type[apsw.Error]) -> None:
        super().__init__(name, "")
        self.error = error
        self.left = 10**9

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "FailingFile":  # noqa: N802
        return FailingFile(self, name, flags)

    def use(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise self.error("the disk failed")


class FailingFile(apsw.VFSFile):
    def __init__(self, disk: FailingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self.disk = disk

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self.disk.use()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self.disk.error is apsw.IOError:  # SQLite never calls a failed sync a full disk
            self.disk.use()
        super().xSync(flags)


def commit_until_it_fails(journal: SqliteJournal) -> tuple[int, SolventError]:
    """Last acknowledged height, and what ended it."""
    acknowledged = 0
    while True:
        try:
            acknowledged = journal.commit([deposit(0, 0, acknowledged)] * 20, acknowledged)
        except SolventError as error:
            return acknowledged, error


@pytest.mark.parametrize(("error", "raised"), [(apsw.IOError, StoreLost), (apsw.FullError, StoreFull)])
def test_a_disk_that_fails_at_any_write_loses_no_acknowledged_block(
    tmp_path: Path, error: type[apsw.Error], raised: type[SolventError]
) -> None:
    disk = FailingDisk(error.__name__, error)
    stopped = set()
    for writes in range(40):
        path = tmp_path / f"{writes}.db"
        journal = SqliteJournal(path, vfs=error.__name__)
        disk.left = writes
        acknowledged, failure = commit_until_it_fails(journal)
        assert type(failure) is raised
        stopped.add(acknowledged)
        if raised is StoreLost:
            with pytest.raises(StoreLost, match="failed before"):
                journal.commit([deposit(0, 0, 1)], 10**6)
        with suppress(apsw.Error):
            journal.close()
        disk.left = 10**9
        held = len(sound(path))
        assert acknowledged <= held <= acknowledged + (raised is StoreLost), "StoreFull promises that nothing is"
    assert len(stopped) > 2, "control: the disk did fail at different blocks"


def test_a_full_store_says_so_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path, bytes_most=200_000)
    acknowledged, failure = commit_until_it_fails(journal)
    assert isinstance(failure, StoreFull)
    assert acknowledged > 2
    journal.close()
    journal = SqliteJournal(path)
    assert journal.head().height == acknowledged
    assert journal.commit([deposit(0, 0, 1)], acknowledged) == acknowledged + 1
    journal.close()
    assert sound(path) == list(range(1, acknowledged + 2))


def test_a_locked_store_is_lost_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 50)
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    journal.commit([deposit(0, 0, 1)], 1)
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreLost, match="locked"):
        journal.commit([deposit(0, 0, 1)], 1)
    other.execute("ROLLBACK")
    other.close()
    journal.close()
    assert sound(path) == [1]


def test_a_copy_needs_nothing_but_its_file(tmp_path: Path) -> None:
    state = write_day(tmp_path / "journal.db")
    shutil.copy(tmp_path / "journal.db", tmp_path / "copy.db")
    assert not (tmp_path / "journal.db-wal").exists()
    journal = SqliteJournal(tmp_path / "copy.db", writer=False)
    assert recover(journal).hash() == state.hash()
    journal.close()
    assert check_link("copy", Head(), next(SqliteJournal(tmp_path / "copy.db").read())) == []
