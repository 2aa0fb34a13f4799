"""Figures of statements as a terminal and JSON show them."""

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from solvent.cli.printable import printable
from solvent.engine.term_rows import TermRow

STATE_STYLES: Mapping[str, str] = {
    "healthy": "green",
    "below initial": "yellow",
    "liquidatable": "bold red",
    "insolvent": "bold magenta",
    "refused": "dim",
}
TOTAL_NAMES: Mapping[str, str] = {
    "equity": "equity",
    "initial_margin": "initial margin",
    "maintenance_margin": "maintenance margin",
}
PIPE_WIDTH = 160
"""Columns where stdout is no terminal."""
WHOLE_FROM = 10_000_000
NARROW = 100
"""Below so many columns tables stand closer."""
TERMS_SHOWN = 12


def console() -> Console:
    """Stdout; wide where nobody's terminal limits it."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def usd(amount: float | Decimal | None) -> str:
    """USD with cents; from ten million on whole; a dash where there is none."""
    if amount is None or math.isnan(amount):
        return "-"
    amount = float(amount)
    text = f"{amount:,.0f}" if abs(amount) >= WHOLE_FROM else f"{amount:,.2f}"
    return "0.00" if text == "-0.00" else text


def ratio(value: float | None) -> str:
    """A ratio with two decimals: `inf` where nothing is required, a dash where there is none."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value) or abs(value) < 1e6:
        return f"{value:,.2f}"
    return f"{value:.2e}"


def counted(accounts: int) -> str:
    """How many accounts, in words."""
    return f"{accounts:,} account{'' if accounts == 1 else 's'}"


def state(name: str) -> Text:
    """An account's state in its colour."""
    return Text(name, STATE_STYLES.get(name, ""))


def plain(name: str) -> Text:
    """A name of a file: no markup, nothing that a terminal would obey."""
    return Text(printable(name))


def plain_lines(text: str) -> Text:
    """`plain` text that may have line breaks."""
    return Text("\n").join(plain(line) for line in text.splitlines())


def new_table(*names: str, title: str = "") -> Table:
    """A plain table with columns of text; text folds where there is no room, so that numbers need not."""
    gap = 2 if console().width >= NARROW else 1
    table = Table(box=None, padding=(0, gap, 0, 0), title_justify="left", title_style="bold")
    table.title = plain(title) if title else None
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def add_numbers(table: Table, *names: str, style: str = "") -> None:
    """Columns of numbers, flush right and never cut; a line break in a name keeps them narrow."""
    for name in names:
        table.add_column(plain_lines(name), justify="right", no_wrap=True, style=style)


def terms_table(title: str, labels: Sequence[str], rows: Sequence[TermRow], difference: bool) -> Table:
    """Terms beside one another, the largest differences of each total first.

    difference: show second less first, for two explanations that have the same terms. Otherwise a column without
    any term, of a rule that refuses the account, is left out.
    """
    there = [i for i in range(len(labels)) if difference or any(row.amounts[i] is not None for row in rows)]
    table = new_table("total", "term", "of", title=title)
    add_numbers(table, *(labels[i] for i in there), *(["difference"] if difference else []))
    for total, name in TOTAL_NAMES.items():
        mine = [row for row in rows if row.total == total]
        for place, row in enumerate(mine[:TERMS_SHOWN]):
            cells = [usd(row.amounts[i]) for i in there]
            if difference:
                first, second = (amount or Decimal(0) for amount in row.amounts)
                cells.append(f"{second - first:+,.2f}")
            table.add_row("" if place else name, plain(row.name), plain(row.instrument), *cells)
        if len(mine) > TERMS_SHOWN:
            table.add_row("", Text(f"... and {len(mine) - TERMS_SHOWN} more", "dim"))
    return table


def terms_json(labels: Sequence[str], rows: Sequence[TermRow]) -> list[dict[str, Any]]:
    """Terms as JSON values; amounts as exact text, null where an explanation has no such term."""
    return [
        {
            "total": row.total,
            "term": row.name,
            "instrument": row.instrument,
            "amounts": {
                label: None if amount is None else format(amount, "f")
                for label, amount in zip(labels, row.amounts, strict=True)
            },
        }
        for row in rows
    ]


def json_text(value: Any) -> str:
    """JSON that any reader takes: infinities as text, NaN as null."""
    return json.dumps(_finite(value), indent=1, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
