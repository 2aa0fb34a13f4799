"""Events as rows for people: names in place of indices, decimals in place of atoms, lots and ticks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import msgspec

from solvent.domain import owners
from solvent.domain.events import AccountOpened, Event, Expired, InstrumentListed, Leg, Posting, Verdict
from solvent.domain.instruments import Instrument, Spot, contract_lot
from solvent.domain.quantities import decimal_text
from solvent.ledger.journal import Block, Journal
from solvent.ledger.recovery import newest_snapshot

Fields = dict[str, Any]

_ACCOUNTS = frozenset({"account", "buyer", "seller", "source", "target", "bidder"})
_INSTRUMENTS = frozenset({"instrument", "asset", "isolated"})
_SCALES = {"_micro": (6, "_usd"), "_e9": (9, ""), "_e12": (12, ""), "_e18": (18, ""), "_e42": (42, "_usd")}
"""Suffix of a scaled integer -> (decimals, suffix of the decimal)."""
_MOVES = frozenset({"postings", "legs", "verdicts"})


class Row(msgspec.Struct, frozen=True):
    """One event, readable without the journal. Quantities are exact decimals as text."""

    height: int
    ts: str
    """Time of the block, ISO 8601 in UTC."""
    entry: int
    """Position in the block."""
    event: int
    """Position in the entry."""
    origin: str
    caller: str
    key: str
    command: str
    type: str
    fields: Fields
    """What the event says of itself: prices in their unit, quantities in coins or contracts, `_usd` in USD."""
    postings: list[Fields]
    """owner, asset, amount in coins."""
    legs: list[Fields]
    """owner, instrument, quantity in contracts, quote in coins of the settlement asset."""
    verdicts: list[Fields]
    """account, equity, initial_margin, maintenance_margin in USD."""


class Names:
    """Accounts and instruments by index, learnt from the events themselves."""

    def __init__(self) -> None:
        self.accounts: list[str] = []
        self.instruments: list[Instrument] = []
        self._spots: dict[str, Spot] = {}

    def observe(self, event: Event) -> None:
        """Learn what an event names; indices never change, so that old events may be read with later names."""
        if isinstance(event, AccountOpened):
            self.accounts.append(event.name)
        elif isinstance(event, InstrumentListed):
            self.list(event.instrument)

    def list(self, instrument: Instrument) -> None:
        """Learn the next instrument."""
        self.instruments.append(instrument)
        if isinstance(instrument, Spot):
            self._spots[instrument.id] = instrument

    def owner(self, index: int) -> str:
        """Name of an account or of another owner of balances."""
        if 0 <= index < len(self.accounts):
            return self.accounts[index]
        return owners.NAMES.get(index, str(index))

    def instrument(self, index: int) -> str:
        """Id of an instrument or asset."""
        found = self._at(index)
        return str(index) if found is None else found.id

    def amount(self, asset: int, atoms: int) -> str:
        """Atoms of an asset in coins."""
        return _coins(self._at(asset), atoms)

    def quote(self, instrument: int, atoms: int) -> str:
        """Atoms of an instrument's settlement asset in coins."""
        found = self._at(instrument)
        settlement = found if found is None or isinstance(found, Spot) else self._spots.get(found.settlement)
        return _coins(settlement, atoms)

    def quantity(self, instrument: int, lots: int) -> str:
        """Lots in contracts, or coins for spot."""
        found = self._at(instrument)
        return str(lots) if found is None else decimal_text(lots * contract_lot(found), 30)

    def price(self, instrument: int, ticks: int) -> str:
        """Ticks in the price's unit."""
        found = self._at(instrument)
        return str(ticks) if found is None else decimal_text(ticks * Fraction(found.tick), 30)

    def _at(self, index: int) -> Instrument | None:
        return self.instruments[index] if 0 <= index < len(self.instruments) else None


def names_of(journal: Journal) -> tuple[Names, int]:
    """All names of a journal, and the height up to which they were read; quick where it has snapshots."""
    state, head = newest_snapshot(journal)
    names, height = Names(), head.height
    names.accounts = [account.name for account in state.accounts]
    for instrument in state.universe:
        names.list(instrument)
    for block in journal.read(height + 1):
        for entry in block.entries():
            for event in entry.events:
                names.observe(event)
        height = block.height
    return names, height


