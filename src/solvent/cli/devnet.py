"""`solvent chain devnet`: a venue on a chain of its own, through a crash, live in the terminal."""

import threading
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from solvent.cli.shows import FRAMES_A_SECOND, can_draw
from solvent.cli.up import stopping

if TYPE_CHECKING:
    from solvent.chain.devnet import Devnet, Frame

PACE_S = 0.25
STATES = ("ok", "degraded", "halted")


def devnet_command(
    ticks: Annotated[int, typer.Option(min=1, help="Blocks after the start; then it ends by itself.")] = 120,
    seed: Annotated[int, typer.Option(help="Of the price path.")] = 7,
    node: Annotated[str, typer.Option(help="auto: anvil where it is installed; or `local`, the in-process chain.")] = (
        "auto"
    ),
    pace: Annotated[
        float | None, typer.Option(min=0, help="Seconds between blocks; default: 0.25 where drawn.")
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json-lines", help="Print a JSON object a block.")] = False,
) -> None:
    """Start a chain, deploy the contracts, fund everybody, let prices crash, and watch a keeper at work.

    Two of three signers push prices each block; the mirror is held to the contracts' own view of every account.
    Nothing of it outlives the command.
    """
    from solvent.chain.devnet import Devnet, prices
    from solvent.chain.node import devnode
    from solvent.errors import SolventError, problem

    if node not in ("auto", "local"):
        raise SolventError(problem("devnet", None, "node", node, "auto or local"))
    console = Console()
    drawn = not json_lines and can_draw(console)
    with stopping() as stop, devnode("" if node == "local" else None) as (rpc, what):
        if not json_lines:
            console.print(f"devnet on {what}: deploying and funding ...", highlight=False)
        devnet = Devnet(rpc)
        wait_s = pace if pace is not None else PACE_S if drawn else 0.0
        _run(devnet, list(prices(ticks, seed)), console, stop, drawn, wait_s, json_lines)


def _run(
    devnet: "Devnet",
    factors: list[float],
    console: Console,
    stop: threading.Event,
    drawn: bool,
    wait_s: float,
    json_lines: bool,
) -> None:
    import msgspec

    live = Live(console=console, refresh_per_second=FRAMES_A_SECOND) if drawn else None
    frame = None
    if live is not None:
        live.start()
    try:
        for factor in factors:
            if stop.is_set():
                break
            frame = devnet.step(factor)
            if live is not None:
                live.update(screen(frame, len(factors)))
            else:
                print(msgspec.json.encode(frame).decode() if json_lines else line(frame), flush=True)
            stop.wait(wait_s)
    finally:
        if live is not None:
            live.stop()
    if frame is not None and not json_lines:
        console.print(ending(frame), highlight=False)
    if frame is not None and devnet.mirror.counts["differences"]:
        raise typer.Exit(1)


def line(frame: "Frame") -> str:
    """A tick in one line of plain ASCII."""
    worst = min(frame.people, key=lambda each: each.health)
    return (
        f"block {frame.block}  WETH {frame.weth_usd:,.2f}  {frame.liquidatable} liquidatable, worst {worst.name} at "
        f"{worst.health:.3f}  {frame.jobs} jobs, {frame.liquidated} done  keeper {frame.keeper_profit:+,.2f} USD  "
        f"differences {frame.differences}"
    )


def ending(frame: "Frame") -> str:
    """What it came to."""
    return (
        f"{frame.tick} blocks, {frame.liquidated} liquidations, keeper {frame.keeper_profit:+,.2f} USD, insurance "
        f"{frame.insurance:,.2f} USD; mirror and contracts compared {frame.checked:,} accounts, "
        f"{frame.differences} differences at the end"
    )


def screen(frame: "Frame", ticks: int) -> RenderableType:
    """A tick drawn."""
    table = Table(expand=True)
    table.add_column("account")
    for name in ("equity USD", "margin USD", "health"):
        table.add_column(name, justify="right")
    table.add_column("state")
    for each in frame.people:
        colour = "red" if each.health < 1 else "yellow" if each.health < 1.2 else "green"
        state = "auction" if each.in_auction else STATES[each.price_state]
        health = Text(f"{each.health:.3f}", colour)
        table.add_row(each.name, f"{each.equity:,.2f}", f"{each.margin:,.2f}", health, state)
    head = Text(
        f"block {frame.block}  tick {frame.tick}/{ticks}  WETH {frame.weth_usd:,.2f} USD  debt {frame.debt:,.0f} USD"
    )
    foot = Text(
        f"{frame.liquidatable} liquidatable, {frame.jobs} jobs sent, {frame.liquidated} done, keeper "
        f"{frame.keeper_profit:+,.2f} USD; mirror = contracts for {frame.checked:,} views, "
        f"{frame.differences} differences"
    )
    return Panel(Group(head, table, foot), title="solvent devnet")
