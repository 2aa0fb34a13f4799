"""How `solvent up` shows what it does: a live screen for people, lines for logs, JSON for programs."""

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from solvent.cli.live import View, clock, price_text, screen, short, starting, whole
from solvent.cli.printable import printable

if TYPE_CHECKING:
    from solvent.engine.summary import Summary

FRAMES_A_SECOND = 6
QUIET_S = 1.0
"""A tick on which nothing happened is logged this often at most."""


class Show(Protocol):
    """What a run is shown with. A context: the terminal is as it was after leaving it."""

    def __enter__(self) -> "Show": ...

    def __exit__(self, *error: object) -> None: ...

    def step(self, name: str) -> None:
        """A step of the start begins."""
        ...

    def tick(self, view: View) -> None:
        """A tick is over and durable."""
        ...

    def end(self, summary: "Summary", store: str) -> None:
        """The run is over."""
        ...


def can_draw(console: Console) -> bool:
    """Whether a person watches, on a terminal that can draw."""
    return console.is_terminal and not console.is_dumb_terminal and console.encoding.lower().startswith("utf")


class Screen:
    """The whole terminal, drawn anew some times a second by a thread of its own."""

    def __init__(self, console: Console, title: str, stop: threading.Event, patience_s: float) -> None:
        """patience_s: after so long without a block the screen says how long it takes."""
        self.console, self.title, self.stop, self.patience_s = console, title, stop, patience_s
        self._view: View | None = None
        self._shown_s = 0.0
        self._steps: list[tuple[str, float]] = []
        """Steps of the start and when each began."""
        self._live = Live(console=console, screen=True, get_renderable=self.frame, refresh_per_second=FRAMES_A_SECOND)

    def __enter__(self) -> "Screen":
        self._live.start(refresh=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def step(self, name: str) -> None:
        """A step of the start begins."""
        self._steps.append((name, time.monotonic()))
        self._live.refresh()

    def tick(self, view: View) -> None:
        """The next frame shows this."""
        self._shown_s, self._view = time.monotonic(), view

    def frame(self) -> RenderableType:
        """What is drawn now."""
        width, height = self.console.size
        if self._view is None:
            return starting(self.title, self._took(), time.monotonic(), height)
        late_s = time.monotonic() - self._shown_s
        view = msgspec.structs.replace(
            self._view, stopping=self.stop.is_set(), late_s=late_s if late_s > self.patience_s else 0.0
        )
        return screen(view, width, height)

    def _took(self) -> list[tuple[str, float]]:
        """The steps with the seconds that each took so far."""
        ends = [began for _, began in self._steps[1:]] + [time.monotonic()]
        return [(name, end - began) for (name, began), end in zip(self._steps, ends, strict=False)]

    def end(self, summary: "Summary", store: str) -> None:
        """The summary, where the live view was."""
        print_summary(self.console, summary, store)


class Lines:
    """A line a tick on stdout, for logs and programs."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._last: View | None = None
        self._logged_s = 0.0

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to put back."""

    def step(self, name: str) -> None:
        """A step of the start begins."""
        if not self.as_json:
            print(f"starting: {name}", flush=True)

    def tick(self, view: View) -> None:
        """One line, unless nothing happened and the last line is fresh."""
        if self.as_json:
            print(json.dumps(tick_figures(view)), flush=True)
            return
        now = time.monotonic()
        if self._last is None or now - self._logged_s >= QUIET_S or happened(self._last, view):
            print(log_line(view, self._last), flush=True)
            self._logged_s, self._last = now, view

    def end(self, summary: "Summary", store: str) -> None:
        """The summary."""
        if self.as_json:
            from solvent.engine.summary import figures

            print(json.dumps({"summary": figures(summary), "store": store}), flush=True)
        else:
            print_summary(Console(highlight=False), summary, store)


def happened(before: View, view: View) -> bool:
    """Whether something other than prices and requirements changed."""

    def moved(each: View) -> tuple[Any, ...]:
        states = [price.state for price in each.prices]
        under_way = [(move.parameter, move.target, move.waits_for) for move in each.policy]
        return each.liquidations, each.shortfall_usd, len(each.auctions), states, under_way

    return moved(before) != moved(view)


def log_line(view: View, before: View | None = None) -> str:
    """A tick in one line of plain ASCII: what changed since `before`, and how things stand."""
    prices = " ".join(
        f"{each.asset} {price_text(each.price_usd)}{'' if each.state == 'ok' else f' ({each.state})'}"
        for each in view.prices
    )
    parts = [f"{clock(view.ts_ns)} block {view.height}", prices]
    since = (before.liquidations, before.liquidated_usd) if before else (0, 0.0)
    if view.liquidations > since[0]:
        parts.append(f"liquidated {view.liquidations - since[0]} times, {short(view.liquidated_usd - since[1])} USD")
    if view.stages:
        parts.append(", ".join(f"{count} {stage}" for stage, count in sorted(view.stages.items())))
    parts.append(f"fund {whole(view.fund_usd)}")
    if view.shortfall_usd:
        parts.append(f"shortfall {whole(view.shortfall_usd)}, bad debt {whole(view.bad_debt_usd)}")
    if view.deleveraged:
        parts.append(f"{view.deleveraged} deleveraged")
    parts += [
        f"{each.parameter} {each.present:.2%} -> {each.target:.2%} "
        + (f"by {clock(each.end_ns)}" if each.end_ns else f"waits for {each.waits_for}")
        for each in view.policy
    ]
    parts += view.speaks
    return " | ".join(parts)


def tick_figures(view: View) -> dict[str, Any]:
    """A tick as plain JSON values; what happened in it, not before."""
    return {
        "ts": clock(view.ts_ns, "%Y-%m-%dT%H:%M:%SZ"),
        "ts_ns": view.ts_ns,
        "height": view.height,
        "accounts": view.accounts,
        "prices": {each.asset: each.price_usd for each in view.prices},
        "price_states": {each.asset: each.state for each in view.prices},
        "health": dict(view.bands),
        "stages": view.stages,
        "auctions": len(view.auctions),
        "liquidations": view.liquidations,
        "liquidated_notional_usd": round(view.liquidated_usd, 2),
        "insurance_usd": round(view.fund_usd, 2),
        "shortfall_usd": round(view.shortfall_usd, 2),
        "socialised_loss_usd": round(view.socialised_usd, 2),
        "bad_debt_usd": round(view.bad_debt_usd, 2),
        "commands": view.commands,
        "refused_prices": view.refused_prices,
        "margin_s": view.margin_s,
        "commit_s": view.commit_s,
        "happened": [each._asdict() for each in view.tape if each.ts_ns == view.ts_ns],
        **({"policy": [each._asdict() for each in view.policy]} if view.adaptive else {}),
        **({"speaks": list(view.speaks)} if view.speaks else {}),
    }


def print_summary(console: Console, summary: "Summary", store: str) -> None:
    """The figures of the run, and where its journal is."""
    from solvent.cli.summary import figures_table
    from solvent.ledger.postgres import is_postgres, shown

    console.print(figures_table(summary))
    console.print(f"state hash {summary.state_hash}", style="dim")
    path = Path(store)
    place = "kept in memory only"
    if path.is_file():
        place = f"journal {store}, {path.stat().st_size / 1e6:,.1f} MB: the next run goes on from there"
    elif is_postgres(store):
        place = f"journal {shown(store)}: the next run goes on from there"
    console.print(Text(printable(place)), soft_wrap=True)
