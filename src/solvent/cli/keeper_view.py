"""The keeper's live view: what the last block held, what is under way, what was earned; plain data in, text out."""

from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from solvent.cli.printable import printable

if TYPE_CHECKING:
    from solvent.chain.keeper.keeper import Keeper, Report

FLIGHTS_SHOWN = 12
ENTRIES_SHOWN = 8
GWEI = 1e9


def figures(keeper: "Keeper", report: "Report") -> dict[str, Any]:
    """A step as plain JSON values."""
    return {
        "block": report.head.number,
        "base_fee_gwei": report.head.next_base_fee / GWEI,
        "liquidatable": report.liquidatable,
        "next": report.next,
        "profitable": report.profitable,
        "jobs": [
            {
                "account": job.account,
                "health": job.health,
                "repay_usd": round(job.repay_value, 2),
                "profit_usd": round(job.gross_profit, 2),
            }
            for job in report.jobs
        ],
        "in_flight": report.in_flight,
        "profit_usd": round(keeper.ledger.net, 2),
        "decision_ms": round(1e3 * report.decision_s, 3),
        "counts": dict(sorted(keeper.counts.items())),
    }


def line(keeper: "Keeper", report: "Report") -> str:
    """A step in one line of plain ASCII."""
    expected = f", {sum(job.gross_profit for job in report.jobs):,.2f} USD" if report.jobs else ""
    parts = [
        f"block {report.head.number}",
        f"base fee {report.head.next_base_fee / GWEI:.3f} gwei",
        f"{report.liquidatable} liquidatable, {report.next} next",
        f"{len(report.jobs)} jobs{expected}",
        f"{report.in_flight} under way",
        f"earned {keeper.ledger.net:,.2f} USD",
    ]
    return " | ".join(parts)


def screen(keeper: "Keeper", title: str) -> RenderableType:
    """The whole view."""
    report = keeper.last
    if report is None:
        return Text(f"{printable(title)}: reading accounts ...")
    head = Text.assemble(
        (printable(title), "bold"),
        f"  block {report.head.number:,}  base fee {report.head.next_base_fee / GWEI:.3f} gwei",
        f"  decided in {1e3 * report.decision_s:.1f} ms",
    )
    return Panel(Group(head, _state(keeper, report), _flights(keeper), _earned(keeper)), title="solvent keeper")


def _state(keeper: "Keeper", report: "Report") -> Table:
    table = Table.grid(padding=(0, 3))
    table.add_row(
        f"liquidatable {report.liquidatable:,}",
        f"next {report.next:,}",
        f"would pay {report.profitable:,}",
        f"under way {len(keeper.flights):,}",
        Text(f"earned {keeper.ledger.net:,.2f} USD", "green" if keeper.ledger.net >= 0 else "red"),
    )
    table.add_row(*[f"{name.replace('_', ' ')} {count:,}" for name, count in keeper.counts.most_common(5)])
    return table


def _flights(keeper: "Keeper") -> Table:
    table = Table("account", "health", "repays USD", "forecast USD", "tip gwei", "state", expand=True, box=None)
    for flight in list(keeper.flights.values())[:FLIGHTS_SHOWN]:
        job = flight.job
        state = "waiting" if flight.receipt is None else f"in block {flight.receipt.block_number:,}"
        table.add_row(
            printable(job.account),
            f"{job.health:.4f}",
            f"{job.repay_value:,.0f}",
            f"{job.gross_profit:,.2f}",
            f"{flight.sent.fees.tip / GWEI:.3f}",
            "cancelling" if flight.cancelled else state,
        )
    return table


def _earned(keeper: "Keeper") -> Table:
    table = Table("block", "account", "repaid USD", "forecast", "profit", "gas USD", expand=True, box=None)
    for entry in keeper.ledger.entries[: -ENTRIES_SHOWN - 1 : -1]:
        table.add_row(
            f"{entry.block:,}",
            printable(entry.key.partition("/")[0]),
            f"{entry.repaid:,.0f}",
            f"{entry.forecast_profit:,.2f}",
            Text(f"{entry.profit:,.2f}", "green" if entry.succeeded else "red"),
            f"{entry.gas_cost:,.2f}",
        )
    return table
