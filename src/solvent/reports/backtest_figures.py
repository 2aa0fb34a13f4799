"""What backtests look like, as plotly figures: pure functions of frames of forecasts and of their summary."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from solvent.models.backtests import coverage, sequential
from solvent.reports.page import PALETTE

if TYPE_CHECKING:
    import polars as pl

POINTS_MOST = 1_500
"""Of a line; exceptions are always all drawn."""
BAND_POINTS = 160
SIDE_COLOURS = {"long": "#3b6fb6", "short": "#d9822b"}
EXCEPTION_COLOUR = "#a3204a"
_RETURN = "rgba(123,130,140,0.65)"
_BAND = "rgba(123,130,140,0.17)"
_BAND_LINE = "rgba(123,130,140,0.7)"
_LIMIT = "#b3541e"
STRONG, FAINT = (2.6, 1.0), (1.3, 0.7)
"""Width and opacity of the line of the model that the page is about, and of the others."""
SYMBOLS = {"long": "circle", "short": "diamond-open"}

Panel = tuple[str, str]
"""An asset and a side."""


def colours(models: Sequence[str]) -> dict[str, str]:
    """A colour a model, the same in every figure."""
    return {model: PALETTE[place % len(PALETTE)] for place, model in enumerate(models)}


def exceptions(forecasts: "pl.DataFrame", assets: Sequence[str]) -> Any:
    """Returns of each asset between the margins of its two sides under one model, with what went beyond them."""
    import plotly.graph_objects as go
    import polars as pl

    figure = _grid(len(assets), 1, [escape(each) for each in assets], shared_x=True)
    for place, asset in enumerate(assets, 1):
        mine = forecasts.filter(pl.col("asset") == asset)
        for number, side in enumerate(_sides(mine)):
            sign = -1.0 if side == "long" else 1.0
            rows = mine.filter(pl.col("side") == side)
            if number == 0:
                drawn = largest_of(rows, POINTS_MOST)
                bars = go.Bar(x=_times(drawn), y=_rounded(sign * drawn["loss"].to_numpy()), name="return",
                              marker={"color": _RETURN, "line": {"width": 0}}, hovertemplate="%{y:.2%}")  # fmt: skip
                figure.add_trace(_once(bars, place), row=place, col=1)
            path = thinned(rows, POINTS_MOST)
            line = go.Scatter(x=_times(path), y=_rounded(sign * path["margin"].to_numpy()), name=f"margin of a {side}",
                              mode="lines", line={"width": 1.6, "color": SIDE_COLOURS[side]},
                              hovertemplate="%{y:.2%}")  # fmt: skip
            figure.add_trace(_once(line, place), row=place, col=1)
        beyond = mine.filter(pl.col("loss") > pl.col("margin"))
        sign_of = np.where(beyond["side"].to_numpy() == "long", -1.0, 1.0)
        marks = go.Scatter(
            x=_times(beyond), y=_rounded(sign_of * beyond["loss"].to_numpy()), mode="markers", name="exception",
            marker={"color": EXCEPTION_COLOUR, "size": 7, "line": {"width": 1, "color": "white"}},
            customdata=(beyond["loss"] / beyond["margin"]).round(2).to_list(),
            hovertemplate="%{y:.2%}, %{customdata} times its margin",
        )  # fmt: skip
        figure.add_trace(_once(marks, place), row=place, col=1)
    figure.update_yaxes(tickformat=".0%")
    figure.update_layout(bargap=0.0, hovermode="x")
    return figure


def coverage_over_time(forecasts: "pl.DataFrame", panels: Sequence[Panel], models: Sequence[str], level: float) -> Any:
    """Exceptions so far of every model, the first drawn stronger; shaded what Kupiec's test accepts at 5 %."""
    import plotly.graph_objects as go

    probability, paint = coverage.promised(level), colours(models)
    figure = _panels(panels)
    for place, (row, col) in enumerate(_cells(panels)):
        parts = dict(_parts(forecasts, panels[place], models))
        longest = max(parts.values(), key=len)
        for number, trace in enumerate(_funnel(longest, probability)):
            trace.showlegend = place == 0 and number == 1
            figure.add_trace(trace, row=row, col=col)
        for model, rows in parts.items():
            at, counts = _steps(rows)
            width, opacity = STRONG if model == models[0] else FAINT
            line = go.Scatter(x=at, y=counts, name=escape(model), mode="lines", legendgroup=model, opacity=opacity,
                              line={"shape": "hv", "width": width, "color": paint[model]},
                              hovertemplate="%{y} exceptions", showlegend=place == 0)  # fmt: skip
            figure.add_trace(line, row=row, col=col)
    figure.update_yaxes(rangemode="tozero")
    return figure


