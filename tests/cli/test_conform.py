"""solvent conform: what it prints, and with what it exits."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from solvent.cli.main import app

runner = CliRunner()

GOOD = {"id": "good", "fn": "toxic_bound", "inputs": {"lt": "0.8", "bonus": "0.2"}, "expected": {"product": "0.96"}}
WRONG = {**GOOD, "id": "wrong", "expected": {"product": "0.97"}}
UNKNOWN = {**GOOD, "id": "unknown", "fn": "prophecy"}


def written(folder: Path, *vectors: dict[str, Any]) -> str:
    path = folder / "vectors.json"
    head = {"schema": "solvent-vectors/1", "family": "lending", "suite": "papers_liquidation_theory"}
    path.write_text(json.dumps({**head, "tolerance": "exact", "vectors": vectors}), encoding="utf-8")
    return str(path)


def test_a_line_a_suite_and_exit_0_when_all_pass(tmp_path: Path) -> None:
    result = runner.invoke(app, ["conform", written(tmp_path, GOOD)])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "papers_liquidation_theory  1 passed, 0 failed, 0 unsupported",
        "total                      1 passed, 0 failed, 0 unsupported",
    ]


def test_exit_1_and_the_reason_when_one_fails(tmp_path: Path) -> None:
    result = runner.invoke(app, ["conform", written(tmp_path, GOOD, WRONG)])
    assert result.exit_code == 1
    assert "failed: wrong (toxic_bound)" in result.stdout
    assert "product: expected 0.97 (exact), found 0.96" in result.stdout


def test_exit_1_when_one_is_unsupported(tmp_path: Path) -> None:
    result = runner.invoke(app, ["conform", written(tmp_path, UNKNOWN)])
    assert result.exit_code == 1
    assert "unsupported: unknown (prophecy)" in result.stdout


def test_json_has_totals_suites_and_a_row_a_vector(tmp_path: Path) -> None:
    result = runner.invoke(app, ["conform", written(tmp_path, GOOD, WRONG, UNKNOWN), "--json"])
    report = json.loads(result.stdout)
    counts = {"passed": 1, "failed": 1, "unsupported": 1}
    assert result.exit_code == 1
    assert {key: report[key] for key in counts} == counts
    assert report["suites"] == {"papers_liquidation_theory": counts}
    assert [row["status"] for row in report["vectors"]] == ["passed", "failed", "unsupported"]
    row = report["vectors"][0]
    assert row["inputs"] == GOOD["inputs"]
    assert row["expected"] == GOOD["expected"]
    assert row["found"]["product"] == "0.96"


def test_verbose_shows_inputs_expected_and_found(tmp_path: Path) -> None:
    result = runner.invoke(app, ["conform", written(tmp_path, GOOD), "--verbose"])
    assert 'inputs: {"lt": "0.8", "bonus": "0.2"}' in result.stdout
    assert 'expected: {"product": "0.96"}' in result.stdout
    assert '"product": "0.96", "admissible": true' in result.stdout


def test_a_file_out_of_schema_exits_with_2_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "vectors.json"
    path.write_text("{}", encoding="utf-8")
    result = runner.invoke(app, ["conform", str(path)])
    assert result.exit_code == 2
    assert "schema" in result.stderr


def test_what_a_terminal_would_obey_is_printed_in_plain(tmp_path: Path) -> None:
    result = runner.invoke(app, ["conform", written(tmp_path, {**UNKNOWN, "id": "\x1b[31mred"})])
    assert "\x1b" not in result.stdout
    assert r"\x1b[31mred" in result.stdout
