"""Signed heads outside the store show what the chain alone cannot: that it was rewritten as a whole, or cut."""

from pathlib import Path

import apsw
import msgspec
import pytest
from tests.ledger import samples
from tests.ledger.samples import deposit

from solvent.errors import SolventError
from solvent.ledger import witness
from solvent.ledger.group_commit import GroupCommitter, decided
from solvent.ledger.journal import MemoryJournal
from solvent.ledger.recovery import verify
from solvent.ledger.signing import PASSPHRASE, SignedHead, Signer, make_key
from solvent.ledger.sqlite import SqliteJournal
from solvent.ledger.witness import FileWitness, PublishedWitness, Witnessing


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return make_key(tmp_path / "key.pem")


def witnessed(path: Path, signer: Signer, to: witness.Witness, every: int = 2) -> list[SignedHead]:
    """A journal of the sample day whose every second head is signed and kept."""
    journal, clock = SqliteJournal(path), iter(range(10**6))
    witnessing = Witnessing(signer, to, every_s=0.0, clock=lambda: float(next(clock)))
    for ts_ns, entries in samples.day():
        if journal.commit(entries, ts_ns) % every == 0:
            witnessing.durable(journal.head())
    journal.close()
    return list(to.heads())


def test_a_sound_journal_agrees_with_its_witness(tmp_path: Path, signer: Signer) -> None:
    to = FileWitness(tmp_path / "witness.jsonl")
    heads = witnessed(tmp_path / "journal.db", signer, to)
    assert [each.height for each in heads] == [2, 4]
    journal = SqliteJournal(tmp_path / "journal.db", writer=False)
    assert witness.check(journal, to, "witness") == []
    assert witness.check(journal, to, "witness", frozenset({signer.public})) == []
    journal.close()


def test_a_chain_that_was_rewritten_whole_is_found_though_it_verifies(tmp_path: Path, signer: Signer) -> None:
    to = FileWitness(tmp_path / "witness.jsonl")
    witnessed(tmp_path / "journal.db", signer, to)
    forged = SqliteJournal(tmp_path / "forged.db")
    for ts_ns, entries in samples.day():
        forged.commit(entries, ts_ns + 1)
    assert verify(forged).problems == [], "control: the chain alone cannot tell"
    assert [(each.field, each.row) for each in witness.check(forged, to, "witness")] == [("hash", 2)]
    forged.close()


def test_a_cut_tail_is_found_though_the_rest_verifies(tmp_path: Path, signer: Signer) -> None:
    to = FileWitness(tmp_path / "witness.jsonl")
    witnessed(tmp_path / "journal.db", signer, to)
    with apsw.Connection(str(tmp_path / "journal.db")) as tool:
        tool.execute("DELETE FROM block WHERE height > 3")
        row = tool.execute("SELECT height, ts_ns, hash FROM block ORDER BY 1 DESC LIMIT 1").get
        tool.execute("UPDATE writer SET height = ?, ts_ns = ?, hash = ?", row)
    journal = SqliteJournal(tmp_path / "journal.db", writer=False)
    assert verify(journal).problems == [], "control: the chain alone cannot tell"
    (found,) = witness.check(journal, to, "witness")
    assert (found.field, found.row) == ("height", 4)
    assert "the tail was cut" in found.accepted
    journal.close()


@pytest.mark.parametrize("field", ["height", "ts_ns", "hash", "key", "signature"])
def test_a_head_that_was_changed_is_found(tmp_path: Path, signer: Signer, field: str) -> None:
    heads = witnessed(tmp_path / "journal.db", signer, FileWitness(tmp_path / "witness.jsonl"))
    value = getattr(heads[0], field)
    changed = value + 1 if isinstance(value, int) else ("0" if value[0] != "0" else "1") + value[1:]
    forged = [msgspec.structs.replace(heads[0], **{field: changed}), heads[1]]
    journal = SqliteJournal(tmp_path / "journal.db", writer=False)
    to = PublishedWitness(lambda signed: None, lambda: forged)
    assert witness.check(journal, to, "witness", frozenset({signer.public}))
    journal.close()


def test_a_stranger_cannot_vouch(tmp_path: Path, signer: Signer) -> None:
    to = FileWitness(tmp_path / "witness.jsonl")
    witnessed(tmp_path / "journal.db", signer, to)
    stranger = make_key(tmp_path / "stranger.pem")
    journal = SqliteJournal(tmp_path / "journal.db", writer=False)
    to.record(stranger.sign(journal.head()))
    assert [each.field for each in witness.check(journal, to, "witness")] == ["key"]
    assert [each.field for each in witness.check(journal, to, "w", frozenset({stranger.public}))] == ["key", "key"]
    journal.close()


def test_a_witness_that_knows_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(SolventError, match="a witness's file"):
        witness.check(MemoryJournal(), FileWitness(tmp_path / "none"), "none")
    (tmp_path / "empty").write_text("")
    assert [each.field for each in witness.check(MemoryJournal(), FileWitness(tmp_path / "empty"), "w")] == ["heads"]
    (tmp_path / "text").write_text("hello\n")
    with pytest.raises(SolventError, match="row 1: head"):
        witness.check(MemoryJournal(), FileWitness(tmp_path / "text"), "text")


def test_heads_are_told_at_an_interval_and_at_the_end(signer: Signer) -> None:
    told: list[SignedHead] = []
    journal, now = MemoryJournal(), [0.0]
    witnessing = Witnessing(signer, PublishedWitness(told.append, lambda: told), 60.0, lambda: now[0])
    for second in range(0, 150, 10):
        now[0] = float(second)
        journal.commit([deposit(0, 0, 1)], second)
        witnessing.durable(journal.head())
    assert [each.height for each in told] == [1, 7, 13]
    witnessing.close(journal.head())
    witnessing.close(journal.head())
    assert [each.height for each in told] == [1, 7, 13, 15]


def test_acknowledgements_are_signed(signer: Signer) -> None:
    journal = MemoryJournal()
    with GroupCommitter(journal, decided, signer=signer) as committer:
        answer = committer.submit([deposit(0, 0, 1)]).result(10)
    assert answer.hash == journal.head().hash
    assert answer.signed is not None
    assert (answer.signed.height, answer.signed.hash) == (1, answer.hash.hex())
    assert answer.signed.faults() == ""
    assert msgspec.structs.replace(answer.signed, height=2).faults()


def test_keys_are_for_their_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key.pem"
    monkeypatch.setenv(PASSPHRASE, "open sesame")
    made = make_key(path)
    assert Signer.from_file(path).public == made.public
    assert b"ENCRYPTED" in path.read_bytes()
    with pytest.raises(SolventError, match="a new file"):
        make_key(path)
    monkeypatch.setenv(PASSPHRASE, "open barley")
    with pytest.raises(SolventError, match="an Ed25519 key in PEM"):
        Signer.from_file(path)
    monkeypatch.delenv(PASSPHRASE)
    with pytest.raises(SolventError, match=PASSPHRASE):
        Signer.from_file(path)
    path.chmod(0o644)
    with pytest.raises(SolventError, match="chmod 600"):
        Signer.from_file(path)
    with pytest.raises(SolventError, match="a key file"):
        Signer.from_file(tmp_path / "none.pem")
