"""The page of a congested day: wins for nothing by hour, recorded, under an English auction, and under ours."""

from typing import TYPE_CHECKING, Any

import numpy as np

from solvent.reports.page import PALETTE, page, plot, prose, section, table, terms, tiles

if TYPE_CHECKING:
    from solvent.lab.congestion import Replay

MEANINGS = {
    "for nothing": "Won below 1 DAI an ether: nobody else's bid got into a block in time.",
    "English": "Bids go up; an auction ends ten minutes after its last bid.",
    "ours": "The price falls from nearly all of the equity to nothing in half a day; the first bid takes it.",
    "paid": "Part of the lot's worth at the market that came in: in ours the debt taken over and what equity brought.",
    "gas price": "30th percentile of what was paid, hourly median: about the least that got into a block soon.",
}


def congestion_page(found: "Replay", label: str) -> str:
    """A whole HTML document; it needs nothing else."""
    chart = plot(hours_figure(found), "hours", 440)
    parts = [
        section("Wins for nothing", tiles(figures(found)), chart, _rows(found)),
        section(
            "What the replay assumes",
            prose(
                "Keepers have a cap on what they pay for gas, as the settlements of the day show it; four bidders with "
                "any gas price bid where it costs nothing. Both auctions have the same keepers, caps and blocks."
            ),
        ),
        section("What the words mean", terms(MEANINGS)),
    ]
    return page("Auctions on a congested day", label, parts, "Made by Solvent; a model, not a forecast.")


def figures(found: "Replay") -> dict[str, str]:
    """The totals as text."""
    count = len(found.english.start_s)
    waits = found.dutch.taken_s - found.dutch.start_s
    return {
        "auctions": f"{count:,}",
        "recorded for nothing": f"{found.recorded_for_nothing:,}",
        "ETH in them": f"{found.recorded_eth_for_nothing:,.0f}",
        "English for nothing": f"{int(found.english.for_nothing.sum()):,}",
        "ours for nothing": f"{int(found.dutch.for_nothing.sum()):,}",
        "English paid, mean": f"{found.english.paid_share.mean():.1%}",
        "ours paid, mean": f"{found.dutch.paid_share.mean():.1%}",
        "ours paid, least": f"{found.dutch.paid_share.min():.1%}",
        "ours, longest wait": f"{np.nanmax(waits) / 60:,.0f} min",
    }


def _rows(found: "Replay") -> str:
    columns = ("hour", "gas price, gwei", "auctions", "recorded", "English", "ours", "English paid", "ours paid")
    rows = [
        (
            f"{row['hour']:02d}:00", f"{row['gas_price_p30_gwei']:.0f}", f"{row['auctions']:,}",
            *(f"{row[name]:,}" for name in ("recorded", "english", "dutch")),
            *(f"{row[name]:.1%}" for name in ("english_paid_share", "dutch_paid_share")),
        )
        for row in found.hours.iter_rows(named=True)
    ]  # fmt: skip
    return table(columns, rows, tuple(range(1, 8)))


def hours_figure(found: "Replay") -> Any:
    """Bars an hour, and the gas price over them."""
    import plotly.graph_objects as go

    hours = found.hours
    x = [f"{each:02d}:00" for each in hours["hour"].to_list()]
    figure = go.Figure()
    for name, words, colour in (
        ("recorded", "recorded", PALETTE[1]),
        ("english", "English, replayed", PALETTE[0]),
        ("dutch", "ours", "#a3204a"),
    ):
        figure.add_trace(go.Bar(x=x, y=hours[name].to_list(), name=words, marker={"color": colour}))
    figure.add_trace(
        go.Scatter(
            x=x, y=hours["gas_price_p30_gwei"].to_list(), name="gas price, gwei", yaxis="y2", mode="lines+markers",
            line={"color": PALETTE[2], "width": 1.6},
        )
    )  # fmt: skip
    figure.update_xaxes(title_text="hour of the day, UTC")
    figure.update_yaxes(title_text="auctions won for nothing")
    right = {"title": {"text": "gas price, gwei"}, "tickformat": ".0f", "automargin": True, "tickmode": "auto"}
    figure.update_layout(yaxis2={"overlaying": "y", "side": "right", "rangemode": "tozero", "showgrid": False, **right})
    return figure
