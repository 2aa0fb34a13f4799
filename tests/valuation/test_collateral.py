"""Haircuts by size: worked numbers, the cap, weights, and the exact form rounded against the account."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.valuation.collateral import (
    check_haircuts,
    collateral_weight,
    tiered_haircut_up,
    tiered_haircut_usd,
    weighted_value_usd,
)

EDGES = (1_000_000.0, 10_000_000.0)
RATES = (0.05, 0.15)


def test_worked_example_and_cap() -> None:
    values = np.array([-5.0, 0.0, 400_000.0, 1_000_000.0, 3_000_000.0, 10_000_000.0, 25_000_000.0])
    charges = [0.0, 0.0, 20_000.0, 50_000.0, 350_000.0, 1_400_000.0, 16_400_000.0]
    np.testing.assert_allclose(tiered_haircut_usd(values, EDGES, RATES), charges, atol=1e-6)
    # Above the cap nothing more counts: 8.6 million at 10 million and at 25 million.
    np.testing.assert_allclose(weighted_value_usd(values[-2:], EDGES, RATES), 8_600_000.0)
    np.testing.assert_allclose(
        collateral_weight(values, EDGES, RATES), [1.0, 0.95, 0.95, 0.95, 1 - 0.35 / 3, 0.86, 0.344]
    )


def test_no_cap_and_unlisted_asset() -> None:
    assert tiered_haircut_usd(1e9, (np.inf,), (0.1,)) == pytest.approx(1e8)
    assert collateral_weight(1e9, (1.0,), (1.0,)) == 0.0


@given(
    rates=st.lists(st.integers(0, 10**9), min_size=2, max_size=2).map(sorted),
    value=st.integers(-(10**9), 10**15),
    more=st.integers(0, 10**12),
)
def test_haircut_is_bounded_and_more_collateral_never_counts_for_less(rates: list[int], value: int, more: int) -> None:
    edges = (10**10, 10**13)
    charge = tiered_haircut_up(value, edges, rates)
    assert 0 <= charge <= max(value, 0)
    assert (value + more) - tiered_haircut_up(value + more, edges, rates) >= value - charge
    floats = tiered_haircut_usd(float(value), edges, np.array(rates) / 1e9)
    assert floats <= charge + 1e-3 * max(1.0, abs(value) * 1e-12)
    assert charge - floats < 1 + 1e-9 * abs(value)
    assert 0.0 <= collateral_weight(float(value), edges, np.array(rates) / 1e9) <= 1.0


def test_check_refuses_rates_that_fall_or_leave_zero_to_one() -> None:
    assert check_haircuts(EDGES, RATES) == []
    for rates in ((0.2, 0.1), (-0.1, 0.1), (0.5, 1.2), (0.1,), (float("nan"), 0.5)):
        problems = check_haircuts(EDGES, rates, file="policy.toml", field="margin.collateral.BTC")
        assert problems
        assert all(each.field.startswith("margin.collateral.BTC") for each in problems)
