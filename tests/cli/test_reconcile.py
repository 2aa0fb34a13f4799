"""`solvent reconcile` on the journal of a venue: differences stop withdrawals, a person releases them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.engine.venue import VenueOptions, open_venue
from solvent.ledger.recovery import recover, verify
from solvent.ledger.sqlite import SqliteJournal


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "venue.journal"
    with open_venue(VenueOptions(store=str(path), assets=("BTC",), accounts=20)) as venue:
        next(iter(venue.run()))
    return path


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["reconcile", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_differences_stop_withdrawals_until_somebody_releases_them(store: Path, tmp_path: Path) -> None:
    custody = tmp_path / "custody.csv"
    custody.write_text("asset,amount\nUSDC,0\n")
    rows = {
        row["asset"]: row for row in json.loads(run("--store", str(store), "--custody", str(custody), "--json", code=1))
    }
    assert set(rows) == {"USDC", "BTC"}  # what the file leaves out is held at zero
    assert rows["BTC"]["withdrawals"] == "stopped"
    custody.write_text("asset,amount\n" + "".join(f"{each},{row['ledger']}\n" for each, row in rows.items()))
    text = run("--store", str(store), "--custody", str(custody))
    assert text.count("stopped") == 2  # they agree now, but nobody has said why
    for asset in ("USDC", "BTC"):
        run("--store", str(store), "--release", asset, "--reason", "the file was empty", "--person", "ada")
    assert "stopped" not in run("--store", str(store), "--custody", str(custody))
    journal = SqliteJournal(store, writer=False)
    assert recover(journal).withheld == set()
    assert verify(journal).problems == []


def test_bad_input(store: Path, tmp_path: Path) -> None:
    custody = tmp_path / "custody.csv"
    custody.write_text("asset,amount\nGOLD,1\nBTC,x\n")
    text = run("--store", str(store), "--custody", str(custody), code=2)
    assert "GOLD" in text
    assert "BTC" in text
    assert "--custody FILE" in run("--store", str(store), code=2)
    assert "reason" in run("--store", str(store), "--release", "BTC", code=2)
    assert "stopped" in run("--store", str(store), "--release", "BTC", "--reason", "why not", code=2)
    assert "not there" in run("--store", str(tmp_path / "none"), "--custody", str(custody), code=2)
