"""`solvent calibrate` as people type it: what it writes, that it runs, and what it refuses to write."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.cli.calibrated import written
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.engine.files import file_sha256, read_policy

pytest.importorskip("arch", reason="needs the extra `models`")

runner = CliRunner()
EXAMPLES = Path(__file__).parents[2] / "examples"
GOOD = ("--assets", "BTC,ETH,USDC")
REASON = 'a venue with "one" <b>desk</b>'


def typed(command: str, *args: object, code: int = 0) -> str:
    result = runner.invoke(app, [command, *map(str, args)])
    assert result.exit_code == code, result.output
    return result.output if code else result.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("data") / "prices.csv")


@pytest.fixture(scope="module")
def done(data: Path) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """The policy, what the command said, and the evidence."""
    out = data.parent / "policy.toml"
    said = json.loads(typed("calibrate", "--data", data, *GOOD, "--out", out, "--json"))
    return out, said, json.loads((data.parent / "policy.evidence.json").read_text())


def test_the_policy_names_its_data_and_method(data: Path, done: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    out, said, evidence = done
    policy = read_policy(out)
    assert policy.as_of == "2024-05-12"
    assert f"prices.csv (SHA-256 {file_sha256(data)})" in policy.source
    assert evidence["parameters_sha256"] in policy.source
    assert evidence["policy"]["digest"] == policy.digest().hex()
    assert said["policy"] == policy.label
    assert {Path(each).name for each in said["files"]} == {
        "policy.toml", "policy.evidence.json", "policy.backtest.html", "policy.documentation.html",
        "policy.forecasts.parquet",
    }  # fmt: skip
    assert all(Path(each).is_file() for each in said["files"])
    assert not list(out.parent.glob(".policy*")), "nothing temporary is left"


def test_coins_that_are_scanned_pay_for_their_sale_only(done: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    out, _, evidence = done
    margin = read_policy(out).margin
    full = {each["asset"]: each["full_haircut"] for each in evidence["collateral"]}
    for asset in ("BTC", "ETH"):
        terms = margin["collateral"][asset]
        assert terms["scanned"]
        assert 0.03 <= terms["haircut_initial"] < full[asset]
    assert "scanned" not in margin["collateral"]["USDC"]
    assert margin["collateral"]["USDC"]["haircut_initial"] == pytest.approx(full["USDC"], abs=1e-4)
    (group,) = margin["groups"]
    assert group["assets"] == ["BTC", "ETH"]


def test_a_hedge_is_not_charged_twice(done: tuple[Path, dict[str, Any], dict[str, Any]], tmp_path: Path) -> None:
    out, _, evidence = done
    (full,) = (each["full_haircut"] for each in evidence["collateral"] if each["asset"] == "BTC")
    text = out.read_text()
    row = text[text.index("[margin.collateral.BTC]") :]
    old = row.split("scanned = true")[0] + "scanned = true"
    twice = tmp_path / "twice.toml"
    charged = old.replace("scanned = true", "scanned = false").replace(
        "haircut_initial = 0.03", f"haircut_initial = {full}"
    )
    twice.write_text(text.replace(old, charged))
    once_and_twice = [margin_of("carry", policy) for policy in (out, twice)]
    assert once_and_twice[0] < 0.8 * once_and_twice[1]


def margin_of(account: str, policy: Path) -> float:
    files = ("--book", EXAMPLES / "book-spot-perp.csv", "--market", EXAMPLES / "market-spot-perp.csv")
    answer = json.loads(typed("margin", *files, "--policy", policy, "--json"))
    (row,) = (each for each in answer["accounts"] if each["account"] == account)
    return float(row["initial_margin"])


def test_the_policy_is_replayed_and_backtested(done: tuple[Path, dict[str, Any], dict[str, Any]], data: Path) -> None:
    out, said, _ = done
    span = ("--from", "2024-04-01", "--to", "2024-04-05", "--assets", "BTC,ETH", "--accounts", 20)
    assert "conserved" in typed("replay", "--market", data, *span, "--policy", out)
    args = ("--data", data, "--assets", "BTC,ETH", "--from", "2023-09-01", "--policy", out, "--json")
    rows = json.loads(typed("backtest", *args))
    moves = {each["asset"]: each["price_move"] for each in said["assets"]}
    shorts = {row["asset"]: row["mean_margin"] for row in rows if row["side"] == "short"}
    assert {asset: pl.Series([margin]).exp()[0] - 1.0 for asset, margin in shorts.items()} == pytest.approx(
        {asset: moves[asset] for asset in shorts}
    )
    assert all(row["exceptions"] <= row["kupiec_most"] for row in rows)


def test_the_evidence_says_what_is_known_and_what_is_not(done: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    _, said, evidence = done
    assert evidence["passed"]
    assert evidence["overrides"] == []
    sides = [(each["asset"], each["side"]) for each in evidence["coverage"]]
    assert len(sides) == len(set(sides)) == 6
    one = evidence["coverage"][0]
    assert one["stack"]["observations"] == 369
    assert one["stack"]["coverage"] == 1.0 - one["stack"]["exceptions"] / 369
    assert [each["asset"] for each in evidence["price_moves"]] == ["BTC", "ETH", "USDC"]
    assert len(evidence["documentation"]["tests"]) == 4
    assert any("order books" in each for each in evidence["missing"])
    assert said["passed"]


def test_the_same_data_make_the_same_bytes(
    done: tuple[Path, dict[str, Any], dict[str, Any]], data: Path, tmp_path: Path
) -> None:
    out, _, _ = done
    again = tmp_path / "again.toml"
    table = typed("calibrate", "--data", data, *GOOD, "--out", again, "--evidence", tmp_path / "pack")
    assert again.read_bytes() == out.read_bytes()
    assert (tmp_path / "pack" / "again.evidence.json").read_bytes() == (
        out.parent / "policy.evidence.json"
    ).read_bytes()
    assert "offset: BTC, ETH" in table
    assert "3.0% sale" in table


def test_a_backtest_that_fails_is_not_written(data: Path, tmp_path: Path) -> None:
    args = ("calibrate", "--data", data, "--assets", "BTC,DOGE", "--out", tmp_path / "policy.toml")
    error = typed(*args, code=2)
    assert "DOGE long conditional_coverage" in error
    assert "--override" in error
    assert list(tmp_path.iterdir()) == []
    said = json.loads(typed(*args, "--override", REASON, "--evidence", tmp_path / "why.json", "--json"))
    assert not said["passed"]
    policy = read_policy(tmp_path / "policy.toml")
    assert REASON in policy.notes
    assert "DOGE long conditional_coverage" in policy.notes
    evidence = json.loads((tmp_path / "why.json").read_text())
    assert evidence["overrides"][0]["reason"] == REASON
    assert evidence["overrides"][0]["needed"]
    page = (tmp_path / "why.backtest.html").read_text()
    assert "&lt;b&gt;desk" in page
    assert "<b>desk" not in page


def test_too_little_data_is_refused_or_left_out(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "policy.toml"
    error = typed("calibrate", "--data", data, "--assets", "SOL", "--out", out, code=2)
    assert "SOL data = 299 daily returns: at least 500" in error
    assert "--override" in error
    args = ("--assets", "SOL,XYZ", "--until", "2023-09-01", "--override", "no reason gives a model data")
    named = typed("calibrate", "--data", data, *args, "--out", out, code=2)
    assert "SOL: 45 daily returns" in named
    assert "XYZ" in named
    assert not out.exists()


def test_all_leaves_out_what_has_too_little(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "policy.toml"
    args = ("--override", "a test", "--horizon", 2, "--workers", 1, "--json")
    said = json.loads(typed("calibrate", "--data", data, "--assets", "all", "--out", out, *args))
    assert said["left_out"] == {"SOL": "299 daily returns: at least 500"}
    assert {each["asset"]: each["horizon_days"] for each in said["assets"]} == dict.fromkeys(
        ("BTC", "DOGE", "ETH", "USDC"), 2
    )


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--level", "0.5"), ("--level", "0.99")),
        (("--until", "soon"), ("--until", "2024-12-31")),
        (("--horizon", "0"), ("--horizon", "1 to 60")),
        (("--base", "aave-v3"), ("aave-v3", "portfolio")),
        (("--assets", ","), ("--assets", "BTC,ETH")),
        (("--out", "policy.json"), ("--out", "*.toml")),
    ],
)
def test_wrong_arguments_are_named(data: Path, tmp_path: Path, args: tuple[str, str], words: tuple[str, str]) -> None:
    given = {"--data": str(data), "--assets": "BTC", "--out": str(tmp_path / "policy.toml"), **dict([args])}
    error = typed("calibrate", *(each for pair in given.items() for each in pair), code=2)
    assert all(word in error for word in words)


def test_nothing_is_there_where_a_file_cannot_be_written(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "policy.toml"
    out.mkdir()
    typed("calibrate", "--data", data, "--assets", "USDC", "--out", out, code=2)
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]
    assert list(out.iterdir()) == []


def test_recorded_prices(shared: Path, tmp_path: Path) -> None:
    prices = shared / "data" / "prices_daily" / "crypto_daily_ohlcv.parquet"
    args = ("--data", prices, "--assets", "ETH,USDC", "--until", "2023-12-31", "--out", tmp_path / "policy.toml")
    said = json.loads(typed("calibrate", *args, "--json"))
    assert said["passed"]
    moves = {each["asset"]: each["price_move"] for each in said["assets"]}
    assert 0.11 < moves["ETH"] < 0.16, "a day's 99 %, with the worst year in it"
    assert moves["USDC"] == 0.02