def margin_paths(forecasts: "pl.DataFrame", panels: Sequence[Panel], models: Sequence[str]) -> Any:
    """The margin of every model over time; the first drawn stronger."""
    import plotly.graph_objects as go

    paint = colours(models)
    figure = _panels(panels)
    for place, (row, col) in enumerate(_cells(panels)):
        for model, rows in _parts(forecasts, panels[place], models):
            path = thinned(rows, POINTS_MOST)
            width, opacity = STRONG if model == models[0] else FAINT
            line = go.Scatter(x=_times(path), y=_rounded(path["margin"].to_numpy()), name=escape(model), mode="lines",
                              legendgroup=model, showlegend=place == 0, opacity=opacity,
                              line={"width": width, "color": paint[model]},
                              hovertemplate="%{y:.2%}")  # fmt: skip
            figure.add_trace(line, row=row, col=col)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure


def cost_against_coverage(summary: "pl.DataFrame", assets: Sequence[str], models: Sequence[str], level: float) -> Any:
    """Mean margin against the share of exceptions; Kupiec's region shaded. Below and inside the band is better."""
    import plotly.graph_objects as go
    import polars as pl

    paint = colours(models)
    figure = _grid(1, len(assets), [escape(each) for each in assets], shared_x=False)
    for col, asset in enumerate(assets, 1):
        mine = summary.filter(pl.col("asset") == asset)
        for row in mine.to_dicts():
            name = escape(row["model"])
            point = go.Scatter(
                x=[row["exception_rate"]], y=[row["mean_margin"]], mode="markers", name=name, legendgroup=name,
                showlegend=col == 1 and row["side"] == mine["side"][0],
                marker={"size": 12, "color": paint[row["model"]], "symbol": SYMBOLS.get(row["side"], "square"),
                        "line": {"width": 1.5, "color": paint[row["model"]]}},
                hovertemplate=f"{escape(row['side'])}: %{{x:.2%}} exceptions at %{{y:.2%}} mean margin",
            )  # fmt: skip
            figure.add_trace(point, row=1, col=col)
        size = max(mine["observations"].to_list())
        low, high = coverage.kupiec_region(size, coverage.promised(level))
        figure.add_vrect(x0=low / size, x1=high / size, fillcolor=_BAND, line_width=0, layer="below", row=1, col=col)
        figure.update_xaxes(title_text="share of losses beyond the margin", row=1, col=col)
    figure.update_xaxes(tickformat=".1%", rangemode="tozero")
    figure.update_yaxes(tickformat=".1%")
    figure.update_yaxes(title_text="mean margin", row=1, col=1)
    return figure


def cost_at_equal_coverage(summary: "pl.DataFrame", models: Sequence[str], benchmark: str) -> Any:
    """Mean margin of each model against the benchmark's, both rescaled to exactly the promised coverage."""
    import plotly.graph_objects as go
    import polars as pl

    name = "mean_margin_at_equal_coverage"
    base = summary.filter(pl.col("model") == benchmark).select("asset", "side", pl.col(name).alias("base"))
    rows = summary.filter(pl.col("model") != benchmark).join(base, on=["asset", "side"], maintain_order="left")
    paint = colours(models)
    figure = go.Figure()
    for model in models:
        mine = rows.filter(pl.col("model") == model)
        if len(mine):
            figure.add_bar(name=escape(model), x=[escape(f"{a} {s}") for a, s in mine.select("asset", "side").rows()],
                           y=_rounded((mine[name] / mine["base"] - 1.0).to_numpy()), marker={"color": paint[model]},
                           hovertemplate="%{y:+.1%}")  # fmt: skip
    figure.update_layout(barmode="group", hovermode="x unified")
    figure.update_yaxes(tickformat="+.0%", title_text=f"against {escape(benchmark)}")
    return figure


def live_monitor(forecasts: "pl.DataFrame", panels: Sequence[Panel], models: Sequence[str], level: float) -> Any:
    """Wealth of the e-process of every model, logarithmic, with the bounds of alert and breach."""
    import plotly.graph_objects as go

    paint = colours(models)
    figure = _panels(panels)
    for place, (row, col) in enumerate(_cells(panels)):
        for model, rows in _parts(forecasts, panels[place], models):
            values = sequential.e_values_var(rows["loss"].to_numpy(), rows["margin"].to_numpy(), level)
            wealth = rows.select("ts").with_columns(wealth=sequential.e_process(values))
            drawn = largest_of(wealth, POINTS_MOST, "wealth")
            line = go.Scatter(x=_times(drawn), y=[float(f"{x:.4g}") for x in drawn["wealth"].to_list()], mode="lines",
                              name=escape(model), legendgroup=model, showlegend=place == 0,
                              line={"width": 1.5, "color": paint[model]}, hovertemplate="%{y:.3g}")  # fmt: skip
            figure.add_trace(line, row=row, col=col)
        for bound in (sequential.ALERT_FROM, sequential.BREACH_FROM):
            figure.add_hline(y=bound, line={"color": _LIMIT, "dash": "dot", "width": 1.2}, row=row, col=col)
    figure.update_yaxes(type="log", dtick=2, exponentformat="power")
    return figure


