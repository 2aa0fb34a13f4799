"""Slotted rows on plain arrays: find, change, append and remove positions of one account in O(row)."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

I64 = NDArray[np.int64]

FULL = -1
"""`add` found no room in the row's slot: the caller moves the row and calls again."""


@njit(cache=True)
def add(
    start: I64,
    length: I64,
    capacity: I64,
    instrument: I64,
    lots: I64,
    cost: I64,
    account: int,
    which: int,
    q: int,
    c: int,
) -> int:
    """Add (q, c) to `account`'s position in `which`; 0 when done, FULL when the slot has no room.

    A position of zero lots and zero cost leaves the row (the last one takes its place).
    """
    first = start[account]
    last = first + length[account]
    for slot in range(first, last):
        if instrument[slot] == which:
            lots[slot] += q
            cost[slot] += c
            if lots[slot] == 0 and cost[slot] == 0:
                instrument[slot] = instrument[last - 1]
                lots[slot] = lots[last - 1]
                cost[slot] = cost[last - 1]
                length[account] -= 1
            return 0
    if q == 0 and c == 0:
        return 0
    if length[account] == capacity[account]:
        return FULL
    instrument[last] = which
    lots[last] = q
    cost[last] = c
    length[account] += 1
    return 0
