"""A hot standby: follows the journal that another engine writes, and says when that one has fallen silent."""

import time
from collections.abc import Callable

from solvent.errors import JournalCorrupt, SolventError
from solvent.ledger.journal import Journal
from solvent.ledger.recovery import Follower
from solvent.ledger.stores import open_journal

PATIENCE_S = 5.0
"""A venue writes a block a tick: without one for so long its writer is dead, hung or cut off."""
POLL_S = 0.1


def stand_by(
    store: str,
    stopped: Callable[[float], bool],
    patience_s: float = PATIENCE_S,
    say: Callable[[int], None] = lambda height: None,
) -> Follower | None:
    """Follow until no block was written for `patience_s`; the state in step with the journal, to take it over with.

    stopped: waits so many seconds and says whether to give up; then the answer is None. say: told the height. The
    writer may still live: whoever opens the journal next fences it, so it acknowledges nothing more. A store that
    cannot be reached is waited for, and its writer gets `patience_s` again once it can. Raises SolventError where
    there is no journal at the start, JournalCorrupt.
    """
    journal = open_journal(store, writer=False)
    try:
        follower = Follower(journal)
        heard = time.monotonic()
        while True:
            try:
                if follower.follow():
                    heard = time.monotonic()
                    say(follower.head.height)
                elif time.monotonic() - heard > patience_s:
                    return follower
            except JournalCorrupt:
                raise
            except SolventError:
                journal = _reopened(journal, store)
                follower.journal, heard = journal, time.monotonic()
            if stopped(POLL_S):
                return None
    finally:
        journal.close()


def _reopened(journal: Journal, store: str) -> Journal:
    journal.close()
    try:
        return open_journal(store, writer=False)
    except SolventError:
        return journal
