"""Candle and funding tables of many shapes as tidy frames: UTC times, assets, sources, USD volumes.

Candles come out as `ts, asset, venue, open, high, low, close, volume_usd, quote`, sorted; prices are in `quote`.
Funding comes out as `ts, asset, rate, hours`.
"""

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import polars as pl

from solvent.domain.columns import Faults, floats, texts, times_ns
from solvent.domain.instruments import STABLECOINS, USD

TIME_COLUMNS = ("ts", "timestamp", "time", "datetime", "date", "open_time")
ASSET_COLUMNS = ("asset", "symbol", "pair")
VENUE_COLUMNS = ("venue", "exchange", "market", "source")
PRICES = ("open", "high", "low", "close")
TURNOVER_MOST_USD_DAILY = 1e12
"""A plain `volume` counts coins, unless that made more turnover in a day than any market has: then USD."""
MARKET_CAPS: dict[str, Any] = {"ts": pl.Datetime("ns", "UTC"), "asset": pl.String, "market_cap_usd": pl.Float64}
FUNDING_HOURS = 8
"""Interval of a funding rate whose column does not name one."""

_PAIR = re.compile(r"([A-Z0-9]{1,20})[/_-]([A-Z0-9]{2,10})(?:[:_-].*)?")
_JOINED = re.compile(r"([A-Z0-9]{3,20}?)(BUSD|FDUSD|TUSD|DAI)|([A-Z0-9]{2,20}?)(USDT|USDC|USD)")
"""Pairs without a separator: `OPUSDT` is OP, `XBTUSD` is not XB in TUSD."""
_KIND = re.compile(r"[_-](?:PERP|PERPETUAL|SWAP)$")
_OWN_VOLUME = re.compile(r"volume_([a-z0-9]{1,10})")
_WIDE = re.compile(r"([a-z0-9]{2,10})_usd")


def asset_of(symbol: str, *, named_asset: bool = False) -> tuple[str, str]:
    """Asset and quote of a symbol: `BTCUSDT`, `BTC/USDT`, `BTC-USD`, `BTC/USDT:USDT`; `BTC` alone is in USD.

    named_asset: the symbol stands in a column of assets, where `CRVUSD` is a coin and no pair in USD.
    """
    text = _KIND.sub("", symbol.strip().upper())
    asset, quote = text, USD
    if pair := _PAIR.fullmatch(text):
        asset, quote = pair[1], pair[2]
    elif text not in STABLECOINS and (joined := _JOINED.fullmatch(text)):
        found = joined[1] or joined[3], joined[2] or joined[4]
        asset, quote = (text, USD) if named_asset and found[1] == USD else found
    return ("BTC" if asset == "XBT" else asset), quote


def is_candle_column(name: str) -> bool:
    """Whether a column of a candle or funding file is read at all."""
    known = (*TIME_COLUMNS, *ASSET_COLUMNS, *VENUE_COLUMNS, *PRICES, "quote", "volume", "volume_usd")
    return name in known or name.startswith(("volume_", "funding_rate", "rate")) or _WIDE.fullmatch(name) is not None


