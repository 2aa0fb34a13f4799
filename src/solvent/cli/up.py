"""`solvent up`: run a venue on a market, and show it live."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from solvent.cli.shows import Lines, Screen, Show, can_draw
from solvent.errors import SolventError, problem

if TYPE_CHECKING:
    from solvent.engine.engine import TickReport
    from solvent.engine.venue import Venue
    from solvent.ledger.recovery import Follower

TICKS_A_SECOND = 4.0
PATIENCE_S = 3.0
"""A live source's own pace, and some more."""
MEMORY, REPLAY, LIVE = "memory", "replay:", "ccxt:"


def up_command(
    source: Annotated[
        str, typer.Option(help="Market: simulated, replay:PATH (candles) or ccxt:EXCHANGE (live prices).")
    ] = "simulated",
    store: Annotated[
        str | None,
        typer.Option(help="An SQLite file, postgresql://... or memory. Default: one a source, see above."),
    ] = None,
    assets: Annotated[
        str | None, typer.Option(help="By commas. Default: BTC,ETH,SOL; of a file all; live BTC,ETH.")
    ] = None,
    accounts: Annotated[
        int | None, typer.Option(min=10, max=1_000_000, help="Of the generated book. Default: 10000.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of book and simulated market.")] = 7,
    policy: Annotated[str | None, typer.Option(help="Ready-made policy or TOML file. Default: portfolio.")] = None,
    insurance: Annotated[
        float | None, typer.Option(min=0, max=1e12, help="Insurance fund in USD. Default: 2000000.")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(min=0, max=1e6, help="Ticks a second, 0: no pause. Default: 4; live 0.5.")
    ] = None,
    ticks: Annotated[int | None, typer.Option(min=0, help="Stop after so many.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Of a live source: URL of a proxy that speaks the exchange's paths.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Key file that signs: see `solvent journal keygen`.")] = None,
    witness: Annotated[
        str | None, typer.Option(help="File for signed heads of the journal; keep it out of the store's reach.")
    ] = None,
    witness_every: Annotated[float, typer.Option(min=0, help="Seconds from one signed head to the next.")] = 60.0,
    standby: Annotated[
        bool, typer.Option("--standby", help="Follow the journal of a running venue; take over when it falls silent.")
    ] = False,
    patience: Annotated[
        float, typer.Option(min=0.5, max=3_600, help="Seconds without a block before a standby takes over.")
    ] = 5.0,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="Let the policy change while it runs: bounded, on evidence, with notice.")
    ] = False,
    adaptive_every: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Ticks from one look at the evidence to the next.")
    ] = 12,
    models: Annotated[
        str | None,
        typer.Option(help="Folder of the models that the policy names. Default: the policy file's; see `train`."),
    ] = None,
    history: Annotated[
        str | None, typer.Option(help="Hourly candles that the models see before the venue's own hours.")
    ] = None,
    json_lines: Annotated[
        bool, typer.Option("--json-lines", help="Print a JSON object a tick, and one with the summary.")
    ] = False,
) -> None:
    """Run a venue: take ticks, mark, margin, liquidate, journal, and show it live.

    Nothing is shown before it is durable. A journal that holds a venue is taken up where it ended; --store memory
    begins anew and keeps nothing. By default each source has a journal of its own below $SOLVENT_STATE, which ./run
    sets to a folder of the checkout, else below $XDG_STATE_HOME/solvent, else ~/.local/state/solvent.

    With --adaptive margins follow a tail model of the market: raises hold for new risk at once and come to existing
    positions on a ramp, loosenings wait for a person (`solvent policy`). Models that the policy names (`solvent
    train`) move what the tail model says by at most a quarter down, and further up, once hourly candles (--history,
    then the venue's own) reach back far enough; else, or when they fail, the tail model alone speaks.

    Ctrl-C or SIGTERM stops after the current block, a second one at once.
    """
    title = title_of(source, seed)
    place = default_store(source) if store is None else store
    with stopping() as stop:
        show: Show = Lines(json_lines)
        if not json_lines and can_draw(Console()):
            show = Screen(Console(), title, stop, patience_s=PATIENCE_S + (1.0 / speed if speed else 0.0))
        with show:
            show.step("engine")
            # From here on it takes a second or two: numba and polars come with it.
            from solvent.cli.fetch import names
            from solvent.cli.watch import Watch
            from solvent.engine.venue import VenueOptions, open_venue

            options = VenueOptions(
                source=source,
                store=place,
                assets=None if assets is None else tuple(names(assets)),
                accounts=accounts,
                seed=seed,
                policy=policy,
                insurance_usd=insurance,
                ticks_per_s=speed or None,
                endpoint=endpoint,
                adaptive_every=adaptive_every if adaptive else 0,
                models=models,
                history=history,
                key=key,
                witness=witness,
                witness_every_s=witness_every,
            )
            follower = _followed(place, patience, stop, show.step) if standby else None
            if standby and follower is None:
                return
            with open_venue(options, show.step, lambda seconds: _wait(stop, seconds), follower) as venue:
                watch = Watch(venue.engine, title, place)
                venue.engine.listeners.append(watch.add)
                if venue.adapter is not None:
                    venue.adapter.listeners.append(watch.heard)
                    watch.evidence = venue.adapter.evidence
                for _ in paced(venue, stop, pause_s(source, speed), ticks):
                    show.tick(watch.view)
        show.end(watch.tally.finish(venue.engine.state, venue.engine.risk), place)


