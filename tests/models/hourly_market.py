"""Candles of a made market: log variance wanders and has a daily cycle, so that there is something to predict."""

import numpy as np
import polars as pl

STEPS = 12
"""Of five minutes, within each hour."""
BEGINS_MS = 1_577_836_800_000


def made_candles(count: int, seed: int = 0, asset: str = "BTC", venue: str = "made") -> pl.DataFrame:
    """Hourly candles from 2020-01-01: an AR(1) of log variance plus a cycle over the day, Student t steps."""
    rng = np.random.default_rng(seed)
    log_variance = np.empty(count)
    state = 0.0
    for t in range(count):
        state = 0.97 * state + rng.normal(0.0, 0.2)
        log_variance[t] = state + 0.6 * np.sin(2.0 * np.pi * (t % 24) / 24.0)
    sigma = 0.006 * np.exp(0.5 * log_variance)
    steps = rng.standard_t(5, (count, STEPS)) * np.sqrt(0.6) * sigma[:, None] / np.sqrt(STEPS)
    path = 1e4 * np.exp(np.cumsum(steps.ravel()).reshape(count, STEPS))
    close = path[:, -1]
    opened = np.append(1e4, close[:-1])
    whole = np.column_stack([opened, path])
    return pl.DataFrame(
        {
            "ts": pl.Series(BEGINS_MS + 3_600_000 * np.arange(count)).cast(pl.Datetime("ms", "UTC")),
            "asset": [asset] * count,
            "venue": [venue] * count,
            "open": opened,
            "high": whole.max(axis=1),
            "low": whole.min(axis=1),
            "close": close,
            "volume_usd": 1e6 * np.exp(0.3 * log_variance + rng.normal(0.0, 0.3, count)),
        }
    )
