"""The answer: for every account equity, initial and maintenance margin, health, and why."""

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
BOOL = NDArray[np.bool_]

COLUMNS = (
    "account",
    "equity",
    "initial_margin",
    "maintenance_margin",
    "health",
    "liquidatable",
    "collateral_value",
    "liabilities",
    "collateral_ratio",
    "leverage",
    "venue_ratio",
    "worst_scenario",
    "certain",
)


def ratio(above: F64, below: F64) -> F64:
    """above / below; where below is 0: +inf if above >= 0, else -inf."""
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = above / below
    return np.where(below == 0, np.where(above >= 0, np.inf, -np.inf), plain)


class Statement(msgspec.Struct, frozen=True, eq=False):
    """One row an account, as arrays of equal length; money in USD."""

    account: I64
    """Index into the book."""
    equity: F64
    """Net value at guarded marks, without haircuts; below 0 means insolvent."""
    initial_margin: F64
    maintenance_margin: F64
    collateral_value: F64
    """Positive balances after maintenance haircuts."""
    liabilities: F64
    """Negative balances."""
    leverage: F64
    """Gross notional of derivatives and debt over equity."""
    worst_scenario: I64
    """Index into `scenarios`, -1 where the rule has none."""
    certain: BOOL
    """False inside the floating-point error band, where the exact form decides."""
    strict: bool = True
    """Liquidatable iff equity < maintenance margin; not strict: iff equity <= maintenance margin, not both 0."""
    venue_ratio: F64 | None = None
    """The venue's own figure; None where it is `health`."""
    ratio_name: str = "health"
    names: tuple[str, ...] = ()
    """Account names, where the book has them."""
    scenarios: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.account)

    @property
    def health(self) -> F64:
        """equity / maintenance margin; with no margin +inf if equity >= 0, else -inf."""
        return ratio(self.equity, self.maintenance_margin)

    @property
    def liquidatable(self) -> BOOL:
        """The rule's own inequality."""
        if self.strict:
            return self.equity < self.maintenance_margin
        return (self.equity <= self.maintenance_margin) & ((self.maintenance_margin > 0) | (self.equity < 0))

    @property
    def collateral_ratio(self) -> F64:
        """Collateral value over liabilities, +inf without debt."""
        return ratio(self.collateral_value, self.liabilities)

    def to_frame(self) -> "pl.DataFrame":
        """All columns of the statement as a polars frame; accounts by name where the book has names."""
        import polars as pl

        data: dict[str, Any] = {name: getattr(self, name) for name in COLUMNS}
        if self.names:
            data["account"] = list(self.names)
        data["venue_ratio"] = self.health if self.venue_ratio is None else self.venue_ratio
        none = len(self.scenarios)
        named = pl.Series([*self.scenarios, ""], dtype=pl.String)
        data["worst_scenario"] = named.gather(np.where(self.worst_scenario < 0, none, self.worst_scenario))
        return pl.DataFrame(data)


class ExactStatement(NamedTuple):
    """What decides about one account: integers of 1e-6 USD, rounded against the account."""

    equity: int
    initial_margin: int
    maintenance_margin: int
    strict: bool = True

    @property
    def liquidatable(self) -> bool:
        if self.strict:
            return self.equity < self.maintenance_margin
        return self.equity <= self.maintenance_margin and (self.maintenance_margin > 0 or self.equity < 0)

    @property
    def below_initial(self) -> bool:
        return self.equity < self.initial_margin


class Term(msgspec.Struct, frozen=True):
    """One addend of a total."""

    total: str
    """equity, initial_margin or maintenance_margin."""
    name: str
    """The rule's own name for it."""
    instrument: str
    """What it comes from; empty where it is of the whole account."""
    amount: Any
    """Decimal of 1e-9 USD."""
    detail: str = ""


class Explanation(msgspec.Struct, frozen=True):
    """Every term of one account's statement; the terms of a total add up to it exactly."""

    account: str
    totals: dict[str, Any]
    terms: tuple[Term, ...]

    def to_frame(self) -> "pl.DataFrame":
        """Rows total, name, instrument, amount, detail."""
        import polars as pl

        rows = [(each.total, each.name, each.instrument, format(each.amount, "f"), each.detail) for each in self.terms]
        return pl.DataFrame(rows, schema=["total", "name", "instrument", "amount", "detail"], orient="row")
