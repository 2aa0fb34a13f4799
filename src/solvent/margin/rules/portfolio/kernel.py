"""The `portfolio` rule over all accounts: one pass over each account's slot, scratch per thread, no A x S array."""

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from solvent.domain.universe import OPTION, SPOT
from solvent.margin.kernel import BLOCKS, tail_mean

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


PARALLEL_FROM = 4_000
"""Below this many accounts one thread is as fast as two."""
ERROR_BAND = 1e-12
"""Relative to the gross of all addends: the kernel's sums are within this of the exact form."""
ERROR_FLOOR = 4e-6
"""USD: the exact form rounds to 1e-6 against the account."""


INSTRUMENT = np.dtype(
    [
        ("form", np.int64),
        ("underlying", np.int64),
        ("settlement", np.int64),
        ("bucket", np.int64),  # of a derivative, -1 for spot
        ("option", np.int64),  # row in the option tables, -1 else
        ("value", np.float64),  # of one lot: spot, or an option's mark; 0 for perpetuals and futures
        (
            "gain",
            np.float64,
        ),  # unsettled profit of a lot at the mark, in settlement lots, before its quote leg
        ("delta", np.float64),  # change of one lot's value per unit of relative move of its underlying
        ("notional", np.float64),  # index price x coins of an option lot: base of the short-option minimum
        ("slow_long", np.float64),  # charge of a lot held long where the slow price is worse
        ("slow_short", np.float64),
        ("borrow_initial", np.float64),  # rate on a negative balance
        ("borrow_maintenance", np.float64),
        ("depeg", np.float64),  # δ of a stablecoin
        ("slack", np.float64),  # by how much the exact form may round one position
        ("scanned", np.bool_),  # a balance whose price risk is in the scan
    ],
    align=True,
)
"""One row an instrument; money in USD, rates as fractions."""
ASSET = np.dtype(
    [
        ("group", np.int64),
        ("close_rate", np.float64),  # half spread + penalty
        ("scan_range", np.float64),
        ("confidence", np.float64),  # charge on gross exposure
    ]
)
BUCKET = np.dtype([("asset", np.int64), ("roll_rate", np.float64)])
"""An (asset, expiry) pair."""


class Tables(NamedTuple):
    """What all accounts share. I instruments, U assets, B buckets, G groups, O options, S scenarios.

    Few arrays of records rather than many arrays: passing an array to a function costs two atomic operations.
    """

    instrument: NDArray[np.void]
    asset: NDArray[np.void]
    bucket: NDArray[np.void]
    offset: F64
    """(G,) φ of the group; 0 for a group of one asset."""
    moves: F64
    """(U, S) damped relative moves."""
    options: F64
    """(2, O, S) change of one lot's value, dampened, for a short and a long."""
    tiers: F64
    """(I, 3, T) upper edges in USD (last inf), marginal haircuts initial and maintenance."""
    participation: F64
    """(U + 1, T) upper edges in USD; in the last row the marginal close-out rates in scan ranges."""
    short_initial: float
    short_maintenance: float
    maintenance_factor: float
    tail_count: int


ASSET_SCRATCH = np.dtype(
    [
        ("delta", np.float64),  # linear USD exposure
        ("close", np.float64),  # USD to be closed out
        ("spot", np.float64),  # gross USD of balances
        ("optional", np.bool_),  # whether `value` is in use
    ],
    align=True,
)


class Scratch(NamedTuple):
    """Work space of one thread; all zero between accounts."""

    balance: F64
    """(I,) netted settlement balances in lots."""
    bucket: F64
    """(B, 2) USD delta of an expiry; of its perpetuals and futures alone."""
    asset: NDArray[np.void]
    value: F64
    """(U, S) change of option values."""
    joint: F64
    """(G, S) losses of a group."""
    separate: F64
    """(G,) sum of the assets' own worst losses."""
    losses: F64
    """(2, S) of one asset, and of the account."""
    lists: I64
    """(4, longest + 1) touched spots, buckets, assets, groups; a list's first element is its length."""
    seen: NDArray[np.bool_]
    """(4, longest) what is listed already."""


SPOTS, BUCKETS, ASSETS, GROUPS = 0, 1, 2, 3


@njit(cache=True)
def scratch(t: Tables) -> Scratch:
    """Fresh work space for one thread."""
    size, assets, scenarios = len(t.instrument), t.moves.shape[0], t.moves.shape[1]
    longest = max(size, assets, len(t.bucket), len(t.offset))
    return Scratch(
        np.zeros(size),
        np.zeros((len(t.bucket), 2)),
        np.zeros(assets, ASSET_SCRATCH),
        np.zeros((assets, scenarios)),
        np.zeros((len(t.offset), scenarios)),
        np.zeros(len(t.offset)),
        np.zeros((2, scenarios)),
        np.zeros((4, longest + 1), np.int64),
        np.zeros((4, longest), np.bool_),
    )


