"""`solvent backtest` as people type it: table, JSON, files, figures, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.models.hourly_market import made_candles
from tests.models.samples import garch_returns
from typer.testing import CliRunner

from solvent.cli.main import app

runner = CliRunner()

FIGURES = (
    "observations", "exceptions", "kupiec_p", "conditional_coverage_p", "dq_p", "mean_margin",
    "mean_margin_at_equal_coverage", "historical_var_500_at_equal_coverage", "peak_to_trough", "max_one_day_rise",
)  # fmt: skip
SPAN = ("--from", "2021-06-01", "--to", "2021-08-31")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two assets, 800 days from 2019-07-01."""
    days = pl.date_range(pl.date(2019, 7, 1), pl.date(2021, 9, 7), eager=True)
    frames = [
        pl.DataFrame({"date": days, "asset": asset, "close": 100 * np.exp(np.cumsum(garch_returns(len(days), seed)))})
        for seed, asset in enumerate(("BTC", "ETH"), start=1)
    ]
    path = tmp_path / "prices.csv"
    pl.concat(frames).write_csv(path)
    return path


def typed(*args: object, code: int = 0) -> str:
    result = runner.invoke(app, ["backtest", *map(str, args)])
    assert result.exit_code == code, result.output
    return result.output if code else result.stdout


def rows(*args: object) -> list[dict[str, Any]]:
    return json.loads(typed(*args, "--json"))


def test_a_row_an_asset_and_side(data: Path) -> None:
    pytest.importorskip("arch", reason="needs the extra `models`")
    found = rows("--data", data, "--assets", "BTC,ETH", *SPAN, "--model", "stack", "--level", "0.99")
    assert [(row["asset"], row["side"]) for row in found] == [
        ("BTC", "long"), ("BTC", "short"), ("ETH", "long"), ("ETH", "short"),
    ]  # fmt: skip
    assert all(set(FIGURES) <= row.keys() for row in found)
    assert {row["observations"] for row in found} == {92}
    assert all(row["max_one_day_rise"] <= 0.25 for row in found)


def test_all_assets_from_the_first_day_that_can_be_tested(data: Path) -> None:
    """250 returns before it; what cannot be tested is left out and named."""
    found = rows("--data", data, "--model", "hs-250")
    assert [row["asset"] for row in found] == ["BTC", "BTC", "ETH", "ETH"]
    assert {row["observations"] for row in found} == {799 - 250}
    short = pl.read_csv(data).filter((pl.col("asset") == "BTC") | (pl.col("date") > "2021-06-01"))
    short.write_csv(data)
    out = typed("--data", data, "--policy", "portfolio")
    assert "ETH  long" not in out
    assert "left out: ETH: prices.csv: from = ETH" in " ".join(out.split())
    pl.read_csv(data).filter(pl.col("asset") == "ETH").write_csv(data)
    assert "the data do not cover the test" in typed("--data", data, code=2)


def test_one_of_several_sources_is_chosen_by_name(data: Path) -> None:
    frame = pl.read_csv(data).filter(pl.col("asset") == "BTC")
    two = [frame.with_columns(venue=pl.lit(name)) for name in ("here", "there")]
    pl.concat(two).write_csv(data)
    asked = ("--data", data, "--assets", "BTC", *SPAN, "--model", "hs-250")
    assert "one source of an asset, such as by --venue" in " ".join(typed(*asked, code=2).split())
    assert "one of here, there" in " ".join(typed(*asked, "--venue", "nowhere", code=2).split())
    assert rows(*asked, "--venue", "there")[0]["observations"] == 92


def test_the_table_says_what_it_shows(data: Path) -> None:
    out = typed("--data", data, "--assets", "btc", *SPAN, "--model", "hs-250")
    assert "99.00% of losses to be covered, 2021-06-01 to 2021-08-31, 92 bars of BTC" in out
    assert "hs-250" in out


def test_a_policy_is_backtested_by_the_moves_it_charges(data: Path) -> None:
    found = rows("--data", data, "--assets", "BTC,ETH", *SPAN, "--policy", "portfolio")
    assert found[0]["mean_margin"] == pytest.approx(-np.log(1 - 0.16))
    assert found[1]["mean_margin"] == pytest.approx(np.log(1 + 0.16))
    assert found[0]["peak_to_trough"] == 1.0


def test_a_horizon_takes_the_worst_of_interleaved_tests(data: Path) -> None:
    found = rows("--data", data, "--assets", "BTC", *SPAN, "--model", "fhs-ewma-97", "--horizon", 3)
    assert found[0]["interleaved_tests"] == 3
    one = rows("--data", data, "--assets", "BTC", *SPAN, "--model", "fhs-ewma-97")
    assert found[0]["mean_margin"] > 1.2 * one[0]["mean_margin"]


