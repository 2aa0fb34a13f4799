"""A small venue for tests: an engine in memory, a market whose prices are set by hand, accounts by role."""

from collections.abc import Mapping
from typing import Any

import msgspec

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain import origins
from solvent.domain.instruments import Instrument
from solvent.domain.owners import INSURANCE, MARKET
from solvent.domain.policy import Policy
from solvent.domain.symbols import expiry_ns_of, instrument
from solvent.engine.engine import Engine, Submission, TickReport
from solvent.engine.files import read_policy
from solvent.engine.sources.tick import SourcePrice, Tick
from solvent.ledger.image import Image, image_of
from solvent.ledger.journal import MemoryJournal
from solvent.margin.statement import ExactStatement

HOUR_NS = 3_600 * 10**9
START_NS = expiry_ns_of("240603") + HOUR_NS  # Monday 09:00 UTC
EXPIRY_NS = expiry_ns_of("240607")
E6, E8, E18 = 10**6, 10**8, 10**18

INSTRUMENTS: tuple[Instrument, ...] = (
    instrument("USDC"),
    instrument("BTC"),
    instrument("ETH"),
    instrument("BTC/USDC:USDC", 60_000.0),
    instrument("ETH/USDC:USDC", 3_000.0),
    instrument("BTC/USD:BTC"),
    instrument("BTC/USDC:USDC-240607", 60_000.0),
    instrument("BTC/USDC:USDC-240607-60000-C"),
    instrument("BTC/USDC:USDC-240607-60000-P"),
    instrument("BTC/USD:BTC-240607-60000-C"),
)
USDC, BTC, ETH, PERP, ETH_PERP, INVERSE, FUTURE, CALL, PUT, COIN_CALL = range(len(INSTRUMENTS))
PRICES = {"USDC": 1.0, "BTC": 60_000.0, "ETH": 3_000.0}
PERP_LOTS = 100_000
"""Lots of one BTC in the linear perpetual and the future: a lot is 1e-5 BTC."""
TICKS_A_USD = 10
"""Ticks of the linear BTC contracts in one USD."""


def usdc(usd: float) -> int:
    """Atoms of USDC."""
    return round(usd * E6)


def btc(coins: float) -> int:
    """Atoms of BTC; lots of the linear perpetual are 1e-5 BTC."""
    return round(coins * E8)


def lots(coins: float) -> int:
    """Lots of the linear BTC perpetual or future."""
    return round(coins * PERP_LOTS)


def ticks(usd: float) -> int:
    """A price of the linear BTC perpetual or future."""
    return round(usd * TICKS_A_USD)


def policy_with(base: Policy | None = None, **tables: Mapping[str, Any]) -> Policy:
    """The ready-made portfolio policy with some keys of its tables replaced."""
    base = base or read_policy("portfolio")
    changed = {name: {**getattr(base, name), **table} for name, table in tables.items()}
    return msgspec.structs.replace(base, **changed)


def submission(state: Any, command: c.Command, caller: str = "", key: str = "") -> Submission:
    """A command as one of those sends it who may: the account's owner where it takes an owner."""
    origin = origins.ALLOWED[type(command)][0]
    account = origins.account_of(command)
    if isinstance(command, c.OpenAccount | c.Deposit | c.Settle | c.Sweep):
        origin = "operator" if getattr(command, "reference", "-") else "engine"
    elif isinstance(command, c.OpenOrder | c.CancelOrder):
        origin = "venue"
    elif account is not None and 0 <= account < len(state.accounts) and origin == "owner":
        caller = state.accounts[account].owner
    return Submission(command, origin, caller, key)


