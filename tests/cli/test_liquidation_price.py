"""`solvent liquidation-price` as people type it: every crossing with its side, and nobody left out."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from solvent.cli.main import app

runner = CliRunner()

MARKET = """instrument,price
BTC,60000
ETH,3000
USDC,1
BTC/USDC:USDC,60000
"""
BOOK = """account,instrument,quantity,entry_price
long,USDC,60000,
long,BTC/USDC:USDC,5,60000
"both[b]",USDC,60000,
"both[b]",ETH,10,
"both[b]",BTC/USDC:USDC,-4,60000
cash,USDC,1000,
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "market.csv").write_text(MARKET)
    (tmp_path / "book.csv").write_text(BOOK)
    return tmp_path


def run(*options: str) -> str:
    result = runner.invoke(app, ["liquidation-price", "--book", "book.csv", "--market", "market.csv", *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_each_crossing_is_a_line_and_accounts_without_one_are_named() -> None:
    text = run()
    lines = [line.split() for line in text.splitlines()]
    (long,) = [line for line in lines if line[:1] == ["long"]]
    assert long[1:5] == ["BTC", "1.48", "60,000.00", "below"]
    assert 50_000 < float(long[5].replace(",", "")) < 60_000
    assert any(line[:1] == ["both[b]"] for line in lines)
    assert "changes: cash" in text
    assert "to the tick" in text


def test_a_price_is_where_what_if_says_so() -> None:
    """At the price the account is liquidatable; a few ticks before it, it is not."""
    found = json.loads(run("--asset", "BTC", "--account", "long", "--json"))
    (crossing,) = found["crossings"]
    assert (crossing["account"], crossing["direction"]) == ("long", "down")
    assert crossing["crossing_price"] == pytest.approx(60000 * crossing["factor"], rel=1e-12)
    for factor, state in ((crossing["factor"], "liquidatable"), (crossing["factor"] + 1e-5, "below initial")):
        shock = f"BTC=x{factor:.18f}"
        options = ["what-if", "--book", "book.csv", "--market", "market.csv", "--shock", shock, "--json"]
        accounts = json.loads(runner.invoke(app, options).stdout)["accounts"]
        assert {each["account"]: each["after"]["state"] for each in accounts}["long"] == state


def test_all_assets_together() -> None:
    text = run("--asset", "all", "--no-exact")
    line = next(line.split() for line in text.splitlines() if line.startswith("long"))
    assert line[1] == "all"
    assert line[-1].startswith("-")
    assert "interpolated" in text
    found = json.loads(run("--asset", "all", "--json"))
    assert {row["crossing_price"] for row in found["crossings"]} == {None}


def test_refused_accounts_are_named_with_the_reason() -> None:
    text = run("--policy", "aave-v3")
    assert "refused long, both[b]: BTC/USDC:USDC (perpetual)" in text
    found = json.loads(run("--policy", "aave-v3", "--json"))
    assert set(found["refused"]) == {"long", "both[b]"}
    assert found["without"] == ["cash"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--asset", "DOGE"], "asset = DOGE: one of BTC"),
        (["--account", "nobody"], "nobody"),
        (["--policy", "nobody"], "nobody"),
    ],
)
def test_bad_input_exits_with_2(options: list[str], said: str) -> None:
    result = runner.invoke(app, ["liquidation-price", "--book", "book.csv", "--market", "market.csv", *options])
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
