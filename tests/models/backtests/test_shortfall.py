"""Acerbi and Szekely's tests: a published sample, critical values of the paper, and a model that understates."""

import math

import numpy as np
import pytest

from solvent.models.backtests import shortfall
from solvent.models.backtests.distributions import NORMAL, LossDistribution

ALPHA = 0.025


def test_a_published_sample() -> None:
    """A vendor's documented example: 57 exceptions of 1966, mean L/VaR 1.4221 where 1.1928 was expected.

    Its printed statistic is -0.38265, its p-value under the normal 0.0054, its critical value at 1 % -0.34639.
    """
    statistic = shortfall.z2_of_sum(57 * 1.4221 / 1.1928, 1966, ALPHA)
    assert statistic == pytest.approx(-0.38265, abs=1e-4)
    assert shortfall.p_value(shortfall.z2_sampler, statistic, 1966, ALPHA) == pytest.approx(0.0054, abs=6e-4)
    critical = shortfall.critical_value(shortfall.z2_sampler, 1966, ALPHA, 0.01)
    assert critical == pytest.approx(-0.34639, abs=0.005)


@pytest.mark.parametrize(("null", "critical"), [(NORMAL, -0.70), (LossDistribution(3.0), -0.82)])
def test_critical_values_of_the_paper(null: LossDistribution, critical: float) -> None:
    assert shortfall.critical_value(shortfall.z2_sampler, 250, ALPHA, 0.05, null) == pytest.approx(critical, abs=0.02)


def test_the_far_critical_value_of_the_paper() -> None:
    assert shortfall.critical_value(shortfall.z2_sampler, 250, ALPHA, 1e-4) == pytest.approx(-1.8, abs=0.05)


def test_closed_forms() -> None:
    assert NORMAL.quantile([0.01, 0.025]) == pytest.approx([2.32635, 1.95996], abs=1e-5)
    assert NORMAL.shortfall([0.01, 0.025]) == pytest.approx([2.66521, 2.3378], abs=1e-5)
    t3 = LossDistribution(3.0)
    assert (float(t3.quantile(0.01)), float(t3.shortfall(0.01))) == pytest.approx((4.540702858568, 7.003082036242))


def test_by_hand() -> None:
    losses, margins, shortfalls = [0.01, 0.06, 0.12], [0.05, 0.05, 0.10], [0.06, 0.06, 0.12]
    assert shortfall.z1(losses, margins, shortfalls) == pytest.approx(0.0)
    assert shortfall.z2(losses, margins, shortfalls, 0.5) == pytest.approx(1 - 2 / 1.5)
    assert math.isnan(shortfall.z1([0.0], [0.1], [0.2]))
    assert shortfall.z2([0.0], [0.1], [0.2], 0.5) == 1.0
    assert math.isnan(shortfall.z2([], [], [], 0.5))


@pytest.mark.parametrize("null", [NORMAL, LossDistribution(5.0)])
def test_expected_tail_mean_is_what_samples_have(null: LossDistribution) -> None:
    draws = np.sort(null.quantile(np.random.default_rng(5).random((10_000, 100))), axis=1)
    assert shortfall.expected_tail_mean(100, 3, null) == pytest.approx(draws[:, -3:].mean(), rel=0.01)


@pytest.mark.parametrize("sampler", [shortfall.z1_sampler, shortfall.z2_sampler, shortfall.z3_sampler])
def test_right_models_are_at_zero_in_the_mean(sampler: shortfall.Sampler) -> None:
    assert shortfall.null_statistics(sampler, 250, ALPHA).mean() == pytest.approx(0.0, abs=0.004)


def test_samplers_draw_what_whole_samples_have() -> None:
    """The tail alone gives the same distribution as samples of all losses."""
    losses = np.random.default_rng(6).standard_normal((20_000, 250))
    var, es = float(NORMAL.quantile(ALPHA)), float(NORMAL.shortfall(ALPHA))
    whole = 1.0 - np.where(losses > var, losses, 0.0).sum(axis=1) / (250 * ALPHA * es)
    drawn = shortfall.null_statistics(shortfall.z2_sampler, 250, ALPHA)
    shares = [0.05, 0.25, 0.75, 0.95]
    assert np.quantile(whole, shares) == pytest.approx(np.quantile(drawn, shares), abs=0.02)


def test_a_model_that_understates_is_refused_by_each() -> None:
    """Twice the scale that the model says: beyond the critical value of all three."""
    losses = 2.0 * np.random.default_rng(7).standard_normal(500)
    margins = np.full(500, float(NORMAL.quantile(ALPHA)))
    shortfalls = np.full(500, float(NORMAL.shortfall(ALPHA)))
    found = {
        shortfall.z1_sampler: shortfall.z1(losses, margins, shortfalls),
        shortfall.z2_sampler: shortfall.z2(losses, margins, shortfalls, ALPHA),
        shortfall.z3_sampler: shortfall.z3(losses, margins, ALPHA),
    }
    for sampler, statistic in found.items():
        assert statistic < shortfall.critical_value(sampler, 500, ALPHA, 0.01)


def test_a_model_that_is_right_is_accepted_by_each() -> None:
    losses = np.random.default_rng(8).standard_normal(500)
    margins = np.full(500, float(NORMAL.quantile(ALPHA)))
    shortfalls = np.full(500, float(NORMAL.shortfall(ALPHA)))
    assert shortfall.p_value(
        shortfall.z2_sampler, shortfall.z2(losses, margins, shortfalls, ALPHA), 500, ALPHA
    ) == pytest.approx(0.5, abs=0.45)
    assert shortfall.z3(losses, margins, ALPHA) > shortfall.critical_value(shortfall.z3_sampler, 500, ALPHA, 0.05)


def test_windows_are_neighbouring_days() -> None:
    chance = np.random.default_rng(9)
    losses, margins, shortfalls = chance.standard_normal(300), np.full(300, 1.5), np.full(300, 2.0)
    found = shortfall.z2_over_windows(losses, margins, shortfalls, ALPHA)
    assert len(found) == 51
    assert found[7] == pytest.approx(shortfall.z2(losses[7:257], margins[:250], shortfalls[:250], ALPHA))
    assert len(shortfall.z2_over_windows(losses[:200], margins[:200], shortfalls[:200], ALPHA)) == 0


def test_most_windows_of_a_right_model_are_above_the_threshold_and_few_of_one_that_understates() -> None:
    losses = np.random.default_rng(10).standard_normal(20_000)
    var, es = np.full(20_000, float(NORMAL.quantile(ALPHA))), np.full(20_000, float(NORMAL.shortfall(ALPHA)))
    assert (shortfall.z2_over_windows(losses, var, es, ALPHA) > -0.70).mean() >= 0.9
    assert (shortfall.z2_over_windows(1.5 * losses, var, es, ALPHA) > -0.70).mean() < 0.1


def test_the_same_question_has_the_same_answer() -> None:
    ask = (shortfall.z2_sampler, 250, ALPHA, 0.05)
    assert shortfall.critical_value(*ask) == shortfall.critical_value(*ask)
