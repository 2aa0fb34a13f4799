"""Paired timing: candidates run in turn in one process, so that their ratio holds on a busy machine.

Absolute times move by several times with the load of the machine; ratios of neighbouring runs do not. Each
round runs every candidate once and every second round in reverse order, so that none profits from its place.
The figure is the median over rounds of time / time of the baseline.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Timing:
    """One candidate's times over all rounds."""

    name: str
    median_ms: float
    best_ms: float
    ratio: float
    """Median over rounds of this candidate's time / the baseline's: above 1 is slower than the baseline."""
    ratio_low: float
    ratio_high: float
    """The 10 % and 90 % quantiles of that ratio: how far to trust it."""


def paired(candidates: Mapping[str, Callable[[], object]], *, rounds: int = 15, warm_ups: int = 1) -> list[Timing]:
    """Time every candidate, the first being the baseline.

    candidates: functions without arguments, by name. rounds: how often each runs. warm_ups: untimed runs
    before, which compile kernels and fill caches.
    """
    for _ in range(warm_ups):
        for run in candidates.values():
            run()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    order = list(candidates)
    for _ in range(rounds):
        for name in order:
            start = time.perf_counter()
            candidates[name]()
            seconds[name].append(time.perf_counter() - start)
        order.reverse()
    baseline = seconds[next(iter(candidates))]
    return [_timing(name, times, baseline) for name, times in seconds.items()]


def _timing(name: str, times: Sequence[float], baseline: Sequence[float]) -> Timing:
    ratios = sorted(mine / base for mine, base in zip(times, baseline, strict=True))
    last = len(ratios) - 1
    return Timing(
        name=name,
        median_ms=1e3 * statistics.median(times),
        best_ms=1e3 * min(times),
        ratio=statistics.median(ratios),
        ratio_low=ratios[round(0.1 * last)],
        ratio_high=ratios[round(0.9 * last)],
    )


def machine() -> dict[str, object]:
    """What a reader needs to place absolute times: processor count, load at the start, versions."""
    return {
        "processors": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


def arguments(description: str) -> argparse.Namespace:
    """Options that all benchmarks share: --json and --rounds."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=15, help="how often each candidate runs (default 15)")
    return parser.parse_args()


def report(
    title: str,
    timings: Sequence[Timing],
    *,
    facts: Mapping[str, object] | None = None,
    as_json: bool = False,
) -> None:
    """Print the timings as a table, or as one JSON object with the machine and `facts` (sizes, errors)."""
    if as_json:
        rows = [asdict(timing) for timing in timings]
        print(json.dumps({"title": title, "machine": machine(), "facts": dict(facts or {}), "timings": rows}))
        return
    width = max(len(timing.name) for timing in timings)
    print(f"{title}   {', '.join(f'{key} {value}' for key, value in machine().items())}")
    print(f"{'':{width}}  {'median ms':>10}  {'best ms':>10}  {'ratio':>8}  10 % .. 90 %")
    for timing in timings:
        print(
            f"{timing.name:{width}}  {timing.median_ms:10.3f}  {timing.best_ms:10.3f}  {timing.ratio:8.3f}  "
            f"{timing.ratio_low:.3f} .. {timing.ratio_high:.3f}"
        )
    for key, value in (facts or {}).items():
        print(f"{key}: {value}")
