"""Snapshots: written when due, believed only if digest, chain, version and state all fit."""

import msgspec
import pytest
from tests.ledger import samples
from tests.ledger.samples import apply_block

from solvent.errors import JournalCorrupt
from solvent.ledger import snapshots
from solvent.ledger.journal import GENESIS, MemoryJournal, Snapshot
from solvent.ledger.recovery import recover, verify
from solvent.ledger.state import State


def written(every: int) -> tuple[MemoryJournal, State]:
    """A journal of the sample day, and its state."""
    journal = MemoryJournal()
    return journal, samples.write_day(journal, every)


def test_snapshots_are_saved_when_due() -> None:
    assert [each.height for each in written(2)[0].snapshots()] == [4, 2]
    assert [each.height for each in written(1)[0].snapshots()] == [5, 4, 3]
    assert list(written(6)[0].snapshots()) == []


def test_a_snapshot_that_the_chain_does_not_know_does_not_count() -> None:
    journal, state = written(2)
    forged = State.restore(snapshots.restore(journal, journal.kept[1]).snapshot())
    forged.balances.clear()
    lying = MemoryJournal()
    lying.blocks = journal.blocks[:4]
    snapshots.save(lying, forged)
    assert snapshots.check(journal, lying.kept[0]) == [], "control: it looks sound"
    journal.kept = [journal.kept[0], lying.kept[0]]
    assert [snapshots.is_noted(journal, each) for each in journal.snapshots()] == [False, True]
    assert recover(journal).hash() == state.hash()
    assert [each.field for each in verify(journal).problems] == ["snapshot.state_hash", "snapshot.digest"]


def test_an_empty_journal_has_nothing_to_save() -> None:
    assert not snapshots.save_if_due(MemoryJournal(), State(), 1)


def test_saving_ahead_of_the_journal_is_an_error_of_ours() -> None:
    journal, state = written(6)
    state.begin_block(state.ts_ns)
    with pytest.raises(AssertionError, match="durable"):
        snapshots.save(journal, state)


def test_a_snapshot_gives_back_its_state() -> None:
    journal, state = written(5)
    restored = snapshots.restore(journal, next(journal.snapshots()))
    assert restored.hash() == state.hash()
    assert restored.height == 5


def resigned(snapshot: Snapshot, **fields: object) -> Snapshot:
    """An altered snapshot whose digest fits again."""
    altered = msgspec.structs.replace(snapshot, **fields)
    return msgspec.structs.replace(altered, digest=snapshots._digest(altered))


def test_every_altered_field_is_seen() -> None:
    journal, _ = written(5)
    snapshot = next(journal.snapshots())
    other = State()
    apply_block(other, 1, samples.listing())
    altered = {
        "digest": msgspec.structs.replace(snapshot, digest=GENESIS),
        "height": resigned(snapshot, height=6),
        "block_hash": resigned(snapshot, height=4),
        "state_version": resigned(snapshot, state_version=2),
        "payload": resigned(snapshot, payload=b"not deflated"),
        "payload = ": resigned(snapshot, state_hash=other.hash()),
        "snapshot.payload": resigned(snapshot, payload=snapshot.payload[:-1]),
    }
    for field, each in altered.items():
        with pytest.raises(JournalCorrupt, match=field):
            snapshots.restore(journal, each)


@pytest.mark.parametrize("field", ["height", "block_hash", "state_version", "state_hash", "payload"])
def test_the_digest_covers_every_field(field: str) -> None:
    snapshot = next(written(5)[0].snapshots())
    value = getattr(snapshot, field)
    altered = msgspec.structs.replace(snapshot, **{field: value + 1 if isinstance(value, int) else value + b"0"})
    assert snapshots._digest(altered) != snapshot.digest


def test_a_bomb_costs_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    journal, _ = written(5)
    monkeypatch.setattr(snapshots, "SNAPSHOT_BYTES_MOST", 1000)
    with pytest.raises(JournalCorrupt, match="payload"):
        snapshots.restore(journal, next(journal.snapshots()))
