"""A server on the loopback that speaks Deribit's and Bitstamp's public HTTP interfaces, filled from a market."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from solvent.domain.instruments import Future, Option, Perpetual, Spot
from solvent.domain.market import Market
from solvent.domain.symbols import deribit_alias

HOUR_S = 3_600
FIRST_CANDLE_S = 1_583_625_600
"""2020-03-08 00:00 UTC."""


class Exchange:
    """What the server answers. `down` makes it answer 503; `broken` makes it answer nonsense."""

    def __init__(self, market: Market | None = None, candle_hours: int = 400) -> None:
        self.market, self.candle_hours = market, candle_hours
        self.down = False
        self.broken: Any = None
        self.price = 60_000.0
        self.stamp_s = 1_717_200_000
        self.asked: list[str] = []

    def answer(self, path: str, query: dict[str, str]) -> Any:
        if self.broken is not None:
            return self.broken
        method = path.rpartition("/")[2]
        if path.startswith("/api/v2/public/"):
            return {
                "jsonrpc": "2.0",
                "result": getattr(self, f"deribit_{method}")(query),
                "usIn": 1,
                "usOut": 2,
                "usDiff": 1,
            }
        if path.startswith("/api/v2/ohlc/"):
            return self.bitstamp_ohlc(path.split("/")[4], query)
        return {
            "/api/v2/markets/": self.bitstamp_markets,
            "/api/v2/currencies/": list,
            "/api/v2/ticker/": self.bitstamp_tickers,
        }[path]()

    # Deribit

    def deribit_get_currencies(self, query: dict[str, str]) -> Any:
        return [
            {"currency": name, "currency_long": name, "coin_type": name, "fee_precision": 4}
            for name in ("BTC", "ETH", "USDC")
        ]

    def deribit_get_instruments(self, query: dict[str, str]) -> Any:
        assert self.market is not None
        return [self._instrument(each) for each in self.market.universe if not isinstance(each, Spot)]

    def _instrument(self, each: Perpetual | Future | Option) -> dict[str, Any]:
        inverse = each.inverse
        dated = isinstance(each, (Future, Option))
        found = {
            "instrument_name": deribit_alias(each.id),
            "kind": "option" if isinstance(each, Option) else "future",
            "base_currency": each.underlying,
            "quote_currency": each.underlying
            if isinstance(each, Option) and inverse
            else "USD"
            if inverse
            else each.settlement,
            "counter_currency": "USD" if inverse else each.settlement,
            "settlement_currency": each.settlement,
            "settlement_period": "month" if dated else "perpetual",
            "expiration_timestamp": each.expiry_ns // 10**6 if dated else 32_503_708_800_000,
            "is_active": True,
            "contract_size": 1.0 if isinstance(each, Option) or not inverse else 10.0,
            "min_trade_amount": 0.1 if isinstance(each, Option) else 10.0,
            "tick_size": 0.0001 if isinstance(each, Option) else 0.5,
        }
        if isinstance(each, Option):
            found |= {"strike": float(each.strike), "option_type": "call" if each.call else "put"}
        return found

    def deribit_get_book_summary_by_currency(self, query: dict[str, str]) -> Any:
        market = self.market
        assert market is not None
        index = market.index_usd
        found = []
        for i, each in enumerate(market.universe):
            if isinstance(each, Spot) or each.settlement != query["currency"]:
                continue
            asset = market.universe.asset_index[each.underlying]
            mark = float(market.price[i])
            row = {
                "instrument_name": deribit_alias(each.id),
                "base_currency": each.underlying,
                "mark_price": mark,
                "bid_price": round(mark * 0.999, 6),
                "ask_price": round(mark * 1.001, 6),
                "volume": 12.5,
                "volume_usd": 750_000.0,
                "open_interest": 100.0,
                "estimated_delivery_price": float(index[asset]),
                "creation_timestamp": market.ts_ns // 10**6,
            }
            if isinstance(each, Option):
                row |= {
                    "mark_iv": round(float(market.vol()[i]) * 100, 2),
                    "underlying_price": float(market.forward_usd[i]),
                    "underlying_index": "index",
                    "interest_rate": 0.0,
                }
            found.append(row)
        return found

    # Bitstamp

    def bitstamp_markets(self) -> Any:
        return [
            {
                "name": f"{base}/USD",
                "market_symbol": f"{base.lower()}usd",
                "base_currency": base,
                "base_decimals": 8,
                "counter_currency": "USD",
                "counter_decimals": 2,
                "minimum_order_value": "10",
                "trading": "Enabled",
                "instant_order_counter_decimals": 2,
                "instant_and_market_orders": "Enabled",
                "description": f"{base} / U.S. dollar",
                "market_type": "SPOT",
            }
            for base in ("BTC", "ETH")
        ]

    def bitstamp_tickers(self) -> Any:
        return [
            {
                "timestamp": str(self.stamp_s),
                "pair": pair,
                "bid": f"{price * 0.9999:.2f}",
                "ask": f"{price * 1.0001:.2f}",
                "last": f"{price:.2f}",
                "high": f"{price:.2f}",
                "low": f"{price:.2f}",
                "open": f"{price:.2f}",
                "vwap": f"{price:.2f}",
                "volume": "1000",
            }
            for pair, price in (("BTC/USD", self.price), ("ETH/USD", self.price / 20))
        ]

    def bitstamp_ohlc(self, pair: str, query: dict[str, str]) -> Any:
        start, step, limit = int(query["start"]), int(query["step"]), int(query["limit"])
        end = int(query.get("end", 2**40))
        last = FIRST_CANDLE_S + (self.candle_hours - 1) * HOUR_S
        times = range(-(-max(start, FIRST_CANDLE_S) // step) * step, min(end, last) + 1, step)
        rows = [
            {
                "timestamp": str(ts),
                "open": str(8000 + (ts // HOUR_S) % 100),
                "high": "8200",
                "low": "7900",
                "close": "8050.5",
                "volume": "10.25",
            }
            for ts in list(times)[:limit]
        ]
        return {"data": {"pair": pair.upper(), "ohlc": rows}}


@contextmanager
def serving(exchange: Exchange) -> Iterator[str]:
    """The URL at which `exchange` answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            exchange.asked.append(self.path)
            status, body = 503, b"down"
            if not exchange.down:
                query = {key: values[0] for key, values in parse_qs(url.query).items()}
                try:
                    status, body = 200, json.dumps(exchange.answer(url.path, query)).encode()
                except (KeyError, AttributeError):
                    status, body = 404, b'{"error": "no such method"}'
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
