"""The live view of a running engine: plain data in, renderables for the terminal out."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from rich import box
from rich.align import Align
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.layout import Layout
from rich.measure import Measurement
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

BLOCKS = "▁▂▃▄▅▆▇█"
EIGHTHS = " ▏▎▍▌▋▊▉"
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
STATE_STYLE = {"ok": "green", "degraded": "bold yellow", "halted": "bold white on red"}
STAGE_STYLE = {
    "healthy": "dim",
    "called": "yellow",
    "liquidating": "red",
    "auction": "bold magenta",
    "insolvent": "bold white on red",
}
BAND_STYLE = ("bold red", "red", "yellow", "green", "cyan", "blue")
KIND_STYLE = {
    "liquidation": "red",
    "auction": "magenta",
    "insurance": "bold red",
    "deleveraging": "bold red",
    "shared loss": "bold white on red",
    "price": "yellow",
    "policy": "cyan",
}
POLICY_ROWS = 4
WIDE, TALL = 100, 30
"""From this many columns and rows on everything is shown; below only what matters most."""


class Price(NamedTuple):
    """One asset."""

    asset: str
    price_usd: float
    change: float
    """Since the beginning of `history`, a fraction."""
    state: str
    history: Sequence[float]


class Standing(NamedTuple):
    """One account: USD at the mark, and its health at the mark and after this block's liquidations."""

    name: str
    equity: float
    initial_margin: float
    maintenance_margin: float
    health: float
    health_now: float
    stage: str


class Auction(NamedTuple):
    """One running auction."""

    account: str
    age_s: float
    discount: float
    """On its equity, a fraction."""


class Happening(NamedTuple):
    """One line of the tape."""

    ts_ns: int
    kind: str
    who: str
    what: str
    usd: float | None = None


class PolicyMove(NamedTuple):
    """One parameter of the policy that is under way."""

    parameter: str
    present: float
    """What existing positions have, a fraction."""
    target: float
    """What new risk has, or what is proposed."""
    waits_for: str
    """A person, notice, delay; `ramp` where it moves."""
    end_ns: int
    """When existing positions have it in full, 0 where a person decides."""
    why: str


class Latency(NamedTuple):
    """Median and 99th percentile, in seconds."""

    p50_s: float = 0.0
    p99_s: float = 0.0


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a running engine after one block; money in USD."""

    source: str
    store: str
    ts_ns: int
    height: int = 0
    ticks: int = 0
    accounts: int = 0
    prices: tuple[Price, ...] = ()
    history_s: float = 0.0
    """Time that the prices' history spans."""
    bands: tuple[tuple[str, int], ...] = ()
    """Accounts by health."""
    worst: tuple[Standing, ...] = ()
    stages: dict[str, int] = {}
    """Accounts by stage, the healthy ones left out."""
    auctions: tuple[Auction, ...] = ()
    auctioned: int = 0
    """Auctions that were started so far."""
    tape: tuple[Happening, ...] = ()
    """Newest first."""
    liquidations: int = 0
    liquidated_usd: float = 0.0
    fund_usd: float = 0.0
    fund_start_usd: float = 0.0
    fund_history: tuple[float, ...] = ()
    shortfall_usd: float = 0.0
    insurance_used_usd: float = 0.0
    deleveraged: int = 0
    socialised_usd: float = 0.0
    bad_debt_usd: float = 0.0
    adaptive: bool = False
    """Whether the policy may change while the venue runs."""
    policy: tuple[PolicyMove, ...] = ()
    speaks: tuple[str, ...] = ()
    """By asset, whether its tail model or a predictive one speaks, and why; empty without predictive models."""
    commands: int = 0
    commands_per_s: float = 0.0
    margin: Latency = Latency()
    commit: Latency = Latency()
    margin_s: float = 0.0
    """Of this tick, as `commit_s`."""
    commit_s: float = 0.0
    refused_prices: int = 0
    refused_last: str = ""
    stopping: bool = False
    late_s: float = 0.0
    """Wall time since a block was due, where that is worth telling."""


# Numbers


def whole(value: float) -> str:
    """USD without cents: 1,234,567."""
    return f"{value:,.0f}".replace("-0", "0") if abs(value) < 0.5 else f"{value:,.0f}"


def short(value: float) -> str:
    """USD in at most six characters: 950, 12.3k, 4.56M."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * unit:
            scaled = value / unit
            return f"{scaled:.{2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0}f}{name}"
    return whole(value)


def price_text(value: float) -> str:
    """A price with as many decimals as its size needs."""
    return f"{value:,.{2 if value >= 100 else 3 if value >= 1.5 else 4}f}"


def percent(value: float) -> str:
    """A signed fraction in percent."""
    return f"{value:+.1%}".replace("%", " %").replace("-0.0 %", "+0.0 %")


def duration(seconds: float) -> str:
    """Two units at most: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{int(seconds)} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def latency(seconds: float) -> str:
    """Milliseconds, or seconds where it comes to that."""
    if seconds >= 0.9995:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.{2 if seconds < 0.00995 else 1 if seconds < 0.0995 else 0}f} ms"


