"""Candle files as daily histories: bars of any length, several sources, values of all units, faults of one asset."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from solvent.engine.collateral import assess_files, read_histories
from solvent.engine.files import read_market_caps, read_toml
from solvent.errors import SolventError


def hourly(asset: str, hours: int, price: float = 100.0, volume: float = 10.0) -> pl.DataFrame:
    times = [datetime(2023, 1, 1, tzinfo=UTC) + timedelta(hours=i) for i in range(hours)]
    close = price + np.arange(hours)
    return pl.DataFrame({"ts": times, "asset": [asset] * hours, "open": close, "high": close + 2.0, "low": close - 2.0,
                         "close": close, "volume_usd": [volume] * hours})  # fmt: skip


def test_hours_become_days(tmp_path: Path) -> None:
    hourly("BTC", 60).write_parquet(tmp_path / "a.parquet")
    found = read_histories([tmp_path / "a.parquet"])[0]["BTC"]
    assert found.days.astype(str).tolist() == ["2023-01-01", "2023-01-02", "2023-01-03"]
    assert found.close.tolist() == [123.0, 147.0, 159.0]
    assert found.high.tolist() == [125.0, 149.0, 161.0]
    assert found.low.tolist() == [98.0, 122.0, 146.0]
    assert found.volume_usd.tolist() == [[240.0, 240.0, 120.0]]
    assert len(found.before(date(2023, 1, 2)).close) == 1


def test_sources_stand_beside_one_another(tmp_path: Path) -> None:
    hourly("BTC", 72).write_parquet(tmp_path / "long.parquet")
    hourly("BTC", 48, price=50.0, volume=1.0).write_parquet(tmp_path / "short.parquet")
    found = read_histories([tmp_path / "short.parquet", tmp_path / "long.parquet"])[0]["BTC"]
    assert found.close[0] == 123.0, "the source with the most days gives the prices"
    assert found.volume_usd[:, 0].tolist() == [240.0, 24.0]
    assert found.volume_lowest.tolist() == [24.0, 24.0, 240.0]


def test_values_of_all_units_are_kept_by_day(tmp_path: Path) -> None:
    frame = hourly("BTC", 48).with_columns(market_cap_usd=pl.lit(5.0))
    frame.write_parquet(tmp_path / "a.parquet")
    assert read_market_caps(tmp_path / "a.parquet")["market_cap_usd"].to_list() == [5.0] * 48
    assert read_histories([tmp_path / "a.parquet"])[0]["BTC"].market_cap == 5.0
    hourly("BTC", 48).write_parquet(tmp_path / "b.parquet")
    assert len(read_market_caps(tmp_path / "b.parquet")) == 0
    assert read_histories([tmp_path / "b.parquet"])[0]["BTC"].market_cap is None
    frame.with_columns(market_cap_usd=pl.lit(-5.0)).write_parquet(tmp_path / "c.parquet")
    with pytest.raises(SolventError, match="market_cap_usd"):
        read_market_caps(tmp_path / "c.parquet")


def test_one_faulty_asset_does_not_hide_the_others(tmp_path: Path) -> None:
    bad = hourly("BAD", 30).with_columns(low=pl.lit(0.0))
    worse = hourly("WORSE", 30).with_columns(close=pl.lit(-1.0))
    pl.concat([hourly("BTC", 30), bad, worse]).write_parquet(tmp_path / "a.parquet")
    histories, faulty = read_histories([tmp_path / "a.parquet"])
    assert list(histories) == ["BTC"]
    assert set(faulty) == {"BAD", "WORSE"}
    assert faulty["BAD"].field == "low"
    with pytest.raises(SolventError, match="low"):
        assess_files([tmp_path / "a.parquet"], ["BAD"])


def test_what_is_no_candle_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("colour,size\nred,1\n")
    with pytest.raises(SolventError):
        read_histories([tmp_path / "a.csv"])
    with pytest.raises(SolventError, match="candle file"):
        read_histories([])
    (tmp_path / "bad.toml").write_text("x = ")
    with pytest.raises(SolventError, match="toml"):
        read_toml(tmp_path / "bad.toml")


def test_funding_stands_beside_the_days(tmp_path: Path) -> None:
    hourly("BTC", 48).write_parquet(tmp_path / "a.parquet")
    times = [datetime(2023, 1, 1, tzinfo=UTC) + timedelta(hours=8 * i) for i in range(3)]
    pl.DataFrame({"ts": times, "asset": ["BTC"] * 3, "funding_rate_8h": [0.1, 0.2, 0.3]}).write_csv(tmp_path / "f.csv")
    found = read_histories([tmp_path / "a.parquet"], funding=[tmp_path / "f.csv"])[0]["BTC"]
    assert found.funding_rate is not None
    assert found.funding_rate == pytest.approx([0.2, np.nan], nan_ok=True)
    before = found.before(date(2023, 1, 2)).funding_rate
    assert before is not None
    assert before == pytest.approx([0.2])
    assert read_histories([tmp_path / "a.parquet"])[0]["BTC"].funding_rate is None


def test_a_price_in_another_coin_is_no_price_in_dollars(tmp_path: Path) -> None:
    pair = hourly("ETH/BTC", 48).rename({"asset": "symbol"})
    pl.concat([pair, hourly("BTC/USDT", 48).rename({"asset": "symbol"})]).write_parquet(tmp_path / "a.parquet")
    assert list(read_histories([tmp_path / "a.parquet"])[0]) == ["BTC"]
