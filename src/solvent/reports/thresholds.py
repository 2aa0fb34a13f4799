"""The page of liquidation thresholds: bad debt against threshold, what was chosen, and why not more."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from solvent.reports.page import PALETTE, page, plot, prose, section, table, terms, tiles

if TYPE_CHECKING:
    import polars as pl

    from solvent.lab.thresholds import Threshold

MEANINGS = {
    "liquidation threshold": "LTV above which a loan may be liquidated.",
    "loan to value": "The most that may be borrowed: the threshold less a cushion.",
    "cushion": "What the price falls in an hour once in a hundred hours of the stressed paths; at least 3 points.",
    "bad debt": "Debt beyond the collateral's worth at the end of the day, as a part of all borrows.",
    "toxic bound": "1 / (1 + bonus): above it each liquidation takes more in proportion than it repays.",
    "latency bound": "What is left after the price's move while keepers wait, and the impact of their sale.",
}


def thresholds_page(found: "Sequence[Threshold]", label: str) -> str:
    """A whole HTML document; it needs nothing else."""
    parts = []
    for place, each in enumerate(found):
        figures = {
            "liquidation threshold": f"{each.liquidation_threshold:.0%}",
            "loan to value": f"{each.loan_to_value:.1%}",
            "cushion": f"{each.cushion:.1%}",
            "toxic bound": f"{each.toxic_bound:.1%}",
            "latency bound": f"{each.latency_bound:.1%}",
        }
        reasons = [prose(f"Not higher: {reason}.", "note") for reason in each.reasons]
        curve = plot(curve_figure(each), f"curve-{place}", 420)
        parts.append(section(each.asset, tiles(figures), *reasons, curve, _rows(each.curve)))
    parts.append(section("What the words mean", terms(MEANINGS)))
    return page("Liquidation thresholds by simulation", label, parts, "Made by Solvent; a model, not a forecast.")


def _rows(curve: "pl.DataFrame") -> str:
    columns = ("threshold", "bad debt, mean", "95 % tail", "99 % tail", "99 % tail up to", "chance", "repaid, mean", "")
    shown = curve.gather_every(5)
    rows = [
        (
            f"{row['liquidation_threshold']:.0%}", f"{row['bad_debt_mean']:.4%}", f"{row['bad_debt_95']:.3%}",
            f"{row['bad_debt_99']:.3%}", f"{row['bad_debt_99_high']:.3%}", f"{row['bad_debt_chance']:.1%}",
            f"{row['repaid_mean']:.1%}", "passes" if row["passes"] else "fails",
        )
        for row in shown.iter_rows(named=True)
    ]  # fmt: skip
    return table(columns, rows, tuple(range(7)))


def curve_figure(found: "Threshold") -> Any:
    """Mean and tails of bad debt with their intervals, the limits, the choice."""
    import plotly.graph_objects as go

    curve = found.curve
    x = curve["liquidation_threshold"].to_list()
    figure = go.Figure()
    for name, words, colour, limit in (
        ("bad_debt_99", "99 % tail", "#a3204a", 0.01),
        ("bad_debt_95", "95 % tail", PALETTE[1], 0.001),
        ("bad_debt_mean", "mean", PALETTE[0], None),
    ):
        low, high = curve[f"{name}_low"].to_list(), curve[f"{name}_high"].to_list()
        figure.add_trace(
            go.Scatter(
                x=[*x, *x[::-1]], y=[*high, *low[::-1]], fill="toself", line={"width": 0}, hoverinfo="skip",
                fillcolor=colour, opacity=0.18, showlegend=False,
            )
        )  # fmt: skip
        figure.add_trace(
            go.Scatter(
                x=x, y=curve[name].to_list(), name=words, mode="lines", line={"color": colour, "width": 1.8},
                hovertemplate="%{x:.0%}: %{y:.3%}",
            )
        )  # fmt: skip
        if limit is not None:
            figure.add_hline(y=limit, line={"color": colour, "dash": "dot", "width": 1})
    for at, words in ((found.liquidation_threshold, "chosen"), (found.latency_bound, "latency bound")):
        if x[0] <= at <= x[-1]:
            figure.add_vline(x=at, line={"color": PALETTE[2], "width": 1.4}, annotation_text=words)
    figure.update_xaxes(title_text="liquidation threshold", tickformat=".0%")
    figure.update_yaxes(title_text="bad debt, part of borrows", tickformat=".1%", rangemode="tozero")
    return figure
