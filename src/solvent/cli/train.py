"""`solvent train`: models of the next hour from recorded candles, as files that a policy names by their hash."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from solvent.errors import SolventError, problem

if TYPE_CHECKING:
    import polars as pl

    from solvent.engine.adaptive.model_files import Model
    from solvent.margin.rules.portfolio.params import ModelFile

REJECTED = 0.05
SIDES = ("long", "short")


def train_command(
    data: Annotated[Path, typer.Option(help="Hourly candles with high and low: CSV, Parquet, Arrow or JSON.")],
    assets: Annotated[str, typer.Option(help="Assets, separated by commas.")],
    out: Annotated[Path, typer.Option(help="Folder for the model files; made if needed.")],
    policy: Annotated[str, typer.Option(help="Name or TOML file of a policy that is to name the models.")] = "",
    policy_out: Annotated[Path | None, typer.Option(help="Where that policy is written.")] = None,
    end: Annotated[str, typer.Option("--to", help="Last day to look at; by default the last one of the data.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="A row a model as JSON.")] = False,
) -> None:
    """Train a model of the next hour's variance for each asset, and test it on the 90 days that it did not see.

    A model is LightGBM's text; its file is named by the asset and its BLAKE2b, by which a policy knows it. The same
    candles give the same file on a machine. With --policy a copy of a policy is written that names the models
    (`[margin.prediction.ASSET]`): `solvent up --adaptive --policy FILE --models FOLDER --history CANDLES` uses it.
    The new policy takes effect as any other does: by somebody's order.
    """
    from solvent.cli.backtest import console_errors
    from solvent.cli.fetch import names
    from solvent.cli.shown import console, json_text
    from solvent.engine.adaptive import model_files
    from solvent.engine.files import read_candles, read_policy, write_bytes

    if bool(policy) != (policy_out is not None):
        accepted = "both or neither: the policy to begin with, and where the one that names the models goes"
        raise SolventError(problem("train", None, "--policy, --policy-out", policy or str(policy_out), accepted))
    model_files.check_installed("train")
    base = read_policy(policy) if policy else None
    wanted = tuple(names(assets))
    candles = read_candles(data, wanted, end_ns=end_ns(end))
    with console_errors().status("training"):
        models = model_files.trained(candles, wanted)
        rows = [tested(candles, asset, model) for asset, model in models.items()]
    naming = None if base is None else model_files.with_models(base, models)
    model_files.write_models(out, models)
    if naming is not None and policy_out is not None:
        write_bytes(policy_out, model_files.policy_toml(naming).encode())
    if as_json:
        typer.echo(json_text(rows))
        return
    console().print(table_of(rows))
    for asset, model in models.items():
        typer.echo(f"wrote {out / model_files.named(asset, model).file}")
    if policy_out is not None:
        typer.echo(f"wrote {policy_out}")


def end_ns(day: str) -> int | None:
    """The last nanosecond of a day in UTC; None for no day. Raises SolventError for what is none."""
    if not day:
        return None
    try:
        midnight = datetime.combine(date.fromisoformat(day) + timedelta(days=1), time(), UTC)
    except (ValueError, OverflowError):
        raise SolventError(problem("train", None, "--to", day, "a date such as 2024-12-31")) from None
    return int(midnight.timestamp()) * 10**9 - 1


def tested(candles: "pl.DataFrame", asset: str, model: "Model") -> dict[str, Any]:
    """A model's name, and how margins made with it did on the hours held out, at 99 %."""
    import polars as pl

    from solvent.engine.adaptive.model_files import named
    from solvent.models import hourly
    from solvent.models.backtests.summary import summarise

    both = (hourly.GOVERNED, hourly.CHAMPION)
    found = hourly.forecast(candles, models=both, assets=[asset], kept={asset: model.kept})
    unseen = found.filter(pl.col("ts").dt.epoch("ns") >= model.kept.learnt_before_ns)
    spoken = unseen.filter((pl.col("model") == hourly.GOVERNED) & pl.col("note").ne_missing(hourly.MISSING))
    figures: dict[str, Any] = {"asset": asset, **file_fields(named(asset, model)), "hours": len(spoken) // 2}
    if spoken.is_empty():
        return figures
    since = spoken["ts"].min()
    rows = {(row["model"], row["side"]): row for row in summarise(unseen.filter(pl.col("ts") >= since)).to_dicts()}
    for side in SIDES:
        mine, core = rows[hourly.GOVERNED, side], rows[hourly.CHAMPION, side]
        figures |= {f"{name}_{side}": mine[name] for name in ("exceptions", "kupiec_p")}
        figures[f"score_of_core_{side}"] = mine["pinball"] / core["pinball"]
    return figures


def file_fields(file: "ModelFile") -> dict[str, str]:
    """A model's file as the policy names it."""
    return {"file": file.file, "blake2b": file.blake2b, "learnt_before": file.learnt_before}


def table_of(rows: list[dict[str, Any]]) -> Any:
    """What the terminal shows: a row a model and side."""
    from rich.text import Text

    from solvent.cli.shown import add_numbers, new_table, plain

    title = "Margins of the next hour at 99 %, on hours held out"
    table = new_table("asset", "learnt before", "BLAKE2b", "side", title=title)
    add_numbers(table, "hours", "losses\nbeyond", "Kupiec\np", "pinball loss,\nof the core's")
    for row in rows:
        names = [plain(row["asset"]), plain(row["learnt_before"]), plain(row["blake2b"][:12])]
        for side in SIDES:
            p = row.get(f"kupiec_p_{side}")
            figures: list[Any] = ["-"] * 3
            if p is not None:
                colour = "red" if p < REJECTED else ""
                score = row[f"score_of_core_{side}"]
                figures = [f"{row[f'exceptions_{side}']:,}", Text(f"{p:.3f}", colour), f"{score:.1%}"]
            table.add_row(*names, side, f"{row['hours']:,}", *figures)
            names = [plain("")] * 3
    return table
