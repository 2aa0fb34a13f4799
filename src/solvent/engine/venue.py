"""A venue to run: source, journal and engine, with a generated book that begins anew or goes on where it ended."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from solvent.domain.events import Event
from solvent.domain.instruments import STABLECOINS, USD, Instrument, Spot
from solvent.domain.owners import MARKET
from solvent.domain.policy import Policy
from solvent.engine import start
from solvent.engine.engine import Engine, TickReport
from solvent.engine.files import read_candles, read_policy
from solvent.engine.sources.candles import Candles
from solvent.engine.sources.live import PERIOD_S, Live
from solvent.engine.sources.simulated import Simulated
from solvent.engine.sources.tick import Source, Tick
from solvent.errors import Problem, SolventError, problem, raise_if
from solvent.ledger import snapshots
from solvent.ledger.journal import Journal, MemoryJournal
from solvent.ledger.recovery import Follower
from solvent.ledger.signing import Signer
from solvent.ledger.state import State
from solvent.ledger.stores import is_there, open_journal
from solvent.ledger.witness import EVERY_S, FileWitness, Witnessing

if TYPE_CHECKING:
    from solvent.engine.adaptive.predictions import HourlyPredictor
    from solvent.engine.adaptive.runner import Adapter

MEMORY = "memory"
SIMULATED, REPLAY, LIVE = "simulated", "replay:", "ccxt:"
ACCOUNTS = 10_000
POLICY = "portfolio"
INSURANCE_USD = 2_000_000.0
SIMULATED_ASSETS = ("BTC", "ETH", "SOL")
LIVE_ASSETS = ("BTC", "ETH")

Say = Callable[[str], None]
"""Told of each step of the way as it begins."""


class VenueOptions(msgspec.Struct, frozen=True):
    """What a venue is made of. None: the default for a new venue; for an old one what its journal holds."""

    source: str = SIMULATED
    """`simulated`, `replay:PATH` or `ccxt:EXCHANGE[,EXCHANGE]`."""
    store: str = MEMORY
    """A journal's file, `postgresql://...`, or `memory`."""
    assets: tuple[str, ...] | None = None
    accounts: int | None = None
    seed: int = 7
    policy: str | None = None
    """Name or file; on an old venue it takes effect from now on."""
    insurance_usd: float | None = None
    ticks_per_s: float | None = None
    """How often a live source is asked."""
    endpoint: str | None = None
    """URL in place of a live source's own hosts."""
    key: str | None = None
    """File of the key that signs acknowledgements and the journal's head."""
    witness: str | None = None
    """File that signed heads are written to."""
    witness_every_s: float = EVERY_S
    adaptive_every: int = 0
    """Let the policy change while the venue runs, on evidence looked at every so many ticks; 0: it stays as it is."""
    models: str | None = None
    """Folder of the predictive models that the policy names; by default the policy file's own."""
    history: str | None = None
    """File of hourly candles that predictive models see before the venue's own hours."""


