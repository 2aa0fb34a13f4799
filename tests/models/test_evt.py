"""Pareto tails: Hull's example, known shapes found again, both sides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.models.samples import t_returns

from solvent.models.evt import Pareto, PeaksOverThreshold, fit_tail, pareto
from solvent.models.ewma import Ewma

HULL = Pareto(160.0, 32.532, 0.436, 22 / 500)
"""Hull, Risk Management and Financial Institutions: losses in thousands of USD."""


def test_hulls_example() -> None:
    assert HULL.quantile(0.99) == pytest.approx(227.8, abs=0.1)
    assert HULL.quantile(0.999) == pytest.approx(474.0, abs=0.15)
    assert HULL.shortfall(0.99) == pytest.approx(337.9, abs=0.15)


def test_a_shape_of_one_has_no_mean() -> None:
    with pytest.raises(ValueError, match="below 1"):
        Pareto(1.0, 1.0, 1.0, 0.1).shortfall(0.99)


@given(st.floats(-0.3, 0.7), st.floats(0.1, 10.0), st.integers(0, 20))
def test_known_tails_are_found_again(shape: float, scale: float, seed: int) -> None:
    values = np.sort(stats.genpareto.rvs(shape, scale=scale, size=4000, random_state=seed))
    found_scale, found_shape = pareto(values)
    assert found_shape == pytest.approx(shape, abs=0.12)
    assert found_scale == pytest.approx(scale, rel=0.15)


def test_the_formula_is_scipys_distribution() -> None:
    tail = Pareto(2.0, 0.7, 0.25, 0.1)
    assert 0.1 * stats.genpareto.sf(tail.quantile(0.995) - 2.0, 0.25, scale=0.7) == pytest.approx(0.005)


def test_the_limit_of_no_shape_is_exponential() -> None:
    assert Pareto(1.0, 2.0, 0.0, 0.1).quantile(0.99) == pytest.approx(Pareto(1.0, 2.0, 1e-8, 0.1).quantile(0.99))


def test_a_tail_of_equal_values_is_still_a_tail() -> None:
    tail = fit_tail(np.zeros(300))
    assert np.isfinite(tail.quantile(0.99))
    assert np.isfinite(tail.shortfall(0.99))


def test_it_covers_what_it_says() -> None:
    returns = t_returns(6000)
    fitted = PeaksOverThreshold(Ewma(0.99)).fit(returns[:2000])
    for side, sign in (("long", -1.0), ("short", 1.0)):
        beyond = np.mean(sign * returns[2000:] > fitted.quantile(0.99, side))  # type: ignore[arg-type]
        assert 0.003 < beyond < 0.022
        assert fitted.shortfall(0.99, side) > fitted.quantile(0.99, side)  # type: ignore[arg-type]
