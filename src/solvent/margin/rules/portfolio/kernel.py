"""The `portfolio` rule over all accounts: one pass over each account's slot, scratch per thread, no A x S array.

Each step is handed the arrays that it uses and indexes them element by element: every array passed or sliced
costs two atomic counts, which for a small account is more than its arithmetic.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from solvent.domain.universe import OPTION, SPOT
from solvent.margin.kernel import BLOCKS, tail_mean

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

PARALLEL_FROM = 20_000
"""Below this many accounts one thread takes milliseconds: no gain is worth waiting for a second one on a busy
machine."""
ROUNDING_UNIT = 2.0**-52
"""A sum of n float addends is within n times this of their gross; `Tables.steepness` carries it to the margins."""
ROUNDINGS_LEAST = 32
"""Roundings of an account beside those of its rows: table entries, products, assets, the last sums."""
ERROR_FLOOR = 4e-6
"""USD: the exact form rounds to 1e-6 against the account."""


def _record(fields: list[tuple[str, Any]]) -> np.dtype[Any]:
    """A dtype whose fields are attributes, also where the kernel is interpreted."""
    return np.dtype((np.record, np.dtype(fields, align=True)))


INSTRUMENT = _record(
    [
        ("form", np.int64),
        ("underlying", np.int64),
        ("settlement", np.int64),
        ("bucket", np.int64),  # of a derivative, -1 for spot
        ("option", np.int64),  # row in the option tables, -1 else
        ("value", np.float64),  # USD of one lot of spot, or of an option held long; 0 for perpetuals and futures
        ("value_short", np.float64),  # the same of an option held short
        ("gain", np.float64),  # unsettled profit of a lot at the mark, in settlement lots, before its quote leg
        ("delta", np.float64),  # change of one lot's value per unit of relative move of its underlying
        ("index_delta", np.float64),  # one lot's delta in coins at the index price
        ("notional", np.float64),  # index price x coins of an option lot: base of the short-option minimum
        ("slow_long", np.float64),  # charge of a lot held long where the slow price is worse
        ("slow_short", np.float64),
        ("borrow_initial", np.float64),  # rate on a negative balance
        ("borrow_maintenance", np.float64),
        ("depeg", np.float64),  # δ of a stablecoin
        ("scan_cap", np.float64),  # USD of a balance whose price risk is in the scan; NaN where none is
        ("scale", np.float64),  # largest USD that one lot adds to any sum: scale of rounding errors
        ("slack", np.float64),  # USD by which the exact form may round one position
    ]
)
"""One row an instrument; money in USD, rates as fractions."""
ASSET = _record(
    [
        ("group", np.int64),
        ("offset", np.float64),  # φ of the group; 0 where it has one asset
        ("close_rate", np.float64),  # half spread + penalty
        ("scan_range", np.float64),  # base of the participation charge; 0 where the volume is unknown
        ("confidence", np.float64),  # charge on gross exposure
        ("tail_long", np.float64),  # worst loss, or mean of the worst, of a USD of linear exposure held long
        ("tail_short", np.float64),
        ("tier", np.int64),  # row in `tiers` of the shares of its daily volume
    ]
)
BUCKET = _record([("asset", np.int64), ("roll_rate", np.float64)])
"""An (asset, expiry) pair."""
TIER = _record([("edge", np.float64), ("initial", np.float64), ("maintenance", np.float64)])
"""Upper edge in USD, and marginal rates up to it."""


class Tables(NamedTuple):
    """What all accounts share. I instruments, U assets, B buckets, G groups, O options, S scenarios, T tiers."""

    instrument: NDArray[np.void]
    asset: NDArray[np.void]
    bucket: NDArray[np.void]
    moves: F64
    """(U, S) damped relative moves."""
    options: F64
    """(2, O, S) change of one lot's value, dampened, for a short and a long."""
    tiers: NDArray[np.void]
    """(I + U, T) haircuts by size of each balance, then close-out rates by share of each asset's volume, in scan
    ranges; the last edge of a row is inf."""
    groups: int
    short_initial: float
    short_maintenance: float
    maintenance_factor: float
    tail_count: int
    steepness: float
    """Most that equity less a margin moves by for a USD that any of an account's sums moves by."""


