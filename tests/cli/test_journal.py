"""`solvent journal` from the outside: what it prints, what it writes, how it fails."""

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import apsw
import pytest
from tests.ledger import samples
from tests.ledger.test_sqlite import write_day
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.ledger.sqlite import SqliteJournal
from solvent.ledger.state import State

runner = CliRunner()
WRITTEN = list(chain.from_iterable(entries for _, entries in samples.day()))
NOTES = 2
"""Of the snapshots at the second and fourth block."""
COMMANDS = len(WRITTEN) + NOTES
EVENTS = sum(len(entry.events) for entry in WRITTEN) + NOTES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_day(tmp_path / "journal.db")
    return tmp_path / "journal.db"


def add(path: Path, *entries: e.Entry) -> None:
    journal = SqliteJournal(path)
    journal.commit(entries, journal.head().ts_ns)
    journal.close()


def damage(path: Path) -> None:
    with apsw.Connection(str(path)) as tool:
        tool.execute("UPDATE block SET payload = CAST('[]' AS BLOB) WHERE height = 3")


def test_verify_shows_figures_and_hashes(path: Path) -> None:
    result = runner.invoke(app, ["journal", "verify", str(path)])
    assert result.exit_code == 0
    state = samples.state_of_the_day()
    assert f"5 with {COMMANDS} commands and {EVENTS} events" in result.output
    assert state.hash().hex() in result.output
    assert "nothing was cut or altered" in result.output


def test_verify_as_json_and_the_noted_hash(path: Path) -> None:
    report = json.loads(runner.invoke(app, ["journal", "verify", "--json", str(path)]).stdout)
    assert report["problems"] == []
    assert report["state_hash"] == samples.state_of_the_day().hash().hex()
    assert runner.invoke(app, ["journal", "verify", str(path), "--holds", report["head_hash"].upper()]).exit_code == 0
    result = runner.invoke(app, ["journal", "verify", str(path), "--holds", "ab" * 32])
    assert result.exit_code == 2
    assert "the chain was cut or rewritten" in result.stderr


def test_verify_names_the_block_that_was_altered(path: Path) -> None:
    damage(path)
    result = runner.invoke(app, ["journal", "verify", str(path)])
    assert result.exit_code == 2
    assert "journal.db row 3: hash = " in result.stderr
    assert "the block was altered" in result.stderr
    result = runner.invoke(app, ["journal", "verify", str(path), "--json"])
    assert result.exit_code == 2
    assert [each["row"] for each in json.loads(result.stdout)["problems"]] == [3]


def test_verify_can_decide_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def redecide(state: State, entry: e.Entry) -> tuple[e.Event, ...]:
        return () if isinstance(entry.command, c.Sweep) else entry.events

    monkeypatch.setattr("solvent.engine.engine.Redecider", lambda: redecide)
    result = runner.invoke(app, ["journal", "verify", "--redecide", str(path)])
    assert result.exit_code == 2
    assert f"{COMMANDS} commands" in result.output
    assert "row 4: entry 3 Sweep = (): as journalled: (Swept(" in result.stderr


@pytest.mark.parametrize("command", ["verify", "export", "tail"])
def test_what_is_no_journal_is_said(command: str, tmp_path: Path) -> None:
    result = runner.invoke(app, ["journal", command, str(tmp_path / "none.db")])
    assert result.exit_code == 2
    assert "none.db: journal = no such file" in result.stderr.replace("\n", "")
    assert list(tmp_path.iterdir()) == []


def test_export_writes_every_event(path: Path) -> None:
    result = runner.invoke(app, ["journal", "export", str(path)])
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == EVENTS
    assert lines[0]["fields"]["instrument"]["id"] == "USDC"
    assert {"owner": "maker", "asset": "USDC", "amount": "1000000"} in lines[9]["postings"]


def test_export_as_csv(path: Path) -> None:
    add(path, e.Entry(c.Sweep(0), (e.Refused(reason="no"),), caller='=HYPERLINK("x")', key="+1"))
    result = runner.invoke(app, ["journal", "export", "--format", "csv", str(path)])
    lines = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(lines) == EVENTS + 1
    assert json.loads(lines[9]["postings"])[1] == {"owner": "maker", "asset": "USDC", "amount": "1000000"}
    assert (lines[-1]["caller"], lines[-1]["key"]) == ('\'=HYPERLINK("x")', "'+1")
    assert lines[-1]["legs"] == ""


