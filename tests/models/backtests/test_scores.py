"""Scores are lowest at the truth, by hand where two days tell, and the comparison knows noise from a difference."""

import numpy as np
import pytest

from solvent.models.backtests import scores
from solvent.models.backtests.distributions import NORMAL

ALPHA = 0.05


def test_by_hand() -> None:
    assert scores.pinball([-0.1, 0.02], -0.05, 0.01) == pytest.approx([0.0495, 0.0007])
    found = scores.fissler_ziegel([-0.1, -0.01], -0.05, -0.07, 0.01)
    assert found == pytest.approx([68.48359710592436, -2.9449743226470635], abs=1e-12)


def test_a_shortfall_that_is_no_loss_has_no_score() -> None:
    assert np.isnan(scores.fissler_ziegel([-0.1], [-0.05], [0.0], 0.01)).all()


def test_both_are_lowest_at_the_truth() -> None:
    returns = np.random.default_rng(1).standard_normal(60_000)
    var, es = -float(NORMAL.quantile(ALPHA)), -float(NORMAL.shortfall(ALPHA))
    factors = (0.7, 0.85, 1.0, 1.15, 1.3)
    by_quantile = [scores.pinball(returns, factor * var, ALPHA).mean() for factor in factors]
    by_shortfall = [scores.fissler_ziegel(returns, factor * var, factor * es, ALPHA).mean() for factor in factors]
    assert int(np.argmin(by_quantile)) == 2
    assert int(np.argmin(by_shortfall)) == 2


def test_a_better_model_is_told_from_a_worse_one() -> None:
    returns = np.random.default_rng(2).standard_normal(4000)
    right, wrong = (scores.pinball(returns, -factor * float(NORMAL.quantile(ALPHA)), ALPHA) for factor in (1.0, 0.5))
    found = scores.diebold_mariano(right, wrong)
    assert found.difference < 0.0
    assert found.p_value < 1e-4
    swapped = scores.diebold_mariano(wrong, right)
    assert (swapped.statistic, swapped.p_value) == pytest.approx((-found.statistic, found.p_value))


def test_noise_is_no_difference() -> None:
    """Of pairs without a difference about one in twenty is refused at 5 %, also where errors follow one another."""
    chance = np.random.default_rng(3)
    noise = chance.standard_normal((400, 802))
    following = noise[:, 2:] + noise[:, 1:-1] + noise[:, :-2]
    careful = [scores.diebold_mariano(row, np.zeros(800), 12).p_value < 0.05 for row in following]
    careless = [scores.diebold_mariano(row, np.zeros(800), 0).p_value < 0.05 for row in following]
    assert np.mean(careful) < 0.11
    assert np.mean(careless) > 0.2


def test_equal_scores_say_nothing() -> None:
    found = scores.diebold_mariano(np.ones(10), np.ones(10))
    assert found.difference == 0.0
    assert np.isnan(found.p_value)
