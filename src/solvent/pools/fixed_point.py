"""Fixed point: the decimals of a policy as exact integers of 1e-18 or 1e-27, and powers of such integers."""

from fractions import Fraction
from functools import lru_cache

WAD = 10**18
"""One, in integers of 1e-18."""
RAY = 10**27
"""One, in integers of 1e-27."""


@lru_cache(maxsize=1024)
def scaled(value: float, one: int = WAD) -> int:
    """The decimal that `value` prints as, times `one`, to the nearest integer (half to even).

    A policy says 0.98 and means 98/100, not the binary number beside it. Raises ValueError for NaN and infinity.
    """
    return round(Fraction(repr(value)) * one)


def mul_half_up(a: int, b: int, one: int) -> int:
    """a b / one to the nearest integer, halves up; a, b >= 0."""
    return (a * b + one // 2) // one


def power_half_up(base: int, exponent: int, one: int) -> int:
    """(base / one)^exponent in units of `one`, by repeated squaring, halves up at each step.

    The order of squarings and roundings is that of the MakerDAO price curves (dss, abaci.sol `rpow`), so that
    results agree to the last digit. Parameters: base >= 0 in units of `one`; exponent >= 0.
    """
    result = base if exponent & 1 else one
    exponent >>= 1
    while exponent:
        base = mul_half_up(base, base, one)
        if exponent & 1:
            result = mul_half_up(result, base, one)
        exponent >>= 1
    return result
