"""Snapshots of the state beside the chain: written every so many blocks, believed only if everything fits."""

import hashlib
import zlib

import msgspec

from solvent.domain.commands import NoteSnapshot
from solvent.domain.events import SnapshotNoted
from solvent.errors import JournalCorrupt, Problem, SolventError, problem
from solvent.ledger.image import STATE_VERSION
from solvent.ledger.journal import Journal, Snapshot
from solvent.ledger.state import State

SNAPSHOT_EVERY_BLOCKS = 256
SNAPSHOT_BYTES_MOST = 4 * 2**30
"""Of a snapshot's JSON: bounds what a deflated one may cost to read."""
_FAST = 1


def save_if_due(journal: Journal, state: State, every: int = SNAPSHOT_EVERY_BLOCKS) -> NoteSnapshot | None:
    """Save a snapshot if the block just committed is an `every`-th one: the command that makes it count.

    To be called between blocks, when the state is exactly what the journal holds. Raises as `Journal.commit`.
    """
    return save(journal, state) if state.height > 0 and state.height % every == 0 else None


def save(journal: Journal, state: State) -> NoteSnapshot:
    """Save a snapshot now, between blocks. It counts once the chain holds the command that this returns."""
    head = journal.head()
    assert head.height == state.height, "a snapshot is of a state that is durable"
    unsigned = Snapshot(
        head.height, head.hash, STATE_VERSION, state.hash(), b"", zlib.compress(state.snapshot(), _FAST)
    )
    digest = _digest(unsigned)
    journal.save_snapshot(msgspec.structs.replace(unsigned, digest=digest))
    return NoteSnapshot(head.height, digest.hex())


def is_noted(journal: Journal, snapshot: Snapshot) -> bool:
    """Whether the chain holds the snapshot's digest: else anybody who can write to the store may have made it.

    Raises JournalCorrupt where the blocks after it cannot be read.
    """
    wanted = SnapshotNoted(height=snapshot.height, digest=snapshot.digest.hex())
    return any(wanted in entry.events for block in journal.read(snapshot.height + 1) for entry in block.entries())


def _digest(snapshot: Snapshot) -> bytes:
    header = f"{snapshot.height},{snapshot.state_version},{snapshot.block_hash.hex()},{snapshot.state_hash.hex()}\n"
    digest = hashlib.blake2b(header.encode(), digest_size=32, person=b"solvent snapshot")
    digest.update(snapshot.payload)
    return digest.digest()


def restore(journal: Journal, snapshot: Snapshot) -> State:
    """The state of a snapshot of this chain. Raises JournalCorrupt saying what does not fit."""
    found = check(journal, snapshot)
    if found:
        raise JournalCorrupt(*found)
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(snapshot.payload, SNAPSHOT_BYTES_MOST)
        state = State.restore(data)
    except (zlib.error, SolventError) as error:
        raise JournalCorrupt(_wrong(journal, snapshot, "payload", error, "a state")) from None
    if not inflater.eof or state.height != snapshot.height or state.hash() != snapshot.state_hash:
        raise JournalCorrupt(_wrong(journal, snapshot, "payload", state.hash().hex(), "the state it says it is"))
    return state


def check(journal: Journal, snapshot: Snapshot) -> list[Problem]:
    """What is wrong with a snapshot, seen from outside: altered, of another chain or of another version."""
    found = []
    if snapshot.digest != _digest(snapshot):
        accepted = f"{_digest(snapshot).hex()}: the snapshot was altered"
        found.append(_wrong(journal, snapshot, "digest", snapshot.digest.hex(), accepted))
    if snapshot.state_version != STATE_VERSION:
        found.append(_wrong(journal, snapshot, "state_version", snapshot.state_version, str(STATE_VERSION)))
    block = next(journal.read(snapshot.height), None)
    if block is None or block.height != snapshot.height:
        found.append(_wrong(journal, snapshot, "height", snapshot.height, "a height of the chain: blocks were cut"))
    elif block.hash != snapshot.block_hash:
        accepted = f"{block.hash.hex()}, the block's: it is of another chain"
        found.append(_wrong(journal, snapshot, "block_hash", snapshot.block_hash.hex(), accepted))
    return found


def _wrong(journal: Journal, snapshot: Snapshot, field: str, value: object, accepted: str) -> Problem:
    return problem(journal.name, snapshot.height, f"snapshot.{field}", value, accepted)
