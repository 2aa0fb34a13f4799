"""Recovery equals a full replay whatever happened to the snapshots; verification names every fault's block."""

from itertools import chain

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger import samples
from tests.ledger.samples import BTC, USDC, apply_block, deposit
from tests.ledger.test_snapshots import resigned, written

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.errors import JournalCorrupt
from solvent.ledger import recovery, snapshots
from solvent.ledger.apply import apply_entry
from solvent.ledger.journal import GENESIS, Head, MemoryJournal, seal
from solvent.ledger.recovery import recover, verify, walk
from solvent.ledger.state import State


@pytest.mark.parametrize("every", [1, 2, 3, 5, 6])
def test_recovery_equals_a_full_replay(every: int) -> None:
    journal, state = written(every)
    recovered = recover(journal)
    assert recovered.hash() == state.hash()
    assert recovered.height == journal.head().height
    assert recovered.snapshot() == state.snapshot()


def test_an_empty_journal_is_an_empty_state() -> None:
    assert recover(MemoryJournal()).hash() == State().hash()
    report = verify(MemoryJournal())
    assert (report.problems, report.blocks, report.head_hash) == ([], 0, GENESIS.hex())


@pytest.mark.parametrize("damaged", [1, 2, 3])
def test_damaged_snapshots_are_passed_over(damaged: int) -> None:
    journal, state = written(1)
    for position in range(damaged):
        broken = journal.kept[-1 - position]
        journal.kept[-1 - position] = msgspec.structs.replace(broken, payload=broken.payload + b"0")
    recovered = recover(journal)
    assert recovered.hash() == state.hash()
    assert [each.field for each in verify(journal).problems] == ["snapshot.digest"] * damaged


def test_recovery_from_a_snapshot_reads_only_what_follows() -> None:
    journal, state = written(4)
    journal.blocks[0] = msgspec.structs.replace(journal.blocks[0], payload=b"gone")
    assert recover(journal).hash() == state.hash()
    assert [each.row for each in verify(journal).problems] == [1, 1], "verification reads everything"


def test_a_snapshot_that_lies_is_found() -> None:
    journal, _ = written(4)
    other = State.restore(snapshots.restore(journal, journal.kept[0]).snapshot())
    apply_entry(other, deposit(0, USDC, 1))
    lying = MemoryJournal()
    lying.blocks = journal.blocks[:4]
    snapshots.save(lying, other)
    journal.kept = lying.kept
    assert recover(journal).hash() == written(4)[1].hash(), "the chain does not vouch for it"
    assert [(each.row, each.field) for each in verify(journal).problems] == [
        (4, "snapshot.state_hash"),
        (4, "snapshot.digest"),
    ]


@given(st.lists(st.lists(st.integers(-(10**30), 10**30), max_size=3), max_size=8), st.integers(1, 4))
def test_any_cut_into_blocks_recovers_the_same_state(cut: list[list[int]], every: int) -> None:
    journal, state, flat = MemoryJournal(), State(), State()
    for amounts in cut:
        entries = [deposit(account, BTC, atoms) for account, atoms in enumerate(amounts)]
        apply_block(state, 7, entries)
        journal.commit(entries, 7)
        snapshots.save_if_due(journal, state, every)
    apply_block(flat, 7 if cut else 0, list(chain.from_iterable(b.entries() for b in journal.read())))
    assert recover(journal).hash() == state.hash() == flat.hash()
    assert verify(journal).problems == [
        each for each in state.violations() if each.field.startswith(("pool cash", "insurance"))
    ]


def test_a_sound_journal_is_reported_with_its_figures() -> None:
    journal, state = written(2)
    report = verify(journal)
    entries = list(chain.from_iterable(block.entries() for block in journal.read()))
    assert report.problems == []
    assert (report.blocks, report.snapshots, report.redecided) == (5, 2, 0)
    assert (report.entries, report.events) == (len(entries), sum(len(entry.events) for entry in entries))
    assert report.head_hash == journal.head().hash.hex()
    assert report.state_hash == state.hash().hex()
    assert report.ts_ns == 5 * samples.HOUR_NS


@pytest.mark.parametrize("at", range(5))
def test_a_missing_block_is_named(at: int) -> None:
    journal, _ = written(6)
    blocks = journal.blocks[:at] + journal.blocks[at + 1 :]
    missing = MemoryJournal()
    missing.read = lambda start=1: (block for block in blocks if block.height >= start)
    missing.head = journal.head
    report = verify(missing)
    if at == 4:
        assert [(each.row, each.field) for each in report.problems] == [(4, "last block")]
    else:
        assert [(each.row, each.field) for each in report.problems] == [(at + 2, "height"), (at + 2, "prev_hash")]
        assert report.state_hash == ""
    with pytest.raises(JournalCorrupt):
        recover(missing)