SPOT_HELD = _record([("balance", np.float64), ("seen", np.bool_)])
"""Netted settlement balance in lots."""
BUCKET_HELD = _record([("delta", np.float64), ("linear", np.float64), ("seen", np.bool_)])
"""Delta of an expiry at the index in USD, and of its perpetuals and futures alone."""
ASSET_HELD = _record(
    [
        ("delta", np.float64),  # linear USD exposure
        ("close", np.float64),  # USD to be closed out
        ("spot", np.float64),  # gross USD of balances
        ("optional", np.bool_),  # whether it has options
        ("seen", np.bool_),
    ]
)
GROUP_HELD = _record([("separate", np.float64), ("offset", np.float64), ("seen", np.bool_)])
"""Sum of the assets' own worst losses; φ."""


class Scratch(NamedTuple):
    """Work space of one thread; all zero between accounts."""

    spot: NDArray[np.void]
    bucket: NDArray[np.void]
    asset: NDArray[np.void]
    group: NDArray[np.void]
    listed: I64
    """(4, longest + 1) touched spots, buckets, assets, groups; a list's first element is its length."""
    value: F64
    """(U, S) change of option values."""
    joint: F64
    """(G, S) losses of a group."""
    losses: F64
    """(2, S) of one asset, and of the account."""


SPOTS, BUCKETS, ASSETS, GROUPS = 0, 1, 2, 3
SINGLE, TOTAL = 0, 1


@njit(cache=True)
def scratch(t: Tables) -> Scratch:
    """Fresh work space for one thread."""
    size, assets, scenarios = len(t.instrument), t.moves.shape[0], t.moves.shape[1]
    longest = max(size, assets, len(t.bucket), t.groups)
    return Scratch(
        np.zeros(size, SPOT_HELD),
        np.zeros(len(t.bucket), BUCKET_HELD),
        np.zeros(assets, ASSET_HELD),
        np.zeros(t.groups, GROUP_HELD),
        np.zeros((4, longest + 1), np.int64),
        np.zeros((assets, scenarios)),
        np.zeros((t.groups, scenarios)),
        np.zeros((2, scenarios)),
    )


@njit(cache=True, inline="always")
def _list(listed: I64, kind: int, item: int) -> bool:
    """Append `item` to a list; True, for its mark of having been seen."""
    listed[kind, 0] += 1
    listed[kind, listed[kind, 0]] = item
    return True


@njit(cache=True, inline="always")
def tiered(tiers: NDArray[np.void], row: int, value: float) -> tuple[float, float]:
    """Sums of marginal rates, initial and maintenance, over the tiers that `value` reaches through."""
    initial = maintenance = below = 0.0
    for k in range(tiers.shape[1]):
        tier = tiers[row, k]
        part = min(value, tier.edge) - below
        initial += part * tier.initial
        maintenance += part * tier.maintenance
        if value <= tier.edge:
            break
        below = tier.edge
    return initial, maintenance


class Folded(NamedTuple):
    """What one account's rows add up to beside the scratch; USD."""

    options: float
    """Value of options."""
    short_base: float
    """Base of the short-option minimum."""
    slow: float
    gross: float
    """Of all addends: scale of rounding errors."""
    slack: float
    """By how much the exact form may have rounded positions."""


@njit(cache=True, inline="always")
def _fold(
    first: int, last: int, instrument: I64, lots: I64, cost: I64, table: NDArray[np.void], change: F64,
    spot: NDArray[np.void], bucket: NDArray[np.void], asset: NDArray[np.void], value: F64, listed: I64,
) -> Folded:  # fmt: skip
    """Net one account's rows into the scratch."""
    options = short_base = slow = gross = slack = 0.0
    for slot in range(first, last):
        i = instrument[slot]
        r = table[i]
        q = float(lots[slot])
        gross += abs(q) * r.scale
        payer = spot[r.settlement]
        if not payer.seen:
            payer.seen = _list(listed, SPOTS, r.settlement)
        if r.form == SPOT:
            payer.balance += q
            continue
        at_index = q * r.index_delta
        slow += q * r.slow_long if q > 0 else -q * r.slow_short
        expiry, held = bucket[r.bucket], asset[r.underlying]
        if not expiry.seen:
            expiry.seen = _list(listed, BUCKETS, r.bucket)
        if not held.seen:
            held.seen = _list(listed, ASSETS, r.underlying)
        expiry.delta += at_index
        if r.form == OPTION:
            side = 1 if q > 0 else 0
            options += q * (r.value if q > 0 else r.value_short)
            short_base -= min(q, 0.0) * r.notional
            held.close += abs(at_index)
            held.optional = True
            for s in range(value.shape[1]):
                value[r.underlying, s] += q * change[side, r.option, s]
        else:
            expiry.linear += at_index
            held.delta += q * r.delta
            slack += r.slack
        c = float(cost[slot])  # of an option: what was not paid yet
        payer.balance += q * r.gain + c
        gross += abs(c) * table[r.settlement].value
    return Folded(options, short_base, slow, gross, slack)


