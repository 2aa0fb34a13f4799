"""Recorded candles as ticks: four prices a candle, one a bare close; several venues are several sources.

- Open, low, high, close if the candle closes at or above its open, else open, high, low, close; a quarter of the
  bar apart, each with a quarter of the volume. Venues of one asset take one order, that of their moves together,
  so that no difference between them is of our making. A bare close is a tick where a candle's close would be.
- A source keeps its last price until the next is due; from then on its age counts, and the guards see a gap.
- A coarser series of an asset (daily beside hourly) is used only where no finer one has data.
- Prices in USDT (or another quote asset) are multiplied by its price where the candles have that in USD, and
  taken as USD where they have not.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from solvent.domain.instruments import USD
from solvent.engine.sources.tick import SourcePrice, Tick

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

DAY_NS = 86_400 * 10**9
STEP_DEFAULT_NS = 3_600 * 10**9
"""Bar of a series of one row, where no other series tells."""
GAP_BARS = 3
"""Missing bars from which a gap is noted."""


class _Series(NamedTuple):
    """One venue's prices of one asset, by point in time."""

    asset: str
    venue: str
    quote: str
    step_ns: int
    ts: I64
    due: I64
    """When the price after this one is expected."""
    price: F64
    closes: NDArray[np.bool_]
    """Whether a point is the close of its bar."""
    volume_daily: F64
    """Traded in quote units at the pace of the bar, NaN where unknown."""


class Candles:
    """A source that replays a candle frame (of `read_candles`), with funding (of `read_funding`)."""

    name = "replay"

    def __init__(self, candles: pl.DataFrame, funding: pl.DataFrame | None = None) -> None:
        """candles: `ts, asset, venue, quote, open, high, low, close, volume_usd`. funding: `ts, asset, rate`."""
        self.assets: tuple[str, ...] = tuple(sorted(candles["asset"].unique().to_list()))
        self._series = _series(candles)
        muted = [_finer_spans(each, self._series) for each in self._series]
        points = [each.ts[~_inside(each.ts, spans)] for each, spans in zip(self._series, muted, strict=True)]
        times = np.unique(np.concatenate(points))
        self._times: I64 = times[times < _end(self._series)]
        self._muted = [_inside(self._times, spans) for spans in muted]
        self._funding = _payments(funding, self.assets)
        self.notes: tuple[str, ...] = tuple(_notes(self._series, self._times, self._funding, self.assets))
        """What the data do not hold, for reports."""

    def begins(self) -> dict[str, int]:
        """Time of each asset's first price."""
        found: dict[str, int] = {}
        for each in self._series:
            found[each.asset] = min(int(each.ts[0]), found.get(each.asset, int(each.ts[0])))
        return found

    def __len__(self) -> int:
        """Ticks in all."""
        return len(self._times)

    def __iter__(self) -> Iterator[Tick]:
        """Ticks in order of time, the same on every pass."""
        plan = [_Plan.of(each, self._times, muted) for each, muted in zip(self._series, self._muted, strict=True)]
        closing = np.zeros(len(self._times), np.bool_)
        for each in self._series:
            closing |= np.isin(self._times, each.ts[each.closes])
        paid = 0
        for k, ts_ns in enumerate(self._times.tolist()):
            now = [(one, one.at[k]) for one in plan if one.on[k]]
            usd = _quote_prices(now)
            prices = []
            volumes: dict[str, float] = {}
            by_source: dict[str, dict[str, float]] = {}
            for one, i in now:
                asset, rate = one.series.asset, usd.get(one.series.quote, 1.0)
                age_s = max(0, ts_ns - one.due[i]) / 1e9
                prices.append(SourcePrice(asset, one.series.venue, one.price[i] * rate, age_s))
                volume = one.volume_daily[i]
                if volume is not None and age_s == 0.0:
                    volumes[asset] = volumes.get(asset, 0.0) + volume * rate
                    venues = by_source.setdefault(asset, {})
                    venues[one.series.venue] = venues.get(one.series.venue, 0.0) + volume * rate
            rates: dict[str, float] = {}
            while paid < len(self._funding) and self._funding[paid][0] <= ts_ns:
                rates[self._funding[paid][1]] = self._funding[paid][2]
                paid += 1
            yield Tick(ts_ns, tuple(prices), volumes, {}, rates, bool(closing[k]), by_source)


class _Plan(NamedTuple):
    """A series laid along the ticks, as lists, which are quick to read one by one."""

    series: _Series
    at: list[int]
    """The series' last point at each tick."""
    on: list[bool]
    """Whether the series has a say at each tick."""
    due: list[int]
    price: list[float]
    volume_daily: list[float | None]

    @classmethod
    def of(cls, series: _Series, times: I64, muted: NDArray[np.bool_]) -> "_Plan":
        at = np.searchsorted(series.ts, times, "right") - 1
        volume = [x if x == x else None for x in series.volume_daily.tolist()]
        return cls(
            series, at.tolist(), ((at >= 0) & ~muted).tolist(), series.due.tolist(), series.price.tolist(), volume
        )


