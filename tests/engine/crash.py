"""Three days of hourly closes with a crash steep enough to leave accounts below zero, for tests of replays."""

from pathlib import Path

import numpy as np

HOURS = 72
FALL = {30: -0.10, 31: -0.16, 32: -0.20, 33: 0.06, 34: -0.15, 35: 0.08}
"""Market's move by hour."""
START = {"BTC": 60_000.0, "ETH": 3_000.0}


def crash_file(folder: Path, name: str = "crash.csv", hours: int = HOURS) -> Path:
    """Write the candles: `ts, asset, close`."""
    random = np.random.default_rng(3)
    lines = ["ts,asset,close"]
    prices = dict(START)
    for hour in range(hours):
        for asset in prices:
            beta = 1.0 if asset == "BTC" else 1.15
            prices[asset] *= float(np.exp(random.normal(0, 0.004))) * (1 + beta * FALL.get(hour, 0.0))
            lines.append(f"2024-06-{1 + hour // 24:02d}T{hour % 24:02d}:00:00Z,{asset},{prices[asset]:.4f}")
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path
