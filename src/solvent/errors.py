"""What can be wrong with an input: every problem of it at once, each with its place and its remedy."""

from collections.abc import Sequence

import msgspec

SHOWN_PROBLEMS = 20
"""How many problems of one input are listed before the rest is only counted."""


class Problem(msgspec.Struct, frozen=True):
    """One fault of an input: where it stands, what was found, what would be accepted."""

    file: str
    """File, frame or object that holds the fault."""
    row: int | None
    """Row from 1 (the header not counted), or None where the fault is of the whole input."""
    field: str
    """Column, key or argument."""
    value: str
    """What was found, as text, shortened to 80 characters by `problem`."""
    accepted: str
    """What would have been accepted."""

    def __str__(self) -> str:
        row = "" if self.row is None else f" row {self.row}"
        return f"{self.file}{row}: {self.field} = {self.value}: {self.accepted}"


def problem(file: str, row: int | None, field: str, value: object, accepted: str) -> Problem:
    """A `Problem` whose value is printed short enough to stand on a line."""
    text = value if isinstance(value, str) else repr(value)
    return Problem(file, row, field, text if len(text) <= 80 else text[:77] + "...", accepted)


class SolventError(Exception):
    """The one error type: carries the list of problems; the command line exits with 2 on it."""

    def __init__(self, *problems: Problem, message: str = "") -> None:
        self.problems: Sequence[Problem] = problems
        self.message = message
        super().__init__(self.__str__())

    def __str__(self) -> str:
        lines = [self.message] if self.message else []
        lines += [str(each) for each in self.problems[:SHOWN_PROBLEMS]]
        if len(self.problems) > SHOWN_PROBLEMS:
            lines.append(f"... and {len(self.problems) - SHOWN_PROBLEMS} more problems")
        return "\n".join(lines)


class UnknownInstrument(SolventError):
    """An instrument id or alias that the universe does not list."""


class StoreLost(SolventError):
    """The journal's store went away; what was not acknowledged may or may not be there."""


class StoreFull(SolventError):
    """The journal's store has no room; nothing of the block was written."""


class Fenced(SolventError):
    """Another writer owns the journal: this one must stop."""


class JournalCorrupt(SolventError):
    """A block that was cut or altered."""


def raise_if(problems: Sequence[Problem], message: str = "") -> None:
    """Raise one `SolventError` with all of `problems`, if there are any."""
    if problems:
        raise SolventError(*problems, message=message)
