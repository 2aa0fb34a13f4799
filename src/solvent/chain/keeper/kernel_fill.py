"""Filling a block: the hot loops of a knapsack, on plain arrays."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@njit(cache=True)
def take_in_order(order: I64, gas: I64, room: int, chosen: NDArray[np.bool_]) -> int:
    """Take what still fits, in an order; the room that is left."""
    for item in order:
        if gas[item] <= room:
            chosen[item] = True
            room -= gas[item]
    return room


@njit(cache=True)
def best_of_few(value: F64, gas: I64, room: int, cells: int) -> NDArray[np.bool_]:
    """The best set of a few items by dynamic programming over gas, in steps of room / cells, rounded up.

    Rounded up, a set that fits in steps fits in gas; with a step of a 4,000th of the room the loss is below what one
    item's last step can hold.
    """
    items = len(value)
    step = max(room // cells, 1)
    width = room // step + 1
    best = np.zeros(width)
    taken = np.zeros((items, width), np.bool_)
    for i in range(items):
        need = (gas[i] + step - 1) // step
        for at in range(width - 1, need - 1, -1):
            with_it = best[at - need] + value[i]
            if with_it > best[at]:
                best[at] = with_it
                taken[i, at] = True
    chosen = np.zeros(items, np.bool_)
    at = width - 1
    for i in range(items - 1, -1, -1):
        if taken[i, at]:
            chosen[i] = True
            at -= (gas[i] + step - 1) // step
    return chosen
