"""Sizing: how many lots of each leg to close so that an account has its buffer back at the least cost.

The surplus E' - (1 + buffer) MM' is concave in the lots closed under every convex margin rule. So the
cheapest closing is a convex programme, and a rule need do no more than price a few hypothetical portfolios:
each answer gives a plane above the surplus, and a linear programme over the planes proposes the next.

Sums are NumPy's own: those of BLAS and LAPACK differ with the processor, and a last bit can decide about a lot.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

Requirement: TypeAlias = Callable[[I64], tuple[F64, F64]]
"""Prices k hypothetical portfolios at once: lots int64 [k, legs] -> equity and maintenance margin in USD,
float64 [k] each. All else of the account is as it is, and what is closed is closed at the mark: costs are not
its business. Margin less equity must be convex in the lots; legs a little larger than they are, or just
flipped, may be asked for."""

CUTS_MOST = 40
"""Planes after which the last proposal is repaired leg by leg; three to six are usual."""
LATTICE_SMALL = 256
"""With so few whole-lot choices in all, every one is priced: rounding a real solution could miss the best."""
NEIGHBOURS_MOST = 256
"""Rows that one look around a whole-lot solution may price."""
_GRID = 64
"""Points of a leg priced in the first call: a call costs more than the rows in it."""
_STEP_SHIFT = 20
"""Slopes are measured over a leg's 2**-20 part: coarse enough for floats, fine enough to meet few corners."""
_TOLERANCE = 1e-10
"""By how much HiGHS may miss a plane, relative to its largest term: the least that it takes."""
VERTICES_MOST = 512
"""A linear programme with so few corners is solved by looking at all of them; HiGHS takes longer to start."""
LOOKS_MOST = 64
"""Steps of `settled` in each direction; one or two are usual."""
MICRO = 10**6
GRAIN_USD = 0.01
"""Nothing is given back for less than this: a lot of coins may be a billionth of a cent. And within this floats know
what a lot frees, for what is paid in coins comes in whole atoms: the exact form is asked."""
_COARSE = 2e-3
"""Where a single lot costs more than this part of the whole, it is worth looking at the neighbouring lots."""


class Sizing(msgspec.Struct, frozen=True):
    """What to close."""

    closed_lots: I64
    """Lots to close of each leg, >= 0, toward zero, [legs]."""
    cost_usd: float
    """Impact and penalty of it at the caller's cost per lot."""
    surplus_usd: float
    """E' - (1 + buffer) MM' after it and its cost."""
    restored: bool
    """Whether the surplus is >= 0; if not, everything is closed and more steps must follow."""


def closed_form(
    lots: I64,
    requirement: Requirement,
    cost_usd_per_lot: F64,
    lot_minimum: I64 | None = None,
    buffer: float = 0.15,
) -> Sizing:
    """Exact for one leg; several legs one after another, those first that free most surplus a USD of cost.

    Each leg is closed to the least whole-lot amount that restores the buffer, or to where its surplus peaks.
    A leg whose closing only raises margin (a hedge) is left alone. Arguments as in `linear_programme`.
    """
    account = _Account(lots, requirement, cost_usd_per_lot, lot_minimum, buffer)
    legs = len(account.size)
    if legs == 1:
        units, restored = account.extended(np.zeros(1, np.int64), [0])
        return account.result(units if restored else account.top)
    surplus = account.surplus(np.vstack([np.zeros(legs, np.int64), np.diag(account.size)]))
    if surplus[0] >= 0:
        return account.result(np.zeros(legs, np.int64))
    with np.errstate(divide="ignore", invalid="ignore"):
        freed = (surplus[1:] - surplus[0]) / (account.cost * account.size)
    order = np.argsort(-np.nan_to_num(freed, nan=-np.inf), kind="stable")
    units, restored = account.extended(np.zeros(legs, np.int64), order)
    return account.result(units if restored else account.top)


