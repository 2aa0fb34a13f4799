"""Lowest payoff of each expiry's options over all settlement prices at which it can have a corner."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
BOOL = NDArray[np.bool_]


@njit(cache=True)
def worst_payoffs(start: I64, end: I64, coins: F64, strike: F64, call: BOOL) -> F64:
    """(G,) min over settlement at 0 and every strike of the group of its payoff, at most 0.

    start, end: (G,) into coins, strike, call: signed coins of each option of a group.
    """
    out = np.zeros(len(start))
    for g in range(len(start)):
        worst = 0.0
        for corner in range(start[g] - 1, end[g]):
            price = 0.0 if corner < start[g] else strike[corner]
            total = 0.0
            for k in range(start[g], end[g]):
                gain = price - strike[k] if call[k] else strike[k] - price
                if gain > 0.0:
                    total += coins[k] * gain
            worst = min(worst, total)
        out[g] = worst
    return out