def candle_table(
    frame: pl.DataFrame,
    file: str,
    assets: Sequence[str] | None = None,
    start_ns: int | None = None,
    end_ns: int | None = None,
    *,
    partial: bool = False,
) -> pl.DataFrame:
    """A tidy candle frame of the wanted assets and times, both ends included.

    frame: `ts, asset|symbol, [venue|market], open, high, low, close, volume|volume_base|volume_quote`, or
    `close` only, or one column `<asset>_usd` an asset. Without an asset column the asset is that of a
    `volume_<asset>` column, the one that is wanted, or the first word of the file's name. Without a venue the
    file's name is the source. Rows outside the selection are not judged. `partial`: wanted assets and times
    may be absent. Raises SolventError with all problems.
    """
    faults = Faults(file)
    frame = frame.rename({name: name.strip().lower() for name in frame.columns}).with_row_index("row", 1)
    frame = _long(frame)
    if "close" not in frame.columns:
        wanted = "columns ts, asset or symbol, open, high, low, close and a volume; or close only"
        faults.add(None, "close", "missing column", f"{wanted}; found {', '.join(frame.columns[1:])}")
    time = _first(frame, TIME_COLUMNS)
    if time is None:
        faults.add(None, "ts", "missing column", f"one of {', '.join(TIME_COLUMNS)}")
        faults.stop()
    faults.stop()
    assert time is not None
    ts, bad = times_ns(frame[time])
    _rows(faults, frame, bad, time, "a UTC time: ISO 8601 text or an epoch number")
    frame = _named(frame, assets, file, faults).with_columns(pl.Series("ts", ts))
    whole = frame
    if assets is not None:
        names = [each.strip().upper() for each in assets]
        if not partial:
            _check_assets(names, frame["asset"].unique().to_list(), faults)
        frame = frame.filter(pl.col("asset").is_in(names))
    if start_ns is not None:
        frame = frame.filter(pl.col("ts") >= start_ns)
    if end_ns is not None:
        frame = frame.filter(pl.col("ts") <= end_ns)
    frame = _priced(frame, faults)
    if not (faults.found or partial or len(frame)):
        span = f"from {_iso(whole['ts'].min())} to {_iso(whole['ts'].max())}" if len(whole) else "nothing"
        faults.add(None, "rows", f"none from {_iso(start_ns)} to {_iso(end_ns)}", f"times that the file has: {span}")
    faults.stop()
    return _deduplicated(frame, faults)


def candle_assets(frame: pl.DataFrame, file: str, rows: Sequence[int] | None = None) -> list[str]:
    """The assets of a candle frame, sorted; or those of the given rows (from 1), one each."""
    faults = Faults(file)
    frame = frame.rename({name: name.strip().lower() for name in frame.columns}).with_row_index("row", 1)
    assets = _named(_long(frame), None, file, faults)["asset"]
    faults.stop()
    return sorted(assets.unique().to_list()) if rows is None else assets.gather([row - 1 for row in rows]).to_list()


def market_cap_table(frame: pl.DataFrame, file: str) -> pl.DataFrame:
    """`ts` (UTC), `asset`, `market_cap_usd` of a candle frame; no rows without such a column, empty cells left out.

    Raises SolventError with all problems.
    """
    faults = Faults(file)
    frame = frame.rename({name: name.strip().lower() for name in frame.columns}).with_row_index("row", 1)
    time = _first(frame, TIME_COLUMNS)
    if time is None or "market_cap_usd" not in frame.columns:
        return pl.DataFrame(schema=MARKET_CAPS)
    ts, bad = times_ns(frame[time])
    _rows(faults, frame, bad, time, "a UTC time: ISO 8601 text or an epoch number")
    values, wrong = floats(frame["market_cap_usd"])
    _rows(faults, frame, wrong | (values < 0), "market_cap_usd", "a value of 0 or more")
    frame = _named(frame, None, file, faults)
    faults.stop()
    tidy = frame.select("asset").with_columns(pl.Series("ts", ts), pl.Series("market_cap_usd", values))
    tidy = tidy.filter(pl.col("market_cap_usd").is_finite() & (pl.col("market_cap_usd") > 0))
    return tidy.select(pl.from_epoch("ts", "ns").dt.replace_time_zone("UTC"), "asset", "market_cap_usd").sort("ts")


def _first(frame: pl.DataFrame, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in frame.columns), None)


def _iso(ts_ns: Any) -> str:
    return "the start" if ts_ns is None else str(np.datetime64(int(ts_ns), "ns"))[:16]


def _rows(faults: Faults, frame: pl.DataFrame, bad: Any, field: str, accepted: str) -> None:
    """Report rows of a filtered frame by their number in the file."""
    faults.rows(np.asarray(bad, np.bool_), field, frame[field], accepted, frame["row"].to_numpy())


def _long(frame: pl.DataFrame) -> pl.DataFrame:
    """A table of one `<asset>_usd` price column an asset as rows of `close`."""
    wide = [name for name in frame.columns if _WIDE.fullmatch(name) and not name.startswith(("volume", "market_cap"))]
    if "close" in frame.columns or not wide:
        return frame
    kept = [name for name in frame.columns if name == "row" or name in TIME_COLUMNS]
    long = frame.unpivot(wide, index=kept, variable_name="asset", value_name="close")
    return long.with_columns(pl.col("asset").str.strip_suffix("_usd").str.to_uppercase()).drop_nulls("close")


