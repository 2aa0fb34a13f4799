"""What a run came to, as a table for people."""

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from solvent.cli.shown import usd
from solvent.engine.summary import Summary, figures

GROUPS: Mapping[str, Mapping[str, str]] = {
    "run": {
        "ticks": "ticks",
        "ticks_degraded": "  with a price that is not ok",
        "accounts": "accounts",
        "commands": "commands",
    },
    "liquidation": {
        "margin_calls": "margin calls",
        "accounts_liquidated": "accounts liquidated",
        "liquidations": "liquidations",
        "auctions": "auctions",
        "liquidated_notional_usd": "notional liquidated, USD",
        "penalties_usd": "penalties, USD",
    },
    "losses": {
        "uncovered_accounts_peak": "most accounts below zero at once",
        "shortfall_usd": "shortfall, USD",
        "insurance_used_usd": "  paid by insurance, USD",
        "deleveraged_loss_usd": "  taken by deleveraging, USD",
        "socialised_loss_usd": "  shared by others, USD",
        "bad_debt_usd": "  bad debt, USD",
        "deleveraged_accounts": "accounts deleveraged",
    },
    "fund and margin": {
        "insurance_start_usd": "insurance at the start, USD",
        "insurance_end_usd": "insurance at the end, USD",
        "initial_margin_to_notional": "initial margin to notional",
        "conserved": "conserved",
    },
}
"""What the terminal shows of `summary.figures`, and its words."""


def figures_table(summary: Summary) -> Table:
    """The summary, group by group; losses red where there were any."""
    values = figures(summary)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    table.add_column(justify="right")
    for group, names in GROUPS.items():
        for place, (name, words) in enumerate(names.items()):
            bad = values[name] is False or (group == "losses" and values[name])
            text = Text(shown(name, values[name]), "bold red" if bad else "")
            table.add_row("" if place else group, words, text, end_section=place == len(names) - 1)
    return table


def shown(name: str, value: object) -> str:
    """A figure as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if name.endswith("_usd"):
        return usd(float(str(value)))
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if isinstance(value, float) else str(value)
