"""What can happen. Every event lists what it moves; `ledger.apply` adds that up and knows nothing of prices.

A posting is (owner, asset, atoms), a leg (owner, instrument, lots, quote atoms). Per asset the postings of an
event sum to zero, per instrument its legs do.
"""

from typing import TypeAlias

import msgspec

from solvent.domain.adaptive import AdaptiveParams, Change, Evidence
from solvent.domain.book import Order
from solvent.domain.commands import Command, Origin, Quote
from solvent.domain.instruments import Instrument
from solvent.domain.policy import Policy

Posting: TypeAlias = tuple[int, int, int]
"""(owner, asset, atoms)."""
Leg: TypeAlias = tuple[int, int, int, int]
"""(owner, instrument, lots, quote atoms)."""
_MICRO_E42 = 10**36


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """What the exact form said of an account: integers of 1e-6 USD, against the account."""

    account: int
    equity: int
    initial_margin: int
    maintenance_margin: int


class _Event(msgspec.Struct, frozen=True, tag=True, omit_defaults=True, kw_only=True):
    postings: tuple[Posting, ...] = ()
    legs: tuple[Leg, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


class Refused(_Event, frozen=True):
    """Nothing moved; the reason is for the caller."""

    reason: str


class InstrumentListed(_Event, frozen=True):
    instrument: Instrument


class InstrumentDelisted(_Event, frozen=True):
    instrument: int


class AccountOpened(_Event, frozen=True):
    account: int
    name: str
    owner: str
    isolated: int = -1


class Deposited(_Event, frozen=True):
    account: int
    reference: str = ""
    confirmed_by: str = ""
    """The second person, where it needed one."""


class DepositHeld(_Event, frozen=True):
    """Too large for one person: nothing is credited before another one confirms."""

    account: int
    asset: int
    atoms: int
    reference: str
    by: str
    """Who reported it."""


class DepositDropped(_Event, frozen=True):
    """A deposit that was held will not be credited."""

    reference: str
    by: str


class Withdrawn(_Event, frozen=True):
    account: int


class Transferred(_Event, frozen=True):
    source: int
    target: int


class Loaded(_Event, frozen=True):
    account: int


class Supplied(_Event, frozen=True):
    account: int
    asset: int
    shares: int
    """Minted; negative where redeemed."""


class Filled(_Event, frozen=True):
    instrument: int
    buyer: int
    seller: int
    lots: int
    price_ticks: int


class OrderOpened(_Event, frozen=True):
    account: int
    order: Order


class OrdersCancelled(_Event, frozen=True):
    account: int
    orders: tuple[int, ...]
    reason: str = ""


class Marked(_Event, frozen=True):
    quotes: tuple[Quote, ...]
    digest: str = ""
    """Of the shared integer tables that exact verdicts of this tick use."""
    ts_ns: int = 0
    """When the prices were seen; 0: at the block's time."""


class Settled(_Event, frozen=True):
    instrument: int
    price_ticks: int
    unpaid_atoms: int = 0
    """What losers and pool could not pay: it stays in the winners' quote legs."""


class Funded(_Event, frozen=True):
    instrument: int
    interval: int
    rate_e12: int


class Accrued(_Event, frozen=True):
    asset: int
    interval: int
    rate_e18: int


class Expired(_Event, frozen=True):
    instrument: int
    price_ticks: int
    unpaid_atoms: int = 0


class PolicySet(_Event, frozen=True):
    policy: Policy


class AdaptiveEnabled(_Event, frozen=True):
    params: AdaptiveParams


class PolicyProposed(_Event, frozen=True):
    """A raise holds for new risk from now on and starts for existing positions at `start_ns`; a loosening waits."""

    proposal: int
    direction: str
    changes: tuple[Change, ...]
    evidence: Evidence
    by: str = ""
    """Who proposed it; empty for the engine."""
    accounts: tuple[int, ...] = ()
    """Those that the whole change would by itself make liquidatable at the present marks: they have notice."""
    target_policy: Policy | None = None
    """The target from now on; None while a loosening waits."""
    ramp: tuple[Change, ...] = ()
    """The changes as seen from the policy in effect."""
    start_ns: int = 0
    end_ns: int = 0
    """When existing positions will bear it in full, if nothing holds it up."""
    notice_ns: int = 0


class PolicyApproved(_Event, frozen=True):
    """A second person agreed."""

    proposal: int
    by: str
    policy: Policy | None = None
    """In effect from now on, where a loosening was approved; None: a raise starts at once."""
    target_policy: Policy | None = None
    changes: tuple[Change, ...] = ()


class ProposalWithdrawn(_Event, frozen=True):
    proposal: int
    by: str = ""


class PolicyRamped(_Event, frozen=True):
    """Existing positions are margined with `policy` from now on."""

    policy: Policy
    changes: tuple[Change, ...]
    finished: tuple[int, ...] = ()
    """Proposals that hold in full now."""


class RampHeld(_Event, frozen=True):
    """The next step would make accounts liquidatable by itself: the ramps wait until notice is over."""

    proposals: tuple[int, ...]
    accounts: tuple[int, ...]


class Staged(_Event, frozen=True):
    """An account enters a stage: healthy, called, liquidating, auction, insolvent."""

    account: int
    stage: str


class Liquidated(_Event, frozen=True):
    """A partial step against the outside market."""

    account: int
    notional_micro: int
    penalty_micro: int
    method: str = ""


class AuctionStarted(_Event, frozen=True):
    account: int
    start_ns: int
    slice_e9: int
    """f_max x 1e9."""
    resets: int = 0


class AuctionTaken(_Event, frozen=True):
    account: int
    bidder: int
    share_e9: int
    """Share of the whole account that changed hands, x 1e9."""
    price_micro: int
    """USD paid, x 1e6; negative where the bidder was paid."""
    notional_micro: int = 0


class AuctionClosed(_Event, frozen=True):
    account: int


class Insured(_Event, frozen=True):
    """The fund pays for an account below zero. Here and in the steps that follow, `_e42` are exact integers of
    1e-42 USD at the marks: shortfall = insurance + deleveraging + shared + bad debt - surplus."""

    account: int
    paid_e42: int
    shortfall_e42: int
    """What the account owed beyond what it owned, once its collateral was sold."""
    instrument: int = -1
    """That lost it, -1 for a debt that no instrument explains."""

    @property
    def paid_micro(self) -> int:
        """USD x 1e6, down."""
        return self.paid_e42 // _MICRO_E42

    @property
    def shortfall_micro(self) -> int:
        """USD x 1e6, down."""
        return self.shortfall_e42 // _MICRO_E42


class Deleveraged(_Event, frozen=True):
    account: int
    instrument: int
    lots: int
    price_ticks: int
    overshoot_lots: int = 0
    counterparties: int = 0
    loss_e42: int = 0
    """What the account gained, and its counterparties gave up, against the mark."""

    @property
    def loss_micro(self) -> int:
        """USD x 1e6, down."""
        return self.loss_e42 // _MICRO_E42


class LossShared(_Event, frozen=True):
    """A debt written off against the pool's lenders, or a derivative loss against winners."""

    account: int
    shared_e42: int
    bad_debt_e42: int = 0
    """What nobody could pay yet: the account still owes it."""
    surplus_e42: int = 0
    """What prices in whole ticks left over: it goes to insurance."""

    @property
    def shared_micro(self) -> int:
        """USD x 1e6, down."""
        return self.shared_e42 // _MICRO_E42

    @property
    def bad_debt_micro(self) -> int:
        """USD x 1e6, up: whatever is unpaid shows."""
        return -(-self.bad_debt_e42 // _MICRO_E42)

    @property
    def surplus_micro(self) -> int:
        """USD x 1e6, down."""
        return self.surplus_e42 // _MICRO_E42


class Swept(_Event, frozen=True):
    asset: int


class Reconciled(_Event, frozen=True):
    """Custody and ledger of an asset side by side; where they differ, nobody withdraws it from now on."""

    asset: int
    custody_atoms: int
    ledger_atoms: int
    """What all owners inside have together."""


class WithdrawalsReleased(_Event, frozen=True):
    """An asset may be withdrawn again."""

    asset: int
    by: str
    reason: str


class SnapshotNoted(_Event, frozen=True):
    """A snapshot's digest stands in the chain."""

    height: int
    digest: str


class Frozen(_Event, frozen=True):
    account: int = -1
    instrument: int = -1
    on: bool = True


Event: TypeAlias = (
    Refused | InstrumentListed | InstrumentDelisted | AccountOpened | Deposited | DepositHeld | DepositDropped
    | Withdrawn | Transferred | Loaded | Supplied | Filled | OrderOpened | OrdersCancelled | Marked | Settled | Funded
    | Accrued | Expired | PolicySet | AdaptiveEnabled | PolicyProposed | PolicyApproved | ProposalWithdrawn
    | PolicyRamped | RampHeld | Staged | Liquidated | AuctionStarted | AuctionTaken | AuctionClosed | Insured
    | Deleveraged | LossShared | Swept | Reconciled | WithdrawalsReleased | SnapshotNoted | Frozen
)  # fmt: skip


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A command as it entered, who sent it, and the events decided for it."""

    command: Command
    events: tuple[Event, ...]
    origin: Origin = "engine"
    caller: str = ""
    key: str = ""
    """Idempotency key of the caller; empty for the engine's own commands."""
    repeated: bool = False
    """The first answer to a key, given again; it stands in the journal already and does not enter it twice."""