class Cash(NamedTuple):
    """What the netted balances come to; USD."""

    equity: float
    initial: float
    maintenance: float
    """Charges on collateral and debt."""
    collateral: float
    liabilities: float
    slow: float
    depeg: float
    """Largest δ of the stablecoins that the account holds or settles in."""


@njit(cache=True, inline="always")
def _balances(
    table: NDArray[np.void], tiers: NDArray[np.void], spot: NDArray[np.void], asset: NDArray[np.void], listed: I64
) -> Cash:
    """Value the balances and empty their list; price risk goes into the assets."""
    equity = initial = maintenance = collateral = liabilities = slow = depeg = 0.0
    for k in range(1, listed[SPOTS, 0] + 1):
        c = listed[SPOTS, k]
        r = table[c]
        n = spot[c].balance
        value = n * r.value
        equity += value
        depeg = max(depeg, r.depeg)
        if n > 0:
            charge_initial, charge = tiered(tiers, c, value)
            initial += charge_initial
            maintenance += charge
            collateral += value - charge
            slow += n * r.slow_long
        else:
            liabilities -= value
            maintenance -= value * r.borrow_maintenance
            initial -= value * r.borrow_initial
            slow -= n * r.slow_short
        held = asset[r.underlying]
        if not held.seen:
            held.seen = _list(listed, ASSETS, r.underlying)
        held.spot += abs(value)
        if r.scan_cap >= 0:
            held.delta += min(value, r.scan_cap)
        spot[c].balance = 0.0
        spot[c].seen = False
    listed[SPOTS, 0] = 0
    return Cash(equity, initial, maintenance, collateral, liabilities, slow, depeg)


@njit(cache=True, inline="always")
def _roll(table: NDArray[np.void], bucket: NDArray[np.void], asset: NDArray[np.void], listed: I64) -> float:
    """Roll charge; what perpetuals and futures would have to close goes into the assets."""
    roll = 0.0
    for k in range(1, listed[BUCKETS, 0] + 1):
        b = listed[BUCKETS, k]
        held = bucket[b]
        roll += abs(held.delta) * table[b].roll_rate
        asset[table[b].asset].close += abs(held.linear)
        held.delta = 0.0
        held.linear = 0.0
        held.seen = False
    listed[BUCKETS, 0] = 0
    return roll


@njit(cache=True, inline="always")
def _asset_tail(
    u: int, exposure: float, r: Any, optional: bool, count: int, moves: F64, value: F64, losses: F64
) -> float:
    """Worst loss of one asset on its own; its losses go into the account's.

    Losses of linear exposure are proportional to its moves, so that their worst is known beforehand.
    """
    if not optional:
        for s in range(moves.shape[1]):
            losses[TOTAL, s] -= exposure * moves[u, s]
        return float(exposure * r.tail_long if exposure > 0 else -exposure * r.tail_short)
    for s in range(moves.shape[1]):
        losses[SINGLE, s] = -exposure * moves[u, s] - value[u, s]
        losses[TOTAL, s] += losses[SINGLE, s]
    return max(0.0, tail_mean(losses[SINGLE], count))


class Closing(NamedTuple):
    """What the assets come to; USD."""

    cost: float
    quality: float
    """Charge for the confidence of prices."""
    size: float
    """To be closed out."""


