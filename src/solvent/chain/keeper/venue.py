"""What a venue tells the keeper: opportunities as arrays, exact jobs, calls, and what became of them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.chain.rpc import Rpc
from solvent.chain.transactions import Receipt

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Opportunities(msgspec.Struct, frozen=True):
    """Ways to liquidate, one a row; several rows may be of one account. Values are in base currency (USD)."""

    account: I64
    """Row of the account in `accounts`."""
    accounts: Sequence[str]
    health: F64
    """Below 1: liquidatable."""
    last_health: F64
    """At which its collateral no longer pays the bonus: from there on each step makes it worse."""
    collateral: I64
    """Index of the asset seized."""
    debt: I64
    """Index of the asset repaid."""
    repay_most: F64
    received: F64
    """Value received for a value of 1 repaid, such as 1.05."""
    gas: I64

    def __len__(self) -> int:
        return len(self.account)


class Asset(msgspec.Struct, frozen=True):
    """One asset of a venue at a block."""

    address: str
    unit: int
    """Atoms of one unit."""
    price: float
    """Base currency of one unit."""

    def value(self, atoms: int) -> float:
        """In base currency."""
        return atoms / self.unit * self.price

    def atoms(self, value: float) -> int:
        """Of a value, rounded down."""
        return int(value / self.price * self.unit)


class Job(msgspec.Struct, frozen=True):
    """One liquidation, exactly: what it would do at the block it was priced on. Amounts in atoms."""

    account: str
    collateral: Asset
    debt: Asset
    repay: int
    received: int
    proceeds: int
    """Of the debt asset, from selling what was received; 0 where it is kept."""
    pair: str
    """Where it is sold; empty where it is kept."""
    health: float
    urgency: float
    """0 at health 1, 1 where the bonus can no longer be paid."""
    gas: int

    @property
    def key(self) -> str:
        """One at a time for each account and pair of assets."""
        return f"{self.account}/{self.collateral.address}/{self.debt.address}"

    @property
    def repay_value(self) -> float:
        """Value liquidated, base currency."""
        return self.debt.value(self.repay)

    @property
    def gross_profit(self) -> float:
        """Base currency, before gas; what is kept counts at the venue's price."""
        if self.pair:
            return self.debt.value(self.proceeds - self.repay)
        return self.collateral.value(self.received) - self.debt.value(self.repay)


class Bounds(msgspec.Struct, frozen=True):
    """What the executor holds a job to, or reverts."""

    maximum_paid: int
    minimum_received: int
    minimum_profit: int
    """Atoms of the debt asset."""
    deadline_s: int


class Realised(msgspec.Struct, frozen=True):
    """What a job did, by its receipt."""

    paid: int
    received: int
    proceeds: int


class Venue(Protocol):
    """Where liquidations happen. One adapter a protocol."""

    @property
    def name(self) -> str:
        """As in `--venue`."""
        ...

    @property
    def rpc(self) -> Rpc:
        """The client it reads with."""
        ...

    def refresh(self, block: int) -> None:
        """Bring accounts and prices to a block."""
        ...

    def assets(self) -> Sequence[Asset]:
        """Assets at the block, by index."""
        ...

    def native_price(self) -> float:
        """Base currency of one unit (1e18 wei) of what gas is paid in."""
        ...

    def opportunities(self, moves: Mapping[str, float] | None = None) -> Opportunities:
        """What can be liquidated at the block, or if prices moved: address of an asset -> factor."""
        ...

    def job(self, found: Opportunities, row: int, repay_value: float, reserves: "Exit | None") -> Job | None:
        """A row as an exact job of at most this value, sold through `reserves`; None where it cannot be done."""
        ...

    def learn_gas(self, gas: int) -> bool:
        """What a job asks for in truth; whether that is far from what opportunities said so far."""
        ...

    def call(self, job: Job, bounds: Bounds) -> tuple[str, bytes]:
        """Contract and data that do a job."""
        ...

    def realised(self, job: Job, receipt: Receipt) -> Realised | None:
        """What a job did; None where the receipt says that it did nothing."""
        ...

    def still_there(self, jobs: Sequence[Job], rpc: Rpc, tag: str) -> list[bool]:
        """Whether jobs can still be done, by the venue's own view on any endpoint."""
        ...

    def funds(self) -> Mapping[str, int]:
        """Atoms that can be paid with, by asset."""
        ...

    def selectors(self) -> Mapping[str, tuple[str, ...]]:
        """What the keeper has to be allowed to call."""
        ...


class Exit(Protocol):
    """Where seized collateral is sold."""

    @property
    def address(self) -> str:
        """Of the contract."""
        ...

    def out(self, amount: int) -> int:
        """What a sale brings, atoms, rounded down."""
        ...

    def after(self, amount: int) -> "Exit":
        """The same after a sale."""
        ...
