"""Reference vectors for tests of single rules: the suites of one protocol, run and expected to pass."""

from pathlib import Path

from solvent.conform.cases import all_cases
from solvent.conform.core import Report, read, run


def report_of(shared: Path, *names: str) -> Report:
    """Verdicts on the lending files of these names."""
    return run(read(shared / "vectors" / "lending" / f"{name}.json" for name in names), all_cases())


def faults(report: Report) -> list[str]:
    """What did not pass, in words; empty where all did."""
    return [f"{row.id}: {reason}" for row in report.rows for reason in row.reasons]
