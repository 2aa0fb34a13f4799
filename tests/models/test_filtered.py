"""Filtered historical simulation: it scales with today's volatility, and its paths move the volatility."""

import numpy as np
import pytest
from tests.models.samples import garch_returns, t_returns

from solvent.models.ewma import Ewma
from solvent.models.filtered import Filtered, rescaled, standardised
from solvent.models.historical import Historical
from solvent.models.horizons import filtered_paths, scaled


def test_scenarios_are_surprises_at_todays_volatility() -> None:
    returns = t_returns(1500)
    surprises, variance = standardised(Ewma(0.97), returns)
    fitted = Filtered(Ewma(0.97), window=1000).fit(returns)
    expected = -np.sqrt(variance) * np.quantile(surprises[-1000:], 0.01, method="lower")
    assert fitted.quantile(0.99) == pytest.approx(expected)


def test_a_rescaled_return() -> None:
    # Hull and White 1998: r sigma_T / sigma_t
    assert rescaled(-0.05, 0.04, 0.06) == pytest.approx(-0.075)


def test_turbulence_raises_the_margin_where_history_does_not_yet() -> None:
    calm, wild = t_returns(1000, scale=0.01), t_returns(30, seed=5, scale=0.06)
    returns = np.concatenate((calm, wild))
    filtered = Filtered(Ewma(0.94)).fit(returns).quantile(0.99) / Filtered(Ewma(0.94)).fit(calm).quantile(0.99)
    historical = Historical().fit(returns).quantile(0.99) / Historical().fit(calm).quantile(0.99)
    assert filtered > 3.0
    assert filtered > historical


def test_paths_follow_the_filter_step_by_step() -> None:
    filter, surprises = Ewma(0.9), np.random.default_rng(4).normal(size=50)
    paths = filtered_paths(filter, 4e-4, surprises, 3)
    for start in (0, 17, 47):
        variance, total = 4e-4, 0.0
        for z in surprises[start : start + 3]:
            move = np.sqrt(variance) * z
            total += move
            variance = 0.9 * variance + 0.1 * move**2
        assert paths[start] == pytest.approx(total)
    assert len(paths) == 48


def test_one_bar_of_paths_is_the_fit_itself() -> None:
    fitted = Filtered(Ewma(0.97)).fit(garch_returns(1200))
    assert fitted.over(1) is fitted
    assert np.sort(fitted.long_paths(1).returns) == pytest.approx(np.sort(fitted.returns))


def test_ten_bars_are_near_the_square_root_for_independent_returns() -> None:
    fitted = Filtered(Ewma(0.99)).fit(t_returns(3000, freedom=8.0))
    ratio = fitted.over(10).quantile(0.95) / scaled(fitted.quantile(0.95), 10)
    assert 0.75 < ratio < 1.35


def test_a_horizon_longer_than_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="at most the 250"):
        Filtered(Ewma(0.97), window=250).fit(t_returns(300)).over(251)


def test_a_price_that_stands_still_has_a_margin() -> None:
    fitted = Filtered(Ewma(0.97)).fit(np.zeros(400))
    assert fitted.quantile(0.99) > 0
    assert np.isfinite(fitted.shortfall(0.99))
