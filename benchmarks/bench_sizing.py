"""What choosing the legs to close costs, beside pricing them: time a liquidation, the rule's own time excluded.

Claim: below 0.3 ms for one leg and below 3 ms for four, on average, with 19 scenarios a group of underlyings.
Run: PYTHONPATH=src python benchmarks/bench_sizing.py
"""

import time

import numpy as np

from solvent.liquidation.sizing import METHODS

ACCOUNTS = 200
CEILING_MS = {1: 0.3, 4: 3.0}
MOVES = np.linspace(-0.16, 0.16, 19)


class Rule:
    """Worst of the scenarios of each underlying and a charge a lot; keeps the time it takes."""

    def __init__(self, seed: int, legs: int) -> None:
        rng = np.random.default_rng(seed)
        self.lots = rng.integers(10**8, 10**9, legs) * rng.choice([-1, 1], legs)
        self.price = np.exp(rng.normal(10, 1, legs)) / np.abs(self.lots)
        underlying = rng.integers(0, max(legs // 2, 1), legs)
        bend = rng.choice([0.0, 1.0], legs) * rng.normal(0, 2, legs)
        value = self.price[:, None] * (MOVES + bend[:, None] * MOVES**2)
        self.groups = [(underlying == each)[:, None] * value for each in range(max(legs // 2, 1))]
        self.cost = self.price * rng.uniform(0.003, 0.02, legs)
        self.equity = float(self.maintenance(self.lots[None, :])[0]) * rng.uniform(0.5, 1.1)
        self.spent_s, self.calls = 0.0, 0

    def maintenance(self, lots: np.ndarray) -> np.ndarray:
        worst = sum(np.maximum(-(lots @ group), 0).max(axis=1) for group in self.groups)
        return worst + np.abs(lots) @ self.price * 0.01

    def __call__(self, lots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        start = time.perf_counter()
        answer = np.full(len(lots), self.equity), self.maintenance(lots)
        self.spent_s += time.perf_counter() - start
        self.calls += 1
        return answer


def measure(method: str, legs: int) -> tuple[float, float]:
    """Mean milliseconds of one account without the rule's own time, and mean calls of the rule."""
    rules = [Rule(seed, legs) for seed in range(ACCOUNTS)]
    METHODS[method](rules[0].lots, rules[0], rules[0].cost, None, 0.15)
    spent_s = calls = 0.0
    for rule in rules:
        rule.spent_s, rule.calls = 0.0, 0
        start = time.perf_counter()
        METHODS[method](rule.lots, rule, rule.cost, None, 0.15)
        spent_s += time.perf_counter() - start - rule.spent_s
        calls += rule.calls
    return 1e3 * spent_s / ACCOUNTS, calls / ACCOUNTS


if __name__ == "__main__":
    missed = []
    print(f"{'method':<18}{'legs':>5}{'ms':>9}{'calls':>8}")
    for method in ("closed_form", "linear_programme"):
        for legs in (1, 2, 4, 8):
            milliseconds, calls = measure(method, legs)
            print(f"{method:<18}{legs:>5}{milliseconds:>9.3f}{calls:>8.1f}")
            if milliseconds > CEILING_MS.get(legs, np.inf):
                missed.append(f"{method} with {legs} legs: above {CEILING_MS[legs]} ms")
    raise SystemExit("\n".join(missed) or 0)
