"""The lending cases: every vector passes, no altered one does, and names decide nothing."""

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tests.conform.vectors import faults

from solvent.conform.compare import differences
from solvent.conform.core import Tolerance, VectorFile, read, run
from solvent.conform.lending import CASES
from solvent.conform.values import number


@pytest.fixture(scope="module")
def files(shared: Path) -> list[VectorFile]:
    return read([shared / "vectors" / "lending"])


def test_every_vector_passes(files: list[VectorFile]) -> None:
    report = run(files, CASES)
    assert faults(report) == []
    assert report.totals["passed"] >= 148


def test_every_case_is_exercised(files: list[VectorFile]) -> None:
    assert {(each.suite, vector.fn) for each in files for vector in each.vectors} == set(CASES)


def perturbed(expected: Any, tolerance: Tolerance) -> Iterator[Any]:
    """The expected object once for each of its leaves, with that leaf moved by twice its tolerance and 1."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            yield from ({**expected, key: other} for other in perturbed(value, tolerance))
    elif isinstance(expected, bool):
        yield not expected
    elif (value := number(expected)) is not None:
        yield value + 2 * max(tolerance.abs, tolerance.rel * abs(value)) + Fraction(1, 10**6) * abs(value) + 1
    elif isinstance(expected, str):
        yield expected + "-not"


def test_no_perturbed_expectation_passes(files: list[VectorFile]) -> None:
    tried = 0
    for each in files:
        for vector in each.vectors:
            found = CASES[each.suite, vector.fn](vector.seen, each.tables)
            for wrong in perturbed(vector.expected, vector.tolerance):
                tried += 1
                assert differences(wrong, found, vector.tolerance), (each.suite, vector.id, wrong)
    assert tried >= 300


def test_names_and_order_decide_nothing(shared: Path, tmp_path: Path) -> None:
    for path in (shared / "vectors" / "lending").glob("*.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        for i, vector in enumerate(reversed(document["vectors"])):
            vector["id"] = f"case {i}"
        document["vectors"].reverse()
        (tmp_path / f"renamed-{path.name}").write_text(json.dumps(document), encoding="utf-8")
    assert run(read([tmp_path]), CASES).is_clean


def test_a_call_that_the_protocol_refuses_is_a_result() -> None:
    inputs = {"lot": 10, "tab": 100, "price": 5, "amt": 1, "chost": 0, "max": 4}
    assert CASES["maker_clip_dog", "take"]({"inputs": inputs}, {}) == {"revert": "too-expensive"}
