"""When a result is what a vector expects."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.conform.compare import TRUNCATED, Tolerance, Undetermined, above_noise, differences, undetermined

EXACT = Tolerance()
RELATIVE = Tolerance(rel=Fraction(1, 100))


@pytest.mark.parametrize(
    ("expected", "found", "tolerance"),
    [
        ("100000000000000000000000001", 10**26 + 1, EXACT),
        ("9000.0", Fraction(9000), EXACT),
        (0.1, 0.1, EXACT),
        (0.1, Fraction(1, 10), EXACT),
        ("0.1", 0.1, EXACT),
        (100, 101, RELATIVE),
        (0, 0.5, Tolerance(abs=Fraction(1, 2))),
        (10, 10.4, Tolerance(rel=Fraction(1, 1000), abs=Fraction(1, 2))),
        (-3, -3.9, TRUNCATED),
        (True, True, EXACT),
        ("too-expensive", "too-expensive", EXACT),
        (None, "anything", EXACT),
        ({"a": [1, 2]}, {"a": (1, 2), "b": 3}, EXACT),
        ([1.0, 2.0], np.array([1.0, 2.0]), EXACT),
        ({"a": 1}, {"a": np.int64(1)}, EXACT),
        (True, np.True_, EXACT),
    ],
)
def test_these_agree(expected: Any, found: Any, tolerance: Tolerance) -> None:
    assert differences(expected, found, tolerance) == []


@pytest.mark.parametrize(
    ("expected", "found", "tolerance"),
    [
        ("100000000000000000000000001", float(10**26), EXACT),
        (0.1, 0.1 + 2**-55, EXACT),
        (100, 101.1, RELATIVE),
        (0, 1e-30, RELATIVE),
        (-3, -4.0, TRUNCATED),
        (True, 1, EXACT),
        (1, True, EXACT),
        ("too-expensive", "too-cheap", EXACT),
        ("1", "one", EXACT),
        (1, float("nan"), RELATIVE),
        (1e308, 10**400, EXACT),
        ({"a": 1}, [1], EXACT),
        ({"a": 1}, {"b": 1}, EXACT),
        ([1, 2], [1, 2, 3], EXACT),
        ([1, 2], [1, 3], EXACT),
        (1, None, EXACT),
    ],
)
def test_these_differ(expected: Any, found: Any, tolerance: Tolerance) -> None:
    assert len(differences(expected, found, tolerance)) == 1


@given(st.integers(), st.integers(min_value=1, max_value=10**30))
def test_an_exact_integer_agrees_with_itself_alone(value: int, step: int) -> None:
    assert differences(str(value), value, EXACT) == []
    assert differences(str(value), value + step, EXACT) != []


@given(st.integers(1, 10**30), st.integers(0, 10**30))
def test_an_absolute_tolerance_ends_where_it_says(bound: int, value: int) -> None:
    tolerance = Tolerance(abs=Fraction(bound))
    assert differences(value, value + bound, tolerance) == []
    assert differences(value, value + bound + 1, tolerance) != []


def test_only_doubles_get_a_floor_for_noise() -> None:
    assert above_noise(RELATIVE, {"a": 1e6, "b": 0.0}).abs == Fraction(1, 10**7)
    assert above_noise(RELATIVE, {"a": "1000000", "b": 1000000}) == RELATIVE
    assert above_noise(EXACT, {"a": 1e6}) == EXACT


def test_what_does_not_follow_from_the_inputs_is_named_not_compared() -> None:
    open_end = Undetermined("the losses")
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": open_end}, Tolerance()) == []
    assert differences({"a": 1, "b": 2}, {"a": 3, "b": open_end}, Tolerance()) != [], "control: the rest is compared"
    assert undetermined({"a": 1, "b": open_end, "c": [{"d": open_end}]}) == [
        "b: not compared, needs the losses",
        "c[0].d: not compared, needs the losses",
    ]
