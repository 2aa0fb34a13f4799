"""`solvent what-if` as people type it: how changes are written, what is shown, what is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.cli.what_if import deposit_of, factor, factors, trade_of
from solvent.engine.what_if import Deposit, Trade
from solvent.errors import SolventError

runner = CliRunner()

MARKET = """instrument,price
BTC,60000
ETH,3000
USDC,1
BTC/USDC:USDC,60000
"""
BOOK = """account,instrument,quantity,entry_price
long,USDC,90000,
long,BTC/USDC:USDC,5,60000
hodl,BTC,1,
"desk:1",ETH,4,
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "market.csv").write_text(MARKET)
    (tmp_path / "book.csv").write_text(BOOK)
    return tmp_path


def run(*options: str) -> str:
    result = runner.invoke(app, ["what-if", "--book", "book.csv", "--market", "market.csv", *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_table_shows_prices_states_accounts_and_terms() -> None:
    text = run("--shock", "BTC=-20%")
    assert ["BTC", "60,000", "48,000", "-20.00%"] in [line.split() for line in text.splitlines()]
    assert "1 healthy -> liquidatable" in text
    assert "long: terms that move, USD" in text
    assert next(line for line in text.splitlines() if "unsettled profit" in line).split()[-1] == "-60,000.00"
    assert "desk:1" not in text  # it holds no BTC


def test_json_holds_states_accounts_and_terms() -> None:
    found = json.loads(run("--shock", "BTC=-20%,ETH=x1.5", "--json"))
    assert found["index_usd"]["BTC"] == {"before": 60000.0, "after": 48000.0}
    assert found["changing"] == ["long"]
    assert found["transitions"][0] == {"from": "healthy", "to": "healthy", "accounts": 2}
    by_name = {each["account"]: each for each in found["accounts"]}
    assert by_name["desk:1"]["after"]["equity"] == 18000.0
    assert by_name["long"]["after"]["state"] == "liquidatable"
    assert found["terms"]["long"][0]["amounts"] == {"before": None, "after": "-60000.000000000"}


def test_trades_deposits_and_a_policy_of_ones_own(folder: Path) -> None:
    from solvent.engine.files import policy_text

    wide = policy_text("portfolio").replace('rule = "portfolio"', 'rule = "portfolio"\nmargin_scale = 2.0')
    (folder / "wide.toml").write_text(wide)
    trade = "desk:1:BTC/USDC:USDC:0.1@61000"
    text = run("--trade", trade, "--deposit", "hodl:USDC:-500", "--new-policy", "wide.toml", "--account", "desk:1")
    assert "desk:1: terms that move, USD" in text
    profit = next(line for line in text.splitlines() if "unsettled profit" in line).split()
    assert profit[-1] == "-100.00"


def test_nothing_asked_nothing_changes() -> None:
    assert "Nothing changes for any account." in run()
    assert "No account changes state." in run()


@pytest.mark.parametrize(
    ("text", "expected"), [("-20%", 0.8), ("+10%", 1.1), ("x1.5", 1.5), ("-12.5%", 0.875), ("+0%", 1.0), ("x0", 0.0)]
)
def test_a_change_is_a_percentage_or_a_factor(text: str, expected: float) -> None:
    assert factor(text, "--vol") == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("text", ["20%", "1.5", "-20", "x-1", "", "x1e3", "-٢%", "nan", "+inf%"])
def test_other_changes_are_refused(text: str) -> None:
    with pytest.raises(SolventError, match="a change such as -20%"):
        factor(text, "--vol")


def test_a_shock_names_each_asset_once() -> None:
    assert factors(" BTC=-20% , *=x0.5,") == {"BTC": 0.8, "*": 0.5}
    for text in ("BTC", "=-20%", "BTC=-20%,BTC=-10%"):
        with pytest.raises(SolventError, match="ASSET=CHANGE once each"):
            factors(text)


def test_names_and_ids_may_hold_colons() -> None:
    names = ["desk", "desk:1"]
    assert trade_of("desk:1:BTC/USDC:USDC:0.1@61000", names) == Trade("desk:1", "BTC/USDC:USDC", "0.1", "61000")
    assert trade_of("desk:BTC/USDC:USDC:-2", names) == Trade("desk", "BTC/USDC:USDC", "-2", None)
    assert trade_of("new:BTC@custodian-x:3", names) == Trade("new", "BTC@custodian-x", "3", None)
    assert deposit_of("desk:USDC:5", names) == Deposit("desk", "USDC", "5")
    for text in ("desk", "desk:BTC", "desk::5", ":BTC:5", "desk:BTC:"):
        with pytest.raises(SolventError, match="ACCOUNT:INSTRUMENT:QUANTITY"):
            trade_of(text, names)


@given(st.text(max_size=30))
def test_any_text_is_a_change_or_a_solvent_error(text: str) -> None:
    for parse in (factors, lambda each: trade_of(each, ["a"]), lambda each: deposit_of(each, ["a"])):
        try:
            found = parse(text)
        except SolventError:
            continue
        assert isinstance(found, dict | Trade | Deposit)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--shock", "DOGE=-20%"], "DOGE"),
        (["--shock", "BTC=-100%"], "a factor above 0"),
        (["--vol", "20%"], "--vol"),
        (["--trade", "nobody:BTC:1"], "nobody"),
        (["--deposit", "hodl:BTC:0.123456789"], "a multiple of"),
        (["--policy", "nobody"], "nobody"),
        (["--account", "nobody"], "nobody"),
    ],
)
def test_bad_input_exits_with_2(options: list[str], said: str) -> None:
    result = runner.invoke(app, ["what-if", "--book", "book.csv", "--market", "market.csv", *options])
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