def test_swapped_and_repeated_blocks_are_named() -> None:
    journal, _ = written(6)
    journal.blocks[1], journal.blocks[2] = journal.blocks[2], journal.blocks[1]
    assert {each.field for each in verify(journal).problems} >= {"height", "prev_hash", "ts_ns"}
    journal.blocks = [*written(6)[0].blocks, journal.blocks[0]]
    assert {each.field for each in verify(journal).problems} >= {"height", "prev_hash"}


def test_a_rewritten_chain_needs_a_hash_that_was_noted_down() -> None:
    journal, _ = written(6)
    noted = journal.blocks[2].hash.hex()
    assert verify(journal, holds=noted).problems == []
    forged = MemoryJournal()
    for block in journal.blocks[:2]:
        forged.commit(block.entries(), block.ts_ns)
    forged.commit([deposit(0, USDC, 10**15)], journal.blocks[2].ts_ns)
    assert verify(forged).problems == []
    assert [each.field for each in verify(forged, holds=noted).problems] == ["hash"]


def test_blocks_beyond_the_record_are_found() -> None:
    journal, _ = written(6)
    end = journal.head()
    journal.blocks.append(seal(end, [deposit(0, USDC, 1)], end.ts_ns, 1))
    journal.head = lambda: end
    assert [each.field for each in verify(journal).problems] == ["last block"]


def test_blocks_that_are_written_meanwhile_are_no_fault() -> None:
    journal, _ = written(6)
    found = []
    for block, problems in walk(journal, Head()):
        found += problems
        if block is not None and block.height in (2, 5):
            journal.commit([deposit(0, USDC, 1)], journal.head().ts_ns)
    assert found == []
    assert journal.head().height == 7


@pytest.mark.parametrize(
    "event",
    [
        e.Staged(account=99, stage="called"),
        e.AccountOpened(account=0, name="twice", owner="x"),
        e.InstrumentListed(instrument=samples.INSTRUMENTS[0]),
        e.Swept(asset=0, postings=((0, USDC, 2**127),)),
    ],
)
def test_a_chain_of_impossible_events_is_named(event: e.Event) -> None:
    journal, _ = written(6)
    journal.commit([deposit(0, USDC, 1), e.Entry(c.Sweep(USDC), (event,))], journal.head().ts_ns)
    report = verify(journal)
    assert [(each.row, each.field) for each in report.problems] == [(6, "entry 1")]
    assert report.state_hash == ""
    with pytest.raises(JournalCorrupt, match="row 6: entries"):
        recover(journal)


def test_verification_stops_after_many_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    journal, _ = written(6)
    monkeypatch.setattr(recovery, "FAULTS_MOST", 2)
    journal.blocks = [msgspec.structs.replace(block, hash=GENESIS) for block in journal.blocks]
    report = verify(journal, holds="00")
    assert (report.blocks, report.state_hash) == (2, "")
    assert {each.row for each in report.problems} == {1, 2}


def test_books_that_do_not_balance_are_named() -> None:
    journal, _ = written(6)
    unbalanced = e.Deposited(account=0, postings=((0, USDC, 1),))
    journal.commit([e.Entry(c.Deposit(0, USDC, 1), (unbalanced,))], journal.head().ts_ns)
    assert [each.field for each in verify(journal).problems] == ["sum of USDC"]


def test_deciding_again_lists_what_differs() -> None:
    journal, _ = written(6)
    heights: list[int] = []

    def as_journalled(state: State, entry: e.Entry) -> tuple[e.Event, ...]:
        heights.append(state.height)
        return entry.events

    def stricter(state: State, entry: e.Entry) -> tuple[e.Event, ...]:
        if isinstance(entry.command, c.Withdraw) and state.balance(entry.command.account, BTC) < 0:
            return (e.Refused(reason="in debt"),)
        if isinstance(entry.command, c.Expire):
            raise ValueError("no price")
        return entry.events

    report = verify(journal, redecide=as_journalled)
    assert (report.problems, report.redecided) == ([], report.entries)
    assert heights == sorted(heights)
    report = verify(journal, redecide=stricter)
    assert [(each.row, each.field) for each in report.problems] == [(2, "entry 6 Withdraw"), (4, "entry 7 Expire")]
    assert report.state_hash == verify(journal).state_hash, "what was journalled is what counts"


def test_a_snapshot_beyond_the_end_shows_that_the_tail_was_cut() -> None:
    journal, _ = written(4)
    journal.blocks = journal.blocks[:3]
    assert [(each.row, each.field) for each in verify(journal).problems] == [(4, "snapshot.height")]
    assert recover(journal).height == 3
    assert resigned(journal.kept[0]).digest == journal.kept[0].digest
