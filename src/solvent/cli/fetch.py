"""`solvent fetch ccxt:EXCHANGE`: candles of the past, as a file."""

from pathlib import Path
from typing import Annotated

import typer


def fetch_command(
    source: Annotated[str, typer.Argument(help="ccxt:EXCHANGE, such as ccxt:bitstamp.")],
    out: Annotated[Path, typer.Option(help="File to write: .parquet, .csv, .arrow or .json.")],
    assets: Annotated[str, typer.Option(help="Assets, separated by commas.")] = "BTC,ETH",
    start: Annotated[str | None, typer.Option("--from", help="First time, UTC, such as 2020-03-08.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last time, UTC, included.")] = None,
    window: Annotated[
        str | None, typer.Option(help="A named crash, such as black-thursday, instead of --from and --to.")
    ] = None,
    timeframe: Annotated[str, typer.Option(help="Length of a candle: 1m, 5m, 15m, 1h, 1d.")] = "1h",
    endpoint: Annotated[str | None, typer.Option(help="URL of a proxy that speaks the exchange's paths.")] = None,
) -> None:
    """Write candles of an exchange, for `solvent replay`."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from solvent.engine.files import write_frame
    from solvent.engine.sources.exchange import candles, connect

    console = Console(stderr=True)
    first, last = _span(start, end, window)
    exchange = connect(source, endpoint)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} candles"), TimeRemainingColumn(),
        console=console,
    ) as progress:  # fmt: skip
        seconds = exchange.parse_timeframe(timeframe) if timeframe in (exchange.timeframes or {}) else 3_600
        expected = (last - first) // (seconds * 10**9) + 1
        tasks = {asset: progress.add_task(asset, total=expected) for asset in names(assets)}
        frame = candles(
            exchange, list(tasks), first, last, timeframe, lambda asset, n: progress.update(tasks[asset], completed=n)
        )
    write_frame(out, frame)
    console.print(f"wrote {len(frame)} candles to {out}")


def names(assets: str) -> list[str]:
    """Assets of a comma-separated list, once each. Raises SolventError where there is none."""
    from solvent.errors import SolventError, problem

    found = list(dict.fromkeys(each.strip().upper() for each in assets.split(",") if each.strip()))
    if not found:
        raise SolventError(problem("argument", None, "assets", assets, "assets separated by commas, such as BTC,ETH"))
    return found


def _span(start: str | None, end: str | None, window: str | None) -> tuple[int, int]:
    """First and last time in nanoseconds. Raises SolventError."""
    from solvent.engine.sources.windows import time_ns, window_ns
    from solvent.errors import SolventError, problem

    if window is not None:
        return window_ns(window)
    if start is None or end is None:
        raise SolventError(problem("argument", None, "--from, --to", "missing", "both times, or --window NAME"))
    first, last = time_ns(start, "--from"), time_ns(end, "--to")
    if last < first:
        raise SolventError(problem("argument", None, "--to", end, f"a time not before {start}"))
    return first, last
