"""Blocks: what is sealed can be read back exactly, and any change to it is seen."""

import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger import samples

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.errors import JournalCorrupt, SolventError
from solvent.ledger import journal as module
from solvent.ledger.image import STATE_VERSION
from solvent.ledger.journal import (
    COMPRESS_ABOVE_BYTES,
    GENESIS,
    JSON,
    ZLIB,
    Block,
    Head,
    MemoryJournal,
    block_hash,
    check_link,
    entry_at,
    seal,
)


def wide(postings: int = 10_000) -> e.Entry:
    """An entry whose payload is long enough to be deflated."""
    moved = tuple((account, 0, 1 - 2 * (account % 2)) for account in range(postings))
    return e.Entry(c.Fund(2, 1, 1), (e.Funded(instrument=2, interval=1, rate_e12=1, postings=moved),))


def written() -> MemoryJournal:
    journal = MemoryJournal()
    for ts_ns, entries in samples.day():
        journal.commit(entries, ts_ns)
    return journal


def test_entries_come_back_exactly() -> None:
    blocks = list(written().read())
    assert [(block.height, block.ts_ns) for block in blocks] == [(n, n * samples.HOUR_NS) for n in range(1, 6)]
    assert [list(block.entries()) for block in blocks] == [entries for _, entries in samples.day()]


@given(st.integers(-(10**38), 10**38), st.text(max_size=20))
def test_integers_of_any_size_and_any_text_come_back_exactly(atoms: int, text: str) -> None:
    entry = samples.deposit(0, 0, atoms, reference=text, key=text)
    assert seal(Head(), [entry], 0, 1).entries() == (entry,)


def test_blocks_are_chained() -> None:
    journal = written()
    blocks = list(journal.read())
    assert [block.prev_hash for block in blocks] == [GENESIS, *(block.hash for block in blocks[:-1])]
    assert journal.head() == Head(5, 5 * samples.HOUR_NS, blocks[-1].hash)
    assert MemoryJournal().head() == Head(0, 0, GENESIS)
    assert list(journal.read(4)) == blocks[3:]
    head = Head()
    for block in blocks:
        assert check_link("memory", head, block) == []
        head = block.head


def test_the_hash_is_the_documented_one() -> None:
    import hashlib

    block = next(written().read())
    text = f"1,{samples.HOUR_NS},1,{STATE_VERSION},0,{'00' * 32}\n".encode() + block.payload
    assert block.hash == hashlib.blake2b(text, digest_size=32, person=b"solvent block").digest()


def test_only_long_payloads_are_deflated() -> None:
    plain, deflated = seal(Head(), [samples.deposit(0, 0, 1)], 0, 1), seal(Head(), [wide()], 0, 1)
    assert plain.codec == JSON
    assert msgspec.json.decode(plain.payload)[0]["command"]["type"] == "Deposit"
    assert deflated.codec == ZLIB
    assert len(zlib.decompress(deflated.payload)) > COMPRESS_ABOVE_BYTES > len(deflated.payload)
    assert deflated.entries() == (wide(),)


def test_time_cannot_go_back() -> None:
    journal = written()
    before = journal.head()
    with pytest.raises(SolventError, match=r"ts_ns = \d+: at least the last block's"):
        journal.commit([samples.deposit(0, 0, 1)], before.ts_ns - 1)
    assert journal.head() == before
    assert journal.commit([samples.deposit(0, 0, 1)], before.ts_ns) == 6


def test_too_long_a_payload_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = MemoryJournal()
    monkeypatch.setattr(module, "PAYLOAD_BYTES_MOST", 100_000)
    with pytest.raises(SolventError, match="<= 100000 bytes"):
        journal.commit([wide()], 0)
    assert journal.head().height == 0


@pytest.mark.parametrize(
    ("codec", "payload"),
    [
        (JSON, b""),
        (JSON, b"[{}]"),
        (JSON, b'[{"command":{"type":"Format"},"events":[]}]'),
        (JSON, b'["\xff"]'),
        (JSON, b"[" * 100_000),
        (ZLIB, b"[]"),
        (ZLIB, zlib.compress(b"[]")[:-1]),
        (ZLIB, zlib.compress(b" " * (2 * 10**6))),
    ],
    ids=["empty", "no fields", "unknown command", "not text", "nested", "not deflated", "cut", "bomb"],
)
def test_what_cannot_be_read_is_named(codec: int, payload: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAYLOAD_BYTES_MOST", 10**6)
    with pytest.raises(JournalCorrupt, match="row 3: payload = "):
        Block(3, 0, 1, STATE_VERSION, codec, GENESIS, GENESIS, payload).entries()


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("height", 4, {"height", "hash"}),
        ("ts_ns", 0, {"hash", "ts_ns"}),
        ("epoch", 9, {"hash"}),
        ("state_version", 9, {"hash", "state_version"}),
        ("codec", 9, {"hash", "codec"}),
        ("prev_hash", GENESIS, {"hash", "prev_hash"}),
        ("hash", GENESIS, {"hash"}),
        ("payload", b"[]", {"hash"}),
    ],
)
def test_every_altered_field_is_seen(field: str, value: object, named: set[str]) -> None:
    journal = written()
    head = journal.blocks[1].head
    block = msgspec.structs.replace(journal.blocks[2], **{field: value})
    found = check_link("memory", head, block)
    assert {each.field for each in found} == named
    assert all(each.row == block.height for each in found)


def test_a_block_forged_with_its_hash_does_not_fit_the_chain() -> None:
    journal = written()
    old = journal.blocks[2]
    digest = block_hash(old.height, old.ts_ns, old.epoch, STATE_VERSION, old.codec, old.prev_hash, b"[]")
    forged = msgspec.structs.replace(old, payload=b"[]", hash=digest)
    assert check_link("memory", journal.blocks[1].head, forged) == []
    assert [each.field for each in check_link("memory", forged.head, journal.blocks[3])] == ["prev_hash"]


def test_a_receipt_leads_to_its_answer() -> None:
    journal, state = written(), samples.state_of_the_day()
    receipt = state.receipts["custodian", "key-2"]
    assert entry_at(journal, receipt.height, receipt.position) == samples.trading()[1]
    with pytest.raises(JournalCorrupt, match="missing"):
        entry_at(journal, 99, 0)
