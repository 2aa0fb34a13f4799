"""`solvent margin` on the examples: the table, the venue's figures beside ours, terms that add up, JSON, bad input."""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

import solvent as sv
from solvent.cli.main import app
from solvent.cli.margin import ACCOUNTS_SHOWN
from solvent.engine.files import read_book, read_market

EXAMPLES = Path(__file__).parents[2] / "examples"
SPOT_PERP = [f"--book={EXAMPLES / 'book-spot-perp.csv'}", f"--market={EXAMPLES / 'market-spot-perp.csv'}"]
OPTIONS = [f"--book={EXAMPLES / 'book-options.csv'}", f"--market={EXAMPLES / 'market-options.json'}"]
DERIBIT = [f"--book={EXAMPLES / 'deribit-account.json'}", f"--market={EXAMPLES / 'market-options.json'}"]
CCXT = [f"--book={EXAMPLES / 'ccxt-account.json'}", f"--market={EXAMPLES / 'market-spot-perp.csv'}"]
STATES = r"(healthy|below initial|liquidatable|insolvent)"

runner = CliRunner()


def run(*arguments: str, exit_code: int = 0) -> str:
    result = runner.invoke(app, ["margin", *arguments])
    assert result.exit_code == exit_code, result.output
    return result.output


def amounts(line: str) -> list[Decimal]:
    """Numbers of a line that have decimals, as printed."""
    return [Decimal(each.replace(",", "")) for each in re.findall(r"[+-]?[\d,]+\.\d+", line)]


def test_every_account_stands_in_the_table_with_the_librarys_figures() -> None:
    market = read_market(EXAMPLES / "market-spot-perp.csv")
    statement = sv.assess(read_book(EXAMPLES / "book-spot-perp.csv", market.universe, market).book, market).to_frame()
    shown = run(*SPOT_PERP)
    assert re.search(r"portfolio@[0-9a-f]{8}  rule portfolio, as of \d{4}-\d\d-\d\d", shown)
    assert "market of 2024-06-01 00:00:00 UTC; 7 accounts" in shown
    for row in statement.to_dicts():
        line = next(line for line in shown.splitlines() if line.startswith(row["account"] + " "))
        names = ("equity", "initial_margin", "maintenance_margin", "health")
        assert [float(x) for x in amounts(line)[:4]] == [pytest.approx(row[name], abs=0.005) for name in names]
        assert re.search(STATES, line)
        assert line.rstrip().endswith(row["worst_scenario"])
        assert ("liquidatable" in line) == row["liquidatable"]


@pytest.mark.parametrize("given", [DERIBIT, CCXT], ids=["deribit", "ccxt"])
def test_what_the_venue_says_stands_beside_ours_with_the_difference(given: list[str]) -> None:
    lines = run(*given).splitlines()
    at = next(i for i, line in enumerate(lines) if "the venue says" in line)
    ours, theirs, apart = (amounts(lines[i]) for i in (at - 1, at, at + 1))
    missing = 3 - len(theirs)  # ccxt's positions give margins but no equity
    assert [mine - venue for mine, venue in zip(ours[missing:3], theirs, strict=True)] == [
        pytest.approx(each, abs=Decimal("0.011")) for each in apart
    ]
    assert "ours less theirs" in lines[at + 1]


def test_a_plain_book_has_no_venue_lines() -> None:
    assert "venue says" not in run(*SPOT_PERP)


@pytest.mark.parametrize(
    ("given", "account"), [(SPOT_PERP, "levered"), (OPTIONS, "collar"), (DERIBIT, "main"), (CCXT, "futures")]
)
def test_explained_terms_add_up_as_printed(given: list[str], account: str) -> None:
    shown = run(*given, f"--explain={account}")
    table = shown[shown.index(f"{account}: every term") :].splitlines()[1:]
    totals, sums = {}, Decimal(0)
    for line in table:
        name = re.match(r"(equity|initial margin|maintenance margin)\b", line)
        printed = re.search(r"(-?[\d,]+\.\d{2,9})( |$)", line[20:])
        if printed is None:
            continue
        amount = Decimal(printed[1].replace(",", ""))
        if name:
            assert sums == amount, line
            totals[name[0]], sums = amount, Decimal(0)
        else:
            sums += amount
    assert list(totals) == ["equity", "initial margin", "maintenance margin"]
    assert totals["maintenance margin"] <= totals["initial margin"]


