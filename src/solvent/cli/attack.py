"""`solvent attack`: scripted attackers against the default venue, and what they would have got without the guard."""

from typing import TYPE_CHECKING, Annotated

import typer

from solvent.errors import SolventError, problem

if TYPE_CHECKING:
    from rich.table import Table

    from solvent.lab.attacks.attack import Attack, Result

EXIT_NOT_HELD = 1


def attack_command(
    name: Annotated[str, typer.Argument(help="One attack; all of them by default.", show_default=False)] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="As JSON: name, profit_usd, venue_loss_usd, control_profit_usd.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As the table of docs/attacks.md.")] = False,
) -> None:
    """Play attacks on a real engine with the default policy, each again with its guard taken away.

    Exits with 1 if an attack brings anything, or if one brings nothing without its guard either.
    """
    from solvent.cli.shown import console, json_text
    from solvent.lab.attacks.attack import played

    if as_json and markdown:
        raise SolventError(problem("arguments", None, "markdown", "with --json", "one of the two"))
    attacks = _chosen(name)
    results = [played(each) for each in attacks]
    if as_json:
        typer.echo(json_text([_row(each) for each in results]))
    elif markdown:
        typer.echo("\n".join(markdown_table(attacks, results)))
    else:
        console().print(_table(attacks, results))
    if not all(each.held for each in results):
        raise typer.Exit(EXIT_NOT_HELD)


def _chosen(name: str) -> "list[Attack]":
    """The attack of a name, or all. Raises SolventError for a name that none has."""
    from solvent.lab.attacks.table import ATTACKS

    if not name:
        return list(ATTACKS.values())
    if name not in ATTACKS:
        raise SolventError(problem("arguments", None, "attack", name, f"one of {', '.join(ATTACKS)}"))
    return [ATTACKS[name]]


def _row(result: "Result") -> dict[str, object]:
    return {
        "name": result.name,
        "profit_usd": result.profit_usd,
        "venue_loss_usd": result.venue_loss_usd,
        "control_profit_usd": result.control_profit_usd,
    }


def _table(attacks: "list[Attack]", results: "list[Result]") -> "Table":
    from solvent.cli.shown import add_numbers, new_table, usd

    table = new_table("attack", "held")
    add_numbers(table, "profit\nUSD", "venue loses\nUSD", "profit without\nthe guard USD")
    table.add_column("guard", overflow="fold")
    for attack, each in zip(attacks, results, strict=True):
        figures = (each.profit_usd, each.venue_loss_usd, each.control_profit_usd)
        table.add_row(attack.name, "yes" if each.held else "NO", *map(usd, figures), attack.guard)
    return table


def markdown_table(attacks: "list[Attack]", results: "list[Result]") -> list[str]:
    """Lines of a Markdown table: attack, guard, result, control."""
    from solvent.cli.shown import usd

    lines = [
        "| attack | guard | profit, USD | venue's loss, USD | guard taken away | profit then, USD |",
        "|---|---|---:|---:|---|---:|",
    ]
    for attack, each in zip(attacks, results, strict=True):
        first = f"| {attack.name} | {attack.guard} | {usd(each.profit_usd)} | {usd(each.venue_loss_usd)} "
        lines.append(f"{first}| {attack.control} | {usd(each.control_profit_usd)} |")
    return lines
