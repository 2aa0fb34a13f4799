"""Historical simulation, plain and by age."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.models.samples import t_returns

from solvent.models.historical import AgeWeighted, Historical, age_weights


def test_it_is_numpys_lower_quantile_of_the_last_500() -> None:
    returns = t_returns(900)
    expected = -np.quantile(returns[-500:], 0.01, method="lower")
    assert Historical(500).fit(returns).quantile(0.99) == expected


def test_several_bars_are_overlapping_sums() -> None:
    returns = t_returns(600)
    pairs = returns[-500:-1] + returns[-499:]
    assert Historical(500).fit(returns).over(2).quantile(0.99) == pytest.approx(
        -np.quantile(pairs, 0.01, method="lower")
    )


@given(st.floats(0.5, 0.9999), st.integers(1, 800))
def test_age_weights_sum_to_one_and_fall(decay: float, window: int) -> None:
    weights = age_weights(decay, window)
    assert weights.sum() == pytest.approx(1.0)
    assert (np.diff(weights) <= 0).all()


def test_a_crash_counts_most_on_the_next_day_and_fades() -> None:
    returns = t_returns(600)
    returns[-1] = -0.5
    fresh = AgeWeighted().fit(returns).quantile(0.99)
    later = AgeWeighted().fit(np.concatenate((returns, t_returns(300, seed=9)))).quantile(0.99)
    assert fresh == 0.5
    assert later < 0.2


@pytest.mark.parametrize("model", [Historical(), AgeWeighted()])
def test_too_few_returns_are_refused(model: Historical) -> None:
    with pytest.raises(ValueError, match="249 returns: at least 250"):
        model.fit(t_returns(249))
