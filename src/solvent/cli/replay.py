"""`solvent replay`: a book through recorded prices, as fast as it goes, and what it came to."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from solvent.errors import SolventError, problem

if TYPE_CHECKING:
    from rich.table import Table

    from solvent.engine.replay import Progress, Run
    from solvent.engine.sweep import Sweep


def replay_command(
    market: Annotated[
        list[Path], typer.Option(help="Candles: CSV, Parquet, Arrow or JSON. Repeat it: finer files go before coarser.")
    ],
    start: Annotated[str, typer.Option("--from", help="First candle's time, UTC; default: all there is.")] = "",
    end: Annotated[str, typer.Option("--to", help="Last candle's time, UTC, included.")] = "",
    assets: Annotated[str, typer.Option(help="Separated by commas; default: all of the files.")] = "",
    perp_funding: Annotated[Path | None, typer.Option(help="Funding rates of perpetuals.")] = None,
    book: Annotated[
        Path | None, typer.Option(help="Accounts: CSV, Parquet, Arrow, or JSON of ccxt or Deribit.")
    ] = None,
    accounts: Annotated[int, typer.Option(help="Without --book: how many accounts to generate.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the generated book.")] = 7,
    policy: Annotated[str, typer.Option(help="A ready-made policy or a TOML file.")] = "portfolio",
    insurance: Annotated[float, typer.Option(help="USD that the insurance fund starts with.")] = 2_000_000.0,
    store: Annotated[
        str | None,
        typer.Option(
            help="Journal to keep the run in: a file or postgresql://... One that holds its beginning goes on."
        ),
    ] = None,
    sweep: Annotated[
        str,
        typer.Option(metavar="NAME=LO:HI[:N]", help="Also N runs over a margin parameter: margin_scale=0.5:2."),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The figures as one JSON object.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page with plots to this file.")] = None,
) -> None:
    """Take a book of accounts through recorded prices: mark, margin, liquidate, insure, and count what was lost.

    It is the engine of `solvent up` on another source. The same arguments give the same state hash on every machine.
    Black Thursday: --from 2020-03-08 --to 2020-03-16 --assets BTC,ETH,LTC,XRP on hourly candles.
    """
    from solvent.cli.shown import console, json_text
    from solvent.engine.files import write_bytes
    from solvent.engine.replay import prepare, rehearse, run
    from solvent.engine.sweep import check_sweep, parse, run_sweep
    from solvent.ledger.journal import MemoryJournal
    from solvent.ledger.stores import is_there, open_journal

    wanted = parse(sweep) if sweep else None
    names = [each.strip().upper() for each in assets.split(",") if each.strip()] or None
    setup = prepare(market, start, end, names, perp_funding, policy, book, accounts, seed, insurance)
    if wanted is not None:
        check_sweep(setup.policy, wanted)
    _check_folder("report", report)
    if store is not None and not is_there(store):
        _check_folder("store", Path(store))
        rehearse(setup)
    journal = MemoryJournal() if store is None else open_journal(store)
    try:
        with _progress("replay") as progress:
            found = run(setup, journal, progress)
    finally:
        journal.close()
    swept = None
    if wanted is not None:
        with _progress("sweep") as progress:
            swept = run_sweep(setup, wanted, progress)
    if report is not None:
        from solvent.reports.replay import replay_page

        write_bytes(report, replay_page(found, swept).encode())
    if as_json:
        typer.echo(json_text(as_values(found, swept)))
        return
    for part in parts(found, swept):
        console().print(part)
    if report is not None:
        typer.echo(f"wrote {report}")


def _check_folder(option: str, path: Path | None) -> None:
    """A file that cannot be written is told of before the run, not after it."""
    if path is not None and not path.parent.is_dir():
        raise SolventError(problem("replay", None, option, str(path), "a file in a folder that is there"))


@contextmanager
def _progress(what: str) -> Iterator["Progress"]:
    """A bar on stderr, gone when it is done; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), BarColumn(None), MofNCompleteColumn(), TimeElapsedColumn())
    stderr = Console(stderr=True)
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def as_values(run: "Run", sweep: "Sweep | None") -> dict[str, Any]:
    """Everything as plain JSON values: the figures first."""
    from solvent.engine.summary import figures

    found = figures(run.summary)
    found |= {"from": run.start, "to": run.end, "policy": run.policy.label, "book": run.book, "notes": list(run.notes)}
    if sweep is not None:
        found["sweep"] = {"parameter": sweep.parameter, "runs": sweep.frame.to_dicts()}
    return found


def parts(run: "Run", sweep: "Sweep | None") -> list[Any]:
    """What the terminal shows: where the run went, its figures, the sweep, what the data lack."""
    from rich.text import Text

    from solvent.cli.shown import plain
    from solvent.cli.summary import figures_table

    proof = Text("state hash  ", "dim").append(run.summary.state_hash)
    found: list[Any] = [heading(run), Text(), figures_table(run.summary), proof, Text()]
    if sweep is not None:
        found += [sweep_table(sweep), Text()]
    return found + [Text("note  ", "dim").append(plain(note)) for note in run.notes]


def heading(run: "Run") -> Any:
    """One line: from when to when, which book, which policy."""
    from rich.text import Text

    from solvent.cli.shown import plain

    span = Text(f"{run.start} to {run.end}", "bold")
    return span.append("  ").append(plain(run.book)).append("  policy ").append(plain(run.policy.label))


SWEEP_COLUMNS: Sequence[tuple[str, str]] = (
    ("initial_margin_to_notional", "initial margin to notional"),
    ("accounts_liquidated", "accounts liquidated"),
    ("shortfall_usd", "shortfall, USD"),
    ("insurance_used_usd", "insurance, USD"),
    ("deleveraged_loss_usd", "deleveraging, USD"),
    ("socialised_loss_usd", "shared, USD"),
    ("uncovered_accounts_peak", "most below zero"),
)


def sweep_table(sweep: "Sweep") -> "Table":
    """A line a value of the parameter."""
    from rich.table import Table

    from solvent.cli.summary import shown

    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left", title_style="bold")
    table.title = "What margin costs, and what it saves"
    table.add_column(sweep.parameter, justify="right")
    for _, words in SWEEP_COLUMNS:
        table.add_column(words, justify="right")
    for row in sweep.frame.to_dicts():
        cells = [shown(name, row[name]) for name, _ in SWEEP_COLUMNS]
        table.add_row(f"{row['value']:.4g}", *cells)
    return table
