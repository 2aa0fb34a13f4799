"""`solvent liquidation-price`: at which prices accounts are liquidated, every other position counted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from solvent.domain.book import Book
    from solvent.domain.market import Market
    from solvent.engine.verdicts import Verdicts

ROWS_SHOWN = 40
"""Of a larger book only that many crossings stand in the table: those nearest to the price first."""
EXACT_MOST = 200
"""Up to so many accounts each crossing is found to the tick by the exact form, unless --no-exact."""
ALL = "all"
"""How a joint move of all assets is asked for and shown."""

Crossing = Mapping[str, Any]
"""A row of `liquidation_prices`: account, asset, crossing_price, direction, factor."""


def liquidation_price_command(
    book: Annotated[Path, typer.Option(help="Accounts: CSV, Parquet, Arrow, or JSON of ccxt or Deribit.")],
    market: Annotated[Path, typer.Option(help="Prices: CSV, Parquet, Arrow, or JSON with surfaces.")],
    policy: Annotated[str, typer.Option(help="A ready-made policy by name, or a TOML file.")] = "portfolio",
    asset: Annotated[
        str, typer.Option(help="Whose price moves; `all`: every asset but dollars, together. Default: one by one.")
    ] = "",
    account: Annotated[list[str] | None, typer.Option(help="Only this account; may be repeated.")] = None,
    exact: Annotated[
        bool | None,
        typer.Option(help=f"Find each price to the tick. Default: for up to {EXACT_MOST} accounts, else interpolated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Every price, from a hundredth to a hundred times today's, at which an account turns liquidatable or ceases to be.

    All positions, collaterals and debts of the account count at each price: perpetuals, futures and forwards move
    with their asset, options are priced again, margins change. An account may have several such prices, on either
    side. `solvent margin` shows where accounts stand now.
    """
    import numpy as np

    from solvent.cli.shown import console, json_text
    from solvent.engine.files import read_book, read_market, read_policy
    from solvent.engine.verdicts import verdicts
    from solvent.margin.crossings import JOINT, liquidation_prices

    prices = read_market(market)
    rows = read_book(book, prices.universe, prices).book
    chosen = read_policy(policy)
    answer = verdicts(rows, prices, chosen)
    wanted = [rows.index(name) for name in account] if account else range(len(rows))
    margined = np.array([i for i in wanted if i not in answer.refusals], dtype=np.int64)
    to_tick = len(margined) <= EXACT_MOST if exact is None else exact
    moving = JOINT if asset.lower() == ALL else asset or None
    frame = liquidation_prices(chosen, rows, prices, moving, accounts=margined, exact=to_tick)
    crossings = [{**row, "asset": ALL if row["asset"] == JOINT else row["asset"]} for row in frame.to_dicts()]
    if as_json:
        values = as_values(answer, rows, prices, crossings, list(wanted), to_tick)
        typer.echo(json_text(values))
        return
    out = console()
    for part in parts(answer, rows, prices, crossings, list(wanted), to_tick):
        out.print(part)


def parts(
    answer: "Verdicts",
    book: "Book",
    market: "Market",
    crossings: Sequence[Crossing],
    wanted: Sequence[int],
    exact: bool,
) -> list[Any]:
    """What the terminal shows: crossings, accounts that have none, accounts that the rule refuses."""
    import math

    from rich.text import Text

    from solvent.cli.shown import counted, plain

    shown = list(crossings)
    if len(shown) > ROWS_SHOWN:
        shown = sorted(shown, key=lambda row: abs(math.log(row["factor"])))[:ROWS_SHOWN]
    how = "to the tick" if exact else "interpolated; --exact finds them to the tick"
    found: list[Any] = [Text.assemble((plain(answer.policy.label).plain, "bold"), f"  {counted(len(wanted))}, {how}")]
    if shown:
        found += [Text(), crossings_table(answer, book, market, shown)]
    if len(crossings) > len(shown):
        found.append(Text(f"... and {len(crossings) - len(shown):,} more, further away; --json has all", "dim"))
    without = untouched(answer, book, crossings, wanted)
    if without:
        names = ", ".join(without[:8]) + (f" and {len(without) - 8:,} more" if len(without) > 8 else "")
        found.append(Text.assemble("\nno price from 1 % to 100 times today's changes: ", plain(names)))
    refused = {i for i in wanted if i in answer.refusals}
    for reason, accounts in answer.reasons().items():
        if refused.intersection(accounts):
            who = ", ".join(book.names[i] for i in accounts[:5]) + (" and more" if len(accounts) > 5 else "")
            found.append(Text.assemble("\n", ("refused ", "bold"), plain(who), ": ", plain(reason)))
    return found


def untouched(answer: "Verdicts", book: "Book", crossings: Sequence[Crossing], wanted: Sequence[int]) -> list[str]:
    """Accounts that the rule margins and that no price makes or unmakes liquidatable."""
    crossing = {row["account"] for row in crossings}
    return [book.names[i] for i in wanted if i not in answer.refusals and book.names[i] not in crossing]


def crossings_table(answer: "Verdicts", book: "Book", market: "Market", rows: Sequence[Crossing]) -> "Table":
    """A line a crossing: where the account stands, where its asset does, and the price that changes it."""
    from solvent.cli.shown import add_numbers, new_table, plain, ratio

    table = new_table("account", "asset")
    add_numbers(table, "health\nnow", "price now\nUSD")
    table.add_column("liquidated", no_wrap=True)
    add_numbers(table, "price\nUSD", "move")
    places = {name: i for i, name in enumerate(book.names)}
    last = ""
    for row in rows:
        name, i = row["account"], places[row["account"]]
        again, last = name == last, name
        now = "" if row["asset"] == ALL else _price(index_now(market, row["asset"]))
        at = "" if row["crossing_price"] is None else _price(row["crossing_price"])
        table.add_row(
            plain("" if again else name),
            plain(row["asset"]),
            "" if again else ratio(float(answer.statement.health[i])),
            now,
            "below" if row["direction"] == "down" else "above",
            at,
            f"{row['factor'] - 1:+,.2%}",
        )
    return table


def index_now(market: "Market", asset: str) -> float:
    """USD price of an asset."""
    return float(market.index_usd[market.universe.asset_index[asset]])


def _price(usd: float) -> str:
    return f"{usd:,.2f}" if usd >= 100 else f"{usd:,.6g}"


def as_values(
    answer: "Verdicts",
    book: "Book",
    market: "Market",
    crossings: Sequence[Crossing],
    wanted: Sequence[int],
    exact: bool,
) -> dict[str, Any]:
    """Everything as JSON values."""
    assets = sorted({row["asset"] for row in crossings} - {ALL})
    return {
        "ts_ns": market.ts_ns,
        "policy": answer.policy.label,
        "exact": exact,
        "index_usd": {asset: index_now(market, asset) for asset in assets},
        "crossings": list(crossings),
        "without": untouched(answer, book, crossings, wanted),
        "refused": {book.names[i]: answer.refusals[i].reason for i in wanted if i in answer.refusals},
    }
