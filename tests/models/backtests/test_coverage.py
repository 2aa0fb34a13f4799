"""Tests of exceptions: published and textbook numbers, edges, and models that each must refuse."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from solvent.models.backtests import coverage
from solvent.models.backtests.coverage import Transitions


def test_kupiec_of_a_published_sample() -> None:
    """A vendor's documented example: 57 of 1043 days at 95 %."""
    found = coverage.kupiec(1043, 57, 0.05)
    assert found.statistic == pytest.approx(0.46147, abs=2e-5)
    assert found.p_value == pytest.approx(0.49694, abs=2e-5)


def test_conditional_coverage_of_a_published_sample() -> None:
    found = coverage.conditional_coverage(1043, 57, 0.05, Transitions(932, 53, 53, 4))
    assert found.statistic == pytest.approx(0.72013, abs=2e-5)
    assert found.p_value == pytest.approx(0.69763, abs=2e-5)


def test_first_failure_of_a_published_sample() -> None:
    assert coverage.time_until_first_failure(58, 0.05).statistic == pytest.approx(1.7354, abs=5e-5)


@pytest.mark.parametrize(
    ("observations", "region"),
    [
        (365, (1, 7)),
        (500, (2, 9)),
        (730, (3, 13)),
        (1000, (5, 16)),
        (1461, (8, 22)),
        (1949, (12, 28)),
        (2557, (17, 36)),
    ],
)
def test_regions_at_one_per_cent(observations: int, region: tuple[int, int]) -> None:
    assert coverage.kupiec_region(observations, 0.01) == region


@given(st.integers(1, 250), st.floats(0.002, 0.3), st.sampled_from([0.9, 0.95, 0.99]))
def test_a_region_is_what_the_test_accepts(observations: int, probability: float, level: float) -> None:
    low, high = coverage.kupiec_region(observations, probability, level)
    accepted = {
        x for x in range(observations + 1) if coverage.kupiec(observations, x, probability).p_value >= 1.0 - level
    }
    assert accepted in (set(range(low, high + 1)), set())


def test_no_exceptions_and_nothing_but_exceptions_have_a_statistic() -> None:
    assert coverage.kupiec(250, 0, 0.01).statistic == pytest.approx(-500 * math.log(0.99))
    assert coverage.kupiec(10, 10, 0.01).statistic == pytest.approx(-20 * math.log(0.01))
    assert coverage.independence(Transitions(249, 0, 0, 0)).statistic == 0.0
    assert coverage.independence(Transitions(0, 0, 0, 9)).statistic == 0.0
    assert coverage.time_until_first_failure(1, 0.01).statistic == pytest.approx(-2 * math.log(0.01))


def test_nothing_observed_says_nothing() -> None:
    assert math.isnan(coverage.kupiec(0, 0, 0.01).p_value)
    assert math.isnan(coverage.independence(Transitions(0, 0, 0, 0)).p_value)
    assert math.isnan(coverage.time_until_first_failure(None, 0.01).p_value)
    assert math.isnan(coverage.dynamic_quantile(np.zeros(6, np.bool_), np.ones(6), 0.01).p_value)


def test_transitions_count_neighbours() -> None:
    hit = np.array([0, 1, 1, 0, 0, 1], np.bool_)
    assert coverage.transitions(hit) == Transitions(1, 2, 1, 1)
    assert coverage.first_failure(hit) == 2
    assert coverage.first_failure(np.zeros(3, np.bool_)) is None


def test_a_loss_at_its_margin_is_covered() -> None:
    assert coverage.hits([0.1, 0.1000001], [0.1, 0.1]).tolist() == [False, True]


def test_a_level_promises_its_decimal() -> None:
    assert coverage.promised(0.99) == 0.01
    assert coverage.promised(0.975) == 0.025


def test_frequency_refuses_a_model_that_is_right_half_as_often() -> None:
    assert coverage.kupiec(1949, 39, 0.01).p_value < 1e-3
    assert coverage.kupiec(1949, 19, 0.01).p_value > 0.9


def test_independence_refuses_exceptions_that_follow_one_another() -> None:
    clustered = np.zeros(1000, np.bool_)
    clustered[[100, 101, 300, 301, 302, 500, 501, 700, 900, 901]] = True
    spread = np.zeros(1000, np.bool_)
    spread[50::100] = True
    assert coverage.kupiec(1000, int(clustered.sum()), 0.01).p_value == pytest.approx(1.0)
    assert coverage.independence(coverage.transitions(clustered)).p_value < 1e-6
    assert coverage.independence(coverage.transitions(spread)).p_value > 0.3


def test_dynamic_quantile_refuses_exceptions_that_the_margin_foretells() -> None:
    """Exceptions come only while the margin is high, and not one after another: independence sees nothing."""
    margins = np.where(np.arange(2000) % 500 < 100, 0.2, 0.1)
    hit = (margins > 0.15) & (np.arange(2000) % 20 == 7)
    assert coverage.independence(coverage.transitions(hit)).p_value > 0.3
    assert coverage.dynamic_quantile(hit, margins, 0.01).p_value < 1e-4


def test_dynamic_quantile_is_uniform_under_the_null() -> None:
    """At 10 % the limit is near: p-values of right models spread evenly, also where the margin never changes."""
    chance = np.random.default_rng(3)
    moving = [
        coverage.dynamic_quantile(chance.random(1500) < 0.1, chance.random(1500), 0.1).p_value for _ in range(300)
    ]
    still = [coverage.dynamic_quantile(chance.random(1500) < 0.1, np.ones(1500), 0.1).p_value for _ in range(300)]
    assert kstest(moving, "uniform").pvalue > 0.01
    assert kstest(still, "uniform").pvalue > 0.01
