"""Candles of one asset on an unbroken hourly grid: what is missing is NaN, and stays so."""

from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from solvent.errors import SolventError, problem

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

HOUR_NS = 3_600_000_000_000
PRICES = ("open", "high", "low", "close")


class Hours(msgspec.Struct, frozen=True, eq=False):
    """T hours of one asset, oldest first; the candle of hour t is known at `ts_ns[t] + HOUR_NS`."""

    asset: str
    ts_ns: I64
    """(T,) opening times, exactly one hour apart."""
    open: F64
    high: F64
    low: F64
    close: F64
    """(T,) prices; NaN where there is no candle."""
    volume_usd: F64
    """(T,) traded value; NaN where there is no candle, everywhere where the source has no volume."""
    returns: F64
    """(T,) log returns of closes; NaN unless both candles are of one venue and an hour apart."""

    def __len__(self) -> int:
        return len(self.ts_ns)

    def last(self, count: int) -> "Hours":
        """The newest `count` hours, or all where there are fewer."""
        columns = {name: getattr(self, name)[-count:] for name in self.__struct_fields__ if name != "asset"}
        return Hours(asset=self.asset, **columns)

    @property
    def has_volume(self) -> bool:
        return bool(np.isfinite(self.volume_usd).any())


def hours(candles: pl.DataFrame, asset: str, *, ahead: bool = False) -> Hours:
    """The hours of one asset.

    candles: `ts` (Datetime), `open, high, low, close`, optionally `asset`, `venue` and one of `volume_usd`,
    `volume_base`. Of several venues the one with the longest past is followed to its end, then the next one
    that goes on: at the seam there is no return, because it would be a difference of venues and no move.
    A candle at odds with itself (price <= 0, high below low) counts as missing. `ahead`: one empty hour is
    added at the end, which can be forecast. Raises SolventError for an asset without candles and for candles
    that are not hourly.
    """
    frame = candles.filter(pl.col("asset") == asset) if "asset" in candles.columns else candles
    frame = frame.drop_nulls("close").with_columns(_ns=pl.col("ts").dt.epoch("ns"))
    if frame.is_empty():
        raise SolventError(problem("candles", None, "asset", asset, "an asset with candles"))
    frame = _followed(frame)
    ts = frame["_ns"].to_numpy()
    if (ts % HOUR_NS).any() or (len(ts) > 1 and np.median(np.diff(ts)) != HOUR_NS):
        raise SolventError(problem("candles", None, "ts", f"{asset}: every {_step(ts)}", "candles of one hour"))
    at = (ts - ts[0]) // HOUR_NS
    grid = ts[0] + HOUR_NS * np.arange(at[-1] + 1 + ahead)
    columns = {name: np.full(len(grid), np.nan) for name in (*PRICES, "volume_usd", "venue")}
    sound = _sound(frame)
    for name, values in {**_numbers(frame), "venue": frame["_venue"].to_numpy()}.items():
        columns[name][at] = np.where(sound, values, np.nan)
    venue = columns.pop("venue")
    returns = np.full(len(grid), np.nan)
    close = columns["close"]
    same = venue[1:] == venue[:-1]
    returns[1:][same] = np.log(close[1:][same] / close[:-1][same])
    return Hours(asset=asset, ts_ns=grid, returns=returns, **columns)


def assets_of(candles: pl.DataFrame) -> Sequence[str]:
    """Assets of a candle frame in alphabetical order; one that names none is called `asset`."""
    return candles["asset"].unique().sort().to_list() if "asset" in candles.columns else ["asset"]


def _followed(frame: pl.DataFrame) -> pl.DataFrame:
    """One candle an hour: each venue from where its forerunner ended, with `_venue` as a number."""
    if "venue" not in frame.columns:
        return frame.unique("_ns", keep="first").sort("_ns").with_columns(_venue=pl.lit(0.0))
    starts = frame.group_by("venue").agg(pl.col("_ns").min()).sort("_ns", "venue")
    parts: list[pl.DataFrame] = []
    for number, venue in enumerate(starts["venue"]):
        part = frame.filter(pl.col("venue") == venue)
        if parts:
            reached = parts[-1]["_ns"].max()
            part = part.filter(pl.col("_ns") > reached)
        if len(part):
            parts.append(part.unique("_ns", keep="first").sort("_ns").with_columns(_venue=pl.lit(float(number))))
    return pl.concat(parts)


def _numbers(frame: pl.DataFrame) -> dict[str, F64]:
    close = frame["close"].cast(pl.Float64).to_numpy()
    numbers = {n: frame[n].cast(pl.Float64).to_numpy() if n in frame.columns else close for n in PRICES}
    if "volume_usd" in frame.columns:
        numbers["volume_usd"] = frame["volume_usd"].cast(pl.Float64).to_numpy()
    elif "volume_base" in frame.columns:
        numbers["volume_usd"] = frame["volume_base"].cast(pl.Float64).to_numpy() * close
    return numbers


def _sound(frame: pl.DataFrame) -> NDArray[np.bool_]:
    prices = _numbers(frame)
    with np.errstate(invalid="ignore"):
        positive = np.all([prices[name] > 0 for name in PRICES], axis=0)
        ordered = (prices["high"] >= np.maximum(prices["open"], prices["close"])) & (
            prices["low"] <= np.minimum(prices["open"], prices["close"])
        )
    return np.asarray(positive & ordered, dtype=np.bool_)


def _step(ts: I64) -> str:
    return f"{np.median(np.diff(ts)) / HOUR_NS:g} h" if len(ts) > 1 else "one candle"
