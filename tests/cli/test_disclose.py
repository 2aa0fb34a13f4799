"""`solvent disclose`: each form in each format from files and from a journal; bad input is named."""

import csv
import hashlib
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.reports.forecasts import forecasts
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.engine.files import write_frame

EXAMPLES = Path(__file__).parents[2] / "examples"
BOOK = [f"--book={EXAMPLES / 'book-spot-perp.csv'}", f"--market={EXAMPLES / 'market-spot-perp.csv'}"]

runner = CliRunner()


def run(*arguments: str, exit_code: int = 0) -> str:
    result = runner.invoke(app, ["disclose", *arguments])
    assert result.exit_code == exit_code, result.output
    return result.output


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("disclose") / "forecasts.parquet"
    write_frame(path, forecasts())
    return f"--forecasts={path}"


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("journal") / "run.db"
    candles = EXAMPLES / "candles-crash.csv"
    result = runner.invoke(app, ["replay", f"--market={candles}", f"--store={path}", "--accounts=20"])
    assert result.exit_code == 0, result.output
    return f"--journal={path}"


def test_disclosure_of_a_book_and_its_backtest(given: str) -> None:
    document = json.loads(run("pfmi", *BOOK, given, "--model=right"))
    items = {each["number"]: each["value"] for each in document["items"]}
    assert items["6.1.1"] > 0
    assert items["6.5.2"] == 730
    assert items["4.1.4"] is None


def test_disclosure_of_a_journal_knows_fund_and_changes(journal: str) -> None:
    document = json.loads(run("pfmi", journal))
    items = {each["number"]: each["value"] for each in document["items"]}
    assert items["4.1.4"] > 0
    assert len(items["6.4.2"]) == 1
    assert items["6.5.2"] is None


def test_the_message_of_a_month(given: str, tmp_path: Path) -> None:
    out = tmp_path / "report.xml"
    assert "wrote" in run("auth066", given, "--model=low", "--notional=1000000", "--month=2021-03", f"--out={out}")
    root = ElementTree.fromstring(out.read_text())
    assert next(root.iter("{urn:iso:std:iso:20022:tech:xsd:auth.066.001.01}NbOfObsrvtns")).text == "62"


def test_margin_data_of_a_journal(journal: str, tmp_path: Path) -> None:
    out = tmp_path / "margin.csv"
    run("emir", journal, "--category=OWC1", f"--out={out}")
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert {each["Collateralisation category"] for each in rows} == {"OWC1"}
    assert len(rows[0]) == 29


def test_documentation_with_the_hash_of_its_data(given: str, journal: str) -> None:
    data = EXAMPLES / "candles-crash.csv"
    document = json.loads(run("model", given, "--model=right", f"--data={data}", "--policy=portfolio", journal))
    assert document["data_sha256"]["candles-crash.csv"] == hashlib.sha256(data.read_bytes()).hexdigest()
    assert document["parameters"] is None
    assert len(document["overrides"]) == 1


@pytest.mark.parametrize(
    ("form", "endings"),
    [("pfmi", ["csv", "html"]), ("auth066", ["json", "csv", "html"]), ("emir", ["json", "html"]), ("model", ["html"])],
)
def test_every_format_is_written(form: str, endings: list[str], given: str, tmp_path: Path) -> None:
    options = {
        "pfmi": [*BOOK, given, "--model=right"], "auth066": [given, "--model=right", "--notional=1"],
        "emir": BOOK, "model": [given, "--model=right"],
    }[form]  # fmt: skip
    for ending in endings:
        out = tmp_path / f"form.{ending}"
        run(form, *options, f"--out={out}")
        text = out.read_text()
        assert text.startswith({"csv": ("item", "month"), "html": "<!doctype html>", "json": "{"}[ending])


def test_bad_input_is_named(given: str, journal: str, tmp_path: Path) -> None:
    for arguments, words in (
        (["pfmi", *BOOK, journal], "not both"),
        (["pfmi", BOOK[0]], "--book with --market"),
        (["emir"], "--book with --market"),
        (["emir", *BOOK, "--account=nothing"], "ACCOUNT=LEI"),
        (["emir", *BOOK, "--category=HALF"], "UNCL"),
        (["model", given], "one of right, low"),
        (["model", given, "--model=right", f"--out={tmp_path / 'x.pdf'}"], ".json, .html"),
        (["auth066", given, "--model=right", "--notional=1", "--month=1999-01"], "2021-01 to 2022-12"),
        (["auth066", f"--forecasts={EXAMPLES / 'debts.csv'}", "--notional=1"], "a column of this name"),
    ):
        assert words in run(*arguments, exit_code=2)
