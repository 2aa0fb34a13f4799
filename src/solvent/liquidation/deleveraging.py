"""Deleveraging: which counterparties close how many lots of a bankrupt leg, and how far that is from fair."""

from collections.abc import Callable
from functools import cmp_to_key
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]

_NEAR = 1e-14
"""Relative distance of two float scores below which integers decide: far above the float error of four
factors (under 1e-15), so an order that floats state with confidence is the exact one."""


class Counterparties(msgspec.Struct, frozen=True):
    """Holders of the opposite side of one instrument, from one snapshot. Every field is an array [n].

    Amounts are integers of 1e-6 USD. `skip` is the caller's: hedge legs whose loss would raise a margin above
    equity, isolated accounts, whoever else must be left alone. Insolvent holders are skipped anyway.
    """

    account: I64
    """Distinct ids; the lower one wins a tie."""
    lots: I64
    """Lots of the opposite side that could be closed, >= 0."""
    profit: I64
    """Unsettled profit of the position, signed."""
    notional: I64
    """Notional of the position, >= 0."""
    account_notional: I64
    """Notional of all positions of the account, >= 0; over equity it is the leverage."""
    equity: I64
    """Equity of the account."""
    skip: NDArray[np.bool_]
    """True: never touched."""


class Deleveraging(msgspec.Struct, frozen=True):
    """Who closes what. `closed_lots` sums to `needed`, or to all there is."""

    closed_lots: I64
    """Lots closed of each counterparty, in the order given, [n]."""
    needed_lots: int
    overshoot_lots: int
    """Closed less needed: 0, or negative where the opposite side had too little."""
    regret_lots: int
    """Lots that land on somebody beyond that account's pro-rata part: 0 is pro rata, and a queue's
    concentration is this over `needed_lots`."""
    touched: int
    """Counterparties that lose lots."""


def deleverage(method: str, needed_lots: int, counterparties: Counterparties) -> Deleveraging:
    """Close `needed_lots` >= 0 of the opposite side by a method of `METHODS`."""
    available = _available(counterparties)
    needed = min(needed_lots, int(available.sum(dtype=object)) if available.size else 0)
    closed = METHODS[method](needed, counterparties)
    fair = pro_rata(needed, counterparties)
    beyond = np.maximum(closed.astype(object) - fair.astype(object), 0)
    return Deleveraging(
        closed_lots=closed,
        needed_lots=needed_lots,
        overshoot_lots=needed - needed_lots,
        regret_lots=int(beyond.sum()) if beyond.size else 0,
        touched=int(np.count_nonzero(closed)),
    )


def queue(needed_lots: int, counterparties: Counterparties) -> I64:
    """Whole positions from the highest score down: unsettled profit / notional x leverage (the venues' rule).

    Returns lots closed [n]; `needed_lots` is at most what is available.
    """
    available = _available(counterparties)
    closed = np.zeros_like(available)
    rest = needed_lots
    for row in ranking(counterparties):
        if not rest:
            break
        closed[row] = min(rest, int(available[row]))
        rest -= int(closed[row])
    return closed


def pro_rata(needed_lots: int, counterparties: Counterparties) -> I64:
    """Everybody in proportion to lots held, rounded by largest remainder, ties to the lower account id.

    Returns lots closed [n]; `needed_lots` is at most what is available.
    """
    available = _available(counterparties).astype(object)
    total = int(available.sum()) if available.size else 0
    if not total:
        return np.zeros(available.size, dtype=np.int64)
    product = available * needed_lots
    closed, remainder = product // total, product % total
    missing = needed_lots - int(closed.sum())
    order = sorted(range(available.size), key=lambda row: (-remainder[row], int(counterparties.account[row])))
    closed[order[:missing]] += 1
    return closed.astype(np.int64)


def ranking(counterparties: Counterparties) -> list[int]:
    """Rows that can be deleveraged, first to go first: by score, ties by account id; the order is exact.

    Scores are compared by cross-multiplied integers. Floats sort first and integers settle only the runs that
    floats cannot tell apart, so that a large book costs no more than one float sort.
    """
    rows = np.flatnonzero(_available(counterparties))
    numerator = counterparties.profit[rows].astype(object) * counterparties.account_notional[rows]
    denominator = np.maximum(counterparties.notional[rows], 1).astype(object) * counterparties.equity[rows]
    score = counterparties.profit[rows].astype(np.float64) * counterparties.account_notional[rows]
    score /= np.maximum(counterparties.notional[rows], 1).astype(np.float64) * counterparties.equity[rows]
    order = np.lexsort((counterparties.account[rows], -score))
    ranked = score[order]
    near = np.abs(np.diff(ranked)) <= _NEAR * np.maximum(np.abs(ranked[1:]), np.abs(ranked[:-1]))
    starts = np.concatenate(([0], np.flatnonzero(~near) + 1, [len(order)]))

    def compare(one: int, other: int) -> int:
        difference = numerator[other] * denominator[one] - numerator[one] * denominator[other]
        return int(difference or counterparties.account[rows[one]] - counterparties.account[rows[other]])

    out: list[int] = []
    for start, stop in pairwise(starts):
        run = [int(each) for each in order[start:stop]]
        out += sorted(run, key=cmp_to_key(compare)) if len(run) > 1 else run
    return [int(rows[each]) for each in out]


def _available(counterparties: Counterparties) -> I64:
    """Lots of each counterparty that may be closed: none of the skipped and the insolvent."""
    usable = ~counterparties.skip & (counterparties.equity > 0)
    return np.where(usable, counterparties.lots, 0).astype(np.int64)


METHODS: dict[str, Callable[[int, Counterparties], I64]] = {"queue": queue, "pro_rata": pro_rata}
"""Ways of choosing that a policy can name."""
