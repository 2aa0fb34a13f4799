"""Reference vectors against our functions: reads files of the vector schema, runs them, compares."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec

from solvent.conform.compare import TRUNCATED, Tolerance, above_noise, differences, undetermined
from solvent.conform.values import number
from solvent.errors import Problem, problem, raise_if

Adapter = Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
"""adapter(vector, tables) -> an object of the shape of `expected`.

`vector` has fn and inputs, portfolio, params or steps, and nothing that names it or says its result;
`tables` has what vectors of the file refer to by key; `vectors` among them is what adapters see of each, by id."""
Cases = Mapping[tuple[str, str], Adapter]
"""(suite, fn) -> adapter."""

SCHEMA = "solvent-vectors/1"
TABLES = ("params", "param_sets", "portfolios", "scenarios", "markets", "units", "input_keys")
HIDDEN = frozenset(
    {"id", "kind", "source", "source_path", "source_case", "provenance", "note", "aux", "abs_tol"}
    | {"expected", "expected_origin", "tolerance", "coef_tol_note"}
)
"""Keys that an adapter does not see."""
DEFAULT_TOLERANCE = Tolerance(rel=Fraction(1, 10**9), abs=Fraction(1, 10**12))
"""Where neither vector nor file states one."""
STATUSES = ("passed", "failed", "unsupported")


class Vector(msgspec.Struct, frozen=True):
    """One case: what an adapter sees, and what it must find."""

    id: str
    fn: str
    seen: dict[str, Any]
    expected: Any
    tolerance: Tolerance


class VectorFile(msgspec.Struct, frozen=True):
    """One file of cases of one suite."""

    file: str
    family: str
    suite: str
    tables: dict[str, Any]
    vectors: tuple[Vector, ...]


class Row(msgspec.Struct, frozen=True):
    """One vector's verdict."""

    suite: str
    id: str
    fn: str
    status: str
    """One of `STATUSES`."""
    reasons: list[str]
    """Every difference, or why nothing was found; of a vector that passed, what could not be compared."""
    inputs: Any
    expected: Any
    found: Any


class Report(msgspec.Struct, frozen=True):
    """All verdicts of a run, in the order of files and vectors."""

    rows: tuple[Row, ...]

    @property
    def suites(self) -> dict[str, dict[str, int]]:
        """Counts of each status by suite."""
        counts: dict[str, dict[str, int]] = {}
        for row in self.rows:
            counts.setdefault(row.suite, dict.fromkeys(STATUSES, 0))[row.status] += 1
        return counts

    @property
    def totals(self) -> dict[str, int]:
        """Counts of each status."""
        return {status: sum(row.status == status for row in self.rows) for status in STATUSES}

    @property
    def is_clean(self) -> bool:
        """Whether everything passed."""
        return all(row.status == "passed" for row in self.rows)


def vector_paths(paths: Iterable[Path]) -> list[Path]:
    """Files as given, and every `*.json` below a folder, sorted.

    Raises
    ------
    SolventError
        For a path that is not there and a folder without vectors.
    """
    found: list[Path] = []
    problems: list[Problem] = []
    for path in paths:
        below = sorted(path.rglob("*.json")) if path.is_dir() else [path] if path.is_file() else []
        if not below:
            problems.append(problem(str(path), None, "path", "nothing to read", "a JSON file or a folder of them"))
        found += below
    raise_if(problems, "no vectors to run")
    return list(dict.fromkeys(found))


def read(paths: Iterable[Path]) -> list[VectorFile]:
    """Read and check files and folders of vectors.

    Raises
    ------
    SolventError
        With every fault of every file.
    """
    files: list[VectorFile] = []
    problems: list[Problem] = []
    for path in vector_paths(paths):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            problems.append(problem(str(path), None, "json", str(error), "one JSON object in UTF-8"))
            continue
        faults = document_problems(document, str(path))
        problems += faults
        if not faults:
            files.append(_file(document, str(path)))
    raise_if(problems, "vector files that do not hold to the schema")
    return files


def run(files: Iterable[VectorFile], cases: Cases) -> Report:
    """Compute every vector that a case is known for, and compare."""
    return Report(tuple(_row(each, vector, cases) for each in files for vector in each.vectors))


def document_problems(document: Any, file: str) -> list[Problem]:
    """Everything that keeps a document from being read as vectors."""
    if not isinstance(document, dict):
        return [problem(file, None, "document", type(document).__name__, "one JSON object")]
    found = []
    if document.get("schema") != SCHEMA:
        found.append(problem(file, None, "schema", document.get("schema"), repr(SCHEMA)))
    found += [
        problem(file, None, key, document.get(key), "a name")
        for key in ("family", "suite")
        if not _is_name(document.get(key))
    ]
    vectors = document.get("vectors")
    if not isinstance(vectors, list) or not vectors:
        return [*found, problem(file, None, "vectors", vectors, "a list of at least one vector")]
    if "tolerance" in document and _tolerance(document) is None:
        found.append(_tolerance_problem(document["tolerance"], file, None))
    seen: set[Any] = set()
    for row, vector in enumerate(vectors, start=1):
        found += _vector_problems(vector, document, file, row)
        id = vector.get("id") if isinstance(vector, dict) else None
        if _is_name(id) and id in seen:
            found.append(problem(file, row, "id", id, "an id that no other vector of the file has"))
        if _is_name(id):
            seen.add(id)
    return found


