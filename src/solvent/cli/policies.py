"""`solvent policies`: the ready-made policies with their dates and sources, and their text."""

from typing import Annotated

import typer

COLUMNS = ("name", "rule", "version", "as of", "toxic LTV", "source")
NARROW = ("name", "as of", "source")
WIDE = 110
"""Terminal columns from which there is room for all."""


def policies_command(
    name: Annotated[str, typer.Argument(help="Print this policy's TOML: a start for one of your own.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The list as JSON.")] = False,
) -> None:
    """List the ready-made policies: whose rule, which parameters, as of when, from where; or print one as TOML.

    `toxic LTV`, of lending rules, is the loan-to-value above which every liquidation raises it: 1 / (1 + bonus);
    --json gives it by collateral.
    """
    from rich.table import Table

    from solvent.cli.shown import console, json_text, plain
    from solvent.engine.files import policy_names, policy_text, read_policy
    from solvent.engine.toxic import toxic_ltvs

    if name:
        typer.echo(policy_text(name), nl=False)
        return
    policies = [read_policy(each) for each in policy_names()]
    if as_json:
        fields = ("name", "rule", "version", "as_of", "source", "notes")
        rows = [
            {
                **{key: getattr(each, key) for key in fields},
                "digest": each.digest().hex(),
                "toxic_ltv": toxic_ltvs(each),
            }
            for each in policies
        ]
        typer.echo(json_text(rows))
        return
    out = console()
    columns = COLUMNS if out.width >= WIDE else NARROW
    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in columns:
        table.add_column(head, no_wrap=head != "source")
    for each in policies:
        ltvs = toxic_ltvs(each).values()
        toxic = " to ".join(dict.fromkeys(f"{ltv:.1%}" for ltv in (min(ltvs), max(ltvs)))) if ltvs else ""
        cells = dict(zip(COLUMNS, (each.name, each.rule, each.version, each.as_of, toxic, each.source), strict=True))
        table.add_row(*(plain(cells[head]) for head in columns))
    out.print(table)
    if columns is NARROW:
        out.print("rule, version and toxic LTV: on a wider terminal, or with --json", style="dim")
