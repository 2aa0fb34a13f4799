"""Whether a result is what a vector expects: exact fractions, tolerances, nested objects and lists."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import msgspec

from solvent.conform.values import number

ZERO = Fraction(0)


class Undetermined(msgspec.Struct, frozen=True):
    """What an adapter returns in place of a figure that does not follow from what the vector gives."""

    needs: str
    """What it would take."""


class Tolerance(msgspec.Struct, frozen=True):
    """A number passes within the larger of `abs` and `rel` times what is expected; by default exactly."""

    rel: Fraction = ZERO
    abs: Fraction = ZERO
    truncated: bool = False
    """Both are cut to whole numbers toward zero first."""

    def __str__(self) -> str:
        if self.truncated:
            return "equal after truncation"
        parts = [f"{name} {float(x):g}" for name, x in (("rel", self.rel), ("abs", self.abs)) if x]
        return ", ".join(parts) or "exact"


TRUNCATED = Tolerance(truncated=True)
NOISE = Fraction(1, 10**13)
"""What terms that cancel in doubles leave, relative to the largest of them; no relative tolerance asks for less."""


def above_noise(tolerance: Tolerance, expected: Any) -> Tolerance:
    """A relative tolerance with the absolute floor that doubles need beside the largest double expected.

    Results stated as integers or text have no such noise and get no floor.
    """
    if not tolerance.rel:
        return tolerance
    return msgspec.structs.replace(tolerance, abs=max(tolerance.abs, NOISE * largest_double(expected)))


def largest_double(expected: Any) -> Fraction:
    """The largest absolute float anywhere in an expected result, at least zero."""
    if isinstance(expected, Mapping):
        return max((largest_double(each) for each in expected.values()), default=ZERO)
    if isinstance(expected, list):
        return max((largest_double(each) for each in expected), default=ZERO)
    return abs(number(expected) or ZERO) if isinstance(expected, float) else ZERO


def differences(expected: Any, found: Any, tolerance: Tolerance, where: str = "") -> list[str]:
    """Every place where `found` is not what is expected; empty where all agree.

    An object of `expected` names the outputs that are compared: others may be found too. Null is not stated,
    and not compared. Lists must have the same length. Text of digits is a number.
    """
    found = _plain(found)
    if expected is None or isinstance(found, Undetermined):
        return []
    if isinstance(expected, Mapping):
        if not isinstance(found, Mapping):
            return [_reason(where, f"an object with {', '.join(expected)}", found)]
        return [
            each
            for key, value in expected.items()
            for each in (
                differences(value, found[key], tolerance, f"{where}.{key}" if where else str(key))
                if key in found
                else [_reason(f"{where}.{key}" if where else str(key), value, "nothing")]
            )
        ]
    if isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            return [_reason(where, f"a list of {len(expected)}", found)]
        return [
            each
            for i, (one, other) in enumerate(zip(expected, found, strict=True))
            for each in differences(one, other, tolerance, f"{where}[{i}]")
        ]
    agrees = _agrees(expected, found, tolerance)
    return [] if agrees else [_reason(where, f"{expected} ({tolerance})", found)]


def undetermined(found: Any, where: str = "") -> list[str]:
    """Every figure that could not be compared, and what it would take."""
    found = _plain(found)
    if isinstance(found, Undetermined):
        return [f"{where}: not compared, needs {found.needs}"]
    if isinstance(found, Mapping):
        rows = [(f"{where}.{key}" if where else str(key), each) for key, each in found.items()]
    elif isinstance(found, list) and any(isinstance(each, Undetermined | Mapping | list) for each in found):
        rows = [(f"{where}[{i}]", each) for i, each in enumerate(found)]
    else:
        return []
    return [each for name, value in rows for each in undetermined(value, name)]


def _agrees(expected: Any, found: Any, tolerance: Tolerance) -> bool:
    if isinstance(expected, bool) or isinstance(found, bool):
        return isinstance(expected, bool) and isinstance(found, bool) and expected == found
    wanted, got = number(expected), number(found)
    if wanted is None or got is None:
        return wanted is None and got is None and (expected == found or _both_nan(expected, found))
    if tolerance.truncated:
        return math.trunc(wanted) == math.trunc(got)
    if abs(wanted - got) <= max(tolerance.abs, tolerance.rel * abs(wanted)):
        return True
    # "exact" for a float can only mean the same float
    return isinstance(expected, float) and not tolerance.rel and not tolerance.abs and _float(got) == expected


def _float(value: Fraction) -> float:
    """The nearest float, infinite beyond the largest."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _both_nan(expected: Any, found: Any) -> bool:
    return all(isinstance(each, float) and math.isnan(each) for each in (expected, found))


def _plain(value: Any) -> Any:
    """Arrays, numpy scalars, tuples and structs as the plain objects of JSON."""
    if isinstance(value, msgspec.Struct) and not isinstance(value, Undetermined):
        return msgspec.structs.asdict(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def _reason(where: str, expected: Any, found: Any) -> str:
    prefix = f"{where}: " if where else ""
    return f"{prefix}expected {_short(expected)}, found {_short(found)}"


def _short(value: Any) -> str:
    if isinstance(value, Fraction):
        value = value.numerator if value.denominator == 1 else _float(value)
    text = str(value)
    return text if len(text) <= 160 else text[:157] + "..."
