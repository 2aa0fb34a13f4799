"""`solvent what-if`: statements before and after a shock, trades, deposits or another policy."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from solvent.errors import SolventError, problem

if TYPE_CHECKING:
    from rich.table import Table

    from solvent.engine.what_if import Deposit, Trade, WhatIf

ACCOUNTS_SHOWN = 20
EXPLAINED = 3
EXPLAINED_JSON = 20
FIGURES = ("equity", "initial_margin", "maintenance_margin", "health", "leverage")
_FACTOR = re.compile(r"(?P<sign>[+-])(?P<percent>\d+(\.\d+)?)%|x(?P<times>\d+(\.\d+)?)", re.ASCII)
FACTOR_ACCEPTED = "a change such as -20%, +10% or x1.5"


def what_if_command(
    book: Annotated[Path, typer.Option(help="Accounts: CSV, Parquet, Arrow, or JSON of ccxt or Deribit.")],
    market: Annotated[Path, typer.Option(help="Prices: CSV, Parquet, Arrow, or JSON with surfaces.")],
    policy: Annotated[str, typer.Option(help="Name or TOML file; see `solvent policies`.")] = "portfolio",
    shock: Annotated[
        str, typer.Option(help="Prices: BTC=-20%,ETH=x0.75; * for every other asset that is no US dollar.")
    ] = "",
    vol: Annotated[str, typer.Option(help="Every volatility: +10% or x1.5.")] = "",
    trade: Annotated[
        list[str] | None,
        typer.Option(help="ACCOUNT:INSTRUMENT:QUANTITY[@PRICE], at the mark without a price; may be repeated."),
    ] = None,
    deposit: Annotated[
        list[str] | None, typer.Option(help="ACCOUNT:ASSET:QUANTITY, below zero to withdraw; may be repeated.")
    ] = None,
    new_policy: Annotated[str, typer.Option(help="Policy after the change.")] = "",
    account: Annotated[list[str] | None, typer.Option(help="Explain this account; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """What would follow, and which accounts would change state: healthy, below initial, liquidatable, insolvent.

    Deposits and trades happen at the present market, then prices and volatilities move: all instruments of an
    asset together, options priced again with surfaces that keep their volatility at each moneyness.
    """
    from solvent.cli.shown import console, json_text
    from solvent.engine.files import read_book, read_market, read_policy
    from solvent.engine.what_if import Change, what_if

    prices = read_market(market)
    accounts = read_book(book, prices.universe, prices).book
    change = Change(
        factors=factors(shock),
        vol_factor=factor(vol, "--vol") if vol else 1.0,
        trades=tuple(trade_of(each, accounts.names) for each in trade or ()),
        deposits=tuple(deposit_of(each, accounts.names) for each in deposit or ()),
        policy=read_policy(new_policy) if new_policy else None,
    )
    found = what_if(accounts, prices, read_policy(policy), change)
    wanted = [accounts.index(name) for name in account or ()]
    if as_json:
        typer.echo(json_text(as_values(found, wanted)))
        return
    out = console()
    for part in parts(found, wanted):
        out.print(part)


def factors(text: str) -> dict[str, float]:
    """Price factors of `BTC=-20%,ETH=x0.75`. Raises SolventError with every part that is none."""
    found: dict[str, float] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        asset, equals, change = (each.strip() for each in part.partition("="))
        if not (asset and equals) or asset in found:
            raise SolventError(problem("--shock", None, "asset", part, f"ASSET=CHANGE once each: {FACTOR_ACCEPTED}"))
        found[asset] = factor(change, "--shock", asset)
    return found


def factor(text: str, option: str, field: str = "change") -> float:
    """The factor of a change: 0.8 of `-20%`, 1.5 of `x1.5`. Raises SolventError."""
    match = _FACTOR.fullmatch(text.strip())
    if match is None:
        raise SolventError(problem(option, None, field, text, FACTOR_ACCEPTED))
    if match["times"]:
        return float(match["times"])
    return (100.0 + float(match["sign"] + match["percent"])) / 100.0


def trade_of(text: str, accounts: Sequence[str]) -> "Trade":
    """`ACCOUNT:INSTRUMENT:QUANTITY[@PRICE]`. Raises SolventError."""
    from solvent.engine.what_if import Trade

    account, instrument, tail = _parts(text, accounts, "--trade", "ACCOUNT:INSTRUMENT:QUANTITY[@PRICE]")
    quantity, at, price = tail.partition("@")
    return Trade(account, instrument, quantity, price if at else None)


def deposit_of(text: str, accounts: Sequence[str]) -> "Deposit":
    """`ACCOUNT:ASSET:QUANTITY`. Raises SolventError."""
    from solvent.engine.what_if import Deposit

    return Deposit(*_parts(text, accounts, "--deposit", "ACCOUNT:ASSET:QUANTITY"))


def _parts(text: str, accounts: Sequence[str], option: str, accepted: str) -> tuple[str, str, str]:
    """Account, instrument and the rest; ids hold colons too, and so may names of accounts."""
    whole = max((name for name in accounts if text.startswith(f"{name}:")), key=len, default="")
    account, rest = (whole, text[len(whole) + 1 :]) if whole else text.partition(":")[::2]
    instrument, colon, quantity = rest.rpartition(":")
    if not (account and instrument and colon and quantity):
        raise SolventError(problem(option, None, option.strip("-"), text, accepted))
    return account, instrument, quantity


def parts(found: "WhatIf", wanted: Sequence[int]) -> list[Any]:
    """What the terminal shows: prices, states before and after, accounts, terms that moved most."""
    from rich.text import Text

    from solvent.cli.shown import terms_table
    from solvent.engine.term_rows import LEAST_USD

    shown: list[Any] = []
    prices = price_table(found)
    if prices.row_count:
        shown += [prices, Text()]
    shown += [totals_table(found), Text(), *transition_lines(found), Text()]
    changing, moving = found.changing().tolist(), found.moving().tolist()
    moved = wanted or list(dict.fromkeys([*changing, *moving]))
    if not moved:
        return [*shown, Text("Nothing changes for any account.", "dim")]
    shown.append(accounts_table(found, moved[:ACCOUNTS_SHOWN]))
    if len(moved) > ACCOUNTS_SHOWN:
        shown.append(Text(f"... and {len(moved) - ACCOUNTS_SHOWN:,} more accounts that move; --json has all", "dim"))
    for i in wanted or moved[:EXPLAINED]:
        title = f"{found.book.names[i]}: terms that move, USD"
        rows = [row for row in found.terms(i) if row.spread >= LEAST_USD]
        shown += [Text(), terms_table(title, ("before", "after"), rows, difference=True)]
    shown += refusal_lines(found)
    return shown


def price_table(found: "WhatIf") -> "Table":
    """Index price of each asset that moves."""
    from solvent.cli.shown import add_numbers, new_table, plain

    table = new_table("asset")
    add_numbers(table, "index before", "after", "change")
    pairs = zip(found.market.universe.assets, found.market.index_usd, found.market_after.index_usd, strict=True)
    for asset, before, after in pairs:
        if before != after:
            table.add_row(plain(asset), f"{before:,.6g}", f"{after:,.6g}", f"{after / before - 1:+.2%}")
    return table


def totals_table(found: "WhatIf") -> "Table":
    """States and sums of the whole book, before and after."""
    from solvent.cli.shown import STATE_STYLES, add_numbers, counted, new_table

    table = new_table(counted(len(found.book)))
    add_numbers(table, f"before, {found.before.label}", f"after, {found.after.label}", "change")
    old, new = found.before.counts(), found.after.counts()
    for name, style in STATE_STYLES.items():
        if old[name] or new[name]:
            table.add_row(name, f"{old[name]:,}", f"{new[name]:,}", _change(new[name] - old[name]), style=style)
    for name, (before, after) in sums(found).items():
        table.add_row(f"{name}, USD", f"{before:,.0f}", f"{after:,.0f}", _change(round(after - before)))
    return table


def _change(amount: int) -> str:
    return f"{amount:+,}" if amount else "-"


def sums(found: "WhatIf") -> dict[str, tuple[float, float]]:
    """Sums before and after over the accounts that both policies margin."""
    import numpy as np

    old, new = found.before.statement, found.after.statement
    both = ~(np.isnan(old.equity) | np.isnan(new.equity))

    def pair(name: str) -> tuple[float, float]:
        return float(getattr(old, name)[both].sum()), float(getattr(new, name)[both].sum())

    missing = [float(-np.minimum(each.equity[both], 0.0).sum()) for each in (old, new)]
    return {
        "equity": pair("equity"),
        "initial margin": pair("initial_margin"),
        "maintenance margin": pair("maintenance_margin"),
        "equity below zero": (missing[0] + 0.0, missing[1] + 0.0),
    }


def transition_lines(found: "WhatIf") -> list[Any]:
    """How many accounts go from one state to another."""
    from rich.text import Text

    from solvent.cli.shown import state

    moves = {pair: count for pair, count in found.transitions().items() if pair[0] != pair[1]}
    if not moves:
        return [Text("No account changes state.", "dim")]
    return [Text.assemble(f"{count:,} ", state(old), " -> ", state(new)) for (old, new), count in moves.items()]


def accounts_table(found: "WhatIf", accounts: Sequence[int]) -> "Table":
    """Two lines an account, before and after: state, equity, margins, health."""
    from rich.text import Text

    from solvent.cli.shown import add_numbers, new_table, plain, ratio, state, usd
    from solvent.engine.verdicts import ACCOUNT_STATES

    table = new_table("account", "", "state")
    add_numbers(table, "equity", "initial", "maintenance", "health")
    for i in accounts:
        name = found.book.names[i]
        for when, answer in (("before", found.before), ("after", found.after)):
            figures = answer.statement
            money = (figures.equity, figures.initial_margin, figures.maintenance_margin)
            table.add_row(
                plain(name if when == "before" else ""),
                Text(when, "dim"),
                state(ACCOUNT_STATES[answer.state[i]]),
                *(usd(float(each[i])) for each in money),
                ratio(float(figures.health[i])),
            )
    return table


def refusal_lines(found: "WhatIf") -> list[Any]:
    """Why accounts are refused, before or after."""
    from rich.text import Text

    from solvent.cli.shown import plain

    reasons: dict[str, list[int]] = {**found.before.reasons(), **found.after.reasons()}
    return [
        Text.assemble("\nrefused: ", plain(", ".join(found.book.names[i] for i in accounts[:5])),
                      " and more" * (len(accounts) > 5), ": ", (plain(reason).plain, "dim"))
        for reason, accounts in reasons.items()
    ]  # fmt: skip


def as_values(found: "WhatIf", wanted: Sequence[int]) -> dict[str, Any]:
    """Everything as JSON values: prices, states, every account that moves before and after, terms."""
    from solvent.cli.shown import terms_json

    names = found.book.names
    changing = found.changing().tolist()
    explained = wanted or changing[:EXPLAINED_JSON]
    pairs = zip(found.market.universe.assets, found.market.index_usd, found.market_after.index_usd, strict=True)
    return {
        "ts_ns": found.market.ts_ns,
        "policy": {"before": found.before.policy.label, "after": found.after.policy.label},
        "index_usd": {asset: {"before": float(old), "after": float(new)} for asset, old, new in pairs},
        "states": {"before": found.before.counts(), "after": found.after.counts()},
        "sums": {name: {"before": old, "after": new} for name, (old, new) in sums(found).items()},
        "transitions": [
            {"from": old, "to": new, "accounts": count} for (old, new), count in found.transitions().items()
        ],
        "changing": [names[i] for i in changing],
        "accounts": _account_values(found, found.moving().tolist()),
        "terms": {names[i]: terms_json(("before", "after"), found.terms(i)) for i in explained},
    }


def _account_values(found: "WhatIf", accounts: Sequence[int]) -> list[dict[str, Any]]:
    """Figures of accounts before and after."""
    from solvent.engine.verdicts import ACCOUNT_STATES

    values: list[dict[str, Any]] = [{"account": found.book.names[i]} for i in accounts]
    for when, answer in (("before", found.before), ("after", found.after)):
        columns = {name: getattr(answer.statement, name) for name in FIGURES}
        for row, i in zip(values, accounts, strict=True):
            row[when] = {"state": ACCOUNT_STATES[answer.state[i]]}
            row[when] |= {name: float(column[i]) for name, column in columns.items()}
            if i in answer.refusals:
                row[when]["refused_reason"] = answer.refusals[i].reason
    return values
