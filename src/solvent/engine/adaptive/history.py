"""Closes of guarded prices in bars, as the journal's marks give them: what models see, and what evidence names.

The same marks give the same closes and so the same digest, live and read back from the journal.
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvent.domain.adaptive import Evidence
from solvent.domain.commands import Quote
from solvent.domain.instruments import STABLECOINS, USD, Instrument, Spot
from solvent.domain.market import OK
from solvent.engine.adaptive.past import past_marks
from solvent.ledger.journal import Journal

F64 = NDArray[np.float64]
S_NS = 10**9
BAR_S = 300
DAY_S = 86_400
BARS_MOST = 4_000
"""When an asset has so many, the older half is forgotten."""


class Closes(NamedTuple):
    """One asset's bars that are over."""

    end_ns: tuple[int, ...]
    ticks: tuple[int, ...]

    def returns(self) -> F64:
        """Log returns from bar to bar, one fewer than there are bars."""
        return np.diff(np.log(np.array(self.ticks, np.float64)))

    def bars_daily(self) -> float:
        """Bars a day: by the median distance of neighbours, so that missing ones do not count."""
        return DAY_S * S_NS / float(np.median(np.diff(self.end_ns)))


class History:
    """Grows by a mark at a time."""

    def __init__(self, bar_s: int = BAR_S) -> None:
        self.bar_ns = bar_s * S_NS
        self._bars: dict[str, list[int]] = {}
        self._ticks: dict[str, list[int]] = {}
        self.last_ns = 0
        """Of the newest mark."""

    @classmethod
    def read(cls, journal: Journal, bar_s: int = BAR_S) -> "History":
        """All marks of a journal."""
        found = cls(bar_s)
        for mark in past_marks(journal):
            found.add(mark.ts_ns, mark.instruments, mark.quotes)
        return found

    def add(self, marked_ns: int, instruments: Sequence[Instrument], quotes: Mapping[int, Quote]) -> None:
        """One mark: the last good price within a bar is its close. Dollars and prices in doubt are left out."""
        self.last_ns = max(self.last_ns, marked_ns)
        bar = marked_ns // self.bar_ns
        for i, instrument in enumerate(instruments):
            quote = quotes.get(i)
            if quote is None or quote.state != OK or not has_closes(instrument):
                continue
            bars, ticks = (
                self._bars.setdefault(instrument.underlying, []),
                self._ticks.setdefault(instrument.underlying, []),
            )
            if bars and bars[-1] == bar:
                ticks[-1] = quote.ticks
            else:
                bars.append(bar)
                ticks.append(quote.ticks)
        if any(len(bars) > BARS_MOST for bars in self._bars.values()):
            self._forget(bar)

    def _forget(self, bar: int) -> None:
        """Drop the older half of the time that is known, of all assets alike."""
        first = min(bars[0] for bars in self._bars.values() if bars)
        for name, bars in self._bars.items():
            cut = bisect_left(bars, (first + bar) // 2)
            self._bars[name], self._ticks[name] = bars[cut:], self._ticks[name][cut:]

    @property
    def assets(self) -> list[str]:
        """Assets with a close, by name."""
        return sorted(self._bars)

    def closes(self, asset: str) -> Closes:
        """Bars of an asset that are over: the newest one may still change."""
        bars, ticks = self._bars.get(asset, []), self._ticks.get(asset, [])
        over = bisect_left(bars, self.last_ns // self.bar_ns)
        return Closes(tuple((bar + 1) * self.bar_ns for bar in bars[:over]), tuple(ticks[:over]))

    def digest(self, assets: Sequence[str], first_ns: int, last_ns: int) -> str:
        """BLAKE2b-256 of the rows `asset,bar end,ticks` of some assets whose bars end in a span, both ends included."""
        found = hashlib.blake2b(digest_size=32)
        for asset in sorted(assets):
            closes = self.closes(asset)
            span = slice(bisect_left(closes.end_ns, first_ns), bisect_right(closes.end_ns, last_ns))
            for end_ns, ticks in zip(closes.end_ns[span], closes.ticks[span], strict=True):
                found.update(f"{asset},{end_ns},{ticks}\n".encode())
        return found.hexdigest()


def evidence_holds(journal: Journal, evidence: Evidence) -> bool:
    """Whether the journal's own marks are the data that some evidence names."""
    assets = sorted({row.asset for row in evidence.rows})
    history = History.read(journal, evidence.bar_s)
    return history.digest(assets, evidence.first_ns, evidence.last_ns) == evidence.data_digest


def has_closes(instrument: Instrument) -> bool:
    """Whether an instrument's price is one that margins are made from: a coin's at the house, no dollar's."""
    return (
        isinstance(instrument, Spot) and instrument.location == "house" and instrument.asset not in (USD, *STABLECOINS)
    )
