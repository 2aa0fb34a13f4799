"""Histories of failing disks, clocks, processes and clients: nothing is lost, and a disk that lies is found out."""

import pytest
from tests.conftest import NIGHTLY
from tests.ledger.samples import deposit
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.errors import Fenced, StoreFull, StoreLost
from solvent.lab.faults import FAULTS, Disk, FaultyJournal, simulate

HISTORIES = 400 if NIGHTLY else 12


@pytest.mark.parametrize("batch", range(4))
def test_no_history_loses_or_invents_anything(batch: int) -> None:
    seen: set[str] = set()
    liquidated = repeated = 0
    for seed in range(batch, HISTORIES, 4):
        outcome = simulate(seed, 250)
        assert outcome.problems == [], f"solvent simulate-faults --seed {seed} --steps 250"
        seen |= outcome.faults.keys()
        liquidated, repeated = liquidated + outcome.liquidated, repeated + outcome.repeated
    assert seen >= {*FAULTS, "clock ahead", "clock back", "take-over"}, "control: everything did fail"
    assert min(liquidated, repeated) > 0, "control: there was something to lose"


def test_a_seed_gives_the_same_history_again() -> None:
    first, again, other = simulate(3, 120), simulate(3, 120), simulate(4, 120)
    assert first == again
    assert first.trace != other.trace


def test_a_disk_that_lies_is_found_out() -> None:
    assert any("0 times in the journal" in each for each in simulate(1, 250, lying=True).problems)


def test_what_the_disk_promises() -> None:
    disk, faults = Disk(), iter(["", "lost before", "lost after", "full", ""])
    journal = FaultyJournal(disk, lambda: next(faults))
    assert journal.commit([deposit(0, 0, 1)], 1) == 1
    with pytest.raises(StoreLost):
        journal.commit([deposit(0, 0, 2)], 2)
    assert len(disk.blocks) == 1
    with pytest.raises(StoreLost, match="failed before"):
        journal.commit([deposit(0, 0, 2)], 2)
    second = FaultyJournal(disk, lambda: next(faults))
    with pytest.raises(StoreLost):
        second.commit([deposit(0, 0, 2)], 2)
    assert len(disk.blocks) == 2
    third = FaultyJournal(disk, lambda: next(faults))
    with pytest.raises(StoreFull):
        third.commit([deposit(0, 0, 3)], 3)
    assert third.commit([deposit(0, 0, 3)], 3) == 3
    FaultyJournal(disk)
    with pytest.raises(Fenced):
        third.commit([deposit(0, 0, 4)], 4)


def test_the_command_says_what_it_found() -> None:
    runner = CliRunner()
    done = runner.invoke(app, ["simulate-faults", "--seed", "5", "--steps", "60", "--histories", "2"])
    assert done.exit_code == 0
    assert len(done.stdout.strip().splitlines()) == 3
    found = runner.invoke(app, ["simulate-faults", "--seed", "1", "--steps", "250", "--lying-disk", "--json"])
    assert found.exit_code == 1
    assert "times in the journal" in found.stdout
