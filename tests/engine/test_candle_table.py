"""Candle and funding tables of other people's making: names, times, symbols, volumes; every fault with its row."""

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.engine.candle_table import asset_of, candle_table, funding_table
from solvent.errors import SolventError

TIMES = [
    ["2020-03-12T00:00:00Z", "2020-03-12T01:00:00Z"],
    ["2020-03-12 00:00:00", "2020-03-12 01:00:00"],
    ["2020-03-12 00:00", "2020-03-12 01:00"],
    ["2020-03-12T02:00:00+02:00", "2020-03-12T03:00:00+02:00"],
    ["2020-03-12 00:00:00 UTC", "2020-03-12 01:00:00+00:00"],
    ["1583971200", "1583974800"],
    [1583971200, 1583974800],
    [1583971200000, 1583974800000],
    [1583971200000000, 1583974800000000],
    [1583971200000000000, 1583974800000000000],
    [1583971200.0, 1583974800.0],
    [datetime(2020, 3, 12), datetime(2020, 3, 12, 1)],
    [datetime(2020, 3, 12, tzinfo=UTC), datetime(2020, 3, 12, 1, tzinfo=UTC)],
]
GARBLED = ["ts", "asset", "open", "close", "volume", "venue", "funding_rate"]


def table(columns: dict[str, Any], file: str = "file.csv", **more: Any) -> pl.DataFrame:
    return candle_table(pl.DataFrame(columns, strict=False), file, **more)


def fields(read: Any, columns: dict[str, Any], **more: Any) -> list[tuple[int | None, str]]:
    with pytest.raises(SolventError) as caught:
        read(pl.DataFrame(columns, strict=False), "file.csv", **more)
    return [(each.row, each.field) for each in caught.value.problems]


