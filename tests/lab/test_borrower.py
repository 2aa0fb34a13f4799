"""Borrowers: the chance of liquidation against simulated paths, and leverage against the textbook."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.lab.borrower import first_passage_probability, kelly_leverage, optimal_leverage


def test_the_chance_is_what_simulated_paths_have() -> None:
    """Watched at times h apart a path passes a barrier less often: it is shifted by exp(0.5826 s sqrt(h))."""
    chance = np.random.default_rng(7)
    sigma, days, steps, count = 0.8, 30.0, 240, 40_000
    step = days / 365 / steps
    moves = -(sigma**2) / 2 * step + sigma * np.sqrt(step) * chance.standard_normal((count, steps))
    shifted = 0.8 * np.exp(0.5826 * sigma * np.sqrt(step))
    touched = float((np.cumsum(moves, axis=1).min(axis=1) <= np.log(shifted)).mean())
    assert first_passage_probability(1, 0.8, 0, sigma, days) == pytest.approx(touched, abs=0.008)
    assert first_passage_probability(1, 0.7, 0, sigma, days) != pytest.approx(touched, abs=0.05)


@given(st.floats(0.01, 0.999), st.floats(-5, 5), st.floats(0.01, 5), st.floats(0.01, 1000))
def test_it_is_a_probability_that_rises_with_time_and_the_barrier(
    barrier: float, drift: float, sigma: float, days: float
) -> None:
    found = first_passage_probability(1, barrier, drift, sigma, days)
    assert 0 <= found <= 1
    assert first_passage_probability(1, barrier, drift, sigma, 2 * days) >= found - 1e-12
    assert first_passage_probability(1, barrier + (1 - barrier) / 2, drift, sigma, days) >= found - 1e-12
    assert first_passage_probability(1, barrier, drift - 1, sigma, days) >= found - 1e-12


def test_edges() -> None:
    assert first_passage_probability(1, 1, 0, 0.5, 1) == 1
    assert first_passage_probability(1, 0, 0, 0.5, 1) == 0
    assert first_passage_probability(1, 0.8, 0, 0.5, 0) == 0
    assert first_passage_probability(1, 0.8, 0, 0, 100) == 0
    assert first_passage_probability(1, 0.99, -1, 0, 100) == 1
    assert 0 <= first_passage_probability(1, 0.5, -50, 0.05, 30) <= 1  # an exponential beyond doubles


def test_without_a_cost_of_liquidation_the_best_leverage_is_kellys() -> None:
    found = optimal_leverage(0.5, 0.05, 0.6, 0.85, 0.0, 30)
    assert found.leverage == pytest.approx(kelly_leverage(0.5, 0.05, 0.6), rel=1e-3)
    assert found.ltv == pytest.approx(1 - 1 / found.leverage)


def test_a_cost_of_liquidation_lowers_leverage_and_caps_hold() -> None:
    free = optimal_leverage(1.2, 0.05, 0.6, 0.85, 0.0, 30)
    dear = optimal_leverage(1.2, 0.05, 0.6, 0.85, 0.3, 30)
    assert dear.leverage < free.leverage
    assert dear.liquidation_probability < free.liquidation_probability
    assert optimal_leverage(9.0, 0.0, 0.5, 0.85, 0.0, 30, ltv_most=0.6).ltv == pytest.approx(0.6, abs=1e-6)
    assert optimal_leverage(-1.0, 0.0, 0.5, 0.85, 0.1, 30).leverage == 1
