"""Decimals of a policy as exact integers: 0.98 means 98/100, and not the binary number beside it."""

from fractions import Fraction
from functools import lru_cache

from solvent.pools.fixed_point import WAD


@lru_cache(maxsize=1024)
def scaled(value: float, one: int = WAD) -> int:
    """The decimal that `value` prints as, times `one`, to the nearest integer (half to even).

    Raises ValueError for NaN and infinity.
    """
    return round(Fraction(repr(value)) * one)
