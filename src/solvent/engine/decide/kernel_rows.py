"""Rows of a book for what-if closings of one account: the inner loop of sizing a liquidation."""

from math import floor

import numpy as np
from numba import njit
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@njit(cache=True)
def closed_rows(
    left: I64, held: I64, column: I64, payment: int, quote_gain: F64, cash_gain: F64, lots: I64, cost: I64
) -> tuple[I64, I64]:
    """Lots and quote legs, both (k, n), of an account for each of k closings.

    left: (k, m) lots that stay of each leg. held: (m,) what there is. column: (m,) where the leg stands among the
    n instruments; payment: where the payment asset does. quote_gain, cash_gain: (m,) what a closed lot adds to the
    leg's quote leg, and to the payment balance, in their lots; rounded down. lots, cost: (n,) the account's row.
    """
    count, size = len(left), len(lots)
    rows, legs = np.empty((count, size), np.int64), np.empty((count, size), np.int64)
    for k in range(count):
        rows[k] = lots
        legs[k] = cost
        cash = 0.0
        for j in range(len(held)):
            closed = float(held[j] - left[k, j])
            rows[k, column[j]] = left[k, j]
            legs[k, column[j]] += np.int64(floor(closed * quote_gain[j]))
            cash += closed * cash_gain[j]
        rows[k, payment] += np.int64(floor(cash))
    return rows, legs
