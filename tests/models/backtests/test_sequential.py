"""Live monitoring: e-values by hand, the promise under the null, and how soon a margin that is too low is found."""

import math

import numpy as np
import pytest
from scipy.stats import norm, t

from solvent.models.backtests import sequential

DAYS, PATHS = 250, 20_000


def crossing_rate(factor: float, bound: float = sequential.BREACH_FROM) -> float:
    """Share of years in which wealth reaches the bound where VaR is `factor` of the true one."""
    losses = np.random.default_rng(20).standard_t(4, (PATHS, DAYS))
    values = sequential.e_values_var(losses, factor * t.isf(0.01, 4), 0.99)
    wealth = np.cumprod(1.0 - sequential.BET + sequential.BET * values, axis=1)
    return float((wealth.max(axis=1) >= bound).mean())


def test_by_hand() -> None:
    values = sequential.e_values_var([0.01, 0.06, 0.02], 0.05, 0.99)
    assert values == pytest.approx([0.0, 100.0, 0.0])
    assert sequential.e_process(values, 0.02) == pytest.approx([0.98, 2.9204, 2.861992])
    assert sequential.e_values_shortfall([0.04, 0.06, 0.1], 0.05, 0.07, 0.975) == pytest.approx([0.0, 20.0, 100.0])


def test_a_shortfall_no_larger_than_the_margin_allows_no_loss_beyond_it() -> None:
    assert sequential.e_values_shortfall([0.04, 0.06], 0.05, 0.05, 0.975).tolist() == [0.0, math.inf]


def test_a_right_model_is_seldom_called_wrong() -> None:
    """At most 1 in 20 by the theory at any time; within a year far fewer."""
    assert crossing_rate(1.0) <= 0.01
    assert crossing_rate(1.0, sequential.ALERT_FROM) <= 1 / sequential.ALERT_FROM


def test_half_the_margin_is_found_within_a_year() -> None:
    assert crossing_rate(0.5) >= 0.99


def test_a_quarter_too_little_is_found_in_every_fourth_year_or_so() -> None:
    assert 0.2 <= crossing_rate(0.75) <= 0.4


def test_values_of_a_right_model_have_mean_one() -> None:
    losses = np.random.default_rng(4).standard_normal(400_000)
    var, es = float(norm.isf(0.025)), float(norm.pdf(norm.isf(0.025)) / 0.025)
    assert sequential.e_values_var(losses, var, 0.975).mean() == pytest.approx(1.0, abs=0.05)
    assert sequential.e_values_shortfall(losses, var, es, 0.975).mean() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("wealth", "state"), [(1.0, "quiet"), (5.0, "alert"), (19.9, "alert"), (20.0, "breach")])
def test_states(wealth: float, state: str) -> None:
    assert sequential.state(wealth) == state


def test_the_day_of_the_crossing() -> None:
    assert sequential.first_at_least([1.0, 6.0, 3.0], 5.0) == 1
    assert sequential.first_at_least([1.0, 2.0], 5.0) is None