def _vector_problems(vector: Any, document: Mapping[str, Any], file: str, row: int) -> list[Problem]:
    if not isinstance(vector, dict):
        return [problem(file, row, "vector", type(vector).__name__, "an object")]
    found = [
        problem(file, row, key, vector.get(key), "a name") for key in ("id", "fn") if not _is_name(vector.get(key))
    ]
    if not any(key in vector for key in ("inputs", "portfolio", "steps")):
        found.append(problem(file, row, "inputs", "missing", "inputs, or portfolio and params, or steps"))
    if "inputs" in vector and not isinstance(vector["inputs"], dict):
        found.append(problem(file, row, "inputs", type(vector["inputs"]).__name__, "an object"))
    steps = vector.get("steps")
    if "steps" in vector and not _are_steps(steps):
        found.append(problem(file, row, "steps", type(steps).__name__, "a list of objects"))
    elif "expected" not in vector and not any("expected" in step for step in steps or ()):
        found.append(problem(file, row, "expected", "missing", "the result, here or in a step"))
    if ("tolerance" in vector or "abs_tol" in vector) and _tolerance(vector) is None:
        found.append(_tolerance_problem(vector.get("abs_tol", vector.get("tolerance")), file, row))
    return found + _reference_problems(vector, document, file, row)


def _reference_problems(vector: Mapping[str, Any], document: Mapping[str, Any], file: str, row: int) -> list[Problem]:
    """A key that points into a table which does not have it."""
    found = []
    for key, names in (
        ("portfolio", ("portfolios",)),
        ("params", ("param_sets", "params")),
        ("param_set", ("param_sets",)),
    ):
        value = vector.get(key)
        tables = [document[name] for name in names if isinstance(document.get(name), dict)]
        if isinstance(value, str) and not any(value in table for table in tables):
            known = sorted({each for table in tables for each in table})
            found.append(problem(file, row, key, value, f"a key of {' or '.join(names)}: {', '.join(known)}"))
    return found


def _tolerance(document: Mapping[str, Any]) -> Tolerance | None:
    """A vector's or a file's tolerance; None where it is none of the known forms."""
    if "abs_tol" in document:
        bound = number(document["abs_tol"])
        return None if bound is None or bound < 0 else Tolerance(abs=bound)
    stated = document["tolerance"]
    if stated == "exact":
        return Tolerance()
    if isinstance(stated, str) and stated.startswith("equal after truncation"):
        return TRUNCATED
    if not isinstance(stated, dict) or not stated or not set(stated) <= {"rel", "abs"}:
        return None
    rel, abs = number(stated.get("rel", 0)), number(stated.get("abs", 0))
    if rel is None or abs is None or rel < 0 or abs < 0:
        return None
    return Tolerance(rel, abs)


def _tolerance_problem(value: Any, file: str, row: int | None) -> Problem:
    return problem(file, row, "tolerance", value, '"exact", {"rel": x}, {"abs": x} or both; abs_tol a number')


def _file(document: Mapping[str, Any], file: str) -> VectorFile:
    otherwise = _tolerance(document) if "tolerance" in document else DEFAULT_TOLERANCE
    assert otherwise is not None
    vectors = tuple(_vector(each, otherwise) for each in document["vectors"])
    tables = {name: document.get(name, {}) for name in TABLES}
    tables["vectors"] = {vector.id: vector.seen for vector in vectors}
    return VectorFile(file, document["family"], document["suite"], tables, vectors)


def _vector(vector: Mapping[str, Any], otherwise: Tolerance) -> Vector:
    seen = {key: value for key, value in vector.items() if key not in HIDDEN}
    expected = vector.get("expected")
    if "steps" in vector:
        seen["steps"] = [{key: value for key, value in step.items() if key not in HIDDEN} for step in vector["steps"]]
        expected = vector.get("expected", [step.get("expected") for step in vector["steps"]])
    states = "tolerance" in vector or "abs_tol" in vector
    tolerance = _tolerance(vector) if states else otherwise
    assert tolerance is not None
    return Vector(vector["id"], vector["fn"], seen, expected, above_noise(tolerance, expected))


def _row(file: VectorFile, vector: Vector, cases: Cases) -> Row:
    others = {key: value for key, value in vector.seen.items() if key != "fn"}
    inputs = others["inputs"] if others.keys() == {"inputs"} else others
    adapter = cases.get((file.suite, vector.fn))
    if adapter is None:
        reasons = [f"no case for suite {file.suite}, fn {vector.fn}"]
        return Row(file.suite, vector.id, vector.fn, "unsupported", reasons, inputs, vector.expected, None)
    try:
        found = adapter(vector.seen, file.tables)
    except Exception as error:  # a case that fails must not end the run of the others
        reasons = [f"{type(error).__name__}: {error}"]
        return Row(file.suite, vector.id, vector.fn, "failed", reasons, inputs, vector.expected, None)
    reasons = differences(vector.expected, found, vector.tolerance)
    open_ends = undetermined(found)
    nothing = isinstance(found, Mapping) and len(open_ends) == len(found)
    status = "failed" if reasons or nothing else "passed"
    return Row(file.suite, vector.id, vector.fn, status, reasons + open_ends, inputs, vector.expected, found)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _are_steps(steps: Any) -> bool:
    return isinstance(steps, Sequence) and bool(steps) and all(isinstance(step, dict) for step in steps)
