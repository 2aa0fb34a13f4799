"""What universe and policy fix for every market: groups, buckets, size tiers, moves, in the exact form's integers."""

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.instruments import Spot, unit
from solvent.domain.universe import OPTION, SPOT, Universe
from solvent.margin.rules.portfolio.params import VALUE_DIGITS, CollateralTerms, PortfolioParams, scenario_set
from solvent.margin.scenarios import ScenarioSet

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

VALUE: int = 10**VALUE_DIGITS
"""Money in the exact form: integers of 1e-42 USD, so that every atom has a whole price."""
RATE = 10**9
"""Rates, moves and offsets: integers of 1e-9."""


def rate_up(x: float) -> int:
    """A charge rate as an integer of 1e-9, up; what is within 1e-15 of an integer counts as it."""
    return math.ceil(round(x * RATE, 6))


def rates_up(x: F64) -> I64:
    """`rate_up` away from zero for every entry."""
    scaled = np.round(np.abs(x) * RATE, 6)
    return (np.sign(x) * np.ceil(scaled)).astype(np.int64)


class Place(NamedTuple):
    """Where an instrument stands: what the exact form looks up for each row, as Python integers."""

    form: int
    asset: int
    payer: int
    """Spot instrument that it settles in; a spot instrument itself."""
    lot_atoms: int
    """Atoms of a lot of the payer: the unit of quote legs."""
    bucket: int
    option: int
    numerator: int
    denominator: int
    """`Universe.value_atoms`."""


class Schedule(NamedTuple):
    """Charges on a balance, x RATE."""

    edges: tuple[int, ...]
    """Upper edges of size tiers: whole USD, x VALUE."""
    initial: tuple[int, ...]
    maintenance: tuple[int, ...]
    """Marginal haircuts, one more than edges."""
    borrow_initial: int
    borrow_maintenance: int
    scan_cap: int | None
    """USD x VALUE of the balance whose price risk is in the scan: 0 none, None all."""

    @classmethod
    def of(cls, terms: CollateralTerms) -> "Schedule":
        """Beyond the cap the rate is 1: nothing counts there, so nothing is scanned there either."""
        edges = [edge for edge in terms.tier_edges_usd if edge < terms.cap_usd]
        adds = [0.0, *terms.tier_add[: len(edges)]]
        initial = [min(1.0, terms.haircut_initial + add) for add in adds]
        maintenance = [min(1.0, terms.haircut_maintenance + add) for add in adds]
        capped = terms.cap_usd < math.inf
        if capped:
            edges.append(terms.cap_usd)
            initial.append(1.0)
            maintenance.append(1.0)
        cap = int(terms.cap_usd) * VALUE if capped else None
        return cls(
            tuple(int(edge) * VALUE for edge in edges),
            tuple(map(rate_up, initial)),
            tuple(map(rate_up, maintenance)),
            rate_up(terms.borrow_initial),
            rate_up(terms.borrow_maintenance),
            cap if terms.scanned else 0,
        )


class Fixed(msgspec.Struct, frozen=True, eq=False, dict=True):
    """What universe and policy fix for every market."""

    universe: Universe
    params: PortfolioParams
    scenarios: ScenarioSet
    moves_e9: I64
    """(U, S) damped moves."""
    penalty: float
    """Liquidation penalty on notional."""
    group: tuple[int, ...]
    """Of each asset."""
    group_names: tuple[str, ...]
    offset_e9: tuple[int, ...]
    bucket: I64
    bucket_keys: tuple[tuple[int, int], ...]
    """(asset, expiry_ns) of each bucket."""
    options: I64
    """Instruments that are options."""
    schedules: Mapping[int, Schedule]
    """Of each spot instrument."""
    places: tuple[Place, ...]
    units: tuple[Fraction, ...]
    """Coins in a lot of each instrument, USD where it is inverse."""
    tick_value: Mapping[int, int]
    """Of each spot instrument what an atom is worth at a price of one tick, USD x VALUE."""

    @classmethod
    def of(cls, universe: Universe, params: PortfolioParams, penalty: float) -> "Fixed":
        """Build them."""
        terms = universe.terms
        scenarios = scenario_set(params, universe)
        group, group_names, offsets = _groups(universe, params)
        derivative = np.flatnonzero(terms.form != SPOT)
        keys = sorted({(int(terms.underlying[i]), int(terms.expiry_ns[i])) for i in derivative})
        number = {key: b for b, key in enumerate(keys)}
        bucket = np.full(len(universe), -1, dtype=np.int64)
        for i in derivative:
            bucket[i] = number[int(terms.underlying[i]), int(terms.expiry_ns[i])]
        return cls(
            universe=universe,
            params=params,
            scenarios=scenarios,
            moves_e9=rates_up(scenarios.moves * scenarios.damp),
            penalty=penalty,
            group=tuple(group),
            group_names=tuple(group_names),
            offset_e9=tuple(int(phi * RATE) for phi in offsets),
            bucket=bucket,
            bucket_keys=tuple(keys),
            options=np.flatnonzero(terms.form == OPTION),
            schedules={
                i: Schedule.of(params.collateral_of(each.id))
                for i, each in enumerate(universe)
                if isinstance(each, Spot)
            },
            places=_places(universe, bucket),
            units=tuple(map(unit, universe)),
            tick_value={
                i: (Fraction(each.tick) * 10 ** (VALUE_DIGITS - each.decimals)).numerator  # whole: `check_universe`
                for i, each in enumerate(universe)
                if isinstance(each, Spot)
            },
        )

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Of the instruments."""
        return tuple(each.id for each in self.universe)

    @cached_property
    def moves(self) -> list[list[int]]:
        """`moves_e9` as Python integers."""
        rows: list[list[int]] = self.moves_e9.tolist()
        return rows

    @cached_property
    def linear_tails(self) -> list[tuple[int, int]]:
        """For each asset what a USD of exposure short, long loses in its worst scenarios, x RATE x their count.

        An asset with linear exposure alone needs no scenario values: its losses are proportional to its moves.
        """
        count = self.params.expected_shortfall_count
        rows = (sorted(row) for row in self.moves)
        return [(max(0, sum(row[-count:])), max(0, -sum(row[:count]))) for row in rows]


def _groups(universe: Universe, params: PortfolioParams) -> tuple[list[int], list[str], list[float]]:
    """Group of each asset, names and φ; an asset in no group (or alone in it) is a group of its own with φ 0."""
    names: list[str] = []
    offsets: list[float] = []
    group = [-1] * len(universe.assets)
    for each in params.groups:
        members = [universe.asset_index[asset] for asset in each.assets if asset in universe.asset_index]
        if len(members) > 1:
            for member in members:
                group[member] = len(names)
            names.append("+".join(universe.assets[m] for m in members))
            offsets.append(params.offset_of(each.correlation))
    for asset, name in enumerate(universe.assets):
        if group[asset] < 0:
            group[asset] = len(names)
            names.append(name)
            offsets.append(0.0)
    return group, names, offsets


def _places(universe: Universe, bucket: I64) -> tuple[Place, ...]:
    terms = universe.terms
    columns = (terms.form, terms.underlying, terms.settlement, bucket)
    option = (np.cumsum(terms.form == OPTION) - 1).tolist()
    rows = zip(*(column.tolist() for column in columns), option, universe.value_atoms, strict=True)
    return tuple(
        Place(form, asset, payer, universe.spot_of(i).lot_atoms, b, row if form == OPTION else -1, *value)
        for i, (form, asset, payer, b, row, value) in enumerate(rows)
    )