def linear_programme(
    lots: I64,
    requirement: Requirement,
    cost_usd_per_lot: F64,
    lot_minimum: I64 | None = None,
    buffer: float = 0.15,
) -> Sizing:
    """Least cost over all legs at once, hedges kept: Kelley's cutting planes, then whole lots.

    J. E. Kelley, "The cutting-plane method for solving convex programs" (1960). One plane is a fractional
    knapsack, solved by sorting; more go to HiGHS. Where the whole-lot choices are few all of them are priced
    and the best is exact; otherwise the result is rounded up to whole lots and verified by `requirement`.

    Parameters
    ----------
    lots: signed lots, int64 [legs], below 2**62 in size.
    requirement: see `Requirement`.
    cost_usd_per_lot: impact and penalty of closing one lot, >= 0, float64 [legs].
    lot_minimum: amounts closed are whole multiples of it, or the whole leg; int64 [legs] >= 1, default 1.
    buffer: part of the maintenance margin that equity must exceed it by.
    """
    if len(lots) == 1:
        return closed_form(lots, requirement, cost_usd_per_lot, lot_minimum, buffer)
    account = _Account(lots, requirement, cost_usd_per_lot, lot_minimum, buffer)
    if int(np.prod((account.top + 1).astype(object))) <= LATTICE_SMALL:
        return account.result(_enumerated(account))
    units = np.zeros(len(account.size), np.int64)
    planes = _Planes(account)
    for _ in range(CUTS_MOST):
        value, slope = planes.add(account.closed(units))
        if value >= 0:
            return account.result(_improved(account, units))
        cheapest = planes.cheapest()
        if cheapest is None:
            return account.result(account.top)
        previous, units = units, account.units_up(cheapest)
        if np.array_equal(previous, units):
            break
    return account.result(_repaired(account, units, slope))


def full(
    lots: I64,
    requirement: Requirement,
    cost_usd_per_lot: F64,
    lot_minimum: I64 | None = None,
    buffer: float = 0.15,
) -> Sizing:
    """Everything. Arguments as in `linear_programme`."""
    account = _Account(lots, requirement, cost_usd_per_lot, lot_minimum, buffer)
    return account.result(account.top)


def settled(
    lots: I64,
    requirement: Requirement,
    cost_usd_per_lot: F64,
    closed_lots: I64,
    spare_micro: Callable[[I64], int],
    buffer: float = 0.15,
) -> I64:
    """Lots that restore the buffer by an exact form too, and of which no leg could be a lot less.

    Floats propose, `spare_micro` decides. What they missed is closed where that costs least; then lots are given
    back, those first that save most. Where nothing restores the buffer the lots are left as they are.

    Parameters
    ----------
    lots, requirement, cost_usd_per_lot, buffer: as in `linear_programme`.
    closed_lots: what floats would close, >= 0, int64 [legs].
    spare_micro: E' - (1 + buffer) MM' in integers of 1e-6 USD after closing so many lots, everything paid.
    """
    account = _Account(lots, requirement, cost_usd_per_lot, None, buffer)
    found = _enough(account, closed_lots, spare_micro)
    return closed_lots if found is None else _pruned(account, found, spare_micro)


def _enough(account: "_Account", closed: I64, spare_micro: Callable[[I64], int]) -> I64 | None:
    """More of single legs until it is enough; None where it never is.

    A leg that floats believe in and that brings nothing is left: there may be no cash to buy a debt back.
    """
    spare, vain = spare_micro(closed), np.zeros(len(closed), dtype=np.bool_)
    for _ in range(LOOKS_MOST):
        left = account.size - closed
        if spare >= 0 or not left.any():
            break
        gain = account.slopes(closed, 1)
        useful = (left > 0) & (gain > 0) & ~vain
        if not useful.any():
            break
        real = np.minimum(-spare / MICRO / np.where(useful, gain, 1.0), 2.0**62)
        more = np.ceil(np.minimum(real, left))
        leg = int(np.argmin(np.where(useful, account.cost * np.maximum(real, more), np.inf)))
        trial = closed.copy()
        trial[leg] = min(int(closed[leg]) + int(more[leg]), int(account.size[leg]))
        after = spare_micro(trial)
        if after > spare:
            closed, spare = trial, after
        else:
            vain[leg] = True
    return closed if spare >= 0 else None


def _pruned(account: "_Account", closed: I64, spare_micro: Callable[[I64], int]) -> I64:
    """Give lots back for as long as what is left is enough.

    Surplus is concave: no leg can give back more than its first lot promises, nor less than a chord does.
    """
    spare = spare_micro(closed)
    for _ in range(LOOKS_MOST):
        if spare < GRAIN_USD * MICRO:
            break
        loss = account.slopes(closed, -1)
        less = np.minimum(closed, np.maximum(1, spare / MICRO / np.where(loss > 0, loss, 1e-300)))
        able = np.flatnonzero((closed > 0) & (loss <= spare / MICRO + GRAIN_USD))
        for leg in able[np.argsort(-(less * account.cost)[able], kind="stable")].tolist():
            given, trial = min(int(less[leg]), int(closed[leg])), closed.copy()
            while given:
                trial[leg] = closed[leg] - given
                after = spare_micro(trial)
                if after >= 0:
                    break
                given = given * spare // (spare - after) or given // 2
            if given:
                closed, spare = trial, after
                break
        else:
            break
    return closed


