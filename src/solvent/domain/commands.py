"""What can be asked of the engine. Automatic actions are the same commands that users send.

Accounts and instruments are named by index, amounts are exact integers: `atoms` of an asset (given by the
index of its spot instrument), `lots` of an instrument, `price_ticks` in ticks of its price.
"""

from typing import Literal, TypeAlias

import msgspec

from solvent.domain.adaptive import AdaptiveParams, Evidence
from solvent.domain.instruments import Instrument
from solvent.domain.policy import Policy

Origin: TypeAlias = Literal["engine", "owner", "venue", "keeper", "risk", "operator"]
"""Who issues a command."""


class _Command(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    pass


class ListInstrument(_Command, frozen=True):
    instrument: Instrument


class DelistInstrument(_Command, frozen=True):
    """Stop new risk in an instrument; positions can only be closed."""

    instrument: int


class OpenAccount(_Command, frozen=True):
    name: str
    owner: str = ""
    """Who stands behind it; limits hold for the owner. Default: the account's own name."""
    isolated: int = -1
    """Settlement asset of an isolated sub-account, -1 for a cross-margin account."""


class Deposit(_Command, frozen=True):
    account: int
    """An account, or `owners.INSURANCE` to seed the fund."""
    asset: int
    atoms: int
    reference: str = ""
    """Custody reference of the transfer: credited once for ever. Only what the engine makes up has none."""


class ConfirmDeposit(_Command, frozen=True):
    """A second person's word on a deposit that was too large for one."""

    reference: str
    accept: bool = True
    """False: the deposit is dropped and its reference free again."""


class Withdraw(_Command, frozen=True):
    account: int
    asset: int
    atoms: int


class Transfer(_Command, frozen=True):
    """Between sub-accounts of one owner."""

    source: int
    target: int
    asset: int
    atoms: int


class Load(_Command, frozen=True):
    """Take over an account that another system kept: balances and positions as they are, into an empty row.

    Balances come from outside, positions from the outside market; no gate applies.
    """

    account: int
    balances: tuple[tuple[int, int], ...] = ()
    """(asset, atoms); negative is a debt, which the asset's pool must have the cash for."""
    positions: tuple[tuple[int, int, int], ...] = ()
    """(instrument, lots, quote atoms)."""


class Supply(_Command, frozen=True):
    """Lend to an asset's pool for shares."""

    account: int
    asset: int
    atoms: int


class Redeem(_Command, frozen=True):
    """Give pool shares back for the asset."""

    account: int
    asset: int
    shares: int


class Fill(_Command, frozen=True):
    """A trade that the venue matched. For spot, `payment` names the asset that is paid."""

    instrument: int
    buyer: int
    seller: int
    lots: int
    price_ticks: int
    payment: int = -1
    buyer_fee_atoms: int = 0
    seller_fee_atoms: int = 0


class OpenOrder(_Command, frozen=True):
    account: int
    instrument: int
    lots: int
    price_ticks: int


class CancelOrder(_Command, frozen=True):
    account: int
    order: int


class Quote(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """The guarded price of one instrument as it enters the journal."""

    instrument: int
    ticks: int
    slow_ticks: int = 0
    state: int = 0
    """0 ok, 1 degraded, 2 halted, 3 gone: an index of `market.STATES`."""
    confidence_e9: int = 0
    """Relative half-width x 1e9."""
    age_ms: int = 0
    forward_ticks: int = 0
    """USD forward to expiry in 1e-6 USD, 0 where it follows from the index."""
    vol_e9: int = 0
    """Annualised volatility x 1e9 of an option, 0 where there is none."""
    volume_usd_daily: int = -1
    """Whole USD, -1 where unknown."""
    spread_e9: int = 0
    """Relative half spread x 1e9."""


class SourceVerdict(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What a price source said and what became of it."""

    instrument: int
    source: str
    ticks: int
    age_ms: int
    rejected: str = ""


class Mark(_Command, frozen=True):
    """New prices after the guards; only instruments whose quote changed."""

    quotes: tuple[Quote, ...]
    sources: tuple[SourceVerdict, ...] = ()
    ts_ns: int = 0
    """When the prices were seen; 0: at the block's time. A mark older than the last is refused."""


class Settle(_Command, frozen=True):
    """Pay unsettled profit of a perpetual or future in cash at the mark."""

    instrument: int


class Fund(_Command, frozen=True):
    """Funding of one interval; a positive rate means longs pay."""

    instrument: int
    interval: int
    """Number of the interval since the epoch; each applies once."""
    rate_e12: int


class Accrue(_Command, frozen=True):
    """Interest on one asset's loans up to hour `interval` since the epoch."""

    asset: int
    interval: int


class Expire(_Command, frozen=True):
    instrument: int
    price_ticks: int
    """Settlement price: USD of the underlying in 1e-6 USD (mean of the index over the last 30 minutes)."""


class SetPolicy(_Command, frozen=True):
    policy: Policy


class EnableAdaptive(_Command, frozen=True):
    """Let the policy change while the venue runs, within these bounds; or bound what may change anew."""

    params: AdaptiveParams = AdaptiveParams()


class ProposePolicy(_Command, frozen=True):
    """Move parameters of the target, all up or all down, on evidence."""

    changes: tuple[tuple[str, float], ...]
    """(parameter, new value)."""
    evidence: Evidence


class ApprovePolicy(_Command, frozen=True):
    """A second person's word: a loosening takes effect, a raise need not wait for its notice."""

    proposal: int


class WithdrawProposal(_Command, frozen=True):
    """Let go of a loosening that waits."""

    proposal: int


class RampPolicy(_Command, frozen=True):
    """Move what existing positions are margined with one step along the ramps."""


class MarginCall(_Command, frozen=True):
    """Compare an account with its requirements again: call it, or let it go."""

    account: int


class Liquidate(_Command, frozen=True):
    """Next partial step of an account that falls short."""

    account: int


class StartAuction(_Command, frozen=True):
    account: int


class ResetAuction(_Command, frozen=True):
    account: int


class CloseAuction(_Command, frozen=True):
    account: int


class Bid(_Command, frozen=True):
    """Take a share of an auctioned account; `owners.MARKET` is the outside market."""

    account: int
    bidder: int
    share_e9: int
    """Most of the auctioned slice that is wanted, x 1e9."""


class Insure(_Command, frozen=True):
    """Let the insurance fund pay what an account owes beyond what it owns."""

    account: int


class Deleverage(_Command, frozen=True):
    """Close an insolvent account's position against the opposite side at its bankruptcy price."""

    account: int
    instrument: int


class Socialise(_Command, frozen=True):
    """Share what is left of an account's debt: by the asset's pool, or by positive unsettled profit."""

    account: int


class Sweep(_Command, frozen=True):
    """Pay what rounding left over into insurance."""

    asset: int


class Freeze(_Command, frozen=True):
    """Stop an account (or an instrument) from everything but deposits and closing; `on=False` lifts it."""

    account: int = -1
    instrument: int = -1
    on: bool = True


class Reconcile(_Command, frozen=True):
    """What custody holds of an asset, to compare with the ledger; withdrawals stop where they differ."""

    asset: int
    custody_atoms: int


class ReleaseWithdrawals(_Command, frozen=True):
    """Let an asset be withdrawn again that a reconciliation stopped."""

    asset: int
    reason: str


class NoteSnapshot(_Command, frozen=True):
    """Put the digest of a snapshot that was saved beside the journal into its chain: only then it counts."""

    height: int
    """Of the block at whose end the snapshot was taken."""
    digest: str
    """BLAKE2b-256 of the snapshot, in hexadecimal."""


Command: TypeAlias = (
    ListInstrument | DelistInstrument | OpenAccount | Deposit | ConfirmDeposit | Withdraw | Transfer | Load | Supply
    | Redeem | Fill
    | OpenOrder | CancelOrder | Mark | Settle | Fund | Accrue | Expire | SetPolicy | EnableAdaptive | ProposePolicy
    | ApprovePolicy | WithdrawProposal | RampPolicy | MarginCall | Liquidate | StartAuction | ResetAuction
    | CloseAuction | Bid | Insure | Deleverage | Socialise | Sweep | Freeze
    | Reconcile | ReleaseWithdrawals | NoteSnapshot
)  # fmt: skip
