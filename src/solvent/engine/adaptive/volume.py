"""Volume that counts: no more than what is traded now, and no more than the lower of several sources over weeks.

A volume that somebody pumps up for hours or at one source would make close-out look cheap and margins small.
"""

import msgspec
import numpy as np

from solvent.engine.adaptive.past import PastMark, past_marks
from solvent.engine.sources.tick import Tick
from solvent.ledger.journal import Journal
from solvent.models.liquidity.volume import WEEKS_DAYS, lower_volume

DAY_NS = 86_400 * 10**9
FEED = "feed"
"""Name of the one source of a feed that does not tell its sources apart."""
JOURNAL = "journal"


class SteadyVolume:
    """Remembers the lowest volume of each day, asset and source; in ticks puts what counts in place of what is said."""

    def __init__(self) -> None:
        self._days: dict[str, dict[str, dict[int, float]]] = {}

    @classmethod
    def read(cls, journal: Journal) -> "SteadyVolume":
        """What a journal's marks had, as one more source."""
        found = cls()
        for mark in past_marks(journal):
            found.add(mark)
        return found

    def add(self, mark: PastMark) -> None:
        """What a mark of the journal had."""
        for quote in mark.fresh:
            if quote.volume_usd_daily >= 0:
                asset = mark.instruments[quote.instrument].underlying
                self.note(asset, JOURNAL, mark.ts_ns, float(quote.volume_usd_daily))

    def note(self, asset: str, source: str, ts_ns: int, volume_usd_daily: float) -> None:
        """What a source says at a time; a day's lowest figure stands for it."""
        days = self._days.setdefault(asset, {}).setdefault(source, {})
        day = ts_ns // DAY_NS
        days[day] = min(days.get(day, volume_usd_daily), volume_usd_daily)
        for old in [each for each in days if each <= day - WEEKS_DAYS]:
            del days[old]

    def counted(self, asset: str, ts_ns: int) -> float:
        """USD a day: the lowest of the sources' medians over up to four weeks that end now; NaN where none says."""
        sources, today = self._days.get(asset, {}), ts_ns // DAY_NS
        first = min((day for days in sources.values() for day in days), default=today)
        span = range(max(first, today - WEEKS_DAYS + 1), today + 1)
        rows = [[days.get(day, np.nan) for day in span] for days in sources.values()]
        return lower_volume(rows, len(span)) if rows else float("nan")

    def steadied(self, tick: Tick) -> Tick:
        """The tick with volumes that count; each is no higher than what the tick said."""
        kept: dict[str, float] = {}
        for asset, volume in tick.volume_usd_daily.items():
            for source, said in tick.volume_by_source.get(asset, {FEED: volume}).items():
                self.note(asset, source, tick.ts_ns, said)
            kept[asset] = float(np.fmin(volume, self.counted(asset, tick.ts_ns)))
        return msgspec.structs.replace(tick, volume_usd_daily=kept)