def test_json_has_policy_states_accounts_reported_and_explanations() -> None:
    found = json.loads(run(*DERIBIT, "--json", "--explain=main"))
    assert found["policy"]["name"] == found["policy"]["rule"] == "portfolio"
    assert len(found["policy"]["digest"]) == 64
    assert found["ts_ns"] == 1_717_200_000_000_000_000
    (account,) = found["accounts"]
    assert account["account"] == "main"
    assert account["state"] == "healthy"
    assert account["liquidatable"] is False
    assert account["reported"]["maintenance_margin"] == pytest.approx(28_086)
    explained = found["explanations"]["main"]
    for total, text in explained["totals"].items():
        terms = [Decimal(term["amount"]) for term in explained["terms"] if term["total"] == total]
        assert sum(terms) == Decimal(text)
        assert Decimal(text) == pytest.approx(Decimal(account[total]), abs=Decimal("0.001"))


def test_a_large_book_shows_the_lowest_health_first(tmp_path: Path) -> None:
    size = 3 * ACCOUNTS_SHOWN
    rows = [f"a{i},USDC,{1000 * (i + 1)},\na{i},BTC/USDC:USDC,0.1,60030" for i in range(size)]
    book = tmp_path / "book.csv"
    book.write_text("\n".join(["account,instrument,quantity,entry_price", *rows]))
    shown = run(f"--book={book}", SPOT_PERP[1])
    first = re.search(rf"^(a\d+) .*{STATES}", shown, re.MULTILINE)
    assert first is not None
    assert first[1] == "a0"
    assert f"and {size - ACCOUNTS_SHOWN} more accounts" in shown
    assert len(json.loads(run(f"--book={book}", SPOT_PERP[1], "--json"))["accounts"]) == size


def test_accounts_that_a_rule_cannot_margin_are_refused_with_the_reason() -> None:
    shown = run(*OPTIONS, "--policy=hyperliquid")
    assert "refused" in shown
    found = json.loads(run(*OPTIONS, "--policy=hyperliquid", "--json", "--explain=collar"))
    refused = [each for each in found["accounts"] if each["state"] == "refused"]
    assert refused
    assert all(each["liquidatable"] is None and each["refused"] and each["equity"] is None for each in refused)
    assert found["explanations"] == {"collar": None}


def test_names_of_accounts_cannot_command_the_terminal(tmp_path: Path) -> None:
    book = tmp_path / "book.csv"
    book.write_text("account,instrument,quantity\n\x1b[31mred[bold],USDC,5\n")
    shown = run(f"--book={book}", SPOT_PERP[1])
    assert "\x1b[31m" not in shown
    assert "red[bold]" in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([*SPOT_PERP, "--policy=none-such"], "portfolio"),
        ([*SPOT_PERP, "--explain=nobody"], "one of cash, carry"),
        (["--book=missing.csv", SPOT_PERP[1]], "missing.csv"),
        ([OPTIONS[0], SPOT_PERP[1]], "book-options.csv row"),
    ],
)
def test_bad_input_is_told_with_exit_code_2(arguments: list[str], told: str) -> None:
    result = runner.invoke(app, ["margin", *arguments])
    assert result.exit_code == 2
    assert told in result.output
    assert "Traceback" not in result.output


def test_an_unsafe_policy_is_refused_with_every_problem(tmp_path: Path) -> None:
    policy = tmp_path / "mine.toml"
    policy.write_text(
        'name = "mine"\nversion = "1"\nas_of = "2024-01-01"\nsource = "me"\n'
        '[margin]\nrule = "portfolio"\noffset_most = 0.9\nmaintenance_factor = 2.0\n'
    )
    shown = run(*SPOT_PERP, f"--policy={policy}", exit_code=2)
    assert "offset_most = 0.9" in shown
    assert "maintenance_factor = 2.0" in shown
