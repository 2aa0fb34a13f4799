"""Copies of a journal: a backup is a whole journal in a file; what was restored waits for a person to confirm it."""

import os
from collections.abc import Callable
from pathlib import Path

from solvent.errors import JournalCorrupt, SolventError, problem
from solvent.ledger import snapshots
from solvent.ledger.journal import Head, Journal
from solvent.ledger.postgres import PostgresJournal, is_postgres
from solvent.ledger.recovery import Follower, walk
from solvent.ledger.sqlite import SqliteJournal

Progress = Callable[[int], None]
"""Told the height of each block that was copied."""


def backup(journal: Journal, path: Path, progress: Progress = lambda height: None) -> Head:
    """Copy a journal, while it may be written to, into a new file that appears whole or not at all.

    Every block is checked on its way; the newest snapshot that the chain vouches for goes along. Returns the
    copy's end. Raises SolventError for a file that is there, JournalCorrupt for a journal that is not sound.
    """
    if path.exists():
        raise SolventError(problem(str(path), None, "backup", "a file that is there", "a new file"))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        copy = SqliteJournal(part)
        try:
            _copy(journal, copy, progress)
            head = copy.head()
        finally:
            copy.close()
        part.replace(path)
    finally:
        for each in part.parent.glob(f"{part.name}*"):
            each.unlink()
    return head


def restore(journal: Journal, store: str, progress: Progress = lambda height: None) -> Head:
    """Copy a backup into an empty store, which then takes no writer before `confirm`. Returns its end.

    A restore that was cut short goes on when it is called again. Raises SolventError for a store that holds another
    journal, JournalCorrupt for a backup that is not sound.
    """
    target = _restoring(store)
    try:
        start = target.head()
        held = next(journal.read(start.height), None) if start.height else None
        if start.height and (held is None or held.head != start):
            raise SolventError(problem(target.name, start.height, "store", start.hash.hex(), "an empty store"))
        _copy(journal, target, progress)
        return target.head()
    finally:
        target.close()


def _restoring(store: str) -> SqliteJournal | PostgresJournal:
    """The store, held: only if it is empty, or held already."""
    held = PostgresJournal if is_postgres(store) else SqliteJournal
    try:
        found = held(store)
    except SolventError as error:
        if "not confirmed" not in str(error):
            raise
    else:
        head = found.head()
        found.close()
        if head.height:
            raise SolventError(problem(found.name, head.height, "store", "a journal that is in use", "an empty store"))
    return held(store, restoring=True)


def _copy(journal: Journal, target: SqliteJournal | PostgresJournal, progress: Progress) -> None:
    for block, found in walk(journal, target.head()):
        if found:
            raise JournalCorrupt(*found)
        if block is not None:
            target.adopt(block)
            progress(block.height)
    for snapshot in journal.snapshots():
        if snapshot.height <= target.head().height and snapshots.is_noted(target, snapshot):
            target.save_snapshot(snapshot)
            break


def confirm(store: str, height: int, hash: str, *, loss: str = "") -> Head:
    """Open a restored journal to writers, if it holds the block that a witness outside signed last; its end.

    height, hash: of that block. loss: why blocks up to there are missing and will not come back; without it a journal
    that ends before `height` stays closed. Raises SolventError where the journal is another or shorter one.
    """
    kind = PostgresJournal if is_postgres(store) else SqliteJournal
    journal = kind(store, restoring=True)
    try:
        follower = Follower(journal)
        follower.follow()
        head = follower.head
        if head.height < height and not loss:
            accepted = f"at least {height:,}, which the witness saw: restore more, or say why they are lost"
            raise SolventError(problem(journal.name, head.height, "height", head.height, accepted))
        block = next(journal.read(height), None) if height <= head.height else None
        if block is not None and block.hash.hex() != hash.strip().lower():
            accepted = f"{hash}, which the witness signed: it is another chain"
            raise SolventError(problem(journal.name, height, "hash", block.hash.hex(), accepted))
        journal.confirm()
        return head
    finally:
        journal.close()
