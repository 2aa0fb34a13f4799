"""`solvent deposits`: deposits that wait for a second person; confirm or drop one.

A journal has one writer: the list works while the venue runs, the rest between two runs, or through the library.
"""

from fractions import Fraction
from typing import Annotated

import typer

from solvent.errors import SolventError, problem

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Deposits that wait for a second person.")

Store = Annotated[str, typer.Argument(help="The venue's journal: an SQLite file or postgresql://...")]
Reference = Annotated[str, typer.Argument(help="Custody reference of the deposit.")]
Person = Annotated[str, typer.Option(help="The operator who says so; stands in the journal.")]


@app.command("list")
def list_command(
    store: Store, as_json: Annotated[bool, typer.Option("--json", help="As a JSON list.")] = False
) -> None:
    """List what waits: reference, account, amount in coins, who reported it."""
    from solvent.cli.shown import console, json_text, new_table, plain
    from solvent.domain.owners import NAMES
    from solvent.domain.quantities import decimal_text
    from solvent.ledger.recovery import recover
    from solvent.ledger.stores import open_journal

    journal = open_journal(store, writer=False)
    try:
        state = recover(journal)
    finally:
        journal.close()
    rows = []
    for reference, held in sorted(state.held_deposits.items()):
        spot = state.universe.spot_of(held.asset)
        account = NAMES.get(held.account) or state.accounts[held.account].name
        amount = decimal_text(Fraction(held.atoms, 10**spot.decimals), spot.decimals)
        rows.append({"reference": reference, "account": account, "asset": spot.id, "amount": amount, "by": held.by})
    if as_json:
        typer.echo(json_text(rows))
        return
    if not rows:
        console().print("nothing waits", style="dim")
        return
    table = new_table("reference", "account", "asset", "amount", "by")
    for row in rows:
        table.add_row(*map(plain, row.values()))
    console().print(table)


@app.command("confirm")
def confirm_command(store: Store, reference: Reference, person: Person) -> None:
    """Credit a deposit; nobody confirms what he reported himself."""
    _sent(store, reference, person, accept=True)
    typer.echo("credited")


@app.command("drop")
def drop_command(store: Store, reference: Reference, person: Person) -> None:
    """Let go of a deposit that was reported wrongly; its reference is free again."""
    _sent(store, reference, person, accept=False)
    typer.echo("dropped")


def _sent(store: str, reference: str, person: str, *, accept: bool) -> None:
    """Send an operator's word at the venue's own time. Raises SolventError if it is refused."""
    from solvent.domain.commands import ConfirmDeposit
    from solvent.engine.engine import Engine, Submission
    from solvent.engine.start import all_accepted
    from solvent.ledger.stores import is_there, open_journal

    if not is_there(store):
        raise SolventError(problem(store, None, "journal", "not there", "the journal of a venue"))
    journal = open_journal(store)
    try:
        engine = Engine(journal)
        command = ConfirmDeposit(reference, accept)
        (entry,) = engine.execute([Submission(command, "operator", person)], engine.state.ts_ns)
    finally:
        journal.close()
    all_accepted([entry])
