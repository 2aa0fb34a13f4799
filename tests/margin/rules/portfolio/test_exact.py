"""The exact form: what decides. The float kernel is within its band of it, and it rounds against the account."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.portfolio.worlds import (
    NOW_NS,
    UNIVERSE,
    USD_ROW,
    WORLDS,
    Rows,
    World,
    book_of,
    lots_worth,
    market,
    policy,
    positions,
    worlds,
)

from solvent.domain.universe import INVERSE
from solvent.margin.rules.portfolio import PreparedPortfolio
from solvent.margin.rules.portfolio.exact import addends, tiered_up
from solvent.margin.rules.portfolio.fixed import RATE, VALUE
from solvent.margin.statement import ExactStatement

USD_MICRO = 1
"""One lot of USD is 1e-6 of it."""


def agrees(prepared: PreparedPortfolio, rows: Rows) -> bool:
    """Where the float kernel is certain, both of its verdicts are the exact form's."""
    book = book_of(rows)
    statement, exact = prepared.assess(book), prepared.exact(book, 0)
    if not statement.certain[0]:
        return True
    below_initial = bool(statement.equity[0] < statement.initial_margin[0])
    return (bool(statement.liquidatable[0]), below_initial) == (exact.liquidatable, exact.below_initial)


def at_threshold(prepared: PreparedPortfolio, rows: Rows, initial: bool, distance_micro: int) -> Rows:
    """The same positions with so much USD that equity is the margin plus a distance; cash has no charge."""
    rows = {**rows, USD_ROW: (0, 0)}
    for _ in range(2):  # cash above zero and debt are charged alike, so that one step is enough; the second checks it
        exact = prepared.exact(book_of(rows), 0)
        margin = exact.initial_margin if initial else exact.maintenance_margin
        lots = rows[USD_ROW][0] + margin + distance_micro - exact.equity
        rows = {**rows, USD_ROW: (lots, 0)}
    return rows


distances = st.integers(-12, 12) | st.builds(
    lambda sign, exponent: sign * round(10**exponent), st.sampled_from((1, -1)), st.floats(0, 9)
)


@given(worlds, positions(1e11), st.booleans(), distances)
def test_certain_verdicts_are_the_exact_ones_next_to_the_threshold(
    world: World, rows: Rows, initial: bool, distance: int
) -> None:
    prepared = world.prepared
    rows = at_threshold(prepared, rows, initial, distance)
    exact = prepared.exact(book_of(rows), 0)
    margin = exact.initial_margin if initial else exact.maintenance_margin
    assert exact.equity - margin == distance
    assert agrees(prepared, rows)


@given(worlds, positions(1e9))
def test_certain_verdicts_are_the_exact_ones_anywhere(world: World, rows: Rows) -> None:
    assert agrees(world.prepared, rows)


def large_books(count: int) -> Iterator[tuple[World, Rows, int]]:
    rng = np.random.default_rng(7)
    for _ in range(count):
        some = rng.choice(len(UNIVERSE), 8, replace=False).tolist()
        rows = {i: (lots_worth(i, rng.uniform(-1e11, 1e11)), 0) for i in some}
        yield WORLDS[rng.integers(len(WORLDS))], rows, int(rng.integers(-9, 10)) * 10


def test_control_a_narrower_band_would_be_found_out() -> None:
    wrong = 0
    for world, rows, distance in large_books(300):
        shared = world.prepared.shared
        narrow = PreparedPortfolio(
            type(shared)(
                **{
                    **{name: getattr(shared, name) for name in shared.__struct_fields__},
                    "tables": shared.tables._replace(steepness=0.0),
                }
            )
        )
        rows = at_threshold(narrow, rows, False, distance)
        assert agrees(world.prepared, rows)
        wrong += not agrees(narrow, rows)
    assert wrong > 10


