"""A book taken through recorded prices: the same engine as live, as fast as it can, with what a report needs."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from solvent.domain import commands as c
from solvent.domain.instruments import STABLECOINS, Instrument, Spot
from solvent.domain.policy import Policy
from solvent.engine.engine import Engine, Submission
from solvent.engine.files import book_instruments, read_book, read_candles, read_funding, read_policy
from solvent.engine.generate import generate
from solvent.engine.marks import Marker
from solvent.engine.record import Recorder
from solvent.engine.risk import market_of
from solvent.engine.sources.candles import Candles
from solvent.engine.sources.tick import Tick
from solvent.engine.start import (
    PAR,
    all_accepted,
    book_commands,
    instruments_for,
    instruments_of_book,
    prices_of,
    with_cash,
)
from solvent.engine.summary import Summary, Tally
from solvent.errors import SolventError, problem, raise_if
from solvent.ledger.journal import Journal, MemoryJournal

if TYPE_CHECKING:
    import polars as pl

Paths: TypeAlias = "str | Path | Sequence[str | Path]"
Progress: TypeAlias = Callable[[int, int], None]
"""Told (ticks done, ticks in all) after each tick; what it is told of is durable."""

LISTED, POLICY_SET, MARKED, LOADED = 1, 2, 3, 4
"""Blocks that a replay begins with; from there on a block is a tick."""
INSURANCE_USD = 2_000_000.0


class Setup(msgspec.Struct, frozen=True):
    """What a replay starts from."""

    source: Candles
    policy: Policy
    book: Path | None
    """A book file; without it a book is generated."""
    accounts: int
    seed: int
    insurance_usd: float


class Run(NamedTuple):
    """What a replay came to."""

    summary: Summary
    ticks: "pl.DataFrame"
    """A row a tick: prices, accounts by band of health, insurance fund, margins; see `engine.record`."""
    tape: "pl.DataFrame"
    """A row for each liquidation, payment of the fund, deleveraging and shared loss."""
    policy: Policy
    book: str
    """Where the book is from."""
    start: str
    """Time of the first tick, UTC; of those that this run did where it continued another."""
    end: str
    notes: tuple[str, ...]
    """What the data do not hold."""


def replay(
    market: Paths,
    *,
    start: str = "",
    end: str = "",
    assets: Sequence[str] | None = None,
    funding: str | Path | None = None,
    policy: str | Path | Policy = "portfolio",
    book: str | Path | None = None,
    accounts: int = 10_000,
    seed: int = 7,
    insurance_usd: float = INSURANCE_USD,
    journal: Journal | None = None,
    progress: Progress | None = None,
) -> Run:
    """Take a book through recorded candles.

    market: candle files; see `files.read_candles`. start, end: first and last candle's time in UTC (ISO 8601, both
    included), by default all there is. assets: those of the files that are replayed, by default all. funding: a
    file of funding rates. policy: a ready-made one's name, a TOML file, or a Policy. book: a book file; without it
    `accounts` are generated from `seed`. insurance_usd: what the fund starts with. journal: where the run is kept;
    one that holds the beginning of the same run is continued. Raises SolventError with all problems.
    """
    setup = prepare(market, start, end, assets, funding, policy, book, accounts, seed, insurance_usd)
    return run(setup, MemoryJournal() if journal is None else journal, progress)


def prepare(
    market: Paths,
    start: str = "",
    end: str = "",
    assets: Sequence[str] | None = None,
    funding: str | Path | None = None,
    policy: str | Path | Policy = "portfolio",
    book: str | Path | None = None,
    accounts: int = 10_000,
    seed: int = 7,
    insurance_usd: float = INSURANCE_USD,
) -> Setup:
    """Read and check what `replay` is given; the same arguments. Raises SolventError with all problems."""
    rows = [
        ("accounts", accounts, 2 <= accounts <= 1_000_000, "from 2 to 1,000,000 accounts"),
        ("seed", seed, seed >= 0, "0 or more"),
        ("insurance", insurance_usd, 0 <= insurance_usd <= 1e15, "USD from 0 to 1e15"),
    ]
    raise_if([problem("replay", None, field, value, accepted) for field, value, good, accepted in rows if not good])
    candles = read_candles(market, assets, _time_ns("from", start), _time_ns("to", end))
    rates = None if funding is None else read_funding(funding)
    chosen = policy if isinstance(policy, Policy) else read_policy(policy)
    path = None if book is None else Path(book)
    return Setup(Candles(candles, rates), chosen, path, accounts, seed, insurance_usd)


def _time_ns(field: str, text: str) -> int | None:
    """Nanoseconds of a date or a time, UTC unless it says otherwise; None for an empty text."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        accepted = "a date or time such as 2020-03-12 or 2020-03-12T10:00"
        raise SolventError(problem("replay", None, field, text, accepted)) from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()) * 10**9


def run(setup: Setup, journal: Journal, progress: Progress | None = None) -> Run:
    """Run a setup on a journal, from where the journal ends. Raises SolventError."""
    instruments, cash = _instruments(setup)
    ticks = [with_cash(tick, cash) for tick in setup.source]
    engine = Engine(journal)
    book = _begin(engine, setup, instruments, ticks[0])
    done = _caught_up(engine, ticks)
    tally, recorder = Tally(engine.state, engine.risk), Recorder(engine)
    for number, tick in enumerate(ticks[done:], done + 1):
        report = engine.tick(tick)
        tally.add(report)
        recorder.add(report)
        if progress is not None:
            progress(number, len(ticks))
    notes = [*setup.source.notes, *_at_par(ticks)]
    if done:
        notes.append(f"continued from {journal.name}: figures are of what came after its first {done} ticks")
    span = _iso(ticks[min(done, len(ticks) - 1)].ts_ns), _iso(ticks[-1].ts_ns)
    return Run(tally.finish(engine.state, engine.risk), *recorder.frames(), setup.policy, book, *span, tuple(notes))


