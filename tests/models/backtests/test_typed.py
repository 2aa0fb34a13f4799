"""Forecasts from files: every type that a table may have gives the same frame; what is wrong is listed by row."""

from pathlib import Path

import polars as pl
import pytest
from tests.reports.forecasts import forecasts

from solvent.engine.files import read_rows, write_frame
from solvent.errors import SolventError
from solvent.models.backtests.summary import summarise, typed


@pytest.mark.parametrize("ending", ["parquet", "csv", "arrow"])
def test_a_file_gives_back_what_was_written(tmp_path: Path, ending: str) -> None:
    frame = forecasts(300)
    path = tmp_path / f"forecasts.{ending}"
    write_frame(path, frame)
    found = typed(*read_rows(path))
    assert found["ts"].to_list() == frame["ts"].to_list()
    assert found.schema["ts"] == pl.Datetime("us", "UTC")
    assert summarise(found)["exceptions"].to_list() == summarise(frame)["exceptions"].to_list()


@pytest.mark.parametrize(
    "times", [["2024-01-02", "2024-01-03T05:00:00Z", "2024-01-04 00:00:00.000000+0000"], ["2024-01-02"] * 3]
)
def test_ways_to_write_a_time(times: list[str]) -> None:
    rows = {"ts": times, "asset": "BTC", "side": "long", "model": "m", "level": "0.99", "margin": "0.1", "loss": "0.2"}
    found = typed(pl.DataFrame(rows))
    assert [f"{each:%Y-%m-%d}" for each in found["ts"]] == [each[:10] for each in times]
    assert found["loss"].to_list() == [0.2] * 3


def test_every_wrong_value_is_named_with_its_row() -> None:
    rows = {
        "ts": ["2024-01-02", "soon", "2024-01-04"], "asset": ["BTC", "BTC", None], "side": ["long", "up", "short"],
        "model": "m", "level": [0.99, 99.0, 0.99], "margin": ["0.1", "a tenth", "-0.1"], "loss": [0.1, None, 0.1],
    }  # fmt: skip
    with pytest.raises(SolventError) as caught:
        typed(pl.DataFrame(rows), "f.csv")
    found = {(each.row, each.field) for each in caught.value.problems}
    assert found == {(2, "ts"), (3, "asset"), (2, "side"), (2, "level"), (2, "margin"), (3, "margin")}


def test_a_table_of_something_else_is_refused() -> None:
    with pytest.raises(SolventError) as caught:
        typed(pl.DataFrame({"ts": ["2024-01-02"], "price": [1.0]}))
    assert {each.field for each in caught.value.problems} == {"asset", "side", "model", "level", "margin", "loss"}
