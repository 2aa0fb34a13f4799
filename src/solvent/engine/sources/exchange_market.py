"""A whole market from an exchange: spot, perpetuals, futures, options, and volatility surfaces of the options."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from solvent.domain.instruments import STABLECOINS
from solvent.domain.market import SECONDS_A_YEAR, Market
from solvent.domain.symbols import instrument
from solvent.engine.sources.exchange import PREFIX, QUOTES, ask, mark_of, positive, refuse
from solvent.errors import SolventError
from solvent.valuation.black76 import implied_vol
from solvent.valuation.surfaces import GridSurface

Row = dict[str, Any]
VOL_MOST = 10.0


class Snapshot(NamedTuple):
    """A market and what could not be taken into it."""

    market: Market
    left_out: tuple[str, ...]
    """Instruments without a price or a volatility, or of a kind that has no terms here."""


def snapshot(exchange: Any, assets: Sequence[str], now_ns: int | None = None) -> Snapshot:
    """Spot, perpetuals, futures and options of `assets`, with a volatility surface for each that has options.

    Marks are the exchange's mark prices, else the middle of the book, else the last trade; volatilities its own
    mark volatilities, else those of the marks. The market's time is `now_ns`, by default the exchange's own.
    Raises SolventError.
    """
    markets = ask(exchange, "load_markets")
    tickers = _tickers(exchange, markets, assets)
    newest = max((positive(ticker.get("timestamp")) for ticker in tickers.values()), default=0.0)
    now = now_ns or round(newest) * 10**6 or time.time_ns()
    rows, left_out = [], []
    for symbol in sorted(tickers):
        row = _row(markets[symbol], tickers[symbol], now)
        if row is None:
            left_out.append(symbol)
        else:
            rows.append(row)
    rows = _spots(rows, tickers, markets, assets) + rows
    if not rows:
        refuse(f"{PREFIX}{exchange.id}", "assets", ", ".join(assets), "assets that it trades")
    options = [row for row in rows if row.get("strike")]
    _fill_vols(options, now)
    left_out += [row["instrument"] for row in options if not row["vol"]]
    rows = [row for row in rows if not row.get("strike") or row["vol"]]
    surfaces = _surfaces([row for row in options if row["vol"]], now)
    frame = pl.DataFrame([{k: v for k, v in row.items() if k in _COLUMNS} for row in rows], infer_schema_length=None)
    market = Market.from_frame(frame, surfaces=surfaces, ts_ns=now, file=f"{PREFIX}{exchange.id}")
    return Snapshot(market, tuple(left_out))


_COLUMNS = ("instrument", "price", "forward", "rate", "vol", "age_s", "volume_usd_daily", "half_spread", "expiry")


def _tickers(exchange: Any, markets: Any, assets: Sequence[str]) -> dict[str, Any]:
    """Tickers of all markets of the assets by symbol."""
    wanted = [m for m in markets.values() if m.get("base") in assets and m.get("active") is not False]
    found: dict[str, Any] = {}
    if exchange.id == "deribit":  # answers by settlement currency, everything in it at once
        for currency in dict.fromkeys(m["settle"] or m["base"] for m in wanted):
            found |= ask(exchange, "fetch_tickers", None, {"currency": currency})
    else:
        for kind in ("spot", "swap", "future", "option"):
            symbols = [
                m["symbol"] for m in wanted if m.get("type") == kind and (kind != "spot" or m["quote"] in QUOTES)
            ]
            if symbols:
                found |= ask(exchange, "fetch_tickers", symbols)
    known = {m["symbol"] for m in wanted}
    return {symbol: ticker for symbol, ticker in found.items() if symbol in known}


def _row(market: Any, ticker: Any, now_ns: int) -> Row | None:
    """A row of the market frame for one derivative; None for spot and for what has no price or no terms here."""
    if market.get("spot"):
        return None
    price, spread = mark_of(ticker)
    try:
        known = instrument(market["symbol"], price)
    except ValueError:
        return None
    option = known.kind == 3
    if not price and not option:
        return None
    info = ticker.get("info") or {}
    stamp = positive(ticker.get("timestamp"))
    expiry = positive(market.get("expiry"))
    return {
        "instrument": market["symbol"],
        "underlying": market["base"],
        "price": price or None,
        "forward": positive(info.get("underlying_price")) or None,
        "rate": positive(info.get("interest_rate")) or None,
        "vol": positive(info.get("mark_iv")) / 100.0 if option else None,
        "index": positive(info.get("estimated_delivery_price")) or positive(ticker.get("indexPrice")),
        "age_s": max(0.0, (now_ns - stamp * 1e6) / 1e9) if stamp else 0.0,
        "volume_usd_daily": positive(ticker.get("quoteVolume")) or None,
        "half_spread": spread,
        "expiry": round(expiry) * 10**6 if expiry and known.kind in (2, 3) else None,
        "strike": positive(market.get("strike")) if option else None,
        "call": market.get("optionType") == "call",
        "inverse": bool(getattr(known, "inverse", False)),
    }


def _spots(rows: list[Row], tickers: dict[str, Any], markets: Any, assets: Sequence[str]) -> list[Row]:
    """A spot row of each asset: its own pair in USD, else the index that its derivatives state; and stablecoins."""
    found = []
    for asset in assets:
        pairs = [f"{asset}/{quote}" for quote in QUOTES if f"{asset}/{quote}" in tickers]
        price, spread = mark_of(tickers[pairs[0]]) if pairs else (0.0, 0.0)
        volume = positive(tickers[pairs[0]].get("quoteVolume")) if pairs else 0.0
        if not price:
            index = [row["index"] for row in rows if row["underlying"] == asset and row["index"]]
            price, spread = (float(np.median(index)), 0.0) if index else (0.0, 0.0)
        if price:
            volume_usd = volume or sum(r["volume_usd_daily"] or 0.0 for r in rows if r["underlying"] == asset)
            row = {"instrument": asset, "price": price, "half_spread": spread, "volume_usd_daily": volume_usd or None}
            found.append({**row, "age_s": 0.0})
    settled = {markets[row["instrument"]]["settle"] for row in rows} & STABLECOINS - {"USD", *assets}
    return found + [{"instrument": each, "price": 1.0, "half_spread": 0.0, "age_s": 0.0} for each in sorted(settled)]


def _fill_vols(options: list[Row], now_ns: int) -> None:
    """Volatility of marks where the exchange states none; 0 where there is no such volatility."""
    for row in options:
        years = (row["expiry"] - now_ns) / 1e9 / SECONDS_A_YEAR
        forward = row["forward"] or row["index"]
        if not row["vol"] and row["price"] and forward and years > 0:
            usd = row["price"] * (forward if row["inverse"] else 1.0)
            try:
                row["vol"] = float(implied_vol(usd, forward, row["strike"], years, np.array(row["call"])))
            except SolventError:
                row["vol"] = 0.0
        if not 0.0 < row["vol"] < VOL_MOST or not forward or years <= 0:
            row["vol"] = 0.0


def _surfaces(options: list[Row], now_ns: int) -> dict[str, GridSurface]:
    """A grid of each underlying's quoted volatilities."""
    surfaces = {}
    for asset in sorted({row["underlying"] for row in options}):
        mine = [row for row in options if row["underlying"] == asset]
        surfaces[asset] = GridSurface.from_quotes(
            [row["strike"] for row in mine],
            [(row["expiry"] - now_ns) / 1e9 / SECONDS_A_YEAR for row in mine],
            [row["vol"] for row in mine],
            [row["forward"] or row["index"] for row in mine],
        )
    return surfaces
