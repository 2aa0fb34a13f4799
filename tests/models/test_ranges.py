"""Variance from ranges: known values, and all three right on average where their assumptions hold."""

import math

import numpy as np
import pytest

from solvent.models.ranges import VARIANCE_LEAST, garman_klass, log_variance, parkinson, rogers_satchell


def test_known_candle() -> None:
    o, h, low, c = (np.array([each]) for each in (100.0, 110.0, 95.0, 105.0))
    span = math.log(110 / 95)
    assert parkinson(h, low)[0] == pytest.approx(span**2 / (4 * math.log(2)))
    assert garman_klass(o, h, low, c)[0] == pytest.approx(
        0.5 * span**2 - (2 * math.log(2) - 1) * math.log(105 / 100) ** 2
    )
    up, down, change = math.log(1.1), math.log(0.95), math.log(1.05)
    assert rogers_satchell(o, h, low, c)[0] == pytest.approx(up * (up - change) + down * (down - change))


def test_estimators_agree_with_the_variance_of_a_fine_walk() -> None:
    rng = np.random.default_rng(1)
    path = np.cumsum(rng.normal(0.0, 0.01 / math.sqrt(2_000), (2_000, 2_000)), axis=1)
    o, c = np.ones(len(path)), np.exp(path[:, -1])
    h, low = np.exp(np.maximum(path.max(axis=1), 0.0)), np.exp(np.minimum(path.min(axis=1), 0.0))
    for found in (parkinson(h, low), garman_klass(o, h, low, c), rogers_satchell(o, h, low, c)):
        assert found.mean() == pytest.approx(1e-4, rel=0.08)
    squares = np.log(c) ** 2
    assert np.var(parkinson(h, low)) < np.var(squares) / 3, "a range says several times as much as a squared return"


def test_a_still_candle_has_the_least_variance_and_nan_stays() -> None:
    assert log_variance(np.array([0.0, np.nan]))[0] == math.log(VARIANCE_LEAST)
    assert np.isnan(log_variance(np.array([np.nan]))[0])