def rows(block: Block, names: Names, observe: bool = True) -> Iterator[Row]:
    """A block's events as rows. `observe` learns new names on the way: for blocks read in order, each once."""
    ts = timestamp(block.ts_ns)
    for position, entry in enumerate(block.entries()):
        command = type(entry.command).__name__
        for number, event in enumerate(entry.events):
            if observe:
                names.observe(event)
            yield Row(
                height=block.height,
                ts=ts,
                entry=position,
                event=number,
                origin=entry.origin,
                caller=entry.caller,
                key=entry.key,
                command=command,
                type=type(event).__name__,
                fields=_fields(event, names),
                postings=[_posting(each, names) for each in event.postings],
                legs=[_leg(each, names) for each in event.legs],
                verdicts=[_verdict(each, names) for each in event.verdicts],
            )


def timestamp(ts_ns: int) -> str:
    """Nanoseconds since the epoch as ISO 8601 in UTC, with as many decimals as it takes."""
    seconds, rest = divmod(ts_ns, 10**9)
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09d}Z" if rest else f"{text}Z"


def _coins(asset: Instrument | None, atoms: int) -> str:
    decimals = asset.decimals if isinstance(asset, Spot) else 0
    return decimal_text(Fraction(atoms, 10**decimals), 30)


def _posting(posting: Posting, names: Names) -> Fields:
    owner, asset, atoms = posting
    return {
        "owner": names.owner(owner),
        "asset": names.instrument(asset),
        "amount": names.amount(asset, atoms),
    }


def _leg(leg: Leg, names: Names) -> Fields:
    owner, instrument, lots, quote = leg
    return {
        "owner": names.owner(owner),
        "instrument": names.instrument(instrument),
        "quantity": names.quantity(instrument, lots),
        "quote": names.quote(instrument, quote),
    }


def _verdict(verdict: Verdict, names: Names) -> Fields:
    return {
        "account": names.owner(verdict.account),
        "equity": _scaled(verdict.equity, 6),
        "initial_margin": _scaled(verdict.initial_margin, 6),
        "maintenance_margin": _scaled(verdict.maintenance_margin, 6),
    }


def _scaled(value: int, decimals: int) -> str:
    return decimal_text(Fraction(value, 10**decimals), decimals)


def _fields(struct: msgspec.Struct, names: Names) -> Fields:
    """The fields of an event, a quote or an order by readable names; what is unset is left out."""
    found: Fields = {}
    instrument = getattr(struct, "instrument", getattr(struct, "asset", -1))
    index = instrument if isinstance(instrument, int) else -1
    for field in msgspec.structs.fields(struct):
        name, value = field.name, getattr(struct, field.name)
        if name in _MOVES or value == field.default:
            continue
        if name == "forward_ticks" or (name == "price_ticks" and isinstance(struct, Expired)):
            name = name.replace("ticks", "micro")  # prices of the underlying, whatever the instrument's tick is
        key, readable = _readable(name, value, index, names)
        found[key] = readable
    return found


def _readable(name: str, value: Any, instrument: int, names: Names) -> tuple[str, Any]:
    """Key and value of one field, by what its name says it is."""
    if name in _ACCOUNTS:
        return name, names.owner(value)
    if name == "accounts":
        return name, [names.owner(account) for account in value]
    if name in _INSTRUMENTS and isinstance(value, int):
        return name, names.instrument(value)
    if name.endswith("ticks"):
        return name.replace("price_ticks", "price").replace("ticks", "price"), names.price(instrument, value)
    if name.endswith("lots"):
        return name.replace("lots", "quantity"), names.quantity(instrument, value)
    if name == "atoms":
        return "amount", names.quote(instrument, value)
    if name.endswith("_atoms"):
        return name.removesuffix("_atoms"), names.quote(instrument, value)
    if name.endswith("_ns"):
        return name.removesuffix("_ns"), timestamp(value)
    for suffix, (decimals, unit) in _SCALES.items():
        if name.endswith(suffix):
            return name.removesuffix(suffix) + unit, _scaled(value, decimals)
    if name == "quotes":
        return name, [_fields(quote, names) for quote in value]
    if name == "order":
        return name, _fields(value, names)
    return name, msgspec.to_builtins(value)