def test_forecasts_and_a_page_are_written(data: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "forecasts.parquet", tmp_path / "page.html"
    typed("--data", data, "--assets", "BTC", *SPAN, "--models", "hs-250,brw", "--out", out, "--report", page)
    assert pl.read_parquet(out)["model"].unique().sort().to_list() == ["brw", "hs-250"]
    assert "brw" in page.read_text()


def test_hourly_candles_are_bars_too(tmp_path: Path) -> None:
    ts = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 2, 1), "1h", eager=True, time_zone="UTC")
    frame = pl.DataFrame({"ts": ts, "asset": "BTC", "close": 100 * np.exp(np.cumsum(garch_returns(len(ts))))})
    path = tmp_path / "hours.parquet"
    frame.write_parquet(path)
    found = rows("--data", path, "--assets", "BTC", "--from", "2024-01-20", "--to", "2024-01-25", "--model", "hs-250")
    assert found[0]["observations"] == 6 * 24


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("--model", "crystal-ball"), "--model = crystal-ball: one of hs-250"),
        (("--from", "yesterday"), "--from = yesterday: a date such as"),
        (("--to", "2030-01-01"), "2021-09-07, the last day of BTC, or earlier"),
        (("--from", "2019-12-01"), "BTC 2019-12-01: 152 returns before it"),
        (("--assets", "XYZ"), "asset = XYZ"),
        (("--level", "1.5"), "--level = 1.5"),
        (("--horizon", "0"), "--horizon = 0: 1 to 60"),
        (("--from", "2021-08-10", "--horizon", "20"), "--horizon = 20 on BTC: at most 15 bars"),
        (("--policy", "aave-v3"), "portfolio: it states the moves it charges"),
    ],
)
def test_what_cannot_be_tested_is_refused_by_name(data: Path, changed: tuple[str, ...], said: str) -> None:
    stated = {"--data": str(data), "--assets": "BTC", "--from": SPAN[1], "--to": SPAN[3], "--model": "hs-250"}
    stated |= dict(zip(changed[::2], changed[1::2], strict=True))
    assert said in " ".join(typed(*(each for pair in stated.items() for each in pair), code=2).split())


def test_missing_days_are_named(data: Path) -> None:
    kept = [line for line in data.read_text().splitlines() if not line.startswith("2021-07-04")]
    data.write_text("\n".join(kept))
    out = typed("--data", data, "--assets", "BTC", *SPAN, "--model", "hs-250", code=2)
    assert "BTC: 2021-07-04 missing" in out


def test_a_price_of_zero_is_named(data: Path) -> None:
    lines = data.read_text().splitlines()
    lines[5] = lines[5].rpartition(",")[0] + ",0.0"
    data.write_text("\n".join(lines))
    assert "a price above 0" in typed("--data", data, "--assets", "BTC", *SPAN, "--model", "hs-250", code=2)


def test_the_figures_of_the_stack_on_real_prices(shared: Path) -> None:
    pytest.importorskip("arch", reason="needs the extra `models`")
    file = shared / "data" / "prices_daily" / "crypto_daily_ohlcv.parquet"
    span = ("--from", "2019-09-01", "--to", "2024-12-31", "--level", "0.99", "--model", "stack")
    found = rows("--data", file, "--assets", "BTC,ETH", *span)
    assert [row["observations"] for row in found] == [1949] * 4
    assert all(12 <= row["exceptions"] <= 28 for row in found)
    assert all(row["kupiec_p"] > 0.05 and row["conditional_coverage_p"] > 0.05 for row in found)
    assert sum(row["dq_p"] > 0.05 for row in found) >= 3
    ratios = [row["mean_margin_at_equal_coverage"] / row["historical_var_500_at_equal_coverage"] for row in found]
    assert np.mean(ratios) <= 0.95
    assert max(ratios) <= 1.0
    assert max(row["peak_to_trough"] for row in found[:2]) <= 4.0
    assert max(row["peak_to_trough"] for row in found[2:]) <= 5.5
    assert max(row["max_one_day_rise"] for row in found) <= 0.25
    assert max(row["max_five_day_rise"] for row in found) <= 1.4


def test_hourly_models_are_not_tested_on_what_they_warm_up_with(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm", reason="needs the extra `models`")
    path = tmp_path / "hours.parquet"
    made_candles(250 * 24).write_parquet(path)
    early = typed("--data", path, "--assets", "BTC", "--from", "2020-08-01", "--model", "ewma-core-fhs", code=2)
    assert "2020-08-28 or later: 240 days of BTC from 2020-01-01 are for warming up" in early
    found = rows("--data", path, "--assets", "BTC", "--from", "2020-08-28", "--model", "ewma-core-fhs")
    assert {row["observations"] for row in found} == {10 * 24}


@pytest.mark.parametrize(("model", "package"), [("hourly", "lightgbm"), ("garch-t-fhs", "arch")])
def test_each_missing_package_is_named(data: Path, monkeypatch: pytest.MonkeyPatch, model: str, package: str) -> None:
    monkeypatch.setattr("solvent.cli.backtest.find_spec", lambda name: None)
    said = typed("--data", data, "--assets", "BTC", *SPAN, "--model", model, code=2)
    assert f"{package} = not installed" in said
