"""Kernels of the hourly layer against their definitions written out."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvent.models.kernel_hourly import ewma_variance, filtered_tail, latched, page_hinkley, rolling_mean, tracked

maybe = st.lists(st.one_of(st.just(math.nan), st.floats(-5, 5)), min_size=1, max_size=40)


@given(values=maybe, window=st.integers(1, 10), least=st.integers(1, 10))
@settings(max_examples=60, deadline=None)
def test_rolling_mean_is_the_mean_of_what_is_there(values: list[float], window: int, least: int) -> None:
    x = np.array(values)
    found = rolling_mean(x, window, least)
    for t in range(len(x)):
        inside = x[max(0, t + 1 - window) : t + 1]
        inside = inside[np.isfinite(inside)]
        if len(inside) >= least:
            assert found[t] == pytest.approx(inside.mean(), abs=1e-9)
        else:
            assert math.isnan(found[t])


def test_ewma_variance_uses_returns_before_alone() -> None:
    r = np.array([0.01, -0.02, np.nan, 0.03, 0.01])
    found = ewma_variance(r, 0.9, 2)
    seed = (0.01**2 + 0.02**2) / 2
    assert np.isnan(found[:2]).all()
    assert found[2] == found[3] == pytest.approx(seed)
    assert found[4] == pytest.approx(0.9 * seed + 0.1 * 0.03**2)


def test_filtered_tail_is_the_order_statistic_of_earlier_residuals() -> None:
    rng = np.random.default_rng(0)
    r, sigma = rng.normal(size=400), rng.uniform(0.5, 2.0, 400)
    r[17] = np.nan
    found = filtered_tail(r, sigma, 0.95, 100, 50)
    z = r / sigma
    for t in (49, 60, 150, 399):
        past = z[:t][np.isfinite(z[:t])][-100:]
        if len(past) < 50:
            assert np.isnan(found[t]).all()
            continue
        k = min(len(past), math.ceil(0.95 * (len(past) + 1)))
        for column, loss in ((0, np.sort(-past)), (2, np.sort(past))):
            assert found[t, column] == pytest.approx(loss[k - 1] * sigma[t])
            assert found[t, column + 1] == pytest.approx(loss[k - 1 :].mean() * sigma[t])


def test_tracker_brings_a_wrong_margin_to_its_rate_and_lifts_the_hour_after_a_breach() -> None:
    loss = np.random.default_rng(2).normal(size=40_000)
    margin = np.full(40_000, 1.2)  # the 1 % quantile is 2.33
    plain = margin * np.exp(tracked(margin, loss, 0.01, 0.01, 0.7, 0.0))
    assert np.mean(loss > margin) > 0.1
    assert np.mean(loss[5_000:] > plain[5_000:]) == pytest.approx(0.01, abs=0.0015)
    once = tracked(np.array([1.0, 1.0, 1.0]), np.array([2.0, 0.0, 0.0]), 0.01, 0.01, 0.7, 0.2)
    np.testing.assert_allclose(once, [0.0, 0.2 + 0.0099, 0.0098])


def test_page_hinkley_is_silent_while_all_is_well_and_restarts_after_an_alarm() -> None:
    calm = np.full(1_000, -0.1)
    assert not page_hinkley(calm, 0.02, 5.0).any()
    broken = np.append(calm, np.full(60, 0.52))
    alarms = np.flatnonzero(page_hinkley(broken, 0.02, 5.0))
    assert alarms.tolist() == [1_011, 1_022, 1_033, 1_044, 1_055]


def test_latch_waits_both_ways_but_not_for_failure() -> None:
    worse = np.array([0, 1, 1, 0, 1, 1, 1, 1, 0, 0, 0, 0], bool)
    never = np.zeros(12, bool)
    assert latched(worse, never, 3).tolist() == [True] * 6 + [False] * 4 + [True] * 2
    failing = never.copy()
    failing[2] = True
    assert latched(never, failing, 3).tolist() == [True] * 2 + [False] * 3 + [True] * 7
