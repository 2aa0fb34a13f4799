"""Optimal execution: the paper's laws, and that no other schedule does better."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.errors import SolventError
from solvent.models.liquidity.almgren_chriss import (
    Execution,
    cost_and_variance,
    frontier,
    holdings,
    kappa,
    kappa_tilde,
    minimum_impact_cost,
)

PAPER = Execution(1e6, 5.0, 5, gamma=2.5e-7, eta=2.5e-6, epsilon=0.0625, sigma=0.95)


def test_the_discrete_urgency_solves_its_equation() -> None:
    tau = PAPER.tau
    for aversion in (1e-9, 1e-6, 1e-4):
        left = np.cosh(kappa(PAPER, aversion) * tau)
        assert left == pytest.approx(1 + 0.5 * (kappa_tilde(PAPER, aversion) * tau) ** 2, rel=1e-12)


def test_without_aversion_slices_are_equal_and_cost_least() -> None:
    held = holdings(PAPER, 0.0)
    assert held == pytest.approx(np.linspace(1e6, 0.0, 6))
    assert cost_and_variance(PAPER, held)[0] == pytest.approx(minimum_impact_cost(PAPER)) == pytest.approx(662_500.0)


@given(st.floats(1e-8, 1e-4), st.integers(0, 1000))
def test_no_other_schedule_has_a_lower_utility(aversion: float, seed: int) -> None:
    best = holdings(PAPER, aversion)
    other = best.copy()
    other[1:-1] += np.random.default_rng(seed).normal(0.0, 1e4, 4)

    def utility(held: np.ndarray) -> float:
        cost, variance = cost_and_variance(PAPER, held)
        return cost + aversion * variance

    assert utility(best) < utility(other)


@given(st.lists(st.floats(0.0, 1e-4), min_size=2, max_size=6, unique=True))
def test_along_the_frontier_less_risk_costs_more(aversions: list[float]) -> None:
    points = frontier(PAPER, sorted(aversions))
    assert all(low.cost <= high.cost + 1e-6 for low, high in pairwise(points))
    assert all(low.variance >= high.variance - 1e-3 for low, high in pairwise(points))


def test_an_urgent_sale_does_not_overflow() -> None:
    held = holdings(PAPER._replace(sigma=1e6), 1.0)
    assert held[0] == pytest.approx(1e6)
    assert held[1:] == pytest.approx(0.0, abs=1e-3)


def test_a_short_position_is_the_mirror() -> None:
    assert holdings(PAPER._replace(quantity=-1e6), 1e-6) == pytest.approx(-holdings(PAPER, 1e-6))


@pytest.mark.parametrize(
    ("execution", "aversion"), [(PAPER._replace(eta=1e-8), 0.0), (PAPER._replace(slices=0), 0.0), (PAPER, -1.0)]
)
def test_what_cannot_be_is_refused(execution: Execution, aversion: float) -> None:
    with pytest.raises(SolventError):
        holdings(execution, aversion)
