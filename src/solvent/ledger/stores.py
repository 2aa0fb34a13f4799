"""Stores by name: a file is a SQLite journal, `postgresql://...` a database."""

from pathlib import Path

from solvent.ledger.journal import Journal
from solvent.ledger.postgres import PostgresJournal, is_postgres
from solvent.ledger.sqlite import SqliteJournal


def open_journal(store: str, *, writer: bool = True) -> Journal:
    """The journal in a store, as its writer or as a reader. Raises SolventError where it cannot be opened."""
    if is_postgres(store):
        return PostgresJournal(store, writer=writer)
    return SqliteJournal(store, writer=writer)


def is_there(store: str) -> bool:
    """Whether a store of that name can hold a journal already: a file that exists; a database always may."""
    return is_postgres(store) or Path(store).exists()