class _Account:
    """The account being sized, in units of each leg's lot minimum; the last unit of a leg may be smaller."""

    def __init__(self, lots: I64, requirement: Requirement, cost: F64, minimum: I64 | None, buffer: float) -> None:
        self.lots, self.size = lots, np.abs(lots)
        self.sign: I64 = np.sign(lots).astype(np.int64)
        self.unit = np.ones_like(lots) if minimum is None else minimum
        self.top: I64 = -(-self.size // self.unit)
        self.requirement, self.cost, self.buffer = requirement, cost, buffer
        self.priced: tuple[I64, F64] = np.zeros((0, len(lots)), np.int64), np.zeros(0)
        """The last answer of `surplus`: mostly the result is in it."""

    def surplus(self, closed: I64) -> F64:
        """E' - (1 + buffer) MM' in USD for each row of lots closed: [k, legs] -> [k]."""
        equity, maintenance = self.requirement(self.lots - self.sign * closed)
        surplus: F64 = equity - self.charge(closed) - (1 + self.buffer) * maintenance
        assert np.isfinite(surplus).all(), "the requirement gave no number"
        self.priced = closed, surplus
        return surplus

    def slopes(self, closed: I64, sign: int) -> F64:
        """USD of surplus that a lot more of each leg adds (sign 1), or a lot less takes away (-1); 0 where there is
        no such lot."""
        step = np.minimum(np.maximum(self.size >> _STEP_SHIFT, 1), self.size - closed if sign > 0 else closed)
        values = self.surplus(np.vstack([closed, closed + sign * np.diag(step)]))
        slopes: F64 = sign * (values[1:] - values[0]) / np.maximum(step, 1)
        return slopes

    def charge(self, closed: I64) -> F64:
        """Cost in USD of each row of lots closed."""
        charge: F64 = (closed * self.cost).sum(axis=-1)
        return charge

    def closed(self, units: I64) -> I64:
        """Lots of so many units of each leg."""
        closed: I64 = np.minimum(units * self.unit, self.size)
        return closed

    def units_up(self, amounts: F64) -> I64:
        """Whole units at or above real amounts of lots."""
        units: I64 = np.minimum(np.ceil(amounts / self.unit).astype(np.int64), self.top)
        return units

    def result(self, units: I64) -> Sizing:
        closed = self.closed(units)
        rows, values = self.priced
        known = np.flatnonzero((rows == closed).all(axis=1))
        surplus = float(values[known[0]] if len(known) else self.surplus(closed[None, :])[0])
        return Sizing(closed, float(self.charge(closed)), surplus, surplus >= 0)

    def extended(self, units: I64, order: Sequence[int] | I64) -> tuple[I64, bool]:
        """Close more, one leg after another in `order`, until the surplus is >= 0: (units, whether it is)."""
        units = units.copy()
        for leg in order:
            start = int(units[leg])

            def along(more: Sequence[int], leg: int = int(leg), start: int = start) -> F64:
                rows = np.repeat(units[None, :], len(more), axis=0)
                rows[:, leg] = [start + each for each in more]
                return self.surplus(self.closed(rows))

            more, restored = least(along, int(self.top[leg]) - start)
            units[leg] = start + more
            if restored:
                return units, True
        return units, False


def least(surplus_at: Callable[[Sequence[int]], F64], top: int) -> tuple[int, bool]:
    """The least integer in [0, top] at which a concave function is >= 0, and True; else its peak, and False.

    A chord of a concave function crosses zero after the function does, the line through two points before the
    root crosses it earlier: both close in on the root at once, and meet within a piece that is straight.
    `surplus_at` evaluates several integers in one call.
    """
    points = sorted({top * i // _GRID for i in range(_GRID + 1)})
    values = surplus_at(points)
    while values.max() < 0:
        peak = int(values.argmax())
        low, high = points[max(peak - 1, 0)], points[min(peak + 1, len(points) - 1)]
        if points[peak] - low <= 1 and high - points[peak] <= 1:
            return points[peak], False
        points = sorted({low + (high - low) * i // _GRID for i in range(_GRID + 1)} | {points[peak]})
        values = surplus_at(points)
    first = int(np.argmax(values >= 0))
    known = [(point, float(value)) for point, value in zip(points, values, strict=True)]
    if first == 0:
        return points[0], True
    below, root = known[max(first - 2, 0) : first], known[first]
    while root[0] - below[-1][0] > 1:
        guesses = _guesses(below, root)
        for guess, value in zip(guesses, surplus_at(guesses), strict=True):
            if value >= 0:
                root = guess, float(value)
                break
            below = [below[-1], (guess, float(value))]
    return root[0], True


def _guesses(below: list[tuple[int, float]], root: tuple[int, float]) -> list[int]:
    """Integers strictly between the last point below zero and the first above it that are worth a look."""
    (low, under), (high, over) = below[-1], root
    chord = low + int(np.ceil((high - low) * (-under / (over - under))))
    guesses = {(low + high) // 2, chord, chord - 1}
    if len(below) == 2 and under > below[0][1]:
        line = low + int((low - below[0][0]) * (-under / (under - below[0][1])))
        guesses |= {line, line + 1}
    return sorted({min(max(guess, low + 1), high - 1) for guess in guesses})


class _Planes:
    """Planes above the surplus: slope . closed >= need is necessary for a surplus >= 0."""

    def __init__(self, account: _Account) -> None:
        self.account = account
        self.points: list[I64] = []
        self.values: list[F64] = []
        self.slopes: list[F64] = []
        self.needs: list[float] = []

    def add(self, point: I64) -> tuple[float, F64]:
        """Add the plane at a point; returns the surplus there and the plane's slope in USD a lot.

        Central differences, because a hedged book sits on a corner of its rule, and there the mean of both
        sides is a plane above the surplus where one side alone is not. A plane that still cuts below a value
        seen before is lifted to it.
        """
        legs = len(point)
        step = np.diag(np.maximum(self.account.size >> _STEP_SHIFT, 1))
        rows = np.vstack([point, point + step, point - step])
        values = self.account.surplus(rows)
        slope = (values[1 : legs + 1] - values[legs + 1 :]) / (2 * step.diagonal())
        self.points.append(rows)
        self.values.append(values)
        seen, at = np.concatenate(self.values), np.concatenate(self.points)
        height = float((seen - ((at - point) * slope).sum(axis=1)).max())
        self.slopes.append(slope)
        self.needs.append(float((slope * point).sum()) - height)
        return float(values[0]), slope

    def cheapest(self) -> F64 | None:
        """Least-cost amounts that all planes allow, float64 [legs]; None where there are none.

        Rounding up to whole units loses what planes that fall in a leg lose over one unit, and the solver is
        exact only to its tolerance. The planes ask for that much more, so that what comes out stays above
        them; without it where no amounts give that.
        """
        slopes, needs = np.array(self.slopes), np.array(self.needs)
        spare = (np.maximum(-slopes, 0) * self.account.unit).sum(axis=1)
        spare += 10 * _TOLERANCE * np.abs(slopes * self.account.size).max(axis=1)
        found = self._solved(slopes, needs + spare)
        return self._solved(slopes, needs) if found is None else found

    def _solved(self, slopes: F64, needs: F64) -> F64 | None:
        cost, size = self.account.cost, self.account.size.astype(np.float64)
        if len(slopes) == 1:
            return _knapsack(cost, size, slopes[0], float(needs[0]))
        rows = slopes * size
        scale = np.maximum(np.abs(rows).max(axis=1), 1e-300)
        dearest = float((cost * size).max()) or 1.0
        price, rows, needs = cost * size / dearest, rows / scale[:, None], needs / scale
        found = _best_corner(price, rows, needs)
        if found is None:
            from scipy.optimize import linprog  # a third of all import time, and rarely needed

            solved = linprog(
                price,
                A_ub=-rows,
                b_ub=-needs,
                bounds=(0, 1),
                method="highs",
                options={"primal_feasibility_tolerance": _TOLERANCE},
            )
            found = np.asarray(solved.x) if solved.status == 0 else None
        return None if found is None else found * size


def _best_corner(price: F64, rows: F64, needs: F64) -> F64 | None:
    """The cheapest corner of {x in [0, 1]: rows x >= needs}; None where there are too many corners, or none."""
    planes, legs = rows.shape
    if comb(planes + 2 * legs, legs) > VERTICES_MOST:
        return None
    unit = np.eye(legs)
    sides, least = np.vstack([rows, unit, -unit]), np.concatenate([needs, np.zeros(legs), -np.ones(legs)])
    corners = _corners(len(sides), legs)
    points, size = _meetings(sides[corners], least[corners])
    points = points[size > _TOLERANCE]
    points = points[((points[:, None, :] * sides).sum(axis=2) >= least - _TOLERANCE).all(axis=1)]
    if not len(points):
        return None
    best: F64 = np.clip(points[np.argmin((points * price).sum(axis=1))], 0.0, 1.0)
    return best


def _meetings(sides: F64, least: F64) -> tuple[F64, F64]:
    """Where the sides of each choice meet, [k, legs], and the size of their determinant, [k]: Gauss and Jordan.

    sides: [k, legs, legs]; least: [k, legs]. A point of a determinant near 0 means nothing.
    """
    rows, each = np.concatenate([sides, least[:, :, None]], axis=2), np.arange(len(sides))
    size = np.ones(len(sides))
    for k in range(sides.shape[2]):
        pivot = k + np.abs(rows[:, k:, k]).argmax(axis=1)
        rows[each, k], rows[each, pivot] = rows[each, pivot], rows[each, k]
        head = rows[:, k, k].copy()
        size *= np.abs(head)
        rows[:, k] /= np.where(head == 0.0, 1.0, head)[:, None]
        others = rows[:, :, k].copy()
        others[:, k] = 0.0
        rows -= others[:, :, None] * rows[:, k][:, None, :]
    return rows[:, :, -1], size


@lru_cache(maxsize=64)
def _corners(sides: int, legs: int) -> I64:
    """Every choice of `legs` sides that may meet in a corner, [corners, legs]."""
    return np.array(list(combinations(range(sides), legs)), dtype=np.int64)


@lru_cache(maxsize=16)
def _around(legs: int) -> I64:
    """Steps to all neighbours of a whole-lot solution, or where those are many one unit less of each leg."""
    if 3**legs <= NEIGHBOURS_MOST:
        return np.indices((3,) * legs).reshape(legs, -1).T.astype(np.int64) - 1
    return -np.eye(legs, dtype=np.int64)


def _knapsack(cost: F64, size: F64, slope: F64, need: float) -> F64 | None:
    """Least-cost amounts in [0, size] with slope . amounts >= need: legs that free most a USD go first."""
    amounts = np.zeros_like(size)
    useful = np.flatnonzero(slope > 0)
    with np.errstate(divide="ignore"):
        order = useful[np.argsort(-(slope[useful] / cost[useful]), kind="stable")]
    for leg in order:
        amounts[leg] = min(size[leg], max(need / slope[leg], 0.0))
        if amounts[leg] < size[leg]:
            return amounts
        need -= float(slope[leg] * size[leg])
    return None if need > 0 else amounts


def _enumerated(account: _Account) -> I64:
    """The cheapest of all whole-lot choices that restores the buffer; everything where none does."""
    grid: I64 = np.indices(tuple(account.top + 1)).reshape(len(account.top), -1).T.astype(np.int64)
    closed = account.closed(grid)
    good = np.flatnonzero(account.surplus(closed) >= 0)
    if not good.size:
        return account.top
    best: I64 = grid[good[np.argmin(account.charge(closed)[good])]]
    return best


def _repaired(account: _Account, units: I64, slope: F64) -> I64:
    """More of single legs where the planes know no better; everything where that is not enough."""
    with np.errstate(divide="ignore", invalid="ignore"):
        freed = np.nan_to_num(slope / account.cost, nan=-np.inf)
    units, restored = account.extended(units, np.argsort(-freed, kind="stable"))
    return _improved(account, units) if restored else account.top


def _improved(account: _Account, units: I64) -> I64:
    """Walk to a cheaper neighbour, a unit away in any leg, for as long as there is one.

    Only where a unit costs enough to be worth the look.
    """
    cost = float(account.charge(account.closed(units)))
    if (account.cost * account.unit).max() <= _COARSE * cost:
        return units
    around = _around(len(units))
    for _ in range(CUTS_MOST):
        near = units + around
        near = near[((near >= 0) & (near <= account.top)).all(axis=1)]
        costs = account.charge(account.closed(near))
        near, costs = near[costs < cost], costs[costs < cost]
        if not len(near):
            break
        good = account.surplus(account.closed(near)) >= 0
        if not good.any():
            break
        near, costs = near[good], costs[good]
        units, cost = near[costs.argmin()], float(costs.min())
    return units


METHODS: dict[str, Callable[[I64, Requirement, F64, I64 | None, float], Sizing]] = {
    "closed_form": closed_form,
    "linear_programme": linear_programme,
    "full": full,
}
"""Ways of sizing that a policy can name."""
