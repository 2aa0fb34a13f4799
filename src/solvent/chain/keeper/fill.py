"""Filling a block by value under its gas limit: a knapsack, with urgency bought for a stated share of the value."""

import numpy as np
from numpy.typing import NDArray

from solvent.chain.keeper.kernel_fill import best_of_few, take_in_order

CORE = 64
"""Items around the break of the greedy order that are decided exactly."""
CELLS = 4_000
URGENCY_COST = 0.005
"""Share of the block's value that may be given up to do the most urgent first."""
HALVINGS = 5

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Chosen = NDArray[np.bool_]


def knapsack(value: F64, gas: I64, gas_limit: int) -> Chosen:
    """A set of highest value within the gas limit; items of no value are left out.

    Parameters
    ----------
    value : (n,) array
        Base currency.
    gas : (n,) array of int64
        Above 0.

    Returns
    -------
    (n,) array of bool

    Notes
    -----
    By value a unit of gas, except around the break, where dynamic programming decides: items far before it are in
    every good set, items far behind it in none (the core of Balas and Zemel 1980). The better of both is taken.
    """
    chosen = np.zeros(len(value), np.bool_)
    worth = np.flatnonzero((value > 0) & (gas <= gas_limit))
    order = worth[np.argsort(-value[worth] / gas[worth], kind="stable")]
    used = np.cumsum(gas[order])
    end = int(np.searchsorted(used, gas_limit, side="right"))
    if end == len(order):
        chosen[order] = True
        return chosen
    take_in_order(order, gas, gas_limit, chosen)

    start = max(0, end - CORE // 2)
    core = order[start : start + CORE]
    exact = np.zeros(len(value), np.bool_)
    exact[order[:start]] = True
    room = gas_limit - (int(used[start - 1]) if start else 0)
    picked = best_of_few(value[core], gas[core], room, CELLS)
    exact[core[picked]] = True
    room -= int(gas[core[picked]].sum())
    take_in_order(order[start + CORE :], gas, room, exact)
    return exact if value[exact].sum() > value[chosen].sum() else chosen


def fill(value: F64, gas: I64, urgency: F64, gas_limit: int, cost: float = URGENCY_COST) -> Chosen:
    """A set of nearly the highest value within the gas limit, and of these one that does the most urgent first.

    Weighs values by 1 + w urgency, with the largest w in [0, 1] that gives up no more than `cost` of the value.

    Parameters
    ----------
    value, gas, urgency : (n,) arrays
        Urgency from 0 to 1.
    cost : float
        Share of the highest value.
    """
    best = knapsack(value, gas, gas_limit)
    least = (1.0 - cost) * float(value[best].sum())
    if not (urgency > 0).any() or bool(best[value > 0].all()):
        return best
    low, high, weight = 0.0, 1.0, 1.0
    for _ in range(HALVINGS):
        found = knapsack(value * (1.0 + weight * urgency), gas, gas_limit)
        if float(value[found].sum()) >= least:
            best, low = found, weight
        else:
            high = weight
        if low == high:
            break
        weight = 0.5 * (low + high)
    return best
