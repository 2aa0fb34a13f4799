"""Reading vector files, running their cases, and what the reader refuses."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from solvent.conform.core import Cases, Report, read, run
from solvent.errors import SolventError

DOCUMENT: dict[str, Any] = {
    "schema": "solvent-vectors/1",
    "family": "lending",
    "suite": "arithmetic",
    "tolerance": "exact",
    "params": {"unit": {"scale": 2}},
    "vectors": [
        {"id": "one", "fn": "double", "inputs": {"x": "21"}, "expected": {"y": "42"}, "source": "a book"},
        {"id": "two", "fn": "double", "inputs": {"x": "4"}, "expected": {"y": "9"}, "tolerance": {"abs": 1}},
    ],
}


def double(vector: Mapping[str, Any], tables: Mapping[str, Any]) -> Any:
    return {"y": int(vector["inputs"]["x"]) * tables["params"]["unit"]["scale"], "aside": "ignored"}


CASES: Cases = {("arithmetic", "double"): double}


def written(folder: Path, document: Any, name: str = "vectors.json") -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def verdicts(folder: Path, document: Any, cases: Cases = CASES) -> Report:
    return run(read([written(folder, document)]), cases)


def altered(**changes: Any) -> dict[str, Any]:
    """The document with one vector, whose keys are replaced; None takes a key away."""
    vector = {**DOCUMENT["vectors"][0], **changes}
    return {**DOCUMENT, "vectors": [{key: value for key, value in vector.items() if value is not None}]}


def test_outputs_beyond_expected_are_not_compared_and_tolerances_of_a_vector_win(tmp_path: Path) -> None:
    report = verdicts(tmp_path, DOCUMENT)
    assert report.is_clean
    assert report.totals == {"passed": 2, "failed": 0, "unsupported": 0}
    assert report.suites == {"arithmetic": report.totals}


def test_a_wrong_expectation_fails_and_says_where(tmp_path: Path) -> None:
    report = verdicts(tmp_path, altered(expected={"y": "43"}))
    assert not report.is_clean
    assert report.rows[0].reasons == ["y: expected 43 (exact), found 42"]


def test_an_output_that_is_not_found_fails(tmp_path: Path) -> None:
    assert verdicts(tmp_path, altered(expected={"z": 1})).rows[0].reasons == ["z: expected 1, found nothing"]


def test_an_unknown_function_is_unsupported(tmp_path: Path) -> None:
    report = verdicts(tmp_path, altered(fn="halve"))
    assert report.totals == {"passed": 0, "failed": 0, "unsupported": 1}
    assert not report.is_clean


def test_a_case_that_raises_fails_and_the_rest_runs(tmp_path: Path) -> None:
    document = {**DOCUMENT, "vectors": [{**DOCUMENT["vectors"][0], "inputs": {}}, DOCUMENT["vectors"][1]]}
    report = verdicts(tmp_path, document)
    assert [row.status for row in report.rows] == ["failed", "passed"]
    assert "KeyError" in report.rows[0].reasons[0]


def test_a_case_sees_neither_name_nor_source_nor_result(tmp_path: Path) -> None:
    seen: list[Mapping[str, Any]] = []

    def spy(vector: Mapping[str, Any], tables: Mapping[str, Any]) -> Any:
        seen.append(vector)
        return [{"y": 1}, {"y": 2}]

    steps = [{"x": 1, "expected": {"y": 1}}, {"x": 2, "expected": {"y": 2}}]
    document = altered(inputs=None, expected=None, steps=steps, note="as printed", provenance="derived")
    report = verdicts(tmp_path, document, {("arithmetic", "double"): spy})
    assert report.is_clean
    assert seen == [{"fn": "double", "steps": [{"x": 1}, {"x": 2}]}]


def test_a_folder_is_read_to_its_depth_and_other_files_are_left(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    written(tmp_path, DOCUMENT)
    written(tmp_path / "deep", DOCUMENT, "again.json")
    written(tmp_path, "# not vectors", "README.md")
    assert run(read([tmp_path]), CASES).totals["passed"] == 4


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("{", "json"),
        ("[]", "document"),
        ({**DOCUMENT, "schema": "other/1"}, "schema"),
        ({**DOCUMENT, "suite": ""}, "suite"),
        ({**DOCUMENT, "vectors": []}, "vectors"),
        ({**DOCUMENT, "tolerance": "close enough"}, "tolerance"),
        ({**DOCUMENT, "vectors": [DOCUMENT["vectors"][0]] * 2}, "an id that no other vector of the file has"),
        ({**DOCUMENT, "vectors": ["one"]}, "vector"),
        (altered(fn=None), "fn"),
        (altered(inputs=None), "inputs"),
        (altered(inputs=[1]), "inputs"),
        (altered(expected=None), "expected"),
        (altered(tolerance={"percent": 1}), "tolerance"),
        (altered(tolerance={"rel": -1}), "tolerance"),
        (altered(abs_tol="wide"), "tolerance"),
        (altered(inputs=None, portfolio="nowhere"), "portfolio"),
        (altered(inputs=None, steps=[1]), "steps"),
    ],
)
def test_what_is_not_in_the_schema_is_refused_by_name(tmp_path: Path, document: Any, named: str) -> None:
    with pytest.raises(SolventError, match=named) as raised:
        read([written(tmp_path, document)])
    assert str(tmp_path) in str(raised.value)


def test_all_faults_of_all_files_are_listed_at_once(tmp_path: Path) -> None:
    bad = {**DOCUMENT, "schema": None, "vectors": [{"id": "one"}]}
    with pytest.raises(SolventError) as raised:
        read([written(tmp_path, bad, "a.json"), written(tmp_path, "{", "b.json")])
    assert {(Path(each.file).name, each.field) for each in raised.value.problems} == {
        ("a.json", "schema"),
        ("a.json", "fn"),
        ("a.json", "inputs"),
        ("a.json", "expected"),
        ("b.json", "json"),
    }


def test_a_path_without_vectors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SolventError, match="a JSON file or a folder"):
        read([tmp_path, tmp_path / "missing.json"])
