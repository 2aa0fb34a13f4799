"""Backups are whole journals; what is restored takes no writer before a person confirms what the witness saw."""

from pathlib import Path

import apsw
import pytest
from tests.ledger import samples
from tests.ledger.samples import deposit
from tests.ledger.test_stores import server, sound, store, write_day

from solvent.errors import JournalCorrupt, SolventError
from solvent.ledger import copies
from solvent.ledger.recovery import recover
from solvent.ledger.stores import open_journal

__all__ = ["server", "store"]


def backed_up(source: str, out: Path) -> copies.Head:
    journal = open_journal(source, writer=False)
    try:
        return copies.backup(journal, out)
    finally:
        journal.close()


def restored(backup: Path, target: str) -> copies.Head:
    journal = open_journal(str(backup), writer=False)
    try:
        return copies.restore(journal, target)
    finally:
        journal.close()


def test_a_backup_of_any_store_comes_back_into_any_store(store: str, tmp_path: Path) -> None:
    source = str(tmp_path / "source.db")
    state = write_day(source)
    head = backed_up(source, tmp_path / "backup.db")
    assert restored(tmp_path / "backup.db", store) == head
    reader = open_journal(store, writer=False)
    assert recover(reader).hash() == state.hash()
    reader.close()
    again = backed_up(store, tmp_path / "again.db")
    assert again == head
    assert sound(store) == sound(str(tmp_path / "again.db")) == [1, 2, 3, 4, 5]


def test_a_restored_store_takes_no_writer_before_it_is_confirmed(store: str, tmp_path: Path) -> None:
    write_day(str(tmp_path / "source.db"))
    head = backed_up(str(tmp_path / "source.db"), tmp_path / "backup.db")
    restored(tmp_path / "backup.db", store)
    with pytest.raises(SolventError, match="restored, not confirmed"):
        open_journal(store)
    with pytest.raises(SolventError, match="it is another chain"):
        copies.confirm(store, 5, "00" * 32)
    with pytest.raises(SolventError, match="at least 7, which the witness saw"):
        copies.confirm(store, 7, head.hash.hex())
    with pytest.raises(SolventError, match="restored, not confirmed"):
        open_journal(store)
    assert copies.confirm(store, 5, head.hash.hex()) == head
    journal = open_journal(store)
    journal.commit([deposit(0, 0, 1)], 6 * samples.HOUR_NS)
    blocks = list(journal.read(5))
    assert blocks[1].epoch > blocks[0].epoch, "whoever wrote the original is of an older epoch"
    journal.close()


def test_a_known_loss_needs_a_reason(store: str, tmp_path: Path) -> None:
    write_day(str(tmp_path / "source.db"))
    backed_up(str(tmp_path / "source.db"), tmp_path / "backup.db")
    restored(tmp_path / "backup.db", store)
    assert copies.confirm(store, 9, "00" * 32, loss="the disk and its mirror burned").height == 5
    open_journal(store).close()


def test_a_store_in_use_is_not_restored_into(store: str, tmp_path: Path) -> None:
    write_day(str(tmp_path / "source.db"))
    backed_up(str(tmp_path / "source.db"), tmp_path / "backup.db")
    journal = open_journal(store)
    journal.commit([deposit(0, 0, 1)], 1)
    journal.close()
    with pytest.raises(SolventError, match="an empty store"):
        restored(tmp_path / "backup.db", store)


def test_a_restore_that_was_cut_short_goes_on(store: str, tmp_path: Path) -> None:
    write_day(str(tmp_path / "source.db"))
    head = backed_up(str(tmp_path / "source.db"), tmp_path / "backup.db")
    journal = open_journal(str(tmp_path / "backup.db"), writer=False)

    def cut(height: int) -> None:
        if height == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copies.restore(journal, store, cut)
    with pytest.raises(SolventError, match="restored, not confirmed"):
        open_journal(store)
    assert copies.restore(journal, store) == head
    journal.close()


def test_a_damaged_journal_gives_no_backup(tmp_path: Path) -> None:
    write_day(str(tmp_path / "source.db"))
    with apsw.Connection(str(tmp_path / "source.db")) as tool:
        tool.execute("UPDATE block SET ts_ns = ts_ns + 1 WHERE height = 4")
    with pytest.raises(JournalCorrupt, match="the block was altered"):
        backed_up(str(tmp_path / "source.db"), tmp_path / "backup.db")
    assert [each.name for each in tmp_path.iterdir() if "backup" in each.name] == []
    write_day(str(tmp_path / "sound.db"))
    (tmp_path / "there.db").write_text("mine")
    with pytest.raises(SolventError, match="a new file"):
        backed_up(str(tmp_path / "sound.db"), tmp_path / "there.db")
    assert (tmp_path / "there.db").read_text() == "mine"
