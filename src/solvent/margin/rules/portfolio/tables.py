"""What all accounts share at one market: values of one lot under every scenario, charges, and their integers.

Shared values are rounded once, against the account, and both the float kernel and the exact form use the
rounded ones: money in integers of 1e-24 USD (`VALUE`), model values of options first to 1e-9 USD a lot,
rates and moves to 1e-9 (`RATE`).
"""

import hashlib
import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.instruments import STABLECOINS, USD, Spot
from solvent.domain.market import Market
from solvent.domain.universe import INVERSE, LINEAR, OPTION, SPOT, Universe
from solvent.errors import Problem, problem, raise_if
from solvent.margin.rules.portfolio.kernel import ASSET, BUCKET, INSTRUMENT, Tables
from solvent.margin.rules.portfolio.params import CollateralTerms, PortfolioParams
from solvent.margin.scenarios import ScenarioSet, vol_factor
from solvent.valuation import black76

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

VALUE = 10**24
"""Money in the exact form: integers of 1e-24 USD."""
RATE = 10**9
"""Rates, moves and offsets: integers of 1e-9."""
MODEL = 10**9
"""Model values of one option lot: integers of 1e-9 USD."""
SECONDS_AN_HOUR = 3600.0


def rate_up(x: float) -> int:
    """A charge rate as an integer of 1e-9, up; what is within 1e-15 of an integer counts as it."""
    return math.ceil(round(x * RATE, 6))


def rates_up(x: F64) -> I64:
    """`rate_up` away from zero for every entry."""
    scaled = np.round(np.abs(x) * RATE, 6)
    return (np.sign(x) * np.ceil(scaled)).astype(np.int64)


class Fixed(msgspec.Struct, frozen=True, eq=False):
    """What universe and policy fix for every market."""

    universe: Universe
    params: PortfolioParams
    scenarios: ScenarioSet
    moves_e9: I64
    """(U, S) damped moves."""
    penalty: float
    group: I64
    group_names: tuple[str, ...]
    offset_e9: tuple[int, ...]
    bucket: I64
    bucket_keys: tuple[tuple[int, int], ...]
    """(asset, expiry_ns) of each bucket."""
    options: I64
    """Instruments that are options."""
    option_row: I64
    scanned: NDArray[np.bool_]
    tier_edges: tuple[tuple[int, ...], ...]
    """For each instrument the upper edges of its size tiers in whole USD (spot only)."""
    tier_initial_e9: tuple[tuple[int, ...], ...]
    tier_maintenance_e9: tuple[tuple[int, ...], ...]
    borrow_initial_e9: tuple[int, ...]
    borrow_maintenance_e9: tuple[int, ...]

    @classmethod
    def of(cls, universe: Universe, params: PortfolioParams, scenarios: ScenarioSet, penalty: float) -> "Fixed":
        """Build them; `penalty` is the liquidation penalty on notional."""
        terms = universe.terms
        group, group_names, offsets = _groups(universe, params)
        derivative = np.flatnonzero(terms.form != SPOT)
        keys = sorted({(int(terms.underlying[i]), int(terms.expiry_ns[i])) for i in derivative})
        place = {key: b for b, key in enumerate(keys)}
        bucket = np.full(len(universe), -1, dtype=np.int64)
        for i in derivative:
            bucket[i] = place[int(terms.underlying[i]), int(terms.expiry_ns[i])]
        options = np.flatnonzero(terms.form == OPTION)
        option_row = np.full(len(universe), -1, dtype=np.int64)
        option_row[options] = np.arange(len(options))
        collateral = [params.collateral_of(each.id) for each in universe]
        tiers = [_tiers(each) for each in collateral]
        return cls(
            universe, params, scenarios, rates_up(scenarios.moves * scenarios.damp), penalty, group, group_names,
            tuple(int(phi * RATE) for phi in offsets), bucket, tuple(keys), options, option_row,
            np.array([each.scanned for each in collateral]) & (terms.form == SPOT),
            tuple(edges for edges, _, _ in tiers), tuple(rates for _, rates, _ in tiers),
            tuple(rates for _, _, rates in tiers),
            tuple(rate_up(each.borrow_initial) for each in collateral),
            tuple(rate_up(each.borrow_maintenance) for each in collateral),
        )  # fmt: skip


