"""Reference vectors in tests: a file's cases must all pass, and every one of them must fail once disturbed."""

from pathlib import Path
from typing import Any

import msgspec

from solvent.conform.cases import all_cases
from solvent.conform.core import Report, VectorFile, read, run


def vectors(shared: Path, name: str, *fns: str) -> VectorFile:
    """The derivatives file `name`, all its vectors or those of `fns`."""
    file = read([shared / "vectors" / "derivatives" / f"{name}.json"])[0]
    kept = tuple(vector for vector in file.vectors if not fns or vector.fn in fns)
    assert kept
    return msgspec.structs.replace(file, vectors=kept)


def failures(file: VectorFile) -> list[str]:
    """What does not pass, with its first reasons."""
    report: Report = run([file], all_cases())
    return [f"{row.id}: {row.status} {row.reasons[:3]}" for row in report.rows if row.status != "passed"]


def disturbed(file: VectorFile) -> VectorFile:
    """The same vectors with the first number of each expected result moved by 1 % and 1."""
    changed = []
    for vector in file.vectors:
        expected, moved = _disturb(vector.expected)
        assert moved, vector.id
        changed.append(msgspec.structs.replace(vector, expected=expected))
    return msgspec.structs.replace(file, vectors=tuple(changed))


def assert_holds(file: VectorFile) -> None:
    """All vectors pass; the control: disturbed, not one does."""
    assert failures(file) == []
    assert len(failures(disturbed(file))) == len(file.vectors)


def _disturb(value: Any) -> tuple[Any, bool]:
    if isinstance(value, dict):
        for key, each in value.items():
            new, moved = _disturb(each)
            if moved:
                return {**value, key: new}, True
    elif isinstance(value, list):
        for i, each in enumerate(value):
            new, moved = _disturb(each)
            if moved:
                return [*value[:i], new, *value[i + 1 :]], True
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return value + type(value)(abs(value) // 100) + 1, True
    return value, False