def rehearse(setup: Setup) -> None:
    """Begin a setup in memory. Raises SolventError where it cannot begin: bad input then leaves no journal behind."""
    instruments, cash = _instruments(setup)
    _begin(Engine(MemoryJournal()), setup, instruments, with_cash(next(iter(setup.source)), cash))


def _instruments(setup: Setup) -> tuple[list[Instrument], tuple[str, ...]]:
    """What is listed, and the USD assets among it. Raises SolventError with all that recorded prices cannot mark."""
    first = next(iter(setup.source))
    _check_first(setup.source, first)
    prices = prices_of(first)
    found = instruments_for(setup.source.assets, prices)
    if setup.book is not None:
        found += instruments_of_book(book_instruments(setup.book), found, prices, setup.book.name)
    return found, tuple(each.asset for each in found if isinstance(each, Spot) and each.asset in STABLECOINS)


def _at_par(ticks: Sequence[Tick]) -> Iterator[str]:
    """USD assets that had to be taken at par, and until when."""
    until = {price.name: tick.ts_ns for tick in ticks for price in tick.prices if price.source == PAR}
    for name, ts_ns in until.items():
        when = "throughout" if ts_ns == ticks[-1].ts_ns else f"up to {_iso(ts_ns)}"
        yield f"{name}: taken at 1 USD {when}, for want of a price"


def _check_first(source: Candles, first: Tick) -> None:
    """Everything that is replayed needs a price from the start on, but for the house's cash."""
    priced = {price.name for price in first.prices}
    begins, start = source.begins(), _iso(first.ts_ns)
    faults = []
    for asset in source.assets:
        if asset not in priced and asset not in STABLECOINS:
            accepted = f"a price at {start}, the start; it begins {_iso(begins[asset])}: start there or add its file"
            faults.append(problem("market", None, "asset", asset, accepted))
    raise_if(faults)


def _begin(engine: Engine, setup: Setup, instruments: Sequence[Instrument], first: Tick) -> str:
    """Instruments, policy, a first mark, the book: a block each, as far as the journal has them not.

    Returns the book's origin in words.
    """
    _step(engine, LISTED, [Submission(c.ListInstrument(each)) for each in instruments], first.ts_ns)
    _step(engine, POLICY_SET, [Submission(c.SetPolicy(setup.policy))], first.ts_ns)
    if engine.state.height < MARKED:
        all_accepted(engine.tick(first).entries)
    load, origin = _load(engine, setup, prices_of(first))
    _step(engine, LOADED, load, first.ts_ns)
    return origin


def _load(engine: Engine, setup: Setup, prices: dict[str, float]) -> tuple[list[Submission], str]:
    """The commands that fill the engine, and where they come from."""
    universe = engine.state.universe
    if setup.book is None:
        load = generate(universe, prices, setup.accounts, setup.seed, setup.insurance_usd)
        return list(load), f"{setup.accounts:,} generated accounts, seed {setup.seed}"
    (entry, *_) = next(engine.journal.read(MARKED)).entries()
    assert isinstance(entry.command, c.Mark)
    market = market_of(universe, {quote.instrument: quote for quote in entry.command.quotes}, engine.state.ts_ns)
    book = read_book(setup.book, universe, market).book
    return list(book_commands(universe, book, setup.insurance_usd)), f"{len(book):,} accounts of {setup.book.name}"


def _step(engine: Engine, height: int, submissions: Sequence[Submission], ts_ns: int) -> None:
    """Commit a block of the beginning, or see that the journal holds just that. Raises SolventError."""
    if engine.state.height < height:
        all_accepted(engine.execute(submissions, ts_ns))
        return
    held = [entry.command for entry in next(engine.journal.read(height)).entries()]
    for mine, other in zip_longest((each.command for each in submissions), held):
        if mine != other:
            accepted = f"{mine!r:.80}: the journal is of another run; continue it as it was begun, or take a new file"
            raise SolventError(problem(engine.journal.name, height, "command", other, accepted))


def _caught_up(engine: Engine, ticks: Sequence[Tick]) -> int:
    """How many ticks the journal holds; the guards are shown these again, so that they remember what they saw."""
    done = engine.state.height - LOADED
    if not done:
        return 0
    held_ns, mine_ns = engine.state.ts_ns, ticks[min(done, len(ticks)) - 1].ts_ns
    if done > len(ticks) or held_ns != mine_ns:
        accepted = f"{_iso(mine_ns)}: the journal is of other prices; continue it as it was begun, or take a new file"
        raise SolventError(problem(engine.journal.name, None, f"tick {done}", _iso(held_ns), accepted))
    assert engine.risk.params is not None
    engine.marker = Marker()
    for tick in (ticks[0], *ticks[:done]):
        engine.marker.mark(engine.state, tick, engine.risk.params.oracle, engine.risk.params.sources())
    return done


def _iso(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M")
