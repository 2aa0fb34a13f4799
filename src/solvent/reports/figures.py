"""What a run looks like, as plotly figures: pure functions of the frames of `engine.record` and of a sweep."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from solvent.engine.record import BANDS
from solvent.engine.summary import Summary
from solvent.reports.page import PALETTE

if TYPE_CHECKING:
    import polars as pl

BAND_COLOURS = ("#a3204a", "#d9602b", "#e0a93b", "#b5bf62", "rgba(42,157,143,0.55)", "rgba(42,157,143,0.25)")
"""Of `BANDS`, worst first; whoever is safe stays in the background."""
KIND_COLOURS = {
    "liquidation": "#d9602b",
    "auction": "#7a6bb0",
    "insurance": "#3b6fb6",
    "deleveraging": "#b5577d",
    "shared loss": "#a3204a",
}
"""Of what stands on the tape."""
LOSSES = ("insurance", "deleveraging", "shared loss")
"""Kinds whose USD are a loss and not a notional: drawn as diamonds, by a scale of their own."""
KIND_WORDS = {
    "liquidation": "partial liquidation",
    "auction": "auction",
    "insurance": "paid by insurance",
    "deleveraging": "deleveraging",
    "shared loss": "shared loss",
}
BINS_MOST = 200
"""Events are drawn by spans of time, so that a long run stays legible."""
BUBBLE_PX = 46
DIAMOND_PX = 20
_LINE = "#5f7d95"


def overview(ticks: "pl.DataFrame", tape: "pl.DataFrame", asset: str) -> Any:
    """Price of one asset with everything that was liquidated, accounts by health, the insurance fund."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, row_heights=[0.5, 0.3, 0.2], vertical_spacing=0.085)
    for trace in [price_line(ticks, asset), *bubbles(ticks, tape, asset)]:
        figure.add_trace(trace, row=1, col=1)
    for trace in band_areas(ticks):
        figure.add_trace(trace.update(legend="legend2"), row=2, col=1)
    figure.add_trace(fund_area(ticks).update(showlegend=False), row=3, col=1)
    figure.update_yaxes(title_text=f"{escape(asset)}, USD", tickformat=",.6~g", row=1, col=1)
    figure.update_yaxes(title_text="accounts", tickformat=",", row=2, col=1)
    figure.update_yaxes(title_text="insurance, USD", rangemode="tozero", row=3, col=1)
    figure.update_xaxes(range=_times(ticks)[:: max(1, len(ticks) - 1)])
    figure.update_layout(
        hovermode="x unified",
        legend2={"orientation": "h", "yanchor": "bottom", "y": figure.layout.yaxis2.domain[1] + 0.005, "x": 0},
    )
    return figure


