"""The shell of every report: one HTML file that needs nothing else, readable in light and dark, on screen and paper."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

PALETTE = ("#3b6fb6", "#d9822b", "#2a9d8f", "#b5577d", "#7a6bb0", "#8c8c3e", "#5f7d95", "#c0504d")
"""Colours of series, in order; told apart by most colour-blind readers."""
STATE_COLOURS: Mapping[str, str] = {
    "healthy": "#2a9d8f",
    "below initial": "#e0a93b",
    "liquidatable": "#d9602b",
    "insolvent": "#a3204a",
    "refused": "#9aa0a8",
}
"""Colours of an account's state."""
_NEUTRAL = "#7b828c"
_GRID = "rgba(128,136,148,0.22)"
_CONFIG = {"displayModeBar": False, "responsive": True}

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5c6773; --line: #e1e5ea; --paper: #fff; --wash: #f6f8fa;
        --accent: #3b6fb6; --warn: #b3541e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --soft: #9aa5b1; --line: #2e3742; --paper: #12171d; --wash: #1a2129; --accent: #7fb0f0;
          --warn: #f0a173; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5; font-size: 15px;
       font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 2.2rem 1.5rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .4rem; letter-spacing: -.005em; }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
p { margin: .3rem 0 .8rem; max-width: 76ch; }
.lead { color: var(--soft); font-size: 1.02rem; }
.note { color: var(--soft); font-size: .88rem; }
.warn { color: var(--warn); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .7rem; margin: 1.3rem 0; }
.tile { background: var(--wash); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .8rem; }
.tile b { display: block; font-size: 1.28rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.tile span { color: var(--soft); font-size: .82rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .87rem; margin: .5rem 0;
        font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--soft); border-bottom: 1.5px solid var(--line); }
th, td { padding: .32rem .7rem .32rem 0; vertical-align: top; }
td { border-bottom: 1px solid var(--line); overflow-wrap: break-word; }
th.right, td.right { text-align: right; white-space: nowrap; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: .9em; }
.dot { display: inline-block; width: .65em; height: .65em; border-radius: 50%; margin-right: .4em; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.2rem; font-size: .9rem; }
dt { font-weight: 600; } dd { margin: 0; color: var(--soft); }
footer { margin-top: 3rem; padding-top: .8rem; border-top: 1px solid var(--line); color: var(--soft);
         font-size: .82rem; }
@media print { main { max-width: none; } h2 { break-after: avoid; } .plot { break-inside: avoid; } }
"""
_THEME = """
(function () {
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function paint() {
    var ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
    document.querySelectorAll(".js-plotly-plot").forEach(function (plot) {
      Plotly.relayout(plot, {"font.color": ink});
    });
  }
  window.addEventListener("load", paint);
  dark.addEventListener("change", paint);
})();
"""


def page(title: str, lead: str, sections: Iterable[str], footer: str = "") -> str:
    """A whole HTML document: title, a sentence under it, sections of HTML, plotly's code inside it.

    title, lead, footer: plain text. sections: HTML, as the functions below make it.
    """
    from plotly.offline import get_plotlyjs

    body = "\n".join(sections)
    code = theme = ""
    if _PLOT in body:
        code, theme = f"<script>{get_plotlyjs()}</script>", f"<script>{_THEME}</script>"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n{code}\n</head>\n<body>\n<main>\n"
        f'<h1>{escape(title)}</h1>\n<p class="lead">{escape(lead)}</p>\n{body}\n'
        f"<footer>{escape(footer)}</footer>\n</main>\n{theme}\n</body>\n</html>\n"
    )


_PLOT = '<div class="plot">'


def section(heading: str, *parts: str) -> str:
    """A heading over parts of HTML."""
    return f"<section>\n<h2>{escape(heading)}</h2>\n" + "\n".join(parts) + "\n</section>"


def prose(text: str, kind: str = "") -> str:
    """A paragraph of plain text; kind is empty, `note` or `warn`."""
    return f'<p class="{escape(kind)}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def tiles(figures: Mapping[str, str]) -> str:
    """Headline figures by what they are."""
    cells = (
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for name, value in figures.items()
    )
    return f'<div class="tiles">{"".join(cells)}</div>'


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[int] = ()) -> str:
    """A table of plain text; `right` are the columns set flush right: numbers. States get their colour."""
    side = [' class="right"' if i in right else "" for i in range(len(columns))]
    head = "".join(f"<th{at}>{escape(name)}</th>" for at, name in zip(side, columns, strict=True))
    body = "\n".join(
        "<tr>" + "".join(f"<td{at}>{_cell(value)}</td>" for at, value in zip(side, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def _cell(value: object) -> str:
    text = escape(str(value))
    colour = STATE_COLOURS.get(str(value))
    return f'<span class="dot" style="background:{colour}"></span>{text}' if colour else text


def terms(meanings: Mapping[str, str]) -> str:
    """What words mean."""
    return (
        "<dl>" + "".join(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in meanings.items()) + "</dl>"
    )


def plot(figure: Any, name: str, height: int = 420) -> str:
    """A plotly figure as HTML, in the report's look; the page brings plotly's code.

    name: of the element, unique in its page, so that the same report is the same file. Text in a figure may
    hold some tags: whoever puts names of accounts into one escapes them.
    """
    from plotly.io import to_html

    framed(figure, height)
    inner = to_html(figure, full_html=False, include_plotlyjs=False, config=_CONFIG, div_id=name)
    return f"{_PLOT}{inner}</div>"


def framed(figure: Any, height: int) -> None:
    """Give a plotly figure the report's look."""
    figure.update_layout(height=height, **layout())
    figure.update_xaxes(gridcolor=_GRID, zerolinecolor=_GRID, linecolor=_NEUTRAL)
    figure.update_yaxes(gridcolor=_GRID, zerolinecolor=_GRID, linecolor=_NEUTRAL)


def layout() -> dict[str, Any]:
    """Layout that all figures share: no background of their own, quiet grid, legend above."""
    return {
        "template": "none",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": list(PALETTE),
        "font": {"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "size": 13, "color": _NEUTRAL},
        "margin": {"l": 70, "r": 24, "t": 48, "b": 56},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "traceorder": "normal"},
        "hoverlabel": {"font": {"size": 12}},
    }
