"""Decimals are read as they print."""

from fractions import Fraction

import pytest

from solvent.pools.decimals import scaled
from solvent.pools.fixed_point import WAD


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