def prices(ticks: "pl.DataFrame", tape: "pl.DataFrame", assets: Sequence[str]) -> Any:
    """A panel an asset: its price and what was liquidated in its instruments."""
    from plotly.subplots import make_subplots

    rows = -(-len(assets) // 2)
    figure = make_subplots(
        rows=rows, cols=2, subplot_titles=[escape(each) for each in assets], vertical_spacing=0.22 / rows
    )
    shown: set[str] = set()
    for place, asset in enumerate(assets):
        at = {"row": place // 2 + 1, "col": place % 2 + 1}
        line = price_line(ticks, asset)
        line.showlegend = False
        figure.add_trace(line, **at)
        for trace in bubbles(ticks, of_asset(tape, asset), asset):
            trace.showlegend = trace.name not in shown
            shown.add(trace.name)
            figure.add_trace(trace, **at)
    return figure


def price_line(ticks: "pl.DataFrame", asset: str) -> Any:
    """Guarded price of an asset."""
    import plotly.graph_objects as go

    return go.Scatter(
        x=_times(ticks), y=ticks[f"price_{asset}"].to_list(), mode="lines", name=f"{escape(asset)} price",
        line={"color": _LINE, "width": 1.6}, hovertemplate="%{y:,.6~g}",
    )  # fmt: skip


def bubbles(ticks: "pl.DataFrame", tape: "pl.DataFrame", asset: str) -> list[Any]:
    """What happened on the line of an asset's price: area by USD, colour by kind, one mark a span of time."""
    import plotly.graph_objects as go
    import polars as pl

    rows = by_span(ticks, tape)
    is_loss = pl.col("kind").is_in(LOSSES)
    scale = {
        loss: 2 * max([1.0, *rows.filter(is_loss == loss)["usd"].to_list()]) / (DIAMOND_PX if loss else BUBBLE_PX) ** 2
        for loss in (False, True)
    }
    price = dict(zip(ticks["ts_ns"].to_list(), ticks[f"price_{asset}"].to_list(), strict=True))
    found = []
    for kind, colour in KIND_COLOURS.items():
        mine = rows.filter(rows["kind"] == kind)
        if not len(mine):
            continue
        marker = {
            "size": mine["usd"].to_list(), "sizemode": "area", "sizeref": scale[kind in LOSSES], "sizemin": 3,
            "symbol": "diamond" if kind in LOSSES else "circle", "color": colour,
            "opacity": 0.85 if kind in LOSSES else 0.6, "line": {"width": 0.7, "color": "white"},
        }  # fmt: skip
        found.append(
            go.Scatter(
                x=_times(mine),
                y=[price[ts] for ts in mine["ts_ns"].to_list()],
                mode="markers",
                name=KIND_WORDS[kind],
                legendgroup=kind,
                marker=marker,
                customdata=mine.select("usd", "events", "accounts").rows(),
                hovertemplate="%{customdata[0]:$,.0f}, %{customdata[1]} events, %{customdata[2]} accounts",
            )
        )
    return found


def band_areas(ticks: "pl.DataFrame") -> list[Any]:
    """Accounts by band of health, stacked, the worst at the bottom."""
    import plotly.graph_objects as go

    return [
        go.Scatter(
            x=_times(ticks), y=ticks[band].to_list(), name=f"health {band}", stackgroup="health", mode="lines",
            line={"width": 0}, fillcolor=colour, hovertemplate="%{y:,}", legendgroup=band,
            marker={"color": colour},
        )
        for band, colour in zip(BANDS, BAND_COLOURS, strict=True)
    ]  # fmt: skip


def fund_area(ticks: "pl.DataFrame") -> Any:
    """The insurance fund at guarded marks."""
    import plotly.graph_objects as go

    return go.Scatter(
        x=_times(ticks), y=ticks["insurance_usd"].to_list(), name="insurance fund", mode="lines", fill="tozeroy",
        line={"color": PALETTE[0], "width": 1.6}, fillcolor="rgba(59,111,182,0.22)", hovertemplate="%{y:$,.0f}",
    )  # fmt: skip


def liquidated(ticks: "pl.DataFrame", tape: "pl.DataFrame") -> Any:
    """USD liquidated by span of time and kind, as stacked bars."""
    import plotly.graph_objects as go

    rows = by_span(ticks, tape.filter(tape["kind"].is_in(["liquidation", "auction"])), at_start=True)
    figure = go.Figure()
    for kind in ("liquidation", "auction"):
        mine = rows.filter(rows["kind"] == kind)
        bars = go.Bar(
            x=_times(mine), y=mine["usd"].to_list(), name=KIND_WORDS[kind], marker_color=KIND_COLOURS[kind],
            marker_line_width=0, hovertemplate="%{x|%d %b %H:%M}: %{y:$,.0f}",
        )  # fmt: skip
        figure.add_trace(bars)
    figure.update_layout(barmode="stack", bargap=0.08)
    figure.update_xaxes(range=_times(ticks)[:: max(1, len(ticks) - 1)])
    figure.update_yaxes(title_text="USD")
    return figure


def waterfall(summary: Summary) -> Any:
    """Who bore the shortfall, step by step down to what nobody did."""
    import plotly.graph_objects as go

    borne = [
        ("insurance", summary.insurance_used_usd, PALETTE[0]),
        ("deleveraging", summary.deleveraged_loss_usd, KIND_COLOURS["deleveraging"]),
        ("shared by others", summary.socialised_loss_usd, PALETTE[4]),
        ("surplus, to insurance", -summary.surplus_usd, PALETTE[2]),
    ]
    steps, left = [("shortfall", summary.shortfall_usd, 0.0, "#a3204a")], summary.shortfall_usd
    for name, amount, colour in borne:
        left -= amount
        if amount or name != "surplus, to insurance":
            steps.append((name, abs(amount), min(left, left + amount), colour))
    steps.append(("bad debt", summary.bad_debt_usd, 0.0, "#a3204a"))
    names, amounts, bases, colours = (list(column) for column in zip(*steps, strict=True))
    figure = go.Figure(
        go.Bar(
            x=names, y=amounts, base=bases, marker_color=colours, text=[short_usd(x) for x in amounts],
            textposition="outside", cliponaxis=False, hovertemplate="%{x}: %{y:$,.0f}<extra></extra>", width=0.62,
        )
    )  # fmt: skip
    figure.update_yaxes(title_text="USD", rangemode="tozero")
    return figure


def coverage(ticks: "pl.DataFrame") -> Any:
    """What margin costs (initial margin to notional) and what it did not cover (accounts below zero), by tick."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.1)
    cost = go.Scatter(
        x=_times(ticks), y=ticks["margin_to_notional"].to_list(), name="initial margin to notional", mode="lines",
        line={"color": PALETTE[0], "width": 1.6}, hovertemplate="%{y:.1%}",
    )  # fmt: skip
    below = go.Scatter(
        x=_times(ticks), y=ticks["uncovered"].to_list(), name="accounts below zero at the mark", mode="lines",
        line={"color": "#a3204a", "width": 1.6, "shape": "hv"}, fill="tozeroy", fillcolor="rgba(163,32,74,0.3)",
        hovertemplate="%{y:,}",
    )  # fmt: skip
    figure.add_trace(cost, row=1, col=1)
    figure.add_trace(below, row=2, col=1)
    figure.update_yaxes(title_text="of notional", tickformat=".0%", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="accounts", tickformat=",", rangemode="tozero", row=2, col=1)
    figure.update_layout(hovermode="x unified")
    return figure


def frontier(frame: "pl.DataFrame", parameter: str) -> Any:
    """Shortfall and its parts against initial margin, a point a value of the parameter."""
    import plotly.graph_objects as go

    x = frame["initial_margin_to_notional"].to_list()
    labels = [f"{escape(parameter)} {value:.3g}" for value in frame["value"].to_list()]
    figure = go.Figure()
    for name, words, colour in (
        ("shortfall_usd", "shortfall", "#a3204a"),
        ("insurance_used_usd", "of it paid by insurance", PALETTE[0]),
        ("penalties_usd", "penalties paid by the liquidated", PALETTE[1]),
    ):
        is_main = name == "shortfall_usd"
        line = go.Scatter(
            x=x, y=frame[name].to_list(), name=words, mode="lines+markers+text" if is_main else "lines+markers",
            text=labels if is_main else None, textposition="top right", textfont={"size": 11},
            line={"color": colour, "width": 2.2 if is_main else 1.4, "dash": "solid" if is_main else "dot"},
            marker={"size": 9 if is_main else 6}, hovertemplate="%{x:.1%}: %{y:$,.0f}", cliponaxis=False,
        )  # fmt: skip
        figure.add_trace(line)
    figure.update_xaxes(title_text="initial margin to notional: what it costs", tickformat=".0%")
    figure.update_yaxes(title_text="USD", rangemode="tozero")
    return figure


def by_span(ticks: "pl.DataFrame", tape: "pl.DataFrame", at_start: bool = False) -> "pl.DataFrame":
    """The tape summed by kind and span of ticks: ts_ns (of the span's largest event, or its start), usd, events."""
    import polars as pl

    times = ticks["ts_ns"].unique().sort().to_list()
    width = -(-len(times) // BINS_MOST) or 1
    starts = {ts: times[place // width * width] for place, ts in enumerate(times)}
    span = tape["ts_ns"].replace_strict(starts, default=None, return_dtype=pl.Int64)
    time = pl.col("span").first() if at_start else pl.col("ts_ns").sort_by("usd").last()
    rows = tape.with_columns(span=span).group_by("span", "kind", maintain_order=True)
    return rows.agg(ts_ns=time, usd=pl.col("usd").sum(), events=pl.len(), accounts=pl.col("account").n_unique()).sort(
        "ts_ns", "kind"
    )


def of_asset(tape: "pl.DataFrame", asset: str) -> "pl.DataFrame":
    """Rows of the tape in an asset's instruments."""
    import polars as pl

    return tape.filter(pl.col("instrument").str.extract(r"^([^/@]+)") == asset)


def short_usd(amount: float) -> str:
    """USD in few characters: 1.2M, 340k, 12."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if amount >= size:
            return f"{amount / size:,.3g}{letter}" if amount < 999.5 * size else f"{amount / size:,.0f}{letter}"
    return f"{amount:,.0f}"


def _times(frame: "pl.DataFrame") -> list[Any]:
    """Times that plotly reads as they are, UTC."""
    import polars as pl

    found: list[Any] = pl.from_epoch(frame["ts_ns"], "ns").dt.strftime("%Y-%m-%d %H:%M:%S").to_list()
    return found
