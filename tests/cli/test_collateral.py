"""`solvent collateral` as people type it: table, explanation, JSON, policy, past days, and what it refuses."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.engine.files import read_policy

runner = CliRunner()

FACTS = """
[THIN]
kind = "token"
launched = 2018-01-01
chain = "Test"
as_of = 2024-01-01
source = "a test"
[OWN]
kind = "venue_token"
launched = 2018-01-01
chain = "Test"
issuer = "Us"
as_of = 2024-01-01
source = "a test"
[FRIEND]
kind = "token"
launched = 2018-01-01
chain = "Test"
issuer = "Us"
as_of = 2024-01-01
source = "a test"
"""
RULES = """
[[rules]]
name = "short name"
because = "three letters are enough"
not = { field = "kind", comparison = "=", value = "venue_token" }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three years of made-up candles of five assets, facts of three of them, and rules."""
    monkeypatch.chdir(tmp_path)
    draw, days = np.random.default_rng(11), 1100
    tables = []
    for asset, volume in (("BTC", 1e10), ("THIN", 1e4), ("OWN", 1e9), ("FRIEND", 1e9), ("NEW", 1e9)):
        close = 100 * np.exp(np.cumsum(draw.normal(0, 0.02, days)))
        tables.append(pl.DataFrame({
            "date": [date(2021, 1, 1) + timedelta(days=i) for i in range(days)], "asset": [asset] * days,
            "open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume_usd": [volume] * days,
        }))  # fmt: skip
    pl.concat(tables).write_parquet(tmp_path / "days.parquet")
    (tmp_path / "facts.toml").write_text(FACTS)
    (tmp_path / "rules.toml").write_text(RULES)
    return tmp_path


def run(*options: str) -> str:
    result = runner.invoke(app, ["collateral", "--data", "days.parquet", "--facts", "facts.toml", *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def assets(*options: str) -> dict[str, Any]:
    return {each["asset"]: each for each in json.loads(run("--json", *options))["assets"]}


@pytest.mark.usefixtures("folder")
def test_the_table_says_who_counts_and_why() -> None:
    lines = run("--own-token", "OWN").splitlines()
    assert lines[0] == "collateral as 2024-01-06 began: 1 of 5 assets count"
    first = {words[0]: " ".join(words) for line in lines if (words := line.split())}
    assert " yes " in first["BTC"]
    assert "no: own token" in first["OWN"]
    assert "no: own token" in first["FRIEND"], "its issuer's others too"
    assert "no: liquidity" in first["THIN"]
    assert "no: known" in first["NEW"]


@pytest.mark.usefixtures("folder")
def test_an_explanation_shows_every_rule_mark_and_part() -> None:
    text = run("--explain", "thin")
    assert text.startswith("THIN as 2024-01-06 began: does not count")
    assert "volume_usd_daily is 10,000, asked for >= 10,000,000" in text
    for word in ("overall", "market", "in force, new risk", "loan-to-value", "regime", "size tiers"):
        assert word in text
    assert "weight 0 for          exposure to Us" in run("--explain", "FRIEND")


@pytest.mark.usefixtures("folder")
def test_json_has_all_and_a_refused_asset_weighs_nothing() -> None:
    found = assets("--own-token", "own")
    assert found["OWN"]["rule"] == "own token"
    assert found["OWN"]["haircut"] == 1.0
    assert found["OWN"]["weight"] == found["OWN"]["cap_usd"] == 0
    btc = found["BTC"]
    assert btc["eligible"]
    assert btc["weight"] == pytest.approx(1 - btc["haircut"])
    assert 0 < btc["haircut_evidence"]["maintenance"] <= btc["haircut"] < 0.2
    assert len(btc["checks"]) == 12
    assert all(check["holds"] for check in btc["checks"])


@pytest.mark.usefixtures("folder")
def test_a_past_day_sees_only_what_came_before(folder: Path) -> None:
    before = assets("--at", "2023-01-01", "--assets", "BTC")["BTC"]
    frame = pl.read_parquet(folder / "days.parquet")
    later = pl.col("date") >= date(2023, 1, 1)
    for name in ("open", "high", "low", "close"):
        frame = frame.with_columns(pl.when(later).then(pl.col(name) / 5).otherwise(pl.col(name)).alias(name))
    frame.write_parquet(folder / "days.parquet")
    assert assets("--at", "2023-01-01", "--assets", "BTC")["BTC"] == before
    assert assets("--at", "2023-01-02", "--assets", "BTC")["BTC"]["haircut"] > before["haircut"], "the control"


@pytest.mark.usefixtures("folder")
def test_own_rules_replace_the_defaults() -> None:
    found = assets("--rules", "rules.toml")
    assert found["THIN"]["eligible"]
    assert found["OWN"]["rule"] == "short name"
    assert not found["NEW"]["eligible"], "nothing is known of it"


@pytest.mark.usefixtures("folder")
def test_the_policy_that_is_written_loads(folder: Path) -> None:
    assert "wrote terms.toml" in run("--out", "terms.toml")
    policy = read_policy(folder / "terms.toml")
    assert set(policy.margin["collateral"]) == {"BTC", "OWN", "FRIEND"}
    assert policy.as_of == "2024-01-06"
    assert policy.limits["BTC"]["total_usd"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--at", "yesterday"], "--at = yesterday: a day as 2024-12-31"),
        (["--at", "2019-01-01"], "days.parquet"),
        (["--assets", "BTC,NOPE"], "asset = NOPE"),
        (["--explain", "NOPE"], "--explain = NOPE: one of BTC"),
        (["--own-token", "NOPE"], "own_token = NOPE"),
        (["--rules", "facts.toml"], "rules"),
        (["--facts", "rules.toml"], "rules.toml"),
        (["--facts", "missing.toml"], "missing.toml"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_is_refused(options: list[str], message: str) -> None:
    result = runner.invoke(app, ["collateral", "--data", "days.parquet", "--facts", "facts.toml", *options])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


@pytest.mark.usefixtures("folder")
def test_an_asset_with_a_faulty_row_is_left_out_and_named(folder: Path) -> None:
    frame = pl.read_parquet(folder / "days.parquet")
    bad = (pl.col("asset") == "THIN") & (pl.col("date") == date(2022, 1, 1))
    frame.with_columns(pl.when(bad).then(0.0).otherwise(pl.col("low")).alias("low")).write_parquet(
        folder / "days.parquet"
    )
    text = run()
    assert "not read THIN: days.parquet row 1466: low = 0.0: a price above 0" in text
    assert "3 of 4 assets count" in text


def test_real_days(shared: Path) -> None:
    """UST a week before its end, the own token of FTX a week before, USDC on the day after its fall."""
    daily = str(shared / "data" / "prices_daily" / "crypto_daily_ohlcv.parquet")

    def on(day: str, asset: str, *options: str) -> Any:
        result = runner.invoke(app, ["collateral", "--data", daily, "--at", day, "--assets", asset, "--json", *options])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)["assets"][0]

    assert on("2022-05-01", "UST")["rule"] == "algorithmic"
    assert on("2022-11-01", "FTT", "--own-token", "FTT")["rule"] == "own token"
    before, after = on("2023-03-11", "USDC"), on("2023-03-12", "USDC")
    assert after["regime"]["multiplier"] == 1.6
    assert after["haircut"] > before["haircut"] + 0.1
