"""Scenario sets: grids with dampened tails, history, named crashes, and the tenors of volatility."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.margin.scenarios import MOVE_LOWEST, grid, historical, named, vol_factor

RANGES = np.array([0.16, 0.25])


def test_grid_is_steps_by_volatility_then_tails() -> None:
    found = grid(RANGES, (0.0, 1.0, -1.0), tails=(2.0, -3.0), tail_damp=0.75)
    assert len(found) == 3 * 3 + 2
    assert found.names[:4] == ("+0.00R vol up", "+0.00R vol same", "+0.00R vol down", "+1.00R vol up")
    assert found.names[-1] == "-3.00R vol up"
    assert found.vol_shift.tolist() == [1, 0, -1] * 3 + [1, 1]
    assert found.damp.tolist() == [1.0] * 9 + [0.375, 0.25]
    assert found.moves[:, 3].tolist() == [0.16, 0.25]
    assert found.moves[:, -1].tolist() == pytest.approx([-0.48, -0.75])


def test_fractions_of_a_volatility_shift_are_named() -> None:
    assert grid(RANGES, (1.0,), vol_shifts=(0.5,)).names == ("+1.00R vol +0.50",)


@given(st.floats(0, 5), st.floats(-20, 20))
def test_no_move_loses_more_than_nine_tenths(scan_range: float, step: float) -> None:
    moves = grid(np.array([scan_range]), (step,)).moves
    assert (moves >= MOVE_LOWEST).all()
    assert (moves == max(MOVE_LOWEST, scan_range * step)).all()


def test_history_and_crashes_keep_volatility_and_weight() -> None:
    past = historical(np.array([[0.1, -0.95], [0.2, 0.3]]))
    assert past.names == ("history 0", "history 1")
    assert past.moves.tolist() == [[0.1, MOVE_LOWEST], [0.2, 0.3]]
    assert (past.vol_shift == 0).all()
    assert (past.damp == 1).all()
    crash = named(("BTC", "ETH", "SOL"), {"march": {"BTC": -0.4, "*": -0.6}, "calm": {"ETH": 0.1}})
    assert crash.names == ("march", "calm")
    assert crash.moves.tolist() == [[-0.4, 0.0], [-0.6, 0.1], [-0.6, 0.0]]
    assert (crash.vol_shift == 1).all()


def test_joined_sets_keep_their_order_and_assets() -> None:
    first, second = grid(RANGES, (1.0,)), named(("BTC", "ETH"), {"crash": {"*": -0.5}})
    both = first.joined(second)
    assert both.names == first.names + second.names
    assert (both.moves == np.hstack([first.moves, second.moves])).all()
    assert len(both.damp) == len(both.vol_shift) == len(both) == 4


def test_no_assets_and_no_crashes() -> None:
    assert grid(np.zeros(0), (1.0,)).moves.shape == (0, 3)
    assert named((), {"crash": {}}).moves.shape == (0, 1)
    assert len(named(("BTC",), {})) == 0


def test_short_expiries_swing_more() -> None:
    """1 + 0.5 t and 1 - 0.3 t with t = (30 d / T)^p: p = 0.30 up to 30 days, 0.13 beyond, T at least a day."""
    years = np.array([0.0, 1.0, 30.0, 120.0]) / 365
    up, same, down = vol_factor(years, np.array([1.0, 0.0, -1.0]), 0.5, 0.3, 0.30, 0.13).T
    t = np.array([30**0.30, 30**0.30, 1.0, 0.25**0.13])
    assert up == pytest.approx(1 + 0.5 * t)
    assert down == pytest.approx(1 - 0.3 * t)
    assert (same == 1).all()


@given(st.floats(0, 10), st.floats(0, 3), st.floats(0, 1))
def test_volatility_is_never_negative(years: float, up: float, down: float) -> None:
    assert (vol_factor(np.array([years]), np.array([1.0, -1.0]), up, down, 0.3, 0.13) >= 0).all()
