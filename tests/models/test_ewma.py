"""The exponential filter: its recursion, its memory, its published values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.models.samples import t_returns

from solvent.models.ewma import Ewma, EwmaNormal, effective_days, ewma_update
from solvent.models.model import upper_quantile


def test_hulls_example() -> None:
    # Hull, Options, Futures and Other Derivatives: lambda 0.90, 1 % a day, then a move of 2 %
    assert ewma_update(0.9, 0.01, 0.02) == pytest.approx(0.00013)


def test_riskmetrics_effective_days() -> None:
    # RiskMetrics technical document 1996: 74 days at 0.94, 151 at 0.97
    assert [round(effective_days(each)) for each in (0.94, 0.97)] == [74, 151]


@given(st.floats(0.5, 0.995), st.integers(0, 50))
def test_the_kernel_is_the_recursion(decay: float, seed: int) -> None:
    returns = t_returns(40, seed)
    found = Ewma(decay).variances(returns)
    variance = np.mean(returns**2)
    for t, each in enumerate(returns):
        assert found[t] == pytest.approx(variance)
        variance = decay * variance + (1 - decay) * each**2
    assert found[-1] == pytest.approx(variance)


def test_steps_of_paths_are_the_same_recursion() -> None:
    returns = t_returns(300)
    filter = Ewma(0.97)
    variances = filter.variances(returns)
    assert filter.step(variances[:-1], returns) == pytest.approx(variances[1:])


def test_the_normal_model_scales_the_last_deviation() -> None:
    returns = t_returns(400)
    deviation = np.sqrt(Ewma(0.94).variances(returns)[-1])
    assert EwmaNormal().fit(returns).quantile(0.99) == pytest.approx(deviation * upper_quantile(0.99))
