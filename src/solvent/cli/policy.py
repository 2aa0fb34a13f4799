"""`solvent policy`: changes of a venue's policy that are under way; approve, withdraw or propose one as a person.

A journal has one writer: the list works while the venue runs, the rest between two runs, or through the library.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from solvent.errors import SolventError, problem

if TYPE_CHECKING:
    from solvent.domain.commands import Command
    from solvent.engine.engine import Engine

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Changes of a venue's policy that are under way.")

Store = Annotated[str, typer.Argument(help="The venue's journal: an SQLite file or postgresql://...")]
Person = Annotated[str, typer.Option(help="Who says so; stands in the journal.")]
Number = Annotated[int, typer.Argument(min=1, help="Of the proposal, see `solvent policy list`.")]


@app.command("list")
def list_command(
    store: Store, as_json: Annotated[bool, typer.Option("--json", help="As a JSON list.")] = False
) -> None:
    """List what is under way: existing positions, new risk, until when, what it waits for, who proposed it, why."""
    from rich.table import Table

    from solvent.cli.live import clock
    from solvent.cli.shown import console, json_text, plain
    from solvent.engine.adaptive.moves import moves_of
    from solvent.ledger.recovery import recover
    from solvent.ledger.stores import open_journal

    journal = open_journal(store, writer=False)
    try:
        state = recover(journal)
    finally:
        journal.close()
    moves = moves_of(state)
    if as_json:
        typer.echo(json_text([each._asdict() for each in moves]))
        return
    out = console()
    if not moves:
        out.print("adaptive is off" if state.adaptive is None else "nothing is under way", style="dim")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("proposal", "parameter", "existing", "new risk", "waits for", "until", "by", "why"):
        table.add_column(head, no_wrap=head != "why")
    for each in moves:
        until = clock(each.end_ns, "%Y-%m-%d %H:%M") if each.end_ns else ""
        cells = (str(each.proposal), each.parameter, f"{each.present:.2%}", f"{each.target:.2%}", each.waits_for, until)
        table.add_row(*map(plain, (*cells, each.by or "engine", each.reason)))
    out.print(table)


@app.command("approve")
def approve_command(store: Store, proposal: Number, person: Person) -> None:
    """Let a loosening take effect, or a raise start before its notice is over; nobody approves his own."""
    from solvent.domain.commands import ApprovePolicy

    with _engine(store) as engine:
        typer.echo(_sent(engine, ApprovePolicy(proposal), person))


@app.command("withdraw")
def withdraw_command(store: Store, proposal: Number, person: Person) -> None:
    """Let go of a loosening that waits."""
    from solvent.domain.commands import WithdrawProposal

    with _engine(store) as engine:
        typer.echo(_sent(engine, WithdrawProposal(proposal), person))


@app.command("propose")
def propose_command(
    store: Store,
    changes: Annotated[list[str], typer.Argument(help="PARAMETER=VALUE, such as scan_range.BTC=0.18.")],
    person: Person,
    model: Annotated[str, typer.Option(help="Tail model of the evidence.")] = "stack",
) -> None:
    """Propose values as a person, on what a tail model makes of the journal's own marks."""
    from msgspec.structs import replace

    from solvent.domain.commands import ProposePolicy
    from solvent.engine.adaptive.history import History
    from solvent.engine.adaptive.parameters import asset_of
    from solvent.engine.adaptive.proposer import TailProposer, reason_of
    from solvent.engine.adaptive.runner import sight_of
    from solvent.engine.adaptive.volume import SteadyVolume

    values = _values(changes)
    proposer = TailProposer(model)
    with _engine(store) as engine:
        history = History.read(engine.journal)
        sight = sight_of(engine, history, SteadyVolume.read(engine.journal))
        evidence = sight and proposer.evidence(history, sight)
        if evidence is None:
            accepted = "a venue run with --adaptive, with enough fresh marks for the model"
            raise SolventError(problem(store, None, "evidence", "none", accepted))
        evidence = replace(evidence, reason=reason_of(evidence, {asset_of(name) for name, _ in values}))
        typer.echo(_sent(engine, ProposePolicy(values, evidence), person))


def _values(changes: list[str]) -> tuple[tuple[str, float], ...]:
    """(parameter, value) of each argument. Raises SolventError with all that are none."""
    faults, found = [], []
    for each in changes:
        name, _, value = each.partition("=")
        try:
            found.append((name, float(value)))
        except ValueError:
            faults.append(problem("arguments", None, "change", each, "PARAMETER=VALUE with a number"))
    if faults:
        raise SolventError(*faults)
    return tuple(found)


@contextmanager
def _engine(store: str) -> "Iterator[Engine]":
    """The venue of a journal that nobody else writes. Raises SolventError where there is none."""
    from solvent.engine.engine import Engine
    from solvent.ledger.stores import is_there, open_journal

    if not is_there(store):
        raise SolventError(problem(store, None, "journal", "not there", "the journal of a venue"))
    journal = open_journal(store)
    try:
        yield Engine(journal)
    finally:
        journal.close()


def _sent(engine: "Engine", command: "Command", person: str) -> str:
    """What became of a person's command, in a line; at the venue's own time. Raises SolventError if it is refused."""
    from solvent.cli.printable import printable
    from solvent.cli.watch import policy_happening
    from solvent.engine.engine import Submission
    from solvent.engine.start import all_accepted

    (entry,) = engine.execute([Submission(command, "risk", person)], engine.state.ts_ns)
    all_accepted([entry])
    line = policy_happening(engine.state.ts_ns, entry.events[0])
    return printable(f"{line.who}: {line.what}" if line else type(entry.events[0]).__name__)
