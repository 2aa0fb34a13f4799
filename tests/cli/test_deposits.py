"""`solvent deposits` on a journal: what waits, who may credit it, what is let go."""

import json
from pathlib import Path

import pytest
from tests.engine.desk import policy_with
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.domain import commands as c
from solvent.domain.symbols import instrument
from solvent.engine import start
from solvent.engine.engine import Engine, Submission
from solvent.engine.sources.tick import SourcePrice, Tick
from solvent.ledger.recovery import recover
from solvent.ledger.sqlite import SqliteJournal

NOW_NS = 1_717_405_200 * 10**9


@pytest.fixture
def store(tmp_path: Path) -> str:
    """Two deposits of a million each, where more than a thousand USD takes two."""
    journal = SqliteJournal(tmp_path / "venue.journal")
    engine = Engine(journal)
    policy = policy_with(limits={"USDC": {"second_person_usd": 1_000}})
    start.begin(engine, policy, [instrument("USDC")], Tick(NOW_NS, (SourcePrice("USDC", "north", 1.0),)))
    reported = [c.OpenAccount("trader"), *(c.Deposit(0, 0, 10**12, f"wire-{n}") for n in (1, 2))]
    start.all_accepted(engine.execute([Submission(each, "operator", "ada") for each in reported], NOW_NS))
    journal.close()
    return str(tmp_path / "venue.journal")


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["deposits", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_another_person_credits_one_and_one_is_dropped(store: str) -> None:
    row = {"reference": "wire-1", "account": "trader", "asset": "USDC", "amount": "1000000", "by": "ada"}
    assert json.loads(run("list", store, "--json"))[0] == row
    assert "1000000" in run("list", store)
    assert "other than the one" in run("confirm", store, "wire-1", "--person", "ada", code=2)
    assert "credited" in run("confirm", store, "wire-1", "--person", "grace")
    assert "a deposit that waits" in run("confirm", store, "wire-1", "--person", "grace", code=2)
    assert "dropped" in run("drop", store, "wire-2", "--person", "ada")
    assert "nothing waits" in run("list", store)
    state = recover(SqliteJournal(store, writer=False))
    assert state.balance(0, 0) == 10**12
    assert state.references == {"wire-1"}


def test_a_journal_that_is_not_there(tmp_path: Path) -> None:
    assert "not there" in run("confirm", str(tmp_path / "none"), "wire-1", "--person", "ada", code=2)
