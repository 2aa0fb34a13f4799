"""What a run came to, as a table for people."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from solvent.cli.live import whole
from solvent.engine.summary import Summary


def summary_table(summary: Summary) -> Group:
    """The figures of a run, those of losses red where there were any."""
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")

    def line(name: str, value: str, note: str = "", bad: bool = False) -> None:
        table.add_row(name, Text(value, "bold red" if bad else "bold"), note)

    def usd(name: str, value: float, note: str = "", loss: bool = False) -> None:
        line(name, whole(value), note, loss and value > 0.5)

    line("ticks", f"{summary.ticks:,}", f"{summary.ticks_degraded:,} with a price in doubt")
    line("accounts", f"{summary.accounts:,}", f"{summary.uncovered_accounts_peak:,} under water at worst")
    line("commands", f"{summary.commands:,}")
    line("margin calls", f"{summary.margin_calls:,}")
    line("liquidations", f"{summary.liquidations:,}", f"of {summary.accounts_liquidated:,} accounts")
    line("auctions", f"{summary.auctions:,}")
    usd("liquidated notional USD", summary.liquidated_notional_usd)
    usd("penalties USD", summary.penalties_usd)
    usd("shortfall USD", summary.shortfall_usd, "owed beyond what was owned", loss=True)
    used = f"{whole(summary.insurance_start_usd)} at first, {whole(summary.insurance_end_usd)} at last"
    usd("insurance used USD", summary.insurance_used_usd, used, loss=True)
    line("deleveraged accounts", f"{summary.deleveraged_accounts:,}", bad=summary.deleveraged_accounts > 0)
    usd("loss shared by others USD", summary.socialised_loss_usd, loss=True)
    usd("bad debt USD", summary.bad_debt_usd, loss=True)
    conserved = "every balance and position adds up to zero" if summary.conserved else "IT DOES NOT ADD UP"
    line("conserved", "yes" if summary.conserved else "no", conserved, bad=not summary.conserved)
    line("state hash", summary.state_hash[:16])
    return Group(table)
