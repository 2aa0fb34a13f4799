"""The two kinds of forecast: quantiles are order statistics, closed forms are scipy's, sides mirror each other."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from solvent.models.model import (
    MARGIN_LEAST,
    Parametric,
    Scenarios,
    lower_tail,
    upper_quantile,
    upper_shortfall,
    weighted_tail,
)


@given(st.integers(2, 600), st.sampled_from([0.9, 0.95, 0.975, 0.99, 0.999]))
def test_the_quantile_is_the_lower_order_statistic(count: int, level: float) -> None:
    returns = np.random.default_rng(count).standard_t(3, count)
    place = math.floor(round((1 - level) * 1000) * (count - 1) / 1000)
    value, mean = lower_tail(returns, level)
    assert value == np.sort(returns)[place]
    assert mean == pytest.approx(np.sort(returns)[: place + 1].mean())


def test_five_hundred_returns_at_99_percent_give_the_fifth_lowest() -> None:
    returns = np.random.default_rng(0).permutation(np.arange(500) - 250.0) / 1000
    assert lower_tail(returns, 0.99)[0] == -0.246


def test_weights_decide_where_the_tail_begins() -> None:
    returns, weights = np.array([-0.3, -0.2, -0.1, 0.0]), np.array([0.005, 0.004, 0.001, 0.99])
    assert weighted_tail(returns, weights, 0.99)[0] == -0.1
    assert weighted_tail(returns, weights, 0.995)[0] == -0.3
    value, mean = weighted_tail(returns, weights, 0.991)
    assert value == -0.2
    assert mean == pytest.approx((0.3 * 0.005 + 0.2 * 0.004) / -0.009)


def test_sides_mirror_each_other() -> None:
    returns = np.random.default_rng(3).standard_t(3, 700) / 50
    for level in (0.95, 0.99):
        long, short = Scenarios(returns), Scenarios(-returns)
        assert long.quantile(level, "short") == short.quantile(level, "long")
        assert long.shortfall(level, "short") == short.shortfall(level, "long")


@pytest.mark.parametrize("freedom", [2.5, 4.0, 30.0])
@pytest.mark.parametrize("level", [0.95, 0.975, 0.99])
def test_t_closed_forms_are_scipys(freedom: float, level: float) -> None:
    scale = math.sqrt((freedom - 2) / freedom)
    q = stats.t.ppf(level, freedom)
    assert upper_quantile(level, freedom) == pytest.approx(q * scale)
    tail = integrate.quad(lambda x: x * stats.t.pdf(x, freedom), q, np.inf)[0] / (1 - level)
    assert upper_shortfall(level, freedom) == pytest.approx(tail * scale, rel=1e-6)


def test_normal_closed_forms() -> None:
    # 2.326 and 2.338: VaR at 99 % and ES at 97.5 % of a standard normal are nearly alike
    assert upper_quantile(0.99) == pytest.approx(2.32635, abs=1e-5)
    assert upper_shortfall(0.975) == pytest.approx(2.33780, abs=1e-5)


def test_no_margin_is_below_the_least() -> None:
    rising = Scenarios(np.full(300, 0.01))
    assert rising.quantile(0.99, "long") == MARGIN_LEAST
    assert rising.quantile(0.99, "short") == 0.01
    assert Parametric(0.5, 0.001).quantile(0.99, "long") == MARGIN_LEAST


def test_more_bars_by_the_square_root_of_time() -> None:
    fitted = Parametric(0.0, 0.02, 5.0)
    assert fitted.over(4).quantile(0.99) == pytest.approx(2 * fitted.quantile(0.99))
    scenarios = Scenarios(np.linspace(-1, 1, 500))
    assert scenarios.over(4).quantile(0.99) == pytest.approx(2 * scenarios.quantile(0.99))