class TestShapes:
    @pytest.mark.parametrize("times", TIMES, ids=lambda x: str(x[0]))
    def test_times(self, times: list[Any]) -> None:
        found = table({"ts": times, "asset": ["BTC"] * 2, "close": [1.0, 2.0]})
        assert found["ts"].to_list() == [datetime(2020, 3, 12, tzinfo=UTC), datetime(2020, 3, 12, 1, tzinfo=UTC)]

    @pytest.mark.parametrize("name", ["ts", "timestamp", "time", "date", "datetime", "Open_Time", " ts "])
    def test_names_of_the_time(self, name: str) -> None:
        assert len(table({name: [date(2020, 3, 12)], "asset": ["BTC"], "close": [1.0]})) == 1

    @pytest.mark.parametrize(
        ("symbol", "pair"),
        [
            ("BTCUSDT", ("BTC", "USDT")),
            ("BTC/USDT", ("BTC", "USDT")),
            ("BTC-USD", ("BTC", "USD")),
            ("btc_usdc", ("BTC", "USDC")),
            ("BTC/USDT:USDT", ("BTC", "USDT")),
            ("ETH/USD:ETH", ("ETH", "USD")),
            ("BTCUSD_PERP", ("BTC", "USD")),
            ("BTC-USDT-SWAP", ("BTC", "USDT")),
            ("BTC-PERP", ("BTC", "USD")),
            ("XBTUSD", ("BTC", "USD")),
            ("USDCUSDT", ("USDC", "USDT")),
            ("USDT", ("USDT", "USD")),
            ("SUSD", ("SUSD", "USD")),
            ("PYUSD", ("PYUSD", "USD")),
            ("BTCTUSD", ("BTC", "TUSD")),
            ("ETHBTC", ("ETHBTC", "USD")),
            ("ETH/BTC", ("ETH", "BTC")),
            ("1INCH", ("1INCH", "USD")),
            ("BTC", ("BTC", "USD")),
        ],
    )
    def test_symbols(self, symbol: str, pair: tuple[str, str]) -> None:
        assert asset_of(symbol) == pair

    def test_an_asset_column_is_taken_as_it_stands(self) -> None:
        columns = {"ts": [0, 0], "close": [1.0, 1.0]}
        named = table({**columns, "asset": ["CRVUSD", "BTCUSDT"]})
        assert sorted(named["asset"]) == ["BTC", "CRVUSD"]
        assert sorted(table({**columns, "symbol": ["CRVUSD", "BTCUSDT"]})["asset"]) == ["BTC", "CRV"]

    @pytest.mark.parametrize(
        ("volume", "usd"),
        [
            ({"volume_usd": [50.0]}, 50),
            ({"volume_quote": [50.0]}, 50),
            ({"volume_base": [5.0]}, 500),
            ({"volume": ["5"]}, 500),
            ({}, None),
        ],
    )
    def test_volumes(self, volume: dict[str, Any], usd: float | None) -> None:
        prices = {"open": [100.0], "high": [120.0], "low": [80.0], "close": [100.0]}
        found = table({"ts": [0], "asset": ["BTC"], **prices, **volume})
        assert found["volume_usd"].to_list() == [usd]

    def test_a_plain_volume_that_cannot_be_coins_is_in_usd(self) -> None:
        columns = {"ts": [0, 60], "asset": ["BTC"] * 2, "close": [40_000.0] * 2, "volume": [2e6, 2e6]}
        assert table(columns)["volume_usd"].to_list() == [2e6, 2e6]

    def test_assets_from_wide_columns_own_volumes_and_names_of_files(self) -> None:
        wide = table({"date": ["2022-06-18"], "steth_usd": [930.0], "eth_usd": [990.0], "steth_eth": [0.94]})
        assert dict(zip(wide["asset"], wide["close"], strict=True)) == {"STETH": 930.0, "ETH": 990.0}
        assert table({"ts": [0], "close": [1.0], "volume_eth": [3.0]})["asset"].to_list() == ["ETH"]
        assert table({"ts": [0], "close": [1.0]}, file="btc_1h.csv")["asset"].to_list() == ["BTC"]
        assert table({"ts": [0], "close": [1.0]}, file="x.csv", assets=["SOL"])["asset"].to_list() == ["SOL"]

    def test_venues(self) -> None:
        columns = {"ts": [0, 0], "asset": ["BTC"] * 2, "close": [1.0, 2.0]}
        assert table({**columns, "venue": ["a", "b"]})["venue"].to_list() == ["a", "b"]
        both = table({**columns, "venue": ["a", "a"], "market": ["spot", "perp"]})
        assert sorted(both["venue"]) == ["a:perp", "a:spot"]
        assert table({"ts": [0], "asset": ["BTC"], "close": [1.0]}, file="my.csv")["venue"].to_list() == ["my"]

    def test_both_ends_are_included_and_the_result_is_sorted(self) -> None:
        columns = {"ts": [7200, 0, 3600], "asset": ["BTC"] * 3, "close": [3.0, 1.0, 2.0]}
        assert table(columns, start_ns=3600 * 10**9, end_ns=7200 * 10**9)["close"].to_list() == [2.0, 3.0]

    def test_the_same_candle_twice_counts_once(self) -> None:
        assert len(table({"ts": [0, 0], "asset": ["BTC"] * 2, "close": [1.0, 1.0]})) == 1


