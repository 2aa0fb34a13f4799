"""The profit ledger: what each job was forecast to bring and brought, one line of JSON each, durable on return."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from solvent.chain.limits import DAY_S, Meter
from solvent.errors import SolventError, problem


class Entry(msgspec.Struct, frozen=True):
    """One job that is final. Values in base currency (USD)."""

    time_s: float
    block: int
    transaction: str
    key: str
    succeeded: bool
    """Whether it liquidated; a revert or a cancellation only costs gas."""
    forecast_profit: float
    """Before gas."""
    profit: float
    """Before gas."""
    gas_wei: int
    gas_cost: float
    repaid: float

    @property
    def net(self) -> float:
        """Profit behind gas."""
        return self.profit - self.gas_cost


class ProfitLedger:
    """Entries in order; in a file they outlive the process, and so do the day's limits."""

    def __init__(self, path: Path | None = None) -> None:
        """path: appended to; None keeps it in memory. Raises SolventError for a line that is no entry."""
        self.path = path
        self.entries: list[Entry] = []
        if path is not None and path.exists():
            for row, line in enumerate(path.read_bytes().splitlines(), 1):
                try:
                    self.entries.append(msgspec.json.decode(line, type=Entry))
                except msgspec.MsgspecError as error:
                    raise SolventError(problem(str(path), row, "entry", str(error), "a line of this ledger")) from None

    def append(self, entry: Entry) -> None:
        """Keep an entry; on the disk when this returns."""
        self.entries.append(entry)
        if self.path is not None:
            with self.path.open("ab") as file:
                file.write(msgspec.json.encode(entry) + b"\n")
                file.flush()
                os.fsync(file.fileno())

    def restore(self, meter: Meter, wall_s: Callable[[], float], one: int) -> None:
        """Count what was used today against the limits. one: limits' units in one of base currency."""
        today = int(wall_s() // DAY_S)
        for each in self.entries:
            if int(each.time_s // DAY_S) == today:
                meter.settle(each.key, each.gas_wei, int(each.repaid * one), int(each.net * one))

    @property
    def net(self) -> float:
        """Of all entries."""
        return sum(each.net for each in self.entries)
