"""Recorded prices that tests calibrate: two coins, a stablecoin, a coin that crashes days in a row, a short history."""

from pathlib import Path

import numpy as np
import polars as pl
from tests.models.samples import garch_returns

FIRST = pl.date(2022, 9, 1)
DAYS = 620


def prices(asset: str, returns: np.ndarray, volume_usd: float, last: int = DAYS) -> pl.DataFrame:
    """Daily rows of an asset that end with the others."""
    close = 100.0 * np.exp(np.cumsum(returns))
    days = pl.date_range(FIRST, FIRST + pl.duration(days=DAYS - 1), eager=True).tail(last)
    wide = np.exp(np.abs(returns))
    return pl.DataFrame({"date": days, "asset": [asset] * last, "open": close, "high": close * wide,
                         "low": close / wide, "close": close, "volume_usd": [volume_usd] * last})  # fmt: skip


def written(path: Path) -> Path:
    """A CSV of BTC, ETH, USDC, DOGE (which crashes three days in a row, twice) and SOL (300 days)."""
    common = garch_returns(DAYS, 11)
    ether = 0.9 * common + 0.5 * garch_returns(DAYS, 12)
    peg = np.diff(np.random.default_rng(7).normal(0.0, 0.0005, DAYS + 1))
    crashing = garch_returns(DAYS, 13)
    for day in (400, 500):
        crashing[day : day + 3] = (-0.15, -0.25, -0.4)
    frames = [
        prices("BTC", common, 2e10),
        prices("ETH", ether, 1e10),
        prices("USDC", peg, 5e9).with_columns(pl.col("open", "high", "low", "close") / 100.0),
        prices("DOGE", crashing, 5e8),
        prices("SOL", garch_returns(300, 14), 2e9, last=300),
    ]
    pl.concat(frames).write_csv(path)
    return path
