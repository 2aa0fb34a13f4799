"""The tracker by hand, its promise, its limits; and why the adaptive level is not used for margins."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.models.tracker import adaptive_bound, adaptive_levels, log_quantile_tracker


def test_by_hand() -> None:
    found = log_quantile_tracker([1, 1, 1, 1], [0.5, 2, 0.5, 1.2], 0.01, 0.1)
    assert found.margin == pytest.approx([1.0, 0.999000499833375, 1.1029627851085078, 1.1018603736210106], abs=1e-12)
    assert found.exceptions.tolist() == [False, True, False, True]
    assert found.next_log_factor == pytest.approx(0.196)


@given(st.integers(0, 10_000), st.floats(0.01, 0.2), st.sampled_from([0.01, 0.05]))
def test_the_frequency_is_off_by_no_more_than_the_path_of_theta(seed: int, eta: float, alpha: float) -> None:
    losses = np.abs(np.random.default_rng(seed).standard_cauchy(300))
    found = log_quantile_tracker(np.ones(300), losses, alpha, eta, math.inf)
    off = abs(found.exceptions.mean() - alpha)
    assert off == pytest.approx(abs(found.next_log_factor) / (eta * 300), abs=1e-12)


@given(st.integers(0, 10_000))
def test_a_margin_uses_only_losses_before_it(seed: int) -> None:
    losses = np.random.default_rng(seed).standard_normal(50)
    losses[30] = 0.0
    changed = losses.copy()
    changed[30:] = 100.0
    one, other = (log_quantile_tracker(np.ones(50), each, 0.01).margin for each in (losses, changed))
    assert one[:31].tolist() == other[:31].tolist()
    assert one[31] != other[31]


def test_the_factor_stays_within_its_limits() -> None:
    always = log_quantile_tracker(np.ones(2000), np.full(2000, 100.0), 0.01)
    never = log_quantile_tracker(np.ones(4000), np.zeros(4000), 0.01)
    assert always.margin.max() == pytest.approx(math.exp(0.7))
    assert never.margin.min() == pytest.approx(math.exp(-0.7))


def test_a_change_of_scale_is_caught_up_with_slowly() -> None:
    """t of 4 degrees, scale x1.8 from the start, a static base: coverage 97.2 % in days 1-500, 98.6 % in 501-1000."""
    base = 3.746947387979197
    covered = []
    for seed in range(200):
        losses = 1.8 * np.random.default_rng(seed).standard_t(4, 1000)
        hit = log_quantile_tracker(np.full(1000, base), losses, 0.01).exceptions
        covered.append((1.0 - hit[:500].mean(), 1.0 - hit[500:].mean()))
    first, second = np.mean(covered, axis=0)
    assert first == pytest.approx(0.972, abs=0.004)
    assert second == pytest.approx(0.986, abs=0.004)


def test_adaptive_levels_by_hand() -> None:
    assert adaptive_levels([0, 0, 1, 0], 0.01, 0.005) == pytest.approx([0.01005, 0.0101, 0.00515, 0.0052])
    assert adaptive_levels([1], 0.01, 0.005, first=0.02) == pytest.approx([0.01505])


def test_the_bound_of_the_adaptive_level_says_nothing_at_99_per_cent() -> None:
    assert adaptive_bound(0.01, 0.005, 1949) == pytest.approx(0.10210364289379167)
    assert adaptive_bound(0.01, 0.005, 1949) > 10 * 0.01