def _groups(universe: Universe, params: PortfolioParams) -> tuple[I64, tuple[str, ...], list[float]]:
    """Group of each asset, names and φ; an asset in no group (or alone in it) is a group of its own with φ 0."""
    names: list[str] = []
    offsets: list[float] = []
    group = np.full(len(universe.assets), -1, dtype=np.int64)
    for each in params.groups:
        members = [universe.asset_index[asset] for asset in each.assets if asset in universe.asset_index]
        if len(members) > 1:
            group[members] = len(names)
            names.append("+".join(universe.assets[m] for m in members))
            offsets.append(params.offset_of(each.correlation))
    for asset in range(len(universe.assets)):
        if group[asset] < 0:
            group[asset] = len(names)
            names.append(universe.assets[asset])
            offsets.append(0.0)
    return group, tuple(names), offsets


def _tiers(terms: CollateralTerms) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Upper edges in whole USD and marginal rates (initial, maintenance); beyond the cap the rate is 1."""
    edges = [edge for edge in terms.tier_edges_usd if edge < terms.cap_usd]
    adds = [0.0, *terms.tier_add[: len(edges)]]
    initial = [min(1.0, terms.haircut_initial + add) for add in adds]
    maintenance = [min(1.0, terms.haircut_maintenance + add) for add in adds]
    if terms.cap_usd < math.inf:
        edges.append(terms.cap_usd)
        initial.append(1.0)
        maintenance.append(1.0)
    whole = tuple(int(edge) for edge in edges)
    return whole, tuple(map(rate_up, initial)), tuple(map(rate_up, maintenance))


class Shared(msgspec.Struct, frozen=True, eq=False, dict=True):
    """Integer tables of one market, and the float tables that the kernel reads: the same numbers."""

    fixed: Fixed
    market: Market
    tables: Tables
    atom_value: tuple[int, ...]
    """USD x VALUE of one atom of a spot instrument; 0 else."""
    delta: tuple[int, ...]
    """USD x VALUE that one lot gains per unit of relative move."""
    option_value: tuple[int, ...]
    """USD x VALUE of one option lot at its mark; 0 else."""
    notional: tuple[int, ...]
    """USD x VALUE of one option lot's coins at the index."""
    slow_long: tuple[int, ...]
    slow_short: tuple[int, ...]
    """USD x VALUE charged for one lot (spot: one atom) held long / short."""
    long_value: I64
    short_value: I64
    """(O, S) USD x MODEL."""
    close_rate: tuple[int, ...]
    scan_range: tuple[int, ...]
    confidence: tuple[int, ...]
    """By asset, x RATE."""
    participation_edges: tuple[tuple[int, ...], ...]
    """By asset, upper edges in USD x VALUE; empty where the volume is unknown."""
    participation_rates: tuple[int, ...]
    roll_rate: tuple[int, ...]
    depeg: tuple[int, ...]

    @cached_property
    def digest(self) -> str:
        """BLAKE2b of the integer tables: stands in the mark event."""
        state = hashlib.blake2b(digest_size=16)
        for part in (
            self.atom_value, self.delta, self.option_value, self.slow_long, self.slow_short, self.close_rate,
            self.confidence, self.roll_rate, self.depeg, self.participation_edges,
        ):  # fmt: skip
            state.update(repr(part).encode())
        for array in (self.market.ticks, self.long_value, self.short_value, self.fixed.moves_e9):
            state.update(np.ascontiguousarray(array).tobytes())
        return state.hexdigest()


def check_market(fixed: Fixed, market: Market) -> list[Problem]:
    """What the rule cannot do without: a mark for every instrument, a volatility for every option."""
    terms, universe = fixed.universe.terms, fixed.universe
    live = (terms.expiry_ns == 0) | (terms.expiry_ns > market.ts_ns)
    found = [
        problem("market", None, universe[int(i)].id, int(market.ticks[i]), "a price above 0")
        for i in np.flatnonzero((market.ticks <= 0) & (terms.form != OPTION) & live)
    ]
    vol = market.vol()
    found += [
        problem("market", None, universe[int(i)].id, "no volatility", "a vol or a surface of its underlying")
        for i in fixed.options
        if live[i] and not vol[i] >= 0
    ]
    return found


