"""`solvent calibrate`: a policy from recorded prices, with its evidence; none where its backtest fails."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from solvent.errors import Problem, problem, raise_if

if TYPE_CHECKING:
    from solvent.engine.calibrate import Calibration, Wanted

ALL = "all"


def calibrate_command(
    data: Annotated[list[Path], typer.Option(help="Candles: CSV, Parquet, Arrow; may be repeated, volumes compared.")],
    assets: Annotated[str, typer.Option(help="Assets, separated by commas; `all` takes those with enough data.")],
    out: Annotated[Path, typer.Option(help="The policy to write (.toml); its evidence is written beside it.")],
    base: Annotated[str, typer.Option(help="Policy of the `portfolio` rule whose other parameters are kept.")] = (
        "portfolio"
    ),
    level: Annotated[float, typer.Option(help="Share of losses that margins shall cover.")] = 0.99,
    horizon: Annotated[
        int | None, typer.Option(help="Days that a margin shall last for; by default 1 to 5 by liquidity.")
    ] = None,
    until: Annotated[str, typer.Option(help="Last day that is looked at (YYYY-MM-DD); by default the data's.")] = "",
    override: Annotated[str, typer.Option(help="Write it though its backtest fails; the reason is recorded.")] = "",
    evidence: Annotated[Path | None, typer.Option(help="Folder, or .json file, for the evidence.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; by default one a core.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="What was written as one JSON object.")] = False,
) -> None:
    """Make a policy of the `portfolio` rule from recorded prices, and its evidence.

    Price moves are the larger of the stack's quantile x horizon factor, which holds a quarter of the worst year,
    and the quantile of all the past. Groups offset by the lowest correlation that each pair has shown. Collateral
    terms are those of `solvent collateral`; what the scenarios scan is charged for its sale only.

    Every forecast of the last 1,000 days is held against what came. A policy whose backtest fails, or whose data
    are too few, is not written unless --override says why. Nothing is written by halves, and the policy last.
    """
    from solvent.cli.backtest import console_errors
    from solvent.cli.shown import console, json_text
    from solvent.engine.calibrate import calibrate
    from solvent.engine.files import write_together
    from solvent.reports.calibration import summary_values

    wanted = wanted_of(data, assets, base, level, horizon, until, override, out)
    with console_errors().status("calibrate") as status:
        found = calibrate(wanted, workers, status.update)
        status.update("evidence")
        files = pack(found, out, evidence)
    write_together(files)
    if as_json:
        typer.echo(json_text({**summary_values(found), "files": [str(path) for path in reversed(files)]}))
        return
    for part in parts(found):
        console().print(part)
    for path in reversed(files):
        typer.echo(f"wrote {path}")


def wanted_of(
    data: list[Path], assets: str, base: str, level: float, horizon: int | None, until: str, override: str, out: Path
) -> "Wanted":
    """What is asked for, checked. Raises SolventError with everything that is wrong with it."""
    from importlib.util import find_spec

    from solvent.cli.backtest import DAYS_MOST
    from solvent.engine.calibrate import Wanted

    problems: list[Problem] = []
    last = None
    try:
        last = date.fromisoformat(until.strip()) if until.strip() else None
    except ValueError:
        problems.append(problem("calibrate", None, "--until", until, "a date such as 2024-12-31"))
    names = tuple(dict.fromkeys(each.strip().upper() for each in assets.split(",") if each.strip()))
    if not names:
        problems.append(problem("calibrate", None, "--assets", assets or "empty", "assets such as BTC,ETH, or all"))
    if not 0.9 <= level < 1.0:
        problems.append(problem("calibrate", None, "--level", level, "at least 0.9, below 1, such as 0.99"))
    if horizon is not None and not 1 <= horizon <= DAYS_MOST:
        problems.append(problem("calibrate", None, "--horizon", horizon, f"1 to {DAYS_MOST} days"))
    if out.suffix.lower() != ".toml":
        problems.append(problem("calibrate", None, "--out", out.name, "a file *.toml"))
    if find_spec("arch") is None:
        remedy = "`./run --with models ...` or `pip install 'solvent[models]'`"
        problems.append(problem("calibrate", None, "arch", "not installed", remedy))
    raise_if(problems)
    every = names == (ALL.upper(),)
    return Wanted(tuple(data), None if every else names, base, level, horizon, last, override)


def pack(found: "Calibration", out: Path, evidence: Path | None) -> dict[Path, bytes]:
    """Every file with its bytes, the policy last."""
    from io import BytesIO

    from solvent.reports.calibration import evidence_json, evidence_pages

    stem, folder = out.stem, out.parent
    if evidence is not None and evidence.suffix == ".json":
        stem, folder = evidence.stem, evidence.parent
    elif evidence is not None:
        folder = evidence
    fact = evidence if evidence is not None and evidence.suffix == ".json" else folder / f"{stem}.evidence.json"
    frame = BytesIO()
    found.forecasts.write_parquet(frame)
    files = {folder / f"{stem}.{name}.html": page.encode() for name, page in evidence_pages(found).items()}
    files[folder / f"{stem}.forecasts.parquet"] = frame.getvalue()
    return {**files, fact: evidence_json(found).encode(), out: found.text.encode()}


def parts(found: "Calibration") -> list[Any]:
    """What the terminal shows: a line an asset, groups, and what is to be known."""
    from rich.text import Text

    from solvent.cli.shown import add_numbers, new_table, plain
    from solvent.reports.calibration import table_rows

    title = f"{found.policy.label}: {found.wanted.level:.2%} of losses to be covered, data to {found.as_of}"
    table = new_table("asset", title=title)
    add_numbers(table, "price\nmove", "days", "liquidity", "haircut", "cap USD", "beyond,\nlong", "beyond,\nshort")
    table.add_column("by", overflow="fold")
    for row in table_rows(found):
        counts = row["haircut"] is not None
        haircut = f"{row['haircut']:.1%}{' sale' if row['scanned'] else ''}" if counts else "-"
        cap = f"{row['cap_usd']:,.0f}" if counts else "-"
        cells = [f"{row['price_move']:.2%}", row["horizon_days"], f"tier {row['liquidity_tier']}", haircut, cap]
        table.add_row(*(plain(str(each)) for each in (row["asset"], *cells, *row["beyond"], row["by"])))
    lines = [
        plain(f"offset: {', '.join(group.assets)}, lowest correlation {group.correlation:.2f}")
        for group in found.groups
    ]
    lines += [plain(f"left out: {asset}: {why}") for asset, why in found.left_out.items()]
    lines += [Text.assemble(("failed ", "red"), plain(f"{each.name}: {each.value}")) for each in found.failed]
    return [table, *lines, Text("beyond: losses above the stack's margin, and how many Kupiec's test accepts", "dim")]
