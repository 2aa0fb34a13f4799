"""The shell of reports: complete in itself, the same each time, and no text of a file becomes markup."""

import plotly.graph_objects as go

from solvent.reports.page import page, plot, prose, section, table, terms, tiles

NASTY = '<script>alert("x")</script>'


def figure() -> go.Figure:
    return go.Figure(go.Bar(x=["<b>a</b></script>"], y=[1.0]))


def test_a_page_with_a_plot_brings_its_code_and_asks_nobody() -> None:
    html = page("Title", "Lead", [section("Plots", plot(figure(), "one"))])
    assert html.startswith("<!doctype html>")
    assert "Plotly.newPlot" in html
    assert "prefers-color-scheme: dark" in html
    assert 'src="http' not in html
    assert "<link" not in html
    assert html == page("Title", "Lead", [section("Plots", plot(figure(), "one"))])


def test_a_page_without_a_plot_is_small() -> None:
    assert len(page("Title", "Lead", [prose("Nothing to draw.")])) < 10_000


def test_text_is_escaped_everywhere() -> None:
    parts = [
        prose(NASTY),
        prose(NASTY, "warn"),
        tiles({NASTY: NASTY}),
        table([NASTY], [[NASTY]]),
        terms({NASTY: NASTY}),
    ]
    html = page(NASTY, NASTY, [section(NASTY, *parts)], NASTY)
    assert NASTY not in html
    assert html.count("&lt;script&gt;alert") == 13
    assert "</script>" not in plot(figure(), "one").split("Plotly.newPlot")[1].split("displayModeBar")[0]


def test_states_are_coloured_and_numbers_flush_right() -> None:
    html = table(["state", "equity"], [["insolvent", "-1.00"], ["odd", "2"]], right=[1])
    assert html.count('class="dot"') == 1
    assert html.count('class="right"') == 3
