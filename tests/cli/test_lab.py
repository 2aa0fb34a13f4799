"""`solvent lab` as people type it: tables, JSON, pages, and faults that are named."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from solvent.cli.main import app

runner = CliRunner()

DEBTS = """debtor,creditor,amount
North,South,60
South,East,50
East,North,30
West,"North",40
"""
ASSETS = """institution,external_assets,external_liabilities
North,20,10
South,30,20
East,10,
West,50,5
"""
MARKET = """instrument,price,volume_usd_daily
BTC,60000,10000
USDC,1,
BTC/USDC:USDC,60000,10000
"""
BOOK = """account,instrument,quantity,entry_price
one,USDC,20000,
one,BTC/USDC:USDC,1,60000
two,USDC,30000,
two,BTC/USDC:USDC,1,60000
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in (("debts", DEBTS), ("assets", ASSETS), ("market", MARKET), ("book", BOOK)):
        (tmp_path / f"{name}.csv").write_text(text)
    chance = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(0.01 * chance.standard_normal(400)))
    start = datetime(2024, 1, 1, tzinfo=UTC)
    times = [start + timedelta(hours=i) for i in range(400)]
    candles = {"ts": times, "symbol": ["ETH/USDT"] * 400, "open": close, "high": close * 1.01, "low": close * 0.99}
    pl.DataFrame({**candles, "close": close, "volume_usd": [1e7] * 400}).write_parquet(tmp_path / "candles.parquet")
    return tmp_path


def run(*options: str) -> str:
    result = runner.invoke(app, ["lab", *options])
    assert result.exit_code == 0, result.output
    return result.stdout


CONTAGION = ("contagion", "--exposures", "debts.csv", "--assets", "assets.csv", "--shock", "West=0.8")
CASCADE = ("cascade", "--book", "book.csv", "--market", "market.csv", "--asset", "btc")
THRESHOLDS = ("thresholds", "--data", "candles.parquet", "--asset", "ETH", "--paths", "200", "--borrows", "1e7")


def test_contagion_names_who_defaults_and_whose_failure_hurts() -> None:
    text = run(*CONTAGION)
    (west,) = [line for line in text.splitlines() if line.startswith("West") and "defaults" in line]
    assert west.split()[1:5] == ["45.00", "5.00", "10.00", "22.2%"]
    assert "alarm" in text
    found = json.loads(run(*CONTAGION, "--json"))
    rows = {row["institution"]: row for row in found["institutions"]}
    assert {name for name, row in rows.items() if row["defaulted"]} == {"North", "West"}
    assert rows["North"]["payment_usd"] == pytest.approx(20 + 30 + 40 * 10 / 45)
    assert found["failures"][0]["institution"] == "West"
    costly = json.loads(run(*CONTAGION, "--alpha", "0.5", "--beta", "0.5", "--json"))
    assert sum(row["payment_usd"] for row in costly["institutions"]) < sum(row["payment_usd"] for row in rows.values())


def test_cascade_follows_a_move_to_its_end() -> None:
    found = json.loads(run(*CASCADE, "--json"))
    assert sum(row["accounts"] for row in found["bins"] if row["direction"] == "down") == 2
    down = [row for row in found["shocks"] if row["direction"] == "down"]
    assert any(row["total"] is None for row in down)  # a volume of 20 thousand bears no sale of 40 thousand
    calm = json.loads(run(*CASCADE, "--kappa", "1e-12", "--json"))
    assert all(row["total"] == pytest.approx(row["shock"], abs=1e-6) for row in calm["shocks"])
    assert "runs away" in run(*CASCADE)
    half = json.loads(run(*CASCADE, "--closed-share", "0.5", "--json"))
    for one, other in zip(found["bins"], half["bins"], strict=True):
        assert other["liquidated_usd"] == pytest.approx(one["liquidated_usd"] / 2)


def test_thresholds_say_what_was_chosen_and_why_not_more() -> None:
    text = run(*THRESHOLDS)
    assert "ETH: not higher: at " in text
    found = json.loads(run(*THRESHOLDS, "--json"))
    (asset,) = found["assets"]
    assert asset["loan_to_value"] == pytest.approx(max(0, asset["liquidation_threshold"] - asset["cushion"]))
    assert f"{asset['liquidation_threshold']:.0%}" in text
    assert found["setting"]["borrows_usd"] == 1e7
    assert json.loads(run(*THRESHOLDS, "--json")) == found  # seeded
    pool = json.loads(run(*THRESHOLDS, "--reserve", "1e6", "--json"))
    assert pool["setting"]["impact_law"] == "constant_product"
    assert pool["assets"][0]["liquidation_threshold"] <= asset["liquidation_threshold"]


@pytest.mark.parametrize(
    ("options", "heading"),
    [(CONTAGION, "Contagion"), (CASCADE, "Liquidation cascades"), (THRESHOLDS, "Liquidation thresholds")],
)
def test_a_page_needs_nothing_else(options: tuple[str, ...], heading: str, folder: Path) -> None:
    assert "wrote page.html" in run(*options, "--report", "page.html")
    text = (folder / "page.html").read_text()
    assert f"<h1>{heading}" in text
    assert 'class="plot"' in text
    assert "http-equiv" not in text
    assert "<script src" not in text


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--shock", "Wst=0.5"), "institution = Wst"),
        (("--shock", "West"), "NAME=PART"),
        (("--alpha", "1.5"), "a recovery from 0 to 1"),
        (("--assets", "debts.csv"), "institution"),
    ],
)
def test_faults_of_contagion_are_named(options: tuple[str, ...], told: str) -> None:
    result = runner.invoke(app, ["lab", *CONTAGION, *options])
    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((*CASCADE, "--closed-share", "2"), "closed_share"),
        ((*CASCADE, "--kappa", "-1"), "kappa"),
        ((*CASCADE, "--asset", "XYZ"), "XYZ"),
        ((*THRESHOLDS, "--bonus", "3"), "bonus"),
        ((*THRESHOLDS, "--asset", "BTC"), "BTC"),
        ((*THRESHOLDS, "--from", "soon"), "soon"),
        ((*THRESHOLDS, "--vol-multiple", "nan"), "vol_multiple"),
    ],
)
def test_faults_of_the_others_are_named(options: tuple[str, ...], told: str) -> None:
    result = runner.invoke(app, ["lab", *options])
    assert result.exit_code == 2
    assert told in result.stderr
