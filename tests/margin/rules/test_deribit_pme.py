"""Deribit PME: the venue's printed responses, and what must hold for any book."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.margin.rules.deribit_pme import (
    Params,
    aggregate,
    extended_weights,
    future_vectors,
    linear_future_profit,
    margin,
    net_transaction_delta,
    option_vectors,
    price_moves,
    roll_shock,
    shocked_vols,
)

PARAMS = Params(extended_dampener_usd=0.0)
INDEX = 60_000.0
positions = st.floats(-100, 100).map(lambda x: round(x, 4))


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "deribit_pme"))


@given(positions, positions)
def test_futures_net(one: float, other: float) -> None:
    apart = aggregate([future_vectors(one, PARAMS), future_vectors(other, PARAMS)], INDEX, PARAMS)
    together = aggregate([future_vectors(one + other, PARAMS)], INDEX, PARAMS)
    assert apart.standard == pytest.approx(together.standard, abs=1e-9)
    assert apart.extended == pytest.approx(together.extended, abs=1e-9)


@given(positions, st.floats(0, 1), st.floats(0, 1e7))
def test_profit_counts_at_most_its_offset(position: float, offset: float, most: float) -> None:
    params = Params(pnl_offset=offset, max_offsetable_usd=most)
    raw = np.array(future_vectors(position, params).standard)
    found = np.array(aggregate([future_vectors(position, params)], INDEX, params).standard)
    assert (found <= np.maximum(raw, 0.0) * offset + np.minimum(raw, 0.0) + 1e-12).all()
    assert (found <= most / INDEX + 1e-12).all()
    assert (found[raw < 0] == raw[raw < 0]).all()


@given(positions, st.floats(0, 1e7), st.floats(0, 1e7))
def test_more_dampener_never_asks_for_more(position: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    less, more = (
        aggregate([future_vectors(position, PARAMS)], INDEX, Params(extended_dampener_usd=usd)).extended
        for usd in (low, high)
    )
    assert (np.array(more) >= np.array(less)).all()
    assert max(more) <= 0.0


def test_the_grid_has_nine_prices_and_the_far_table_weighs_less() -> None:
    assert price_moves(0.16, 4) == pytest.approx([-0.16, -0.12, -0.08, -0.04, 0, 0.04, 0.08, 0.12, 0.16])
    assert extended_weights(PARAMS) == pytest.approx([0.2424, 0.4848, 0.32, 0.16, 0.08, 0.05333, 0.04, 0.032], rel=1e-3)


def test_options() -> None:
    long = option_vectors(1.0, 60_000.0, True, 60_000.0, 30.0, 0.6, PARAMS)
    assert len(long.standard) == 27
    assert long.standard[13] == pytest.approx(0.0, abs=1e-15)
    assert min(long.standard) > -0.08  # no more than the option is worth
    short = option_vectors(-1.0, 60_000.0, True, 60_000.0, 30.0, 0.6, PARAMS)
    assert np.array(short.standard) == pytest.approx(-np.array(long.standard))
    assert short.extended[-1] < short.standard[-1]
    assert shocked_vols(0.1, 30.0, PARAMS)[0] == 0.5
    assert shocked_vols(0.6, 30.0, Params(vol_scenarios=1)) == (0.6,)


def test_a_far_short_strangle_is_margined_by_the_far_table() -> None:
    legs = [
        option_vectors(-500.0, strike, is_call, 60_000.0, 20.0, 0.8, PARAMS)
        for strike, is_call in ((150_000.0, True), (20_000.0, False))
    ]
    found = margin(aggregate(legs, INDEX, PARAMS), 0.0, PARAMS)
    assert found.is_extended
    assert found.maintenance_margin == pytest.approx(0.8 * found.worst_case)


def test_terms_add_up() -> None:
    vectors_ = aggregate([future_vectors(1.0, PARAMS)], INDEX, PARAMS)
    roll = roll_shock({"BTC-PERPETUAL": 1.0, "BTC-1Y": -2.0}, {"BTC-1Y": 365.0}, PARAMS)
    assert roll == pytest.approx(0.01 + 0.15)
    found = margin(vectors_, roll, PARAMS, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert found.risk_matrix_margin == pytest.approx(found.worst_case + roll + 0.3)
    assert found.initial_margin == pytest.approx(found.risk_matrix_margin + 1.2)
    assert found.worst_bucket == 1


def test_an_empty_book_needs_nothing() -> None:
    found = margin(aggregate([], INDEX, PARAMS), 0.0, PARAMS)
    assert (found.initial_margin, found.maintenance_margin) == (0.0, 0.0)


@given(st.floats(0, 1), st.floats(0, 1))
def test_delta_is_whole_after_settlement(mark: float, settled: float) -> None:
    assert net_transaction_delta(0.5, mark, 1.0) == 0.5
    assert net_transaction_delta(0.5, mark, settled) >= 0.5 - mark


def test_linear_futures_move_with_the_price() -> None:
    assert linear_future_profit(2.0, 100.0, np.array([-0.1, 0.1])).tolist() == [-20.0, 20.0]
    assert math.isclose(sum(linear_future_profit(2.0, 100.0, price_moves(0.16, 4))), 0.0, abs_tol=1e-12)
