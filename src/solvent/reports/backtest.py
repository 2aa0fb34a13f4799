"""The page of a backtest: exceptions, coverage over time, margin paths, cost, and every test in plain language."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from solvent.errors import problem, raise_if
from solvent.models.backtests import coverage, sequential, shortfall
from solvent.models.backtests.distributions import LossDistribution
from solvent.models.backtests.summary import against as score_differences
from solvent.models.backtests.summary import summarise, with_losses
from solvent.reports import backtest_figures as draw
from solvent.reports.page import page, plot, prose, section, table, terms, tiles

if TYPE_CHECKING:
    import polars as pl

ASSETS_SHOWN = 4
"""Drawn; tables have all."""
WORST_SHOWN = 12
PREFERRED = "stack"
BENCHMARKS = ("hs-500", "hs500", "historical")
"""What others are held against, the first that is there."""
HEAVY_TAIL = 4.0
"""Degrees of freedom of the losses for which Z2 is judged: about those of daily crypto returns."""
SIZE = 0.05
"""Tests refuse below this p-value."""
MEANINGS = {
    "exception": "A loss beyond the margin that was forecast for it from earlier data alone.",
    "accepted": "The fewest and the most exceptions that Kupiec's test accepts at 5 %.",
    "Kupiec p": "How likely so odd a number of exceptions is if the model is right. Refused below 0.05.",
    "independence p": "The same for exceptions that follow one another (Christoffersen).",
    "conditional coverage p": "Number and order at once.",
    "DQ p": "Whether earlier exceptions or the margin itself foretell the next (Engle and Manganelli).",
    "light": "The supervisors' traffic light over all days: yellow from 95 % of right models, red from 99.99 %.",
    "mean margin": "What the model costs on average, as a share of price.",
    "at equal coverage": "Mean margin after rescaling to exactly the promised coverage (in-sample): the fair price.",
    "peak to trough": "Largest margin over smallest: how much it asks for when everybody is asked.",
    "1-day rise": "Largest rise of the margin from one forecast to the next; 5-day rise: over five.",
    "worst": "The largest loss as a multiple of its margin.",
    "mean beyond": "Mean loss beyond the margin, of those beyond it, as a share of price.",
    "Z2": "Number and size of exceptions against the expected shortfall: about 0 if right, negative if understated "
    "(Acerbi and Szekely).",
    "e-process": "Wealth of somebody who bets against the model every day, from 1. A right model lets it reach 20 in "
    "at most one case of twenty, ever: from 5 somebody looks, from 20 the model is wrong. Shown at its highest.",
}


def backtest_page(
    forecasts: "pl.DataFrame",
    featured: str | None = None,
    benchmark: str | None = None,
    notes: Sequence[str] = (),
    source: str = "",
) -> str:
    """A whole HTML document about one or many models' forecasts; it needs nothing else.

    forecasts: the frame of `models.backtests.summary`, one level. featured: the model that is shown day by day, by
    default the stack or the first; benchmark: the one that costs are held against. source: of the data, for the foot.

    Raises
    ------
    SolventError
        For missing columns, no rows, several levels, or a model that is not there.
    """
    frame = with_losses(forecasts)
    models = frame["model"].unique(maintain_order=True).to_list()
    levels = frame["level"].unique().to_list()
    raise_if(_problems(models, levels, featured, benchmark), "no page of these forecasts")
    chosen = featured or (PREFERRED if PREFERRED in models else models[0])
    ordered = [chosen, *(each for each in models if each != chosen)]
    against = benchmark or next((each for each in BENCHMARKS if each in models), None)
    summary = summarise(frame)
    start, end = frame["ts"][0], frame["ts"][-1]
    lead = (
        f"{_counted(len(models), 'model')} of margin at {levels[0]:.6g}, {start:%Y-%m-%d} to {end:%Y-%m-%d}; each "
        "margin from data strictly before the loss that it is held against."
    )
    parts = [
        tiles(headline(summary, chosen)),
        *(prose(note, "note") for note in notes),
        section(f"What the tests say of {chosen}", *readings(summary, chosen)),
        *_figures(frame, summary, ordered, against, levels[0]),
        section("Every model and test", every_test(summary)),
        section("Every model and its cost", every_cost(summary, against)),
        *([section(f"Scores against {against}", every_score(frame, against))] if against and len(models) > 1 else []),
        section(f"Largest breaches of {chosen}", worst(frame, chosen)),
        section("What the words mean", terms(MEANINGS)),
    ]
    return page("Do the margins hold?", lead, parts, f"{source} Made by Solvent; a model, not a forecast.".strip())


def headline(summary: "pl.DataFrame", model: str) -> dict[str, str]:
    """The figures of one model that matter first, over all assets and sides."""
    import polars as pl

    mine = summary.filter(pl.col("model") == model)
    size, count = int(mine["observations"].sum()), int(mine["exceptions"].sum())
    inside = mine.filter(pl.col("kupiec_p") > SIZE)
    joint = mine.filter(pl.col("conditional_coverage_p") > SIZE)
    highest = {
        name: max((x for x in mine[name].to_list() if x is not None), default=None)
        for name in ("peak_to_trough", "max_one_day_rise", "worst_breach")
    }
    return {
        "model": model,
        "losses covered": f"{1 - count / size:.2%}",
        "exceptions": f"{count:,} of {size:,}",
        "pass Kupiec": f"{len(inside)} of {len(mine)}",
        "pass conditional coverage": f"{len(joint)} of {len(mine)}",
        "mean margin": _percent(float(mine["mean_margin"].to_numpy().mean())),
        "highest peak to trough": _number(highest["peak_to_trough"], ".1f"),
        "largest one-day rise": _rise(highest["max_one_day_rise"]),
        "worst loss over margin": _number(highest["worst_breach"], ".1f") + "x",
    }


def readings(summary: "pl.DataFrame", model: str) -> list[str]:
    """A paragraph an asset and side."""
    import polars as pl

    rows = summary.filter(pl.col("model") == model).to_dicts()
    return [f"<h3>{_escaped(row)}</h3>" + prose(reading(row)) for row in rows]


def reading(row: Mapping[str, Any]) -> str:
    """What the tests of one row say, in sentences."""
    low, high = row["kupiec_least"], row["kupiec_most"]
    count = row["exceptions"]
    many = "as many as a right model has" if row["kupiec_p"] > SIZE else "too many" if count > high else "too few"
    found = [
        f"{count:,} of {row['observations']:,} losses ({row['exception_rate']:.2%}) went beyond the margin: {many} "
        f"({low} to {high} are accepted; p {_p(row['kupiec_p'])})."
    ]
    if _is_low(row["independence_p"]):
        found.append(f"They follow one another (p {_p(row['independence_p'])}): the margin is late after a shock.")
    else:
        found.append(f"They do not follow one another (p {_p(row['independence_p'])}).")
    if _is_low(row["dq_p"]):
        found.append(f"They could have been foretold from earlier ones or from the margin (DQ p {_p(row['dq_p'])}).")
    if row["mean_shortfall_beyond"] is not None:
        found.append(
            f"Beyond the margin stood {row['mean_shortfall_beyond']:.2%} of price on average; the worst loss was "
            f"{row['worst_breach']:.1f} times its margin."
        )
    state = sequential.state(row["e_process"])
    calm = {"quiet": "never alerted", "alert": "alerted, without a breach", "breach": "found the margin too low"}
    found.append(f"Live monitoring {calm[state]} (highest wealth {row['e_process']:.3g}).")
    found.append(
        f"The margin cost {row['mean_margin']:.2%} on average; its largest value was {row['peak_to_trough']:.1f} times "
        f"its smallest, its largest one-day rise {_rise(row['max_one_day_rise'])}."
    )
    return " ".join(found)


def every_test(summary: "pl.DataFrame") -> str:
    """Tests of all models by asset and side."""
    head = [
        "asset", "side", "model", "exceptions", "accepted", "Kupiec p", "independence p", "conditional coverage p",
        "DQ p", "light", "Z2", "e-process",
    ]  # fmt: skip
    critical = z2_critical(summary)
    rows = [
        [row["asset"], row["side"], row["model"], f"{row['exceptions']:,}",
         f"{row['kupiec_least']} to {row['kupiec_most']}", _marked(row["kupiec_p"]), _marked(row["independence_p"]),
         _marked(row["conditional_coverage_p"]), _marked(row["dq_p"]), row["traffic_light"],
         _number(row["z2"], ".2f") + (" *" if _is_below(row["z2"], critical.get((row["observations"], row["level"])))
                                      else ""),
         _number(row["e_process"], ".3g")]
        for row in summary.sort("asset", "side", maintain_order=True).to_dicts()
    ]  # fmt: skip
    note = prose(
        "A star marks a test that refuses the model at 5 %; Z2 is judged for losses of a t of 4 degrees.", "note"
    )
    return note + table(head, rows, right=range(3, len(head)))


def z2_critical(summary: "pl.DataFrame") -> dict[tuple[int, float], float]:
    """(observations, level) -> Z2 below which 5 % of right models fall whose losses are a t of 4 degrees."""
    asked = summary.drop_nulls("z2").select("observations", "level").unique(maintain_order=True).rows()
    return {
        (size, level): shortfall.critical_value(
            shortfall.z2_sampler, size, coverage.promised(level), SIZE, LossDistribution(HEAVY_TAIL)
        )
        for size, level in asked
    }


def every_cost(summary: "pl.DataFrame", benchmark: str | None) -> str:
    """What all models cost and how far they fell short, by asset and side."""
    base = {
        (row["asset"], row["side"]): row["mean_margin_at_equal_coverage"]
        for row in summary.to_dicts()
        if row["model"] == benchmark
    }
    head = [
        "asset", "side", "model", "mean margin", "at equal coverage", *([f"against {benchmark}"] if base else []),
        "peak to trough", "1-day rise", "5-day rise", "worst", "mean beyond",
    ]  # fmt: skip
    rows = []
    for row in summary.sort("asset", "side", maintain_order=True).to_dicts():
        other, equal = base.get((row["asset"], row["side"])), row["mean_margin_at_equal_coverage"]
        against = [f"{equal / other - 1:+.1%}" if other else "-"] if base else []
        rows.append([
            row["asset"], row["side"], row["model"], _percent(row["mean_margin"]), _percent(equal), *against,
            _number(row["peak_to_trough"], ".1f"), _rise(row["max_one_day_rise"]), _rise(row["max_five_day_rise"]),
            _number(row["worst_breach"], ".1f"), _percent(row["mean_shortfall_beyond"]),
        ])  # fmt: skip
    return table(head, rows, right=range(3, len(head)))


def every_score(forecasts: "pl.DataFrame", benchmark: str) -> str:
    """Scores of all models against the benchmark's, and whether the difference is more than chance."""
    frame = score_differences(forecasts, benchmark)
    head = ["asset", "side", "model", "pinball", "t", "p", "FZ0", "t", "p"]
    rows = [
        [row["asset"], row["side"], row["model"], _number(row["pinball_relative"], "+.1%"),
         _number(row["pinball_t"], "+.2f"), _number(row["pinball_p"], ".3f"), _number(row["fz0_difference"], "+.3f"),
         _number(row["fz0_t"], "+.2f"), _number(row["fz0_p"], ".3f")]
        for row in frame.sort("asset", "side", maintain_order=True).to_dicts()
    ]  # fmt: skip
    text = (
        "Below zero is better than the benchmark; a p-value above 0.05 says that it may be chance (Diebold and "
        "Mariano, variance by Newey and West)."
    )
    return prose(text, "note") + table(head, rows, right=range(3, len(head)))


