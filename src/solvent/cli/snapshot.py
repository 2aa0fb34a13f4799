"""`solvent snapshot ccxt:EXCHANGE`: a market with volatility surfaces, as a file."""

from pathlib import Path
from typing import Annotated

import typer


def snapshot_command(
    source: Annotated[str, typer.Argument(help="ccxt:EXCHANGE, such as ccxt:deribit.")],
    out: Annotated[Path, typer.Option(help="File to write: .json keeps surfaces.")],
    assets: Annotated[str, typer.Option(help="Underlyings, separated by commas.")] = "BTC,ETH",
    endpoint: Annotated[str | None, typer.Option(help="URL of a proxy that speaks the exchange's paths.")] = None,
) -> None:
    """Write the present market of an exchange: marks, spreads, volumes, forwards and option volatilities."""
    from rich.console import Console
    from rich.table import Table

    from solvent.cli.fetch import names
    from solvent.engine.files import write_market
    from solvent.engine.sources.exchange import connect
    from solvent.engine.sources.exchange_market import snapshot

    console = Console(stderr=True)
    exchange = connect(source, endpoint)
    with console.status(f"asking {exchange.id} ..."):
        market, left_out = snapshot(exchange, names(assets))
    write_market(out, market, source)
    table = Table("asset", "index USD", "spot", "perpetuals", "futures", "options", "expiries", box=None)
    for asset, price in zip(market.universe.assets, market.index_usd.tolist(), strict=True):
        kinds = [each.kind for each in market.universe if each.underlying == asset]
        surface = market.surfaces.get(asset)
        expiries = len(getattr(surface, "years", ()))
        table.add_row(asset, f"{price:,.6g}", *(str(kinds.count(kind)) for kind in range(4)), str(expiries))
    console.print(table)
    if left_out:
        console.print(f"left out, without a price or a volatility: {len(left_out)}, such as {', '.join(left_out[:3])}")
    console.print(f"wrote {out}")
