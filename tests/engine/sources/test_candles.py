"""Candles as ticks: order of prices, several venues, quotes in USDT, gaps, coarser series, funding."""

import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.engine.candle_table import candle_table, funding_table
from solvent.engine.files import read_candles, read_funding
from solvent.engine.sources.candles import Candles

HOUR_NS = 3_600 * 10**9
Row = tuple[object, ...]


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def replay(rows: list[Row], columns: str, **more: object) -> Candles:
    frame = pl.DataFrame(rows, schema=columns.split(), orient="row", strict=False)
    return Candles(candle_table(frame, "file.csv"), **more)  # type: ignore[arg-type]


def prices(source: Candles, name: str = "BTC") -> list[list[float]]:
    return [[p.price for p in tick.prices if p.name == name] for tick in source]


OHLC = "ts asset venue open high low close volume_quote"


class TestOrder:
    def test_a_rising_candle_goes_low_first_and_a_falling_one_high_first(self) -> None:
        source = replay([(0, "BTC", "v", 10, 14, 8, 12, 400), (3600, "BTC", "v", 12, 13, 5, 6, 400)], OHLC)
        assert prices(source) == [[10], [8], [14], [12], [12], [13], [5], [6]]
        assert [tick.ts_ns for tick in source] == [k * HOUR_NS // 4 for k in range(8)]
        assert [tick.last for tick in source] == [False, False, False, True] * 2

    def test_a_flat_candle_counts_as_rising(self) -> None:
        assert prices(replay([(0, "BTC", "v", 10, 14, 8, 10, 1)], OHLC)) == [[10], [8], [14], [10]]

    def test_a_quarter_of_the_volume_each(self) -> None:
        source = replay([(0, "BTC", "v", 10, 14, 8, 12, 400), (3600, "BTC", "v", 12, 13, 5, 6, 800)], OHLC)
        a_tick = [tick.volume_usd_daily["BTC"] / 96 for tick in source]
        assert a_tick == pytest.approx([100] * 4 + [200] * 4)

    def test_a_bare_close_is_one_tick_a_row(self) -> None:
        source = replay([(0, "BTC", 10), (3600, "BTC", 11)], "ts asset close")
        assert prices(source) == [[10], [11]]
        assert [tick.ts_ns for tick in source] == [3 * HOUR_NS // 4, 7 * HOUR_NS // 4]

    def test_venues_of_one_asset_share_the_order_of_their_moves_together(self) -> None:
        rows = [(0, "BTC", "a", 100, 110, 90, 80, 1), (0, "BTC", "b", 100, 111, 91, 101, 1)]
        assert prices(replay(rows, OHLC)) == [[100, 100], [110, 111], [90, 91], [80, 101]]

    @given(
        st.lists(
            st.tuples(*[st.floats(1, 1e5)] * 4).map(lambda x: (x[0], max(x), min(x), x[3])), min_size=1, max_size=30
        )
    )
    def test_every_price_of_a_candle_is_told_once_in_order_of_time(self, candles: list[tuple[float, ...]]) -> None:
        rows = [(3600 * k, "BTC", "v", *each, 1) for k, each in enumerate(candles)]
        told = [each[0] for each in prices(replay(rows, OHLC))]
        for k, (o, h, low, c) in enumerate(candles):
            four = told[4 * k : 4 * k + 4]
            assert (four[0], four[3]) == (o, c)
            assert four[1:3] == ([low, h] if c >= o else [h, low])


class TestSources:
    def test_usdt_prices_are_turned_into_usd_where_the_candles_have_usdt(self) -> None:
        rows = [
            (0, "BTCUSDT", "x", 100, 100, 100, 100, 1),
            (0, "BTC-USD", "y", 95, 95, 95, 95, 1),
            (0, "USDT/USD", "y", 0.95, 0.95, 0.95, 0.95, 1),
        ]
        assert prices(replay(rows, OHLC.replace("asset", "symbol")))[0] == [95, 95]
        alone = replay(rows[:2], OHLC.replace("asset", "symbol"))
        assert prices(alone)[0] == [100, 95]
        assert "BTC of x: quoted in USDT, which is taken as USD" in alone.notes

    def test_a_gap_shows_as_age_beyond_the_next_due_price(self) -> None:
        rows = [(3600 * k, "BTC", "a", 10, 10, 10, 10, 1) for k in range(8)]
        gappy = [(3600 * k, "BTC", "b", 11, 11, 11, 11, 1) for k in (0, 1, 6, 7)]
        source = replay(rows + gappy, OHLC)
        ages = [next(p.age_s for p in tick.prices if p.source == "b") for tick in source]
        assert ages[:9] == [0.0] * 9  # the price due at the beginning of hour 2 is not late yet
        assert ages[9:24] == [900.0 * k for k in range(1, 16)]
        assert ages[24:] == [0.0] * 8
        assert any(note.startswith("BTC of b: no data") for note in source.notes)

    def test_a_coarser_series_is_used_only_where_no_finer_one_has_data(self) -> None:
        day = [(0, "USDC", "daily", 1.0, 1.0, 0.97, 0.98, 1), (86400, "USDC", "daily", 0.98, 1.0, 0.9, 1.0, 1)]
        hours = [(3600 * k, "USDC", "hourly", 0.95, 0.95, 0.95, 0.95, 1) for k in range(14, 40)]
        clock = [(3600 * k, "BTC", "hourly", 9, 9, 9, 9, 1) for k in range(40)]
        source = replay([*day, *hours, *clock], OHLC)
        seen = {}
        for tick in source:
            usdc = [p for p in tick.prices if p.name == "USDC"]
            assert len(usdc) == 1
            assert usdc[0].age_s == 0.0
            seen[tick.ts_ns // HOUR_NS] = usdc[0].source
        assert {seen[k] for k in range(14)} == {"daily"}
        assert {seen[k] for k in range(14, 40)} == {"hourly"}
        assert max(seen) == 39  # the second day does not reach beyond the hours
        assert any("coarser" in note for note in source.notes)

    def test_funding_comes_with_the_tick_at_or_after_its_time(self) -> None:
        rows = [(3600 * k, "BTC", "v", 10, 10, 10, 10, 1) for k in range(10)]
        paid = pl.DataFrame(
            {"ts": [0, 8 * 3600, 9 * 3600 + 1], "asset": ["BTC", "BTC", "ETH"], "funding_rate": [0.1, 0.2, 0.3]}
        )
        source = replay(rows, OHLC, funding=funding_table(paid, "f.csv"))
        assert [(tick.ts_ns // HOUR_NS, tick.funding_rate) for tick in source if tick.funding_rate] == [
            (0, {"BTC": 0.1}),
            (8, {"BTC": 0.2}),
        ]

    def test_a_pass_can_be_repeated(self) -> None:
        source = replay([(3600 * k, "BTC", "v", 10, 14, 8, 12, 400) for k in range(5)], OHLC)
        assert list(source) == list(source)
        assert len(source) == 20


class TestBlackThursday:
    def test_772_ticks_of_four_assets_quickly(self, shared: Path) -> None:
        file = shared / "data/prices_intraday/hourly_2017_2021.parquet"
        candles = read_candles(file, ["BTC", "ETH", "LTC", "XRP"], ns("2020-03-08"), ns("2020-03-16"))
        funding = read_funding(shared / "data/funding/btc_perp_funding_daily.parquet")
        source = Candles(candles, funding)
        started = time.perf_counter()
        ticks = list(source)
        assert time.perf_counter() - started < 0.5
        assert len(ticks) == len(source) == 772
        lows = {name: min(p.price for t in ticks for p in t.prices if p.name == name) for name in ("BTC", "ETH")}
        assert lows["BTC"] == pytest.approx(3_782, abs=1)
        assert {p.source for p in ticks[0].prices if p.name == "BTC"} == {"binance_spot", "bitstamp"}
        assert sum(bool(tick.funding_rate) for tick in ticks) == 25
        assert source.notes == ("no funding for ETH, LTC, XRP",)

    def test_the_usdc_window_takes_the_daily_file_before_the_hours(self, shared: Path) -> None:
        files = [
            shared / "data/prices_intraday/binance_spot_1h_2021_2023.parquet",
            shared / "data/prices_daily/crypto_daily_ohlcv.parquet",
        ]
        source = Candles(read_candles(files, ["BTC", "USDC", "USDT"], ns("2023-03-10"), ns("2023-03-13")))
        usdc = [(t.ts_ns, p.price) for t in source for p in t.prices if p.name == "USDC"]
        assert len(usdc) == len(source)
        assert min(price for _, price in usdc) < 0.9
        assert any("USDC" in note and "coarser" in note for note in source.notes)
