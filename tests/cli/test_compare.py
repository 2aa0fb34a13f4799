"""`solvent compare` as people type it: table, JSON, page, and what it refuses."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.margin.rule import BUILT_IN

runner = CliRunner()

MARKET = """instrument,price
BTC,60000
ETH,3000
USDC,1
BTC/USDC:USDC,60000
"""
BOOK = """account,instrument,quantity
calm,USDC,100000
long,USDC,53000
long,BTC/USDC:USDC,5
"rich[b]x",BTC,3
"""
PAIR = """name = "pair"
version = "1"
as_of = "2026-01-01"
source = "a test"
[margin]
rule = "pair"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a book, a market, a stricter version of `portfolio`, and a tiny rule's policy."""
    from solvent.engine.files import policy_text

    monkeypatch.setitem(BUILT_IN, "pair", "tests.engine.pair_rule:PairRule")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "market.csv").write_text(MARKET)
    (tmp_path / "book.csv").write_text(BOOK)
    (tmp_path / "pair.toml").write_text(PAIR)
    strict = policy_text("portfolio").replace('version = "1"', 'version = "strict"', 1)
    strict = strict.replace('rule = "portfolio"', 'rule = "portfolio"\nmargin_scale = 1.4')
    (tmp_path / "strict.toml").write_text(strict)
    return tmp_path


def run(*options: str) -> str:
    result = runner.invoke(app, ["compare", "--book", "book.csv", "--market", "market.csv", *options])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.usefixtures("folder")
def test_the_table_shows_figures_disagreement_and_its_terms() -> None:
    text = run("--policies", "portfolio,strict.toml")
    lines = [line.split() for line in text.splitlines()]
    assert next(x for x in lines if x[:1] == ["long"])[:5] == ["long", "portfolio", "v1", "healthy", "53,000.00"]
    assert "portfolio strict liquidates, portfolio v1 does not: long" in text
    assert "long: terms that make the difference, USD" in text
    scan = next(line for line in lines if "scan" in line)
    assert scan[-1] == "+19,200.00"  # 5 x 60,000 x 0.16 x 0.4
    assert "rich[b]x" in text


@pytest.mark.usefixtures("folder")
def test_rules_is_another_name_and_refusals_name_instrument_and_reason() -> None:
    text = run("--rules", "portfolio, pair.toml", "--account", "long")
    assert "pair refuses long: BTC/USDC:USDC (perpetual): spot" in text
    assert "refused" in text
    assert "calm" not in text.partition("refuses")[2]


@pytest.mark.usefixtures("folder")
def test_json_holds_everything() -> None:
    found = json.loads(run("--policies", "portfolio,strict.toml,pair.toml", "--json"))
    assert [each["label"] for each in found["policies"]] == ["portfolio v1", "portfolio strict", "pair"]
    assert found["policies"][2]["accounts"] == {
        "healthy": 2,
        "below initial": 0,
        "liquidatable": 0,
        "insolvent": 0,
        "refused": 1,
    }
    assert found["changing"] == ["long"]
    assert found["flips"] == [{"liquidates": "portfolio strict", "spares": "portfolio v1", "accounts": ["long"]}]
    by_name = {each["account"]: each["policies"] for each in found["accounts"]}
    assert by_name["calm"]["portfolio v1"]["health"] == "inf"
    assert by_name["long"]["pair"]["equity"] is None
    assert by_name["long"]["pair"]["refused_instruments"] == "BTC/USDC:USDC"
    terms = {(row["total"], row["term"]): row["amounts"] for row in found["terms"]["long"]}
    scan = terms["initial_margin", "scan"]
    assert (scan["portfolio v1"], scan["pair"]) == ("48000.000000000", None)


def test_the_report_is_one_page(folder: Path) -> None:
    text = run("--policies", "portfolio,strict.toml,pair.toml", "--report", "out.html")
    assert "wrote out.html" in text
    html = (folder / "out.html").read_text()
    assert "One book, several rules" in html
    assert "rich[b]x" in html


@pytest.mark.usefixtures("folder")
def test_a_large_book_shows_where_they_disagree_first(folder: Path) -> None:
    rows = "".join(f"a{i},USDC,{1000 + i}\n" for i in range(60))
    (folder / "book.csv").write_text(BOOK + rows)
    text = run("--policies", "portfolio,strict.toml")
    assert "... and 23 more accounts" in text
    assert text.index("long ") < text.index("rich")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--policies", "portfolio"], "2 to 16 policies"),
        (["--policies", "portfolio,nobody"], "name = nobody: one of"),
        (["--policies", "portfolio,strict.toml", "--account", "who"], "account = who: one of calm"),
        (["--policies", "portfolio,missing.toml"], "missing.toml"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_bad_input_exits_with_2(options: list[str], said: str) -> None:
    result = runner.invoke(app, ["compare", "--book", "book.csv", "--market", "market.csv", *options])
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
