"""Hourly candles that a venue's own marks make: what predictive models go on with where recorded candles end.

A mark is a sample, and the range of samples is shorter than the range of the price between them: high and low are moved
apart by 0.5826 standard deviations of a step each (Broadie, Glasserman and Kou 1997, for discretely watched
barriers), so that hours of few marks and of many say the same about volatility. An hour that was not watched in
every five minutes has no candle.
"""

import math
from collections.abc import Mapping, Sequence

import msgspec
import polars as pl

from solvent.domain.commands import Quote
from solvent.domain.instruments import Instrument
from solvent.domain.market import OK
from solvent.engine.adaptive.history import has_closes
from solvent.models.hours import HOUR_NS, PRICES

SLOTS = 12
SLOT_NS = HOUR_NS // SLOTS
WATCHED = (1 << SLOTS) - 1
"""Every slot has a mark."""
CONTINUITY = 0.5826
"""-zeta(1/2) / sqrt(2 pi)."""
HOURS_MOST = 2 * 365 * 24
"""When an asset has twice as many, the older half is forgotten."""
VENUE = "the venue's marks"
CANDLES = (
    pl.col("ts").cast(pl.Datetime("ns", "UTC")),
    *(pl.col(name).cast(pl.String) for name in ("asset", "venue")),
    *(pl.col(name).cast(pl.Float64) for name in PRICES),
)
"""Columns of the frame."""


class _Hour(msgspec.Struct):
    """The hour under way; prices in ticks."""

    number: int
    """Hours since 1970."""
    open: int
    high: int
    low: int
    close: int
    slots: int = 0
    """A bit for each slot that has a mark."""
    squares: float = 0.0
    """Sum of squared log steps."""
    steps: int = 0

    def add(self, ticks: int, slot: int) -> None:
        self.squares += math.log(ticks / self.close) ** 2
        self.steps += 1
        self.high, self.low, self.close = max(self.high, ticks), min(self.low, ticks), ticks
        self.slots |= 1 << slot

    def prices(self) -> tuple[float, float, float, float]:
        """Open, high, low, close."""
        apart = math.exp(CONTINUITY * math.sqrt(self.squares / self.steps))
        return float(self.open), self.high * apart, self.low / apart, float(self.close)


class MarkedHours:
    """Grows by a mark at a time; the same marks give the same candles, live and read back from a journal."""

    def __init__(self) -> None:
        self.last_ns = 0
        """Of the newest mark."""
        self._running: dict[str, _Hour] = {}
        self._over: dict[str, dict[int, tuple[float, float, float, float]]] = {}

    def add(self, marked_ns: int, instruments: Sequence[Instrument], quotes: Mapping[int, Quote]) -> None:
        """One mark. Dollars and prices in doubt are left out."""
        self.last_ns = max(self.last_ns, marked_ns)
        number, rest_ns = divmod(marked_ns, HOUR_NS)
        for asset in [asset for asset, hour in self._running.items() if hour.number < number]:
            self._finish(asset)
        for i, instrument in enumerate(instruments):
            quote = quotes.get(i)
            if quote is None or quote.state != OK or quote.ticks <= 0 or not has_closes(instrument):
                continue
            asset = instrument.underlying
            if asset not in self._running:
                opened = round(self._over.get(asset, {}).get(number - 1, (0.0,) * 4)[3]) or quote.ticks
                self._running[asset] = _Hour(number, opened, opened, opened, opened)
            self._running[asset].add(quote.ticks, rest_ns // SLOT_NS)

    def _finish(self, asset: str) -> None:
        hour = self._running.pop(asset)
        over = self._over.setdefault(asset, {})
        if hour.slots == WATCHED:
            over[hour.number] = hour.prices()
        if len(over) >= 2 * HOURS_MOST:
            self._over[asset] = dict(list(over.items())[-HOURS_MOST:])

    def candles(self, asset: str) -> pl.DataFrame:
        """Hours of an asset that are over, `CANDLES`; prices in the asset's ticks, which is all the same to returns."""
        over = self._over.get(asset, {})
        ts = pl.Series("ts", [number * HOUR_NS for number in over], dtype=pl.Int64)
        prices = list(zip(*over.values(), strict=True)) or [()] * 4
        columns = dict(zip(PRICES, prices, strict=True))
        frame = pl.DataFrame({"ts": ts, **columns}).with_columns(asset=pl.lit(asset), venue=pl.lit(VENUE))
        return frame.with_columns(pl.from_epoch("ts", "ns").dt.replace_time_zone("UTC")).select(CANDLES)
