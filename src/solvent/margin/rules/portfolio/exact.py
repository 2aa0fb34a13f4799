"""The exact form of the `portfolio` rule: one account in integers, every addend rounded against it.

Money is in integers of 1e-24 USD (`VALUE`); the verdict in 1e-6 USD, equity down, margins up. `explain` lists
the same addends, so what decides and what is shown cannot differ.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.book import Order
from solvent.domain.quantities import div_up
from solvent.domain.universe import INVERSE, LINEAR, OPTION, SPOT
from solvent.margin.rules.portfolio.tables import MODEL, RATE, VALUE, Shared, rate_up
from solvent.margin.statement import ExactStatement, Explanation, Term

I64 = NDArray[np.int64]
Row = tuple[I64, I64, I64]
"""Instruments, lots and quote legs of one account."""
Addend = tuple[str, str, int]
"""Name, what it comes from, USD x VALUE."""

MICRO_VALUE = VALUE // 10**6
_MODEL_VALUE = VALUE // MODEL


class _Exposure(msgspec.Struct):
    """What one account holds, netted; money in USD x VALUE."""

    balance: dict[int, int] = {}
    """Spot instrument -> atoms, unsettled profit included."""
    equity: list[Addend] = []
    bucket: dict[int, int] = {}
    """Delta by (asset, expiry) bucket."""
    bucket_linear: dict[int, int] = {}
    delta: dict[int, int] = {}
    """Linear exposure by asset."""
    option: dict[int, list[int]] = {}
    """Change of option values by asset and scenario, USD x MODEL."""
    close: dict[int, int] = {}
    short_base: int = 0
    slow: int = 0


def _value_atoms(shared: Shared, i: int, lots: int, cost_atoms: int) -> int:
    """Unsettled profit of a perpetual or future in settlement atoms, rounded down."""
    universe = shared.fixed.universe
    numerator, denominator = universe.value_atoms[i]
    ticks = int(shared.market.ticks[i])
    if universe.terms.form[i] == LINEAR:
        return lots * numerator * ticks + cost_atoms
    return cost_atoms + (-lots * numerator) // (denominator * ticks)


def _add(into: dict[int, int], key: int, amount: int) -> None:
    into[key] = into.get(key, 0) + amount


def _exposure(shared: Shared, row: Row) -> _Exposure:
    """Net one account's row."""
    fixed = shared.fixed
    universe, terms = fixed.universe, fixed.universe.terms
    found = _Exposure({}, [], {}, {}, {}, {}, {})
    for i, q, c in zip(*(column.tolist() for column in row), strict=True):
        form, asset, payer = int(terms.form[i]), int(terms.underlying[i]), int(terms.settlement[i])
        lot_atoms = universe.spot_of(i).lot_atoms
        if form == SPOT:
            _add(found.balance, i, q * lot_atoms)
            found.equity.append(("balance", universe[i].id, q * lot_atoms * shared.atom_value[i]))
            continue
        exposure = q * shared.delta[i]
        _add(found.bucket, int(fixed.bucket[i]), exposure)
        found.slow += q * shared.slow_long[i] if q > 0 else -q * shared.slow_short[i]
        if form == OPTION:
            found.equity.append(("option value", universe[i].id, q * shared.option_value[i]))
            _add(found.close, asset, abs(exposure))
            if q < 0:
                found.short_base -= q * shared.notional[i]
            values = (shared.long_value if q > 0 else shared.short_value)[fixed.option_row[i]].tolist()
            held = found.option.setdefault(asset, [0] * len(values))
            for s, value in enumerate(values):
                held[s] += q * value
        else:
            profit = _value_atoms(shared, i, q, c * lot_atoms)
            _add(found.balance, payer, profit)
            _add(found.bucket_linear, int(fixed.bucket[i]), exposure)
            _add(found.delta, asset, exposure)
            found.equity.append(("unsettled profit", universe[i].id, profit * shared.atom_value[payer]))
    for b, amount in found.bucket_linear.items():
        _add(found.close, fixed.bucket_keys[b][0], abs(amount))
    for c, atoms in found.balance.items():
        asset = int(terms.underlying[c])
        if fixed.scanned[c]:
            _add(found.delta, asset, atoms * shared.atom_value[c])
        found.slow += atoms * shared.slow_long[c] if atoms > 0 else -atoms * shared.slow_short[c]
    return found


