"""Closed forms against their books."""

import pytest

from solvent.models.textbook import normal_var, portfolio_var, with_spread, with_stressed_spread


def test_hulls_position_and_portfolio() -> None:
    # Hull: 10 m USD at 2 % a day, ten days, z rounded to 2.33
    assert normal_var(10e6, 0.02, 10, 2.33) == pytest.approx(1_473_621, abs=1)
    found = portfolio_var([200_000, 50_000], 0.3, 10, 2.33)
    assert found == pytest.approx((220_227, 1_622_657, 219_369), abs=6)


def test_perfect_correlation_diversifies_nothing() -> None:
    assert portfolio_var([3.0, 4.0, 5.0], 1.0, 1, 2.0) == pytest.approx((12.0, 24.0, 0.0))


def test_the_cost_of_the_spread() -> None:
    # Dowd: 100 at z 1.65 and 2 % with a spread of 1 %; Bangia form with k deviations
    assert with_spread(normal_var(100, 0.02, 1, 1.65), 100, 0.01) == pytest.approx(3.8)
    assert with_stressed_spread(1e6, 1e6, 0.001, 1.96, 0.003) == pytest.approx(1_003_440)