class Desk:
    """An engine and the conveniences that make a test read like the text it tests."""

    def __init__(
        self,
        policy: Policy | None = None,
        instruments: tuple[Instrument, ...] = INSTRUMENTS,
        volume_usd_daily: float = 1e12,
        marked: bool = True,
        journal: MemoryJournal | None = None,
    ) -> None:
        """Lists the instruments, sets the policy and marks the market at `PRICES`.

        The market is deep by default, so that closing in it costs next to nothing.
        """
        self.engine = Engine(journal or MemoryJournal(), clock=lambda: self.now_ns)
        self.now_ns = START_NS
        self.prices = dict(PRICES)
        self.vol_annual = 0.6
        self.volumes = dict.fromkeys(PRICES, volume_usd_daily)
        for each in instruments:
            self.ok(c.ListInstrument(each))
        self.ok(c.SetPolicy(policy or read_policy("portfolio")))
        if marked:
            self.tick()

    # ---- time and prices

    def tick(
        self,
        minutes: float = 0.0,
        funding: Mapping[str, float] | None = None,
        sources: tuple[SourcePrice, ...] | None = None,
        **prices: float,
    ) -> TickReport:
        """Let time pass and mark the market; the whole waterfall runs. `sources` replaces the one source a name."""
        self.now_ns += round(minutes * 60e9)
        self.prices.update(prices)
        if sources is None:
            sources = tuple(SourcePrice(name, "venue", price) for name, price in self.prices.items())
        vols = {"BTC": self.vol_annual, "ETH": self.vol_annual}
        report = self.engine.tick(Tick(self.now_ns, sources, dict(self.volumes), vols, dict(funding or {})))
        assert self.state.violations() == []
        return report

    def mark(self, minutes: float = 0.0, **prices: float) -> None:
        """Mark the market and do nothing else: what a test wants to do by hand is left to it."""
        self.now_ns += round(minutes * 60e9)
        self.prices.update(prices)
        sources = tuple(SourcePrice(name, "venue", price) for name, price in self.prices.items())
        vols = {"BTC": self.vol_annual, "ETH": self.vol_annual}
        oracle = self.engine.risk.parameters().oracle
        command = self.engine.marker.mark(self.state, Tick(self.now_ns, sources, dict(self.volumes), vols), oracle)
        (event,) = self.ok(command)
        assert isinstance(event, e.Marked)

    # ---- commands

    @property
    def state(self) -> Any:
        return self.engine.state

    def send(self, command: c.Command, caller: str = "", key: str = "") -> e.Entry:
        """Execute one command as a block of its own."""
        (entry,) = self.engine.execute([submission(self.state, command, caller, key)], self.now_ns)
        assert self.state.violations() == []
        return entry

    def ok(self, command: c.Command) -> tuple[Any, ...]:
        """Events of a command that must be accepted."""
        events = self.send(command).events
        assert not isinstance(events[0], e.Refused), events[0]
        return events

    def refused(self, command: c.Command) -> str:
        """Reason of a command that must be refused, which changes nothing."""
        before = self._image()
        (event,) = self.send(command).events
        assert isinstance(event, e.Refused), event
        assert self._image() == before
        return event.reason

    def _image(self) -> Image:
        """The state, whatever its time and height."""
        return msgspec.structs.replace(image_of(self.state), ts_ns=0, height=0)

    def open(self, name: str, usd: float = 0.0, owner: str = "", isolated: int = -1, **coins: float) -> int:
        """An account with USDC and coins in it."""
        account: int = self.ok(c.OpenAccount(name, owner, isolated))[0].account
        if usd:
            self.ok(c.Deposit(account, USDC, usdc(usd)))
        for asset, amount in coins.items():
            index = self.state.universe.index(asset)
            self.ok(c.Deposit(account, index, round(amount * 10 ** self.state.universe[index].decimals)))
        return account

    def lend(self, asset: int, atoms: int, name: str = "") -> int:
        """A lender whose atoms fill an asset's pool."""
        account = self.open(name or f"lender of {asset}")
        self.ok(c.Deposit(account, asset, atoms))
        self.ok(c.Supply(account, asset, atoms))
        return account

    def insure(self, usd: float = 0.0, asset: int = USDC, atoms: int = 0) -> None:
        """Seed the insurance fund."""
        self.ok(c.Deposit(INSURANCE, asset, atoms or usdc(usd)))

    def hold(self, account: int, instrument: int, size: int, quote: int | None = None) -> None:
        """Give an empty account a position against the outside market; at the mark by default, no gate applies."""
        if quote is None:
            quote = self.entry_quote(instrument, size)
        self.ok(c.Load(account, (), ((instrument, size, quote),)))

    def entry_quote(self, instrument: int, size: int) -> int:
        """Quote leg of a position entered at the mark."""
        from solvent.engine.risk import trade_quote

        universe = self.state.universe
        if universe.terms.form[instrument] == 3:
            return 0
        quote: int = trade_quote(universe, instrument, size, self.state.quotes[instrument].ticks)
        return quote

    def load(self, name: str, balances: dict[int, int], positions: dict[int, int], owner: str = "") -> int:
        """An account taken over with balances in atoms and positions in lots, entered at the mark."""
        account: int = self.ok(c.OpenAccount(name, owner))[0].account
        rows = tuple((i, size, self.entry_quote(i, size)) for i, size in positions.items())
        self.ok(c.Load(account, tuple(balances.items()), rows))
        return account

    def trade(
        self, instrument: int, buyer: int, seller: int, size: int, price: int | None = None, **more: Any
    ) -> c.Fill:
        """A fill, at the mark by default."""
        at = self.state.quotes[instrument].ticks if price is None else price
        return c.Fill(instrument, buyer, seller, size, at, **more)

    # ---- answers

    def exact(self, account: int) -> ExactStatement:
        """The verdict on an account."""
        return self.engine.risk.exact(account)

    def stage(self, account: int) -> str:
        """Where an account stands."""
        stage: str = self.state.accounts[account].stage
        return stage

    def atoms(self, owner: int, asset: int = USDC) -> int:
        """A balance."""
        found: int = self.state.balance(owner, asset)
        return found

    def position(self, owner: int, instrument: int) -> tuple[int, int]:
        """Lots and quote leg."""
        found: tuple[int, int] = self.state.position(owner, instrument)
        return found


def events_of(report: TickReport, kind: type[Any]) -> list[Any]:
    """Events of one kind that a tick brought."""
    return [event for entry in report.entries for event in entry.events if isinstance(event, kind)]


__all__ = [
    "BTC",
    "CALL",
    "COIN_CALL",
    "E6",
    "E8",
    "E18",
    "ETH",
    "ETH_PERP",
    "EXPIRY_NS",
    "FUTURE",
    "HOUR_NS",
    "INSTRUMENTS",
    "INSURANCE",
    "INVERSE",
    "MARKET",
    "PERP",
    "PRICES",
    "PUT",
    "START_NS",
    "USDC",
    "Desk",
    "btc",
    "events_of",
    "lots",
    "policy_with",
    "submission",
    "ticks",
    "usdc",
]  # fmt: skip
