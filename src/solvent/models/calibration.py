"""The price move that a policy charges an asset, made from its past; and how such a policy would have done.

The move is the larger of two, for each side: the stack's one-day quantile x the horizon factor of its own paths,
which follows the present and holds 25 % of the worst year, and the quantile of all the past over the horizon, since
a policy in a file stands until the next calibration. The rule's price move is the same both ways: the larger side's.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from solvent.models.catalogue import CHAMPION
from solvent.models.historical import Historical
from solvent.models.liquidity.tiers import PERIOD_DAYS
from solvent.models.procyclicality import TEN_YEARS
from solvent.models.returns import SIDES, Side, compounded, log_loss, losses, price_fraction
from solvent.models.stack import FittedStack, Stack
from solvent.models.walk_forward import FORECASTS, known

F64 = np.ndarray[Any, np.dtype[np.float64]]

HELD = "policy"
"""Name, among the forecasts, of the moves that a policy would have charged."""
HELD_DAYS = 30
"""A policy is taken to be calibrated anew so often, and to stand in between."""
RANGE_MOST = 0.9
"""The rule values no asset at less than a tenth."""
RANGE_DIGITS = 4
HORIZON_MOST_DAYS = 5
"""Of an asset without a liquidity tier of its own: concentration and volume charge what takes longer to sell."""


class Series(NamedTuple):
    """An asset's daily log returns, oldest first."""

    asset: str
    days: "np.ndarray[Any, np.dtype[np.datetime64]]"
    """Shape (n,): the day in which each return came."""
    returns: F64
    """Shape (n,); none reaches over a missing day."""
    pegged: bool = False
    """A stablecoin: no volatility model says when a peg breaks, so the past and a floor speak for it."""


class Path(NamedTuple):
    """One asset's forecasts, the last for the day after the data. Log losses; rows: long, short."""

    asset: str
    horizon_days: int
    first: int
    """Place of the first forecast in the returns; there are n - first + 1."""
    margin: F64
    """Shape (2, n - first + 1): the stack's one-day quantiles; zero for a peg."""
    shortfall: F64
    factor: F64
    """Same shape: quantile over the horizon as a multiple of the one-day quantile, as of the last calibration."""
    long_run: F64
    """Same shape: quantile over the horizon of all the past, as of the last calibration."""
    notes: tuple[str | None, ...]


class Move(NamedTuple):
    """A price move and what made it; pairs are of long and short."""

    fraction: float
    """Of the price, both ways; rounded up."""
    sides: tuple[float, float]
    """Each side's own, before it is capped."""
    model: tuple[float, float]
    """Log losses over the horizon by the stack, of which `fraction` takes the larger."""
    long_run: tuple[float, float]
    reason: str


def horizon_days(tier: int) -> int:
    """Margin period of risk in whole days by liquidity tier."""
    return min(int(PERIOD_DAYS[tier]), HORIZON_MOST_DAYS)


def forecast_path(series: Series, level: float, bars: int, tested: int) -> Path:
    """Forecasts of the last `tested` days and of the day to come, each from earlier returns alone.

    bars: the horizon in days. Raises ValueError where too few returns come before the tested days.
    """
    returns = series.returns
    count = tested + 1
    first = len(returns) - tested
    margin, shortfall, factor, long_run = np.zeros((4, 2, count))
    notes: list[str | None] = []
    model = Stack(level, 1)
    if first < model.least:
        raise ValueError(f"{series.asset}: {first} returns before the first tested day; {model.least} are needed")
    fitted: FittedStack | None = None
    start = 0 if series.pegged else max(model.least, first - model.memory) - first
    for place in range(start, count):
        past = known(returns, first + place)
        if not series.pegged:
            fitted = model.fit(past, fitted)
        if place < 0:
            continue
        calibrated = place % HELD_DAYS == 0 or place == tested
        for s, side in enumerate(SIDES):
            if fitted is not None:
                margin[s, place] = fitted.quantile(level, side)
                shortfall[s, place] = fitted.shortfall(level, side)
            factor[s, place] = horizon_factor(fitted, level, side, bars) if calibrated else factor[s, place - 1]
            long_run[s, place] = past_quantile(past, level, side, bars) if calibrated else long_run[s, place - 1]
        notes.append(None if fitted is None else fitted.note)
    return Path(series.asset, bars, first, margin, shortfall, factor, long_run, tuple(notes))


