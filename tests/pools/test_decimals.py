"""Fixed point: decimals are read as printed, powers round as the protocol rounds."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.pools.fixed_point import RAY, WAD, power_half_up, scaled


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.98, 98 * 10**16), (0.1, 10**17), (1, WAD), (1e-5, 10**13), (0.999230132966, 999230132966 * 10**6)],
)
def test_a_decimal_is_read_as_it_prints(value: float, expected: int) -> None:
    assert scaled(value) == expected


def test_the_binary_neighbour_would_have_been_wrong() -> None:
    assert round(Fraction(0.98) * WAD) != scaled(0.98)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="Invalid literal"):
        scaled(value)


@given(st.integers(0, 2 * RAY), st.integers(0, 60))
def test_a_power_is_within_a_unit_a_squaring(base: int, exponent: int) -> None:
    true = Fraction(base, RAY) ** exponent
    error = abs(Fraction(power_half_up(base, exponent, RAY), RAY) - true)
    assert error <= Fraction(2 * max(exponent, 1), RAY) * max(true, 1) * max(Fraction(base, RAY), 1)


def test_powers_of_zero_and_one() -> None:
    assert power_half_up(0, 0, WAD) == WAD
    assert power_half_up(0, 3, WAD) == 0
    assert power_half_up(WAD, 10**9, WAD) == WAD