def health_text(value: float) -> Text:
    """Health with the colour of its band."""
    if value > 99:
        return Text("> 99", "blue")
    if value < -99:
        return Text("< 0", BAND_STYLE[0])
    edges = (1.0, 1.15, 1.5, 2.0, 3.0)
    return Text(f"{value:.2f}", BAND_STYLE[sum(value >= edge for edge in edges)])


def clock(ts_ns: int, format: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A time in UTC."""
    return datetime.fromtimestamp(ts_ns // 10**9, UTC).strftime(format)


# Small graphs


def sparkline(values: Sequence[float], width: int, floor: float | None = None) -> str:
    """The values in `width` blocks or fewer, between `floor` or their lowest and their highest."""
    if not values or width < 1:
        return ""
    size = min(width, len(values))
    kept = [values[(k + 1) * len(values) // size - 1] for k in range(size)]
    low, high = min(kept) if floor is None else floor, max(kept)
    if high <= low:
        return BLOCKS[3 if floor is None else 0] * size
    return "".join(BLOCKS[min(7, int(8 * (value - low) / (high - low)))] for value in kept)


def bar(share: float, width: int) -> str:
    """A bar over a share of `width`, in eighths of a character; something is always seen of what is not zero."""
    eighths = max(round(share * width * 8), 1 if share > 0 else 0)
    return "█" * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")


class Graph:
    """A sparkline (of several values) or bar (of a share) that takes the width it is given."""

    def __init__(self, values: Sequence[float] | float, style: str, floor: float | None = None) -> None:
        self.values, self.style, self.floor = values, style, floor

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        values = self.values
        drawn = bar(values, width) if isinstance(values, float) else sparkline(values, width, self.floor)
        yield Text(drawn, self.style, no_wrap=True, end="")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, options.max_width)


# Panels


def _panel(content: RenderableType, title: str, style: str = "bright_black") -> Panel:
    return Panel(content, title=Text(title, "bold"), title_align="left", border_style=style, padding=(0, 1))


def _grid(*columns: str) -> Table:
    """A table without lines; columns `<` left, `>` right, `*` left over all room that is left."""
    table = Table.grid(padding=(0, 1), expand=True)
    for column in columns:
        table.add_column(
            justify="right" if column == ">" else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if column == "*" else None,
        )
    return table


def prices(view: View) -> Panel:
    """Assets with price, change, state and the course so far."""
    table = _grid("<", ">", ">", "<", "*")
    for each in view.prices:
        colour = "red" if each.change < -0.0005 else "green" if each.change > 0.0005 else "dim"
        table.add_row(
            Text(each.asset, "bold"),
            price_text(each.price_usd),
            Text(percent(each.change), colour),
            Text(each.state, STATE_STYLE.get(each.state, "")),
            Graph(each.history, colour),
        )
    return _panel(table, f"Prices, change in {duration(view.history_s)}")


def bands(view: View) -> Panel:
    """Accounts by health, one bar a band."""
    table = _grid("<", ">", "*")
    most = max((count for _, count in view.bands), default=0) or 1
    for (label, count), style in zip(view.bands, BAND_STYLE, strict=False):
        shown = Text(f"{count:,}", style if count else "dim")
        table.add_row(Text(label, "dim" if not count else ""), shown, Graph(count / most, style))
    return _panel(table, f"{view.accounts:,} accounts by health")


def worst(view: View, rows: int, whole_table: bool = True) -> Panel:
    """The accounts that are closest to or furthest beyond their maintenance margin."""
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim", show_edge=False)
    names = ["account", "equity", "initial", "maintenance", "health", "after", "stage"]
    for name in names if whole_table else [each for each in names if each != "initial"]:
        table.add_column(name, justify="left" if name in ("account", "stage") else "right", no_wrap=True)
    for each in view.worst[:rows]:
        equity = Text(whole(each.equity), "bold red" if each.equity < 0 else "")
        cells: list[RenderableType] = [Text(each.name), equity]
        if whole_table:
            cells.append(whole(each.initial_margin))
        cells += [whole(each.maintenance_margin), health_text(each.health), health_text(each.health_now)]
        table.add_row(*cells, Text(each.stage, STAGE_STYLE.get(each.stage, "")))
    shown: RenderableType = table if view.worst else Text("no account has a position", "dim")
    return _panel(shown, "Worst accounts: health at the mark, and after this block")


def stages(view: View) -> Text:
    """How many accounts stand where in the waterfall."""
    found = [(view.stages[stage], stage) for stage in STAGE_STYLE if view.stages.get(stage)]
    if not found:
        return Text("no account is called", "dim")
    words = [Text(f"{count:,} {stage}", STAGE_STYLE[stage]) for count, stage in found]
    return Text("  ", no_wrap=True, overflow="ellipsis").join(words)


def tape(view: View, rows: int, narrow: bool = False) -> Panel:
    """Who is in the waterfall, and what happened last."""
    table = _grid("<", "<", "<", "*", ">")
    for each in view.tape[: max(0, rows - 1)]:
        table.add_row(
            Text(clock(each.ts_ns, "%H:%M"), "dim"),
            Text(each.kind, KIND_STYLE.get(each.kind, "")),
            Text(each.who),
            Text("" if narrow and each.usd is not None else each.what, "dim"),
            Text("" if each.usd is None else short(each.usd)),
        )
    style = "red" if view.stages.get("liquidating") or view.stages.get("auction") else "bright_black"
    return _panel(Group(stages(view), table), "Waterfall", style)


def auctions(view: View, rows: int) -> Panel:
    """Running auctions, the oldest first."""
    table = _grid("<", ">", ">")
    if view.auctions:
        table.add_row(*(Text(name, "dim") for name in ("account", "since", "discount")))
    for each in view.auctions[: max(0, rows - 1)]:
        table.add_row(Text(each.account), duration(each.age_s), Text(f"{each.discount:.1%}", "magenta"))
    shown: RenderableType = table if view.auctions else Text(f"{view.auctioned:,} so far", "dim")
    return _panel(shown, f"Auctions, {len(view.auctions):,} running")


def losses(view: View) -> Panel:
    """The insurance fund and what it and others had to bear."""
    table = _grid("<", ">", "*")
    colour = fund_style(view)
    fund = Graph(view.fund_history, colour, floor=0.0)
    table.add_row("insurance fund", Text(whole(view.fund_usd), f"bold {colour}"), fund)

    def line(name: str, value: float, note: str = "") -> None:
        table.add_row(name, Text(whole(value), "bold red" if value else "dim"), Text(note, "dim"))

    line("shortfall", view.shortfall_usd)
    line("paid by the fund", view.insurance_used_usd, f"of {short(view.fund_start_usd)}")
    line("deleveraged", view.deleveraged, "accounts")
    line("shared loss", view.socialised_usd)
    line("bad debt", view.bad_debt_usd)
    return _panel(table, "Losses, USD")


def fund_style(view: View) -> str:
    """Green while the fund is whole, red when little of it is left."""
    if view.fund_usd < 0.25 * view.fund_start_usd:
        return "red"
    return "yellow" if view.fund_usd < 0.999 * view.fund_start_usd else "green"


def policy(view: View, rows: int) -> Panel:
    """What of the policy is under way, why, and when existing positions will have it in full."""
    table = _grid("<", ">", "<", "*")
    for each in view.policy[:rows]:
        moves = f"{each.present:.2%} → {each.target:.2%}"
        when = f"by {clock(each.end_ns, '%d %b %H:%M')}" if each.end_ns else ""
        held = "" if each.waits_for == "ramp" else f"waits for {each.waits_for} "
        table.add_row(Text(each.parameter, "bold"), moves, Text(f"{held}{when}", "cyan"), Text(each.why, "dim"))
    shown: RenderableType = table if view.policy else Text("as the evidence says: nothing is under way", "dim")
    found = _panel(shown, "Policy: existing positions → new risk", "cyan" if view.policy else "bright_black")
    if view.speaks:
        found.subtitle, found.subtitle_align = Text(" · ".join(view.speaks), "dim"), "left"
    return found


def pace(view: View) -> Panel:
    """How fast the engine works and what it refused to believe."""
    table = _grid("<", ">", "*")

    def line(name: str, value: str, note: str = "") -> None:
        table.add_row(name, Text(value, "bold"), Text(note, "dim"))

    line("liquidations", f"{view.liquidations:,}", f"{short(view.liquidated_usd)} USD")
    line("commands/s", f"{view.commands_per_s:,.0f}", f"{view.commands:,} in all")
    line("margin of all", latency(view.margin.p50_s), f"p99 {latency(view.margin.p99_s)}")
    line("journal commit", latency(view.commit.p50_s), f"p99 {latency(view.commit.p99_s)}")
    line("ticks", f"{view.ticks:,}", f"block {view.height:,}")
    line("refused prices", f"{view.refused_prices:,}", view.refused_last)
    return _panel(table, "Engine")


def _figures(view: View) -> Panel:
    """Losses and pace in one column, for small terminals."""
    table = _grid("<", ">")
    bad = view.bad_debt_usd > 0
    table.add_row("insurance fund", Text(whole(view.fund_usd), "bold"))
    table.add_row("shortfall", Text(whole(view.shortfall_usd), "bold red" if view.shortfall_usd else "dim"))
    table.add_row("bad debt", Text(whole(view.bad_debt_usd), "bold red" if bad else "dim"))
    table.add_row("commands/s", f"{view.commands_per_s:,.0f}")
    table.add_row("margin, journal", f"{latency(view.margin.p50_s)}, {latency(view.commit.p50_s)}")
    table.add_row("auctions", f"{len(view.auctions):,}")
    return _panel(table, "Losses and pace")


def mood(view: View) -> Text:
    """One word on how things stand."""
    if view.stopping:
        return Text(" stopping ", "black on yellow")
    if view.late_s:
        return Text(f" next block takes {duration(view.late_s)} ", "black on yellow")
    if any(each.state != "ok" for each in view.prices):
        return Text(" prices in doubt ", "black on yellow")
    under_way = sum(view.stages.get(stage, 0) for stage in ("liquidating", "auction", "insolvent"))
    recent = sum(
        each.kind in KIND_STYLE and each.kind not in ("price", "policy") and each.ts_ns == view.ts_ns
        for each in view.tape
    )
    if under_way or recent:
        return Text(" liquidating ", "bold white on red")
    return Text(" calm ", "black on green")


def header(view: View, narrow: bool = False) -> Table:
    """Whose market, what time it is there, how things stand."""
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(justify="right", no_wrap=True)
    left = Text.assemble((" Solvent ", "bold reverse"), " ", (view.source, "bold"))
    right = Text.assemble(clock(view.ts_ns, "%Y-%m-%d %H:%M UTC"), "  ")
    if not narrow:
        right.append(f"block {view.height:,}  ", "dim")
    table.add_row(left, right + mood(view))
    return table


def footer(view: View) -> Text:
    """Where it is kept, and the way out."""
    return Text(f" journal {view.store}   Ctrl-C stops after this block", "dim", no_wrap=True, overflow="ellipsis")


def screen(view: View, width: int, height: int) -> Layout:
    """The whole view for a terminal of `width` x `height` characters."""
    upper = max(len(view.bands), min(len(view.prices), 8), 1) + 2
    if width < WIDE or height < TALL:
        rest = height - 1 - upper - 8
        rows = [Layout(header(view, narrow=True), size=1), _row(upper, prices(view), bands(view))]
        if rest > 3:  # borders and head of the table
            rows.append(Layout(worst(view, rest - 3, width >= 70)))
        rows.append(_row(8 if rest > 3 else None, tape(view, 6, narrow=True), _figures(view)))
    else:
        moves = min(max(len(view.policy), 1), POLICY_ROWS)
        rest = height - 2 - upper - 8 - (moves + 2 if view.adaptive else 0)
        rows = [
            Layout(header(view), size=1),
            _row(upper, prices(view), bands(view)),
            *([Layout(policy(view, moves), size=moves + 2)] if view.adaptive else []),
            _row(None, worst(view, rest - 3), tape(view, rest - 2)),
            _row(8, _halves(losses(view), auctions(view, 6)), pace(view)),
            Layout(footer(view), size=1),
        ]
    layout = Layout()
    layout.split_column(*rows)
    return layout


def _row(height: int | None, left: RenderableType, right: RenderableType) -> Layout:
    """Two panels side by side, the left one a little wider, the same in every row."""
    row = Layout(size=height)
    row.split_row(Layout(left, ratio=6), Layout(right, ratio=5))
    return row


def _halves(left: RenderableType, right: RenderableType) -> Layout:
    row = Layout()
    row.split_row(Layout(left, ratio=8), Layout(right, ratio=5))
    return row


def starting(source: str, steps: Sequence[tuple[str, float]], elapsed_s: float, height: int) -> RenderableType:
    """What is shown until the first block: steps done with the seconds that each took, the last one running."""
    table = Table.grid(padding=(0, 1))
    for number, (step, seconds) in enumerate(steps):
        running = number == len(steps) - 1
        mark = Text(SPINNER[int(elapsed_s * 8) % len(SPINNER)], "yellow") if running else Text("✓", "green")
        table.add_row(mark, Text(step, "bold" if running else ""), Text(f"{seconds:.1f} s", "dim"))
    content = Group(Text.assemble((" Solvent ", "bold reverse"), " ", (source, "bold")), Text(), table)
    return Align(
        Panel(content, box=box.ROUNDED, border_style="bright_black", padding=(1, 4)),
        "center",
        vertical="middle",
        height=height,
    )
