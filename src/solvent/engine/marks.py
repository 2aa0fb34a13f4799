"""From raw source prices to the quotes that enter the journal: guards, slow prices, marks of derivatives."""

import math
from collections import deque
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from solvent.domain.commands import Mark, Quote, SourceVerdict
from solvent.domain.instruments import USD, Option, Spot
from solvent.domain.market import GONE, SECONDS_A_YEAR, STATES
from solvent.engine.sources.tick import SourcePrice, Tick
from solvent.ledger.state import State
from solvent.valuation import black76
from solvent.valuation.guards import GuardedPrice, OracleParams, Source, guard, slow_price
from solvent.valuation.guards import SourceVerdict as SourceVerdictOf

SETTLEMENT_WINDOW_NS = 1_800 * 10**9
"""Expiry settles at the mean of the index over the last 30 minutes."""


NOT_LISTED = "not_listed"
"""The listing names other sources."""
NOBODY: Mapping[str, Sequence[str]] = {}


class _Memory:
    """What the guards remember of one name."""

    __slots__ = ("good_ns", "good_price", "slow", "slow_ns")

    def __init__(self, price: float, ts_ns: int) -> None:
        self.good_price, self.good_ns = price, ts_ns
        self.slow, self.slow_ns = price, ts_ns


class Marker:
    """Guards every name's sources and turns the result into integer quotes; remembers last and slow prices."""

    def __init__(self) -> None:
        self._memory: dict[str, _Memory] = {}
        self._index: dict[str, deque[tuple[int, float]]] = {}
        self._sourced: set[str] = set()
        """Names that had a source once: without one they are halted, not as good as before."""
        self.states: dict[str, str] = {}
        """State of each name at the last tick."""
        self.reasons: dict[str, str] = {}

    def restore(self, state: State) -> None:
        """Remember what a recovered state's quotes say."""
        for i, quote in state.quotes.items():
            instrument = state.universe[i]
            tick = float(instrument.tick)
            name = instrument.asset if isinstance(instrument, Spot) else instrument.id
            memory = _Memory(quote.ticks * tick, state.quoted_ns[i])
            memory.slow, memory.slow_ns = (quote.slow_ticks or quote.ticks) * tick, state.marked_ns
            self._memory[name] = memory
            if isinstance(instrument, Spot) and name != USD:
                self._sourced.add(name)

    def mark(
        self, state: State, tick: Tick, params: OracleParams, sources: Mapping[str, Sequence[str]] = NOBODY
    ) -> Mark:
        """The command that marks every instrument whose quote changes with this tick.

        sources: whose prices of a name count, where its listing says so.
        """
        heard, unheard = _listed(tick, sources)
        guarded, found = self._guarded(state, heard, params)
        found += unheard
        quotes: list[Quote] = []
        index = {name: price for name, each in guarded.items() if (price := each.severity_price or each.price)}
        for i, instrument in enumerate(state.universe):
            if i in state.expired:
                continue
            name = instrument.asset if isinstance(instrument, Spot) else instrument.id
            quote = self._quote(state, i, name, guarded, index, tick)
            if quote is not None and quote != state.quotes.get(i):
                quotes.append(quote)
        names = {each.asset: i for i, each in enumerate(state.universe) if isinstance(each, Spot)}
        names |= {each.id: i for i, each in enumerate(state.universe)}
        verdicts = tuple(
            SourceVerdict(
                names[name],
                each.name,
                round(each.price / float(state.universe[names[name]].tick)) if math.isfinite(each.price) else 0,
                round(each.age_s * 1000),
                each.rejected,
            )
            for name, each in found
            if name in names
        )
        return Mark(tuple(quotes), verdicts, tick.ts_ns)

    def _guarded(
        self, state: State, tick: Tick, params: OracleParams
    ) -> tuple[dict[str, GuardedPrice], list[tuple[str, SourceVerdictOf]]]:
        """Guarded price of each name, and what became of each source."""
        rows: dict[str, list[SourcePrice]] = {}
        for price in tick.prices:
            rows.setdefault(price.name, []).append(price)
        self._sourced |= rows.keys()
        for name in sorted(self._sourced - rows.keys()):
            rows[name] = []
        guarded: dict[str, GuardedPrice] = {}
        verdicts: list[tuple[str, SourceVerdictOf]] = []
        derivatives = {each.id for each in state.universe if not isinstance(each, Spot)}
        for name, prices in rows.items():
            sources = [Source(p.source, p.price, p.age_s, p.origin, p.weight, p.confidence, p.own_book) for p in prices]
            memory = self._memory.get(name)
            found = guard(
                sources,
                params,
                last_price=memory.good_price if memory else None,
                last_age_s=(tick.ts_ns - memory.good_ns) / 1e9 if memory else 0.0,
                slow_price=memory.slow if memory else None,
                own_book_counts=name in derivatives,
            )
            guarded[name] = found
            self.states[name], self.reasons[name] = found.state, found.reason
            verdicts += [(name, each) for each in found.sources]
            self._remember(name, memory, found, tick.ts_ns, params)
        return guarded, verdicts

    def _remember(
        self, name: str, memory: _Memory | None, found: GuardedPrice, ts_ns: int, params: OracleParams
    ) -> None:
        price = found.severity_price
        if price is None:
            return
        if memory is None:
            memory = self._memory[name] = _Memory(price, ts_ns)
        elapsed_s = (ts_ns - memory.slow_ns) / 1e9
        memory.slow = slow_price(memory.slow, price, elapsed_s, params.slow_delay_s, params.slow_rate_hourly)
        memory.slow_ns = ts_ns
        if found.state == "ok":
            memory.good_price, memory.good_ns = price, ts_ns
        window = self._index.setdefault(name, deque())
        window.append((ts_ns, price))
        while window[0][0] < ts_ns - SETTLEMENT_WINDOW_NS:
            window.popleft()

    def settlement_micro(self, asset: str, now_ns: int) -> int:
        """Mean index of an asset over the last 30 minutes in 1e-6 USD; 0 where there was none."""
        window = [price for ts_ns, price in self._index.get(asset, ()) if ts_ns >= now_ns - SETTLEMENT_WINDOW_NS]
        return round(sum(window) / len(window) * 1e6) if window else 0

    def _quote(
        self, state: State, i: int, name: str, guarded: dict[str, GuardedPrice], index: dict[str, float], tick: Tick
    ) -> Quote | None:
        """The quote of one instrument, from its own sources or from its asset's."""
        instrument = state.universe[i]
        asset = instrument.underlying
        step = float(instrument.tick)
        volume = tick.volume_usd_daily.get(asset)
        volume_usd = -1 if volume is None else int(volume)
        if isinstance(instrument, Spot) and instrument.asset == USD:
            return Quote(i, round(1 / step), volume_usd_daily=-1)
        basis = name if name in guarded else asset
        found = guarded.get(basis)
        if found is None or not index.get(basis):
            return self._gone(state, i, found)
        # A price in doubt that no good one came before is shown, and nothing follows from it.
        status = STATES.index(found.state) if found.severity_price else GONE
        confidence = round(min(1.0, found.confidence) * 1e9)  # no price is less certain than from 0 to twice
        memory = self._memory.get(basis)
        slow = memory.slow if memory else index[basis]
        if isinstance(instrument, Option):
            return self._option_quote(state, i, instrument, index, tick, status, confidence)
        ticks = max(1, round(index[basis] / step))
        return Quote(
            i,
            ticks,
            max(1, round(slow / step)),
            status,
            confidence,
            round(max(0.0, found.age_s) * 1000),
            volume_usd_daily=volume_usd if isinstance(instrument, Spot) else -1,
        )

    def _gone(self, state: State, i: int, found: GuardedPrice | None) -> Quote | None:
        """The last quote, from which nothing follows any more; None where there never was one."""
        last = state.quotes.get(i)
        return None if last is None or found is None else msgspec.structs.replace(last, state=GONE)

    def _option_quote(
        self, state: State, i: int, option: Option, index: dict[str, float], tick: Tick, status: int, confidence: int
    ) -> Quote | None:
        """A mark from volatility: the model's price at the index; keeps the last volatility where none is given."""
        vol = tick.vol_annual.get(option.id, tick.vol_annual.get(option.underlying))
        last = state.quotes.get(i)
        if vol is None and last is not None:
            vol = last.vol_e9 / 1e9
        forward = index.get(option.underlying)
        if vol is None or forward is None:
            return None
        years = max(0, option.expiry_ns - tick.ts_ns) / 1e9 / SECONDS_A_YEAR
        usd = float(black76.price(forward, float(option.strike), years, np.array(option.call), vol))
        ticks = int(usd / (forward if option.inverse else 1.0) / float(option.tick))
        return Quote(i, ticks, ticks, status, confidence, vol_e9=round(vol * 1e9), forward_ticks=round(forward * 1e6))


def _listed(tick: Tick, sources: Mapping[str, Sequence[str]]) -> tuple[Tick, list[tuple[str, SourceVerdictOf]]]:
    """The tick without prices of sources that a listing does not name, and those."""
    wrong = [each for each in tick.prices if each.name in sources and each.source not in sources[each.name]]
    if not wrong:
        return tick, []
    kept = tuple(each for each in tick.prices if each not in wrong)
    verdicts = [(p.name, SourceVerdictOf(p.source, p.price, p.age_s, NOT_LISTED)) for p in wrong]
    return msgspec.structs.replace(tick, prices=kept), verdicts
