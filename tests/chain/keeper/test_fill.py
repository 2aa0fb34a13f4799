"""Filling a block: at least 98 % of the optimum of an integer programme, and the most urgent first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from solvent.chain.keeper.fill import URGENCY_COST, fill, knapsack


def optimum(value: np.ndarray, gas: np.ndarray, gas_limit: int) -> float:
    """Highest value of any set that fits, by branch and bound."""
    rows = LinearConstraint(gas[None, :].astype(float), -np.inf, gas_limit)
    found = milp(-value, constraints=rows, integrality=np.ones(len(value)), bounds=Bounds(0, 1))
    return float(-found.fun)


@pytest.mark.parametrize("seed", range(12))
def test_with_jobs_for_three_blocks_a_block_holds_98_percent_of_the_optimum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(4, 300))
    value, gas = rng.lognormal(5.0, 1.5, count), rng.integers(200_000, 900_000, count)
    limit = int(gas.sum()) // 3
    best = optimum(value, gas, limit)
    for chosen in (knapsack(value, gas, limit), fill(value, gas, rng.uniform(0, 1, count), limit)):
        assert gas[chosen].sum() <= limit
        assert value[chosen].sum() >= 0.98 * best


def test_greedy_alone_would_fail() -> None:
    # One job of the best density that leaves no room for the other two, worth more together.
    value, gas = np.array([6.1, 5.0, 5.0]), np.array([6, 5, 5])
    assert knapsack(value, gas, 10).tolist() == [False, True, True]


def test_urgency_breaks_ties_and_buys_little() -> None:
    gas = np.full(10, 100)
    urgency = np.arange(10) / 10.0
    chosen = fill(np.full(10, 7.0), gas, urgency, 300)
    assert np.flatnonzero(chosen).tolist() == [7, 8, 9]
    value = np.array([100.0, 100.0, 50.0])
    chosen = fill(value, np.full(3, 100), np.array([0.0, 0.0, 1.0]), 200)
    assert chosen.tolist() == [True, True, False], "half a job is too dear for urgency"


items = st.lists(st.tuples(st.floats(-5.0, 1e6), st.integers(1, 10**6), st.floats(0, 1)), max_size=40)


@given(items, st.integers(0, 3 * 10**6))
def test_a_fill_fits_and_gives_up_no_more_than_it_may(rows: list[tuple[float, int, float]], limit: int) -> None:
    value = np.array([each[0] for each in rows])
    gas = np.array([each[1] for each in rows], np.int64)
    urgency = np.array([each[2] for each in rows])
    plain, chosen = knapsack(value, gas, limit), fill(value, gas, urgency, limit)
    assert gas[chosen].sum() <= limit
    assert (value[chosen] > 0).all()
    assert value[chosen].sum() >= (1 - URGENCY_COST) * value[plain].sum() * (1 - 1e-12)
