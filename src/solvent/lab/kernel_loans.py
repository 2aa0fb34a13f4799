"""One day of a pool of loans on many price paths: who is liquidated, by how much, and what stays unpaid."""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

SQUARE_ROOT, CONSTANT_PRODUCT = 0, 1
"""Laws of impact. Square root: I = scale sqrt(Q / size). Constant product: I = Q / (size + Q)."""

BAD_DEBT, REPAID, SEIZED, SLIPPAGE, KEEPERS, UNDERWATER = range(6)
"""Outputs of a path, USD; the last one is the largest part of borrowers with less collateral than debt."""
OUTPUTS = 6
EMPTY = 1e-9
"""USD of collateral that counts as none."""


@njit(cache=True, inline="always")
def impact(law: int, scale: float, size: float, sold: float) -> float:
    """Part of the price that selling `sold` USD gives up."""
    if sold <= 0.0:
        return 0.0
    if law == CONSTANT_PRODUCT:
        return sold / (size + sold)
    return float(min(1.0, scale * np.sqrt(sold / size)))


@njit(cache=True, inline="always")
def best_sale(law: int, scale: float, size: float, edge: float) -> float:
    """USD whose sale pays best, where a keeper gains `edge` of it less the impact: beyond it each dollar loses."""
    if edge <= 0.0:
        return 0.0
    if law == CONSTANT_PRODUCT:
        return float(size * (1.0 / np.sqrt(1.0 - edge) - 1.0)) if edge < 1.0 else np.inf
    return size * (2.0 * edge / (3.0 * scale)) ** 2 if scale > 0.0 else np.inf


@njit(cache=True, parallel=True)
def run_paths(
    paths: F64,
    debt: F64,
    collateral: F64,
    threshold: float,
    bonus: float,
    close_factor: float,
    full_close_health: float,
    latency: int,
    capacity: float,
    gas: float,
    law: int,
    scale: float,
    size: float,
    recovery: float,
) -> F64:
    """(P, OUTPUTS) what becomes of the pool on each path.

    paths: (P, T + 1) price over the price at the start, 1 first. debt: (N,) USD. collateral: (N,) USD at the start;
    borrowers sorted by debt over collateral, the highest first. latency: steps by which the oracle, and with it the
    keepers, lag. capacity: USD that keepers can repay in a step. law, scale, size: of impact, in a step.
    recovery: part of the price impact of a step that is still there in the next.
    """
    out = np.zeros((len(paths), OUTPUTS))
    for p in prange(len(paths)):
        run_path(
            paths[p], debt, collateral, threshold, bonus, close_factor, full_close_health, latency, capacity, gas,
            law, scale, size, recovery, out[p],
        )  # fmt: skip
    return out


@njit(cache=True)
def run_path(
    path: F64,
    debt_start: F64,
    collateral_start: F64,
    threshold: float,
    bonus: float,
    close_factor: float,
    full_close_health: float,
    latency: int,
    capacity: float,
    gas: float,
    law: int,
    scale: float,
    size: float,
    recovery: float,
    out: F64,
) -> None:
    """One path, into `out`; arguments as for `run_paths`."""
    debt, collateral = debt_start.copy(), collateral_start.copy()
    active, count, following, count_all = np.empty(len(debt), np.int64), 0, 0, len(debt)
    seen = np.ones(len(path))
    deviation = 0.0
    for t in range(1, len(path)):
        market = path[t] * (1.0 - deviation)
        seen[t] = market
        oracle = seen[max(0, t - latency)]
        while following < count_all and debt[following] > threshold * collateral[following] * oracle:
            active[count] = following
            count, following = count + 1, following + 1
        sold, left = 0.0, capacity
        edge = 1.0 - oracle / (market * (1.0 + bonus))
        most = best_sale(law, scale, size, edge)
        for k in range(count):
            i = active[k]
            if debt[i] <= threshold * collateral[i] * oracle or left <= 0.0 or sold >= most:
                continue
            health = threshold * collateral[i] * oracle / debt[i]
            repay = debt[i] if health < full_close_health else close_factor * debt[i]
            repay = min(repay, collateral[i] * oracle / (1.0 + bonus), left)
            units = repay * (1.0 + bonus) / oracle
            part = min(1.0, (most - sold) / (units * market)) if units > 0.0 else 0.0
            repay, units = repay * part, units * part
            lost = units * market * impact(law, scale, size, sold + units * market)
            profit = units * market - lost - repay
            if profit <= gas:
                continue
            debt[i] -= repay
            collateral[i] = max(0.0, collateral[i] - units)
            sold += units * market
            left -= repay
            out[REPAID] += repay
            out[SEIZED] += units * market
            out[SLIPPAGE] += lost
            out[KEEPERS] += profit - gas
            if collateral[i] <= EMPTY:
                out[BAD_DEBT] += debt[i]
                debt[i] = 0.0
        deviation = 1.0 - (1.0 - deviation * recovery) * (1.0 - impact(law, scale, size, sold))
        under = 0
        for k in range(count):
            under += debt[active[k]] > collateral[active[k]] * market
        out[UNDERWATER] = max(out[UNDERWATER], under / count_all)
    price = path[-1] * (1.0 - deviation)
    for i in range(count_all):
        out[BAD_DEBT] += max(0.0, debt[i] - collateral[i] * price)
