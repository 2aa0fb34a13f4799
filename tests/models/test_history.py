"""Candles become series, and everything that is missing is named at once."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from solvent.errors import SolventError
from solvent.models.history import histories

START = datetime(2020, 1, 1, tzinfo=UTC)


def candles(
    count: int = 400, step: timedelta = timedelta(days=1), asset: str = "BTC", **columns: object
) -> pl.DataFrame:
    ts = [START + i * step for i in range(count)]
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.02, count)))
    frame = pl.DataFrame({"ts": ts, "asset": [asset] * count, "close": close, "venue": ["file"] * count})
    return frame.with_columns(**{name: pl.lit(value) for name, value in columns.items()})


def problems(frame: pl.DataFrame, start: date, end: date | None = None, assets: tuple[str, ...] = ("BTC",)) -> str:
    with pytest.raises(SolventError) as caught:
        histories(frame, assets, start, end, file="prices.csv")
    return str(caught.value)


def test_both_ends_are_forecast() -> None:
    history = histories(candles(), ["btc"], date(2020, 12, 1), date(2020, 12, 31))[0]
    assert history.tested == 31
    assert history.times[history.first] == datetime(2020, 12, 1, tzinfo=UTC)
    assert history.times[history.end - 1] == datetime(2020, 12, 31, tzinfo=UTC)
    assert history.first == 334


def test_without_an_end_the_data_are_used_up() -> None:
    history = histories(candles(), ["BTC"], date(2021, 1, 1))[0]
    assert history.end == len(history.returns) == 399


def test_a_short_past_names_what_there_is() -> None:
    assert "BTC 2020-03-01: 59 returns before it" in problems(candles(), date(2020, 3, 1))
    assert "250 before it; BTC begins 2020-01-01" in problems(candles(), date(2020, 3, 1))


def test_missing_days_of_the_test_are_named() -> None:
    frame = candles().filter(~pl.col("ts").is_in([START + timedelta(days=i) for i in (350, 351)]))
    assert "BTC: 2020-12-16, 2020-12-17 missing" in problems(frame, date(2020, 12, 1))


def test_a_hole_in_the_past_costs_the_return_over_it() -> None:
    frame = candles().filter(~pl.col("ts").is_in([START + timedelta(days=i) for i in (100, 101)]))
    history = histories(frame, ["BTC"], date(2020, 12, 1))[0]
    assert len(history.returns) == 399 - 3
    assert np.abs(history.returns).max() < 0.1


def test_an_hour_that_is_missing_costs_the_return_over_it() -> None:
    frame = candles(500, timedelta(hours=1)).filter(pl.col("ts") != START + timedelta(hours=450))
    history = histories(frame, ["BTC"], date(2020, 1, 18))[0]
    assert len(history.returns) == 499 - 2
    assert history.step == timedelta(hours=1)


def test_all_problems_of_all_assets_at_once() -> None:
    short = candles(300, asset="ETH")
    found = problems(pl.concat([candles(), short]), date(2020, 8, 1), date(2021, 6, 1), ("BTC", "ETH", "XYZ"))
    assert "BTC 2021-06-01: 2021-02-03, the last day of BTC" in found
    assert "ETH 2020-08-01: 212 returns before it" in found
    assert "asset = XYZ: at least 3 prices; there are 0" in found


def test_prices_that_are_none_are_named() -> None:
    frame = candles().with_columns(
        close=pl.when(pl.col("ts") == START + timedelta(days=9)).then(-1.0).otherwise(pl.col("close"))
    )
    assert "BTC 2020-01-10 00:00: -1.0: a price above 0" in problems(frame, date(2020, 12, 1))


def test_two_sources_of_an_asset_are_refused() -> None:
    frame = pl.concat([candles(), candles(venue="other")])
    assert "BTC: file, other: one source of an asset" in problems(frame, date(2020, 12, 1))


def test_days_in_the_wrong_order_are_refused() -> None:
    assert "to = 2020-01-01: 2020-12-01" in problems(candles(), date(2020, 12, 1), date(2020, 1, 1))


def test_a_test_after_the_data_is_refused() -> None:
    assert "the last day of BTC" in problems(candles(), date(2030, 1, 1))
