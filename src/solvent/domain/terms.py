"""An instrument from its id, given terms and documented defaults, with a tick that fits its price."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction

import msgspec

from solvent.domain import symbols
from solvent.domain.instruments import Future, Instrument, Option, Perpetual, Spot, unit
from solvent.domain.quantities import LOT_BOUND, decimal_text, exact, whole

DIGITS_LINEAR = 7
"""Significant digits of a linear contract's mark where no tick is given: its lot is then 1e-6 USD / tick."""
DECIMALS_MOST = 18
"""Decimals of a mark where no tick is given."""
DIGITS_MOST = 38
TERMS = ("tick", "lot", "multiplier", "strike", "decimals", "represents")
"""Terms of an instrument that a file may give as text; `expiry` comes apart, as a time."""


def instrument_of(id: str, price: Fraction | None, given: Mapping[str, str], expiry_ns: int | None) -> Instrument:
    """The instrument of a row of a market file.

    id: CCXT symbol, Deribit name or asset. price: its mark, None where there is none. given: those `TERMS`
    that the row states. expiry_ns: UTC, None where the id says it. A tick that is not given is the default of
    `symbols.instrument`, made finer until it divides the price where the settlement asset's atoms allow that.
    Raises ValueError with what would be accepted.
    """
    found = symbols.instrument(id, float(price or 0))
    if isinstance(found, Spot):
        return _spot(found, price, given, expiry_ns)
    for name in ("decimals", "represents"):
        if name in given:
            raise ValueError(f"{name}: empty for a derivative")
    fields: dict[str, object] = {
        name: _positive(name, given[name]) for name in ("tick", "lot", "multiplier") if name in given
    }
    if isinstance(found, Option) and "strike" in given:
        fields["strike"] = _positive("strike", given["strike"])
    elif "strike" in given:
        raise ValueError("strike: empty for what is no option")
    if expiry_ns is not None:
        if isinstance(found, Perpetual):
            raise ValueError("expiry: empty for a perpetual")
        fields["expiry_ns"] = expiry_ns
    found = msgspec.structs.replace(found, **fields)
    if "tick" in given or price is None:
        return _with_lot(found, given)
    return _with_tick(found, price, given)


def price_of(value: object) -> Fraction:
    """A price as an exact fraction: its decimal text, or a float's shortest text. Raises ValueError."""
    text = repr(value) if isinstance(value, float) else str(value).strip()
    try:
        read = Decimal(text[: 2 * DIGITS_MOST + 3])
    except InvalidOperation:
        raise ValueError("a decimal number") from None
    if not text.isascii() or "_" in text:
        raise ValueError("a decimal number")
    if not read.is_finite():
        raise ValueError("a finite decimal number")
    digits = "".join(map(str, read.as_tuple().digits)).strip("0")
    if max(len(digits), abs(read.adjusted())) > DIGITS_MOST or len(text) > 2 * DIGITS_MOST + 2:
        raise ValueError(f"a decimal number of at most {DIGITS_MOST} digits")
    if read <= 0:
        raise ValueError("a price above 0")
    return Fraction(read)


def mark_ticks(instrument: Instrument, value: object, tick_given: bool) -> int:
    """A price in whole ticks: exact where the file gives the tick, else to the nearest. Raises ValueError."""
    tick = Fraction(instrument.tick)
    price = price_of(value)
    ticks = round(price / tick)
    if tick_given and isinstance(value, float):
        ticks = whole(value, tick, "ticks")
    elif tick_given and ticks * tick != price:
        raise ValueError(f"a multiple of {decimal_text(tick, DIGITS_MOST)} (whole ticks)")
    if ticks == 0:
        raise ValueError(f"a price of at least half a tick of {instrument.tick}")
    if ticks >= LOT_BOUND:
        raise ValueError("a price of less than 2**63 ticks")
    return ticks