def _followed(store: str, patience_s: float, stop: threading.Event, say: Callable[[str], None]) -> "Follower | None":
    """The state of a standby when it is time to take over; None where it was stopped before."""
    from solvent.engine.standby import stand_by

    say(f"standing by for the writer of {store}")
    return stand_by(store, stop.wait, patience_s, lambda height: say(f"standing by at block {height:,}"))


def paced(venue: "Venue", stop: threading.Event, pause_s: float, ticks: int | None) -> Iterator["TickReport"]:
    """A report every `pause_s` or as often as the engine can, until `stop` is set or `ticks` are over."""
    due = time.monotonic()
    if stop.is_set():
        return
    for report in islice(venue.run(), ticks):
        yield report
        now = time.monotonic()
        due = max(due + pause_s, now)  # what was late is not made up for
        _wait(stop, due - now)
        if stop.is_set():
            return


def _wait(stop: threading.Event, seconds: float) -> None:
    if seconds > 0:
        stop.wait(seconds)


def pause_s(source: str, ticks_a_second: float | None) -> float:
    """Wall time from tick to tick; a live source keeps its own."""
    if source.startswith(LIVE):
        return 0.0
    pace = TICKS_A_SECOND if ticks_a_second is None else ticks_a_second
    return 1.0 / pace if pace else 0.0


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second one raises KeyboardInterrupt."""
    stop = threading.Event()

    def handle(_: int, __: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def title_of(source: str, seed: int) -> str:
    """What a source is called on the screen."""
    if source.startswith(REPLAY):
        return f"replay of {Path(source.removeprefix(REPLAY)).name}"
    return f"live from {source.removeprefix(LIVE)}" if source.startswith(LIVE) else f"{source} market, seed {seed}"


def default_store(source: str) -> str:
    """The journal of a source, in a folder that is made if needed. Raises SolventError where it cannot be."""
    state = os.environ.get("SOLVENT_STATE") or os.path.join(
        os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state", "solvent"
    )
    path = source.startswith(REPLAY)
    name = f"replay-{Path(source).stem.removeprefix(REPLAY)}" if path else source.replace(":", "-")
    try:
        Path(state).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        accepted = "a folder that can be made, or --store FILE"
        raise SolventError(problem(state, None, "journal", error.strerror or str(error), accepted)) from None
    return os.path.join(state, re.sub(r"[^\w.-]+", "-", name) + ".journal")