class Venue:
    """An engine that serves, and the ticks still to come. A context: leaving it closes engine and journal."""

    def __init__(
        self,
        engine: Engine,
        source: Source,
        ticks: Iterator[Tick],
        clock: "MarketClock | None",
        adapter: "Adapter | None" = None,
    ) -> None:
        self.engine, self.source, self.adapter = engine, source, adapter
        self._ticks, self._clock = ticks, clock

    def run(self) -> Iterator[TickReport]:
        """Take the ticks one by one; a report for each, once its block is durable. Raises as `Engine.tick`."""
        for tick in self._ticks:
            if self._clock is not None:
                self._clock.ts_ns = tick.ts_ns
            report = self.engine.tick(tick if self.adapter is None else self.adapter.before_tick(tick))
            if isinstance(self.source, Simulated):
                self.source.after(sold_usd(self.engine, report))
            if self.adapter is not None:
                self.adapter.after_tick()
            yield report

    def __enter__(self) -> "Venue":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Commit what has gathered and let go of the journal; where all went well save the state beside it."""
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            return  # whoever insists is not kept waiting: what is durable stays so
        self.engine.close()
        if kind is None:
            self.engine.save_snapshot()
            if self.engine.witnessing is not None:
                self.engine.witnessing.close(self.engine.journal.head())
        self.engine.journal.close()


class MarketClock:
    """Time as the source tells it: what is simulated or replayed happens at the time of its ticks."""

    def __init__(self, ts_ns: int) -> None:
        self.ts_ns = ts_ns

    def __call__(self) -> int:
        return self.ts_ns


def open_venue(
    options: VenueOptions,
    say: Say = lambda step: None,
    sleep: Callable[[float], None] = time.sleep,
    follower: Follower | None = None,
) -> Venue:
    """Open the journal; begin a venue in an empty one, take up the venue of another.

    sleep: how a live source waits between two polls. follower: of a standby that takes over. Raises
    SolventError where the options do not fit each other or the journal, a file or network fails; a journal that was
    not there is then not made.
    """
    policy = read_policy(options.policy or POLICY)
    signer = _signer(options)
    new = options.store == MEMORY or not is_there(options.store)
    predictor = _predictor(options, policy, say) if new else None
    market = _rehearsed(options, policy, say, sleep) if new else None
    say("journal")
    journal: Journal = MemoryJournal() if options.store == MEMORY else open_journal(options.store)
    try:
        engine = Engine(journal, time.time_ns, snapshots.SNAPSHOT_EVERY_BLOCKS, follower)
        engine.signer = signer
        if signer is not None and options.witness is not None:
            engine.witnessing = Witnessing(signer, FileWitness(options.witness), options.witness_every_s)
        if engine.state.height:
            market = _taken_up(options, engine, policy, say, sleep)
        else:
            market = market or _rehearsed(options, policy, say, sleep)
            _begin(options, engine, market, policy, say)
        predictor = predictor or _predictor(options, engine.state.policy or policy, say)
        return _serving(options, engine, market, say, predictor)
    except BaseException:
        journal.close()
        raise


def _signer(options: VenueOptions) -> Signer | None:
    """Who vouches for what is written. Raises SolventError for a key that cannot be used, a witness without a key."""
    if options.key is not None:
        return Signer.from_file(options.key)
    if options.witness is not None:
        accepted = "--key too: a head that nobody signed proves nothing"
        raise SolventError(problem("arguments", None, "witness", options.witness, accepted))
    return None


class _Market(NamedTuple):
    """A source, its first tick that the engine has not seen, and those after it."""

    source: Source
    first: Tick
    later: Iterator[Tick]


def _market(options: VenueOptions, engine: Engine | None, sleep: Callable[[float], None]) -> _Market:
    source = open_source(options, engine, sleep)
    marked_ns = 0 if engine is None else engine.state.marked_ns
    ticks = (start.with_cash(tick) for tick in source if tick.ts_ns > marked_ns)
    first = next(ticks, None)
    if first is None:
        accepted = "some" if engine is None else f"some after the end of {engine.journal.name}"
        raise SolventError(problem(options.source, None, "ticks", "none", accepted))
    return _Market(source, first, ticks)


def _rehearsed(options: VenueOptions, policy: Policy, say: Say, sleep: Callable[[float], None]) -> _Market:
    """The market of a new venue, which has begun without trouble in memory: bad input leaves no journal behind."""
    say(f"market: {options.source}")
    market = _market(options, None, sleep)
    start.missing_assets(market.source.assets, market.first)
    say("margin kernels: compiled once, then kept")
    start.begin(Engine(MemoryJournal()), policy, _instruments(market), market.first)
    return market


def _instruments(market: _Market) -> list[Instrument]:
    return start.instruments_for(market.source.assets, start.prices_of(market.first))


def _begin(options: VenueOptions, engine: Engine, market: _Market, policy: Policy, say: Say) -> None:
    """Instruments, policy and first mark, then a generated book."""
    start.begin(engine, policy, _instruments(market), market.first)
    accounts = ACCOUNTS if options.accounts is None else options.accounts
    insurance_usd = INSURANCE_USD if options.insurance_usd is None else options.insurance_usd
    say(f"book of {accounts:,} accounts, seed {options.seed}")
    start.load_generated(engine, start.prices_of(market.first), accounts, options.seed, insurance_usd)


def _taken_up(
    options: VenueOptions, engine: Engine, policy: Policy, say: Say, sleep: Callable[[float], None]
) -> _Market:
    """The market of a venue that the journal holds, from where it ended."""
    state = engine.state
    say(f"taking up {len(state.accounts):,} accounts at block {state.height:,}")
    _refuse_changes(options, state)
    say(f"market: {options.source}")
    market = _market(options, engine, sleep)
    start.missing_assets(_coins(state), market.first)
    if options.policy is not None:
        start.change_policy(engine, policy)
    return market._replace(later=chain([market.first], market.later))


def _serving(
    options: VenueOptions, engine: Engine, market: _Market, say: Say, predictor: "HourlyPredictor | None"
) -> Venue:
    clock = None
    if not options.source.startswith(LIVE):
        engine.clock = clock = MarketClock(engine.state.ts_ns)
    say(f"margin of {len(engine.state.accounts):,} accounts")
    engine.risk.statement()  # kernels for many accounts are compiled here, before anybody watches
    adapter = _adapter(options, engine, say, predictor) if options.adaptive_every else None
    engine.serve()
    return Venue(engine, market.source, market.later, clock, adapter)


def _predictor(options: VenueOptions, policy: Policy, say: Say) -> "HourlyPredictor | None":
    """Of the models that a policy names. Raises SolventError for a file that is not what the policy says."""
    if not options.adaptive_every:
        if options.models is None and options.history is None:
            return None
        given, accepted = options.models or options.history, "--adaptive too: predictions move a policy"
        raise SolventError(problem("arguments", None, "models, history", given, accepted))
    from solvent.engine.adaptive.predictions import predictor_of

    say("adaptive policy: models and their history")
    folder = options.models
    if folder is None and (options.policy or "").endswith(".toml"):
        folder = os.path.dirname(options.policy or "") or "."
    found = predictor_of(policy, folder, options.history)
    if found is None and (options.models is not None or options.history is not None):
        accepted = "a policy with [margin.prediction.ASSET]: see `solvent train`"
        raise SolventError(problem(f"policy {policy.name}", None, "margin.prediction", "missing", accepted))
    return found


def _adapter(options: VenueOptions, engine: Engine, say: Say, predictor: "HourlyPredictor | None") -> "Adapter":
    """Raises SolventError where the policy's rule has nothing to adapt, or the model's packages are missing."""
    from solvent.engine.adaptive.proposer import TailProposer
    from solvent.engine.adaptive.runner import Adapter

    say("adaptive policy: past marks")
    proposer = TailProposer(predictor=predictor)
    return Adapter(engine, options.adaptive_every, proposer, None if predictor is None else predictor.marked)


def _refuse_changes(options: VenueOptions, state: State) -> None:
    """Raise SolventError for what cannot be changed about a venue that a journal already holds."""
    found: list[Problem] = []

    def refuse(name: str, value: object, held: str) -> None:
        found.append(problem(options.store, None, name, value, f"none: the journal holds {held}; or another store"))

    if not state.accounts or state.policy is None:
        refuse("venue", "cut short while it began", "no book")
    if options.accounts is not None:
        refuse("accounts", options.accounts, f"{len(state.accounts):,} accounts")
    if options.insurance_usd is not None:
        refuse("insurance", options.insurance_usd, "a fund")
    if options.assets is not None and set(options.assets) - STABLECOINS != set(_coins(state)) - STABLECOINS:
        refuse("assets", ",".join(options.assets), ",".join(_coins(state)))
    raise_if(found)


def _coins(state: State) -> list[str]:
    """Assets that a source has to price: all but the dollar and the house's cash."""
    coins = [each.asset for each in state.universe if isinstance(each, Spot)]
    return [asset for asset in coins if asset not in (USD, start.HOUSE_CASH)]


