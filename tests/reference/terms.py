"""What one lot of an instrument is, in exact fractions; semantics 1 to 3."""

from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from solvent.domain.instruments import STABLECOINS, Future, Instrument, Option, Spot

RATE = 10**9
"""Charge rates, moves and model values of a lot are rounded once, to integers of 1e-9."""


class Terms(NamedTuple):
    """An instrument; `payer` is the index of the spot instrument that it settles in (itself where it is spot)."""

    id: str
    form: str
    """spot, linear, inverse or option."""
    asset: str
    payer: int
    payer_atoms: int
    """Atoms in a coin of the payer."""
    lot_atoms: int
    """Atoms of a lot of the payer."""
    tick: Fraction
    unit: Fraction
    """Coins in a lot, USD where inverse."""
    expiry_ns: int
    strike: Fraction
    call: bool
    coin_priced: bool
    stable: bool
    house: bool

    @property
    def factor(self) -> Fraction:
        """Atoms of the payer: per tick and lot; of an inverse contract per lot, times ticks."""
        return (
            self.unit * self.payer_atoms / self.tick
            if self.form == "inverse"
            else self.unit * self.payer_atoms * self.tick
        )

    def quote(self, lots: int, ticks: int) -> int:
        """Quote leg of who buys `lots` at a price: -q M P, or +q M / P, rounded down."""
        return floor(lots * self.factor / ticks) if self.form == "inverse" else int(-lots * self.factor * ticks)

    def profit(self, lots: int, quote: int, mark_ticks: int) -> int:
        """Unsettled profit in atoms, down: q M mark + c, or c - q M / mark; of an option what is unpaid."""
        return quote if self.form == "option" else quote + self.quote(-lots, mark_ticks)


def terms_of(instruments: list[Instrument]) -> list[Terms]:
    """Terms of all instruments of a venue."""
    index = {each.id: i for i, each in enumerate(instruments)}
    return [_terms(index, instruments, each) for each in instruments]


def _terms(index: dict[str, int], instruments: list[Instrument], each: Instrument) -> Terms:
    payer = index[each.id if isinstance(each, Spot) else each.settlement]
    spot = instruments[payer]
    assert isinstance(spot, Spot)
    option = isinstance(each, Option)
    form = "spot" if isinstance(each, Spot) else "option" if option else "inverse" if each.inverse else "linear"
    unit = spot.lot_coins if isinstance(each, Spot) else Fraction(each.lot) * Fraction(each.multiplier)
    return Terms(
        id=each.id,
        form=form,
        asset=each.underlying,
        payer=payer,
        payer_atoms=10**spot.decimals,
        lot_atoms=spot.lot_atoms,
        tick=Fraction(each.tick),
        unit=unit,
        expiry_ns=each.expiry_ns if isinstance(each, (Future, Option)) else 0,
        strike=Fraction(each.strike) if option else Fraction(0),
        call=option and each.call,
        coin_priced=option and each.inverse,
        stable=form == "spot" and each.underlying in STABLECOINS,
        house=form == "spot" and each.location == "house",
    )


def rate_up(x: Fraction) -> Fraction:
    """A charge rate, up to 1e-9; what is within 5e-16 of it counts as it."""
    return Fraction(ceil(round(x * RATE, 6)), RATE)


def decimal(x: float) -> Fraction:
    """A decimal of a policy: 0.98 means 98/100."""
    return Fraction(repr(x))