def _losses(shared: Shared, held: _Exposure) -> dict[int, list[int]]:
    """Scenario losses by asset, USD x VALUE x RATE."""
    moves = shared.fixed.moves_e9
    found = {}
    for asset in {*held.delta, *held.option}:
        exposure = held.delta.get(asset, 0)
        losses = [-exposure * move for move in moves[asset].tolist()]
        for s, value in enumerate(held.option.get(asset, ())):
            losses[s] -= value * (_MODEL_VALUE * RATE)
        found[asset] = losses
    return found


def _tail(losses: Iterable[int], count: int) -> int:
    """Sum of the `count` largest losses, at least 0: expected shortfall x count."""
    if count == 1:
        return max(0, max(losses))
    return max(0, sum(sorted(losses, reverse=True)[:count]))


def _scan(shared: Shared, losses: dict[int, list[int]]) -> list[Addend]:
    """Scan risk of each group, USD x VALUE, up."""
    fixed = shared.fixed
    count = fixed.params.expected_shortfall_count
    groups: dict[int, list[int]] = {}
    for asset in losses:
        groups.setdefault(int(fixed.group[asset]), []).append(asset)
    found = []
    for group, assets in sorted(groups.items()):
        phi = fixed.offset_e9[group]
        separate = sum(_tail(losses[asset], count) for asset in assets)
        joint = _tail((sum(cell) for cell in zip(*(losses[a] for a in assets), strict=True)), count)
        scan = div_up(phi * joint + (RATE - phi) * separate, RATE * RATE * count)
        found.append(("scan", fixed.group_names[group], scan))
    return found


def _roll(shared: Shared, held: _Exposure) -> list[Addend]:
    universe = shared.fixed.universe
    rows: dict[int, int] = {}
    for b, amount in held.bucket.items():
        _add(rows, shared.fixed.bucket_keys[b][0], div_up(abs(amount) * shared.roll_rate[b], RATE))
    return [("roll", universe.assets[u], amount) for u, amount in sorted(rows.items())]


def tiered_up(value: int, edges: Sequence[int], rates: Sequence[int]) -> int:
    """Sum of marginal rates (x RATE) over the tiers that `value` reaches through, rounded up."""
    charge, below = 0, 0
    for edge, rate in zip(edges, rates, strict=False):
        if value <= edge:
            return div_up(charge + (value - below) * rate, RATE)
        charge += (edge - below) * rate
        below = edge
    return div_up(charge + (value - below) * rates[len(edges)], RATE)


def _close_out(shared: Shared, close: dict[int, int]) -> list[Addend]:
    """Spread, penalty and participation in daily volume of what would be closed."""
    universe = shared.fixed.universe
    found = []
    for u, size in sorted(close.items()):
        cost = div_up(size * shared.close_rate[u], RATE)
        if shared.participation_edges[u]:
            share = tiered_up(size, shared.participation_edges[u], shared.participation_rates)
            cost += div_up(share * shared.scan_range[u], RATE)
        found.append(("close-out", universe.assets[u], cost))
    return found


def _collateral(shared: Shared, held: _Exposure, initial: bool) -> list[Addend]:
    """Haircuts of positive balances by size tier, rates on negative ones."""
    fixed = shared.fixed
    tiers = fixed.tier_initial_e9 if initial else fixed.tier_maintenance_e9
    borrow = fixed.borrow_initial_e9 if initial else fixed.borrow_maintenance_e9
    found = []
    for c, atoms in sorted(held.balance.items()):
        value = abs(atoms) * shared.atom_value[c]
        if atoms > 0:
            edges = [edge * VALUE for edge in fixed.tier_edges[c]]
            charge = tiered_up(value, edges, tiers[c])
        else:
            charge = div_up(value * borrow[c], RATE)
        found.append(("collateral", fixed.universe[c].id, charge))
    return found


