"""Marginal tiers: the sum by hand, convexity, and the exact form inside one unit above the float one."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.valuation.tiers import RATE_ONE, check_tiers, marginal_charge, marginal_charge_up

EDGES = (1_000, 5_000)
RATES = (0.05, 0.2, 1.0)
RATES_E9 = (50_000_000, 200_000_000, RATE_ONE)


@pytest.mark.parametrize(
    ("size", "charge"),
    [(-7, 0), (0, 0), (500, 25), (1_000, 50), (3_000, 450), (5_000, 850), (6_000, 1_850)],
)
def test_each_tier_charges_its_own_part(size: int, charge: int) -> None:
    assert marginal_charge(size, EDGES, RATES) == pytest.approx(charge, abs=1e-12)
    assert marginal_charge_up(size, EDGES, RATES_E9) == charge


def test_sizes_can_have_edges_of_their_own() -> None:
    found = marginal_charge([[500.0, 3_000.0]] * 2, [[[1_000.0, 5_000.0]], [[100.0, 200.0]]], RATES)
    np.testing.assert_allclose(found, [[25.0, 450.0], [325.0, 2_825.0]])


schedules = st.integers(1, 4).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(1, 10**12), min_size=n, max_size=n, unique=True).map(sorted),
        st.lists(st.integers(0, 3 * RATE_ONE), min_size=n + 1, max_size=n + 1).map(sorted),
    )
)


@given(schedule=schedules, size=st.integers(-(10**6), 10**13))
def test_exact_form_is_the_charge_rounded_up(schedule: tuple[list[int], list[int]], size: int) -> None:
    edges, rates = schedule
    by_hand, lower = Fraction(0), 0
    for upper, rate in zip([*edges, max(size, lower, edges[-1])], rates, strict=True):
        by_hand += max(min(size, upper) - lower, 0) * Fraction(rate, RATE_ONE)
        lower = upper
    found = marginal_charge_up(size, edges, rates)
    assert 0 <= found - by_hand < 1
    assert marginal_charge(size, edges, np.array(rates) / RATE_ONE) == pytest.approx(float(by_hand), rel=1e-12)


@given(schedule=schedules, first=st.integers(0, 10**13), second=st.integers(0, 10**13))
def test_charge_is_convex_so_one_large_position_never_pays_less_than_two(
    schedule: tuple[list[int], list[int]], first: int, second: int
) -> None:
    edges, rates = schedule
    together = marginal_charge_up(first + second, edges, rates)
    apart = marginal_charge_up(first, edges, rates) + marginal_charge_up(second, edges, rates)
    assert together >= apart - 1  # each part of `apart` is rounded up once


def test_check_names_each_unsafe_schedule() -> None:
    assert check_tiers(EDGES, RATES, most=1.0) == []
    wrong = {
        "tiers.rates": [
            ((1.0,), (0.1,)),
            ((1.0,), (0.2, 0.1)),
            ((1.0,), (0.1, 1.1)),
            ((1.0,), (float("nan"), 1.0)),
        ],
        "tiers.edges": [((0.0, 1.0), (0.1, 0.2, 0.3)), ((2.0, 1.0), (0.1, 0.2, 0.3))],
    }
    for field, schedules_ in wrong.items():
        for edges, rates in schedules_:
            problems = check_tiers(edges, rates, most=1.0, file="policy.toml")
            assert {each.field for each in problems} == {field}
            assert all(each.file == "policy.toml" and each.accepted for each in problems)