class TestFaults:
    def test_all_at_once_with_rows_of_the_file(self) -> None:
        found = fields(
            candle_table,
            {
                "ts": [0, 3600, "late", 10800, 14400, 18000],
                "asset": ["BTC", "BTC", "BTC", None, "BTC", "BTC"],
                "open": ["1", "1", "1", "1", "1", "1"],
                "high": ["2", "x", "2", "2", "0.5", "2"],
                "low": ["1", "1", "1", "1", "1", "1"],
                "close": ["1", "1", "1", "1", "1", "nan"],
                "volume": ["1", "-1", "1", "1", "1", "1"],
            },
        )
        assert found == [(2, "high"), (2, "volume"), (3, "ts"), (4, "asset"), (5, "high"), (6, "close")]

    @pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), None])
    def test_prices_that_are_none(self, value: float | None) -> None:
        assert fields(candle_table, {"ts": [0, 1], "asset": ["BTC"] * 2, "close": [1.0, value]}) == [(2, "close")]

    def test_missing_columns(self) -> None:
        assert fields(candle_table, {"asset": ["BTC"], "price": [1.0]}) == [(None, "close"), (None, "ts")]

    def test_unknown_assets_name_near_ones_and_empty_spans_say_what_there_is(self) -> None:
        columns = {"ts": [0], "asset": ["BTC"], "close": [1.0]}
        assert fields(candle_table, columns, assets=["BTCC", "ETH"]) == [(None, "asset")] * 2
        with pytest.raises(SolventError, match="from 1970-01-01T00:00 to 1970-01-01T00:00"):
            table(columns, start_ns=10**18)

    def test_two_candles_of_one_time_are_refused(self) -> None:
        columns = {"ts": [0, 0, 1], "asset": ["BTC"] * 3, "close": [1.0, 2.0, 3.0]}
        assert fields(candle_table, columns) == [(1, "asset"), (2, "asset")]

    def test_rows_outside_the_selection_are_not_judged(self) -> None:
        columns = {"ts": [0, 0, 3600], "asset": ["BTC", "WETH", "BTC"], "close": [1.0, 0.0, -1.0]}
        assert len(table(columns, assets=["BTC"], end_ns=10**9)) == 1

    @given(
        st.lists(st.text(max_size=8), min_size=1, max_size=4),
        st.sampled_from(["ts", "asset", "open", "close", "volume", "venue"]),
    )
    def test_garbage(self, cells: list[str], name: str) -> None:
        columns = {"ts": list(range(len(cells))), "asset": ["BTC"] * len(cells), "close": ["1"] * len(cells)}
        for read in (candle_table, funding_table):
            try:
                found = read(pl.DataFrame({**columns, "funding_rate": ["0.1"] * len(cells), name: cells}), "x.csv")
            except SolventError as error:
                assert error.problems  # noqa: PT017
            else:
                assert len(found) >= 1


class TestFunding:
    def test_rates_by_asset_and_by_the_name_of_the_file(self) -> None:
        by_column = funding_table(
            pl.DataFrame({"ts": [0, 0], "symbol": ["BTCUSDT", "ETHUSDT"], "funding_rate": ["0.0001", "-0.0002"]}),
            "x.csv",
        )
        assert by_column.select("asset", "rate", "hours").rows() == [("BTC", 0.0001, 8), ("ETH", -0.0002, 8)]
        for file, asset in (("eth_perp_funding.parquet", "ETH"), ("funding.csv", "BTC"), ("perp_8h.csv", "BTC")):
            assert funding_table(pl.DataFrame({"ts": [0], "funding_rate_8h": [0.1]}), file)["asset"].to_list() == [
                asset
            ]

    def test_a_daily_mean_stands_for_each_payment_of_the_day(self) -> None:
        found = funding_table(pl.DataFrame({"date": [date(2020, 3, 13)], "funding_rate_mean_8h": [-0.001]}), "btc.csv")
        assert [each.hour for each in found["ts"]] == [0, 8, 16]
        assert found["rate"].to_list() == [-0.001] * 3

    def test_hours_of_the_interval(self) -> None:
        assert funding_table(pl.DataFrame({"ts": [0], "funding_rate_1h": [0.1]}), "x")["hours"].to_list() == [1]

    def test_faults(self) -> None:
        assert fields(funding_table, {"x": [1]}) == [(None, "ts"), (None, "funding_rate")]
        rates = {"ts": [0, 1, 2], "funding_rate": ["0.1", "5", "x"]}
        assert fields(funding_table, rates) == [(2, "funding_rate"), (3, "funding_rate")]
