"""The journal in PostgreSQL 15 or later: one row a block, durable on commit, one writer, rows that only grow.

Who writes holds an advisory lock as long as its session lives and stands with its epoch in a table; the height is
the primary key. The session runs in a role that may insert blocks but neither change nor delete them.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, LiteralString, NoReturn, TypeVar

from solvent.domain.events import Entry
from solvent.errors import Fenced, JournalCorrupt, Problem, SolventError, StoreFull, StoreLost, problem, raise_if
from solvent.ledger.journal import CONFIRM, Block, Head, Snapshot, check_link, seal

if TYPE_CHECKING:
    import psycopg

Result = TypeVar("Result")

SCHEMES = ("postgresql://", "postgres://")
VERSION_LEAST = 150_000
SCHEMA_VERSION = 1
HELD_VERSION = 1_001
"""Stands in the table in place of `SCHEMA_VERSION` while a restored journal waits to be confirmed."""
WRITER_ROLE = "solvent_writer"
LOCK = 0x534C5654
"""First half of the advisory lock's key: `SLVT`. The lock is of one database."""
_HALF = 1
SNAPSHOTS_KEPT = 3
READ_BYTES = 4 * 2**20
"""Of payload that `read` takes in one go."""
READ_BLOCKS = 512
RECONNECT_S = 15.0
"""How long a commit whose answer was lost is looked for before it is given up as unknown."""
TAKEOVER_S = 5.0
"""How long the writer before may take to die of being ended."""
_SESSION = {
    "application_name": "solvent",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
_SETTINGS = (
    "SET statement_timeout = '60s'",
    "SET lock_timeout = '5s'",
    "SET idle_in_transaction_session_timeout = '60s'",
    "SET client_min_messages = 'warning'",
    "SET search_path = solvent",
)

_SCHEMA: LiteralString = f"""
CREATE SCHEMA solvent;
CREATE TABLE solvent.version (version integer NOT NULL);
CREATE TABLE solvent.writer (        -- one row a take-over: the last one may write
    epoch bigint PRIMARY KEY CHECK (epoch > 0),
    claimed timestamptz NOT NULL DEFAULT now(),
    session text NOT NULL DEFAULT session_user
);
CREATE TABLE solvent.block (
    height bigint PRIMARY KEY CHECK (height > 0),
    ts_ns bigint NOT NULL,
    epoch bigint NOT NULL,
    state_version integer NOT NULL,
    codec smallint NOT NULL,         -- 0 JSON, 1 deflated JSON
    prev_hash bytea NOT NULL,
    hash bytea NOT NULL UNIQUE,
    payload bytea NOT NULL
);
ALTER TABLE solvent.block ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE TABLE solvent.snapshot (      -- a short cut for recovery, no evidence: the writer may drop old ones
    height bigint PRIMARY KEY,
    block_hash bytea NOT NULL,
    state_version integer NOT NULL,
    state_hash bytea NOT NULL,
    digest bytea NOT NULL,
    payload bytea NOT NULL
);
ALTER TABLE solvent.snapshot ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE VIEW solvent.entry AS         -- for people with an SQL shell; blocks that are not deflated
    SELECT height, position - 1 AS position, to_timestamp(ts_ns / 1e9) AS time, each ->> 'origin' AS origin,
           each ->> 'caller' AS caller, each -> 'command' AS command, each -> 'events' AS events
    FROM solvent.block,
         jsonb_array_elements(convert_from(payload, 'UTF8')::jsonb) WITH ORDINALITY AS row(each, position)
    WHERE codec = 0;
INSERT INTO solvent.version VALUES ({SCHEMA_VERSION});
GRANT USAGE ON SCHEMA solvent TO {WRITER_ROLE};
GRANT SELECT ON ALL TABLES IN SCHEMA solvent TO {WRITER_ROLE};
GRANT INSERT ON solvent.writer, solvent.block TO {WRITER_ROLE};
GRANT INSERT, DELETE ON solvent.snapshot TO {WRITER_ROLE};
"""
_BLOCK: LiteralString = "height, ts_ns, epoch, state_version, codec, prev_hash, hash, payload"
_SNAPSHOT: LiteralString = "height, block_hash, state_version, state_hash, digest, payload"


def is_postgres(store: str) -> bool:
    """Whether a store's name is the address of a PostgreSQL database."""
    return store.startswith(SCHEMES)


def shown(store: str) -> str:
    """The address without its password."""
    user, at, rest = store.partition("@")
    return f"{user.rpartition(':')[0] if user.count(':') > 1 else user}{at}{rest}"


class PostgresJournal:
    """A `Journal` in a PostgreSQL database, in the schema `solvent`.

    A writer makes the tables where they are missing (for which its login needs CREATE on the database and, once a
    cluster, CREATEROLE) and takes the journal over from whoever wrote before: that one's session is ended and its
    next commit raises Fenced. Readers do not disturb the writer and see whole blocks only.
    """

    def __init__(self, address: str, *, writer: bool = True, restoring: bool = False) -> None:
        """Connect. Raises SolventError for a database that cannot be reached, is not a journal of this version, or
        would acknowledge what it can still lose (`fsync`, `full_page_writes` or `synchronous_commit` off).

        restoring: hold the journal, so that nobody but `adopt` writes to it before `confirm`.
        """
        self._psycopg = _driver()
        self._address = address
        self._writer = writer
        self._restoring = restoring
        self._lock = threading.RLock()
        self._broken = False
        self._epoch = 0
        self._pid = 0
        self._head = Head()
        self.name = "postgresql"
        self._connection = self._connect()
        self.name = _name(self._connection)
        try:
            self._guard(self._claim if writer else self._check_schema)
        except BaseException:
            self._connection.close()
            raise

    # Opening

    def _connect(self) -> "psycopg.Connection[tuple[Any, ...]]":
        try:
            connection: psycopg.Connection[tuple[Any, ...]] = self._psycopg.connect(
                self._address, autocommit=True, **_SESSION
            )
            for setting in _SETTINGS:
                connection.execute(setting)
            if not self._writer:
                connection.execute("SET default_transaction_read_only = on")
        except self._psycopg.Error as error:
            accepted = "a PostgreSQL database that can be reached"
            raise SolventError(problem(self.name, None, "store", _said(error), accepted)) from None
        return connection

    def _check_schema(self) -> None:
        """Raise SolventError unless the database holds a journal of this version; changes nothing."""
        if not self._value("SELECT to_regclass('solvent.version') IS NOT NULL"):
            accepted = "a database whose schema `solvent` holds a journal: a writer makes it"
            raise SolventError(problem(self.name, None, "journal", "no tables", accepted))
        version = self._value("SELECT max(version) FROM version")
        if version == HELD_VERSION and self._writer and not self._restoring:
            raise SolventError(problem(self.name, None, "journal", "restored, not confirmed", CONFIRM))
        if version not in (SCHEMA_VERSION, HELD_VERSION):
            raise SolventError(problem(self.name, None, "version", version, f"schema {SCHEMA_VERSION}"))

    def _claim(self) -> None:
        """Make the tables where there are none, then become the only writer."""
        self._refuse_unsafe_server()
        if self._value("SELECT to_regnamespace('solvent') IS NULL"):
            self._create()
        self._check_schema()
        if self._restoring:
            self._connection.execute(f"UPDATE version SET version = {HELD_VERSION}")
        self._restrict()
        self._take_lock()
        # A restored journal's blocks bring epochs of their own.
        self._epoch = self._value(
            "INSERT INTO writer (epoch) SELECT greatest(coalesce(max(epoch), 0), "
            "coalesce((SELECT epoch FROM block ORDER BY height DESC LIMIT 1), 0)) + 1 FROM writer RETURNING epoch"
        )
        self._head = self._last()

    def _refuse_unsafe_server(self) -> None:
        """A server that acknowledges what it may lose, or that cannot be written to, keeps no journal."""
        found = []
        version = self._connection.info.server_version
        if version < VERSION_LEAST:
            found.append(problem(self.name, None, "server_version", version, f"at least {VERSION_LEAST}"))
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            if (value := self._value(f"SHOW {setting}")) == "off":
                accepted = "on: an acknowledged block must outlive a crash"
                found.append(problem(self.name, None, setting, value, accepted))
        if self._value("SELECT pg_is_in_recovery()"):
            found.append(problem(self.name, None, "server", "a standby", "the primary"))
        raise_if(found)

    def _create(self) -> None:
        """The role that writes, and the tables; whole or not at all."""
        with self._connection.transaction():
            if not self._value(f"SELECT to_regrole('{WRITER_ROLE}') IS NOT NULL"):
                self._connection.execute(f"CREATE ROLE {WRITER_ROLE} NOLOGIN")
            self._connection.execute(_SCHEMA)
            if not self._value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
                self._connection.execute(f"GRANT {WRITER_ROLE} TO CURRENT_USER")

    def _restrict(self) -> None:
        """Work in the writer's role, and see to it that it can change and delete nothing."""
        self._connection.execute(f"SET ROLE {WRITER_ROLE}")
        found = [
            problem(self.name, None, f"role {WRITER_ROLE}", f"{right} on {table}", "SELECT and INSERT only")
            for table in ("block", "writer")
            for right in ("UPDATE", "DELETE", "TRUNCATE")
            if self._value(f"SELECT has_table_privilege('{table}', '{right}')")
        ]
        raise_if(found)

    def _take_lock(self, pid: int = 0) -> None:
        """Hold the writer's lock: end the session that has it, so that it can commit nothing more.

        pid: end no session but this one (0: whichever has it); another's is waited for.
        """
        deadline = time.monotonic() + TAKEOVER_S
        while not self._value(f"SELECT pg_try_advisory_lock({LOCK}, {_HALF})"):
            self._connection.execute("RESET ROLE")  # the login may end its own sessions, the role may not
            self._connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted "
                f"AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
                f"AND classid = {LOCK} AND objid = {_HALF} AND (pid = %s OR %s = 0)",
                (pid, pid),
            )
            self._connection.execute(f"SET ROLE {WRITER_ROLE}")
            if time.monotonic() > deadline:
                accepted = "a lock that the writer before has let go"
                raise SolventError(problem(self.name, None, "writer", "still at work", accepted))
            time.sleep(0.02)
        self._pid = self._connection.info.backend_pid

    # Writing

    def commit(self, entries: Sequence[Entry], ts_ns: int) -> int:
        """Append one block; durable on return. Raises StoreFull, StoreLost, Fenced or SolventError."""
        with self._lock:
            block = seal(self._head, entries, ts_ns, self._epoch)
            self._guard(partial(self._append_surely, block))
            self._head = block.head
            return block.height

    def adopt(self, block: Block) -> None:
        """Append a block of another store as it stands; it must follow the head. Raises as `commit`."""
        with self._lock:
            raise_if(check_link(self.name, self._head, block))
            self._guard(partial(self._append_surely, block))
            self._head = block.head

    def confirm(self) -> None:
        """Open a restored journal to writers; needs the owner's login. For `copies.confirm`, which looks first."""
        self._connection.execute("RESET ROLE")
        self._guard(partial(self._connection.execute, f"UPDATE version SET version = {SCHEMA_VERSION}"))

    def _append_surely(self, block: Block) -> None:
        """Insert a block; where the answer is lost, look whether it is there before anything is said of it."""
        if not self._epoch:
            raise SolventError(problem(self.name, None, "journal", "opened read-only", "a writer"))
        try:
            self._append(block)
        except self._psycopg.OperationalError as error:
            if not self._connection.broken:
                raise
            self._reconnect(error)
            if self._last().hash != block.hash:
                self._append(block)

    def _append(self, block: Block) -> None:
        done = self._connection.execute(
            f"INSERT INTO block ({_BLOCK}) SELECT %s, %s, %s, %s, %s, %s, %s, %s "
            "WHERE NOT EXISTS (SELECT FROM writer WHERE epoch > %s)",
            (*_row_of(block), self._epoch),
        )
        if done.rowcount != 1:
            self._fenced()

    def _reconnect(self, cause: Exception) -> None:
        """A new session that holds the writer's lock, if nobody else took the journal over meanwhile."""
        lost_pid = self._pid
        deadline, pause_s = time.monotonic() + RECONNECT_S, 0.05
        while True:
            self._connection.close()
            try:
                self._connection = self._connect()
                self._refuse_if_superseded()
                self._restrict()
                self._take_lock(lost_pid)
                return self._refuse_if_superseded()
            except Fenced:
                raise
            except (SolventError, self._psycopg.Error):
                if time.monotonic() > deadline:
                    raise cause from None
                time.sleep(pause_s)
                pause_s = min(1.0, 2 * pause_s)

    def _refuse_if_superseded(self) -> None:
        if self._value("SELECT max(epoch) FROM writer") != self._epoch:
            self._fenced()

    def _fenced(self) -> NoReturn:
        self._broken = True
        raise Fenced(message=f"{self.name}: another writer took the journal over; this one must stop")

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot, and the newest `SNAPSHOTS_KEPT` only. Raises as `commit` does."""
        with self._lock:
            self._guard(partial(self._put, snapshot))

    def _put(self, snapshot: Snapshot) -> None:
        if self._connection.broken:
            self._reconnect(StoreLost(message=f"{self.name}: the store went away"))
        self._refuse_if_superseded()
        with self._connection.transaction():
            self._connection.execute("DELETE FROM snapshot WHERE height = %s", (snapshot.height,))
            self._connection.execute(
                f"INSERT INTO snapshot ({_SNAPSHOT}) VALUES (%s, %s, %s, %s, %s, %s)",
                (
                    snapshot.height, snapshot.block_hash, snapshot.state_version, snapshot.state_hash,
                    snapshot.digest, snapshot.payload,
                ),
            )  # fmt: skip
            self._connection.execute(
                "DELETE FROM snapshot WHERE height NOT IN (SELECT height FROM snapshot ORDER BY height DESC LIMIT %s)",
                (SNAPSHOTS_KEPT,),
            )

    # Reading

    def head(self) -> Head:
        """The end of the chain: of the writer as it committed it, of a reader as the store holds it."""
        if self._writer:
            return self._head
        with self._lock:
            return self._guard(self._last)

    def _last(self) -> Head:
        row = self._connection.execute("SELECT height, ts_ns, hash FROM block ORDER BY height DESC LIMIT 1").fetchone()
        return Head() if row is None else Head(*row)

    def read(self, start: int = 1) -> Iterator[Block]:
        """Blocks from height `start` on, a few a query, so that a slow reader holds nothing up."""
        while True:
            with self._lock:
                blocks = self._guard(partial(self._blocks, start))
            if not blocks:
                return
            yield from blocks
            start = blocks[-1].height + 1

    def _blocks(self, start: int) -> list[Block]:
        rows = self._connection.execute(
            f"SELECT {_BLOCK} FROM (SELECT *, sum(octet_length(payload)) OVER (ORDER BY height) AS size FROM "
            "(SELECT * FROM block WHERE height >= %s ORDER BY height LIMIT %s) AS next) AS sized "
            "WHERE size - octet_length(payload) < %s ORDER BY height",
            (start, READ_BLOCKS, READ_BYTES),
        )
        return [Block(*row) for row in rows]

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
        row = self._connection.execute(f"SELECT {_SNAPSHOT} FROM snapshot WHERE height = %s", (height,)).fetchone()
        return None if row is None else Snapshot(*row)

    def faults(self) -> list[Problem]:
        """What the server knows of damaged pages, where it keeps checksums."""
        with self._lock:
            failed = self._guard(
                partial(
                    self._value, "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()"
                )
            )
        return [problem(self.name, None, "checksum_failures", failed, "0: pages are damaged")] if failed else []

    def close(self) -> None:
        """End the session, and with it the writer's lock."""
        with self._lock:
            self._connection.close()

    # Rows and errors

    def _value(self, query: LiteralString) -> Any:
        row = self._connection.execute(query).fetchone()
        return None if row is None else row[0]

    def _guard(self, action: Callable[[], Result]) -> Result:
        """Run an action on the store and speak of its failures in our own terms."""
        if self._broken:
            raise StoreLost(message=f"{self.name}: a commit failed before; recover from the journal")
        try:
            return action()
        except self._psycopg.Error as error:
            self._fail(error)

    def _fail(self, error: Exception) -> NoReturn:
        errors = self._psycopg.errors
        if isinstance(error, errors.DiskFull):
            raise StoreFull(message=f"{self.name}: no room for another block; nothing of it was written") from error
        if isinstance(error, (errors.DataCorrupted, errors.IndexCorrupted)):
            raise JournalCorrupt(problem(self.name, None, "journal", _said(error), "sound pages")) from None
        if isinstance(error, errors.UniqueViolation):
            self._fenced()  # somebody wrote that height
        if not self._epoch:  # a reader, or not open yet
            accepted = "a journal that can be used"
            raise SolventError(problem(self.name, None, "journal", _said(error), accepted)) from None
        # What became of a commit is unknown until the journal is read again.
        self._broken = self._writer
        raise StoreLost(message=f"{self.name}: the store failed ({_said(error)})") from error


def _row_of(block: Block) -> tuple[int | bytes, ...]:
    return (
        block.height, block.ts_ns, block.epoch, block.state_version, block.codec, block.prev_hash, block.hash,
        block.payload,
    )  # fmt: skip


def _said(error: Exception) -> str:
    return str(error).strip().replace("\n", "; ") or type(error).__name__


def _name(connection: "psycopg.Connection[tuple[Any, ...]]") -> str:
    """The address without what must not be shown."""
    info = connection.info
    return f"postgresql://{info.host}:{info.port}/{info.dbname}"


def _driver() -> Any:
    try:
        import psycopg
    except ImportError:
        accepted = "`./run --with postgres ...` or `pip install 'solvent[postgres]'`"
        raise SolventError(problem("arguments", None, "psycopg", "not installed", accepted)) from None
    return psycopg
