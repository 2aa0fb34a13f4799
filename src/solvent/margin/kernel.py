"""Worst (or expected-shortfall) scenario value of every account, without ever holding accounts x scenarios."""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

BLOCKS = 64
"""Accounts are cut into this many blocks for the threads; results do not depend on it."""
PARALLEL_FROM = 50_000
"""Below this many accounts one thread is faster than starting two."""


@njit(cache=True, inline="always")
def add_rows(first: int, last: int, row: I64, weight: F64 | I64, values: F64, into: F64) -> None:
    """into[s] += sum of weight[k] x values[row[k], s] over first <= k < last, four rows a pass.

    Elements are indexed, never sliced: each slice would cost two atomic counts.
    """
    k = first
    while k + 4 <= last:
        i0, i1, i2, i3 = row[k], row[k + 1], row[k + 2], row[k + 3]
        w0, w1, w2, w3 = float(weight[k]), float(weight[k + 1]), float(weight[k + 2]), float(weight[k + 3])
        for s in range(values.shape[1]):
            into[s] += w0 * values[i0, s] + w1 * values[i1, s] + w2 * values[i2, s] + w3 * values[i3, s]
        k += 4
    while k < last:
        i0, w0 = row[k], float(weight[k])
        for s in range(values.shape[1]):
            into[s] += w0 * values[i0, s]
        k += 1


@njit(cache=True, fastmath={"nnan", "nsz", "reassoc"})
def highest(values: F64) -> float:
    """The largest value. A maximum has no rounding, so the order of comparison is free; NaN never enters."""
    worst = values[0]
    for s in range(1, len(values)):
        worst = max(worst, values[s])
    return float(worst)


@njit(cache=True, forceinline=True)
def tail_mean(values: F64, count: int) -> float:
    """Mean of the `count` largest values (1: the maximum): expected shortfall of losses."""
    if count == 1:
        return highest(values)
    kept = np.full(count, -np.inf)
    for s in range(len(values)):
        x = values[s]
        if x > kept[count - 1]:
            slot = count - 1
            while slot > 0 and kept[slot - 1] < x:
                kept[slot] = kept[slot - 1]
                slot -= 1
            kept[slot] = x
    total = 0.0
    for k in range(count):  # not kept.sum(): its order differs between numpy and compiled code
        total += kept[k]
    return total / count


@njit(cache=True, inline="always")
def _lowest_cleared(total: F64) -> float:
    """The smallest total; leaves zeros."""
    lowest = np.inf
    for s in range(len(total)):
        lowest = min(lowest, total[s])
        total[s] = 0.0
    return lowest


@njit(cache=True)
def _worst_block(
    first: int, last: int, start: I64, length: I64, instrument: I64, lots: I64, values: F64, out: F64
) -> None:
    total = np.zeros(values.shape[1])
    for account in range(first, last):
        add_rows(start[account], start[account] + length[account], instrument, lots, values, total)
        out[account] = _lowest_cleared(total)


@njit(cache=True, parallel=True)
def _worst_parallel(start: I64, length: I64, instrument: I64, lots: I64, values: F64, out: F64) -> None:
    accounts = len(out)
    for block in prange(BLOCKS):
        _worst_block(
            accounts * block // BLOCKS,
            accounts * (block + 1) // BLOCKS,
            start,
            length,
            instrument,
            lots,
            values,
            out,
        )


def worst_rows(start: I64, length: I64, instrument: I64, lots: I64, values: F64) -> F64:
    """Lowest scenario total of every account; every instrument is a row of `values`.

    start, length: (A,) slots into instrument, lots: (N,). values: (I, S) change of value of one lot, USD.
    Returns (A,) USD. Added memory: S x 8 bytes a thread.
    """
    out = np.empty(len(start))
    if len(start) < PARALLEL_FROM:
        _worst_block(0, len(start), start, length, instrument, lots, values, out)
    else:
        _worst_parallel(start, length, instrument, lots, values, out)
    return out


@njit(cache=True)
def _folded_block(
    first: int, last: int, start: I64, length: I64, instrument: I64, lots: I64, factor: I64, delta: F64, moves: F64,
    option: I64, values: F64, out: F64,
) -> None:  # fmt: skip
    total = np.zeros(moves.shape[1])
    longest = max(moves.shape[0], 1)
    for account in range(first, last):
        longest = max(longest, length[account])
    net, listed = np.zeros(moves.shape[0]), np.zeros(moves.shape[0], np.bool_)
    option_row, option_weight = np.empty(longest, np.int64), np.empty(longest)
    factor_row, factor_weight = np.empty(longest, np.int64), np.empty(longest)
    for account in range(first, last):
        options = factors = 0
        for slot in range(start[account], start[account] + length[account]):
            which, quantity = instrument[slot], float(lots[slot])
            if option[which] >= 0:
                option_row[options], option_weight[options] = option[which], quantity
                options += 1
                continue
            f = factor[which]
            if not listed[f]:  # an exposure of zero does not tell: it may have netted to that
                listed[f] = True
                factor_row[factors] = f
                factors += 1
            net[f] += quantity * delta[which]
        for k in range(factors):
            f = factor_row[k]
            factor_weight[k] = net[f]
            net[f] = 0.0
            listed[f] = False
        add_rows(0, options, option_row, option_weight, values, total)
        add_rows(0, factors, factor_row, factor_weight, moves, total)
        out[account] = _lowest_cleared(total)


@njit(cache=True, parallel=True)
def _folded_parallel(
    start: I64, length: I64, instrument: I64, lots: I64, factor: I64, delta: F64, moves: F64, option: I64,
    values: F64, out: F64,
) -> None:  # fmt: skip
    accounts = len(out)
    for block in prange(BLOCKS):
        _folded_block(
            accounts * block // BLOCKS, accounts * (block + 1) // BLOCKS, start, length, instrument, lots,
            factor, delta, moves, option, values, out,
        )  # fmt: skip


def worst_folded(
    start: I64, length: I64, instrument: I64, lots: I64, factor: I64, delta: F64, moves: F64, option: I64, values: F64
) -> F64:
    """As `worst_rows`, but linear instruments fold into one exposure a factor; only options cost a row each.

    factor: (I,) row in moves: (F, S) of each linear instrument. Instruments whose moves are proportional share
    one: a grid of moves in multiples of each asset's range has a single factor, a history one an asset.
    delta: (I,) USD a lot gains per unit of its factor's move. option: (I,) row in values: (O, S) of an option,
    or -1 for a linear instrument.
    """
    out = np.empty(len(start))
    rows = (start, length, instrument, lots, factor, delta, moves, option, values, out)
    if len(start) < PARALLEL_FROM:
        _folded_block(0, len(start), *rows)
    else:
        _folded_parallel(*rows)
    return out