def open_source(
    options: VenueOptions, engine: Engine | None = None, sleep: Callable[[float], None] = time.sleep
) -> Source:
    """The source that `options` name; from where an engine is, if one is given. Raises SolventError."""
    assets = options.assets or (tuple(_coins(engine.state)) if engine else ()) or None
    if options.source == SIMULATED:
        return _simulated(assets or SIMULATED_ASSETS, options.seed, engine)
    if options.source.startswith(REPLAY):
        return Candles(read_candles(options.source.removeprefix(REPLAY), assets))
    if options.source.startswith(LIVE):
        period_s = 1.0 / options.ticks_per_s if options.ticks_per_s else PERIOD_S
        return Live(options.source, assets or LIVE_ASSETS, endpoint=options.endpoint, period_s=period_s, sleep=sleep)
    accepted = f"{SIMULATED}, {REPLAY}PATH or {LIVE}EXCHANGE"
    raise SolventError(problem("arguments", None, "source", options.source, accepted))


def _simulated(assets: Sequence[str], seed: int, engine: Engine | None) -> Simulated:
    """A simulated market, from the prices that an old venue's last mark has."""
    if dollars := STABLECOINS & set(assets):
        accepted = f"assets whose price moves; {start.HOUSE_CASH} is always there"
        raise SolventError(problem("arguments", None, "assets", ",".join(sorted(dollars)), accepted))
    source = Simulated(assets, seed)
    if engine is None or engine.risk.market is None:
        return source
    market = engine.risk.market
    prices = dict(zip(market.universe.assets, market.index_usd.tolist(), strict=True))
    return Simulated(assets, seed, first_tick=source.tick_at(engine.state.marked_ns), prices=prices)


def sold_usd(engine: Engine, report: TickReport) -> list[tuple[str, float]]:
    """What a tick's liquidations sold to the outside market: (asset, USD), negative where it was bought."""
    universe = engine.state.universe
    exposure = engine.risk.exposure_usd()
    sold: dict[str, float] = {}

    def add(instrument: int, lots: float) -> None:
        asset = universe.assets[int(universe.terms.underlying[instrument])]
        sold[asset] = sold.get(asset, 0.0) + lots * float(exposure[instrument])

    def count(event: Event) -> None:
        for owner, instrument, lots, _ in event.legs:
            if owner == MARKET:
                add(instrument, lots)
        for owner, asset, atoms in event.postings:
            if owner == MARKET:
                add(asset, atoms / universe.spot_of(asset).lot_atoms)

    for entry in report.entries:
        for event in entry.events:
            count(event)
    return list(sold.items())
