"""`solvent train` as people type it: files under their hash, a policy that names them, a venue that runs with them."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.models.hourly_market import made_candles
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.engine.adaptive.model_files import models_of
from solvent.engine.files import read_policy
from solvent.engine.sources.simulated import START_NS
from solvent.models import boosting, hourly
from solvent.models.hours import HOUR_NS

pytest.importorskip("lightgbm", reason="needs the extra `models`")

runner = CliRunner()
COUNT = hourly.WARM_UP_HOURS + hourly.HELD_OUT_HOURS + 1


def typed(*args: object, code: int = 0) -> str:
    result = runner.invoke(app, [str(each) for each in args])
    assert result.exit_code == code, result.output
    return result.output if code else result.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hours of BTC that end where the simulated market begins."""
    path = tmp_path_factory.mktemp("data") / "candles.parquet"
    ts = pl.Series("ts", [START_NS - (COUNT - k) * HOUR_NS for k in range(COUNT)])
    made_candles(COUNT).with_columns(pl.from_epoch(ts, "ns").dt.replace_time_zone("UTC")).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def made(data: Path) -> tuple[Path, dict[str, Any]]:
    """A folder with a model and a policy that names it, and what the command says of it."""
    folder = data.parent / "models"
    said = typed(
        "train", "--data", data, "--assets", "BTC", "--out", folder,
        "--policy", "portfolio", "--policy-out", data.parent / "named.toml", "--json",
    )  # fmt: skip
    (row,) = json.loads(said)
    return folder, row


def test_a_file_has_its_hash_in_name_and_policy(made: tuple[Path, dict[str, Any]]) -> None:
    folder, row = made
    (file,) = folder.iterdir()
    assert file.name == row["file"] == f"BTC-{row['blake2b'][:12]}.lightgbm.txt"
    assert boosting.digest(file.read_text()) == row["blake2b"]
    policy = read_policy(str(folder.parent / "named.toml"))
    assert policy.margin["prediction"]["BTC"] == {name: row[name] for name in ("file", "blake2b", "learnt_before")}
    assert models_of(policy, folder)["BTC"].blake2b == row["blake2b"]
    assert row["hours"] == hourly.HELD_OUT_HOURS - hourly.RESIDUALS_LEAST
    assert row["score_of_core_long"] < 1.1


def test_the_same_data_give_the_same_file_and_the_table_names_it(
    data: Path, made: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out = typed("train", "--data", data, "--assets", "btc", "--out", tmp_path)
    assert made[1]["blake2b"][:12] in out
    assert [each.name for each in tmp_path.iterdir()] == [made[1]["file"]]


def test_a_venue_runs_with_it_and_says_who_speaks(data: Path, made: tuple[Path, dict[str, Any]]) -> None:
    said = typed(
        "up", "--source", "simulated", "--assets", "BTC", "--accounts", 10, "--store", "memory", "--ticks", 530,
        "--policy", data.parent / "named.toml", "--models", made[0], "--history", data, "--adaptive",
        "--adaptive-every", 265, "--speed", 0, "--json-lines",
    )  # fmt: skip
    ticks = [json.loads(line) for line in said.splitlines()][:-1]
    assert "speaks" not in ticks[0]
    (spoken,) = ticks[-1]["speaks"]
    assert spoken.startswith(f"BTC model {made[1]['blake2b'][:8]}: long ")


def test_without_a_history_the_core_speaks_and_says_so(data: Path, made: tuple[Path, dict[str, Any]]) -> None:
    said = typed(
        "up", "--source", "simulated", "--assets", "BTC", "--accounts", 10, "--store", "memory", "--ticks", 530,
        "--policy", data.parent / "named.toml", "--models", made[0], "--adaptive", "--adaptive-every", 520,
        "--speed", 0, "--json-lines",
    )  # fmt: skip
    assert json.loads(said.splitlines()[-2])["speaks"] == ["BTC core: 43 of 5,760 hours of candles"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--to", "2023-09-01"), "of which 2160 are held out"),
        (("--to", "soon"), "a date such as"),
        (("--policy", "portfolio"), "both or neither"),
        (("--policy", "dydx-v4", "--policy-out", "x.toml"), "portfolio"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    data: Path, tmp_path: Path, args: tuple[str, ...], said: str
) -> None:
    assert said in typed("train", "--data", data, "--assets", "BTC", "--out", tmp_path / "models", *args, code=2)
    assert not (tmp_path / "models").exists()


def test_a_missing_package_is_named(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solvent.engine.adaptive.model_files.find_spec", lambda name: None)
    said = typed("train", "--data", data, "--assets", "BTC", "--out", tmp_path, code=2)
    assert "lightgbm = not installed" in said
