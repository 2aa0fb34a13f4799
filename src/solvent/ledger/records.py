"""The small records that a state is made of."""

from dataclasses import dataclass, field
from typing import NamedTuple

HEALTHY, CALLED, LIQUIDATING, AUCTION, INSOLVENT = STAGES = (
    "healthy",
    "called",
    "liquidating",
    "auction",
    "insolvent",
)
"""Stages of an account on its way through the waterfall."""


@dataclass(slots=True)
class Account:
    """Who an account is and where it stands; what it has is in `State.balances` and `State.positions`."""

    name: str
    owner: str
    isolated: int = -1
    """Settlement asset of an isolated sub-account, -1 for cross margin."""
    stage: str = HEALTHY
    frozen: bool = False


@dataclass(slots=True)
class Pool:
    """Shares of an asset's lenders; the pool's value is the balance of the owner `POOL`."""

    total: int = 0
    shares: dict[int, int] = field(default_factory=dict)
    """By account; never zero."""


class Auction(NamedTuple):
    """A running auction of one account."""

    start_ns: int
    slice_e9: int
    """Largest share of the account that may be sold, x 1e9."""
    resets: int


class HeldDeposit(NamedTuple):
    """A deposit that waits for a second person."""

    account: int
    asset: int
    atoms: int
    by: str
    """Who reported it."""


class Receipt(NamedTuple):
    """What an idempotency key was used for, and where its answer stands in the journal."""

    digest: str
    """`command_digest` of the command."""
    height: int
    position: int
    """Of the entry within its block."""
