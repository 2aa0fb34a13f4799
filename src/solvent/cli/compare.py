"""`solvent compare`: the same accounts under several policies, side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from solvent.engine.compare import Comparison

ACCOUNTS_SHOWN = 40
"""Of a larger book only that many accounts stand in the table: those on which the policies disagree first."""
WIDE = 110
"""Terminal columns from which there is room for rules, dates and leverage."""
EXPLAINED = 3
EXPLAINED_JSON = 20


def compare_command(
    book: Annotated[Path, typer.Option(help="Accounts: CSV, Parquet, Arrow, or JSON of ccxt or Deribit.")],
    market: Annotated[Path, typer.Option(help="Prices: CSV, Parquet, Arrow, or JSON with surfaces.")],
    policies: Annotated[
        str, typer.Option("--policies", "--rules", help="Names or TOML files, separated by commas; two or more.")
    ],
    account: Annotated[list[str] | None, typer.Option(help="Explain this account; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page with plots to this file.")] = None,
) -> None:
    """The same accounts under several rules, or several versions of one rule's parameters.

    Shows equity, margins and health under each; who would be liquidated under one and not under another; and
    the terms that make the difference, by each rule's own names. An account that a rule cannot margin is shown
    as refused, with the instruments and the rules that could. `solvent policies` lists the ready-made ones.
    """
    from solvent.cli.shown import console, json_text
    from solvent.engine.compare import compare
    from solvent.engine.files import read_book, read_market, read_policy, write_bytes

    prices = read_market(market)
    file = read_book(book, prices.universe, prices)
    comparison = compare(file.book, prices, [read_policy(each) for each in names(policies)])
    wanted = [file.book.index(name) for name in account or ()]
    reported = {} if file.reported is None else {row["account"]: row for row in file.reported.to_dicts()}
    if report is not None:
        from solvent.reports.compare import comparison_page

        write_bytes(report, comparison_page(comparison, wanted).encode())
    if as_json:
        typer.echo(json_text(as_values(comparison, wanted, reported)))
        return
    out = console()
    for part in parts(comparison, wanted, reported, out.width >= WIDE):
        out.print(part)
    if report is not None:
        typer.echo(f"\nwrote {report}")


def names(text: str) -> list[str]:
    """Names separated by commas."""
    return [each.strip() for each in text.split(",") if each.strip()]


def parts(
    comparison: "Comparison", wanted: Sequence[int], reported: Mapping[str, Mapping[str, Any]], wide: bool = True
) -> list[Any]:
    """What the terminal shows: policies, accounts, disagreements, refusals, terms."""
    from rich.text import Text

    from solvent.cli.shown import plain, terms_table
    from solvent.engine.term_rows import telling

    found: list[Any] = [policies_table(comparison, wide), Text()]
    shown = wanted or listed(comparison)
    found.append(accounts_table(comparison, shown, reported, wide))
    rest = len(comparison.book) - len(shown)
    if rest and not wanted:
        found.append(Text(f"... and {rest:,} more accounts; --json and to_frame() have all", "dim"))
    found += [Text(), *flip_lines(comparison), *refusal_lines(comparison), *toxic_lines(comparison)]
    labels = comparison.labels
    same_rule = len(labels) == 2 and len({each.policy.rule for each in comparison.answers}) == 1
    changing = comparison.changing().tolist()
    for i in wanted or changing[:EXPLAINED] or comparison.notable(1):
        title = f"{comparison.book.names[i]}: terms that make the difference, USD"
        found += [Text(), terms_table(title, labels, telling(comparison.terms(i)), same_rule)]
    if not wanted and len(changing) > EXPLAINED:
        others = ", ".join(comparison.book.names[i] for i in changing[EXPLAINED : EXPLAINED + 5])
        found.append(plain(f"\n--account NAME explains others, such as {others}"))
    return found


def listed(comparison: "Comparison") -> list[int]:
    """Accounts of the table: all of a small book in its order, else where the policies disagree most."""
    if len(comparison.book) <= ACCOUNTS_SHOWN:
        return list(range(len(comparison.book)))
    return list(dict.fromkeys([*comparison.notable(ACCOUNTS_SHOWN), *range(ACCOUNTS_SHOWN)]))[:ACCOUNTS_SHOWN]


def policies_table(comparison: "Comparison", wide: bool) -> "Table":
    """A row a policy: how many accounts are in each state, and the margins of those that all policies margin."""
    from solvent.cli.shown import STATE_STYLES, add_numbers, counted, new_table, plain, usd

    common = comparison.common()
    title = f"{counted(len(comparison.book))}; margins in USD of the {int(common.sum()):,} that all margin"
    states = [name for name in STATE_STYLES if any(each.counts()[name] for each in comparison.answers)]
    table = new_table("policy", *(["rule", "as of"] if wide else []), title=title)
    for name in states:
        add_numbers(table, name.replace(" ", "\n"), style=STATE_STYLES[name])
    add_numbers(table, "initial\nmargin", "maintenance\nmargin")
    for answer in comparison.answers:
        policy, statement = answer.policy, answer.statement
        sums = [usd(float(each[common].sum())) for each in (statement.initial_margin, statement.maintenance_margin)]
        counts = [f"{answer.counts()[name]:,}" for name in states]
        origin = [plain(policy.rule), plain(policy.as_of)] if wide else []
        table.add_row(plain(answer.label), *origin, *counts, *sums)
    return table


def accounts_table(
    comparison: "Comparison", accounts: Sequence[int], reported: Mapping[str, Mapping[str, Any]], wide: bool
) -> "Table":
    """A line an account and policy, and one for what the venue reports."""
    from solvent.cli.shown import add_numbers, new_table, plain, ratio, state, usd
    from solvent.engine.verdicts import ACCOUNT_STATES

    table = new_table("account", "policy", "state")
    add_numbers(table, "equity", "initial", "maintenance", "health", *(["leverage"] if wide else []))
    for i in accounts:
        name = comparison.book.names[i]
        for place, answer in enumerate(comparison.answers):
            figures = answer.statement
            money = (figures.equity, figures.initial_margin, figures.maintenance_margin)
            ratios = (figures.health, figures.leverage) if wide else (figures.health,)
            table.add_row(
                plain("" if place else name),
                plain(answer.label),
                state(ACCOUNT_STATES[answer.state[i]]),
                *(usd(float(each[i])) for each in money),
                *(ratio(float(each[i])) for each in ratios),
            )
        if name in reported:
            row = reported[name]
            venue = [usd(row[each]) for each in ("equity", "initial_margin", "maintenance_margin")]
            table.add_row("", "the venue reports", "", *venue, style="cyan")
    return table


def flip_lines(comparison: "Comparison") -> list[Any]:
    """Who would be liquidated under one policy and not under another, a line a pair."""
    from rich.text import Text

    from solvent.cli.shown import plain

    lines = []
    for flip in comparison.flips():
        accounts = [comparison.book.names[i] for i in flip.accounts[:8].tolist()]
        more = f" and {len(flip.accounts) - 8:,} more" if len(flip.accounts) > 8 else ""
        lines.append(
            Text.assemble(
                (f"{flip.liquidates}", "bold"), " liquidates, ", (f"{flip.spares}", "bold"),
                " does not: ", plain(", ".join(accounts)), more,
            )
        )  # fmt: skip
    return lines or [Text("No account would be liquidated under one policy and not under another.", "dim")]


def refusal_lines(comparison: "Comparison") -> list[Any]:
    """Every reason for which a rule refuses accounts, once, with the accounts."""
    from rich.text import Text

    from solvent.cli.shown import plain

    lines = []
    for answer in comparison.answers:
        for reason, accounts in answer.reasons().items():
            who = ", ".join(comparison.book.names[i] for i in accounts[:5])
            more = f" and {len(accounts) - 5:,} more" if len(accounts) > 5 else ""
            lines.append(
                Text.assemble((answer.label, "bold"), " refuses ", plain(who), more, ": ", (plain(reason).plain, "dim"))
            )
    return lines


def toxic_lines(comparison: "Comparison") -> list[Any]:
    """For lending policies the LTV above which every liquidation makes things worse."""
    from rich.text import Text

    from solvent.cli.shown import plain

    lines = []
    for answer in comparison.answers:
        held = {
            id: ltv for id, ltv in answer.toxic_ltvs().items() if id.partition("/")[0] in comparison.market.universe
        }
        if held:
            ltvs = ", ".join(f"{id} {ltv:.2%}" for id, ltv in held.items())
            text = "above these LTVs every liquidation raises LTV"
            lines.append(Text.assemble((answer.label, "bold"), f", {text}: ", plain(ltvs)))
    return lines


def as_values(
    comparison: "Comparison", wanted: Sequence[int], reported: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Everything as JSON values: policies, every account under each, disagreements, and terms."""
    from solvent.cli.shown import terms_json

    book = comparison.book
    common = comparison.common()
    accounts: list[dict[str, Any]] = []
    for row in comparison.to_frame().to_dicts():
        account, label = row.pop("account"), row.pop("policy")
        if label == comparison.labels[0]:
            accounts.append({"account": account, "policies": {}})
            if account in reported:
                accounts[-1]["reported"] = {key: x for key, x in reported[account].items() if key != "account"}
        accounts[-1]["policies"][label] = row
    explained = wanted or comparison.notable(EXPLAINED_JSON)
    return {
        "ts_ns": comparison.market.ts_ns,
        "policies": [
            {
                "label": each.label,
                "name": each.policy.name,
                "version": each.policy.version,
                "rule": each.policy.rule,
                "as_of": each.policy.as_of,
                "source": each.policy.source,
                "digest": each.policy.digest().hex(),
                "accounts": each.counts(),
                "accounts_common": int(common.sum()),
                "initial_margin": float(each.statement.initial_margin[common].sum()),
                "maintenance_margin": float(each.statement.maintenance_margin[common].sum()),
                "toxic_ltv": each.toxic_ltvs(),
            }
            for each in comparison.answers
        ],
        "accounts": accounts,
        "changing": [book.names[i] for i in comparison.changing().tolist()],
        "flips": [
            {"liquidates": each.liquidates, "spares": each.spares, "accounts": [book.names[i] for i in each.accounts]}
            for each in comparison.flips()
        ],
        "terms": {book.names[i]: terms_json(comparison.labels, comparison.terms(i)) for i in explained},
    }
