"""The reference's state: who has what, in atoms and lots, and the primitive moves between owners; semantics 3."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

from tests.reference.parameters import Parameters
from tests.reference.terms import Terms, terms_of

from solvent.domain.commands import Quote
from solvent.domain.instruments import Instrument
from solvent.domain.owners import POOL

DAY_NS, HOUR_NS = 86_400 * 10**9, 3_600 * 10**9
HEALTHY, CALLED, LIQUIDATING, AUCTION, INSOLVENT = "healthy", "called", "liquidating", "auction", "insolvent"
OK, GONE = 0, 3


class Refusal(Exception):
    """The command does nothing."""


def need(good: bool, reason: str) -> None:
    """Refuse unless `good`."""
    if not good:
        raise Refusal(reason)


class Account(NamedTuple):
    """Who stands behind an account, and where it stands in the waterfall."""

    name: str
    owner: str
    isolated: int
    stage: str = HEALTHY
    frozen: bool = False


class OpenedOrder(NamedTuple):
    """An open order."""

    instrument: int
    lots: int
    price_ticks: int


class Running(NamedTuple):
    """An auction under way."""

    start_ns: int
    resets: int


@dataclass
class World:
    """Everything that the reference knows. A command is performed on a copy, which a refusal drops."""

    instruments: list[Instrument] = field(default_factory=list)
    terms: list[Terms] = field(default_factory=list)
    policy: Parameters | None = None
    accounts: list[Account] = field(default_factory=list)
    atoms: dict[tuple[int, int], int] = field(default_factory=dict)
    """(owner, asset) -> balance."""
    held: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    """(owner, instrument) -> lots, quote leg."""
    shares: dict[tuple[int, int], int] = field(default_factory=dict)
    """(owner, asset) -> shares of the asset's pool."""
    orders: dict[tuple[int, int], OpenedOrder] = field(default_factory=dict)
    """(account, order id)."""
    next_order: int = 0
    quotes: dict[int, Quote] = field(default_factory=dict)
    market: Any = None
    """What all accounts share at this mark: see `margin.Market`."""
    now_ns: int = 0
    marked_ns: int = 0
    funded: dict[int, int] = field(default_factory=dict)
    accrued: dict[int, int] = field(default_factory=dict)
    delisted: set[int] = field(default_factory=set)
    frozen: set[int] = field(default_factory=set)
    expired: set[int] = field(default_factory=set)
    auctions: dict[int, Running] = field(default_factory=dict)
    insured: dict[tuple[int, str, int], Fraction] = field(default_factory=dict)
    """(day, owner, instrument) -> USD that insurance paid."""
    deposited: dict[tuple[int, int], int] = field(default_factory=dict)
    """(day, asset) -> atoms."""
    taken_usd: dict[int, Fraction] = field(default_factory=dict)
    """What the outside market took of an instrument since the mark."""
    references: set[str] = field(default_factory=set)
    told: Any = None
    """The engine's verdict on the account that is acted on, and whether it accepted: they count only inside the
    rounding error of a model value, where no second opinion could know better."""
    lean: bool = True
    leaned: int = 0
    """How often that decided."""

    def copy(self) -> "World":
        """A world of its own."""
        twin = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, (dict, set, list)):
                setattr(twin, name, copy(value))
        return twin

    def trial(self, change: Callable[["World"], None]) -> "World":
        """The world after a change, this one as it is."""
        twin = self.copy()
        change(twin)
        return twin

    # ---- reading

    def balance(self, owner: int, asset: int) -> int:
        return self.atoms.get((owner, asset), 0)

    def position(self, owner: int, i: int) -> tuple[int, int]:
        return self.held.get((owner, i), (0, 0))

    def balances(self, owner: int) -> dict[int, int]:
        """Asset -> atoms, ascending."""
        return {asset: atoms for (who, asset), atoms in sorted(self.atoms.items()) if who == owner}

    def positions(self, owner: int) -> dict[int, tuple[int, int]]:
        """Instrument -> lots and quote leg, ascending."""
        return {i: row for (who, i), row in sorted(self.held.items()) if who == owner}

    def holders(self, i: int) -> list[int]:
        """Owners with lots or a quote leg, ascending."""
        return sorted(owner for owner, held in self.held if held == i)

    def loans(self, asset: int) -> int:
        """The negative balances of accounts."""
        return sum(-atoms for (who, held), atoms in self.atoms.items() if held == asset and who >= 0 and atoms < 0)

    def cash(self, asset: int) -> int:
        """What the asset's pool could lend: cash + loans = lenders' value."""
        return self.balance(POOL, asset) - self.loans(asset)

    def orders_of(self, account: int) -> dict[int, OpenedOrder]:
        """By id, oldest first."""
        return {id: order for (who, id), order in sorted(self.orders.items()) if who == account}

    def accounts_of(self, owner: str) -> list[int]:
        return [k for k, each in enumerate(self.accounts) if each.owner == owner]

    @property
    def parameters(self) -> Parameters:
        need(self.policy is not None, "a policy")
        assert self.policy is not None
        return self.policy

    @property
    def house_payment(self) -> int:
        """What liquidations are paid in: the first USD asset at the house."""
        return next(i for i, each in enumerate(self.terms) if each.stable and each.house)

    def payment_of(self, account: int) -> int:
        """Its own asset where an account is isolated."""
        isolated = self.accounts[account].isolated
        return self.house_payment if isolated < 0 else isolated

    # ---- changing

    def list(self, instrument: Instrument) -> None:
        self.instruments.append(instrument)
        self.terms = terms_of(self.instruments)

    def pay(self, source: int, target: int, asset: int, atoms: int) -> None:
        """Double entry in atoms."""
        for owner, change in ((source, -atoms), (target, atoms)):
            after = self.balance(owner, asset) + change
            self.atoms[owner, asset] = after
            if not after:
                del self.atoms[owner, asset]

    def give(self, source: int, target: int, i: int, lots: int, quote: int) -> None:
        """Double entry in lots and quote legs."""
        for owner, sign in ((source, -1), (target, 1)):
            before = self.position(owner, i)
            after = before[0] + sign * lots, before[1] + sign * quote
            self.held[owner, i] = after
            if after == (0, 0):
                del self.held[owner, i]

    def stage(self, account: int, stage: str) -> None:
        self.accounts[account] = self.accounts[account]._replace(stage=stage)
