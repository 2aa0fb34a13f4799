"""Terms of instruments: what a tick on a lot is worth, and what is refused."""

from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest

from solvent.domain.instruments import (
    Future,
    Instrument,
    Option,
    Perpetual,
    Spot,
    check_instrument,
    inverse_atoms_ticks,
    unit,
    value_per_tick_lot_atoms,
)

USDC = Spot("USDC", "USDC", decimals=6)
BTC = Spot("BTC", "BTC", decimals=8)
ETH = Spot("ETH", "ETH", decimals=18, lot_atoms=10**9)


def test_a_tick_on_a_lot_is_whole_atoms() -> None:
    linear = Perpetual("BTC/USDC:USDC", "BTC", "USDC")
    assert value_per_tick_lot_atoms(linear, USDC) == 1
    assert check_instrument(linear, USDC) == []


def test_inverse_atoms_times_ticks() -> None:
    inverse = Perpetual("BTC/USD:BTC", "BTC", "BTC", lot=Decimal(1), tick=Decimal("0.5"), inverse=True)
    atoms = inverse_atoms_ticks(inverse, BTC) / 20_000  # 1 USD at 10,000 USD is 10,000 atoms of BTC
    assert atoms == 10_000


def test_lots_of_spot_are_coins() -> None:
    assert unit(ETH) == Fraction(1, 10**9)
    assert unit(BTC) == Fraction(1, 10**8)


@pytest.mark.parametrize(
    ("instrument", "settlement", "field", "accepted"),
    [
        (Perpetual("X", "BTC", "USDC", tick=Decimal("0.001")), USDC, "tick", "whole number of atoms"),
        (Perpetual("X", "BTC", "ETH"), ETH, "settlement", "quanto"),
        (Perpetual("X", "BTC", "ETH", inverse=True), ETH, "settlement", "quanto"),
        (Perpetual("X", "BTC", "USDX"), None, "settlement", "listed spot"),
        (Perpetual("X", "BTC", "USDC", lot=Decimal(0)), USDC, "lot", "above 0"),
        (Future("X", "BTC", "USDC", 1, tick=Decimal(-1)), USDC, "tick", "above 0"),
        (Option("X", "BTC", "USDC", 1, Decimal(0), True, tick=Decimal("0.01")), USDC, "strike", "above 0"),
        (Spot("X", "X", decimals=30), None, "decimals", "0 to 24"),
        (Spot("X", "X", lot_atoms=0), None, "lot_atoms", "at least 1"),
    ],
)
def test_faulty_terms_are_named(instrument: Instrument, settlement: Spot | None, field: str, accepted: str) -> None:
    found = check_instrument(instrument, settlement)
    assert any(field in each.field and accepted in each.accepted for each in found), found


def test_terms_survive_the_journal() -> None:
    option = Option("BTC/USD:BTC-241227-60000-C", "BTC", "BTC", 7, Decimal("60000"), True, inverse=True)
    assert msgspec.json.decode(msgspec.json.encode(option), type=Instrument) == option
