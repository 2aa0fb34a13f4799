"""Bybit: printed examples; maintenance never falls with size."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.margin.rules.bybit import (
    EXAMPLE_TIERS,
    inverse_initial_margin,
    is_liquidatable,
    linear_initial_margin,
    maintenance_margin,
)


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "venues_published_examples", "initial_margin_inverse", "tiered_mm"))


@given(st.floats(0, 1e3), st.floats(0, 1e3))
def test_maintenance_never_falls_with_size(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert maintenance_margin(low, EXAMPLE_TIERS) <= maintenance_margin(high, EXAMPLE_TIERS)


def test_short_positions_have_the_same_margin() -> None:
    assert inverse_initial_margin(-10_000, 400, 10) == inverse_initial_margin(10_000, 400, 10)
    assert linear_initial_margin(-2.0, 100.0, 10.0) == 20.0


def test_the_breach_is_not_strict() -> None:
    assert is_liquidatable(100.0, 100.0)
    assert not is_liquidatable(100.01, 100.0)
    assert not is_liquidatable(-1.0, 0.0)
