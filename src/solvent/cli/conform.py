"""solvent conform: reference vectors against our functions, a line a suite."""

import json as json_text
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from solvent.conform.cases import all_cases
from solvent.conform.core import Report, Row, read, run
from solvent.domain.quantities import decimal_text

JSON_INTEGER_MOST = 2**53
"""Larger integers are printed as text: readers of JSON may hold numbers as doubles."""
DECIMALS_MOST = 36


def conform_command(
    paths: Annotated[list[Path], typer.Argument(help="Files in the vector schema, or folders of them.")],
    json: Annotated[bool, typer.Option("--json", help="Totals, suites and a row a vector as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show inputs, expected and found of each vector.")] = False,
) -> None:
    """Run reference vectors against the functions of their (suite, fn).

    Exits with 1 where a vector failed or no function is known for it, with 2 where a file cannot be read.
    """
    report = run(read(paths), all_cases())
    if json:
        typer.echo(json_text.dumps(as_json(report), indent=1))
    else:
        for line in lines(report, verbose):
            typer.echo(line)
    if not report.is_clean:
        raise typer.Exit(1)


def as_json(report: Report) -> dict[str, Any]:
    """Totals, the same per suite, and a row a vector, as plain JSON values."""
    rows = [plain(msgspec.structs.asdict(row)) for row in report.rows]
    return {**report.totals, "suites": report.suites, "vectors": rows}


def lines(report: Report, verbose: bool) -> list[str]:
    """A line a suite, under it what did not pass (with `verbose`, everything), and the totals."""
    suites = report.suites
    width = max((len(_text(suite)) for suite in suites), default=0)
    found = []
    for suite, counts in suites.items():
        found.append(f"{_text(suite):<{width}}  {_counts(counts)}")
        for row in report.rows:
            if row.suite == suite and (verbose or row.status != "passed" or row.reasons):
                found += _row_lines(row, verbose)
    return [*found, f"{'total':<{width}}  {_counts(report.totals)}"]


def plain(value: Any) -> Any:
    """A value as JSON holds it: fractions and large integers as text, arrays as lists."""
    if isinstance(value, msgspec.Struct):
        return plain(msgspec.structs.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Fraction):
        return decimal_text(value, DECIMALS_MOST)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= JSON_INTEGER_MOST:
        return str(value)
    if isinstance(value, float) and value - value != 0.0:
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.items())


def _row_lines(row: Row, verbose: bool) -> list[str]:
    status = "passed in part" if row.status == "passed" and row.reasons else row.status
    found = [f"  {status}: {_text(row.id)} ({_text(row.fn)})"]
    found += [f"    {_text(reason)}" for reason in row.reasons]
    if verbose:
        shown = (("inputs", row.inputs), ("expected", row.expected), ("found", row.found))
        found += [f"    {name}: {json_text.dumps(plain(value))}" for name, value in shown]
    return found


def _text(text: str) -> str:
    """Text of a file without what a terminal would obey."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