def test_export_writes_a_file_whole_or_not_at_all(path: Path) -> None:
    out = path.parent / "events.jsonl"
    assert runner.invoke(app, ["journal", "export", str(path), "--out", str(out)]).exit_code == 0
    assert len(out.read_text().splitlines()) == EVENTS
    out.write_text("as it was")
    with apsw.Connection(str(path)) as tool:
        tool.execute("UPDATE block SET payload = CAST('?' AS BLOB) WHERE height = 5")
    result = runner.invoke(app, ["journal", "export", str(path), "--out", str(out)])
    assert result.exit_code == 2
    assert "row 5: payload" in result.stderr
    assert out.read_text() == "as it was"
    assert not list(path.parent.glob("*.part")) + list(path.parent.glob(".*"))


def test_export_to_where_nothing_can_be_written(path: Path) -> None:
    result = runner.invoke(app, ["journal", "export", str(path), "--out", str(path.parent / "no" / "where.jsonl")])
    assert result.exit_code == 2
    assert "--out = No such file or directory" in result.stderr


def test_tail_shows_the_last_events(path: Path) -> None:
    result = runner.invoke(app, ["journal", "tail", "-n", "3", str(path)])
    lines = result.stdout.splitlines()
    assert [line.split()[2] for line in lines] == ["AuctionClosed", "Staged", "Frozen"]
    assert "account=taker stage=healthy" in lines[1]
    everything = runner.invoke(app, ["journal", "tail", "-n", "1000", str(path)]).stdout.splitlines()
    assert len(everything) == EVENTS
    assert "maker -0.000003 USDC, fees +0.000003 USDC, maker +0.0001 BTC/USDC:USDC" in "".join(everything)
    assert runner.invoke(app, ["journal", "tail", "-n", "0", str(path)]).stdout == ""


def test_tail_shows_a_few_of_many_movements(path: Path) -> None:
    moved = tuple((account, 0, 1 - 2 * (account % 2)) for account in range(1000))
    event = e.Funded(instrument=2, interval=9, rate_e12=0, postings=moved)
    add(path, e.Entry(c.Fund(2, 9, 0), (event,)))
    (line,) = runner.invoke(app, ["journal", "tail", "-n", "1", str(path)]).stdout.splitlines()
    assert line.endswith("3 -0.000001 USDC and 996 more")


def test_what_a_terminal_would_obey_is_written_out(path: Path) -> None:
    add(path, e.Entry(c.OpenAccount("x"), (e.Refused(reason="\x1b[2J[red]gone"),), caller="a\nb"))
    result = runner.invoke(app, ["journal", "tail", "-n", "1", str(path)])
    assert "\x1b[2J" not in result.stdout
    assert "\\x1b[2J[red]gone" in result.stdout
    assert "a\\nb" in result.stdout


def follow_until(process: "subprocess.Popen[str]", seen: Callable[[str], bool]) -> str:
    """Output of a process up to the first line that satisfies `seen`."""
    assert process.stdout is not None
    output = ""
    for line in process.stdout:
        output += line
        if seen(line):
            break
    return output


def test_tail_follows_a_journal_as_it_grows(path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from solvent.cli.main import run; run()",
            "journal",
            "tail",
            "-f",
            "-n",
            "1",
            str(path),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert "Frozen" in follow_until(process, lambda line: "Frozen" in line)
        event = e.AccountOpened(account=3, name="newcomer", owner="newcomer")
        add(path, e.Entry(c.OpenAccount("newcomer"), (event,)), samples.deposit(3, 0, 5_000_000))
        output = follow_until(process, lambda line: "Deposited" in line)
        assert "newcomer +5 USDC" in output
        process.send_signal(2)
        deadline = time.monotonic() + 10
        assert process.wait(max(0.1, deadline - time.monotonic())) == 130
    finally:
        process.kill()
        process.wait()