def worst(forecasts: "pl.DataFrame", model: str) -> str:
    """The days on which the margin fell furthest short."""
    import polars as pl

    rows = (
        forecasts.filter((pl.col("model") == model) & (pl.col("loss") > pl.col("margin")))
        .sort(pl.col("loss") / pl.col("margin"), descending=True)
        .head(WORST_SHOWN)
    )
    if not len(rows):
        return prose("None: every loss was within its margin.")
    cells = [
        [f"{row['ts']:%Y-%m-%d %H:%M}".removesuffix(" 00:00"), row["asset"], row["side"], _percent(row["margin"]),
         _percent(row["loss"]), _percent(row["loss"] - row["margin"]), f"{row['loss'] / row['margin']:.2f}"]
        for row in rows.to_dicts()
    ]  # fmt: skip
    head = ["time, UTC", "asset", "side", "margin", "loss", "beyond", "loss over margin"]
    return table(head, cells, right=range(3, len(head)))


def _figures(
    frame: "pl.DataFrame", summary: "pl.DataFrame", models: Sequence[str], benchmark: str | None, level: float
) -> list[str]:
    """Every figure in its section; the first model is the one that is shown day by day."""
    import polars as pl

    featured = models[0]
    every = frame["asset"].unique(maintain_order=True).to_list()
    assets = every[:ASSETS_SHOWN]
    panels = [
        (asset, side)
        for asset in assets
        for side in sorted(frame.filter(pl.col("asset") == asset)["side"].unique().to_list())
    ]
    tall = 70 + 270 * -(-len(panels) // 2) if len(panels) > 1 else 380
    rest = f" Drawn are {len(assets)} of {len(every)} assets; the tables have all." if len(every) > len(assets) else ""
    mine = frame.filter(pl.col("model") == featured)
    shown = summary.filter(pl.col("asset").is_in(assets))
    parts = [
        section(
            "Exceptions on the return series",
            prose(f"Returns between the margins of {featured}: the lower line is what a long must hold, the upper "
                  f"what a short must. Every dot is a loss beyond its margin.{rest}", "note"),
            plot(draw.exceptions(mine, assets), "exceptions", 70 + 300 * len(assets)),
        ),
        section(
            "Coverage over time",
            prose("Exceptions so far. A model whose line leaves the shaded funnel upward has let too many losses "
                  "through; below it asks for more than it promised.", "note"),
            plot(draw.coverage_over_time(frame, panels, models, level), "coverage", tall),
        ),
        section("Margin paths", plot(draw.margin_paths(frame, panels, models), "paths", tall)),
        section(
            "Cost against coverage",
            prose("Lower is cheaper; inside the shaded band is as covered as promised. Filled marks are longs, open "
                  "ones shorts.", "note"),
            plot(draw.cost_against_coverage(shown, assets, models, level), "cost", 460),
        ),
    ]  # fmt: skip
    if benchmark is not None and len(models) > 1:
        text = f"Mean margin rescaled to exactly the promised coverage, against {benchmark}: below zero is cheaper."
        figure = draw.cost_at_equal_coverage(shown, models, benchmark)
        parts.append(section("Cost at equal coverage", prose(text, "note"), plot(figure, "equal", 360)))
    text = "Wealth of a bet against each model; the dotted lines are alert (5) and breach (20)."
    figure = draw.live_monitor(frame, panels, models, level)
    return [*parts, section("Live monitoring", prose(text, "note"), plot(figure, "monitor", tall))]


def _problems(models: Sequence[str], levels: Sequence[float], featured: str | None, benchmark: str | None) -> list[Any]:
    if not models:
        return [problem("forecasts", None, "rows", "none", "at least one with margin and loss")]
    found = [
        problem("forecasts", None, name, model, f"one of {', '.join(models)}")
        for name, model in (("featured", featured), ("benchmark", benchmark))
        if model is not None and model not in models
    ]
    if len(levels) > 1:
        found.append(problem("forecasts", None, "level", str(sorted(levels)), "one level a page"))
    return found


def _escaped(row: Mapping[str, Any]) -> str:
    from html import escape

    return escape(f"{row['asset']}, {row['side']}")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _is_low(p_value: float | None) -> bool:
    return p_value is not None and p_value <= SIZE


def _is_below(value: float | None, critical: float | None) -> bool:
    return value is not None and critical is not None and value < critical


def _p(p_value: float | None) -> str:
    if p_value is None:
        return "unknown"
    return f"{p_value:.2f}" if p_value >= 0.01 else f"{p_value:.3f}" if p_value >= 0.001 else "below 0.001"


def _marked(p_value: float | None) -> str:
    text = "-" if p_value is None else f"{p_value:.3f}"
    return f"{text} *" if _is_low(p_value) else text


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _rise(value: Any) -> str:
    return "-" if value is None else f"{value:+.0%}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
