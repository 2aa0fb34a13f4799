"""Stressed price paths of one day: real bars drawn anew, more often from the wildest, filled in between."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvent.errors import SolventError, problem

if TYPE_CHECKING:
    import polars as pl

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

DAY_S = 86_400
STEP_S = 600
"""Bars that are longer are filled in with steps of so many seconds."""
BLOCK_S = 21_600
"""Bars are drawn in runs of so long, so that a fall keeps its pace."""
STRESSED_SHARE = 0.25
"""Of the runs come from the wildest tenth of the history (as EMIR's option b weighs stress in margins)."""
WILDEST = 0.9
PARKINSON = 4 * math.log(2)
"""E[ln(high / low)^2] = PARKINSON sigma^2. Source: M. Parkinson, Journal of Business 53 (1980)."""
BARS_LEAST = 60


class Bars(NamedTuple):
    """A history of equal bars, n in all."""

    move: F64
    """(n,) ln(close / last close)."""
    sigma: F64
    """(n,) volatility within the bar from its range, at least |move| / 2 where there is none."""
    volume_usd: F64
    """(n,)"""
    step_s: int
    """Length of a bar."""

    @property
    def volume_usd_daily(self) -> float:
        """Median day's volume; NaN where the file has none."""
        known = self.volume_usd[np.isfinite(self.volume_usd)]
        return float(np.median(known)) * DAY_S / self.step_s if len(known) else math.nan

    @property
    def sigma_daily(self) -> float:
        """Root mean square of a day's move."""
        return float(np.sqrt(np.mean(self.move**2) * DAY_S / self.step_s))


def bars(candles: "pl.DataFrame", asset: str) -> Bars:
    """The bars of one asset out of a tidy candle frame; of several venues, each time's first.

    Raises SolventError for fewer than `BARS_LEAST` bars, and for bars longer than a day.
    """
    rows = candles.filter(candles["asset"] == asset.upper()).unique("ts", keep="first").sort("ts")
    if len(rows) < BARS_LEAST:
        raise SolventError(problem("candles", None, asset, f"{len(rows)} bars", f"at least {BARS_LEAST}"))
    times = rows["ts"].dt.epoch("s").to_numpy()
    gaps = np.diff(times)
    step_s = int(np.median(gaps))
    if not 0 < step_s <= DAY_S:
        raise SolventError(problem("candles", None, "ts", f"a bar of {step_s} s", "bars of at most a day"))
    close = rows["close"].to_numpy().astype(np.float64)
    span = np.log(_column(rows, "high") / _column(rows, "low"))[1:]
    move = np.diff(np.log(close))
    whole = gaps == step_s  # a move across a gap is not a bar's
    sigma = np.where(np.isfinite(span), span / math.sqrt(PARKINSON), np.abs(move) / 2)
    return Bars(move[whole], sigma[whole], _column(rows, "volume_usd")[1:][whole], step_s)


def _column(rows: "pl.DataFrame", name: str) -> F64:
    return rows[name].cast(float).fill_null(math.nan).to_numpy().astype(np.float64)


def stressed_paths(history: Bars, count: int, seed: int, vol_multiple: float = 1.0) -> F64:
    """(count, T + 1) prices over the price at the start through one day; the same for the same seed.

    Runs of bars are drawn with replacement, a quarter of them from the wildest tenth of the history. Bars longer than
    ten minutes are filled by a Brownian bridge to their own close with the volatility of their own range.

    Parameters
    ----------
    history : Bars
        What is drawn from.
    count : int
        Paths, each a day.
    seed : int
        Of the generator.
    vol_multiple : float
        Every move and range times so much: a stress beyond what the history holds.
    """
    chance = np.random.default_rng(seed)
    bars_a_day = round(DAY_S / history.step_s)
    run = max(1, min(bars_a_day, round(BLOCK_S / history.step_s)))
    runs = -(-bars_a_day // run)
    starts = _starts(history, run, (count, runs), chance)
    drawn = (starts[:, :, None] + np.arange(run)).reshape(count, -1)[:, :bars_a_day]
    parts = max(1, round(history.step_s / STEP_S))
    move, sigma = vol_multiple * history.move[drawn], vol_multiple * history.sigma[drawn]
    noise = chance.standard_normal((count, bars_a_day, parts)) * (sigma / math.sqrt(parts))[:, :, None]
    walk = np.cumsum(noise, axis=2)
    share = np.arange(1, parts + 1) / parts
    inside = walk - share * walk[:, :, -1:] + share * move[:, :, None]
    before = np.cumsum(move, axis=1) - move
    log_price = (before[:, :, None] + inside).reshape(count, -1)
    return np.concatenate([np.ones((count, 1)), np.exp(log_price)], axis=1)


def _starts(history: Bars, run: int, shape: tuple[int, int], chance: np.random.Generator) -> I64:
    """First bars of runs; of the wildest tenth by squared moves and ranges, for the stressed share of them."""
    last = len(history.move) - run + 1
    energy = np.concatenate([[0.0], np.cumsum(history.move**2 + history.sigma**2)])
    wild = energy[run:] - energy[:last]
    wildest = np.flatnonzero(wild >= np.quantile(wild, WILDEST))
    usual = chance.integers(0, last, shape)
    stressed = wildest[chance.integers(0, len(wildest), shape)]
    # a day is stressed or not as a whole: wild hours follow wild hours
    return np.where(chance.random((shape[0], 1)) < STRESSED_SHARE, stressed, usual)


def loss_quantile(paths: F64, steps: int, level: float) -> float:
    """The loss over so many steps that is not exceeded with probability `level`, over all paths and times."""
    moves = 1 - paths[:, steps:] / paths[:, :-steps]
    return max(0.0, float(np.quantile(moves, level)))
