"""The journal in one SQLite file: one row a block, durable on commit, one writer, any number of readers."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import apsw

from solvent.domain.events import Entry
from solvent.errors import Fenced, JournalCorrupt, Problem, SolventError, StoreFull, StoreLost, problem, raise_if
from solvent.ledger.journal import CONFIRM, Block, Head, Snapshot, check_link, seal

Result = TypeVar("Result")

SQLITE_LEAST = (3, 51, 3)
"""Older versions can corrupt a WAL that is reset while another connection checkpoints it."""
APPLICATION_ID = 0x534C5654
"""`SLVT`, in the file's header."""
SCHEMA_VERSION = 1
HELD_VERSION = 1_001
"""Stands in the file in place of `SCHEMA_VERSION` while a restored journal waits to be confirmed."""
BUSY_TIMEOUT_MS = 5_000
SNAPSHOTS_KEPT = 3
BLOB_BYTES_MOST = 900_000_000
"""SQLite's own limit is 10**9 bytes a row."""
READ_BYTES = 4 * 2**20
"""Of payload that `read` takes in one go."""

_SCHEMA = f"""
CREATE TABLE block (
    height INTEGER PRIMARY KEY CHECK (height > 0),
    ts_ns INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    state_version INTEGER NOT NULL,
    codec INTEGER NOT NULL,          -- 0 JSON, 1 deflated JSON
    prev_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE TABLE writer (                -- one row: who may write, and where the chain ends
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    height INTEGER NOT NULL,
    ts_ns INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE TABLE snapshot (
    height INTEGER PRIMARY KEY,
    block_hash BLOB NOT NULL,
    state_version INTEGER NOT NULL,
    state_hash BLOB NOT NULL,
    digest BLOB NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE VIEW entry AS                 -- for people with an SQLite shell; blocks that are not deflated
    SELECT height, each.key AS position, datetime(ts_ns / 1000000000, 'unixepoch') AS time,
           each.value ->> '$.origin' AS origin, each.value ->> '$.caller' AS caller,
           each.value -> '$.command' AS command, each.value -> '$.events' AS events
    FROM block, json_each(CAST(payload AS TEXT)) AS each WHERE codec = 0;
INSERT INTO writer VALUES (1, 0, 0, 0, zeroblob(32));
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""


class SqliteJournal:
    """A `Journal` in a file.

    A writer creates the file where it is missing and takes the journal over from whoever wrote before: that
    one's next commit raises Fenced. Readers do not disturb the writer and see whole blocks only.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        writer: bool = True,
        bytes_most: int = 0,
        vfs: str = "",
        restoring: bool = False,
    ) -> None:
        """Open a journal. Raises SolventError if the file is missing (for a reader), alien or corrupt.

        bytes_most: the file's largest size, its WAL aside; beyond it commits raise StoreFull (0: no limit).
        vfs: a registered SQLite file system to use in place of the system's own: slow disks, failing disks.
        restoring: hold the journal, so that nobody but `adopt` writes to it before `confirm`.
        """
        version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
        if version < SQLITE_LEAST:
            accepted = f"at least {'.'.join(map(str, SQLITE_LEAST))}: older ones can corrupt a journal"
            raise SolventError(problem("apsw", None, "SQLite version", apsw.sqlite_lib_version(), accepted))
        self.name = str(path)
        self._path = Path(path).absolute()
        self._lock = threading.RLock()
        self._broken = False
        self._epoch = 0
        self._head = Head()
        self._writer = writer
        self._restoring = restoring
        self._connection = self._open(vfs)
        try:
            self._guard(self._claim if writer else self._check_file)
            if bytes_most:
                self._pragma("max_page_count", max(1, bytes_most // int(self._pragma("page_size"))))
        except BaseException:
            self._connection.close()
            raise

    # Opening

    def _open(self, vfs: str) -> apsw.Connection:
        if not self._writer and not self._path.is_file():
            raise SolventError(problem(self.name, None, "journal", "no such file", "a journal that was written"))
        flags = apsw.SQLITE_OPEN_READONLY
        if self._writer:
            flags = apsw.SQLITE_OPEN_READWRITE
            self._create()
        try:
            connection = apsw.Connection(str(self._path), flags, vfs or None)
        except apsw.Error as error:
            raise SolventError(problem(self.name, None, "journal", str(error), "a file that can be opened")) from None
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        return connection

    def _create(self) -> None:
        """Make an empty file that only its owner can read: it will hold everybody's positions."""
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            folder = os.open(self._path.parent, os.O_RDONLY)
        except FileExistsError:
            return
        except OSError as error:
            accepted = "a file in a folder that can be written"
            raise SolventError(problem(self.name, None, "journal", error.strerror or str(error), accepted)) from None
        try:
            os.fsync(folder)  # the file's name must be as durable as what will be in it
        finally:
            os.close(folder)

    def _check_file(self) -> None:
        """Raise SolventError unless the file is a journal of this version; changes nothing."""
        for setting in ("trusted_schema = OFF", "cell_size_check = ON"):  # it may come from anybody
            self._connection.execute(f"PRAGMA {setting}")
        application, version = self._pragma("application_id"), self._pragma("user_version")
        if application != APPLICATION_ID:
            raise SolventError(problem(self.name, None, "application_id", application, "a journal of ours"))
        if version == HELD_VERSION and self._writer and not self._restoring:
            raise SolventError(problem(self.name, None, "journal", "restored, not confirmed", CONFIRM))
        if version not in (SCHEMA_VERSION, HELD_VERSION):
            raise SolventError(problem(self.name, None, "user_version", version, f"schema {SCHEMA_VERSION}"))
        if (found := _schema_of(self._connection)) != _expected_schema():
            names = ", ".join(name for _, name, _ in found)
            raise SolventError(problem(self.name, None, "tables", names, "exactly the tables of a journal"))

    def _claim(self) -> None:
        """Make the tables where the file is empty, then become the only writer."""
        connection = self._connection
        empty = self._pragma("application_id") == 0 and self._pragma("schema_version") == 0
        if not empty:
            self._check_file()
        if (mode := self._pragma("journal_mode", "wal")) != "wal":
            raise SolventError(problem(self.name, None, "journal_mode", mode, "a file system that can do WAL"))
        for setting in ("synchronous = FULL", "fullfsync = ON", "checkpoint_fullfsync = ON"):
            connection.execute(f"PRAGMA {setting}")  # fullfsync: macOS acknowledges less without it
        with _transaction(connection):
            if self._pragma("schema_version") == 0:
                connection.execute(_SCHEMA)
            # A restored journal's blocks bring epochs of their own.
            last = "coalesce((SELECT epoch FROM block ORDER BY height DESC LIMIT 1), 0)"
            connection.execute(f"UPDATE writer SET epoch = max(epoch, {last}) + 1")
            if self._restoring:
                self._pragma("user_version", HELD_VERSION)
            (self._epoch,) = self._typed(self._row("SELECT epoch FROM writer"), (int,))
            self._head = self._recorded_head()

    # Writing

    def commit(self, entries: Sequence[Entry], ts_ns: int) -> int:
        """Append one block; durable on return. Raises StoreFull, StoreLost, Fenced or SolventError."""
        with self._lock:
            block = seal(self._head, entries, ts_ns, self._epoch)
            self._guard(partial(self._append, block))
            self._head = block.head
            return block.height

    def adopt(self, block: Block) -> None:
        """Append a block of another store as it stands; it must follow the head. Raises as `commit`."""
        with self._lock:
            raise_if(check_link(self.name, self._head, block))
            self._guard(partial(self._append, block))
            self._head = block.head

    def confirm(self) -> None:
        """Open a restored journal to writers. For `copies.confirm`, which looks first."""
        self._guard(partial(self._pragma, "user_version", SCHEMA_VERSION))

    def _append(self, block: Block) -> None:
        connection = self._connection
        with _transaction(connection):
            # Fence, recorded head and block stand or fall together.
            connection.execute(
                "UPDATE writer SET height = ?, ts_ns = ?, hash = ? WHERE epoch = ?",
                (block.height, block.ts_ns, block.hash, self._epoch),
            )
            self._refuse_if_fenced()
            connection.execute(
                "INSERT INTO block VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    block.height, block.ts_ns, block.epoch, block.state_version, block.codec, block.prev_hash,
                    block.hash, block.payload,
                ),
            )  # fmt: skip

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot, and the newest `SNAPSHOTS_KEPT` only. Raises as `commit` does."""
        if len(snapshot.payload) > BLOB_BYTES_MOST:
            size = len(snapshot.payload)
            raise SolventError(problem(self.name, snapshot.height, "snapshot", size, f"<= {BLOB_BYTES_MOST} bytes"))
        with self._lock:
            self._guard(partial(self._put, snapshot))

    def _put(self, snapshot: Snapshot) -> None:
        connection = self._connection
        with _transaction(connection):
            connection.execute("UPDATE writer SET epoch = epoch WHERE epoch = ?", (self._epoch,))
            self._refuse_if_fenced()
            connection.execute(
                "INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?, ?, ?, ?)",
                (
                    snapshot.height, snapshot.block_hash, snapshot.state_version, snapshot.state_hash,
                    snapshot.digest, snapshot.payload,
                ),
            )  # fmt: skip
            connection.execute(
                "DELETE FROM snapshot WHERE height NOT IN (SELECT height FROM snapshot ORDER BY height DESC LIMIT ?)",
                (SNAPSHOTS_KEPT,),
            )

    def _refuse_if_fenced(self) -> None:
        if self._connection.changes() != 1:
            raise Fenced(message=f"{self.name}: another writer took the journal over; this one must stop")

    # Reading

    def head(self) -> Head:
        """The end of the chain as recorded with the last commit."""
        if self._writer:
            return self._head
        with self._lock:
            return self._guard(self._recorded_head)

    def read(self, start: int = 1) -> Iterator[Block]:
        """Blocks from height `start` on, a few a transaction, so that a slow reader never holds up the WAL."""
        while True:
            with self._lock:
                blocks = self._guard(partial(self._blocks, start))
            if not blocks:
                return
            yield from blocks
            start = blocks[-1].height + 1

    def _blocks(self, start: int) -> list[Block]:
        rows = self._connection.execute(
            "SELECT height, ts_ns, epoch, state_version, codec, prev_hash, hash, payload FROM block "
            "WHERE height >= ? ORDER BY height",
            (start,),
        )
        blocks, size = [], 0
        for row in rows:
            blocks.append(Block(*self._typed(row, (int,) * 5 + (bytes,) * 3)))
            size += len(blocks[-1].payload)
            if size > READ_BYTES:
                break
        rows.close()  # or the read transaction would stay open
        return blocks

    def snapshots(self) -> Iterator[Snapshot]:
        """Snapshots, newest first, one in memory at a time."""
        with self._lock:
            heights = self._guard(
                lambda: [row[0] for row in self._connection.execute("SELECT height FROM snapshot ORDER BY 1 DESC")]
            )
        for height in heights:
            with self._lock:
                snapshot = self._guard(partial(self._snapshot, height))
            if snapshot is not None:
                yield snapshot

    def _snapshot(self, height: int) -> Snapshot | None:
        row = self._row(
            "SELECT height, block_hash, state_version, state_hash, digest, payload FROM snapshot WHERE height = ?",
            (height,),
        )
        return None if row is None else Snapshot(*self._typed(row, (int, bytes, int, bytes, bytes, bytes)))

    def faults(self) -> list[Problem]:
        """What SQLite's own integrity check finds."""
        with self._lock:
            try:
                rows = self._guard(lambda: list(self._connection.execute("PRAGMA integrity_check(20)")))
            except JournalCorrupt as error:
                return list(error.problems)
        return [problem(self.name, None, "store", row[0], "a sound file") for row in rows if row != ("ok",)]

    def close(self) -> None:
        """Close the file; the last one out folds the WAL into it."""
        with self._lock:
            self._connection.close()

    # Rows and errors

    def _recorded_head(self) -> Head:
        row = self._row("SELECT height, ts_ns, hash FROM writer")
        return Head(*self._typed(row, (int, int, bytes)))

    def _row(self, sql: str, bindings: tuple[int, ...] = ()) -> tuple[Any, ...] | None:
        rows = list(self._connection.execute(sql, bindings))
        return rows[0] if rows else None

    def _pragma(self, name: str, value: Any = None) -> Any:
        return self._connection.pragma(name) if value is None else self._connection.pragma(name, value)

    def _typed(self, row: tuple[Any, ...] | None, kinds: tuple[type, ...]) -> tuple[Any, ...]:
        """A row whose columns have their types: a damaged file can hold others in spite of the schema."""
        if row is None or [type(value) for value in row] != list(kinds):
            found = "no row" if row is None else row[0]
            raise JournalCorrupt(problem(self.name, None, "row", found, "columns of the schema's types"))
        return row

    def _guard(self, action: Callable[[], Result]) -> Result:
        """Run an action on the store and speak of its failures in our own terms."""
        if self._broken:
            raise StoreLost(message=f"{self.name}: a commit failed before; recover from the journal")
        try:
            return action()
        except apsw.Error as error:
            self._fail(error)

    def _fail(self, error: apsw.Error) -> NoReturn:
        if isinstance(error, apsw.FullError):
            raise StoreFull(message=f"{self.name}: no room for another block; nothing of it was written") from error
        if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
            raise JournalCorrupt(problem(self.name, None, "journal", str(error), "a sound journal file")) from None
        if not self._epoch:  # a reader, or not open yet
            raise SolventError(problem(self.name, None, "journal", str(error), "a journal that can be used")) from None
        # What became of a commit is unknown until the journal is read again.
        self._broken = self._writer
        raise StoreLost(message=f"{self.name}: the store failed ({error})") from error


@contextmanager
def _transaction(connection: apsw.Connection) -> Iterator[None]:
    """All of the body, durable at its end, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite may have rolled back by itself
            with suppress(apsw.Error):
                connection.execute("ROLLBACK")
        raise


@cache
def _expected_schema() -> list[tuple[str, str, str]]:
    empty = apsw.Connection(":memory:")
    empty.execute(_SCHEMA)
    return _schema_of(empty)


def _schema_of(connection: apsw.Connection) -> list[tuple[str, str, str]]:
    return list(connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name"))
