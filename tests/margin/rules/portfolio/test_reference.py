"""The rule against its text: the float kernel and the exact form agree with a slow reference written from it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.portfolio.worlds import UNIVERSE, WORLDS, Rows, World, book_of, orders_of, positions, worlds

from solvent.domain.book import Order

NAMES = ("equity", "initial_margin", "maintenance_margin")


def tolerance(world: World, rows: Rows, gross: float) -> float:
    """Shared values are rounded to 1e-9 a rate and an option lot, an inverse position to an atom."""
    lots = sum(abs(lots) for i, (lots, _) in rows.items() if UNIVERSE.terms.form[i] != 0)
    return 3e-8 * gross + 1e-8 * lots + 2e-3


@given(worlds, positions())
def test_float_and_exact_form_are_what_the_text_says(world: World, rows: Rows) -> None:
    book = book_of(rows)
    expected = world.reference.account(rows)
    statement, exact = world.prepared.assess(book), world.prepared.exact(book, 0)
    accepted = tolerance(world, rows, expected.gross)
    for name in NAMES:
        assert math.isclose(getattr(statement, name)[0], getattr(expected, name), abs_tol=accepted), name
        assert math.isclose(getattr(exact, name) / 1e6, getattr(expected, name), abs_tol=accepted), name


@given(worlds, positions(1e6), orders_of())
def test_open_orders_cost_what_the_text_says(world: World, rows: Rows, orders: list[Order]) -> None:
    book = book_of(rows, orders={0: orders})
    expected = world.reference.account(rows, orders)
    exact, statement = world.prepared.exact(book, 0), world.prepared.assess(book)
    ordered = {order.instrument: (order.lots, 0) for order in orders}
    accepted = tolerance(world, rows, expected.gross + 1e7) + tolerance(world, ordered, 0.0)
    for name in NAMES:
        assert math.isclose(getattr(exact, name) / 1e6, getattr(expected, name), abs_tol=accepted), name
        assert math.isclose(getattr(statement, name)[0], getattr(expected, name), abs_tol=accepted), name


@pytest.mark.parametrize("name", ["roll_annual", "depeg_factor", "tail_damp", "short_option_initial", "vol_up"])
def test_control_another_parameter_in_the_reference_is_noticed(name: str) -> None:
    rng, world = np.random.default_rng(0), WORLDS[0]
    rows = {i: (int(rng.integers(-4, 5)) * 10**6 or 7, 0) for i in range(4, len(UNIVERSE))}
    if name == "short_option_initial":
        rows = {UNIVERSE.index("BTC/USDC:USDC-250112-60000-C"): (-10, 0)}
    if name in ("tail_damp", "vol_up"):
        rows = {UNIVERSE.index("BTC/USDC:USDC-250331-55000-P"): (-1000, 0)}
    spoilt = World(world.market, world.policy).reference
    value = {"short_option_initial": 0.9}.get(name, 3.0)
    spoilt.params = type(spoilt.params)(
        **{**{field: getattr(spoilt.params, field) for field in spoilt.params.__struct_fields__}, name: value}
    )
    spoilt.scenarios = spoilt._scenarios()
    exact = world.prepared.exact(book_of(rows), 0)
    right, wrong = world.reference.account(rows), spoilt.account(rows)
    accepted = tolerance(world, rows, right.gross)
    assert math.isclose(exact.initial_margin / 1e6, right.initial_margin, abs_tol=accepted)
    assert not math.isclose(exact.initial_margin / 1e6, wrong.initial_margin, abs_tol=accepted)


@given(st.sampled_from(WORLDS), positions())
def test_columns_beside_the_margins(world: World, rows: Rows) -> None:
    statement = world.prepared.assess(book_of(rows))
    value = dict.fromkeys(range(len(UNIVERSE)), 0.0)
    for i, (lots, cost) in rows.items():
        form = UNIVERSE.terms.form[i]
        payer = int(UNIVERSE.terms.settlement[i])
        coins = float(UNIVERSE.spot_of(i).lot_coins)
        price = world.reference.price(payer)
        if form == 0:
            value[i] += lots * coins * price
        elif form != 3:
            q = lots * float(UNIVERSE[i].lot)  # type: ignore[union-attr]
            value[payer] += world.reference.unsettled(i, q, cost * coins) * price
        else:
            value[payer] += cost * coins * price
    reference = world.reference
    scale = 1e-8 * sum(map(abs, value.values())) + 1e-8 * reference.account(rows).gross + 1e-3
    debt = -sum(x for x in value.values() if x < 0)
    counted = sum(x - reference._collateral(c, x, False) for c, x in value.items() if x > 0)
    assert math.isclose(statement.liabilities[0], debt, abs_tol=scale)
    assert math.isclose(statement.collateral_value[0], counted, abs_tol=scale)
