"""What a race of all daily models on two assets costs, and that the stack is not paid for in time.

Claims: all models on two assets over 1,949 days below 180 s on two cores; the stack below four times one filtered
simulation with estimated parameters, which is one of its three parts. The peer is arch alone: estimating one
GARCH(1,1)-t a month on the same windows, without any forecast. Prices are drawn by GARCH from a fixed seed.
Run: PYTHONPATH=src python benchmarks/bench_risk_race.py
"""

import argparse
import json
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from paired import machine

from solvent.models.catalogue import MODELS, PORTFOLIO_MODEL
from solvent.models.garch import arch_fit
from solvent.models.history import History
from solvent.models.race import race

DAYS, PAST = 1949, 900
CEILING_S = 180.0
STACK_MOST = 4.0


def drawn(seed: int, asset: str) -> History:
    """Returns with volatility that comes in clusters and heavy tails."""
    draws = np.random.default_rng(seed).standard_t(5, DAYS + PAST) * np.sqrt(3 / 5)
    variance, returns = 1e-3, np.empty(len(draws))
    for t, z in enumerate(draws):
        returns[t] = np.sqrt(variance) * z
        variance = 2e-5 + 0.08 * returns[t] ** 2 + 0.9 * variance
    start = datetime(2017, 1, 1, tzinfo=UTC)
    times = pl.Series("ts", [start + timedelta(days=t) for t in range(len(returns))])
    return History(asset, times, returns, PAST, len(returns), timedelta(days=1))


def estimates_alone(histories: list[History]) -> None:
    """What arch takes for a new estimate a month, from cold starts."""
    for history in histories:
        for end in range(history.first, history.end, 30):
            arch_fit(100.0 * history.returns[max(0, end - 1500) : end], "garch", "t")


def main(as_json: bool) -> list[str]:
    """Times of every model on two assets; what misses its claim."""
    histories = [drawn(1, "BTC"), drawn(2, "ETH")]
    short = [History(h.asset, h.times, h.returns, h.end - 5, h.end, h.step) for h in histories]
    race(short, [*MODELS, PORTFOLIO_MODEL], 0.99)
    seconds = {}
    start = time.perf_counter()
    estimates_alone(histories)
    peer = time.perf_counter() - start
    for name in (*MODELS, PORTFOLIO_MODEL):
        start = time.perf_counter()
        race(histories, [name], 0.99)
        seconds[name] = time.perf_counter() - start
    total, ratio = sum(seconds.values()), seconds["stack"] / seconds["fhs-garch-t"]
    if as_json:
        facts = {"total_s": total, "roof_s": CEILING_S, "arch_alone_s": peer, "stack_ratio": ratio}
        print(json.dumps({"title": "risk race", "machine": machine(), "facts": facts, "seconds": seconds}))
    else:
        print(f"{'model':<16}{'s':>8}{'x arch':>9}   {', '.join(f'{key} {value}' for key, value in machine().items())}")
        for name, each in {"arch alone": peer, **seconds, "all": total}.items():
            print(f"{name:<16}{each:>8.2f}{each / peer:>9.2f}")
        print(f"roof {CEILING_S:.0f} s; stack / fhs-garch-t {ratio:.2f}, at most {STACK_MOST:g}")
    missed = [f"all models take {total:.0f} s: above {CEILING_S:.0f} s"] if total > CEILING_S else []
    return missed + ([f"the stack takes {ratio:.1f} times fhs-garch-t"] if ratio > STACK_MOST else [])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    raise SystemExit("\n".join(main(parser.parse_args().json)) or 0)
