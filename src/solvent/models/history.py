"""Candles as the return series that models are fitted to, with everything said that the data lack."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import polars as pl

from solvent.errors import Problem, problem, raise_if
from solvent.models.model import LEAST_RETURNS
from solvent.models.returns import log_returns

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

DAY = timedelta(days=1)
NAMED = 5
"""Of many missing times, how many an error names."""


@dataclass(frozen=True)
class History:
    """Log returns of one asset, oldest first, and what part of them is to be forecast."""

    asset: str
    times: pl.Series
    """Datetime (UTC) of the bar in which each return came, n."""
    returns: F64
    """n; no return reaches over a hole in the data."""
    first: int
    """Place of the first bar to forecast."""
    end: int
    """Place after the last one."""
    step: timedelta

    @property
    def tested(self) -> int:
        """How many bars are forecast."""
        return self.end - self.first


def histories(
    candles: pl.DataFrame,
    assets: Sequence[str],
    start: date | None,
    end: date | None = None,
    *,
    file: str = "candles",
    least: int = LEAST_RETURNS,
) -> list[History]:
    """The series of every asset, to be forecast from `start` to `end`, both included; by default to the end.

    candles: frame `ts, asset, close[, venue]`. All before `start` is there to fit to; without a `start` an asset's
    test begins with the first whole day behind `least` returns. In daily data every day of
    the tested span must be there; in shorter bars holes (exchanges pause) only cost the return over them.

    Raises
    ------
    SolventError
        With everything that is missing, of all assets: days, a past of `least` returns, an end, one source.
    """
    found, problems = [], []
    if end is not None and start is not None and end < start:
        raise_if([problem(file, None, "to", end.isoformat(), f"{start.isoformat()}, the first day, or later")])
    for asset in dict.fromkeys(each.strip().upper() for each in assets):
        rows = candles.filter(pl.col("asset") == asset).sort("ts")
        faults = _source_problems(rows, asset, file)
        if not faults:
            begins = start or _first_day(rows, least)
            history = _history(rows, asset, begins, end)
            faults = _problems(history, rows, begins, end, file, least)
            found.append(history)
        problems += faults
    raise_if(problems, "the data do not cover the test")
    return found


def _first_day(rows: pl.DataFrame, least: int) -> date:
    """The first whole day behind so many returns; behind the data where there are fewer."""
    returns = _history(rows, "", date.min, None)
    if len(returns.times) <= least:
        found: date = rows["ts"].dt.date()[-1]
        return found + DAY
    begins: datetime = returns.times[least]
    return begins.date() if begins.time() == time() else begins.date() + DAY


def _history(rows: pl.DataFrame, asset: str, start: date, end: date | None) -> History:
    ts = rows["ts"].dt.epoch("us").to_numpy()
    gaps = np.diff(ts)
    step_us = int(np.median(gaps))
    whole = gaps == step_us
    returns = log_returns(rows["close"].to_numpy())[whole]
    times = ts[1:][whole]
    first = int(np.searchsorted(times, _epoch_us(start)))
    last = len(times) if end is None else int(np.searchsorted(times, _epoch_us(end + DAY)))
    when = pl.from_epoch(pl.Series("ts", times), "us").dt.replace_time_zone("UTC")
    return History(asset, when, returns, first, last, timedelta(microseconds=step_us))


def _source_problems(rows: pl.DataFrame, asset: str, file: str) -> list[Problem]:
    if len(rows) < 3:
        return [problem(file, None, "asset", asset, f"at least 3 prices; there are {len(rows)}")]
    if "venue" in rows.columns and len(venues := rows["venue"].unique().sort().to_list()) > 1:
        return [
            problem(
                file,
                None,
                "venue",
                f"{asset}: {', '.join(map(str, venues))}",
                "one source of an asset, such as by --venue",
            )
        ]
    bad = rows.filter(~(pl.col("close").is_finite() & (pl.col("close") > 0)))
    return [
        problem(file, None, "close", f"{asset} {row['ts']:%Y-%m-%d %H:%M}: {row['close']}", "a price above 0")
        for row in bad.head(NAMED).to_dicts()
    ]


def _problems(
    history: History, rows: pl.DataFrame, start: date, end: date | None, file: str, least: int
) -> list[Problem]:
    asset, there = history.asset, rows["ts"].dt.date()
    first_day, last_day = there[0], there[-1]
    if history.step > DAY:
        return [problem(file, None, "ts", f"{asset}: every {history.step}", "bars of a day or less")]
    found = []
    if end is not None and last_day < end:
        found.append(problem(file, None, "to", f"{asset} {end}", f"{last_day}, the last day of {asset}, or earlier"))
    if history.first < least:
        value = f"{asset} {start}: {history.first} returns before it"
        found.append(problem(file, None, "from", value, f"{least} before it; {asset} begins {first_day}"))
    elif history.tested < 1:
        found.append(
            problem(file, None, "from", f"{asset} {start}", f"{last_day}, the last day of {asset}, or earlier")
        )
    if history.step == DAY:
        stop = min(end or last_day, last_day)
        days = pl.date_range(max(start, first_day), stop, eager=True) if start <= stop else pl.Series([], dtype=pl.Date)
        missing = days.filter(~days.is_in(there.implode()))
        if len(missing):
            named = ", ".join(each.isoformat() for each in missing.head(NAMED))
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            found.append(
                problem(file, None, "date", f"{asset}: {named}{more} missing", "every day from --from to --to")
            )
    return found


def _epoch_us(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1_000_000