def _positive(name: str, text: str) -> Decimal:
    try:
        value = exact(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if value <= 0:
        raise ValueError(f"{name}: a number above 0")
    return Decimal(decimal_text(value, 36))


def _spot(found: Spot, price: Fraction | None, given: Mapping[str, str], expiry_ns: int | None) -> Spot:
    """Spot terms: `lot` is in coins, `decimals` are of the asset's atoms."""
    for name in ("multiplier", "strike"):
        if name in given:
            raise ValueError(f"{name}: empty for spot")
    if expiry_ns is not None:
        raise ValueError("expiry: empty for spot")
    decimals = found.decimals
    if "decimals" in given:
        if not given["decimals"].isascii() or not given["decimals"].isdigit() or int(given["decimals"][:4]) > 24:
            raise ValueError("decimals: 0 to 24")
        decimals = int(given["decimals"])
    lot_atoms = 10 ** max(0, decimals - symbols.LOT_DECIMALS_MOST)
    if "lot" in given:
        atoms = Fraction(_positive("lot", given["lot"])) * 10**decimals
        if atoms.denominator != 1:
            raise ValueError(f"lot: a multiple of {decimal_text(Fraction(1, 10**decimals), 24)} (one atom)")
        lot_atoms = int(atoms)
    found = msgspec.structs.replace(
        found, decimals=decimals, lot_atoms=lot_atoms, represents=given.get("represents", "")
    )
    if "tick" in given:
        return msgspec.structs.replace(found, tick=_positive("tick", given["tick"]))
    if price is None:
        return found
    return msgspec.structs.replace(found, tick=_finer(found.tick, price, Fraction(1, 10**DECIMALS_MOST)))


def _finer(tick: Decimal, price: Fraction, finest: Fraction) -> Decimal:
    """The coarsest of tick, tick/10, ... not below `finest` that divides the price, else the finest."""
    while price % Fraction(tick) and Fraction(tick) / 10 >= finest and price / Fraction(tick) * 10 < LOT_BOUND:
        tick = tick.scaleb(-1)
    return tick


def _with_tick(found: Perpetual | Future | Option, price: Fraction, given: Mapping[str, str]) -> Instrument:
    """A derivative whose tick, and lot where that is not given, follow from its price."""
    if isinstance(found, Option) or "lot" in given:
        tick = _finer(found.tick, price, _finest(found))
        return msgspec.structs.replace(found, tick=tick)
    if found.inverse:
        return msgspec.structs.replace(found, tick=_finer(found.tick, price, Fraction(1, 10**DECIMALS_MOST)))
    digits = Decimal(str(float(price))).adjusted() + 1
    finest = Fraction(10) ** (digits - DIGITS_LINEAR)
    return _with_lot(msgspec.structs.replace(found, tick=_finer(found.tick, price, finest)), given)


def _finest(found: Perpetual | Future | Option) -> Fraction:
    """The finest decimal tick at which tick x lot x multiplier is whole atoms of the settlement asset."""
    if found.inverse and not isinstance(found, Option):
        return Fraction(1, 10**DECIMALS_MOST)
    asset = found.settlement.split("@")[0]
    atoms = 10 ** symbols.DECIMALS.get(asset, symbols.DECIMALS_DEFAULT)
    for digits in range(DECIMALS_MOST, -DECIMALS_MOST, -1):
        tick = Fraction(10) ** -digits
        if (tick * unit(found) * atoms).denominator == 1:
            return tick
    return Fraction(found.tick)


def _with_lot(found: Perpetual | Future | Option, given: Mapping[str, str]) -> Instrument:
    """A linear contract without a given lot: tick x lot x multiplier is 1e-6 USD (at multipliers up to 1)."""
    if "lot" in given or found.inverse or isinstance(found, Option):
        return found
    lot = Fraction(1, 10**6) / Fraction(found.tick) / min(Fraction(found.multiplier), Fraction(1))
    return msgspec.structs.replace(found, lot=Decimal(decimal_text(lot, 36)))