def _quality(shared: Shared, held: _Exposure) -> list[Addend]:
    """Confidence of the prices that the account depends on, gross."""
    terms, universe = shared.fixed.universe.terms, shared.fixed.universe
    gross = dict(held.close)
    for c, atoms in held.balance.items():
        _add(gross, int(terms.underlying[c]), abs(atoms) * shared.atom_value[c])
    return [
        ("confidence", universe.assets[u], div_up(amount * shared.confidence[u], RATE))
        for u, amount in sorted(gross.items())
        if shared.confidence[u]
    ]


class _Ordered(msgspec.Struct):
    """What open orders add to initial margin."""

    losses: dict[int, list[int]]
    close: dict[int, int]
    alone: list[Addend]


def _with_orders(shared: Shared, held: _Exposure, losses: dict[int, list[int]], orders: Sequence[Order]) -> _Ordered:
    """Worst, per asset and scenario, of no fill, all that raise delta and all that lower it.

    Linear instruments are exact; sell orders of options are margined alone and added, buy orders cost their
    premium.
    """
    fixed = shared.fixed
    terms, moves = fixed.universe.terms, fixed.moves_e9
    sides: dict[int, list[list[int]]] = {}
    close = dict(held.close)
    alone: list[Addend] = []
    for order in orders:
        i, q = order.instrument, order.lots
        asset = int(terms.underlying[i])
        if terms.form[i] == OPTION:
            _add(close, asset, abs(q * shared.delta[i]))
            alone.append(("order", fixed.universe[i].id, _option_order(shared, order)))
            continue
        delta, profit = _linear_order(shared, order)
        if terms.form[i] != SPOT:
            _add(close, asset, abs(delta))
        side = sides.setdefault(asset, [[0, 0], [0, 0]])[0 if delta >= 0 else 1]
        side[0] += delta
        side[1] += profit
    worst = dict(losses)
    for asset, both in sides.items():
        base = losses.get(asset, [0] * moves.shape[1])
        filled = [
            [loss - delta * move - profit * RATE for loss, move in zip(base, moves[asset].tolist(), strict=True)]
            for delta, profit in both
        ]
        worst[asset] = [max(cell) for cell in zip(base, *filled, strict=True)]
    return _Ordered(worst, close, alone)


def _linear_order(shared: Shared, order: Order) -> tuple[int, int]:
    """Delta and profit at the mark of a filled order, USD x VALUE."""
    universe = shared.fixed.universe
    i, q = order.instrument, order.lots
    mark = int(shared.market.ticks[i])
    payer = int(universe.terms.settlement[i])
    if universe.terms.form[i] == SPOT:
        spot = universe.spot_of(i)
        value = q * spot.lot_atoms * shared.atom_value[i]
        return (value if shared.fixed.scanned[i] else 0), value - div_up(value * order.price_ticks, max(1, mark))
    numerator, denominator = universe.value_atoms[i]
    if universe.terms.form[i] == INVERSE:
        paid = q * numerator
        atoms = (paid * mark - paid * order.price_ticks) // (denominator * mark * order.price_ticks)
    else:
        atoms = q * numerator * (mark - order.price_ticks)
    return q * shared.delta[i], atoms * shared.atom_value[payer]


def _option_order(shared: Shared, order: Order) -> int:
    """A buy order's premium; a sell order's margin alone, less nothing for the premium to come."""
    fixed = shared.fixed
    i, q = order.instrument, order.lots
    if q > 0:
        payer = int(fixed.universe.terms.settlement[i])
        premium: int = q * fixed.universe.value_atoms[i][0] * order.price_ticks * shared.atom_value[payer]
        return premium
    losses: list[int] = [-q * value * _MODEL_VALUE for value in shared.short_value[fixed.option_row[i]].tolist()]
    least = div_up(-q * shared.notional[i] * rate_up(fixed.params.short_option_initial), RATE)
    return max(0, *losses, least)


