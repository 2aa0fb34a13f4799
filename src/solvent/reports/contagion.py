"""Pages of contagion: the heat map of a book's cascades, and what a shock does to a network of debts."""

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from solvent.reports.figures import short_usd
from solvent.reports.page import PALETTE, page, plot, prose, section, table, terms, tiles

if TYPE_CHECKING:
    import polars as pl

    from solvent.lab.exposures import Outcome

SHOWN = 40
RUNAWAY = 1.0
HEAT = [[0.0, "#f3f1e4"], [0.25, "#e9d08a"], [0.5, "#d9602b"], [1.0, "#6d1238"]]
"""R from 0 to 2; the middle is where each liquidation sets off another."""
CASCADE_MEANINGS = {
    "q": "USD of the asset that its accounts must close per unit return at a price.",
    "kappa": "Return that selling one USD costs, from the square-root law at a hundredth of a day's volume.",
    "branching ratio R": "kappa q: what a unit of return sets off in further return. From 1 on it runs away.",
    "distance": "The nearest move at which R reaches 1.",
    "amplification": "Where a first move ends over the first move, liquidations and their impact followed to the end.",
    "liquidity left": "Part of the usual depth: in a crash most of it is withdrawn.",
}
CONTAGION_MEANINGS = {
    "paid": "Part of all that an institution owes that it can pay when everyone settles at once (Eisenberg-Noe).",
    "DebtRank": "Relative loss of equity once all claims are marked down with the equity of their debtors.",
    "spectral radius": "Of the leverage matrix: from 1 on, a small loss grows by itself until somebody fails.",
}


def cascade_page(frame: "pl.DataFrame", heat: "pl.DataFrame", totals: "pl.DataFrame", label: str) -> str:
    """A whole HTML document out of the frames of `solvent.lab.cascade`."""
    pairs = list(dict.fromkeys(zip(frame["asset"].to_list(), frame["direction"].to_list(), strict=True)))
    held = [pair for pair in pairs if float(_of(frame, *pair)["liquidated_usd"].sum()) > 0]
    parts = [tiles(_cascade_headline(frame, totals))]
    if not held:
        parts.append(prose("No price within reach liquidates anybody."))
    for place, (asset, direction) in enumerate(held):
        name = f"{asset} {'falling' if direction == 'down' else 'rising'}"
        density = plot(density_figure(_of(frame, asset, direction)), f"density-{place}", 300)
        parts.append(section(name, density, plot(heat_figure(_of(heat, asset, direction)), f"heat-{place}", 320)))
    columns = ("asset", "first move", "ends at", "amplification", "liquidated, USD", "R reaches 1 at")
    parts += [
        section(
            "Where first moves end", table(columns, map(_total_row, totals.iter_rows(named=True)), (1, 2, 3, 4, 5))
        ),
        section("What the words mean", terms(CASCADE_MEANINGS)),
    ]
    return page("Liquidation cascades", label, parts, "Made by Solvent; a model, not a forecast.")


def _of(frame: "pl.DataFrame", asset: str, direction: str) -> "pl.DataFrame":
    return frame.filter((frame["asset"] == asset) & (frame["direction"] == direction))


def _cascade_headline(frame: "pl.DataFrame", totals: "pl.DataFrame") -> dict[str, str]:
    away = [abs(each) for each in totals["distance"].to_list() if each is not None]
    most = max(totals["branching_most"].to_list(), default=0.0)
    return {
        "largest branching ratio": f"{most:,.3g}",
        "nearest runaway": f"{min(away):.1%} away" if away else "none",
        "liquidated on the way down, USD": short_usd(
            float(frame.filter(frame["direction"] == "down")["liquidated_usd"].sum())
        ),
    }


def _total_row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["asset"],
        f"{row['shock']:+.0%}",
        "runs away" if row["total"] is None else f"{row['total']:+.1%}",
        "-" if row["amplification"] is None else f"{row['amplification']:,.2f}",
        short_usd(row["liquidated_usd"]),
        "-" if row["distance"] is None else f"{row['distance']:+.1%}",
    )


