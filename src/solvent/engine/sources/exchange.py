"""Exchanges through ccxt: how one is reached, what its answers become, candles of the past.

ccxt is an extra and slow to import, so it is loaded when it is used. Only public methods are called; no key is
needed or taken.
"""

import math
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn
from urllib.parse import urlsplit

import polars as pl

from solvent.errors import SolventError, problem

PREFIX = "ccxt:"
QUOTES = ("USD", "USDC", "USDT")
"""Quotes of spot prices, the first that an exchange has."""
TIMEOUT_MS = 20_000
CANDLES_A_PAGE = 1_000
PAGES_MOST = 20_000
"""Requests of one asset's candles: 20 million minutes."""


def connect(spec: str, endpoint: str | None = None) -> Any:
    """The ccxt exchange of `ccxt:NAME` (or `NAME`), at `endpoint` instead of its own hosts where that is given.

    endpoint: `http(s)://host[:port]` of a proxy that speaks the exchange's own paths.
    Raises SolventError where ccxt is missing, the name unknown or the endpoint no URL.
    """
    name = spec.removeprefix(PREFIX)
    try:
        ccxt = import_module("ccxt")
    except ImportError:
        refuse(spec, "ccxt", "not installed", "`./run --with feeds ...` or `pip install 'solvent[feeds]'`")
    if name not in ccxt.exchanges:
        near = get_close_matches(name, ccxt.exchanges, 3) or ["binance", "bitstamp", "deribit", "kraken"]
        refuse(spec, "exchange", name, f"one that ccxt knows, such as {', '.join(near)}")
    exchange = getattr(ccxt, name)({"enableRateLimit": True, "timeout": TIMEOUT_MS})
    if endpoint is not None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            refuse(spec, "endpoint", endpoint, "a URL such as http://127.0.0.1:8080")
        exchange.urls["api"] = _redirected(exchange.urls["api"], endpoint.rstrip("/"))
        exchange.enableRateLimit = False
    return exchange


def refuse(spec: str, field: str, value: object, accepted: str) -> NoReturn:
    """Raise one problem of an exchange."""
    raise SolventError(problem(spec, None, field, value, accepted))


def _redirected(urls: Any, endpoint: str) -> Any:
    """An exchange's URLs with another host and the same paths."""
    if isinstance(urls, dict):
        return {key: _redirected(value, endpoint) for key, value in urls.items()}
    return endpoint + urlsplit(urls).path if isinstance(urls, str) else urls


def ask(exchange: Any, method: str, *arguments: Any) -> Any:
    """Call an exchange; what ccxt or a broken answer raises becomes one SolventError."""
    errors = import_module("ccxt").BaseError
    network = import_module("ccxt").NetworkError
    try:
        return getattr(exchange, method)(*arguments)
    except network as error:
        refuse(f"{PREFIX}{exchange.id}", "network", _first_line(error), "a network that reaches it, or --endpoint URL")
    except errors as error:
        refuse(f"{PREFIX}{exchange.id}", method, _first_line(error), "an answer that ccxt understands")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        refuse(f"{PREFIX}{exchange.id}", method, _first_line(error), "an answer in the exchange's own form")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def positive(value: Any) -> float:
    """A positive finite number, else 0."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if 0.0 < number < math.inf else 0.0


def mark_of(ticker: Any) -> tuple[float, float]:
    """Mark of a ticker and its relative half spread, 0 where unknown."""
    bid, ask = positive(ticker.get("bid")), positive(ticker.get("ask"))
    middle = 0.5 * (bid + ask) if bid and ask >= bid else 0.0
    price = positive(ticker.get("markPrice")) or middle or positive(ticker.get("last"))
    spread = min((ask - bid) / 2.0 / price, 0.99) if middle and price else 0.0
    return price, spread


def spot_symbol(exchange: Any, asset: str) -> str:
    """The symbol by which an exchange quotes an asset in USD: spot, else a perpetual. Raises SolventError."""
    markets = ask(exchange, "load_markets")
    candidates = [f"{asset}/{quote}" for quote in QUOTES]
    candidates += [f"{asset}/{quote}:{quote}" for quote in QUOTES[1:]] + [f"{asset}/USD:{asset}"]
    for symbol in candidates:
        if symbol in markets:
            return symbol
    there = sorted({m["base"] for m in markets.values() if m.get("quote") in QUOTES})
    near = get_close_matches(asset, there, 5) or there[:20]
    refuse(f"{PREFIX}{exchange.id}", "asset", asset, f"one of {', '.join(near)}")


def candles(
    exchange: Any,
    assets: Sequence[str],
    start_ns: int,
    end_ns: int,
    timeframe: str = "1h",
    progress: Callable[[str, int], None] | None = None,
) -> pl.DataFrame:
    """Candles `ts, symbol, venue, open, high, low, close, volume_base` of assets, both ends included.

    progress: called with an asset and the candles it has so far. Raises SolventError, also for an asset that
    has none in this time.
    """
    if timeframe not in (exchange.timeframes or {}):
        accepted = ", ".join(exchange.timeframes or {}) or "an exchange that has candles"
        refuse(f"{PREFIX}{exchange.id}", "timeframe", timeframe, accepted)
    step_ms = exchange.parse_timeframe(timeframe) * 1000
    rows: list[tuple[Any, ...]] = []
    for asset in assets:
        symbol = spot_symbol(exchange, asset)
        found = _pages(exchange, symbol, timeframe, step_ms, -(-start_ns // 10**6), end_ns // 10**6, asset, progress)
        if not found:
            refuse(f"{PREFIX}{exchange.id}", "candles", "none", f"a time in which {symbol} was traded there")
        rows += [(ts, symbol, exchange.id, *found[ts]) for ts in sorted(found)]
    names = ("ts", "symbol", "venue", "open", "high", "low", "close", "volume_base")
    frame = pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
    return frame.with_columns(pl.from_epoch("ts", "ms").dt.replace_time_zone("UTC"))


def _pages(
    exchange: Any,
    symbol: str,
    timeframe: str,
    step_ms: int,
    start_ms: int,
    end_ms: int,
    asset: str,
    progress: Callable[[str, int], None] | None,
) -> dict[int, tuple[float, ...]]:
    """Candles by time, page by page; a page without any moves on by its length."""
    found: dict[int, tuple[float, ...]] = {}
    since = start_ms
    for _ in range(PAGES_MOST):
        if since > end_ms:
            break
        limit = min(CANDLES_A_PAGE, (end_ms - since) // step_ms + 1)
        page = ask(exchange, "fetch_ohlcv", symbol, timeframe, since, limit)
        page = [row for row in page if len(row) >= 6 and isinstance(row[0], int) and None not in row[1:5]]
        for ts, *values in page:
            if start_ms <= ts <= end_ms:
                found[ts] = tuple(math.nan if x is None else float(x) for x in values[:5])
        newest = max((row[0] for row in page), default=0)
        since = newest + step_ms if newest >= since else since + limit * step_ms
        if progress is not None:
            progress(asset, len(found))
    return found
