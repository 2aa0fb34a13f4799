"""`solvent backtest`: margins that a model or a policy would have asked for, held against what came."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from solvent.errors import Problem, problem, raise_if

if TYPE_CHECKING:
    import polars as pl

    from solvent.domain.policy import Policy
    from solvent.models.history import History

DAYS_MOST = 60
"""The longest horizon: beyond it a few years hold too few losses that do not overlap."""
SHOWN = {
    "exceptions": "losses\nbeyond",
    "kupiec_p": "Kupiec\np",
    "conditional_coverage_p": "cond. cov.\np",
    "dq_p": "DQ\np",
    "mean_margin": "mean\nmargin",
    "mean_margin_at_equal_coverage": "at equal\ncoverage",
    "historical_var_500_at_equal_coverage": "500-bar\nhistorical",
    "peak_to_trough": "peak to\ntrough",
    "max_one_day_rise": "largest\nrise",
}
PERCENTS = ("mean_margin", "mean_margin_at_equal_coverage", "historical_var_500_at_equal_coverage", "max_one_day_rise")
REJECTED = 0.05


def backtest_command(
    data: Annotated[Path, typer.Option(help="Daily or hourly prices: CSV, Parquet, Arrow or JSON; see replay.")],
    assets: Annotated[str, typer.Option(help="Assets, separated by commas; `all`: every one of the file.")] = "all",
    start: Annotated[
        str,
        typer.Option(
            "--from", help="First day to test; what comes before is fitted to. By default: as soon as it can."
        ),
    ] = "",
    end: Annotated[str, typer.Option("--to", help="Last day to test; by default the last one of the data.")] = "",
    venue: Annotated[str, typer.Option(help="Source of the prices, where the data have several of an asset.")] = "",
    model: Annotated[
        str, typer.Option("--model", "--models", help="Names, separated by commas; `all` races all.")
    ] = "",
    policy: Annotated[str, typer.Option(help="Name or TOML file: the price moves that it charges.")] = "",
    level: Annotated[float, typer.Option(help="Share of losses that the margin shall cover.")] = 0.99,
    horizon: Annotated[int, typer.Option(help="Bars that a margin shall last for.")] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="A row an asset, side and model as JSON, all figures.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page with plots to this file.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write every forecast to this file (.parquet, .csv, ...).")] = None,
) -> None:
    """Backtest models, or the price moves that a policy charges, day by day on recorded prices.

    Every forecast sees only the days before it. Margins and losses are log returns: 10 % are 9.5 % of the price
    for a long and 10.5 % for a short. A p-value below 5 % rejects: Kupiec, that as many losses went beyond the
    margin as the level says; conditional coverage, that besides they come independently; DQ, that nothing known
    before tells when. Equal coverage rescales each margin to cover exactly the level, which makes costs comparable.
    Without --model and --policy the champion, `stack`, is tested.
    """
    from solvent.cli.shown import console, json_text
    from solvent.engine.files import read_policy, write_bytes, write_frame
    from solvent.models import hourly
    from solvent.models.catalogue import BENCHMARK, CHAMPION
    from solvent.models.model import LEAST_RETURNS
    from solvent.models.race import figures

    first, last = wanted_days(start, end)
    names = model_names(model or ("" if policy else CHAMPION))
    check_numbers(level, horizon, names)
    chosen = read_policy(policy) if policy else None
    of_hours = set(names) & set(hourly.MODELS)
    least = LEAST_RETURNS if first or not of_hours else hourly.WARM_UP_HOURS
    candles, series, left_out = wanted_series(data, assets, venue, first, last, least)
    check_lengths(series, horizon)
    if of_hours:
        check_warm_up(series, candles, data.name)
    with console_errors().status("backtest") as status:
        forecasts, benchmark = all_forecasts(series, candles, names, chosen, level, horizon, status.update)
    summary = figures(forecasts, benchmark, horizon)
    if out is not None:
        write_frame(out, forecasts)
    if report is not None:
        from solvent.reports.backtest import backtest_page

        raced = forecasts if BENCHMARK in names else forecasts.vstack(benchmark)
        write_bytes(report, backtest_page(raced, benchmark=BENCHMARK, source=data.name).encode())
    if as_json:
        typer.echo(json_text(summary.to_dicts()))
        return
    for part in parts(summary, series, level, horizon):
        console().print(part)
    for asset, why in left_out.items():
        typer.echo(f"left out: {asset}: {why}")
    for path in (out, report):
        if path is not None:
            typer.echo(f"wrote {path}")


def console_errors() -> Any:
    """Stderr: what runs is shown there, so that stdout holds the answer alone."""
    from rich.console import Console

    return Console(stderr=True)


def wanted_days(start: str, end: str) -> tuple[date | None, date | None]:
    """Both ends of the test, None where left open. Raises SolventError for what is no date."""
    found: list[date | None] = []
    problems: list[Problem] = []
    for field, text in (("--from", start), ("--to", end)):
        try:
            found.append(date.fromisoformat(text) if text else None)
        except ValueError:
            problems.append(problem("backtest", None, field, text, "a date such as 2024-12-31"))
    raise_if(problems)
    return found[0], found[1]


def wanted_series(
    data: Path, assets: str, venue: str, first: date | None, last: date | None, least: int
) -> "tuple[pl.DataFrame, list[History], dict[str, Problem]]":
    """Candles, the series that are tested, and, where all assets are asked for, why one is left out.

    Raises SolventError where a named asset does not cover the test, or none does.
    """
    from solvent.engine.files import read_candles, read_sound_candles
    from solvent.errors import SolventError
    from solvent.models.history import histories

    if assets.strip().lower() != "all":
        tickers = [each.strip().upper() for each in assets.split(",") if each.strip()]
        candles = of_venue(read_candles(data, tickers), venue, data.name)
        return candles, histories(candles, tickers, first, last, file=data.name, least=least), {}
    candles, left_out = read_sound_candles(data)
    candles = of_venue(candles, venue, data.name)
    found: list[History] = []
    for asset in candles["asset"].unique().sort().to_list():
        try:
            found += histories(candles, [asset], first, last, file=data.name, least=least)
        except SolventError as error:
            left_out[asset] = error.problems[0]
    if not found:
        raise_if(list(left_out.values()), "the data do not cover the test")
    return candles, found, left_out


def of_venue(candles: "pl.DataFrame", venue: str, file: str) -> "pl.DataFrame":
    """Candles of one source; all where none is named. Raises SolventError for a source that is not there."""
    known = candles["venue"].unique().sort().to_list()
    if venue and venue not in known:
        raise_if([problem(file, None, "--venue", venue, f"one of {', '.join(known)}")])
    return candles.filter(candles["venue"] == venue) if venue else candles


def model_names(text: str) -> list[str]:
    """Names separated by commas, `all` being all of them. Raises SolventError for an unknown name, or what it needs."""
    from solvent.models import hourly
    from solvent.models.catalogue import ESTIMATED, MODELS, PORTFOLIO_MODEL

    there = [*MODELS, PORTFOLIO_MODEL]
    names = [each.strip() for each in text.split(",") if each.strip()]
    names = list(dict.fromkeys(there if "all" in names else names))
    accepted = f"one of {', '.join(there)}, or all; on hourly candles {', '.join(hourly.MODELS)}"
    problems = [
        problem("backtest", None, "--model", each, accepted)
        for each in names
        if each not in there and each not in hourly.MODELS
    ]
    if not problems:
        needs = {"arch": ESTIMATED | hourly.BY_ARCH, "lightgbm": hourly.BY_LIGHTGBM}
        remedy = "`./run --with models ...` or `pip install 'solvent[models]'`"
        problems = [
            problem("backtest", None, package, "not installed", remedy)
            for package, estimated in needs.items()
            if estimated & set(names) and find_spec(package) is None
        ]
    raise_if(problems)
    return names


def check_numbers(level: float, horizon: int, names: Sequence[str]) -> None:
    """Raise SolventError for a level or horizon that no model answers for."""
    from solvent.models import hourly
    from solvent.models.evt import THRESHOLD_LEVEL

    least = THRESHOLD_LEVEL if any("evt" in each for each in names) else 0.5
    problems = []
    if not least < level < 1.0:
        problems.append(problem("backtest", None, "--level", level, f"above {least:g}, below 1, such as 0.99"))
    if horizon > 1 and set(names) & set(hourly.MODELS):
        problems.append(problem("backtest", None, "--horizon", horizon, "1 for models of hourly candles"))
    if not 1 <= horizon <= DAYS_MOST:
        problems.append(problem("backtest", None, "--horizon", horizon, f"1 to {DAYS_MOST}"))
    raise_if(problems)


def check_lengths(series: Sequence["History"], horizon: int) -> None:
    """Raise SolventError where a horizon is longer than what is left of the data: no loss would be known."""
    ends = {each.asset: min(each.end, len(each.returns) - horizon + 1) - each.first for each in series}
    raise_if(
        [
            problem("backtest", None, "--horizon", f"{horizon} on {asset}", f"at most {(count + horizon) // 2} bars")
            for asset, count in ends.items()
            if count < horizon
        ]
    )


def check_warm_up(series: Sequence["History"], candles: "pl.DataFrame", file: str) -> None:
    """Raise SolventError where a test is to begin before models of hourly candles have their first forecast."""
    import polars as pl

    from solvent.models.hourly import WARM_UP_HOURS

    problems = []
    for each in series:
        begins = candles.filter(pl.col("asset") == each.asset)["ts"].min()
        assert isinstance(begins, datetime)
        ready = begins + timedelta(hours=WARM_UP_HOURS)
        if each.times[each.first] < ready:
            day = (ready + timedelta(days=1) - timedelta(microseconds=1)).date()
            accepted = (
                f"{day} or later: {WARM_UP_HOURS // 24} days of {each.asset} from {begins:%Y-%m-%d} are for warming up"
            )
            problems.append(problem(file, None, "--from", f"{each.times[each.first]:%Y-%m-%d}", accepted))
    raise_if(problems)


def all_forecasts(
    series: Sequence["History"],
    candles: "pl.DataFrame",
    names: Sequence[str],
    policy: "Policy | None",
    level: float,
    bars: int,
    progress: Any,
) -> "tuple[pl.DataFrame, pl.DataFrame]":
    """Forecasts of what is tested, and of the benchmark beside it."""
    import polars as pl

    from solvent.models import hourly
    from solvent.models.catalogue import BENCHMARK
    from solvent.models.race import constant_forecasts, race

    benchmark = race(series, [BENCHMARK], level, bars, progress)
    of_closes = [name for name in names if name not in hourly.MODELS]
    found = [race(series, of_closes, level, bars, progress)] if of_closes else []
    if of_candles := [name for name in names if name in hourly.MODELS]:
        progress(f"{', '.join(of_candles)}: {len(series)} assets")
        found.append(hourly_forecasts(series, candles, of_candles, level))
    if policy is not None:
        found.append(constant_forecasts(series, charged_moves(policy, series), policy.name, level, bars))
    return pl.concat(found), benchmark


def hourly_forecasts(
    series: Sequence["History"], candles: "pl.DataFrame", names: Sequence[str], level: float
) -> "pl.DataFrame":
    """Forecasts of the models of hourly candles, in the tested span of each asset."""
    import polars as pl

    from solvent.models import hourly

    found = hourly.forecast(candles, level, models=names, assets=[each.asset for each in series])
    spans = [
        (pl.col("asset") == each.asset) & pl.col("ts").is_between(each.times[each.first], each.times[each.end - 1])
        for each in series
    ]
    return found.filter(pl.any_horizontal(spans))


def charged_moves(policy: "Policy", series: Sequence["History"]) -> dict[str, float]:
    """The largest regular price move that a policy of the `portfolio` rule charges, by asset. Raises SolventError."""
    from solvent.domain.policy import parameters
    from solvent.margin.rules.portfolio.params import PortfolioParams

    if policy.rule != "portfolio":
        raise_if([problem(policy.name, None, "margin.rule", policy.rule, "portfolio: it states the moves it charges")])
    params, problems = parameters(PortfolioParams, policy.margin, policy.name, frozenset({"rule"}))
    raise_if(problems)
    assert params is not None
    return {each.asset: params.range_of(each.asset) for each in series}


def parts(summary: "pl.DataFrame", series: Sequence["History"], level: float, bars: int) -> list[Any]:
    """What the terminal shows: a row an asset, side and model, and how to read it."""
    from rich.text import Text

    from solvent.cli.shown import add_numbers, new_table, plain

    one = series[0]
    span = f"{one.times[one.first]:%Y-%m-%d} to {one.times[one.end - 1]:%Y-%m-%d}"
    ahead = "" if bars == 1 else f", {bars} bars ahead; p-values: the worst of {bars} interleaved tests"
    title = f"{level:.2%} of losses to be covered, {span}, {one.tested:,} bars of {one.asset}{ahead}"
    table = new_table("asset", "side", "model", title=title)
    add_numbers(table, *SHOWN.values())
    for row in summary.to_dicts():
        low, high = row.get("kupiec_least"), row.get("kupiec_most")
        cells = [cell(name, row) for name in SHOWN]
        region = "" if low is None else f" ({low}-{high})"
        cells[0] = plain(f"{row['exceptions']}{region}")
        table.add_row(plain(row["asset"]), row["side"], plain(row["model"]), *cells)
    return [table, *note_lines(summary), Text("p-values below 0.05 are in red: the test rejects the model.", "dim")]


def cell(name: str, row: Mapping[str, Any]) -> Any:
    """A figure of the table; a rejecting p-value in red."""
    from rich.text import Text

    value = row.get(name)
    if value is None:
        return "-"
    if name.endswith("_p"):
        return Text(f"{value:.3f}", "red" if value < REJECTED else "")
    return f"{value:.2%}" if name in PERCENTS else f"{value:,.2f}"


def note_lines(summary: "pl.DataFrame") -> list[Any]:
    """How often another model had to speak, a line a model and asset."""
    from solvent.cli.shown import plain

    rows = summary.filter((summary["fallbacks"] > 0) & (summary["side"] == "long")).to_dicts()
    return [
        plain(f"{row['model']} on {row['asset']}: a note stands on {row['fallbacks']:,} forecasts; --out has them")
        for row in rows
    ]