def _named(frame: pl.DataFrame, assets: Sequence[str] | None, file: str, faults: Faults) -> pl.DataFrame:
    """Adds `asset`, `quote` and `venue`; a stated `quote` column wins over the symbol's."""
    column = _first(frame, ASSET_COLUMNS)
    own = [match[1].upper() for name in frame.columns if (match := _OWN_VOLUME.fullmatch(name))]
    own = [each for each in own if each not in ("BASE", "QUOTE", "USD")]
    stem = PurePath(file).name.split(".")[0]
    if column is None:
        named = own or ([assets[0]] if assets is not None and len(assets) == 1 else [re.split(r"[_\W]", stem)[0]])
        symbols = pl.Series("symbol", [named[0]] * len(frame), dtype=pl.String)
    else:
        symbols = texts(frame[column])
        _rows(faults, frame, symbols.is_null().to_numpy(), column, "an asset or a pair such as BTC/USDT")
    distinct = symbols.unique().drop_nulls()
    pairs = [asset_of(each, named_asset=column == "asset") for each in distinct]
    coded = {
        name: _replaced(symbols, distinct, [pair[i] for pair in pairs]) for i, name in enumerate(("asset", "quote"))
    }
    if "quote" in frame.columns:
        coded["quote"] = texts(frame["quote"]).str.to_uppercase().fill_null(USD)
    venues = [texts(frame[name]) for name in VENUE_COLUMNS if name in frame.columns]
    venue = pl.Series("venue", [stem] * len(frame), dtype=pl.String)
    if venues:
        parts = pl.DataFrame([each.alias(str(i)) for i, each in enumerate(venues)])
        venue = parts.select(pl.concat_str(pl.all(), separator=":", ignore_nulls=True)).to_series()
    return frame.with_columns(coded["asset"].alias("asset"), coded["quote"].alias("quote"), venue.alias("venue"))


def _replaced(column: pl.Series, old: pl.Series, new: Sequence[str]) -> pl.Series:
    if not new:
        return column
    return column.replace_strict(old, pl.Series(new, dtype=pl.String), default=None, return_dtype=pl.String)


def _check_assets(names: Sequence[str], found: Sequence[str | None], faults: Faults) -> None:
    from difflib import get_close_matches

    there = sorted(each for each in found if each)
    for name in names:
        if name not in there:
            near = get_close_matches(name, there, 3) or there[:20]
            faults.add(None, "asset", name, f"one of {', '.join(near)}")


def _priced(frame: pl.DataFrame, faults: Faults) -> pl.DataFrame:
    """Prices above zero, null where a file has none but a close, and volume in units of the quote asset."""
    columns: dict[str, Any] = {}
    for name in PRICES:
        if name not in frame.columns:
            continue
        values, bad = floats(frame[name])
        empty = np.isnan(values) & ~bad & (name != "close")
        _rows(faults, frame, bad | ~(empty | (values > 0)), name, "a price above 0")
        columns[name] = values
    nothing = np.full(len(frame), np.nan)
    columns = {name: columns.get(name, nothing) for name in PRICES}
    field = "high" if "high" in frame.columns else "close"
    _rows(faults, frame, columns["high"] < columns["low"], field, "high at or above low")
    columns["volume_usd"] = _volume(frame, columns, faults)
    numbers = [pl.Series(name, values).fill_nan(None) for name, values in columns.items()]
    return frame.select("row", "ts", "asset", "venue", "quote").with_columns(numbers)


def _volume(frame: pl.DataFrame, prices: dict[str, Any], faults: Faults) -> Any:
    """Volume in units of the quote asset; NaN where a file has none."""
    stated = ("volume_usd", "volume_quote", "volume_base", "volume")
    own = [name for name in frame.columns if _OWN_VOLUME.fullmatch(name) and name not in stated]
    name = next((name for name in (*stated, *own) if name in frame.columns), None)
    if name is None:
        return np.full(len(frame), np.nan)
    values, bad = floats(frame[name])
    _rows(faults, frame, bad | (values < 0), name, "a volume of 0 or more")
    if name in ("volume_usd", "volume_quote") or not len(values):
        return values
    turnover = values * np.nanmean([prices[each] for each in PRICES], axis=0)
    if name == "volume" and _daily(turnover, frame["ts"].to_numpy()) > TURNOVER_MOST_USD_DAILY:
        return values
    return turnover


