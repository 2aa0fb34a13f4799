"""`solvent fetch` and `solvent snapshot`: files from a local exchange; bad arguments exit with 2 and write nothing."""

from pathlib import Path

import pytest
from tests.engine.sources.exchange_server import Exchange, serving
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.engine.files import read_candles, read_market

EXAMPLES = Path(__file__).parents[2] / "examples"
RUNNER = CliRunner()


@pytest.fixture(scope="module", autouse=True)
def _ccxt() -> None:
    pytest.importorskip("ccxt", reason="needs the extra `feeds`")


def test_fetch_writes_candles_of_a_named_window(tmp_path: Path) -> None:
    out = tmp_path / "bt.parquet"
    with serving(Exchange()) as url:
        arguments = ["fetch", "ccxt:bitstamp", "--window", "black-thursday", "--out", str(out), "--endpoint", url]
        result = RUNNER.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "wrote 386 candles" in result.output
    assert set(read_candles(out)["asset"]) == {"BTC", "ETH"}


def test_fetch_takes_times_and_assets(tmp_path: Path) -> None:
    out = tmp_path / "bt.csv"
    with serving(Exchange()) as url:
        times = ["--from", "2020-03-08", "--to", "2020-03-08T05:00"]
        result = RUNNER.invoke(
            app, ["fetch", "ccxt:bitstamp", *times, "--assets", "eth", "--out", str(out), "--endpoint", url]
        )
    assert result.exit_code == 0, result.output
    assert read_candles(out)["asset"].to_list() == ["ETH"] * 6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "2020-03-08"], "--from, --to"),
        (["--from", "soon", "--to", "2020-03-08"], "--from = soon"),
        (["--from", "2020-03-09", "--to", "2020-03-08"], "not before"),
        (["--window", "lehman"], "one of black-thursday"),
        (["--window", "ftx", "--assets", ","], "assets separated by commas"),
        (["--window", "ftx", "--endpoint", "nowhere"], "endpoint = nowhere"),
        (["--window", "ftx", "--endpoint", "http://127.0.0.1:9"], "network"),
    ],
)
def test_bad_arguments_exit_with_2_and_write_nothing(tmp_path: Path, arguments: list[str], said: str) -> None:
    out = tmp_path / "x.parquet"
    result = RUNNER.invoke(app, ["fetch", "ccxt:bitstamp", "--out", str(out), *arguments])
    assert result.exit_code == 2
    assert said in result.output
    assert list(tmp_path.iterdir()) == []


def test_snapshot_writes_a_market_with_surfaces(tmp_path: Path) -> None:
    out = tmp_path / "market.json"
    with serving(Exchange(read_market(EXAMPLES / "market-options.json"))) as url:
        result = RUNNER.invoke(
            app, ["snapshot", "ccxt:deribit", "--assets", "BTC", "--out", str(out), "--endpoint", url]
        )
    assert result.exit_code == 0, result.output
    assert "60,000" in result.output
    market = read_market(out)
    assert set(market.surfaces) == {"BTC"}
    assert len(market.universe) > 30


def test_a_snapshot_of_options_needs_a_file_that_keeps_surfaces(tmp_path: Path) -> None:
    with serving(Exchange(read_market(EXAMPLES / "market-options.json"))) as url:
        out = str(tmp_path / "market.csv")
        result = RUNNER.invoke(app, ["snapshot", "ccxt:deribit", "--assets", "BTC", "--out", out, "--endpoint", url])
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []
