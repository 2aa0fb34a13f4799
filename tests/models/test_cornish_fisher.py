"""Cornish-Fisher: the published example, the normal case, and its domain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.models.samples import t_returns

from solvent.models.cornish_fisher import OUTSIDE, CornishFisher, corrected, in_domain


def test_a_published_example() -> None:
    # a public FRM exercise: skewness -0.7, excess kurtosis 4.5 turn -2.326 into -3.708
    assert corrected(-2.326, -0.7, 4.5) == pytest.approx(-3.708, abs=2e-3)


@given(st.floats(-4.0, 4.0))
def test_normal_moments_correct_nothing(z: float) -> None:
    assert corrected(z, 0.0, 0.0) == z


@given(st.floats(-0.8, 0.8), st.floats(0.0, 8.0))
def test_inside_its_domain_the_quantile_rises(skewness: float, kurtosis: float) -> None:
    z = np.linspace(-6.0, 6.0, 400)
    rises = bool((np.diff([corrected(each, skewness, kurtosis) for each in z]) >= -1e-12).all())
    if in_domain(skewness, kurtosis):
        assert rises


def test_outside_its_domain_it_says_so() -> None:
    returns = t_returns(500)
    returns[-1] = 0.3
    fitted = CornishFisher().fit(returns)
    assert fitted.excess_kurtosis > 8
    assert fitted.note == OUTSIDE
    assert CornishFisher().fit(np.random.default_rng(1).normal(0, 0.02, 500)).excess_kurtosis < 1


def test_shortfall_is_beyond_the_quantile() -> None:
    fitted = CornishFisher().fit(np.random.default_rng(7).logistic(0, 0.01, 500))
    for side in ("long", "short"):
        assert fitted.shortfall(0.99, side) > fitted.quantile(0.99, side)  # type: ignore[arg-type]