def _risk(scan: list[Addend], roll: list[Addend], short_base: int, least_rate: float) -> list[Addend]:
    """Scan and roll, or the short-option minimum where that is more."""
    total = sum(amount for _, _, amount in scan) + sum(amount for _, _, amount in roll)
    least = div_up(short_base * rate_up(least_rate), RATE)
    return [*scan, *roll] if total >= least else [("short-option minimum", "", least)]


def _scaled(rows: list[Addend], factor: int) -> list[Addend]:
    return [(name, source, div_up(amount * factor, RATE)) for name, source, amount in rows]


def addends(shared: Shared, row: Row, orders: Sequence[Order] = ()) -> tuple[list[Addend], list[Addend], list[Addend]]:
    """Addends of equity, initial and maintenance margin of one account, USD x VALUE."""
    params = shared.fixed.params
    held = _exposure(shared, row)
    losses = _losses(shared, held)
    scan, roll = _scan(shared, losses), _roll(shared, held)
    close = _close_out(shared, held.close)
    risk = _risk(scan, roll, held.short_base, params.short_option_maintenance)
    maintenance = _scaled(risk, rate_up(params.maintenance_factor)) + close + _collateral(shared, held, initial=False)

    alone: list[Addend] = []
    if orders:
        ordered = _with_orders(shared, held, losses, orders)
        scan, close, alone = _scan(shared, ordered.losses), _close_out(shared, ordered.close), ordered.alone
    risk = _risk(scan, roll, held.short_base, params.short_option_initial)
    depeg = max((shared.depeg[c] for c, atoms in held.balance.items() if atoms), default=0)
    initial = risk + close + alone + _collateral(shared, held, initial=True) + _quality(shared, held)
    if depeg:
        initial.append(("depeg", "", div_up(sum(amount for _, _, amount in risk) * depeg, RATE)))
    if held.slow:
        initial.append(("slow price", "", held.slow))
    short = sum(amount for _, _, amount in maintenance) - sum(amount for _, _, amount in initial)
    if short > 0:
        initial.append(("maintenance margin is more", "", short))
    return held.equity, initial, maintenance


def exact_statement(shared: Shared, row: Row, orders: Sequence[Order] = ()) -> ExactStatement:
    """Equity (down), initial and maintenance margin (up) of one account in integers of 1e-6 USD."""
    equity, initial, maintenance = (sum(x for _, _, x in rows) for rows in addends(shared, row, orders))
    return ExactStatement(equity // MICRO_VALUE, div_up(initial, MICRO_VALUE), div_up(maintenance, MICRO_VALUE))


def explanation(shared: Shared, account: str, row: Row, orders: Sequence[Order] = ()) -> Explanation:
    """The addends as Decimals of 1e-9 USD with a term `rounding`, adding up to totals of 1e-6 USD."""
    totals, terms = {}, []
    exact = exact_statement(shared, row, orders)
    for total, rows, amount in zip(
        ("equity", "initial_margin", "maintenance_margin"), addends(shared, row, orders), exact, strict=False
    ):
        shown = [Term(total, name, source, _decimal(x)) for name, source, x in rows if x]
        totals[total] = Decimal(amount).scaleb(-6)
        rest = totals[total] - sum((each.amount for each in shown), Decimal(0))
        if rest:
            shown.append(Term(total, "rounding", "", rest))
        terms += shown
    return Explanation(account, totals, tuple(terms))


def _decimal(amount: int) -> Decimal:
    """USD x VALUE as a Decimal of 1e-9 USD, rounded to the nearest."""
    step = VALUE // 10**9
    return Decimal((amount + step // 2) // step).scaleb(-9)