def _quote_prices(now: list[tuple[_Plan, int]]) -> dict[str, float]:
    """Median USD price of each quote asset that has a series in USD."""
    wanted = {each.series.quote for each, _ in now} - {USD}
    found: dict[str, float] = {}
    for quote in wanted:
        prices = sorted(e.price[i] for e, i in now if e.series.asset == quote and e.series.quote == USD)
        if prices:
            found[quote] = prices[len(prices) // 2]
    return found


def _series(candles: pl.DataFrame) -> list[_Series]:
    """The points of every venue of every asset."""
    up = (pl.col("close") / pl.col("open") - 1).sum().over("asset", "ts", "step") >= 0
    rows = candles.with_columns(pl.col("ts").dt.epoch("ns")).sort("ts")
    keys = ["asset", "venue", "quote"]
    steps = rows.group_by(keys).agg(step=pl.col("ts").unique().sort().diff().median())
    default = steps["step"].min() or STEP_DEFAULT_NS
    steps = steps.with_columns(pl.col("step").fill_null(default).cast(pl.Int64))
    rows = rows.join(steps, on=keys).with_columns(up=up)
    groups = rows.partition_by(keys, as_dict=True)
    return [_points(str(k[0]), str(k[1]), str(k[2]), groups[k]) for k in sorted(groups)]


def _points(asset: str, venue: str, quote: str, rows: pl.DataFrame) -> _Series:
    """Four points of a whole candle, one of a bare close."""
    step = int(rows["step"][0])
    low_first = rows["up"].fill_null(True).to_numpy()
    columns = [rows[name].to_numpy().astype(np.float64) for name in ("open", "low", "high", "close")]
    opened, low, high, close = columns
    whole = ~np.isnan(opened + low + high)
    prices = np.column_stack([opened, np.where(low_first, low, high), np.where(low_first, high, low), close])
    ts = rows["ts"].to_numpy()[:, None] + np.arange(4, dtype=np.int64) * (step // 4)
    kept = whole[:, None] | (np.arange(4) == 3)
    due = ts + np.where(whole[:, None], step // 4, step)
    volume = np.broadcast_to(rows["volume_usd"].to_numpy().astype(np.float64)[:, None], kept.shape) * (DAY_NS / step)
    closes = np.broadcast_to(np.arange(4) == 3, kept.shape)
    return _Series(asset, venue, quote, step, ts[kept], due[kept], prices[kept], closes[kept], volume[kept])


def _finer_spans(series: _Series, others: list[_Series]) -> list[tuple[int, int]]:
    """Times at which a finer series of the same asset has data."""
    finer = [each for each in others if each.asset == series.asset and each.step_ns < series.step_ns]
    return [(int(each.ts[0]), int(each.ts[-1]) + each.step_ns) for each in finer]


def _end(series: list[_Series]) -> int:
    """End of the last bar of the finest series: a daily candle reaches no further than the hours beside it."""
    finest = min(each.step_ns for each in series)
    return max(int(each.ts[-1]) + each.step_ns for each in series if each.step_ns == finest)


def _inside(times: I64, spans: list[tuple[int, int]]) -> NDArray[np.bool_]:
    found = np.zeros(len(times), np.bool_)
    for start, end in spans:
        found |= (times >= start) & (times < end)
    return found


def _payments(funding: pl.DataFrame | None, assets: tuple[str, ...]) -> list[tuple[int, str, float]]:
    """Funding of the replayed assets by time."""
    if funding is None:
        return []
    rows = funding.filter(pl.col("asset").is_in(list(assets))).with_columns(pl.col("ts").dt.epoch("ns"))
    return sorted(rows.select("ts", "asset", "rate").iter_rows())


def _notes(
    series: list[_Series], times: I64, funding: list[tuple[int, str, float]], assets: tuple[str, ...]
) -> Iterator[str]:
    """Where series start late, end early, stand in for each other or have gaps; quotes and funding not given."""
    priced = {each.asset for each in series if each.quote == USD}
    for each in series:
        name = f"{each.asset} of {each.venue}"
        if each.ts[0] - each.step_ns > times[0]:
            yield f"{name}: data begin {_iso(each.ts[0])}"
        if each.ts[-1] + each.step_ns < times[-1]:
            yield f"{name}: data end {_iso(each.ts[-1])}"
        jumps = np.flatnonzero(np.diff(each.ts) > GAP_BARS * each.step_ns)
        for i in jumps.tolist():
            yield f"{name}: no data {_iso(each.ts[i])} to {_iso(each.ts[i + 1])}"
        for start, end in _finer_spans(each, series):
            if each.ts[0] < end and each.ts[-1] >= start:
                yield f"{name}: coarser, used only outside of {_iso(start)} to {_iso(end)}"
        if each.quote not in priced | {USD}:
            yield f"{name}: quoted in {each.quote}, which is taken as USD"
    paid = {asset for _, asset, _ in funding}
    if unpaid := [asset for asset in assets if asset not in paid]:
        yield f"no funding for {', '.join(unpaid)}"


def _iso(ts_ns: int) -> str:
    return str(np.datetime64(int(ts_ns), "ns"))[:16]
