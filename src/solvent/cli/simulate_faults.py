"""`solvent simulate-faults`: whole histories of a venue whose disk, clock, process and clients fail."""

from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from solvent.cli.printable import printable


def simulate_faults_command(
    seed: Annotated[int, typer.Option(min=0, help="Of the first history.")] = 0,
    histories: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many, from that seed on.")] = 1,
    steps: Annotated[int, typer.Option(min=1, max=1_000_000, help="Of each history.")] = 400,
    lying_disk: Annotated[
        bool, typer.Option("--lying-disk", help="Let the disk lose what it called durable: this must be found.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a history.")] = False,
) -> None:
    """Run a venue through failing commits, power cuts, clock jumps, take-overs and clients that send again.

    Every choice is drawn from the seed: a history that goes wrong goes wrong again, step by step. After every step
    it looks for sums that are not zero, acknowledged commands that are lost or done twice, answers that changed,
    states that recovery does not give, time that went back, and writers that were superseded and commit. Exits with
    1 where it found something.
    """
    from solvent.cli.shown import console, json_text
    from solvent.lab.faults import simulate

    found = False
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("seed", "steps", "blocks", "commands", "repeated", "liquidated", "processes", "faults", "trace"):
        table.add_column(name, justify="right" if name not in ("trace",) else "left")
    for number in range(seed, seed + histories):
        outcome = simulate(number, steps, lying=lying_disk)
        found = found or bool(outcome.problems)
        if as_json:
            typer.echo(json_text(msgspec.to_builtins(outcome)))
            continue
        figures = (number, steps, outcome.blocks, outcome.commands, outcome.repeated, outcome.liquidated)
        rest = (outcome.processes, sum(outcome.faults.values()), outcome.trace)
        table.add_row(*(f"{each:,}" if isinstance(each, int) else each for each in (*figures, *rest)))
        for problem in outcome.problems[:5]:
            table.add_row("", Text(""), *[""] * 6, Text(printable(problem), "bold red"))
    if not as_json:
        console().print(table)
    if found:
        raise typer.Exit(1)
