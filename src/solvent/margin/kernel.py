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


@njit(cache=True)
def add_rows(start: int, end: int, instrument: I64, lots: I64, values: F64, into: F64) -> None:
    """into[s] += sum of lots x values[instrument, s] over one account's slot, four rows a pass."""
    scenarios = len(into)
    slot = start
    while slot + 4 <= end:
        v0, v1 = values[instrument[slot]], values[instrument[slot + 1]]
        v2, v3 = values[instrument[slot + 2]], values[instrument[slot + 3]]
        q0, q1 = float(lots[slot]), float(lots[slot + 1])
        q2, q3 = float(lots[slot + 2]), float(lots[slot + 3])
        for s in range(scenarios):
            into[s] += q0 * v0[s] + q1 * v1[s] + q2 * v2[s] + q3 * v3[s]
        slot += 4
    while slot < end:
        v0, q0 = values[instrument[slot]], float(lots[slot])
        for s in range(scenarios):
            into[s] += q0 * v0[s]
        slot += 1


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


@njit(cache=True)
def _worst_block(
    first: int, last: int, start: I64, length: I64, instrument: I64, lots: I64, values: F64, out: F64
) -> None:
    total = np.empty(values.shape[1])
    for account in range(first, last):
        total[:] = 0.0
        add_rows(start[account], start[account] + length[account], instrument, lots, values, total)
        worst = total[0]
        for s in range(1, len(total)):
            worst = min(worst, total[s])
        out[account] = worst


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
    first: int, last: int, start: I64, length: I64, instrument: I64, lots: I64, underlying: I64, delta: F64,
    moves: F64, option: I64, values: F64, out: F64,
) -> None:  # fmt: skip
    total = np.empty(moves.shape[1])
    net = np.zeros(moves.shape[0])
    listed = np.zeros(moves.shape[0], np.bool_)
    touched = np.empty(moves.shape[0], np.int64)
    for account in range(first, last):
        total[:] = 0.0
        count = 0
        for slot in range(start[account], start[account] + length[account]):
            which = instrument[slot]
            quantity = float(lots[slot])
            row = option[which]
            if row >= 0:
                for s in range(len(total)):
                    total[s] += quantity * values[row, s]
                continue
            asset = underlying[which]
            if not listed[asset]:  # an exposure of zero does not tell: it may have netted to that
                listed[asset] = True
                touched[count] = asset
                count += 1
            net[asset] += quantity * delta[which]
        for k in range(count):
            asset = touched[k]
            exposure = net[asset]
            net[asset] = 0.0
            listed[asset] = False
            for s in range(len(total)):
                total[s] += exposure * moves[asset, s]
        worst = total[0]
        for s in range(1, len(total)):
            worst = min(worst, total[s])
        out[account] = worst


@njit(cache=True, parallel=True)
def _folded_parallel(
    start: I64, length: I64, instrument: I64, lots: I64, underlying: I64, delta: F64, moves: F64, option: I64,
    values: F64, out: F64,
) -> None:  # fmt: skip
    accounts = len(out)
    for block in prange(BLOCKS):
        _folded_block(
            accounts * block // BLOCKS, accounts * (block + 1) // BLOCKS, start, length, instrument, lots,
            underlying, delta, moves, option, values, out,
        )  # fmt: skip


def worst_folded(
    start: I64, length: I64, instrument: I64, lots: I64, underlying: I64, delta: F64, moves: F64, option: I64,
    values: F64,
) -> F64:  # fmt: skip
    """As `worst_rows`, but linear instruments fold into one exposure an underlying; only options cost a row.

    underlying: (I,) asset of each instrument. delta: (I,) USD a lot gains per unit of relative move.
    moves: (U, S) damped relative moves. option: (I,) row in values: (O, S), or -1 for a linear instrument.
    """
    out = np.empty(len(start))
    rows = (start, length, instrument, lots, underlying, delta, moves, option, values, out)
    if len(start) < PARALLEL_FROM:
        _folded_block(0, len(start), *rows)
    else:
        _folded_parallel(*rows)
    return out
