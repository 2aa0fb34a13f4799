"""The ordered list of instruments: indices never change, ids and aliases resolve to them."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvent.domain.instruments import (
    Instrument,
    Option,
    Spot,
    check_instrument,
    expiry_ns,
    inverse_atoms_ticks,
    unit,
    value_per_tick_lot_atoms,
)
from solvent.domain.symbols import ccxt_id, deribit_alias
from solvent.errors import UnknownInstrument, problem, raise_if

SPOT, LINEAR, INVERSE, OPTION = 0, 1, 2, 3
"""Forms in `Terms.form`: perpetuals and futures are linear or inverse."""


class Terms(NamedTuple):
    """Terms of all instruments as arrays of the universe's length, for kernels."""

    form: NDArray[np.int64]
    """SPOT, LINEAR, INVERSE or OPTION."""
    underlying: NDArray[np.int64]
    """Index into `Universe.assets`."""
    settlement: NDArray[np.int64]
    """Index of the spot instrument that pays; a spot instrument's own index."""
    unit: NDArray[np.float64]
    """Coins a lot (USD a lot where inverse)."""
    tick: NDArray[np.float64]
    lot_coins: NDArray[np.float64]
    """Coins in a lot of spot; of the settlement asset for derivatives: the unit of quote legs in the book."""
    expiry_ns: NDArray[np.int64]
    strike: NDArray[np.float64]
    call: NDArray[np.bool_]
    coin_priced: NDArray[np.bool_]
    """Options whose price is in coins of the underlying."""


class Universe:
    """Instruments in a fixed order. Listing returns a new universe in which old indices keep their meaning."""

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        """Raises SolventError with every faulty or repeated instrument."""
        self.instruments: tuple[Instrument, ...] = tuple(instruments)
        self._index: dict[str, int] = {}
        found = []
        for position, each in enumerate(self.instruments):
            if each.id in self._index:
                found.append(problem("instruments", position + 1, "id", each.id, "an id listed once"))
            self._index.setdefault(each.id, position)
        for each in self.instruments:
            settlement = None if isinstance(each, Spot) else self._spot(each.settlement)
            found += check_instrument(each, settlement)
        raise_if(found)

    def _spot(self, id: str) -> Spot | None:
        position = self._index.get(id)
        found = None if position is None else self.instruments[position]
        return found if isinstance(found, Spot) else None

    def __len__(self) -> int:
        return len(self.instruments)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self.instruments)

    def __getitem__(self, position: int) -> Instrument:
        return self.instruments[position]

    def __contains__(self, id: str) -> bool:
        return id in self._index or ccxt_id(id) in self._index

    def index(self, id: str) -> int:
        """Index of an id or alias (Deribit's names). Raises UnknownInstrument naming near ids."""
        position = self._index.get(id)
        if position is None:
            position = self._index.get(ccxt_id(id))
        if position is None:
            raise UnknownInstrument(problem("universe", None, "instrument", id, self.accepted(id)))
        return position

    def accepted(self, id: str) -> str:
        """What could have been meant by an unknown id."""
        from difflib import get_close_matches

        near = get_close_matches(id, self._index, 3)
        return f"one of {', '.join(near or list(self._index)[:8])}" if self._index else "no instrument is listed"

    def listed(self, *new: Instrument) -> "Universe":
        """A universe with `new` behind the others. Raises SolventError for repeated ids or faulty terms."""
        return Universe((*self.instruments, *new))

    def spot_of(self, position: int) -> Spot:
        """The spot instrument that pays for the instrument at `position` (itself where it is spot)."""
        settlement = self.instruments[int(self.terms.settlement[position])]
        assert isinstance(settlement, Spot)
        return settlement

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Deribit's names of the listed instruments."""
        names = {each.id: deribit_alias(each.id) for each in self.instruments}
        return {alias: id for id, alias in names.items() if alias}

    @cached_property
    def assets(self) -> tuple[str, ...]:
        """Underlyings in order of first listing."""
        return tuple(dict.fromkeys(each.underlying for each in self.instruments))

    @cached_property
    def asset_index(self) -> dict[str, int]:
        return {asset: position for position, asset in enumerate(self.assets)}

    @cached_property
    def house_spot(self) -> NDArray[np.int64]:
        """For each asset the spot instrument that gives its index price (location `house` first), or -1."""
        found = np.full(len(self.assets), -1, dtype=np.int64)
        spots = [(i, each) for i, each in enumerate(self.instruments) if isinstance(each, Spot)]
        for position, each in sorted(spots, key=lambda row: (row[1].location != "house", row[0])):
            asset = self.asset_index[each.asset]
            if found[asset] < 0:
                found[asset] = position
        return found

    @cached_property
    def terms(self) -> Terms:
        """Terms of all instruments as read-only arrays."""
        rows = [self._terms_of(position, each) for position, each in enumerate(self.instruments)]
        kinds = (np.int64, np.int64, np.int64, float, float, float, np.int64, float, np.bool_, np.bool_)
        columns = zip(*rows, strict=True) if rows else ((),) * len(kinds)
        arrays: list[NDArray[Any]] = [np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)]
        for each in arrays:
            each.setflags(write=False)
        return Terms(*arrays)

    def _terms_of(self, position: int, each: Instrument) -> tuple[float | int | bool, ...]:
        underlying = self.asset_index[each.underlying]
        tick, coins = float(each.tick), float(unit(each))
        if isinstance(each, Spot):
            return SPOT, underlying, position, coins, tick, coins, 0, 0.0, False, False
        settlement = self._index[each.settlement]
        payer = self.instruments[settlement]
        assert isinstance(payer, Spot)
        lot_coins = float(payer.lot_coins)
        if isinstance(each, Option):
            strike = float(each.strike)
            return (
                OPTION, underlying, settlement, coins, tick, lot_coins, each.expiry_ns, strike, each.call, each.inverse,
            )  # fmt: skip
        form = INVERSE if each.inverse else LINEAR
        return form, underlying, settlement, coins, tick, lot_coins, expiry_ns(each), 0.0, False, False

    @cached_property
    def lot_atoms(self) -> tuple[int, ...]:
        """Atoms in a lot of the spot instrument that pays for each instrument: what quote legs are rounded to."""
        return tuple(self.spot_of(position).lot_atoms for position in range(len(self)))

    @cached_property
    def value_atoms(self) -> tuple[tuple[int, int], ...]:
        """For each derivative (numerator, denominator) of its exact value factor in settlement atoms.

        Linear and option: atoms = lots x ticks x n / d (d = 1); inverse: atoms = lots x n / (d x ticks).
        Spot: (0, 1).
        """
        rows = []
        for each in self.instruments:
            if isinstance(each, Spot):
                rows.append((0, 1))
                continue
            settlement = self._spot(each.settlement)
            assert settlement is not None
            inverse = each.inverse and not isinstance(each, Option)
            factor = (inverse_atoms_ticks if inverse else value_per_tick_lot_atoms)(each, settlement)
            rows.append((factor.numerator, factor.denominator))
        return tuple(rows)