def horizon_factor(fitted: FittedStack | None, level: float, side: Side, bars: int) -> float:
    """Quantile over `bars` days of the stack's parts, by their own paths, as a multiple of the one-day quantile."""
    if fitted is None or bars == 1:
        return 1.0
    ahead = sum(part.over(bars).quantile(level, side) for part in fitted.parts)
    return max(1.0, ahead / sum(part.quantile(level, side) for part in fitted.parts))


def past_quantile(returns: F64, level: float, side: Side, bars: int) -> float:
    """Log loss over `bars` days that the last ten years exceeded as seldom as the level says; all runs of days."""
    return Historical(TEN_YEARS).fit(returns).over(bars).quantile(level, side)


def move_at(path: Path, place: int, least: float = 0.0) -> Move:
    """The move that a calibration at a place of the path makes; -1 is the one after the data.

    least: fraction that it is not below: a stablecoin's.
    """
    model = tuple(float(path.margin[s, place] * path.factor[s, place]) for s in range(2))
    long_run = tuple(float(path.long_run[s, place]) for s in range(2))
    logs = [max(pair) for pair in zip(model, long_run, strict=True)]
    sides = tuple(price_fraction(log, side) for log, side in zip(logs, SIDES, strict=True))
    largest = max(sides)
    s = sides.index(largest)
    if largest <= least:
        reason = f"floor {least:g}"
    elif largest > RANGE_MOST:
        reason = f"{SIDES[s]}: {largest:.2%}, capped: the rule takes no more"
    else:
        reason = f"{SIDES[s]}: " + ("the stack" if model[s] >= long_run[s] else "all the past")
    fraction = min(RANGE_MOST, max(least, rounded_up(largest)))
    return Move(fraction, (sides[0], sides[1]), (model[0], model[1]), (long_run[0], long_run[1]), reason)


def rounded_up(rate: float, digits: int = RANGE_DIGITS) -> float:
    """To so many digits, up."""
    scale = 10**digits
    return float(ceil(rate * scale - 1e-9) / scale)


def rounded_down(rate: float, digits: int = RANGE_DIGITS) -> float:
    """To so many digits, down."""
    return -rounded_up(-rate, digits)


def daily_forecasts(series: Series, path: Path, level: float) -> pl.DataFrame:
    """The stack's forecasts of the tested days and what came: the frame `FORECASTS`; none for a peg."""
    if series.pegged:
        return pl.DataFrame(schema=dict(FORECASTS))
    came = series.returns[path.first :]
    tested = len(came)
    return _forecasts(
        series, path.first, CHAMPION, level, came, path.margin[:, :tested], path.shortfall[:, :tested], path.notes
    )


def held_forecasts(series: Series, path: Path, level: float, least: float = 0.0) -> pl.DataFrame:
    """What policies calibrated every `HELD_DAYS` would have charged over the horizon, and what came over it."""
    came = compounded(series.returns, path.horizon_days)[path.first :]
    count = len(came)
    margin = np.empty((2, count))
    for start in range(0, count, HELD_DAYS):
        fraction = move_at(path, start, least).fraction
        for s, side in enumerate(SIDES):
            margin[s, start : start + HELD_DAYS] = log_loss(fraction, side)
    return _forecasts(series, path.first, HELD, level, came, margin, np.full((2, count), np.nan), [None] * count)


def _forecasts(
    series: Series, first: int, model: str, level: float, came: F64, margin: F64, shortfall: F64,
    notes: Sequence[str | None],
) -> pl.DataFrame:  # fmt: skip
    when = pl.Series("ts", series.days[first : first + len(came)].astype("datetime64[us]"))
    frames = [
        pl.DataFrame(
            {
                "ts": when.dt.replace_time_zone("UTC"),
                "margin": margin[s],
                "shortfall": pl.Series(shortfall[s], nan_to_null=True),
                "loss": losses(came, side),
                "note": pl.Series(notes[: len(came)], dtype=pl.String),
            }
        ).with_columns(asset=pl.lit(series.asset), side=pl.lit(side), model=pl.lit(model), level=pl.lit(level))
        for s, side in enumerate(SIDES)
    ]
    return pl.concat(frames).select(pl.col(key).cast(kind) for key, kind in FORECASTS.items())
