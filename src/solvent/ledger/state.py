"""What the ledger knows: plain integers by owner, and how to read them. Only `ledger.apply` changes it."""

from dataclasses import dataclass, field

from solvent.domain.adaptive import Adaptive
from solvent.domain.book import Order
from solvent.domain.commands import Quote
from solvent.domain.owners import POOL
from solvent.domain.policy import Policy
from solvent.domain.universe import Universe
from solvent.errors import Problem
from solvent.ledger import image, invariants
from solvent.ledger.records import Account, Auction, HeldDeposit, Pool, Receipt


@dataclass(slots=True)
class State:
    """Everything that happened, added up. Owners >= 0 are accounts, negative ones stand in `domain.owners`.

    Rows are dicts; zero entries are removed. Dicts and sets have no meaningful order (a recovered state may
    differ in it): whoever decides by iterating must sort, as `holders_of` and `borrowers_of` do.
    """

    universe: Universe = field(default_factory=Universe)
    policy: Policy | None = None
    """In effect: what existing positions are margined with."""
    adaptive: Adaptive | None = None
    """Changes of the policy under way; None where it changes by order only."""
    accounts: list[Account] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)
    """Account by name."""
    owned: dict[str, list[int]] = field(default_factory=dict)
    """Accounts by the name of who stands behind them, in order of opening."""
    balances: dict[int, dict[int, int]] = field(default_factory=dict)
    """owner -> asset -> atoms."""
    positions: dict[int, dict[int, tuple[int, int]]] = field(default_factory=dict)
    """owner -> instrument -> (lots, quote atoms); an unpaid quote leg may stand without lots."""
    holders: dict[int, set[int]] = field(default_factory=dict)
    """instrument -> owners with an entry in `positions`."""
    loans: dict[int, int] = field(default_factory=dict)
    """asset -> what accounts owe, as positive atoms."""
    borrowers: dict[int, set[int]] = field(default_factory=dict)
    """asset -> accounts with a negative balance."""
    pools: dict[int, Pool] = field(default_factory=dict)
    orders: dict[int, dict[int, Order]] = field(default_factory=dict)
    """account -> order id -> order."""
    next_order: int = 0
    """Smallest order id that was never used."""
    quotes: dict[int, Quote] = field(default_factory=dict)
    quoted_ns: dict[int, int] = field(default_factory=dict)
    """instrument -> time at which its quote last changed."""
    marked_ns: int = 0
    """When the prices of the last mark were seen, whether or not it changed a quote."""
    funded: dict[int, int] = field(default_factory=dict)
    """instrument -> last funding interval."""
    accrued: dict[int, int] = field(default_factory=dict)
    """asset -> last interest interval."""
    delisted: set[int] = field(default_factory=set)
    frozen: set[int] = field(default_factory=set)
    expired: set[int] = field(default_factory=set)
    auctions: dict[int, Auction] = field(default_factory=dict)
    insured_day: int = -1
    """Day number of the newest insurance payment."""
    insured: dict[str, int] = field(default_factory=dict)
    """Name of who stands behind an account -> what the fund paid for them on that day, in 1e-42 USD."""
    insured_instruments: dict[int, int] = field(default_factory=dict)
    """instrument -> what the fund paid for its losses on that day, in 1e-42 USD; -1 for debts."""
    deposited_day: int = -1
    """Day number of the newest deposit."""
    deposited: dict[int, int] = field(default_factory=dict)
    """asset -> atoms that accounts deposited on that day."""
    references: set[str] = field(default_factory=set)
    """Custody references of all deposits: unique for ever."""
    held_deposits: dict[str, HeldDeposit] = field(default_factory=dict)
    """Custody reference -> a deposit that waits for a second person."""
    withheld: set[int] = field(default_factory=set)
    """Assets that nobody withdraws: custody and ledger differ, and no operator has released them."""
    receipts: dict[tuple[str, str], Receipt] = field(default_factory=dict)
    """(caller, idempotency key) -> what it was used for."""
    height: int = 0
    """Of the block that is being applied, or was applied last."""
    ts_ns: int = 0
    """Time of that block."""
    entries: int = 0
    """Entries of that block applied so far."""
    touched: set[int] = field(default_factory=set)
    """Accounts whose row, orders or standing changed since the reader last cleared this; never saved."""

    @property
    def target(self) -> Policy | None:
        """What new risk has to satisfy beside the policy in effect; None where that is all."""
        return self.adaptive.target if self.adaptive else None

    def begin_block(self, ts_ns: int) -> None:
        """Start the next block: what is applied from here on happened at `ts_ns`."""
        assert ts_ns >= self.ts_ns, "time never decreases"
        self.height += 1
        self.ts_ns = ts_ns
        self.entries = 0

    def balance(self, owner: int, asset: int) -> int:
        """Atoms of an asset (index of its spot instrument); negative is a loan."""
        row = self.balances.get(owner)
        return row.get(asset, 0) if row else 0

    def position(self, owner: int, instrument: int) -> tuple[int, int]:
        """Signed lots and quote leg in settlement atoms."""
        row = self.positions.get(owner)
        return row.get(instrument, (0, 0)) if row else (0, 0)

    def pool_cash(self, asset: int) -> int:
        """What an asset's pool could still lend: lenders' value less the loans, in atoms."""
        return self.balance(POOL, asset) - self.loans.get(asset, 0)

    def pool_shares(self, asset: int, account: int) -> int:
        """Shares of an account in an asset's pool."""
        pool = self.pools.get(asset)
        return pool.shares.get(account, 0) if pool else 0

    def holders_of(self, instrument: int) -> list[int]:
        """Owners with a position or an unpaid quote leg, ascending."""
        return sorted(self.holders.get(instrument, ()))

    def borrowers_of(self, asset: int) -> list[int]:
        """Accounts that owe an asset, ascending."""
        return sorted(self.borrowers.get(asset, ()))

    def violations(self) -> list[Problem]:
        """Every conservation law that does not hold: see `ledger.invariants`."""
        return invariants.violations(self)

    def conserved(self) -> bool:
        """Whether all conservation laws hold."""
        return not self.violations()

    def hash(self) -> bytes:
        """32 bytes that are equal wherever the same things happened: see `ledger.image`."""
        return image.state_hash(self)

    def snapshot(self) -> bytes:
        """The whole state as canonical JSON."""
        return image.encode(self)

    @classmethod
    def restore(cls, data: bytes) -> "State":
        """The state of a `snapshot`. Raises SolventError if it is none, or of another state version."""
        state = cls()
        image.fill(state, image.decode(data))
        return state
