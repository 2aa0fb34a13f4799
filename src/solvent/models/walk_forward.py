"""Forecast every bar from the bars before it, and from nothing else, by construction.

A model is handed a read-only copy of the past: what comes later is not in the memory that it gets.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from solvent.models.model import Fitted, Model
from solvent.models.returns import SIDES, Side, compounded, losses

F64 = np.ndarray[Any, np.dtype[np.float64]]

FORECASTS: Mapping[str, Any] = {
    "ts": pl.Datetime("us", "UTC"),
    "asset": pl.String,
    "side": pl.String,
    "model": pl.String,
    "level": pl.Float64,
    "margin": pl.Float64,
    "shortfall": pl.Float64,
    "loss": pl.Float64,
    "note": pl.String,
}
"""One row a bar, asset, side and model. `ts`: the bar that is forecast (the first, where there are several).

`margin` and `shortfall`: value at risk and expected shortfall from data strictly before `ts`; `loss`: what came;
all in log returns (see `returns`). `note`: why another model spoke, null where the model did."""


def walk_forward(
    returns: F64,
    times: Sequence[datetime] | pl.Series,
    model: Model,
    *,
    first: int,
    asset: str,
    name: str,
    level: float = 0.99,
    bars: int = 1,
    end: int | None = None,
    outcomes: F64 | None = None,
) -> pl.DataFrame:
    """Forecasts of one asset by one model, both sides: the frame `FORECASTS`.

    returns: log returns, n, or (n, assets) for a model of a portfolio, whose own log returns are `outcomes` then.
    times: when each came, n. first, end: the first bar to forecast and the one after the
    last, as places in `returns`. bars: the horizon; losses are of that many bars from each on.
    A model with a memory runs before `first` too, as far as its memory and the past reach.
    Raises ValueError where the past before `first` is too short for the model.
    """
    end = len(returns) - bars + 1 if end is None else min(end, len(returns) - bars + 1)
    if first < model.least:
        raise ValueError(f"{asset}: {first} returns before the first forecast; {name} needs {model.least}")
    fitted: Fitted | None = None
    rows = max(end - first, 0)
    margins, shortfalls = np.empty((2, 2, rows))
    notes: list[str | None] = []
    for place in range(max(model.least, first - model.memory) - first, rows):
        fitted = model.fit(known(returns, first + place), fitted)
        if place < 0:
            continue
        ahead = fitted.over(bars)
        for s, side in enumerate(SIDES):
            margins[s, place] = ahead.quantile(level, side)
            shortfalls[s, place] = ahead.shortfall(level, side)
        notes.append(fitted.note)
    came = compounded(returns if outcomes is None else outcomes, bars)[first:end]
    when = pl.Series("ts", times)[first:end].cast(FORECASTS["ts"])
    return pl.concat(
        _frame(when, asset, side, name, level, margins[s], shortfalls[s], losses(came, side), notes)
        for s, side in enumerate(SIDES)
    )


def latest(returns: F64, model: Model) -> Fitted:
    """The forecast of the bar after the last return, by a model that has run as far back as its memory reaches.

    Raises ValueError for too few returns.
    """
    fitted: Fitted | None = None
    for count in range(max(model.least, len(returns) - model.memory), len(returns) + 1):
        fitted = model.fit(known(returns, count), fitted)
    if fitted is None:
        raise ValueError(f"{len(returns)} returns: at least {model.least} are needed")
    return fitted


def known(returns: F64, count: int) -> F64:
    """The first `count` returns, as a read-only copy: there is nothing behind it."""
    past = np.array(returns[:count], np.float64)
    past.flags.writeable = False
    return past


def _frame(
    when: pl.Series, asset: str, side: Side, name: str, level: float, margin: F64, shortfall: F64, loss: F64, notes: Any
) -> pl.DataFrame:
    columns: dict[str, Any] = {
        "ts": when,
        "asset": asset,
        "side": side,
        "model": name,
        "level": level,
        "margin": margin,
        "shortfall": shortfall,
        "loss": loss,
        "note": pl.Series(notes, dtype=pl.String),
    }
    series = [
        pl.Series(key, value if not isinstance(value, str | float) else [value] * len(when), dtype=FORECASTS[key])
        for key, value in columns.items()
    ]
    return pl.DataFrame(series)