def density_figure(frame: "pl.DataFrame") -> Any:
    """q(P) of one asset and side, as bars over the move."""
    import plotly.graph_objects as go

    figure = go.Figure(
        go.Bar(
            x=frame["move"].to_list(), y=frame["liquidated_usd"].to_list(), marker_color=PALETTE[1],
            customdata=frame.select("accounts", "branching").rows(), marker_line_width=0,
            hovertemplate="%{x:+.1%}: %{y:$,.0f}, %{customdata[0]} accounts, R %{customdata[1]:.3g}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title_text="move of the price", tickformat="+.0%")
    figure.update_yaxes(title_text="liquidated, USD")
    return figure


def heat_figure(heat: "pl.DataFrame") -> Any:
    """R over moves and liquidity left, of one asset and side."""
    import plotly.graph_objects as go

    levels = list(dict.fromkeys(heat["liquidity"].to_list()))
    moves = heat.filter(heat["liquidity"] == levels[0])["move"].to_list()
    rows = [heat.filter(heat["liquidity"] == level)["branching"].to_list() for level in levels]
    figure = go.Figure(
        go.Heatmap(
            x=moves, y=[f"{level:.0%}" for level in levels], z=rows, zmin=0, zmax=2 * RUNAWAY, colorscale=HEAT,
            colorbar={"title": "R", "thickness": 12},
            hovertemplate="%{x:+.1%}, %{y} of the liquidity: R %{z:.3g}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title_text="move of the price", tickformat="+.0%")
    figure.update_yaxes(title_text="liquidity left", type="category", autorange="reversed")
    return figure


def contagion_page(found: "Outcome", fragile: "pl.DataFrame | None", label: str) -> str:
    """A whole HTML document: who pays, who defaults, whose failure does the most harm."""
    frame = found.frame
    owed, paid = float(frame["obligations_usd"].sum()), float(frame["payment_usd"].sum())
    headline = {
        "institutions": f"{len(frame):,}",
        "defaults": f"{int(frame['defaulted'].sum()):,}",
        "paid of all that is owed": f"{paid / owed:.1%}" if owed else "-",
        "spectral radius": f"{found.spectral_radius:,.3f}",
    }
    parts = [tiles(headline)]
    if found.spectral_radius >= 1:
        parts.append(
            prose("Alarm: the spectral radius is at least 1, so that small losses grow by themselves.", "warn")
        )
    worst = frame.sort("debtrank", "obligations_usd", descending=True).head(SHOWN)
    columns = ("institution", "owes, USD", "equity, USD", "paid", "defaults", "equity after, USD", "DebtRank")
    rows = [
        (
            row["institution"], short_usd(row["obligations_usd"]), signed_usd(row["equity_usd"]), f"{row['paid']:.1%}",
            "yes" if row["defaulted"] else "", short_usd(row["equity_after_usd"]), f"{row['debtrank']:.1%}",
        )
        for row in worst.iter_rows(named=True)
    ]  # fmt: skip
    parts += [
        section("After the shock", plot(loss_figure(worst), "losses", 380), table(columns, rows, (1, 2, 3, 5, 6))),
    ]
    if fragile is not None and len(fragile):
        heads = ("institution", "owes, USD", "further defaults", "unpaid, USD", "others' equity lost")
        fails = [
            (a, short_usd(b), f"{c:,}", short_usd(d), f"{e:.1%}") for a, b, c, d, e in fragile.head(SHOWN).iter_rows()
        ]
        parts.append(section("Each failing alone", table(heads, fails, (1, 2, 3, 4))))
    parts.append(section("What the words mean", terms(CONTAGION_MEANINGS)))
    return page("Contagion", label, parts, "Made by Solvent; a model, not a forecast.")


def signed_usd(amount: float) -> str:
    """`short_usd` that keeps the sign."""
    return ("-" if amount < 0 else "") + short_usd(math.fabs(amount))


def loss_figure(frame: "pl.DataFrame") -> Any:
    """DebtRank and the unpaid part by institution."""
    import plotly.graph_objects as go

    names: Sequence[str] = [escape(each) for each in frame["institution"].to_list()]
    figure = go.Figure(
        [
            go.Bar(x=names, y=frame["debtrank"].to_list(), name="equity lost (DebtRank)", marker_color=PALETTE[1]),
            go.Bar(x=names, y=(1 - frame["paid"]).to_list(), name="debts unpaid", marker_color=PALETTE[3]),
        ]
    )
    figure.update_layout(barmode="group", bargap=0.25)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure
