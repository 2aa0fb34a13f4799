"""Forecasts of two models on normal losses of changing scale: one is right, one asks for two thirds."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from solvent.models.backtests.distributions import NORMAL

START = datetime(2021, 1, 1, tzinfo=UTC)
FACTORS = {"right": 1.0, "low": 0.65}


def forecasts(days: int = 700, assets: tuple[str, ...] = ("BTC",), seed: int = 3) -> pl.DataFrame:
    """Both sides of each asset at 99 %."""
    chance = np.random.default_rng(seed)
    scale = 0.03 * np.exp(0.3 * np.sin(np.arange(days) / 50.0))
    ts = [START + timedelta(days=i) for i in range(days)]
    parts = []
    for asset in assets:
        returns = scale * chance.standard_normal(days)
        for side, sign in (("long", -1.0), ("short", 1.0)):
            for model, factor in FACTORS.items():
                columns = {
                    "ts": ts, "asset": asset, "side": side, "model": model, "level": 0.99,
                    "margin": factor * scale * float(NORMAL.quantile(0.01)),
                    "shortfall": factor * scale * float(NORMAL.shortfall(0.01)), "loss": sign * returns,
                }  # fmt: skip
                parts.append(pl.DataFrame(columns))
    return pl.concat(parts)
