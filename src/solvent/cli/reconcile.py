"""`solvent reconcile`: custody against the ledger, asset by asset; withdrawals of what differs stop."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from solvent.errors import Problem, SolventError, problem, raise_if

if TYPE_CHECKING:
    from solvent.engine.engine import Engine

EXIT_DIFFERS = 1


class Compared(NamedTuple):
    """An asset on both sides, in coins as exact decimals."""

    asset: str
    custody: str
    ledger: str
    difference: str
    withdrawals: str
    """`open` or `stopped`."""


def reconcile_command(
    store: Annotated[str, typer.Option(help="The venue's journal: an SQLite file or postgresql://...")],
    custody: Annotated[
        Path | None, typer.Option(help="What custody holds: CSV, Parquet or JSON with asset, amount in coins.")
    ] = None,
    person: Annotated[str, typer.Option(help="The operator who says so; stands in the journal.")] = "reconciliation",
    release: Annotated[str, typer.Option(help="An asset whose withdrawals may go on; with --reason.")] = "",
    reason: Annotated[str, typer.Option(help="Why they may.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As a JSON list.")] = False,
) -> None:
    """Compare what custody holds with what the ledger owes inside, and put that into the journal.

    Withdrawals of an asset that differs by an atom stop until an operator releases them. Exits with 1 if one differs.
    A journal has one writer: between two runs of the venue.
    """
    from solvent.cli.shown import console, json_text, new_table, plain
    from solvent.engine.engine import Engine
    from solvent.ledger.stores import is_there, open_journal

    if (custody is None) == (not release):
        raise SolventError(problem("arguments", None, "custody", custody or "", "--custody FILE, or --release ASSET"))
    if not is_there(store):
        raise SolventError(problem(store, None, "journal", "not there", "the journal of a venue"))
    journal = open_journal(store)
    try:
        engine = Engine(journal)
        if custody is None:
            _release(engine, release, reason, person)
            typer.echo(f"{release}: withdrawals may go on")
            return
        rows = compare(engine, custody, person)
    finally:
        journal.close()
    if as_json:
        typer.echo(json_text([each._asdict() for each in rows]))
    else:
        table = new_table("asset", "custody", "ledger", "difference", "withdrawals")
        for each in rows:
            table.add_row(*map(plain, each))
        console().print(table)
    if any(Fraction(each.difference) for each in rows):
        raise typer.Exit(EXIT_DIFFERS)


def compare(engine: "Engine", custody: Path, person: str) -> list[Compared]:
    """Journal a reconciliation of every asset that either side has; what each came to.

    An asset that the file leaves out is held at zero. Raises SolventError with all that the file has wrong.
    """
    from solvent.domain.commands import Reconcile
    from solvent.domain.events import Reconciled
    from solvent.domain.quantities import decimal_text
    from solvent.engine.custody_table import custody_table
    from solvent.engine.decide.custody import custody_of
    from solvent.engine.engine import Submission
    from solvent.engine.files import read_rows
    from solvent.engine.start import all_accepted

    state = engine.state
    held = custody_table(*read_rows(custody), state.universe)
    assets = sorted(held.keys() | {a for row in state.balances.values() for a in row if custody_of(state, a)})
    asked = [Submission(Reconcile(asset, held.get(asset, 0)), "operator", person) for asset in assets]
    entries = engine.execute(asked, state.ts_ns)
    all_accepted(entries)
    found = []
    for entry in entries:
        event = entry.events[0]
        assert isinstance(event, Reconciled)
        spot = state.universe.spot_of(event.asset)
        sides = (event.custody_atoms, event.ledger_atoms, event.custody_atoms - event.ledger_atoms)
        held_text, ledger, off = (decimal_text(Fraction(atoms, 10**spot.decimals), spot.decimals) for atoms in sides)
        withdrawals = "stopped" if event.asset in engine.state.withheld else "open"
        found.append(Compared(spot.id, held_text, ledger, off, withdrawals))
    return found


def _release(engine: "Engine", asset: str, reason: str, person: str) -> None:
    """Raises SolventError where it is refused."""
    from solvent.domain.commands import ReleaseWithdrawals
    from solvent.domain.instruments import Spot
    from solvent.engine.engine import Submission
    from solvent.engine.start import all_accepted

    universe = engine.state.universe
    faults: list[Problem] = []
    if asset not in universe or not isinstance(universe[universe.index(asset)], Spot):
        faults.append(problem("arguments", None, "release", asset, "an asset of the venue"))
    if not reason:
        faults.append(problem("arguments", None, "reason", "", "why withdrawals may go on"))
    raise_if(faults)
    command = ReleaseWithdrawals(universe.index(asset), reason)
    all_accepted(engine.execute([Submission(command, "operator", person)], engine.state.ts_ns))
