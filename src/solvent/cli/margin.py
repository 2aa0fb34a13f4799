"""`solvent margin`: margin a book once, beside the venue's own figures, and explain an account."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.table import Table

    from solvent.domain.book import Book
    from solvent.engine.verdicts import Verdicts
    from solvent.margin.statement import Explanation

ACCOUNTS_SHOWN = 40
"""Of a larger book only that many accounts stand in the table: those of the lowest health first."""
MARGINS = ("equity", "initial_margin", "maintenance_margin")

Reported = Mapping[str, Mapping[str, Any]]
"""What the venue says, by account: `MARGINS` in USD, None where it gives no figure."""


def margin_command(
    book: Annotated[Path, typer.Option(help="Accounts: CSV, Parquet, Arrow, or JSON of ccxt or Deribit.")],
    market: Annotated[Path, typer.Option(help="Prices: CSV, Parquet, Arrow, or JSON with surfaces.")],
    policy: Annotated[str, typer.Option(help="A ready-made policy by name, or a TOML file.")] = "portfolio",
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
    explain: Annotated[list[str] | None, typer.Option(help="Every term of this account; may be repeated.")] = None,
) -> None:
    """Margin every account of a book once.

    Shows equity, initial and maintenance margin, health and the worst scenario of each account. Where the book
    is a venue's own answer, the margins that it reports stand beside ours, with the difference.
    """
    from solvent.cli.shown import console, json_text
    from solvent.engine.files import read_book, read_market, read_policy
    from solvent.engine.verdicts import verdicts

    prices = read_market(market)
    file = read_book(book, prices.universe, prices)
    wanted = [file.book.index(name) for name in explain or ()]
    answer = verdicts(file.book, prices, read_policy(policy))
    reported = {} if file.reported is None else {row["account"]: row for row in file.reported.to_dicts()}
    if as_json:
        typer.echo(json_text(as_values(answer, file.book, wanted, reported, prices.ts_ns)))
        return
    for part in parts(answer, file.book, wanted, reported, prices.ts_ns):
        console().print(part)


def parts(answer: "Verdicts", book: "Book", wanted: Sequence[int], reported: Reported, ts_ns: int) -> list[Any]:
    """What the terminal shows: the accounts, or the terms of those that are to be explained."""
    from rich.text import Text

    from solvent.cli.shown import plain

    shown = list(wanted) or listed(answer)
    found: list[Any] = [heading(answer, book, ts_ns), Text(), accounts_table(answer, book, shown, reported)]
    rest = len(book) - len(shown)
    if rest and not wanted:
        found.append(Text(f"... and {rest:,} more accounts of higher health; --json has all", "dim"))
    found += refusal_lines(answer, book)
    for account in wanted:
        explanation = answer.explain(book, account)
        if explanation is not None:
            found += [Text(), terms_table(explanation)]
    margined = [i for i in shown if i not in answer.refusals]
    if margined and not wanted:
        found += [Text(), Text(f"--explain {plain(book.names[margined[0]])} shows every term of it", "dim")]
    return found


def heading(answer: "Verdicts", book: "Book", ts_ns: int) -> Any:
    """The policy with its date and source, the time of the market, how many accounts are in each state."""
    from rich.text import Text

    from solvent.cli.shown import STATE_STYLES, plain

    policy = answer.policy
    found = Text.assemble(
        (plain(policy.label).plain, "bold"), f"  rule {policy.rule}, as of {policy.as_of}",
        f"\nmarket of {_time(ts_ns)}; {len(book):,} {'account' if len(book) == 1 else 'accounts'}: ",
    )  # fmt: skip
    counts = [(name, count) for name, count in answer.counts().items() if count]
    for place, (name, count) in enumerate(counts):
        found.append(", " if place else "")
        found.append(f"{count:,} {name}", STATE_STYLES.get(name, ""))
    return found


def _time(ts_ns: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ts_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def listed(answer: "Verdicts") -> list[int]:
    """Accounts of the table: all of a small book in its order, else those of the lowest health."""
    import numpy as np

    size = len(answer.state)
    if size <= ACCOUNTS_SHOWN:
        return list(range(size))
    health = np.nan_to_num(answer.statement.health, nan=np.inf, posinf=np.inf, neginf=-np.inf)
    shortfall = np.where(answer.statement.equity < 0, answer.statement.equity, 0.0)
    found: list[int] = np.lexsort((np.arange(size), health, shortfall))[:ACCOUNTS_SHOWN].tolist()
    return found


def accounts_table(answer: "Verdicts", book: "Book", accounts: Sequence[int], reported: Reported) -> "Table":
    """A line an account; under it what the venue reports and the difference, where it does."""
    from rich.table import Table

    from solvent.cli.shown import plain, ratio, state, usd
    from solvent.engine.verdicts import ACCOUNT_STATES

    figures = answer.statement
    columns = [getattr(figures, name) for name in MARGINS]
    own_ratio = figures.venue_ratio is not None
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("account")
    for name in ("equity", "initial", "maintenance", "health", *([figures.ratio_name] if own_ratio else [])):
        table.add_column(plain(name), justify="right")
    table.add_column("state")
    table.add_column("worst scenario")
    for i in accounts:
        money = [float(column[i]) for column in columns]
        ratios = [ratio(float(each[i])) for each in (figures.health, figures.venue_ratio) if each is not None]
        worst = int(figures.worst_scenario[i])
        scenario = plain(figures.scenarios[worst] if worst >= 0 else "")
        name = book.names[i]
        table.add_row(plain(name), *map(usd, money), *ratios, state(ACCOUNT_STATES[answer.state[i]]), scenario)
        if name in reported:
            venue = [reported[name][each] for each in MARGINS]
            apart = [None if x is None else mine - x for mine, x in zip(money, venue, strict=True)]
            table.add_row("  the venue says", *map(usd, venue), style="cyan")
            table.add_row("  ours less theirs", *(_signed(x) for x in apart), style="dim")
    return table


def _signed(x: float | None) -> str:
    from solvent.cli.shown import usd

    text = usd(x)
    return f"+{text}" if x is not None and x > 0 and text != "0.00" else text


def refusal_lines(answer: "Verdicts", book: "Book") -> list[Any]:
    """Every reason for which the rule refuses accounts, once, with the accounts."""
    from rich.text import Text

    from solvent.cli.shown import plain

    found = []
    for reason, accounts in answer.reasons().items():
        who = ", ".join(book.names[i] for i in accounts[:5])
        more = f" and {len(accounts) - 5:,} more" if len(accounts) > 5 else ""
        found.append(Text.assemble(("refused ", "bold"), plain(who), more, ": ", plain(reason)))
    return found


def terms_table(explanation: "Explanation") -> "Table":
    """Every term of an account by its total; amounts to as many digits as it takes to add up."""
    from rich.table import Table

    from solvent.cli.shown import TOTAL_NAMES, plain

    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left", title_style="bold",
                  title=plain(f"{explanation.account}: every term, USD"))  # fmt: skip
    for name in ("", "term", "of"):
        table.add_column(name)
    table.add_column("USD", justify="right")
    table.add_column("", style="dim")
    for total, name in TOTAL_NAMES.items():
        if table.row_count:
            table.add_row()
        terms = [term for term in explanation.terms if term.total == total]
        digits = max((_digits(term.amount) for term in terms), default=2)
        for term in terms:
            amount = f"{term.amount:,.{digits}f}"
            table.add_row("", plain(term.name), plain(term.instrument), amount, plain(term.detail))
        table.add_row(name, "", "", f"{explanation.totals[total]:,.{digits}f}", style="bold")
    return table


def _digits(amount: "Decimal") -> int:
    """Decimals without trailing zeros, at least cents."""
    digits = format(amount, "f").partition(".")[2].rstrip("0")
    return max(2, len(digits))


def as_values(
    answer: "Verdicts", book: "Book", wanted: Sequence[int], reported: Reported, ts_ns: int
) -> dict[str, Any]:
    """Everything as JSON values: the policy, every account, and the terms of those that are to be explained."""
    from solvent.engine.verdicts import ACCOUNT_STATES, REFUSED

    policy = answer.policy
    accounts = []
    for i, row in enumerate(answer.statement.to_frame().to_dicts()):
        row["state"] = ACCOUNT_STATES[answer.state[i]]
        if answer.state[i] == REFUSED:
            row["liquidatable"], row["refused"] = None, answer.refusals[i].reason
        if row["account"] in reported:
            row["reported"] = {name: reported[row["account"]][name] for name in MARGINS}
        accounts.append(row)
    explained = {book.names[i]: answer.explain(book, i) for i in wanted}
    return {
        "ts_ns": ts_ns,
        "policy": {
            "name": policy.name, "version": policy.version, "rule": policy.rule, "as_of": policy.as_of,
            "source": policy.source, "digest": policy.digest().hex(),
        },
        "ratio_name": answer.statement.ratio_name,
        "states": answer.counts(),
        "accounts": accounts,
        "explanations": {name: None if each is None else _explained(each) for name, each in explained.items()},
    }  # fmt: skip


def _explained(explanation: "Explanation") -> dict[str, Any]:
    """Totals and terms; amounts as exact text."""
    return {
        "totals": {name: format(amount, "f") for name, amount in explanation.totals.items()},
        "terms": explanation.to_frame().to_dicts(),
    }
