"""The venue that is attacked: a real engine with the default policy, honest people, and a tally of who has what."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import msgspec

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.instruments import Instrument, unit
from solvent.domain.owners import FEES, INSURANCE, ROUNDING
from solvent.domain.policy import Policy
from solvent.domain.symbols import instrument
from solvent.engine.decide.accounts import pool_of
from solvent.engine.engine import Engine, Submission, TickReport
from solvent.engine.files import read_policy
from solvent.engine.sources.tick import SourcePrice, Tick
from solvent.engine.start import all_accepted
from solvent.ledger.journal import MemoryJournal
from solvent.pools import shares

START_NS = 1_717_405_200 * 10**9
"""Monday 3 June 2024, 09:00 UTC: an hour after a funding time."""
PRICES = {"USDC": 1.0, "USDT": 1.0, "BTC": 60_000.0, "DOT": 5.0}
VOLUMES_USD = {"USDC": 1e10, "USDT": 1e10, "BTC": 2e10, "DOT": 2e6}
"""DOT is thin here: to close a position in it costs."""
INSTRUMENTS: tuple[Instrument, ...] = (
    *(instrument(asset) for asset in PRICES),
    instrument("BTC/USDC:USDC", PRICES["BTC"]),
    instrument("DOT/USDC:USDC", PRICES["DOT"]),
)
USDC, USDT, BTC, DOT, BTC_PERP, DOT_PERP = range(len(INSTRUMENTS))
SOURCES = ("north", "south", "west")
"""Independent price sources of every asset."""
MAKER_USD, POOL_USD, FUND_USD = 50e6, 5e6, 2e6


def default_policy(**tables: Mapping[str, Any]) -> Policy:
    """The ready-made policy with some keys of its tables replaced: how a control turns a guard off."""
    base = read_policy("portfolio")
    changed = {name: {**getattr(base, name), **table} for name, table in tables.items()}
    return msgspec.structs.replace(base, **changed)


class Scene:
    """Honest people: a market maker, lenders of every asset, an insurance fund. Whoever `joins` is an attacker."""

    def __init__(self, policy: Policy | None = None, sources: Sequence[str] = SOURCES, own_book: bool = False) -> None:
        """sources: of prices. own_book: the last of them is the venue's own order book, and known as such."""
        self.engine = Engine(MemoryJournal(), clock=lambda: self.now_ns)
        self.now_ns = START_NS
        self.sources, self.own_book = tuple(sources), own_book
        self.true = dict(PRICES)
        """USD by asset: what things can be bought and sold for elsewhere."""
        self.attackers: list[int] = []
        self._wires = 0
        for each in INSTRUMENTS:
            self.ok(c.ListInstrument(each), "operator")
        self.ok(c.SetPolicy(policy or default_policy()), "operator")
        self.tick()
        self.maker = self.joins("maker", {USDC: MAKER_USD}, honest=True)
        for asset in (USDC, USDT, BTC):
            lender = self.joins(f"lender-{asset}", {asset: POOL_USD / self.price(asset)}, honest=True)
            self.ok(c.Supply(lender, asset, self.atoms(lender, asset)), "owner", f"lender-{asset}")
        self._deposit(INSURANCE, USDC, FUND_USD)

    # ---- time and prices

    def tick(self, minutes: float = 0.0, said: Sequence[SourcePrice] = (), **seen: float) -> TickReport:
        """Let time pass and mark the market, waterfall included.

        seen: prices that sources give in place of the true ones. said: takes the place of all prices of its names.
        """
        self.now_ns += round(minutes * 60e9)
        named = {each.name for each in said}
        prices = {name: price for name, price in {**self.true, **seen}.items() if name not in named}
        rows = [SourcePrice(name, source, price) for name, price in prices.items() for source in self.sources]
        return self.engine.tick(Tick(self.now_ns, (*rows, *said), dict(VOLUMES_USD)))

    # ---- what people do

    def send(self, command: c.Command, origin: c.Origin, caller: str = "") -> e.Event:
        """A command as somebody sends it; the first of what follows, which may be a refusal."""
        (entry,) = self.engine.execute([Submission(command, origin, caller)], self.now_ns)
        return entry.events[0]

    @staticmethod
    def refused(event: e.Event) -> bool:
        """Whether nothing came of a command."""
        return isinstance(event, e.Refused)

    def accepted(self, event: e.Event) -> None:
        """What honest people do goes through. Raises AssertionError where it does not: the scene is set wrongly."""
        assert not isinstance(event, e.Refused), event.reason

    def ok(self, command: c.Command, origin: c.Origin, caller: str = "") -> Any:
        """A command that belongs to the scene. Raises SolventError if it is refused."""
        entries = self.engine.execute([Submission(command, origin, caller)], self.now_ns)
        all_accepted(entries)
        return entries[0].events[0]

    def joins(self, name: str, coins: Mapping[int, float], honest: bool = False) -> int:
        """Somebody opens an account and brings coins, by asset."""
        account: int = self.ok(c.OpenAccount(name), "owner", name).account
        if not honest:
            self.attackers.append(account)
        for asset, amount in coins.items():
            self._deposit(account, asset, amount)
        return account

    def deposits(self, account: int, asset: int, amount: float) -> None:
        """Coins brought later; refused where a limit says so."""
        self._deposit(account, asset, amount)

    def _deposit(self, account: int, asset: int, amount: float) -> None:
        self._wires += 1
        self.ok(c.Deposit(account, asset, self.coins(asset, amount), f"wire-{self._wires}"), "operator", "custodian")

    def trades(self, instrument: int, buyer: int, seller: int, coins: float, price_usd: float = 0.0) -> e.Event:
        """A fill of a perpetual that the venue matched, at the mark unless a price is given."""
        terms = self.engine.state.universe.terms
        ticks = round(price_usd / terms.tick[instrument]) or self.engine.state.quotes[instrument].ticks
        fill = c.Fill(instrument, buyer, seller, round(coins / terms.unit[instrument]), ticks)
        return self.send(fill, "venue")

    def withdraws(self, account: int, asset: int = USDC, amount: float = 0.0) -> float:
        """Take out an amount, or as much as the venue lets go, borrowed from the pool where there is no balance.

        Returns how many coins that were.
        """
        name = self.engine.state.accounts[account].owner
        if amount:
            event = self.send(c.Withdraw(account, asset, self.coins(asset, amount)), "owner", name)
            return 0.0 if isinstance(event, e.Refused) else amount
        low, high = 0, max(0, self.atoms(account, asset)) + self.engine.state.pool_cash(asset)
        taken = 0
        while low < high:  # what a refusal costs is nothing: halve until an atom is left
            atoms = (low + high + 1) // 2
            if isinstance(self.send(c.Withdraw(account, asset, atoms), "owner", name), e.Refused):
                high = atoms - 1
            else:
                taken += atoms
                low, high = 0, high - atoms
        return taken / self.coins(asset, 1.0)

    def leave(self) -> None:
        """Profits are settled in cash, and every attacker takes out all that the venue lets go of his own."""
        for i in (BTC_PERP, DOT_PERP):
            self.send(c.Settle(i), "operator")
        for account in self.attackers:
            for asset in sorted(self.engine.state.balances.get(account, {})):
                self.withdraws(account, asset)

    # ---- who has what

    def price(self, asset: int) -> float:
        """True USD of an asset."""
        return self.true[self.engine.state.universe.spot_of(asset).asset]

    def coins(self, asset: int, amount: float) -> int:
        """Coins in atoms."""
        atoms: int = 10 ** self.engine.state.universe.spot_of(asset).decimals
        return round(amount * atoms)

    def atoms(self, owner: int, asset: int) -> int:
        """A balance."""
        return self.engine.state.balance(owner, asset)

    def position_coins(self, owner: int, instrument: int) -> float:
        """Size of a position in a perpetual, signed."""
        state = self.engine.state
        return float(state.position(owner, instrument)[0] * state.universe.terms.unit[instrument])

    def stage(self, account: int) -> str:
        """Where an account stands in the waterfall."""
        return self.engine.state.accounts[account].stage

    def profit_usd(self) -> float:
        """What attackers took out and still have, less what they brought. They walk away from what they owe."""
        kept = sum(max(Fraction(0), self._worth(account)) for account in self.attackers)
        return float(kept - self._brought(self.attackers))

    def venue_loss_usd(self) -> float:
        """What everybody else inside brought, less what they have: the debts of attackers are worth nothing."""
        honest = [account for account in range(len(self.engine.state.accounts)) if account not in self.attackers]
        honest += [INSURANCE, FEES, ROUNDING]
        unpaid = sum(max(Fraction(0), -self._worth(account)) for account in self.attackers)
        return float(self._brought(honest) - sum(self._worth(owner) for owner in honest) + unpaid)

    def _brought(self, owners: Sequence[int]) -> Fraction:
        """Deposits less withdrawals of some owners, at the true prices of now."""
        found = Fraction(0)
        for block in self.engine.journal.read():
            for event in (event for entry in block.entries() for event in entry.events):
                if isinstance(event, e.Deposited | e.Withdrawn) and event.account in owners:
                    moved = (row for row in event.postings if row[0] == event.account)
                    found += sum(atoms * self._atom_usd(asset) for _, asset, atoms in moved)
        return found

    def _worth(self, owner: int) -> Fraction:
        """Balances, pool shares and positions of an owner at true prices, exact."""
        state = self.engine.state
        worth = sum((x * self._atom_usd(asset) for asset, x in state.balances.get(owner, {}).items()), Fraction(0))
        for asset in state.pools:
            worth += shares.atoms_down(pool_of(state, asset), state.pool_shares(asset, owner)) * self._atom_usd(asset)
        for i, (lots, quote) in state.positions.get(owner, {}).items():
            each = state.universe[i]
            payer = int(state.universe.terms.settlement[i])
            worth += lots * unit(each) * Fraction(self.true[each.underlying]) * Fraction(self.price(payer))
            worth += quote * self._atom_usd(payer)
        return worth

    def _atom_usd(self, asset: int) -> Fraction:
        atoms: int = 10 ** self.engine.state.universe.spot_of(asset).decimals
        return Fraction(self.price(asset)) / atoms
