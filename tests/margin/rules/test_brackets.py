"""Progressive brackets: the two forms that venues print agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.margin.rules.brackets import Bracket, bracket_of, charge, deductions, from_uppers

tables = st.lists(st.tuples(st.floats(0.01, 1e6), st.floats(0, 0.3)), min_size=1, max_size=6).map(
    lambda rows: from_uppers(sorted({round(upper, 2) for upper, _ in rows}), sorted(rate for _, rate in rows))
)


@given(tables, st.floats(0, 1e7))
def test_rate_less_deduction_is_the_marginal_sum(table: tuple[Bracket, ...], size: float) -> None:
    place = bracket_of(size, table)
    flat = size * table[place].rate - deductions(table)[place]
    assert flat == pytest.approx(charge(size, table), rel=1e-9, abs=1e-6)


@given(tables, st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_charge_never_falls_with_size(table: tuple[Bracket, ...], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert charge(low, table) <= charge(high, table) + 1e-9


def test_the_last_rate_goes_on() -> None:
    assert from_uppers((10.0,), (0.1, 0.2)) == (Bracket(0.0, 0.1), Bracket(10.0, 0.2))
    assert from_uppers((10.0, 20.0), (0.1, 0.2)) == (Bracket(0.0, 0.1), Bracket(10.0, 0.2))
    assert charge(100.0, from_uppers((10.0, 20.0), (0.1, 0.2))) == pytest.approx(19.0)