def thinned(frame: "pl.DataFrame", most: int) -> "pl.DataFrame":
    """Every n-th row, so that at most that many are left."""
    return frame.gather_every(max(1, -(-len(frame) // most)))


def largest_of(frame: "pl.DataFrame", most: int, column: str = "loss") -> "pl.DataFrame":
    """Of every n neighbouring rows the one that is largest, whatever its sign: no extreme is lost."""
    import polars as pl

    step = -(-len(frame) // most)
    if step <= 1:
        return frame
    blocks = frame.with_row_index("_row").with_columns((pl.col("_row") // step).alias("_block"))
    widest = pl.col(column).abs() == pl.col(column).abs().max().over("_block")
    return blocks.filter(widest).unique("_block", keep="first", maintain_order=True).drop("_row", "_block")


def _funnel(rows: "pl.DataFrame", probability: float) -> Iterator[Any]:
    """The fewest and most exceptions that are accepted after each day."""
    import plotly.graph_objects as go

    sizes = np.unique(np.linspace(1, len(rows), min(BAND_POINTS, len(rows))).astype(int))
    bounds = [coverage.kupiec_region(size, probability) for size in sizes.tolist()]
    at = [rows["ts"][size - 1] for size in sizes.tolist()]
    shape: dict[str, Any] = {"mode": "lines", "line": {"width": 0.8, "color": _BAND_LINE, "shape": "hv"}}
    yield go.Scatter(x=at, y=[low for low, _ in bounds], name="fewest accepted", hovertemplate="%{y}", **shape)
    yield go.Scatter(x=at, y=[high for _, high in bounds], name="accepted by Kupiec at 5 %", fill="tonexty",
                     fillcolor=_BAND, hovertemplate="%{y}", **shape)  # fmt: skip


def _steps(rows: "pl.DataFrame") -> tuple[list[Any], list[int]]:
    """Times at which the count of exceptions changes, first and last time too, with the counts."""
    import polars as pl

    beyond = rows.filter(pl.col("loss") > pl.col("margin"))["ts"].to_list()
    at = [rows["ts"][0], *beyond, rows["ts"][-1]]
    return at, [0, *range(1, len(beyond) + 1), len(beyond)]


def _parts(forecasts: "pl.DataFrame", panel: Panel, models: Sequence[str]) -> Iterator[tuple[str, "pl.DataFrame"]]:
    """Each model's rows of an asset and a side, where there are any."""
    import polars as pl

    mine = forecasts.filter((pl.col("asset") == panel[0]) & (pl.col("side") == panel[1]))
    for model in models:
        rows = mine.filter(pl.col("model") == model)
        if len(rows):
            yield model, rows


def _sides(frame: "pl.DataFrame") -> list[str]:
    return sorted(frame["side"].unique().to_list())


def _panels(panels: Sequence[Panel]) -> Any:
    columns = min(2, len(panels))
    titles = [escape(f"{asset}, {side}") for asset, side in panels]
    return _grid(-(-len(panels) // columns), columns, titles, shared_x=False)


def _cells(panels: Sequence[Panel]) -> Iterator[tuple[int, int]]:
    columns = min(2, len(panels))
    return ((place // columns + 1, place % columns + 1) for place in range(len(panels)))


def _grid(rows: int, columns: int, titles: Sequence[str], shared_x: bool) -> Any:
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=rows, cols=columns, subplot_titles=titles, shared_xaxes=shared_x,
        vertical_spacing=0.2 / max(1, rows), horizontal_spacing=0.08,
    )  # fmt: skip
    figure.for_each_annotation(_inside)
    return figure


def _inside(title: Any) -> None:
    """A panel's name in its upper edge: the legend stands above all panels."""
    title.update(yanchor="top", yshift=2, font={"size": 13}, bgcolor="rgba(128,136,148,0.12)", borderpad=3)


def _once(trace: Any, place: int) -> Any:
    """One entry in the legend for what every panel has."""
    return trace.update(showlegend=place == 1, legendgroup=trace.name)


def _times(frame: "pl.DataFrame") -> list[Any]:
    return frame["ts"].dt.replace_time_zone(None).to_list() if len(frame) else []


def _rounded(values: Any) -> list[float]:
    rounded: list[float] = np.round(np.asarray(values, np.float64), 6).tolist()
    return rounded
