"""What can be held: spot balances, perpetuals, futures and options, each with its exact terms."""

from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, TypeAlias

import msgspec

from solvent.errors import Problem, problem

USD = "USD"
"""The numeraire: cash of this asset is worth exactly 1."""
STABLECOINS = frozenset({USD, "USDC", "USDT", "DAI", "BUSD", "PYUSD", "USDP", "TUSD", "FDUSD", "USDE"})
"""Assets that count as US dollars for settlement; their price still moves."""


class Spot(msgspec.Struct, frozen=True, tag="spot"):
    """A balance of an asset at one place."""

    kind: ClassVar[int] = 0
    id: str
    asset: str
    """What moves its price: `BTC` for `BTC` and for `BTC@custodian-x`."""
    decimals: int = 8
    """Atoms per coin are 10**decimals."""
    lot_atoms: int = 1
    """Atoms of one lot of the book."""
    location: str = "house"
    """Chain, custodian or wrapper that holds it."""
    represents: str = ""
    """What it redeems into, where that is not `asset` itself."""
    tick: Decimal = Decimal("0.000001")
    """Smallest step of its USD price."""
    since_ns: int = 0

    @property
    def underlying(self) -> str:
        return self.asset

    @property
    def lot_coins(self) -> Fraction:
        """Coins in one lot."""
        return Fraction(self.lot_atoms, 10**self.decimals)


class Perpetual(msgspec.Struct, frozen=True, tag="perpetual"):
    """A perpetual swap; linear (multiplier in coins) or inverse (multiplier in USD, settled in the coin)."""

    kind: ClassVar[int] = 1
    id: str
    underlying: str
    settlement: str
    """Id of the spot instrument in which profit is paid."""
    lot: Decimal = Decimal("0.0001")
    """Contracts in one lot."""
    tick: Decimal = Decimal("0.01")
    multiplier: Decimal = Decimal(1)
    inverse: bool = False


class Future(msgspec.Struct, frozen=True, tag="future"):
    """A dated future; terms as for `Perpetual`."""

    kind: ClassVar[int] = 2
    id: str
    underlying: str
    settlement: str
    expiry_ns: int
    lot: Decimal = Decimal("0.0001")
    tick: Decimal = Decimal("0.01")
    multiplier: Decimal = Decimal(1)
    inverse: bool = False


class Option(msgspec.Struct, frozen=True, tag="option"):
    """A European option; its price is in the settlement asset (coins where `inverse`)."""

    kind: ClassVar[int] = 3
    id: str
    underlying: str
    settlement: str
    expiry_ns: int
    strike: Decimal
    call: bool
    lot: Decimal = Decimal("0.01")
    tick: Decimal = Decimal("0.0001")
    multiplier: Decimal = Decimal(1)
    inverse: bool = False


Derivative: TypeAlias = Perpetual | Future | Option
Instrument: TypeAlias = Spot | Perpetual | Future | Option


def expiry_ns(instrument: Instrument) -> int:
    """Expiry in nanoseconds of the epoch; 0 where there is none."""
    return instrument.expiry_ns if isinstance(instrument, (Future, Option)) else 0


def unit(instrument: Instrument) -> Fraction:
    """What one lot stands for: coins, or USD for an inverse perpetual or future."""
    if isinstance(instrument, Spot):
        return instrument.lot_coins
    return Fraction(instrument.lot) * Fraction(instrument.multiplier)


def contract_lot(instrument: Instrument) -> Fraction:
    """Quantity of one lot as files state it: coins for spot, contracts for the rest."""
    return instrument.lot_coins if isinstance(instrument, Spot) else Fraction(instrument.lot)


def value_per_tick_lot_atoms(instrument: Derivative, settlement: Spot) -> Fraction:
    """Settlement atoms that one lot is worth per tick of price (linear, and options of either form)."""
    atoms: Fraction = Fraction(instrument.tick) * unit(instrument) * 10**settlement.decimals
    return atoms


def inverse_atoms_ticks(instrument: Derivative, settlement: Spot) -> Fraction:
    """Settlement atoms of one inverse lot times the price in ticks: atoms = lots K / ticks."""
    atoms_ticks: Fraction = unit(instrument) * 10**settlement.decimals / Fraction(instrument.tick)
    return atoms_ticks


def check_instrument(instrument: Instrument, settlement: Spot | None, file: str = "instruments") -> list[Problem]:
    """Everything that is wrong with the terms of an instrument, given the spot it settles in."""
    found: list[Problem] = []

    def wrong(field: str, value: object, accepted: str) -> None:
        found.append(problem(file, None, f"{instrument.id}.{field}", value, accepted))

    if instrument.tick <= 0:
        wrong("tick", instrument.tick, "a tick above 0")
    if isinstance(instrument, Spot):
        if not 0 <= instrument.decimals <= 24:
            wrong("decimals", instrument.decimals, "0 to 24 decimals")
        if instrument.lot_atoms < 1:
            wrong("lot_atoms", instrument.lot_atoms, "at least 1 atom a lot")
        return found
    if instrument.lot <= 0 or instrument.multiplier <= 0:
        wrong("lot", instrument.lot, "lot and multiplier above 0")
        return found
    if settlement is None:
        wrong("settlement", instrument.settlement, "the id of a listed spot instrument")
        return found
    if instrument.inverse and settlement.asset != instrument.underlying:
        wrong("settlement", instrument.settlement, f"{instrument.underlying}: quanto settlement is refused")
    if not instrument.inverse and settlement.asset not in STABLECOINS:
        wrong("settlement", instrument.settlement, "a USD asset: quanto settlement is refused")
    if (not instrument.inverse or isinstance(instrument, Option)) and instrument.tick > 0:
        atoms = value_per_tick_lot_atoms(instrument, settlement)
        if atoms.denominator != 1:
            wrong(
                "tick",
                instrument.tick,
                f"tick x lot x multiplier a whole number of atoms of {settlement.id}, is {atoms} atoms",
            )
    if isinstance(instrument, Option) and instrument.strike <= 0:
        wrong("strike", instrument.strike, "a strike above 0")
    return found
