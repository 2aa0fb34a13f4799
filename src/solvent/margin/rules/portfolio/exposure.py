"""One account's row netted in integers: balances, deltas and option values, and what they lose in each scenario."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.universe import LINEAR, OPTION, SPOT
from solvent.margin.rules.portfolio.fixed import RATE, Place
from solvent.margin.rules.portfolio.tables import MODEL_VALUE, Shared

I64 = NDArray[np.int64]
Row = tuple[I64, I64, I64]
"""Instruments, lots and quote legs of one account."""
Addend = tuple[str, str, int]
"""Name, what it comes from, USD x VALUE."""


class Exposure(msgspec.Struct):
    """What one account holds, netted; money in USD x VALUE."""

    balance: dict[int, int] = {}
    """Spot instrument -> atoms, unsettled profit included; every asset that the account holds or settles in."""
    equity: list[Addend] = []
    bucket: dict[int, int] = {}
    """Delta at the index by (asset, expiry) bucket."""
    bucket_linear: dict[int, int] = {}
    """Of perpetuals and futures alone."""
    delta: dict[int, int] = {}
    """Linear exposure at the marks by asset: what the scenarios move."""
    option: dict[int, list[int]] = {}
    """Change of option values by asset and scenario, USD x MODEL."""
    close: dict[int, int] = {}
    """To be closed out, by asset."""
    short_base: int = 0
    slow: int = 0


def add(into: dict[int, int], key: int, amount: int) -> None:
    """into[key] += amount, from 0."""
    into[key] = into.get(key, 0) + amount


def profit_atoms(place: Place, ticks: int, lots: int, cost_atoms: int) -> int:
    """Unsettled profit of a perpetual or future in settlement atoms, rounded down."""
    if place.form == LINEAR:
        return lots * place.numerator * ticks + cost_atoms
    return cost_atoms + (-lots * place.numerator) // (place.denominator * ticks)


def exposure(shared: Shared, row: Row) -> Exposure:
    """Net one account's row."""
    fixed, money = shared.fixed, shared.money
    held = Exposure()
    for i, q, c in zip(*(column.tolist() for column in row), strict=True):
        place = fixed.places[i]
        if place.form == SPOT:
            atoms = q * place.lot_atoms
            add(held.balance, i, atoms)
            held.equity.append(("balance", fixed.ids[i], atoms * money.atom[i]))
            continue
        at_index = q * money.index_delta[i]
        held.slow += q * money.slow_long[i] if q > 0 else -q * money.slow_short[i]
        add(held.bucket, place.bucket, at_index)
        if place.form == OPTION:
            unpaid = c * place.lot_atoms
            add(held.balance, place.payer, unpaid)
            if unpaid:
                held.equity.append(("unsettled profit", fixed.ids[i], unpaid * money.atom[place.payer]))
            _add_option(shared, held, i, q)
        else:
            profit = profit_atoms(place, shared.ticks[i], q, c * place.lot_atoms)
            add(held.balance, place.payer, profit)
            add(held.bucket_linear, place.bucket, at_index)
            add(held.delta, place.asset, q * money.delta[i])
            held.equity.append(("unsettled profit", fixed.ids[i], profit * money.atom[place.payer]))
    for b, amount in held.bucket_linear.items():
        add(held.close, fixed.bucket_keys[b][0], abs(amount))
    for c, atoms in held.balance.items():
        held.slow += atoms * money.slow_long[c] if atoms > 0 else -atoms * money.slow_short[c]
        scanned = scanned_value(shared, c, atoms)
        if scanned:
            add(held.delta, fixed.places[c].asset, scanned)
    return held


def _add_option(shared: Shared, held: Exposure, i: int, q: int) -> None:
    place, money = shared.fixed.places[i], shared.money
    worth = q * (money.long[i] if q > 0 else money.short[i])
    held.equity.append(("option value", shared.fixed.ids[i], worth))
    add(held.close, place.asset, abs(q * money.index_delta[i]))
    if q < 0:
        held.short_base -= q * money.notional[i]
    change = (shared.long_value if q > 0 else shared.short_value)[place.option].tolist()
    before = held.option.get(place.asset)
    held.option[place.asset] = (
        [q * x for x in change] if before is None else [y + q * x for y, x in zip(before, change, strict=True)]
    )


def scanned_value(shared: Shared, c: int, atoms: int) -> int:
    """USD x VALUE of a balance whose price risk the scenarios charge: none of what lies above its cap."""
    cap = shared.fixed.schedules[c].scan_cap
    if cap == 0:
        return 0
    value = atoms * shared.money.atom[c]
    return value if cap is None else min(value, cap)


def losses(shared: Shared, held: Exposure, asset: int) -> list[int]:
    """Scenario losses of one asset, USD x VALUE x RATE."""
    delta = held.delta.get(asset, 0)
    moves = shared.fixed.moves[asset]
    options = held.option.get(asset)
    if options is None:
        return [-delta * move for move in moves]
    unit = MODEL_VALUE * RATE
    return [-delta * move - value * unit for move, value in zip(moves, options, strict=True)]


def tail(values: Iterable[int], count: int) -> int:
    """Sum of the `count` largest losses, at least 0: expected shortfall x count."""
    if count == 1:
        return max(0, max(values))
    return max(0, sum(sorted(values)[-count:]))


def scan(shared: Shared, held: Exposure, replaced: Mapping[int, Sequence[int]] | None = None) -> list[Addend]:
    """Scan risk of each group, up. `replaced` gives the losses of some assets in place of what is held."""
    fixed = shared.fixed
    count = fixed.params.expected_shortfall_count
    replaced = replaced or {}
    groups: dict[int, list[int]] = {}
    for asset in {*held.delta, *held.option, *replaced}:
        groups.setdefault(fixed.group[asset], []).append(asset)

    def alone(asset: int) -> int:
        if asset in replaced:
            return tail(replaced[asset], count)
        if asset in held.option:
            return tail(losses(shared, held, asset), count)
        delta = held.delta[asset]
        short, long = fixed.linear_tails[asset]
        return delta * long if delta > 0 else -delta * short

    found = []
    for group, assets in sorted(groups.items()):
        separate = sum(map(alone, assets))
        phi = fixed.offset_e9[group]
        if len(assets) == 1 or not phi:
            risk = RATE * separate
        else:
            rows = [replaced.get(asset) or losses(shared, held, asset) for asset in assets]
            risk = phi * tail(map(sum, zip(*rows, strict=True)), count) + (RATE - phi) * separate
        found.append(("scan", fixed.group_names[group], -(-risk // (RATE * RATE * count))))
    return found
