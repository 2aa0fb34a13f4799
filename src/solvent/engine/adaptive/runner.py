"""Adaptive policies beside a running engine: hears each tick, and now and then sends what a proposer makes of it."""

from collections.abc import Callable, Mapping, Sequence

from solvent.domain import commands as c
from solvent.domain.adaptive import AdaptiveParams, Evidence
from solvent.domain.commands import Quote
from solvent.domain.events import Entry
from solvent.domain.instruments import Instrument
from solvent.engine.adaptive.history import History
from solvent.engine.adaptive.marked_hours import MarkedHours
from solvent.engine.adaptive.past import past_marks
from solvent.engine.adaptive.proposer import Proposer, Sight, TailProposer
from solvent.engine.adaptive.volume import SteadyVolume
from solvent.engine.engine import Engine, Submission, TickReport
from solvent.engine.sources.tick import Tick
from solvent.engine.start import all_accepted

EVERY_TICKS = 12


class Adapter:
    """Keeps the history of an engine's marks; commands come from the thread that calls `after_tick`."""

    def __init__(
        self,
        engine: Engine,
        every_ticks: int = EVERY_TICKS,
        proposer: Proposer | None = None,
        marked: MarkedHours | None = None,
    ) -> None:
        """engine: not serving yet; adaptive is enabled where it is not. Raises SolventError if that is refused.

        marked: told of the marks of the journal and of those to come, for who else looks at them.
        """
        self.engine, self.every_ticks = engine, every_ticks
        self.proposer = proposer or TailProposer()
        self.volume, self.history, self.marked = SteadyVolume(), History(), marked
        for mark in past_marks(engine.journal):
            self.volume.add(mark)
            self._remember(mark.ts_ns, mark.instruments, mark.quotes)
        self.listeners: list[Callable[[int, Entry], None]] = []
        """Told of each proposal and withdrawal with its time, in the thread that calls `after_tick`."""
        self._sight: Sight | None = None
        self._ticks = 0
        if engine.state.adaptive is None:
            enable = Submission(c.EnableAdaptive(AdaptiveParams()))
            all_accepted(engine.execute([enable], engine.state.ts_ns))
        engine.listeners.append(self._heard)

    def before_tick(self, tick: Tick) -> Tick:
        """The tick with volumes that count."""
        return self.volume.steadied(tick)

    def _heard(self, report: TickReport) -> None:
        """Take over what proposers may see; in the writer's thread, between blocks."""
        state = self.engine.state
        self._remember(state.marked_ns, state.universe.instruments, state.quotes)
        self._sight = sight_of(self.engine, self.history, self.volume)

    def evidence(self) -> Evidence | None:
        """What the proposer looked at last; None before that, and where it keeps none."""
        return self.proposer.latest if isinstance(self.proposer, TailProposer) else None

    def _remember(self, marked_ns: int, instruments: Sequence[Instrument], quotes: Mapping[int, Quote]) -> None:
        self.history.add(marked_ns, instruments, quotes)
        if self.marked is not None:
            self.marked.add(marked_ns, instruments, quotes)

    def after_tick(self) -> list[Entry]:
        """Every so many ticks: what the proposer makes of the evidence, sent and durable; its entries."""
        self._ticks += 1
        if self._ticks % self.every_ticks or self._sight is None:
            return []
        found = [entry for command in self.proposer.propose(self.history, self._sight) for entry in self._sent(command)]
        for entry in found:
            for listener in self.listeners:
                listener(self._sight.ts_ns, entry)
        return found

    def _sent(self, command: c.Command) -> list[Entry]:
        """As the engine's own: no caller, so that any named person is a second one."""
        if self.engine.serving:
            return list(self.engine.submit(command, "engine").result().entries)
        return self.engine.execute([Submission(command, "engine")], self.engine.state.ts_ns)


def sight_of(engine: Engine, history: History, volume: SteadyVolume) -> Sight | None:
    """What proposers may see of an engine between blocks; None where adaptive is off or there is no mark."""
    state, market = engine.state, engine.risk.market
    if state.adaptive is None or state.policy is None or market is None:
        return None
    universe = market.universe
    spots = {asset: int(universe.house_spot[universe.asset_index[asset]]) for asset in history.assets}
    return Sight(
        state.adaptive,
        state.policy,
        state.ts_ns,
        {asset: volume.counted(asset, state.ts_ns) for asset in spots},
        {asset: float(market.half_spread[spot]) for asset, spot in spots.items()},
    )
