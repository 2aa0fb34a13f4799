"""`solvent journal`: prove that a journal was not changed, turn it into rows, watch it grow."""

import csv
import io
import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, TextIO

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from solvent.cli.printable import printable
from solvent.errors import JournalCorrupt, SolventError, problem
from solvent.ledger.decode import Names, Row, names_of, rows, timestamp
from solvent.ledger.journal import Block
from solvent.ledger.recovery import Redecide, Report, verify
from solvent.ledger.stores import open_journal
from solvent.ledger.witness import FileWitness, check

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Verify, export or watch a journal.")

PAUSE_S = 0.2
_LOUD = {
    "Refused": "yellow",
    "Staged": "yellow",
    "Liquidated": "red",
    "AuctionStarted": "red",
    "AuctionTaken": "red",
    "Insured": "bold red",
    "Deleveraged": "bold red",
    "LossShared": "bold red",
    "Frozen": "magenta",
}
_MOVES_SHOWN = 4

JournalStore = Annotated[
    str, typer.Argument(metavar="STORE", help="The journal's SQLite file, or postgresql://...", show_default=False)
]


class Format(StrEnum):
    """What `export` writes."""

    jsonl = "jsonl"
    csv = "csv"


@app.command("verify")
def verify_command(
    store: JournalStore,
    again: Annotated[bool, typer.Option("--redecide", help="Decide every command again; list what differs.")] = False,
    holds: Annotated[
        str, typer.Option(metavar="HASH", help="A block's hash noted down earlier that the chain must still hold.")
    ] = "",
    witness: Annotated[
        Path | None, typer.Option(help="File of signed heads, from `up --witness`: finds rewriting and a cut tail.")
    ] = None,
    key: Annotated[list[str] | None, typer.Option(help="Public key that may have signed. Repeat it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Walk the whole chain, add it up and compare it with everything that the store says of it.

    Ends with exit code 2 and a line a fault, with its block's height, where anything was cut or altered.
    """
    redecide: Redecide | None = None
    if again:
        from solvent.engine.engine import Redecider

        redecide = Redecider()
    journal = open_journal(store, writer=False)
    try:
        report = verify(journal, holds=holds.strip().lower(), redecide=redecide)
        if witness is not None:
            keys = frozenset(each.strip().lower() for each in key or ())
            report.problems += check(journal, FileWitness(witness), str(witness), keys)
    finally:
        journal.close()
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(report)))
    else:
        Console().print(_table(report))
    if report.problems:
        raise JournalCorrupt(*report.problems)


def _table(report: Report) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")

    def line(name: str, value: str) -> None:
        table.add_row(name, Text(printable(value)))

    line("journal", report.journal)
    line("blocks", f"{report.blocks:,} with {report.entries:,} commands and {report.events:,} events")
    if report.blocks:
        line("last block", timestamp(report.ts_ns))
    line("head hash", report.head_hash)
    line("state hash", report.state_hash or "unknown: a block is damaged")
    line("snapshots", f"{report.snapshots:,}")
    if report.redecided:
        line("decided again", f"{report.redecided:,} commands")
    sound = Text("nothing was cut or altered", "green")
    table.add_row("verdict", Text(f"{len(report.problems):,} faults", "bold red") if report.problems else sound)
    return table


@app.command("export")
def export_command(
    store: JournalStore,
    format: Annotated[Format, typer.Option(help="A JSON object or a CSV row an event.")] = Format.jsonl,
    out: Annotated[Path | None, typer.Option(help="File to write, in place of stdout.")] = None,
) -> None:
    """Write every event, decoded: names, exact decimals, times in UTC.

    In CSV what an event holds in lists stands as JSON, and text that a spreadsheet would run as a formula
    gets an apostrophe in front.
    """
    journal = open_journal(store, writer=False)
    try:
        with _sink(out) as sink:
            names = Names()
            decoded = chain.from_iterable(rows(block, names) for block in journal.read())
            for line in _csv(decoded) if format is Format.csv else _jsonl(decoded):
                sink.write(line)
    finally:
        journal.close()


@contextmanager
def _sink(out: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears whole or not at all."""
    if out is None:
        yield sys.stdout
        return
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with part.open("x", encoding="utf-8", newline="") as sink:
            yield sink
        part.replace(out)
    except OSError as error:
        raise SolventError(problem(str(out), None, "--out", error.strerror or str(error), "a file to write")) from None
    finally:
        part.unlink(missing_ok=True)


def _jsonl(decoded: Iterable[Row]) -> Iterator[str]:
    for row in decoded:
        yield msgspec.json.encode(row).decode() + "\n"


def _csv(decoded: Iterable[Row]) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    writer.writerow(Row.__struct_fields__)
    for row in decoded:
        writer.writerow([_cell(value) for value in msgspec.structs.astuple(row)])
        if line.tell() > 65_536:
            yield line.getvalue()
            line.seek(0)
            line.truncate()
    yield line.getvalue()


def _cell(value: Any) -> str | int:
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") and value else value
    return msgspec.json.encode(value).decode() if value else ""


@app.command("keygen")
def keygen_command(
    out: Annotated[Path, typer.Argument(help="New file for the private key; its owner alone can read it.")],
) -> None:
    """Make an Ed25519 key for `up --key`, and print its public half, which others check signatures with.

    With SOLVENT_KEY_PASSPHRASE set the file is locked with it; it must be set then wherever the file is used.
    """
    from solvent.ledger.signing import make_key

    typer.echo(make_key(out).public)


@app.command("confirm")
def confirm_command(
    store: JournalStore,
    height: Annotated[int, typer.Option(min=0, help="Of the block that the witness signed last.")],
    hash: Annotated[str, typer.Option(help="Of that block.")],
    loss: Annotated[
        str, typer.Option(metavar="REASON", help="Why blocks up to there are missing and will not come back.")
    ] = "",
) -> None:
    """Open a restored journal to writers, if it is the one that the witness saw and nothing is missing."""
    from solvent.ledger.copies import confirm

    head = confirm(store, height, hash, loss=loss)
    typer.echo(f"confirmed at block {head.height:,}: {head.hash.hex()}")
    if head.height < height:
        typer.echo(f"{height - head.height:,} blocks that the witness saw are lost: {printable(loss)}")


@app.command("tail")
def tail_command(
    store: JournalStore,
    count: Annotated[int, typer.Option("-n", min=0, help="Events to show first.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the journal grows.")] = False,
) -> None:
    """Show the last events in words; with --follow also those to come, until interrupted."""
    console = Console(highlight=False)
    journal = open_journal(store, writer=False)
    try:
        names, height = names_of(journal)
        for row in last_rows(journal.read(max(1, height - count)), names, height, count):
            console.print(line_of(row), soft_wrap=not console.is_terminal)
        while follow:
            for block in journal.read(height + 1):
                height = block.height
                for row in rows(block, names):
                    console.print(line_of(row), soft_wrap=not console.is_terminal)
            time.sleep(PAUSE_S)
    finally:
        journal.close()


def last_rows(blocks: Iterable[Block], names: Names, height: int, count: int) -> Iterable[Row]:
    """The last `count` events of the blocks up to `height`, whose names are all known."""
    kept: deque[Row] = deque(maxlen=count)
    for block in blocks:
        if block.height > height:
            break
        kept.extend(rows(block, names, observe=False))
    return kept


def line_of(row: Row) -> Text:
    """One event in one line: where, when, what, who asked, and what moved."""
    by = f"{row.origin}:{row.caller}" if row.caller else row.origin
    said = " ".join(f"{key}={_short(value)}" for key, value in row.fields.items())
    moved = [f"{each['owner']} {_signed(each['amount'])} {each['asset']}" for each in row.postings]
    moved += [f"{each['owner']} {_signed(each['quantity'])} {each['instrument']}" for each in row.legs]
    more = f" and {len(moved) - _MOVES_SHOWN:,} more" if len(moved) > _MOVES_SHOWN else ""
    text = Text(f"{row.height:>7} {row.ts}  ", "dim")
    text.append(f"{row.type:<18}", _LOUD.get(row.type, "bold"))
    text.append(f" {printable(by)}", "cyan")
    text.append(f"  {printable(said)}")
    if moved:
        text.append(f"  {printable(', '.join(moved[:_MOVES_SHOWN]) + more)}", "green")
    return text


def _signed(amount: str) -> str:
    return amount if amount.startswith("-") else f"+{amount}"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("id") or value.get("name") or " ".join(map(_short, value.values())))
    if isinstance(value, (list, tuple)):
        shown = ",".join(_short(each) for each in value[:3])
        return f"[{shown}{f' and {len(value) - 3:,} more' if len(value) > 3 else ''}]"
    return str(value)
