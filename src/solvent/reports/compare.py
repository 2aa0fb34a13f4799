"""The page of a comparison: the same accounts under several policies, in plots and tables."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from solvent.domain.policy import Policy
from solvent.engine.compare import Comparison
from solvent.engine.term_rows import TermRow, telling
from solvent.engine.verdicts import ACCOUNT_STATES, REFUSED
from solvent.reports.page import PALETTE, STATE_COLOURS, page, plot, prose, section, table, terms, tiles

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

F64 = NDArray[np.float64]

BARS_MOST = 24
POINTS_MOST = 4_000
"""Points of one policy in a scatter; of more accounts every n-th is drawn."""
ROWS_MOST = 200
EXPLAINED = 6
TERMS_SHOWN = 14
HEALTH_RANGE = (-0.5, 5.0)
EQUITY_SHOWN = 2.5
"""Equity stands in the picture of a margin only up to this multiple of it: beyond, the margin would be a speck."""
CENT = 0.005
TOTALS = {"equity": "equity", "initial_margin": "initial margin", "maintenance_margin": "maintenance margin"}
MEANINGS = {
    "equity": "Net value at the marks, without haircuts. Some rules count stablecoins at par or value balances their "
    "own way, so that it may differ a little between policies.",
    "initial margin": "What an account must hold to take on risk or withdraw.",
    "maintenance margin": "What it must hold to be left alone.",
    "health": "Equity over maintenance margin; below 1 the rule liquidates.",
    "healthy": "Equity at or above the initial margin.",
    "below initial": "Below the initial margin: no new risk, no withdrawal; not yet liquidated.",
    "liquidatable": "The rule's own inequality holds: it would liquidate.",
    "insolvent": "Equity below zero: whatever is done, something is missing.",
    "refused": "The rule cannot margin something that the account holds; the reasons stand below.",
}


def comparison_page(comparison: Comparison, accounts: Sequence[int] = ()) -> str:
    """The comparison as one HTML page.

    accounts: to be explained; by default those that change state, else those whose margins are furthest apart.
    """
    time = datetime.fromtimestamp(comparison.market.ts_ns / 1e9, UTC)
    names = ", ".join(comparison.labels)
    explained = list(accounts) or comparison.changing()[:EXPLAINED].tolist() or comparison.notable(2)
    sections = [
        tiles(_headline(comparison)),
        section("Policies", _policies(comparison), plot(state_figure(comparison), "states", _bar_height(comparison))),
        section(
            "Margin by policy",
            prose("Maintenance margin of each account under each policy; the mark is its equity under the first that "
                  "margins it. Where a bar stands above the mark, that policy liquidates.", "note"),
            plot(margin_figure(comparison), "margins", 460),
            prose("Initial margin under the first policy against the others: below the diagonal the other is "
                  "cheaper for the account.", "note"),
            plot(scatter_figure(comparison), "scatter", 520),
        ),
        section(
            "Health",
            prose("Share of accounts with a health below each value; at 1 a rule liquidates.", "note"),
            plot(health_figure(comparison), "health"),
        ),
        section("Accounts that change state", *_changing(comparison)),
        *([section("Terms that make the difference", *_explained(comparison, explained))] if explained else []),
        *([section("Toxic LTV", *toxic)] if (toxic := _toxic(comparison)) else []),
        *([section("Refused", _refused(comparison))] if any(each.refusals for each in comparison.answers) else []),
        section("What the words mean", terms(MEANINGS)),
        section("Where the policies come from",
                terms({each.label: _origin(each.policy) for each in comparison.answers})),
    ]  # fmt: skip
    lead = f"{len(comparison.book):,} accounts at the market of {time:%Y-%m-%d %H:%M} UTC under {names}."
    return page("One book, several rules", lead, sections)


def margin_figure(comparison: Comparison) -> "Figure":
    """Maintenance margin of each account as grouped bars, a colour a policy, with its equity."""
    import plotly.graph_objects as go

    which = _widest(comparison)
    labels = _texts(comparison, which)
    figure = go.Figure()
    for answer in comparison.answers:
        margin = answer.statement.maintenance_margin[which]
        if not np.isfinite(margin).any():
            continue
        figure.add_bar(name=escape(answer.label), x=labels, y=_plain(margin), hovertemplate="%{y:,.2f} USD")
    equity = _plain(_first_equity(comparison)[which])
    mark = {"symbol": "line-ew", "size": 22, "line": {"width": 3, "color": "#7b828c"}}
    figure.add_scatter(name="equity", x=labels, y=equity, mode="markers", marker=mark, hovertemplate="%{y:,.2f} USD")
    figure.update_layout(barmode="group", hovermode="x unified")
    figure.update_yaxes(type="log", dtick="D2", title="USD, logarithmic")
    return figure


def scatter_figure(comparison: Comparison) -> "Figure":
    """Initial margin under the first policy against every other, logarithmic, with the diagonal."""
    import plotly.graph_objects as go

    first = comparison.answers[0]
    figure = go.Figure()
    seen: list[float] = []
    for place, answer in enumerate(comparison.answers[1:], 1):
        x, y = first.statement.initial_margin, answer.statement.initial_margin
        which = np.flatnonzero((x > 0) & (y > 0))
        which = which[:: 1 + len(which) // POINTS_MOST]
        seen += [*x[which].tolist(), *y[which].tolist()]
        figure.add_scatter(
            name=escape(answer.label),
            x=x[which].tolist(),
            y=y[which].tolist(),
            text=_texts(comparison, which),
            mode="markers",
            marker={"size": 9 if len(which) < 200 else 5, "opacity": 0.8, "color": PALETTE[place % len(PALETTE)]},
            hovertemplate="%{text}<br>%{x:,.2f} against %{y:,.2f} USD",
        )
    ends = [min(seen, default=1.0) * 0.7, max(seen, default=1.0) * 1.4]
    line = {"dash": "dot", "width": 1.5, "color": "#7b828c"}
    figure.add_scatter(name="equal", x=ends, y=ends, mode="lines", line=line, hoverinfo="skip")
    figure.update_xaxes(type="log", dtick="D2", title=f"initial margin under {escape(first.label)}, USD")
    figure.update_yaxes(type="log", dtick="D2", title="initial margin under the other policy, USD")
    return figure


def health_figure(comparison: Comparison) -> "Figure":
    """Share of the accounts that a policy margins with a health below x."""
    import plotly.graph_objects as go

    figure = go.Figure()
    at = np.linspace(*HEALTH_RANGE, 441)
    for answer in comparison.answers:
        health = np.sort(answer.statement.health[answer.state != REFUSED])
        if len(health):
            share = np.searchsorted(health, at, side="left") / len(health)
            figure.add_scatter(name=escape(answer.label), x=at.round(4).tolist(), y=share.round(6).tolist(),
                               mode="lines", line={"shape": "hv", "width": 2}, hovertemplate="%{y:.1%} below %{x:.2f}",
                               )  # fmt: skip
    figure.add_vline(x=1.0, line={"color": STATE_COLOURS["liquidatable"], "dash": "dot", "width": 1.5})
    figure.update_xaxes(title="health = equity / maintenance margin")
    figure.update_yaxes(title="share of accounts", tickformat=".0%", rangemode="tozero")
    return figure


def state_figure(comparison: Comparison) -> "Figure":
    """How many accounts are in each state, a bar a policy."""
    import plotly.graph_objects as go

    labels = [escape(each) for each in comparison.labels]
    figure = go.Figure()
    for name, colour in STATE_COLOURS.items():
        counts = [each.counts()[name] for each in comparison.answers]
        if any(counts):
            figure.add_bar(name=name, y=labels, x=counts, orientation="h", marker={"color": colour},
                           hovertemplate=f"%{{x:,}} {name}<extra></extra>")  # fmt: skip
    figure.update_layout(barmode="stack", xaxis_title="accounts")
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure


def make_up_figure(comparison: Comparison, account: int) -> "Figure":
    """What one account's maintenance margin is made of under each policy, by each rule's own terms."""
    import plotly.graph_objects as go

    sums: dict[str, dict[str, float]] = {}
    answering = [each for each in comparison.answers if account not in each.refusals]
    for answer in answering:
        explanation = answer.explain(comparison.book, account)
        for term in explanation.terms if explanation else ():
            if term.total == "maintenance_margin":
                row = sums.setdefault(term.name, {})
                row[answer.label] = row.get(answer.label, 0.0) + float(term.amount)
    figure = go.Figure()
    labels = [escape(each.label) for each in answering]
    for name, row in sums.items():
        amounts = [row.get(each.label) for each in answering]
        if any(abs(amount or 0) >= CENT for amount in amounts):
            figure.add_bar(name=escape(name), y=labels, x=amounts, orientation="h", hovertemplate="%{x:,.2f} USD")
    equity = _first_equity(comparison)[account]
    highest = max((float(each.statement.maintenance_margin[account]) for each in answering), default=0.0)
    if 0 < equity < EQUITY_SHOWN * highest:
        figure.add_vline(x=float(equity), line={"dash": "dot", "width": 1.5, "color": STATE_COLOURS["liquidatable"]},
                         annotation_text="equity", annotation_position="bottom right")  # fmt: skip
    figure.update_layout(barmode="relative", xaxis_title="maintenance margin, USD")
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure


def _headline(comparison: Comparison) -> dict[str, str]:
    flipped = {i for flip in comparison.flips() for i in flip.accounts.tolist()}
    gap = comparison.margin_gap()
    refused = (comparison.states() == REFUSED).any(axis=0)
    return {
        "accounts": f"{len(comparison.book):,}",
        "policies": f"{len(comparison.answers)}",
        "in another state under another policy": f"{len(comparison.changing()):,}",
        "liquidated under one, not under another": f"{len(flipped):,}",
        "refused by at least one rule": f"{int(refused.sum()):,}",
        "widest gap of maintenance margin, USD": f"{gap.max(initial=0.0):,.0f}",
    }


def _policies(comparison: Comparison) -> str:
    common = comparison.common()
    rows = [
        [
            each.label,
            each.policy.rule,
            each.policy.as_of,
            *(f"{count:,}" for count in each.counts().values()),
            _usd(float(each.statement.initial_margin[common].sum())),
            _usd(float(each.statement.maintenance_margin[common].sum())),
        ]
        for each in comparison.answers
    ]
    head = ["policy", "rule", "as of", *ACCOUNT_STATES, "initial margin", "maintenance margin"]
    note = f"Margins are sums in USD over the {int(common.sum()):,} accounts that all margin."
    return prose(note, "note") + table(head, rows, right=range(3, len(head)))


def _origin(policy: Policy) -> str:
    notes = f" {policy.notes}" if policy.notes else ""
    return f"{policy.label}, as of {policy.as_of}: {policy.source}.{notes}"


def _changing(comparison: Comparison) -> list[str]:
    which = comparison.changing()
    if not len(which):
        return [prose("None: every policy that margins an account puts it in the same state.")]
    rows = []
    for i in which[:ROWS_MOST].tolist():
        row: list[str] = [comparison.book.names[i]]
        for answer in comparison.answers:
            row += [ACCOUNT_STATES[answer.state[i]], _ratio(float(answer.statement.health[i]))]
        rows.append(row)
    head = ["account"]
    for label in comparison.labels:
        head += [label, "health"]
    more = [prose(f"... and {len(which) - ROWS_MOST:,} more.", "note")] if len(which) > ROWS_MOST else []
    return [table(head, rows, right=range(2, len(head), 2)), *more]


def _explained(comparison: Comparison, accounts: Sequence[int]) -> list[str]:
    parts = []
    for i in accounts:
        figure = make_up_figure(comparison, i)
        parts.append(f"<h3>{escape(comparison.book.names[i])}</h3>")
        if figure.data:
            parts.append(plot(figure, f"account-{i}", _bar_height(comparison)))
        parts.append(_terms(comparison, telling(comparison.terms(i))))
    return parts


def _terms(comparison: Comparison, rows: Sequence[TermRow]) -> str:
    shown = []
    there = [i for i in range(len(comparison.answers)) if any(row.amounts[i] is not None for row in rows)]
    for total, name in TOTALS.items():
        mine = [row for row in rows if row.total == total]
        shown += [
            [name if place == 0 else "", row.name, row.instrument, *(_amount(row.amounts[i]) for i in there)]
            for place, row in enumerate(mine[:TERMS_SHOWN])
        ]
    head = ["total", "term", "of", *(comparison.labels[i] for i in there)]
    return table(head, shown, right=range(3, len(head))) if shown else prose("No term differs.", "note")


def _toxic(comparison: Comparison) -> list[str]:
    """LTVs of the lending policies, if there are any, by collateral of the market."""
    rows = [
        [answer.label, id, f"{ltv:.2%}"]
        for answer in comparison.answers
        for id, ltv in answer.toxic_ltvs().items()
        if id.partition("/")[0] in comparison.market.universe
    ]
    text = "Above this loan-to-value every liquidation raises it: the bonus takes more of the collateral than it pays."
    return [prose(text, "note"), table(["policy", "collateral", "LTV"], rows, right=[2])] if rows else []


def _refused(comparison: Comparison) -> str:
    rows = []
    for answer in comparison.answers:
        for reason, accounts in answer.reasons().items():
            who = ", ".join(comparison.book.names[i] for i in accounts[:8])
            rows.append([answer.label, f"{len(accounts):,}", who + (" ..." if len(accounts) > 8 else ""), reason])
    return table(["policy", "accounts", "such as", "why"], rows, right=[1])


def _widest(comparison: Comparison) -> NDArray[np.int64]:
    """All accounts of a small book, else those with the widest gap of maintenance margin."""
    if len(comparison.book) <= BARS_MOST:
        return np.arange(len(comparison.book))
    return np.argsort(-comparison.margin_gap(), kind="stable")[:BARS_MOST]


def _first_equity(comparison: Comparison) -> F64:
    """(A,) equity under the first policy that margins each account."""
    found = np.full(len(comparison.book), np.nan)
    for answer in comparison.answers:
        found = np.where(np.isnan(found), answer.statement.equity, found)
    return found


def _texts(comparison: Comparison, which: NDArray[np.int64]) -> list[str]:
    return [escape(comparison.book.names[i]) for i in which.tolist()]


def _plain(values: F64) -> list[float | None]:
    return [float(x) if np.isfinite(x) else None for x in values]


def _bar_height(comparison: Comparison) -> int:
    return 170 + 38 * len(comparison.answers)


def _usd(amount: float) -> str:
    return "-" if np.isnan(amount) else f"{amount:,.2f}"


def _amount(amount: Decimal | None) -> str:
    return "-" if amount is None else f"{amount:,.2f}"


def _ratio(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:,.2f}"
