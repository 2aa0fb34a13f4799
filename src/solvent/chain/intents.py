"""What was begun on a chain, a line of JSON a step, on the disk before the step is taken: a crash repeats nothing."""

import os
from pathlib import Path
from typing import Any

import msgspec

from solvent.errors import SolventError, problem


class IntentLog:
    """Lines in order. A last line that a crash cut off was never acted on, and is dropped."""

    def __init__(self, path: Path | None, kind: Any) -> None:
        """path: appended to; None keeps it in memory. kind: a struct, or a tagged union. Raises SolventError."""
        self.path = path
        self.lines: list[Any] = []
        if path is None or not path.exists():
            return
        whole, _, cut = path.read_bytes().rpartition(b"\n")
        for row, line in enumerate(whole.splitlines(), 1):
            try:
                self.lines.append(msgspec.json.decode(line, type=kind))
            except msgspec.MsgspecError as error:
                raise SolventError(problem(str(path), row, "line", str(error), "a line of this log")) from None
        if cut:
            with path.open("r+b") as file:
                file.truncate(len(whole) + 1 if whole else 0)
                os.fsync(file.fileno())

    def append(self, line: msgspec.Struct) -> None:
        """Keep a line; on the disk when this returns."""
        if self.path is not None:
            with self.path.open("ab") as file:
                file.write(msgspec.json.encode(line) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        self.lines.append(line)