@njit(cache=True, forceinline=True)
def _touch(w: Scratch, kind: int, item: int) -> None:
    """Append `item` to a list once."""
    if not w.seen[kind, item]:
        w.seen[kind, item] = True
        w.lists[kind, 0] += 1
        w.lists[kind, w.lists[kind, 0]] = item


@njit(cache=True, forceinline=True)
def tiered(value: float, edges: F64, rates: F64) -> float:
    """Sum of marginal rates over the tiers that `value` reaches through; the last edge is inf."""
    charge, below = 0.0, 0.0
    for tier in range(len(edges)):
        if value <= edges[tier]:
            return float(charge + (value - below) * rates[tier])
        charge += (edges[tier] - below) * rates[tier]
        below = edges[tier]
    return float(charge)


@njit(cache=True, forceinline=True)
def _fold(
    t: Tables, w: Scratch, first: int, last: int, instrument: I64, lots: I64, cost: I64
) -> tuple[float, float, float, float]:
    """Add one account's rows into the scratch; (option value, short-option base, slow charge, gross USD).

    `gross` counts the exact form's rounding of positions at 1 / `ERROR_BAND` so that the band covers it.
    """
    option_value = short_base = slow = gross = 0.0
    for slot in range(first, last):
        i = instrument[slot]
        r = t.instrument[i]
        q = float(lots[slot])
        if r.form == SPOT:
            _touch(w, SPOTS, i)
            w.balance[i] += q
            gross += abs(q * r.value)
            continue
        exposure = q * r.delta
        slow += q * r.slow_long if q > 0 else -q * r.slow_short
        _touch(w, BUCKETS, r.bucket)
        _touch(w, ASSETS, r.underlying)
        w.bucket[r.bucket, 0] += exposure
        asset = w.asset[r.underlying]
        if r.form == OPTION:
            option_value += q * r.value
            gross += abs(q * r.value)
            asset.close += abs(exposure)
            asset.optional = True
            if q < 0:
                short_base -= q * r.notional
            change, into = t.options[1 if q > 0 else 0, r.option], w.value[r.underlying]
            for s in range(len(into)):
                into[s] += q * change[s]
        else:
            _touch(w, SPOTS, r.settlement)
            w.balance[r.settlement] += q * r.gain + float(cost[slot])
            w.bucket[r.bucket, 1] += exposure
            asset.delta += exposure
            payer_value = t.instrument[r.settlement].value
            gross += (abs(q * r.gain) + abs(float(cost[slot]))) * payer_value + r.slack / ERROR_BAND
    return option_value, short_base, slow, gross


@njit(cache=True, forceinline=True)
def _balances(t: Tables, w: Scratch) -> tuple[float, float, float, float, float, float, float]:
    """Equity, collateral charges (initial, maintenance), collateral value, liabilities, slow charge, depeg."""
    equity = initial = maintenance = collateral = liabilities = slow = depeg = 0.0
    for k in range(1, w.lists[SPOTS, 0] + 1):
        c = w.lists[SPOTS, k]
        r = t.instrument[c]
        n = w.balance[c]
        value = n * r.value
        equity += value
        if n != 0.0:
            depeg = max(depeg, r.depeg)
        if n > 0:
            charge = tiered(value, t.tiers[c, 0], t.tiers[c, 2])
            maintenance += charge
            initial += tiered(value, t.tiers[c, 0], t.tiers[c, 1])
            collateral += value - charge
            slow += n * r.slow_long
        else:
            liabilities -= value
            maintenance -= value * r.borrow_maintenance
            initial -= value * r.borrow_initial
            slow -= n * r.slow_short
        _touch(w, ASSETS, r.underlying)
        w.asset[r.underlying].spot += abs(value)
        if r.scanned:
            w.asset[r.underlying].delta += value
        w.balance[c] = 0.0
        w.seen[SPOTS, c] = False
    w.lists[SPOTS, 0] = 0
    return equity, initial, maintenance, collateral, liabilities, slow, depeg


@njit(cache=True, forceinline=True)
def _roll(t: Tables, w: Scratch) -> float:
    """Roll charge; what perpetuals and futures would have to close goes into the assets."""
    roll = 0.0
    for k in range(1, w.lists[BUCKETS, 0] + 1):
        b = w.lists[BUCKETS, k]
        roll += abs(w.bucket[b, 0]) * t.bucket[b].roll_rate
        w.asset[t.bucket[b].asset].close += abs(w.bucket[b, 1])
        w.bucket[b, 0] = 0.0
        w.bucket[b, 1] = 0.0
        w.seen[BUCKETS, b] = False
    w.lists[BUCKETS, 0] = 0
    return roll


