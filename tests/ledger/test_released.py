"""Journals of released versions are read by this one: one file a version, with every command and event in it.

At a release, and only then: `SOLVENT_WRITE_JOURNAL=1 ./test tests/ledger/test_released.py`, and commit the new file.
"""

import json
import os
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.ledger import samples

from solvent.ledger.image import STATE_VERSION
from solvent.ledger.recovery import recover, verify
from solvent.ledger.sqlite import SqliteJournal

FOLDER = Path(__file__).parent / "journals"
HASHES = FOLDER / "state-hashes.json"
RELEASED = sorted(FOLDER.glob("*.journal"))


def released_hashes() -> dict[str, str]:
    return json.loads(HASHES.read_text()) if HASHES.exists() else {}


@pytest.mark.skipif("SOLVENT_WRITE_JOURNAL" not in os.environ, reason="writes the journal of a release, when asked to")
def test_write_the_journal_of_this_version() -> None:
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{version('solvent')}.journal"
    path.unlink(missing_ok=True)
    journal = SqliteJournal(path)
    hashes = released_hashes() | {path.name: samples.write_day(journal, 2).hash().hex()}
    journal.close()
    HASHES.write_text(json.dumps(hashes, indent=1, sort_keys=True) + "\n")


@pytest.mark.parametrize("path", RELEASED, ids=lambda each: each.name)
def test_a_released_journal_is_sound_and_adds_up_to_the_same_state(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    journal = SqliteJournal(copy, writer=False)
    assert {block.state_version for block in journal.read()} <= set(range(1, STATE_VERSION + 1))
    assert all(block.epoch > 0 for block in journal.read())
    assert verify(journal).problems == []
    assert recover(journal).hash().hex() == released_hashes()[path.name]
    journal.close()


def test_there_is_a_journal_of_this_version() -> None:
    assert f"{version('solvent')}.journal" in [path.name for path in RELEASED]
