"""The three options against procyclical margins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.models.samples import t_returns

from solvent.models.procyclicality import buffered, floored, stressed

paths = st.lists(st.floats(0.01, 0.5), min_size=1, max_size=150).map(np.array)


@given(paths)
def test_a_buffer_is_between_nothing_and_a_quarter(base: np.ndarray) -> None:
    ratio = buffered(base) / base
    assert (ratio >= 1.0 - 1e-9).all()
    assert (ratio <= 1.25 + 1e-9).all()


@given(paths)
def test_the_buffer_is_its_formula(base: np.ndarray) -> None:
    for t in range(len(base)):
        mean = base[max(0, t - 59) : t + 1].mean()
        expected = base[t] * (1 + np.clip(1.25 * mean / base[t], 1, 1.25) - 1)
        assert buffered(base)[t] == pytest.approx(expected)


def test_a_buffer_is_used_up_by_a_rise() -> None:
    base = np.concatenate((np.full(100, 0.1), np.full(100, 0.2)))
    margin = buffered(base)
    assert margin[99] == pytest.approx(0.125)
    assert margin[100] == pytest.approx(0.2)
    assert margin[-1] == pytest.approx(0.25)


def test_stress_stays_in_the_margin() -> None:
    base, quantiles = np.full(4, 0.1), np.array([0.1, 0.3, 0.2, 0.1])
    assert stressed(base, quantiles) == pytest.approx([0.1, 0.15, 0.15, 0.15])


def test_a_floor_of_the_past_deviation() -> None:
    past = t_returns(500)
    margin = floored(np.full(100, 1e-4), past, 2.326)
    assert margin[0] == pytest.approx(2.326 * past[:400].std())
    assert margin[99] == pytest.approx(2.326 * past[:499].std())
    changed = past.copy()
    changed[450:] = 1.0
    assert floored(np.full(100, 1e-4), changed, 2.326)[:51] == pytest.approx(margin[:51])


def test_a_floor_needs_a_past() -> None:
    with pytest.raises(ValueError, match="at least two"):
        floored(np.full(100, 0.1), t_returns(100), 2.326)


@given(paths)
def test_every_option_only_raises(base: np.ndarray) -> None:
    past = t_returns(len(base) + 10)
    for margin in (buffered(base), stressed(base, np.maximum(base, 0.2)), floored(base, past, 2.326)):
        assert (margin >= base - 1e-9).all()