@njit(cache=True, forceinline=True)
def _assets(t: Tables, w: Scratch) -> tuple[float, float, float]:
    """Close-out cost, quality charge and USD to close; scenario losses go into groups and the total."""
    close_out = quality = closed = 0.0
    single, total = w.losses[0], w.losses[1]
    rates = t.participation[len(t.asset)]
    for k in range(1, w.lists[ASSETS, 0] + 1):
        u = w.lists[ASSETS, k]
        r, held = t.asset[u], w.asset[u]
        closed += held.close
        close_out += held.close * r.close_rate + r.scan_range * tiered(held.close, t.participation[u], rates)
        quality += r.confidence * (held.close + held.spot)
        moves = t.moves[u]
        for s in range(len(single)):
            single[s] = -held.delta * moves[s]
        if held.optional:
            value = w.value[u]
            for s in range(len(single)):
                single[s] -= value[s]
                value[s] = 0.0
        for s in range(len(single)):
            total[s] += single[s]
        _touch(w, GROUPS, r.group)
        if t.offset[r.group] > 0.0:
            joint = w.joint[r.group]
            for s in range(len(single)):
                joint[s] += single[s]
        w.separate[r.group] += max(0.0, tail_mean(single, t.tail_count))
        held.delta = 0.0
        held.close = 0.0
        held.spot = 0.0
        held.optional = False
        w.seen[ASSETS, u] = False
    w.lists[ASSETS, 0] = 0
    return close_out, quality, closed


@njit(cache=True, forceinline=True)
def _scan(t: Tables, w: Scratch) -> float:
    """Scan risk of all groups: φ of the joint worst, the rest of the sum of separate worsts."""
    scan = 0.0
    for k in range(1, w.lists[GROUPS, 0] + 1):
        g = w.lists[GROUPS, k]
        scan += (1.0 - t.offset[g]) * w.separate[g]
        if t.offset[g] > 0.0:
            joint = w.joint[g]
            scan += t.offset[g] * max(0.0, tail_mean(joint, t.tail_count))
            joint[:] = 0.0
        w.separate[g] = 0.0
        w.seen[GROUPS, g] = False
    w.lists[GROUPS, 0] = 0
    return scan


class Columns(NamedTuple):
    """Output columns, one entry an account."""

    equity: F64
    initial: F64
    maintenance: F64
    collateral: F64
    liabilities: F64
    leverage: F64
    worst: I64
    certain: NDArray[np.bool_]


@njit(cache=True)
def _block(
    first: int, last: int, t: Tables, accounts: I64, start: I64, length: I64, instrument: I64, lots: I64, cost: I64,
    out: Columns,
) -> None:  # fmt: skip
    w = scratch(t)
    for k in range(first, last):
        a = accounts[k]
        options, short_base, slow, gross = _fold(t, w, start[a], start[a] + length[a], instrument, lots, cost)
        cash, initial, maintenance, collateral, liabilities, slow_cash, depeg = _balances(t, w)
        roll = _roll(t, w)
        close_out, quality, closed = _assets(t, w)
        risk = _scan(t, w) + roll
        total = w.losses[1]
        worst = 0
        for s in range(1, len(total)):
            if total[s] > total[worst]:
                worst = s
        total[:] = 0.0
        equity = cash + options
        mm = t.maintenance_factor * max(risk, t.short_maintenance * short_base) + close_out + maintenance
        im = (1.0 + depeg) * max(risk, t.short_initial * short_base) + close_out + initial + quality
        im = max(mm, im + slow + slow_cash)
        band = ERROR_BAND * (gross + abs(im)) + ERROR_FLOOR
        out.equity[k] = equity
        out.initial[k] = im
        out.maintenance[k] = mm
        out.collateral[k] = collateral
        out.liabilities[k] = liabilities
        notional = closed + liabilities
        out.leverage[k] = notional / equity if equity > 0 else (np.inf if notional > 0 else 0.0)
        out.worst[k] = worst
        out.certain[k] = abs(equity - mm) > band and abs(equity - im) > band


@njit(cache=True, parallel=True)
def _parallel(
    t: Tables, accounts: I64, start: I64, length: I64, instrument: I64, lots: I64, cost: I64, out: Columns
) -> None:
    count = len(accounts)
    for block in prange(BLOCKS):
        first, last = count * block // BLOCKS, count * (block + 1) // BLOCKS
        _block(first, last, t, accounts, start, length, instrument, lots, cost, out)


def assess(t: Tables, accounts: I64, start: I64, length: I64, instrument: I64, lots: I64, cost: I64) -> Columns:
    """Statement columns of `accounts`, which index start and length; the slots hold whole lots."""
    size = len(accounts)
    money = [np.empty(size) for _ in range(6)]
    out = Columns(
        money[0], money[1], money[2], money[3], money[4], money[5], np.empty(size, np.int64), np.empty(size, np.bool_)
    )
    if size < PARALLEL_FROM:
        _block(0, size, t, accounts, start, length, instrument, lots, cost, out)
    else:
        _parallel(t, accounts, start, length, instrument, lots, cost, out)
    return out