def _daily(turnover: Any, ts: Any) -> float:
    """Median turnover of a day."""
    steps = np.diff(np.unique(ts))
    if not len(steps) or not np.isfinite(turnover).any():
        return 0.0
    return float(np.nanmedian(turnover) * 86_400e9 / np.median(steps))


def _deduplicated(frame: pl.DataFrame, faults: Faults) -> pl.DataFrame:
    """Sorted by time; the same candle twice counts once, two different ones are a problem."""
    keys = ["ts", "asset", "venue"]
    frame = frame.unique([name for name in frame.columns if name != "row"], keep="first", maintain_order=True)
    twice = frame.select(pl.struct(keys).is_duplicated()).to_series()
    if twice.any():
        asset = frame["asset"].filter(twice).to_list()
        for row, name in list(zip(frame["row"].filter(twice).to_list(), asset, strict=True))[:20]:
            faults.add(row, "asset", name, "one candle a time, asset and venue")
        faults.stop()
    return frame.drop("row").sort(keys).with_columns(pl.from_epoch("ts", "ns").dt.replace_time_zone("UTC"))


def funding_table(frame: pl.DataFrame, file: str) -> pl.DataFrame:
    """Tidy funding: `ts` (UTC, when it is paid), `asset`, `rate` (fraction an interval, longs pay), `hours`.

    Reads `ts, [asset|symbol], funding_rate_8h` (or `funding_rate`, `rate`) and daily means `date, [asset],
    funding_rate_mean_8h`, which stand for each of the day's three payments. Without an asset column the asset
    is the first word of the file's name where that looks like one (`btc_perp_funding.parquet`), else BTC.
    Raises SolventError with all problems.
    """
    faults = Faults(file)
    frame = frame.rename({name: name.strip().lower() for name in frame.columns}).with_row_index("row", 1)
    time, rate = _first(frame, TIME_COLUMNS), _rate_column(frame.columns)
    if time is None or rate is None:
        if time is None:
            faults.add(None, "ts", "missing column", f"one of {', '.join(TIME_COLUMNS)}")
        if rate is None:
            faults.add(None, "funding_rate", "missing column", "funding_rate_8h, funding_rate or funding_rate_mean_8h")
        faults.stop()
    assert time is not None
    assert rate is not None
    ts, bad = times_ns(frame[time])
    _rows(faults, frame, bad, time, "a UTC time: ISO 8601 text or an epoch number")
    values, wrong = floats(frame[rate])
    _rows(faults, frame, wrong | ~(np.abs(values) < 1), rate, "a fraction between -1 and 1")
    if _first(frame, ASSET_COLUMNS) is None:
        word = re.split(r"[_\W]", PurePath(file).name)[0].upper()
        name = word if re.fullmatch(r"[A-Z0-9]{2,5}", word) and word not in ("PERP", "DATA", "RATES", "RATE") else "BTC"
        frame = frame.with_columns(asset=pl.lit(name))
    frame = _named(frame, None, file, faults)
    faults.stop()
    hours = int(match[1]) if (match := re.search(r"(\d{1,2})h$", rate)) and int(match[1]) else FUNDING_HOURS
    daily = "mean" in rate
    tidy = frame.select("asset").with_columns(pl.Series("ts", ts), pl.Series("rate", values), hours=pl.lit(hours))
    if daily:
        payments = pl.DataFrame({"shift": [i * hours * 3600 * 10**9 for i in range(24 // hours)]})
        tidy = tidy.join(payments, how="cross").with_columns(ts=pl.col("ts") + pl.col("shift"))
    tidy = tidy.select("ts", "asset", "rate", "hours").unique(["ts", "asset"], keep="first").sort("ts", "asset")
    return tidy.with_columns(pl.from_epoch("ts", "ns").dt.replace_time_zone("UTC"))


def _rate_column(names: Sequence[str]) -> str | None:
    exact = next((n for n in ("funding_rate", "rate") if n in names), None)
    return exact or next((n for n in names if n.startswith("funding_rate") and "abs" not in n), None)
