"""Errors: every problem on a line of its own, at most twenty of them, values kept short."""

import pytest

from solvent.errors import SHOWN_PROBLEMS, SolventError, problem, raise_if


def test_a_problem_names_place_value_and_remedy() -> None:
    assert str(problem("book.csv", 3, "quantity", "1e5", "a decimal number")) == (
        "book.csv row 3: quantity = 1e5: a decimal number"
    )


def test_many_problems_are_counted_and_the_first_shown() -> None:
    error = SolventError(*(problem("f", k, "x", k, "y") for k in range(50)), message="cannot read f")
    lines = str(error).splitlines()
    assert len(lines) == SHOWN_PROBLEMS + 2
    assert lines[0] == "cannot read f"
    assert lines[-1] == "... and 30 more problems"


def test_long_values_are_cut() -> None:
    assert len(problem("f", None, "x", "a" * 10_000, "y").value) == 80


def test_nothing_is_raised_without_problems() -> None:
    raise_if([])
    with pytest.raises(SolventError) as raised:
        raise_if([problem("f", None, "x", 1, "y")])
    assert len(raised.value.problems) == 1
