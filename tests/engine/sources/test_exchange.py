"""Exchanges through ccxt, against a local server that speaks their own formats: snapshots, candles, live prices."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.engine.sources.exchange_server import Exchange, serving

from solvent.engine.candle_table import candle_table
from solvent.engine.files import read_market, write_market
from solvent.engine.sources.candles import Candles
from solvent.engine.sources.windows import WINDOWS, time_ns, window_ns
from solvent.errors import SolventError

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module", autouse=True)
def _ccxt() -> None:
    pytest.importorskip("ccxt", reason="needs the extra `feeds`")


@pytest.fixture
def server() -> Iterator[tuple[Exchange, str]]:
    exchange = Exchange(read_market(EXAMPLES / "market-options.json"))
    with serving(exchange) as url:
        yield exchange, url


class TestSnapshot:
    def test_deribit_comes_back_as_the_market_it_was_served_from(
        self, server: tuple[Exchange, str], tmp_path: Path
    ) -> None:
        from solvent.engine.sources.exchange import connect
        from solvent.engine.sources.exchange_market import snapshot

        exchange, url = server
        served = exchange.market
        assert served is not None
        market, left_out = snapshot(connect("ccxt:deribit", url), ["BTC"], served.ts_ns)
        assert left_out == ()
        ids = {each.id for each in market.universe}
        assert ids == {each.id for each in served.universe if each.underlying in ("BTC", "USDC", "USD")}
        here, there = (np.array([m.universe.index(id) for id in sorted(ids - {"USDC"})]) for m in (market, served))
        np.testing.assert_allclose(market.price[here], served.price[there], rtol=1e-6)
        np.testing.assert_allclose(market.vol()[here], served.vol()[there], atol=1e-9)
        np.testing.assert_allclose(market.forward_usd[here], served.forward_usd[there], rtol=1e-9)
        assert market.half_spread[market.universe.index("BTC-PERPETUAL")] == pytest.approx(0.001, rel=0.01)
        assert all("private" not in path for path in exchange.asked)
        write_market(tmp_path / "market.json", market)
        again = read_market(tmp_path / "market.json")
        assert dict(again.surfaces) == dict(market.surfaces)
        np.testing.assert_array_equal(again.ticks, market.ticks)

    def test_volatilities_are_those_of_the_marks_where_none_is_stated(
        self, server: tuple[Exchange, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from solvent.engine.sources.exchange import connect
        from solvent.engine.sources.exchange_market import snapshot

        exchange, url = server
        served, summaries = exchange.market, exchange.deribit_get_book_summary_by_currency
        assert served is not None

        def without(query: dict[str, str]) -> object:
            rows = summaries(query)
            for row in rows:
                row.pop("mark_iv", None)
                if row["instrument_name"] == "BTC-27SEP24-60000-C":
                    row["mark_price"] = 5.0  # no volatility gives that
                if row["instrument_name"] == "BTC-PERPETUAL":
                    row |= {"mark_price": None, "bid_price": 60029.0, "ask_price": 60031.0}
            return rows

        monkeypatch.setattr(exchange, "deribit_get_book_summary_by_currency", without)
        market, left_out = snapshot(connect("ccxt:deribit", url), ["BTC"], served.ts_ns)
        assert left_out == ("BTC/USD:BTC-240927-60000-C",)
        assert market.price[market.universe.index("BTC-PERPETUAL")] == 60030.0
        for id in ("BTC-28JUN24-60000-C", "BTC-27SEP24-70000-P"):
            found, true = market.vol()[market.universe.index(id)], served.vol()[served.universe.index(id)]
            assert found == pytest.approx(true, abs=0.01)

    def test_an_exchange_with_spot_alone(self, server: tuple[Exchange, str]) -> None:
        from solvent.engine.sources.exchange import connect
        from solvent.engine.sources.exchange_market import snapshot

        market, _ = snapshot(connect("bitstamp", server[1]), ["ETH"])
        assert market.index_usd[market.universe.asset_index["ETH"]] == 3000.0
        with pytest.raises(SolventError, match="assets = DOGE"):
            snapshot(connect("bitstamp", server[1]), ["DOGE"])


class TestCandles:
    def test_pages_make_one_file_that_replays(
        self, server: tuple[Exchange, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from solvent.engine.sources import exchange as module

        monkeypatch.setattr(module, "CANDLES_A_PAGE", 50)
        seen: list[tuple[str, int]] = []
        frame = module.candles(
            module.connect("ccxt:bitstamp", server[1]),
            ["BTC", "ETH"],
            *window_ns("black-thursday"),
            progress=lambda *x: seen.append(x),
        )
        assert len(frame) == 2 * 193
        assert seen[-1] == ("ETH", 193)
        assert len(seen) == 8
        source = Candles(candle_table(frame, "bt.parquet"))
        assert len(source) == 772
        assert source.assets == ("BTC", "ETH")
        assert {p.source for tick in source for p in tick.prices} == {"bitstamp"}

    def test_a_time_without_candles_is_skipped_and_one_with_none_refused(self, server: tuple[Exchange, str]) -> None:
        from solvent.engine.sources.exchange import candles, connect

        bitstamp = connect("bitstamp", server[1])
        early = candles(bitstamp, ["BTC"], time_ns("2019-12-01"), time_ns("2020-03-08T03:00"))
        assert len(early) == 4
        with pytest.raises(SolventError, match="candles = none"):
            candles(bitstamp, ["BTC"], time_ns("2019-12-01"), time_ns("2019-12-08"))

    def test_unknown_assets_and_timeframes_say_what_there_is(self, server: tuple[Exchange, str]) -> None:
        from solvent.engine.sources.exchange import candles, connect

        bitstamp = connect("bitstamp", server[1])
        with pytest.raises(SolventError, match="asset = XRP: one of BTC, ETH"):
            candles(bitstamp, ["XRP"], 0, 1)
        with pytest.raises(SolventError, match="timeframe = 7h: 1m"):
            candles(bitstamp, ["BTC"], 0, 1, "7h")


class TestLive:
    def test_prices_age_while_an_exchange_is_down(self, server: tuple[Exchange, str]) -> None:
        from solvent.engine.sources.live import Live

        exchange, url = server
        now = [exchange.stamp_s * 10**9]

        def sleep(seconds: float) -> None:
            now[0] += round(seconds * 1e9)

        ticks = iter(
            Live("ccxt:bitstamp", ["BTC", "ETH"], endpoint=url, period_s=30, clock=lambda: now[0], sleep=sleep)
        )
        first = next(ticks)
        assert [(p.name, p.price, p.age_s) for p in first.prices] == [("BTC", 60000.0, 0.0), ("ETH", 3000.0, 0.0)]
        exchange.down = True
        assert [p.age_s for p in next(ticks).prices] == [30.0, 30.0]
        exchange.down, exchange.price, exchange.stamp_s = False, 50_000.0, exchange.stamp_s + 60
        last = next(ticks)
        assert [(p.price, p.age_s) for p in last.prices] == [(50000.0, 0.0), (2500.0, 0.0)]
        assert last.volume_usd_daily["BTC"] > 0

    def test_an_exchange_that_never_answered_is_an_error(self, server: tuple[Exchange, str]) -> None:
        from solvent.engine.sources.live import Live

        live = Live("ccxt:bitstamp", ["BTC"], endpoint=server[1], sleep=lambda _: None)
        server[0].down = True
        with pytest.raises(SolventError, match="network"):
            next(iter(live))


class TestFailures:
    def test_without_ccxt_the_error_says_how_to_get_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from solvent.engine.sources.exchange import connect

        monkeypatch.setitem(sys.modules, "ccxt", None)
        with pytest.raises(SolventError, match="--with feeds"):
            connect("ccxt:deribit")

    def test_unknown_exchanges_and_endpoints(self) -> None:
        from solvent.engine.sources.exchange import connect

        with pytest.raises(SolventError, match=r"exchange = derbit: .*deribit"):
            connect("ccxt:derbit")
        for endpoint in ("file:///etc", "localhost:80", "http://"):
            with pytest.raises(SolventError, match="endpoint"):
                connect("ccxt:deribit", endpoint)

    def test_without_a_network(self) -> None:
        from solvent.engine.sources.exchange import candles, connect

        with pytest.raises(SolventError, match="network"):
            candles(connect("bitstamp", "http://127.0.0.1:9"), ["BTC"], 0, 1)

    @pytest.mark.parametrize(
        "broken", [{}, [], [1], "x", {"result": 5}, {"result": [{"a": 1}]}, {"result": [None]}, {"error": {"code": 1}}]
    )
    def test_answers_that_make_no_sense(self, server: tuple[Exchange, str], broken: object) -> None:
        from solvent.engine.sources.exchange import candles, connect
        from solvent.engine.sources.exchange_market import snapshot

        exchange, url = server
        exchange.broken = broken
        for name in ("deribit", "bitstamp"):
            with pytest.raises(SolventError):
                snapshot(connect(name, url), ["BTC"])
            with pytest.raises(SolventError):
                candles(connect(name, url), ["BTC"], 0, 10**18)


class TestWindows:
    def test_every_window_is_a_span(self) -> None:
        for name in WINDOWS:
            start, end = window_ns(name)
            assert 0 < end - start < 30 * 86_400 * 10**9
        assert window_ns("black-thursday") == (1_583_625_600 * 10**9, 1_584_316_800 * 10**9)

    def test_unknown_windows_and_times(self) -> None:
        with pytest.raises(SolventError, match="one of black-thursday"):
            window_ns("lehman")
        assert time_ns("2020-03-08T01:00:00+01:00") == time_ns("2020-03-08")
        for text in ("", "soon", "1969-01-01", "9999-01-01"):
            with pytest.raises(SolventError, match="time"):
                time_ns(text)