def test_the_band_is_narrow_enough_to_be_of_use() -> None:
    """A few hundred thousand USD of positions are certain a tenth of a cent from their margin."""
    for world, rows, _ in large_books(50):
        small = {i: (lots // 10**6, 0) for i, (lots, _) in rows.items() if UNIVERSE.terms.form[i] != INVERSE}
        statement = world.prepared.assess(book_of(at_threshold(world.prepared, small, False, 1000)))
        assert statement.certain[0] or statement.initial_margin[0] == statement.maintenance_margin[0]


# ---- rounding


def unrounded(world: World, rows: Rows) -> tuple[Fraction, Fraction, Fraction]:
    """Equity, initial and maintenance margin of linear and spot rows in exact fractions of the shared integers."""
    shared, p = world.prepared.shared, world.prepared.shared.fixed.params
    fixed, money, rates = shared.fixed, shared.money, shared.rates
    usd = {i: Fraction(0) for i in range(len(UNIVERSE))}
    delta: dict[int, Fraction] = {}
    slow = Fraction(0)
    buckets: dict[int, Fraction] = {}
    for i, (lots, cost) in rows.items():
        place = fixed.places[i]
        ticks = int(world.market.ticks[i])
        if place.form == 0:
            usd[i] += Fraction(lots * place.lot_atoms * money.atom[i], VALUE)
            continue
        atoms = Fraction(cost * place.lot_atoms)
        value = Fraction(place.numerator, place.denominator)
        atoms += -lots * value / ticks if place.form == INVERSE else lots * value * ticks
        usd[place.payer] += atoms * Fraction(money.atom[place.payer], VALUE)
        exposure = Fraction(lots * money.delta[i], VALUE)
        delta[place.asset] = delta.get(place.asset, Fraction(0)) + exposure
        at_index = Fraction(lots * money.index_delta[i], VALUE)
        buckets[place.bucket] = buckets.get(place.bucket, Fraction(0)) + at_index
        slow += Fraction(abs(lots) * (money.slow_long[i] if lots > 0 else money.slow_short[i]), VALUE)
    touched = {fixed.places[i].payer for i in rows}
    close = {u: Fraction(0) for u in range(len(UNIVERSE.assets))}
    roll = Fraction(0)
    for b, at_index in buckets.items():
        close[fixed.bucket_keys[b][0]] += abs(at_index)
        roll += abs(at_index) * Fraction(rates.roll[b], RATE)
    collateral = {True: Fraction(0), False: Fraction(0)}
    quality = Fraction(0)
    for c in touched:
        schedule, asset = fixed.schedules[c], fixed.places[c].asset
        quality += abs(usd[c]) * Fraction(rates.confidence[asset], RATE)
        atom_slow = money.slow_long[c] if usd[c] > 0 else money.slow_short[c]
        slow += abs(usd[c]) * Fraction(atom_slow, money.atom[c])
        for initial in collateral:
            if usd[c] < 0:
                rate = schedule.borrow_initial if initial else schedule.borrow_maintenance
                collateral[initial] -= usd[c] * Fraction(rate, RATE)
            else:
                tiers = schedule.initial if initial else schedule.maintenance
                collateral[initial] += tiered(usd[c], [Fraction(e, VALUE) for e in schedule.edges], tiers)
        if schedule.scan_cap != 0:
            capped = usd[c] if schedule.scan_cap is None else min(usd[c], Fraction(schedule.scan_cap, VALUE))
            delta[asset] = delta.get(asset, Fraction(0)) + capped
    cost = sum(size * Fraction(rates.close[u], RATE) for u, size in close.items())
    for u, size in close.items():
        quality += size * Fraction(rates.confidence[u], RATE)
        if rates.share_edges[u]:
            edges = [Fraction(e, VALUE) for e in rates.share_edges[u]]
            cost += tiered(size, edges, rates.share_rates) * Fraction(rates.scan_range[u], RATE)
    risk = roll
    for g in set(fixed.group):
        rows_of = [
            [-x * Fraction(move, RATE) for move in fixed.moves[u]] for u, x in delta.items() if fixed.group[u] == g
        ]
        phi = Fraction(fixed.offset_e9[g], RATE)
        if rows_of:
            joint = tail([sum(cell, Fraction(0)) for cell in zip(*rows_of, strict=True)], p.expected_shortfall_count)
            separate = sum(tail(row, p.expected_shortfall_count) for row in rows_of)
            risk += phi * joint + (1 - phi) * separate
    depeg = max((Fraction(rates.depeg[c], RATE) for c in touched), default=Fraction(0))
    maintenance = Fraction(world.prepared.shared.tables.maintenance_factor).limit_denominator(RATE) * risk
    maintenance += cost + collateral[False]
    initial_margin = (1 + depeg) * risk + cost + collateral[True] + quality + slow
    return sum(usd.values(), Fraction(0)), max(initial_margin, maintenance), maintenance


def tail(losses: list[Fraction], count: int) -> Fraction:
    return max(Fraction(0), sum(sorted(losses)[-count:], Fraction(0)) / count)


def tiered(size: Fraction, edges: list[Fraction], rates: tuple[int, ...] | list[int]) -> Fraction:
    charge, below = Fraction(0), Fraction(0)
    for edge, rate in zip([*edges, max(size, *edges, Fraction(0))], rates, strict=True):
        charge += max(Fraction(0), min(size, edge) - below) * Fraction(rate, RATE)
        below = edge
    return charge


def linear_only(rows: Rows) -> Rows:
    return {i: row for i, row in rows.items() if UNIVERSE.terms.form[i] != 3}


@given(worlds, positions(1e8).map(linear_only))
def test_equity_is_rounded_down_and_margins_up(world: World, rows: Rows) -> None:
    equity, initial, maintenance = unrounded(world, rows)
    exact = world.prepared.exact(book_of(rows), 0)
    inverse = [i for i in rows if UNIVERSE.terms.form[i] == INVERSE]
    money = world.prepared.shared.money
    atoms = sum(Fraction(money.atom[int(UNIVERSE.terms.settlement[i])], VALUE) for i in inverse)
    micro = Fraction(1, 10**6)
    assert exact.equity * micro <= equity <= (exact.equity + 1) * micro + atoms
    for rounded, true in ((exact.initial_margin, initial), (exact.maintenance_margin, maintenance)):
        assert (rounded - 1) * micro - 5 * atoms - Fraction(1, 10**20) <= true <= rounded * micro + 5 * atoms
        if not inverse:
            assert true <= rounded * micro


@given(worlds, positions(1e8))
def test_what_one_gains_the_other_loses_or_more(world: World, rows: Rows) -> None:
    """Both sides of every position: the sum of their equities is never above zero, and at most dust below."""
    mirrored = {i: (-lots, -cost) for i, (lots, cost) in rows.items()}
    book = book_of(rows, mirrored)
    total = sum(world.prepared.exact(book, account).equity for account in (0, 1))
    dust = sum(abs(lots) for i, (lots, _) in rows.items() if UNIVERSE.terms.form[i] == 3) // 500 + 2000 * len(rows)
    assert -dust - 2 <= total <= 0


def test_tiers_round_up_once() -> None:
    assert tiered_up(0, (10, 20), (0, RATE, RATE)) == 0
    assert tiered_up(15, (10, 20), (RATE // 2, RATE, RATE)) == 10
    assert tiered_up(1, (10, 20), (1, 1, 1)) == 1
    assert tiered_up(30, (10, 20), (0, 0, RATE // 3)) == 4  # 10/3 up


@given(worlds, positions())
def test_the_verdict_is_the_sum_of_what_is_explained(world: World, rows: Rows) -> None:
    prepared, book = world.prepared, book_of(rows)
    found = addends(prepared.shared, book.row(0))
    totals = [sum(amount for _, _, amount in each) for each in found]
    micro = VALUE // 10**6
    assert prepared.exact(book, 0) == ExactStatement(totals[0] // micro, -(-totals[1] // micro), -(-totals[2] // micro))


def test_prices_of_fine_atoms_are_exact() -> None:
    """An atom of 1e-24 coins at 1e-9 USD has its price, not zero."""
    dust = UNIVERSE.index("DUST")
    book = book_of({dust: (10**9, 0)})  # 100,000 coins at 0.000012345 USD
    assert WORLDS[0].prepared.exact(book, 0).equity == 1_234_500


def test_digest_tells_markets_apart() -> None:
    first = World(market(), policy()).prepared.shared
    assert first.digest == World(market(), policy()).prepared.shared.digest
    others = [market(half_spread=0.01), market(confidence=0.01), market(vol_annual=0.7)]
    assert len({first.digest, *(World(each, policy()).prepared.shared.digest for each in others)}) == 4
    assert first.market.ts_ns == NOW_NS
