"""Numbers of a vector file: text is exact, decimals become fractions, scales are explicit."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

Inputs = Mapping[str, Any]
"""A vector's inputs, as read."""
Function = Callable[[Inputs], Any]
"""What a case computes from its inputs alone."""

DIGITS_MOST = 1000
"""Longer text is not taken as a number."""
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?")


def number(value: Any) -> Fraction | None:
    """`value` as an exact fraction; None for what is not a finite number.

    A float of JSON is taken as the decimal that it prints, so 0.1 is a tenth.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | Fraction):
        return Fraction(value)
    if isinstance(value, str):
        text = value.strip()
        return Fraction(text) if len(text) <= DIGITS_MOST and _NUMBER.fullmatch(text) else None
    if isinstance(value, Decimal):
        return Fraction(value) if value.is_finite() else None
    if isinstance(value, float):
        return Fraction(repr(value)) if value - value == 0.0 else None
    return None


def fraction(value: Any) -> Fraction:
    """`value` as an exact fraction. Raises ValueError for what is not a number."""
    found = number(value)
    if found is None:
        raise ValueError(f"{value!r} is not a number")
    return found


def leading_fraction(value: Any) -> Fraction:
    """As `fraction`, but words may follow the number ("0.96 assumed")."""
    found = _NUMBER.match(value.strip()) if isinstance(value, str) else None
    return fraction(found.group() if found else value)


def integer(value: Any) -> int:
    """`value` as an exact integer. Raises ValueError for a fractional part."""
    found = fraction(value)
    if found.denominator != 1:
        raise ValueError(f"{value!r} is not a whole number")
    return found.numerator


def scaled(value: Any, scale: int) -> int:
    """A decimal in units of 1 / `scale`, rounded half to even where it has more digits."""
    return round(fraction(value) * scale)


def integers(inputs: Inputs, *names: str) -> tuple[int, ...]:
    """Exact integers of several inputs."""
    return tuple(integer(inputs[name]) for name in names)


def fractions(inputs: Inputs, *names: str) -> tuple[Fraction, ...]:
    """Exact fractions of several inputs."""
    return tuple(fraction(inputs[name]) for name in names)


def ratio_e18(value: Any) -> int:
    """A ratio in 1e-18: given as a decimal near 1, or as an integer of 1e-18 already."""
    found = fraction(value)
    return integer(value) if found.denominator == 1 and abs(found) >= 10**6 else scaled(value, 10**18)
