"""`solvent replay` as people type it: table, JSON, page, sweep, a journal that is continued, bad input."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.engine.crash import HOURS, crash_file
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.ledger.sqlite import SqliteJournal

FIGURES = (
    "ticks, accounts, commands, liquidations, liquidated_notional_usd, penalties_usd, shortfall_usd, "
    "insurance_start_usd, insurance_used_usd, insurance_end_usd, deleveraged_accounts, socialised_loss_usd, "
    "bad_debt_usd, initial_margin_to_notional, uncovered_accounts_peak, ticks_degraded, conserved, state_hash"
)


@pytest.fixture(scope="module")
def candles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crash_file(tmp_path_factory.mktemp("candles"))


def invoke(candles: Path, *arguments: str) -> tuple[int, str, str]:
    options = ["replay", "--market", str(candles), "--accounts", "60", "--insurance", "2000"]
    result = CliRunner().invoke(app, [*options, *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_table_says_what_happened(candles: Path) -> None:
    code, out, err = invoke(candles)
    assert (code, err) == (0, "")
    for words in ("2024-06-01 00:45 to 2024-06-03 23:45", "60 generated accounts, seed 7", "policy portfolio@",
                  "notional liquidated", "shortfall", "state hash", "no funding for BTC, ETH"):  # fmt: skip
        assert words in out


def test_json_has_every_figure_and_the_same_hash_each_time(candles: Path) -> None:
    code, out, _ = invoke(candles, "--json")
    found = json.loads(out)
    assert code == 0
    assert set(FIGURES.split(", ")) <= found.keys()
    assert (found["ticks"], found["conserved"]) == (HOURS, True)
    assert json.loads(invoke(candles, "--json")[1]) == found


def test_a_page_and_a_sweep(candles: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    code, out, _ = invoke(candles, "--sweep", "margin_scale=0.5:2:2", "--report", str(page), "--json")
    assert code == 0
    swept = json.loads(out)["sweep"]
    assert swept["parameter"] == "margin_scale"
    assert [run["value"] for run in swept["runs"]] == [0.5, 2.0]
    assert swept["runs"][0]["shortfall_usd"] > swept["runs"][1]["shortfall_usd"]
    assert '<div id="frontier"' in page.read_text()


def test_a_journal_is_kept_and_continued(candles: Path, tmp_path: Path) -> None:
    store = str(tmp_path / "run.journal")
    whole = json.loads(invoke(candles, "--json", "--store", store)[1])
    again = json.loads(invoke(candles, "--json", "--store", store)[1])
    assert again["state_hash"] == whole["state_hash"]
    assert again["ticks"] == 0
    verified = CliRunner().invoke(app, ["journal", "verify", "--redecide", "--json", store])
    assert verified.exit_code == 0
    assert json.loads(verified.stdout)["state_hash"] == whole["state_hash"]
    code, _, err = invoke(candles, "--store", store, "--seed", "8")
    assert code == 2
    assert "the journal is of another run" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--assets", "BTC,NOPE"], "NOPE"),
        (["--from", "soon"], "from = soon"),
        (["--to", "2019-01-01"], "times that the file has"),
        (["--policy", "nope"], "nope"),
        (["--sweep", "margin_scale"], "NAME=LO:HI"),
        (["--sweep", "nope=1:2"], "nope"),
        (["--book", "nope.csv"], "nope.csv"),
        (["--perp-funding", "nope.csv"], "nope.csv"),
        (["--report", "/nowhere/page.html"], "report = /nowhere/page.html"),
        (["--accounts", "1"], "accounts = 1"),
    ],
)
def test_bad_input_ends_with_2_and_leaves_nothing(
    candles: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    store = tmp_path / "run.journal"
    code, out, err = invoke(candles, "--store", str(store), *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert not list(tmp_path.iterdir())


def test_a_policy_that_cannot_be_safe_leaves_no_journal(candles: Path, tmp_path: Path) -> None:
    policy, store = tmp_path / "unsafe.toml", tmp_path / "run.journal"
    policy.write_text(
        'name = "unsafe"\nversion = "1"\nas_of = "2024-01-01"\nsource = "a test"\n'
        '[margin]\nrule = "portfolio"\noffset_most = 0.95\n'
    )
    code, _, err = invoke(candles, "--policy", str(policy), "--store", str(store))
    assert code == 2
    assert "offset_most" in err
    assert not store.exists()


def test_a_process_of_its_own_prints_json_alone(candles: Path) -> None:
    code = "from solvent.cli.main import run; run()"
    command = [sys.executable, "-c", code, "replay", "--market", str(candles), "--accounts", "20", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(ran.stdout)["conserved"] is True
    assert ran.stderr == ""


def test_the_journal_of_a_replay_has_a_block_a_tick(candles: Path, tmp_path: Path) -> None:
    store = tmp_path / "run.journal"
    invoke(candles, "--store", str(store), "--to", "2024-06-01T05:00")
    assert SqliteJournal(store, writer=False).head().height == 4 + 6
