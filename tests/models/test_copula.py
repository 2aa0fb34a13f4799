"""The t copula: its draws, its correlations, and a portfolio that hedges itself."""

import numpy as np
import pytest
from scipy import stats
from tests.models.samples import t_returns

from solvent.models.copula import (
    TCopula,
    ewma_correlations,
    portfolio_returns,
    shrunk,
    stress,
    t_levels,
    uniform_draws,
)
from solvent.models.ewma import Ewma
from solvent.models.filtered import Filtered


def pair(correlation: float, count: int = 1500) -> np.ndarray:
    one, two = t_returns(count, 1, freedom=8.0), t_returns(count, 2, freedom=8.0)
    return np.column_stack([one, correlation * one + np.sqrt(1 - correlation**2) * two])


def test_one_asset_is_its_marginal() -> None:
    returns = t_returns(1500)
    alone = Filtered(Ewma(0.97)).fit(returns)
    fitted = TCopula((1.0,)).fit(returns[:, None])
    assert fitted.quantile(0.99) == pytest.approx(alone.quantile(0.99), rel=0.05)


def test_the_same_past_gives_the_same_draws() -> None:
    returns = pair(0.5)
    assert np.array_equal(TCopula((0.5, 0.5)).fit(returns).returns, TCopula((0.5, 0.5)).fit(returns).returns)
    assert not np.array_equal(
        TCopula((0.5, 0.5), seed=1).fit(returns).returns, TCopula((0.5, 0.5)).fit(returns).returns
    )


def test_a_hedge_needs_less_and_stress_takes_it_away_from_diversification() -> None:
    returns = pair(0.8)
    margin = {each: TCopula(each).fit(returns).quantile(0.99) for each in ((0.5, 0.5), (0.5, -0.5))}
    assert margin[(0.5, -0.5)] < 0.6 * margin[(0.5, 0.5)]
    apart = pair(0.0)
    assert TCopula((0.5, 0.5), stressed=True).fit(apart).quantile(0.99) > TCopula((0.5, 0.5)).fit(apart).quantile(0.99)


def test_draws_have_uniform_margins_and_the_rank_correlation_of_their_matrix() -> None:
    matrix = np.array([[1.0, 0.6], [0.6, 1.0]])
    draws = uniform_draws(matrix, 4.0, 20_000, 3)
    assert stats.kstest(draws[:, 0], "uniform").pvalue > 0.001
    kendall = stats.kendalltau(draws[:4000, 0], draws[:4000, 1]).statistic
    assert kendall == pytest.approx(2 / np.pi * np.arcsin(0.6), abs=0.03)


def test_the_closed_form_is_the_t_distribution() -> None:
    values = np.linspace(-40.0, 40.0, 801)
    for freedom in (3.0, 4.0):
        assert t_levels(values, freedom) == pytest.approx(stats.t.cdf(values, freedom), abs=1e-14)


def test_tails_come_together_unlike_a_gaussians() -> None:
    matrix = np.array([[1.0, 0.5], [0.5, 1.0]])
    joint = {v: float((uniform_draws(matrix, v, 200_000, 5) < 0.01).all(axis=1).mean()) for v in (4.0, 1e6)}
    assert joint[4.0] > 1.5 * joint[1e6]


def test_correlations_are_estimated_shrunk_and_stressed() -> None:
    matrix = ewma_correlations(pair(0.7, 4000), 0.999)
    assert matrix[0, 1] == pytest.approx(0.7, abs=0.06)
    three = np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.2], [0.1, 0.2, 1.0]])
    assert np.linalg.eigvalsh(shrunk(three)).min() > 0
    assert stress(three)[0, 2] == pytest.approx(0.4)
    assert stress(three)[0, 1] == 0.95
    assert stress(np.array([[1.0, 0.99], [0.99, 1.0]]))[0, 1] == 0.99


def test_a_portfolio_holds_its_weights_over_the_bar() -> None:
    moves = np.log(np.array([[1.1, 0.8]]))
    assert portfolio_returns(moves, (0.5, 0.5)) == pytest.approx(np.log([0.95]))
    assert np.isfinite(portfolio_returns(np.log(np.array([[3.0]])), (-1.0,))).all()


def test_weights_must_be_as_many_as_the_assets() -> None:
    with pytest.raises(ValueError, match="3 weights"):
        TCopula((0.3, 0.3, 0.4)).fit(pair(0.1))
