"""Exact quantities: rounding by name, text in and out, what does not fit."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.domain.quantities import (
    decimal_text,
    div_down,
    div_up,
    exact,
    fraction_down,
    fraction_up,
    mul_div_down,
    mul_div_up,
    whole,
)

integers = st.integers(-(2**130), 2**130)
positive = st.integers(1, 2**130)


@given(integers, integers, positive)
def test_mul_div_brackets_the_quotient(a: int, b: int, c: int) -> None:
    down, up = mul_div_down(a, b, c), mul_div_up(a, b, c)
    assert down <= Fraction(a * b, c) <= up
    assert up - down == (0 if a * b % c == 0 else 1)


@given(integers, positive)
def test_down_is_the_mirror_of_up(a: int, b: int) -> None:
    assert div_down(-a, b) == -div_up(a, b)
    assert mul_div_down(-a, 1, b) == -mul_div_up(a, 1, b)


@given(st.fractions(), st.integers(1, 10**18))
def test_fractions_round_by_name(x: Fraction, scale: int) -> None:
    assert fraction_down(x, scale) <= x * scale <= fraction_up(x, scale)


@given(st.integers(-(10**30), 10**30), st.integers(0, 18))
def test_decimal_text_reads_back(digits: int, places: int) -> None:
    value = Fraction(digits, 10**places)
    assert exact(decimal_text(value)) == value


@pytest.mark.parametrize(
    "bad", ["1e5", "nan", "", "1_000", "0x1", "--1", "1.2.3", "½", None, True, float("nan"), float("inf")]
)
def test_what_is_no_quantity_says_what_would_be(bad: object) -> None:
    with pytest.raises(ValueError, match="number"):
        exact(bad)


def test_digits_are_limited() -> None:
    assert exact("1" * 38) == int("1" * 38)
    with pytest.raises(ValueError, match="38 digits"):
        exact("1" * 39)


def test_whole_lots_divide_exactly_or_are_refused() -> None:
    lot = Fraction(1, 10_000)
    assert whole("1.5", lot) == 15_000
    assert whole(Decimal("-0.0001"), lot) == -1
    assert whole(2, lot) == 20_000
    with pytest.raises(ValueError, match=r"a multiple of 0\.0001"):
        whole("0.00015", lot)


def test_floats_are_taken_near_a_whole_lot_only() -> None:
    lot = Fraction(1, 10)
    assert whole(0.1 + 0.2, lot) == 3
    with pytest.raises(ValueError, match="multiple"):
        whole(0.3001, lot)
