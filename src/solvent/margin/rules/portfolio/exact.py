"""The exact form of the `portfolio` rule: one account in integers, every addend rounded against it.

Money is in integers of 1e-42 USD (`VALUE`); the verdict in 1e-6 USD, equity down, margins up. `explain` lists
the same addends, so what decides and what is shown cannot differ.
"""

from collections.abc import Sequence
from typing import NamedTuple

from solvent.domain.book import Order
from solvent.domain.quantities import div_up
from solvent.margin.rules.portfolio.exposure import Addend, Exposure, Row, add, exposure, scan
from solvent.margin.rules.portfolio.fixed import RATE, VALUE, rate_up
from solvent.margin.rules.portfolio.orders import Ordered, ordered
from solvent.margin.rules.portfolio.tables import Shared
from solvent.margin.statement import ExactStatement

MICRO_VALUE = VALUE // 10**6


class Addends(NamedTuple):
    """What each total is the sum of."""

    equity: list[Addend]
    initial_margin: list[Addend]
    maintenance_margin: list[Addend]


def exact_statement(shared: Shared, row: Row, orders: Sequence[Order] = ()) -> ExactStatement:
    """Equity (down), initial and maintenance margin (up) of one account in integers of 1e-6 USD."""
    equity, initial, maintenance = (sum(x for _, _, x in rows) for rows in addends(shared, row, orders))
    return ExactStatement(equity // MICRO_VALUE, div_up(initial, MICRO_VALUE), div_up(maintenance, MICRO_VALUE))


def addends(shared: Shared, row: Row, orders: Sequence[Order] = ()) -> Addends:
    """Addends of equity, initial and maintenance margin of one account."""
    params = shared.fixed.params
    held = exposure(shared, row)
    risk, roll = scan(shared, held), _roll(shared, held)
    close = _close_out(shared, held.close)
    least = _risk(risk, roll, held.short_base, params.short_option_maintenance)
    maintenance = _scaled(least, rate_up(params.maintenance_factor)) + close + _collateral(shared, held, initial=False)

    more = Ordered(close=held.close)
    if orders:
        more = ordered(shared, held, orders)
        risk, close = scan(shared, held, more.losses), _close_out(shared, more.close)
    risk = _risk(risk, roll, held.short_base, params.short_option_initial)
    depeg = max((shared.rates.depeg[c] for c in {*held.balance, *more.payers}), default=0)
    initial = risk + close + more.alone + _collateral(shared, held, initial=True, more=more)
    initial += _quality(shared, held, more.close)
    if depeg:
        initial.append(("depeg", "", div_up(sum(amount for _, _, amount in risk) * depeg, RATE)))
    if held.slow:
        initial.append(("slow price", "", held.slow))
    short = sum(amount for _, _, amount in maintenance) - sum(amount for _, _, amount in initial)
    if short > 0:
        initial.append(("maintenance margin is more", "", short))
    return Addends(held.equity, initial, maintenance)


def _roll(shared: Shared, held: Exposure) -> list[Addend]:
    """Roll of each asset's expiries."""
    fixed, rates = shared.fixed, shared.rates.roll
    rows: dict[int, int] = {}
    for b, amount in held.bucket.items():
        add(rows, fixed.bucket_keys[b][0], div_up(abs(amount) * rates[b], RATE))
    return [("roll", fixed.universe.assets[u], amount) for u, amount in sorted(rows.items())]


def _risk(scan: list[Addend], roll: list[Addend], short_base: int, least_rate: float) -> list[Addend]:
    """Scan and roll, or the short-option minimum where that is more."""
    rows = scan + roll
    if not short_base:
        return rows
    least = div_up(short_base * rate_up(least_rate), RATE)
    return rows if sum(amount for _, _, amount in rows) >= least else [("short-option minimum", "", least)]


def _scaled(rows: list[Addend], factor: int) -> list[Addend]:
    return [(name, source, div_up(amount * factor, RATE)) for name, source, amount in rows]


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
    rates, found = shared.rates, []
    for u, size in sorted(close.items()):
        cost = div_up(size * rates.close[u], RATE)
        if rates.share_edges[u]:
            share = tiered_up(size, rates.share_edges[u], rates.share_rates)
            cost += div_up(share * rates.scan_range[u], RATE)
        found.append(("close-out", shared.fixed.universe.assets[u], cost))
    return found


def _collateral(shared: Shared, held: Exposure, *, initial: bool, more: Ordered | None = None) -> list[Addend]:
    """Haircuts of positive balances by size tier, rates on negative ones; the worst of what orders would leave."""
    found = []
    bought, sold = (more.bought, more.sold) if more else ({}, {})
    for c in sorted({*held.balance, *bought, *sold}):
        atoms = held.balance.get(c, 0)
        charge = _charge(shared, c, atoms, initial)
        for moved in (bought, sold):
            if c in moved:
                charge = max(charge, _charge(shared, c, atoms + moved[c], initial))
        found.append(("collateral" if atoms >= 0 else "debt", shared.fixed.ids[c], charge))
    return found


def _charge(shared: Shared, c: int, atoms: int, initial: bool) -> int:
    """Haircut or debt rate on one balance."""
    schedule = shared.fixed.schedules[c]
    value = abs(atoms) * shared.money.atom[c]
    if atoms < 0:
        return div_up(value * (schedule.borrow_initial if initial else schedule.borrow_maintenance), RATE)
    rates = schedule.initial if initial else schedule.maintenance
    if not schedule.edges:
        return div_up(value * rates[0], RATE)
    return tiered_up(value, schedule.edges, rates)


def _quality(shared: Shared, held: Exposure, close: dict[int, int]) -> list[Addend]:
    """Confidence of the prices that the account depends on, gross."""
    confidence = shared.rates.confidence
    if not any(confidence):
        return []
    places, assets = shared.fixed.places, shared.fixed.universe.assets
    gross = dict(close)
    for c, atoms in held.balance.items():
        add(gross, places[c].asset, abs(atoms) * shared.money.atom[c])
    return [
        ("confidence", assets[u], div_up(amount * confidence[u], RATE))
        for u, amount in sorted(gross.items())
        if confidence[u]
    ]