def shared_tables(fixed: Fixed, market: Market) -> Shared:
    """Scenario values of one lot and charge rates at `market`. Raises SolventError for unusable prices."""
    raise_if(check_market(fixed, market))
    universe, params = fixed.universe, fixed.params
    terms = universe.terms
    index = market.index_usd
    values = _Values.of(fixed, market)
    close, confidence, edges = _liquidity(fixed, market)
    ranges = tuple(rate_up(params.range_of(asset)) for asset in universe.assets)
    roll = tuple(
        rate_up(max(params.roll_least, params.roll_annual * max(0, expiry - market.ts_ns) / 1e9 / 31_536_000.0))
        for _, expiry in fixed.bucket_keys
    )
    lowest = np.minimum(market.price, market.slow_price)
    depeg = tuple(
        rate_up(params.depeg_factor * max(0.0, params.depeg_threshold - lowest[i]))
        if terms.form[i] == SPOT and each.underlying in STABLECOINS and each.underlying != USD
        else 0
        for i, each in enumerate(universe)
    )
    long_value, short_value, option_delta, option_value = _options(fixed, market, index)
    for row, i in enumerate(fixed.options):
        values.delta[i] = int(option_delta[row]) * (VALUE // MODEL)
        values.option_value[i] = int(option_value[row])
        values.notional[i] = math.ceil(Fraction(float(index[terms.underlying[i]] * terms.unit[i])) * MODEL) * (
            VALUE // MODEL
        )
    _slow_charges(fixed, market, values)
    slack = np.where(terms.form == INVERSE, [values.atom_value[int(c)] / VALUE for c in terms.settlement], 0.0)
    tables = _tables(fixed, values, long_value, short_value, close, confidence, edges, ranges, roll, depeg, slack)
    return Shared(
        fixed, market, tables, tuple(values.atom_value), tuple(values.delta), tuple(values.option_value),
        tuple(values.notional), tuple(values.slow_long), tuple(values.slow_short), long_value, short_value,
        close, ranges, confidence, edges, tuple(map(rate_up, params.participation_rates)), roll, depeg,
    )  # fmt: skip


class _Values(msgspec.Struct):
    """Money of one lot by instrument while the tables are built: USD x VALUE."""

    atom_value: list[int]
    lot_value: list[int]
    gain: list[float]
    delta: list[int]
    option_value: list[int]
    notional: list[int]
    slow_long: list[int]
    slow_short: list[int]

    @classmethod
    def of(cls, fixed: Fixed, market: Market) -> "_Values":
        """Exact values of spot, linear and inverse instruments; options are filled in by the model."""
        universe = fixed.universe
        size = len(universe)
        made = cls([0] * size, [0] * size, [0.0] * size, [0] * size, [0] * size, [0] * size, [0] * size, [0] * size)
        index = market.index_usd
        for i, each in enumerate(universe):
            if isinstance(each, Spot):
                price = _tick_value(each.tick) * int(market.ticks[i])
                made.atom_value[i] = price // 10**each.decimals
                made.lot_value[i] = made.atom_value[i] * each.lot_atoms
        forms = universe.terms.form
        for i in np.flatnonzero((forms == LINEAR) | (forms == INVERSE)).tolist():
            ticks = int(market.ticks[i])
            numerator, denominator = universe.value_atoms[i]
            payer = int(universe.terms.settlement[i])
            lot_atoms = universe.spot_of(i).lot_atoms
            if forms[i] == LINEAR:
                atoms = numerator * ticks
                made.gain[i] = atoms / lot_atoms
                made.delta[i] = atoms * made.atom_value[payer]
            elif ticks > 0:
                made.gain[i] = -numerator / (denominator * ticks) / lot_atoms
                basis = float(index[universe.terms.underlying[i]] / market.price[i])
                made.delta[i] = math.ceil(Fraction(float(universe.terms.unit[i]) * basis) * MODEL) * (VALUE // MODEL)
        return made


def _tick_value(tick: object) -> int:
    """A tick in USD x VALUE."""
    exact = Fraction(str(tick)) * VALUE
    return exact.numerator // exact.denominator


def _options(fixed: Fixed, market: Market, index: F64) -> tuple[I64, I64, I64, list[int]]:
    """(O, S) changes of a long's and a short's value, (O,) delta exposure, all x MODEL; marks x VALUE."""
    terms, params, set_ = fixed.universe.terms, fixed.params, fixed.scenarios
    rows = fixed.options
    if not len(rows):
        empty = np.zeros((1, len(set_)), np.int64)
        return empty, empty, np.zeros(0, np.int64), []
    asset = terms.underlying[rows]
    forward, strike, years = market.forward_usd[rows], terms.strike[rows], market.years[rows]
    vol, call = np.nan_to_num(market.vol()[rows]), terms.call[rows]
    discount = np.exp(-market.rate_annual[rows] * years)
    factor = vol_factor(years, set_.vol_shift, params.vol_up, params.vol_down, params.vol_power_short,
                        params.vol_power_long)  # fmt: skip
    unit = terms.unit[rows]
    value = black76.price_grid(forward, strike, years, call, vol[:, None] * factor, 1.0 + set_.moves[asset], discount)
    value *= unit[:, None]
    here = black76.price(forward, strike, years, call, vol, discount) * unit
    long_change = set_.damp * (params.option_long_weight * value - here[:, None])
    short_change = set_.damp * (value - here[:, None])
    delta = black76.greeks(forward, strike, years, call, vol, discount).delta * forward * unit
    quoted = market.ticks[rows] > 0
    coin = np.where(terms.coin_priced[rows], index[asset], market.price[terms.settlement[rows]])
    marks = np.where(quoted, market.price[rows] * coin * unit, here)
    return (
        np.floor(long_change * MODEL).astype(np.int64),
        np.ceil(short_change * MODEL).astype(np.int64),
        (np.sign(delta) * np.ceil(np.abs(delta) * MODEL)).astype(np.int64),
        [int(x) * (VALUE // MODEL) for x in np.floor(marks * MODEL)],
    )


def _slow_charges(fixed: Fixed, market: Market, values: _Values) -> None:
    """Charge per lot (spot: per atom) where the slow price is worse than the mark: long below, short above."""
    gap = np.where(
        market.price > 0, (market.price - market.slow_price) / np.where(market.price > 0, market.price, 1), 0
    )
    terms = fixed.universe.terms
    spot = fixed.universe.house_spot[terms.underlying]
    of_index = np.where(spot >= 0, gap[spot], 0.0)
    gap = np.where(terms.form == OPTION, of_index, gap)
    for i in np.flatnonzero(gap):
        base = values.atom_value[i] if terms.form[i] == SPOT else values.delta[i]
        charge = abs(base) * rate_up(abs(float(gap[i]))) // RATE
        falls = (gap[i] > 0) == (base >= 0)
        (values.slow_long if falls else values.slow_short)[i] = charge


def _liquidity(fixed: Fixed, market: Market) -> tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """By asset: close-out rate x RATE, confidence grown with age x RATE, participation edges in USD x VALUE."""
    universe, params = fixed.universe, fixed.params
    asset = universe.terms.underlying
    count = len(universe.assets)
    spread = np.full(count, params.half_spread_least)
    np.maximum.at(spread, asset, np.nan_to_num(market.half_spread))
    age_hours = np.maximum(0.0, np.nan_to_num(market.age_s) - params.soft_age_s) / SECONDS_AN_HOUR
    confidence = np.zeros(count)
    np.maximum.at(confidence, asset, np.nan_to_num(market.confidence) + params.confidence_growth_hourly * age_hours)
    volume = np.zeros(count)
    np.add.at(volume, asset, np.nan_to_num(market.volume_usd_daily))
    known = np.zeros(count, np.bool_)
    np.logical_or.at(known, asset, ~np.isnan(market.volume_usd_daily))
    shares = [round(edge * RATE) for edge in params.participation_edges]
    edges = tuple(
        tuple(int(volume[u]) * share * (VALUE // RATE) for share in shares) if known[u] else () for u in range(count)
    )
    close = tuple(rate_up(float(x) + fixed.penalty) for x in spread)
    return close, tuple(rate_up(params.confidence_factor * float(x)) for x in confidence), edges


def _tables(
    fixed: Fixed, values: _Values, long_value: I64, short_value: I64, close: Sequence[int],
    confidence: Sequence[int], edges: Sequence[Sequence[int]], ranges: Sequence[int], roll: Sequence[int],
    depeg: Sequence[int], slack: F64,
) -> Tables:  # fmt: skip
    """The integer tables as the kernel's floats."""
    terms, params = fixed.universe.terms, fixed.params

    def money(rows: Sequence[int]) -> F64:
        return np.array([x / VALUE for x in rows], dtype=float)

    def rate(rows: Sequence[int]) -> F64:
        return np.array(rows, dtype=float) / RATE

    lot_atoms = [each.lot_atoms if isinstance(each, Spot) else 1 for each in fixed.universe]
    instrument = np.zeros(len(fixed.universe), INSTRUMENT)
    instrument["form"] = terms.form
    instrument["underlying"] = terms.underlying
    instrument["settlement"] = terms.settlement
    instrument["bucket"] = fixed.bucket
    instrument["option"] = fixed.option_row
    instrument["scanned"] = fixed.scanned
    instrument["value"] = money(
        [lot or option for lot, option in zip(values.lot_value, values.option_value, strict=True)]
    )
    instrument["gain"] = values.gain
    instrument["delta"] = money(values.delta)
    instrument["notional"] = money(values.notional)
    instrument["slow_long"] = money([x * n for x, n in zip(values.slow_long, lot_atoms, strict=True)])
    instrument["slow_short"] = money([x * n for x, n in zip(values.slow_short, lot_atoms, strict=True)])
    instrument["borrow_initial"] = rate(fixed.borrow_initial_e9)
    instrument["borrow_maintenance"] = rate(fixed.borrow_maintenance_e9)
    instrument["depeg"] = rate(depeg)
    instrument["slack"] = slack
    asset = np.zeros(len(fixed.universe.assets), ASSET)
    asset["group"] = fixed.group
    asset["close_rate"] = rate(close)
    asset["scan_range"] = rate(ranges)
    asset["confidence"] = rate(confidence)
    bucket = np.zeros(max(1, len(roll)), BUCKET)
    bucket["asset"] = [u for u, _ in fixed.bucket_keys] or 0
    bucket["roll_rate"] = rate(roll or (0,))
    width = 1 + max((len(row) for row in fixed.tier_edges), default=0)
    shares = len(params.participation_edges) + 1
    edges_usd = _padded([[e / VALUE for e in row] for row in edges], shares, np.inf)
    return Tables(
        instrument=instrument,
        asset=asset,
        bucket=bucket,
        offset=rate(fixed.offset_e9),
        moves=fixed.moves_e9 / RATE,
        options=np.stack([short_value, long_value]) / MODEL,
        tiers=np.stack(
            [
                _padded(fixed.tier_edges, width, np.inf),
                _padded(fixed.tier_initial_e9, width, None) / RATE,
                _padded(fixed.tier_maintenance_e9, width, None) / RATE,
            ],
            axis=1,
        ),
        participation=np.vstack([edges_usd, rate([rate_up(x) for x in params.participation_rates])]),
        short_initial=rate_up(params.short_option_initial) / RATE,
        short_maintenance=rate_up(params.short_option_maintenance) / RATE,
        maintenance_factor=rate_up(params.maintenance_factor) / RATE,
        tail_count=params.expected_shortfall_count,
    )


def _padded(rows: Sequence[Sequence[float]], width: int, filler: float | None) -> F64:
    """Rows of unequal length as an array; `filler` fills up, None repeats the last entry."""
    out = np.zeros((len(rows), width))
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
        out[i, len(row) :] = (row[-1] if row else 0.0) if filler is None else filler
    return out