@njit(cache=True, inline="always")
def _assets(
    table: NDArray[np.void], tiers: NDArray[np.void], moves: F64, tail_count: int, asset: NDArray[np.void],
    group: NDArray[np.void], value: F64, joint: F64, losses: F64, listed: I64,
) -> Closing:  # fmt: skip
    """Close-out and quality of every asset, and its scenario losses; empties their list."""
    cost = quality = size = 0.0
    for k in range(1, listed[ASSETS, 0] + 1):
        u = listed[ASSETS, k]
        r, held = table[u], asset[u]
        size += held.close
        cost += held.close * r.close_rate + r.scan_range * tiered(tiers, r.tier, held.close)[0]
        quality += r.confidence * (held.close + held.spot)
        if held.delta != 0.0 or held.optional:
            own = group[r.group]
            if not own.seen:
                own.seen = _list(listed, GROUPS, r.group)
                own.offset = r.offset
            own.separate += _asset_tail(u, held.delta, r, held.optional, tail_count, moves, value, losses)
            if r.offset > 0.0:
                for s in range(moves.shape[1]):
                    joint[r.group, s] -= held.delta * moves[u, s] + value[u, s]
            if held.optional:
                for s in range(moves.shape[1]):
                    value[u, s] = 0.0
        held.delta = 0.0
        held.close = 0.0
        held.spot = 0.0
        held.optional = False
        held.seen = False
    listed[ASSETS, 0] = 0
    return Closing(cost, quality, size)


@njit(cache=True, inline="always")
def _scan(group: NDArray[np.void], joint: F64, tail_count: int, listed: I64) -> float:
    """Scan risk of all groups: φ of the joint worst, the rest of the sum of separate worsts."""
    scan = 0.0
    for k in range(1, listed[GROUPS, 0] + 1):
        g = listed[GROUPS, k]
        held = group[g]
        scan += (1.0 - held.offset) * held.separate
        if held.offset > 0.0:
            scan += held.offset * max(0.0, tail_mean(joint[g], tail_count))
            for s in range(joint.shape[1]):
                joint[g, s] = 0.0
        held.separate = 0.0
        held.seen = False
    listed[GROUPS, 0] = 0
    return scan


@njit(cache=True, inline="always")
def _worst_scenario(losses: F64) -> int:
    """First scenario in which the account loses most, -1 where it loses in none; leaves the losses at zero."""
    most, worst = 0.0, -1
    for s in range(losses.shape[1]):
        if losses[TOTAL, s] > most:
            most, worst = losses[TOTAL, s], s
        losses[TOTAL, s] = 0.0
    return worst


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
        rows = length[a]
        held = _fold(
            start[a], start[a] + rows, instrument, lots, cost, t.instrument, t.options, w.spot, w.bucket, w.asset,
            w.value, w.listed,
        )  # fmt: skip
        cash = _balances(t.instrument, t.tiers, w.spot, w.asset, w.listed)
        roll = _roll(t.bucket, w.bucket, w.asset, w.listed)
        closing = _assets(
            t.asset, t.tiers, t.moves, t.tail_count, w.asset, w.group, w.value, w.joint, w.losses, w.listed
        )
        risk = _scan(w.group, w.joint, t.tail_count, w.listed) + roll
        equity = cash.equity + held.options
        mm = t.maintenance_factor * max(risk, t.short_maintenance * held.short_base)
        mm += closing.cost + cash.maintenance
        im = (1.0 + cash.depeg) * max(risk, t.short_initial * held.short_base)
        im = max(mm, im + closing.cost + cash.initial + closing.quality + held.slow + cash.slow)
        band = ROUNDING_UNIT * (ROUNDINGS_LEAST + rows) * held.gross + held.slack
        band = t.steepness * band + ERROR_FLOOR
        notional = closing.size + cash.liabilities
        out.equity[k] = equity
        out.initial[k] = im
        out.maintenance[k] = mm
        out.collateral[k] = cash.collateral
        out.liabilities[k] = cash.liabilities
        out.leverage[k] = notional / equity if equity > 0 else (np.inf if notional > 0 else 0.0)
        out.worst[k] = _worst_scenario(w.losses)
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
    equity, initial, maintenance, collateral, liabilities, leverage = (np.empty(size) for _ in range(6))
    worst, certain = np.empty(size, np.int64), np.empty(size, np.bool_)
    out = Columns(equity, initial, maintenance, collateral, liabilities, leverage, worst, certain)
    if size < PARALLEL_FROM:
        _block(0, size, t, accounts, start, length, instrument, lots, cost, out)
    else:
        _parallel(t, accounts, start, length, instrument, lots, cost, out)
    return out
