"""Fixed point as protocols compute it."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from solvent.pools.fixed_point import RAY, div_to_zero, mul_div_half_up, mul_div_to_zero, power_half_up

naturals = st.integers(0, 10**40)
integers = st.integers(-(10**40), 10**40)
nonzero = integers.filter(bool)


@given(naturals, naturals, st.integers(1, 10**40))
def test_half_up_is_within_half_and_ties_go_up(a: int, b: int, c: int) -> None:
    gap = mul_div_half_up(a, b, c) - Fraction(a * b, c)
    assert -Fraction(1, 2) <= gap <= Fraction(1, 2)
    assert c % 2 or a * b * 2 % (2 * c) != c or gap == Fraction(1, 2)


@given(integers, nonzero)
def test_division_toward_zero_truncates(a: int, b: int) -> None:
    assert div_to_zero(a, b) == int(Fraction(a, b))
    assert div_to_zero(-a, b) == -div_to_zero(a, b)
    assert mul_div_to_zero(a, 1, b) == div_to_zero(a, b)


@given(st.integers(0, RAY), st.integers(0, 200))
def test_a_power_is_near_the_exact_one(x: int, exponent: int) -> None:
    exact = Fraction(x, RAY) ** exponent * RAY
    assert abs(power_half_up(x, exponent, RAY) - exact) <= 2 * exponent + 1


def test_a_power_of_nothing_is_one() -> None:
    assert power_half_up(0, 0, RAY) == RAY
    assert power_half_up(5, 1, RAY) == 5
