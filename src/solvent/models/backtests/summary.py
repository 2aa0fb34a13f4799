"""Every backtest of every model as one frame: what tables, reports and gates read."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from solvent.errors import Problem, problem, raise_if
from solvent.models.backtests import coverage, procyclicality, scores, sequential, shortfall
from solvent.models.backtests.traffic_light import traffic_light

if TYPE_CHECKING:
    import polars as pl

F64 = NDArray[np.float64]

KEYS = ("asset", "side", "model", "level")
"""A row of the summary is one of these."""
COLUMNS = ("ts", *KEYS, "margin", "shortfall", "loss")
"""Of a frame of forecasts: margin and shortfall of `ts` forecast from data strictly before it, and what came."""


def summarise(forecasts: "pl.DataFrame") -> "pl.DataFrame":
    """All tests, scores and metrics, one row an asset, side, model and level.

    forecasts: frame with `COLUMNS`; rows without margin or loss (warm-up) are left out. `margin` and `shortfall`
    are positive fractions of price, `loss` the realised loss of the side; shortfall may be missing or null.
    Figures that the observations do not allow are null: `fz0`, `z2` and `e_process_shortfall` without shortfall.

    Raises
    ------
    SolventError
        For missing columns.
    """
    import polars as pl

    frame = with_losses(forecasts)
    rows = [
        {**dict(zip(KEYS, key, strict=True)), **figures(part, float(str(key[-1])))}
        for key, part in frame.group_by(KEYS, maintain_order=True)
    ]
    if not rows:
        return pl.DataFrame(schema=dict.fromkeys(KEYS[:3], pl.String) | {"level": pl.Float64, "observations": pl.Int64})
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.col(pl.Float64).replace(math.nan, None).name.keep()
    )


def against(forecasts: "pl.DataFrame", benchmark: str) -> "pl.DataFrame":
    """Diebold and Mariano's test of every model against one, row an asset, side, model and level.

    On the times that both have: mean pinball score less the benchmark's as a share of the benchmark's
    (`pinball_relative`, negative is better), its statistic `pinball_t` and p-value `pinball_p`; the same of FZ0 as
    `fz0_difference`, `fz0_t`, `fz0_p`, null without shortfalls. No rows where the benchmark is not there.
    """
    import polars as pl

    frame = with_losses(forecasts)
    other = frame.filter(pl.col("model") == benchmark).drop("model")
    both = frame.filter(pl.col("model") != benchmark).join(
        other, on=["ts", "asset", "side", "level"], suffix="_other", maintain_order="left"
    )
    rows = [
        {**dict(zip(KEYS, key, strict=True)), **_comparison(part, float(str(key[-1])))}
        for key, part in both.group_by(KEYS, maintain_order=True)
    ]
    if not rows:
        return pl.DataFrame(schema=dict.fromkeys(KEYS[:3], pl.String) | {"level": pl.Float64})
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.col(pl.Float64).replace(math.nan, None).name.keep()
    )


def _comparison(part: "pl.DataFrame", level: float) -> dict[str, float]:
    """A model's scores and the benchmark's, which stand in columns that end in `_other`."""
    alpha, loss = coverage.promised(level), part["loss"].to_numpy()
    own, others = (scores.pinball(-loss, -part[name].to_numpy(), alpha) for name in ("margin", "margin_other"))
    pinball = scores.diebold_mariano(own, others)
    joint = [
        scores.fissler_ziegel(-loss, -part[margin].to_numpy(), -part[es].cast(float).to_numpy(), alpha)
        for margin, es in (("margin", "shortfall"), ("margin_other", "shortfall_other"))
    ]
    there = np.isfinite(joint[0]) & np.isfinite(joint[1])
    fz0 = scores.diebold_mariano(joint[0][there], joint[1][there])
    return {
        "observations": len(part),
        "pinball_relative": pinball.difference / float(others.mean()),
        "pinball_t": pinball.statistic,
        "pinball_p": pinball.p_value,
        "fz0_difference": fz0.difference,
        "fz0_t": fz0.statistic,
        "fz0_p": fz0.p_value,
    }


def with_losses(forecasts: "pl.DataFrame", file: str = "forecasts") -> "pl.DataFrame":
    """The rows that have margin and loss, in time order, with a column `shortfall` in any case; checks columns."""
    import polars as pl

    raise_if(column_problems(forecasts.columns, file), "not a frame of forecasts")
    if "shortfall" not in forecasts.columns:
        forecasts = forecasts.with_columns(pl.lit(None, pl.Float64).alias("shortfall"))
    there = pl.col("margin").is_finite() & pl.col("loss").is_finite()
    return forecasts.filter(there.fill_null(False)).sort("ts", maintain_order=True)


def typed(forecasts: "pl.DataFrame", file: str = "forecasts") -> "pl.DataFrame":
    """A frame as a file gave it, with every column in its type: times in UTC, numbers, names.

    Raises SolventError with every row of a wrong value.
    """
    import polars as pl

    raise_if(column_problems(forecasts.columns, file), "not a table of forecasts")
    problems: list[Problem] = []
    columns = [name for name in COLUMNS if name in forecasts.columns]
    found = forecasts.with_columns(_typed(forecasts[name]) for name in columns)
    for name in columns:
        lost = forecasts[name].is_not_null() & found[name].is_null()
        needed = found[name].is_null() if name in ("ts", *KEYS) else lost
        accepted = "a time in UTC" if name == "ts" else "a name" if name in KEYS[:3] else "a number"
        for row in needed.arg_true().head(20).to_list():
            problems.append(problem(file, row + 1, name, forecasts[name][row], accepted))
    for row in (~found["side"].is_in(["long", "short"])).fill_null(False).arg_true().head(20).to_list():
        problems.append(problem(file, row + 1, "side", found["side"][row], "long or short"))
    for row in (~found["level"].is_between(0.5, 1.0, closed="none")).fill_null(False).arg_true().head(20).to_list():
        problems.append(problem(file, row + 1, "level", found["level"][row], "between 0.5 and 1, such as 0.99"))
    for row in (found["margin"] < 0.0).fill_null(False).arg_true().head(20).to_list():
        problems.append(problem(file, row + 1, "margin", found["margin"][row], "at least 0"))
    raise_if(problems, "not a table of forecasts")
    return found.with_columns(pl.col("ts").cast(pl.Datetime("us", "UTC")))


def _typed(column: "pl.Series") -> "pl.Series":
    """A column in its type; null where a value is none of it."""
    import polars as pl

    if column.name in KEYS[:3]:
        return column.cast(pl.String)
    if column.name != "ts":
        return column.cast(pl.Float64, strict=False)
    if column.dtype == pl.String:
        text = column.str.replace("T", " ").str.replace(r"(Z|[+]00:?00)$", "").str.replace(r"^(.{10})$", "$1 00:00:00")
        return text.str.to_datetime(time_unit="us", format="%Y-%m-%d %H:%M:%S%.f", strict=False).dt.replace_time_zone(
            "UTC"
        )
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.convert_time_zone("UTC") if column.dtype.time_zone else column.dt.replace_time_zone("UTC")
    return column.cast(pl.Datetime("us"), strict=False).dt.replace_time_zone("UTC")


def column_problems(columns: Sequence[str], file: str) -> list[Problem]:
    """Columns that are missing; shortfall may be."""
    return [
        problem(file, None, name, "missing", "a column of this name")
        for name in COLUMNS
        if name != "shortfall" and name not in columns
    ]


def figures(forecasts: "pl.DataFrame", level: float) -> dict[str, Any]:
    """Everything about one model of one asset and side: frame in time order without missing margins or losses."""
    losses, margins = (forecasts[name].to_numpy().astype(np.float64) for name in ("loss", "margin"))
    path = procyclicality.procyclicality(losses, margins)
    factor = procyclicality.factor_for_coverage(losses, margins, level)
    return {
        **_coverage_figures(losses, margins, level),
        "mean_margin": path.mean_margin,
        "mean_margin_at_equal_coverage": factor * path.mean_margin,
        "worst_breach": path.worst_breach,
        "mean_shortfall_beyond": path.mean_shortfall_beyond,
        "peak_to_trough": path.peak_to_trough,
        "max_one_day_rise": path.max_one_day_rise,
        "max_five_day_rise": path.max_five_day_rise,
        "max_thirty_day_rise": path.max_thirty_day_rise,
        "pinball": float(scores.pinball(-losses, -margins, coverage.promised(level)).mean()),
        **_shortfall_figures(losses, margins, forecasts["shortfall"].cast(float).to_numpy(), level),
        **_live_figures(losses, margins, level),
    }


def _coverage_figures(losses: F64, margins: F64, level: float) -> dict[str, Any]:
    hit = coverage.hits(losses, margins)
    probability = coverage.promised(level)
    size, count = len(hit), int(hit.sum())
    counts = coverage.transitions(hit)
    low, high = coverage.kupiec_region(size, probability)
    return {
        "observations": size,
        "exceptions": count,
        "exception_rate": count / size,
        "kupiec_p": coverage.kupiec(size, count, probability).p_value,
        "kupiec_least": low,
        "kupiec_most": high,
        "first_failure_p": coverage.time_until_first_failure(coverage.first_failure(hit), probability).p_value,
        "independence_p": coverage.independence(counts).p_value,
        "conditional_coverage_p": coverage.conditional_coverage(size, count, probability, counts).p_value,
        "dq_p": coverage.dynamic_quantile(hit, margins, probability).p_value,
        "traffic_light": traffic_light(size, count, probability).zone,
    }


def _shortfall_figures(losses: F64, margins: F64, shortfalls: F64, level: float) -> dict[str, Any]:
    there = np.isfinite(shortfalls)
    if not there.any():
        return {"fz0": math.nan, "z1": math.nan, "z2": math.nan, "e_process_shortfall": math.nan}
    loss, var, es = losses[there], margins[there], shortfalls[there]
    wealth = sequential.e_process(sequential.e_values_shortfall(loss, var, es, level))
    return {
        "fz0": float(scores.fissler_ziegel(-loss, -var, -es, coverage.promised(level)).mean()),
        "z1": shortfall.z1(loss, var, es),
        "z2": shortfall.z2(loss, var, es, coverage.promised(level)),
        "e_process_shortfall": float(wealth.max()),
    }


def _live_figures(losses: F64, margins: F64, level: float) -> dict[str, Any]:
    """The highest wealth, which is what bounds hold for at any time, and the last."""
    wealth = sequential.e_process(sequential.e_values_var(losses, margins, level))
    return {"e_process": float(wealth.max()), "e_process_last": float(wealth[-1])}
