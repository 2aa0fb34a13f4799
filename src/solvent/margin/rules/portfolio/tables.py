"""What all accounts share at one market: values of one lot under every scenario, charges, and their integers.

Shared values are rounded once, against the account, and both the float kernel and the exact form use the
rounded ones: money in integers of 1e-42 USD (`VALUE`), model values of options first to 1e-9 USD a lot
(`MODEL`), rates and moves to 1e-9 (`RATE`).
"""

import hashlib
import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.instruments import STABLECOINS, USD, Spot
from solvent.domain.market import SECONDS_A_YEAR, Market
from solvent.domain.universe import INVERSE, LINEAR, OPTION, SPOT
from solvent.errors import Problem, problem, raise_if
from solvent.margin.rules.portfolio.fixed import RATE, VALUE, Fixed, Schedule, rate_up
from solvent.margin.rules.portfolio.kernel import ASSET, BUCKET, INSTRUMENT, TIER, Tables
from solvent.margin.scenarios import vol_factor
from solvent.valuation import black76

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

MODEL = 10**9
"""Model values of one option lot: integers of 1e-9 USD."""
MODEL_VALUE = VALUE // MODEL
LOT_USD_MOST = 2.0**63 / MODEL / 4
"""An option lot's values must fit 63 bits in units of 1e-9 USD, moves and volatilities up included."""
SECONDS_AN_HOUR = 3600.0


class Money(NamedTuple):
    """Money of one lot by instrument (of one atom where it says so), USD x VALUE."""

    atom: list[int]
    """One atom of a spot instrument; 0 else."""
    delta: list[int]
    """What one lot of a derivative gains per unit of relative move of its underlying."""
    index_delta: list[int]
    """What one lot's delta in coins is worth at the index."""
    long: list[int]
    short: list[int]
    """An option at its mark, held long / short; 0 else."""
    notional: list[int]
    """An option's coins at the index, up."""
    slow_long: list[int]
    slow_short: list[int]
    """Charge where the slow price is worse than the mark; of one atom of spot."""


class Rates(NamedTuple):
    """Charge rates by asset (or as named), x RATE, up."""

    close: list[int]
    """Half spread + penalty."""
    scan_range: list[int]
    confidence: list[int]
    share_edges: list[tuple[int, ...]]
    """Upper edges of tiers of the daily volume in USD x VALUE; empty where the volume is unknown."""
    share_rates: list[int]
    roll: list[int]
    """By bucket."""
    depeg: list[int]
    """By spot instrument; 0 else."""


class Shared(msgspec.Struct, frozen=True, eq=False, dict=True):
    """Integer tables of one market, and the float tables that the kernel reads: the same numbers."""

    fixed: Fixed
    market: Market
    money: Money
    rates: Rates
    long_value: I64
    short_value: I64
    """(O, S) change of an option lot's value held long (down) / short (up), USD x MODEL."""
    tables: Tables
    ticks: list[int]
    """The market's marks."""

    @cached_property
    def unmarked(self) -> I64:
        """Expired instruments without a mark: nobody may hold them."""
        return np.flatnonzero((self.market.ticks <= 0) & (self.fixed.universe.terms.form != OPTION))

    @cached_property
    def digest(self) -> str:
        """BLAKE2b of the integer tables: stands in the mark event."""
        state = hashlib.blake2b(digest_size=16)
        state.update(repr((self.money, self.rates)).encode())
        for array in (self.market.ticks, self.long_value, self.short_value, self.fixed.moves_e9):
            state.update(np.ascontiguousarray(array).tobytes())
        return state.hexdigest()


def shared_tables(fixed: Fixed, market: Market) -> Shared:
    """Scenario values of one lot and charge rates at `market`. Raises SolventError for unusable prices."""
    raise_if(check_market(fixed, market))
    size = len(fixed.universe)
    money = Money(*([0] * size for _ in Money._fields))
    gain = _value_spot_and_linear(fixed, market, money)
    long_value, short_value = _value_options(fixed, market, money)
    _charge_slow(fixed, market, money)
    rates = _rates(fixed, market)
    tables = _tables(fixed, money, rates, gain, long_value, short_value)
    return Shared(fixed, market, money, rates, long_value, short_value, tables, market.ticks.tolist())


def check_market(fixed: Fixed, market: Market) -> list[Problem]:
    """What the rule cannot do without: numbers, a mark for every instrument, a volatility for every option."""
    universe = fixed.universe
    if market.universe is not universe and len(market.universe) != len(universe):
        return [problem("market", None, "universe", len(market.universe), f"{len(universe)} instruments as prepared")]
    terms = universe.terms
    live = (terms.expiry_ns == 0) | (terms.expiry_ns > market.ts_ns)
    option = terms.form == OPTION
    vol = market.vol()
    index = market.index_usd[terms.underlying]
    checks: list[tuple[str, F64 | I64, NDArray[np.bool_], str]] = [
        ("price", market.ticks, (market.ticks > 0) | option | ~live, "a price above 0"),
        ("slow_price", market.slow_price, _within(market.slow_price, 1e-300, 1e300) | option | ~live,
         "a price above 0"),
        ("confidence", market.confidence, _within(market.confidence, 0, 1), "a fraction from 0 to 1"),
        ("age_s", market.age_s, _within(market.age_s, 0, 1e12), "seconds, 0 or more"),
        ("half_spread", market.half_spread, _within(market.half_spread, 0, 1), "a fraction from 0 to 1"),
        ("volume_usd_daily", market.volume_usd_daily,
         np.isnan(market.volume_usd_daily) | _within(market.volume_usd_daily, 0, 1e18), "USD, 0 or more, or NaN"),
        ("vol", vol, _within(vol, 0, 100) | ~option | ~live, "a volatility, or a surface of its underlying"),
        ("index price", index, (index > 0) | ~option, "a price of its underlying"),
        ("forward", market.forward_usd, _within(market.forward_usd, 1e-300, 1e300) | ~option, "USD above 0"),
        ("rate", market.rate_annual, _within(market.rate_annual, -10, 10) | ~option, "an annual rate as a fraction"),
    ]  # fmt: skip
    found = [
        problem("market", None, f"{universe[i].id}.{field}", float(values[i]), accepted)
        for field, values, good, accepted in checks
        for i in np.flatnonzero(~good).tolist()
    ]
    lot = np.maximum(market.forward_usd, terms.strike) * terms.unit
    found += [
        problem("market", None, universe[i].id, f"a lot of {lot[i]:.6g} USD", f"at most {LOT_USD_MOST:.6g} USD a lot")
        for i in np.flatnonzero(option & (lot * (1 + fixed.scenarios.moves.max(initial=0.0)) > LOT_USD_MOST)).tolist()
    ]
    return found


def _within(values: F64, low: float, high: float) -> NDArray[np.bool_]:
    """Where values lie in [low, high]; a NaN does not."""
    return (values >= low) & (values <= high)


def _value_spot_and_linear(fixed: Fixed, market: Market, money: Money) -> list[float]:
    """Exact values of spot, linear and inverse instruments.

    Returns the unsettled profit of a lot at the mark in settlement lots, before its quote leg.
    """
    universe = fixed.universe
    ticks = market.ticks.tolist()
    for i, value in fixed.tick_value.items():
        money.atom[i] = value * ticks[i]
    gain = [0.0] * len(universe)
    index = index_exact(fixed, market)
    for i, place in enumerate(fixed.places):
        if place.form == LINEAR and ticks[i] > 0:
            atoms = place.numerator * ticks[i]
            gain[i] = atoms / place.lot_atoms
            money.delta[i] = atoms * money.atom[place.payer]
            money.index_delta[i] = math.ceil(fixed.units[i] * index[place.asset] * VALUE)
        elif place.form == INVERSE and ticks[i] > 0:
            gain[i] = -place.numerator / (place.denominator * ticks[i] * place.lot_atoms)
            mark = Fraction(universe[i].tick) * ticks[i]
            money.delta[i] = money.index_delta[i] = model_up(fixed.units[i] * index[place.asset] / mark)
        elif place.form == OPTION:
            money.notional[i] = model_up(fixed.units[i] * index[place.asset])
    return gain


def index_exact(fixed: Fixed, market: Market) -> list[Fraction]:
    """`Market.index_usd` of each asset to the last digit; 0 where there is none."""
    universe, ticks = fixed.universe, market.ticks.tolist()
    price = [Fraction(each.tick) * ticks[i] for i, each in enumerate(universe)]
    found = []
    for asset, source in zip(universe.assets, market.index_source.tolist(), strict=True):
        if asset == USD or source < 0:
            found.append(Fraction(asset == USD))
        else:
            place = fixed.places[source]
            found.append(price[source] * (price[place.payer] if place.form == LINEAR else 1))
    return found


def model_up(usd: Fraction) -> int:
    """USD up to 1e-9, x VALUE."""
    return math.ceil(usd * MODEL) * MODEL_VALUE


def _value_options(fixed: Fixed, market: Market, money: Money) -> tuple[I64, I64]:
    """Marks and deltas of options into `money`; (O, S) changes of a long's and a short's value x MODEL.

    A quoted option counts its exact mark; what a scenario changes is the model's, from the model's value now.
    """
    terms, params, set_ = fixed.universe.terms, fixed.params, fixed.scenarios
    rows = fixed.options
    if not len(rows):
        empty = np.zeros((1, len(set_)), np.int64)
        return empty, empty
    asset = terms.underlying[rows]
    forward, strike, years = market.forward_usd[rows], terms.strike[rows], market.years[rows]
    vol, call, unit = np.nan_to_num(market.vol()[rows]), terms.call[rows], terms.unit[rows]
    discount = np.exp(-market.rate_annual[rows] * years)
    factor = vol_factor(years, set_.vol_shift, params.vol_up, params.vol_down, params.vol_power_short,
                        params.vol_power_long)  # fmt: skip
    value = black76.price_grid(forward, strike, years, call, vol[:, None] * factor, 1.0 + set_.moves[asset], discount)
    value *= unit[:, None]
    here = black76.price(forward, strike, years, call, vol, discount) * unit
    coins = black76.greeks(forward, strike, years, call, vol, discount).delta * unit
    delta, index_delta = (
        np.sign(coins) * np.ceil(np.abs(coins * price) * MODEL) for price in (forward, market.index_usd[asset])
    )
    for row, i in enumerate(rows.tolist()):
        place, ticks = fixed.places[i], int(market.ticks[i])
        if ticks > 0:
            money.long[i] = money.short[i] = place.numerator * ticks * money.atom[place.payer]
        else:
            money.long[i] = math.floor(here[row] * MODEL) * MODEL_VALUE
            money.short[i] = math.ceil(here[row] * MODEL) * MODEL_VALUE
        money.delta[i], money.index_delta[i] = int(delta[row]) * MODEL_VALUE, int(index_delta[row]) * MODEL_VALUE
    long_change = set_.damp * (params.option_long_weight * value - here[:, None])
    short_change = set_.damp * (value - here[:, None])
    return np.floor(long_change * MODEL).astype(np.int64), np.ceil(short_change * MODEL).astype(np.int64)


def _charge_slow(fixed: Fixed, market: Market, money: Money) -> None:
    """Charge per lot (spot: per atom) where the slow price is worse than the mark: long below, short above.

    Options follow the slow price of their underlying.
    """
    terms = fixed.universe.terms
    price = np.where(market.price > 0, market.price, np.nan)
    gap = (price - market.slow_price) / price
    of_index = (market.index_usd - market.slow_index_usd) / market.index_usd
    gap = np.nan_to_num(np.where(terms.form == OPTION, of_index[terms.underlying], gap))
    for i in np.flatnonzero(gap).tolist():
        base = money.atom[i] if terms.form[i] == SPOT else money.delta[i]
        charge = -(-abs(base) * rate_up(abs(float(gap[i]))) // RATE)
        falls = (gap[i] > 0) == (base >= 0)
        (money.slow_long if falls else money.slow_short)[i] = charge


def _rates(fixed: Fixed, market: Market) -> Rates:
    """Charge rates at this market."""
    universe, params, terms = fixed.universe, fixed.params, fixed.universe.terms
    asset, count = terms.underlying, len(universe.assets)
    spread = np.full(count, params.half_spread_least)
    np.maximum.at(spread, asset, market.half_spread)
    age_hours = np.maximum(0.0, market.age_s - params.soft_age_s) / SECONDS_AN_HOUR
    confidence = np.zeros(count)
    np.maximum.at(confidence, asset, market.confidence + params.confidence_growth_hourly * age_hours)
    known = ~np.isnan(market.volume_usd_daily)
    volume = np.bincount(asset[known], market.volume_usd_daily[known], count)
    some = np.bincount(asset[known], minlength=count) > 0
    shares = [rate_down(edge) for edge in params.participation_edges]
    lowest = np.minimum(market.price, market.slow_price)
    return Rates(
        close=[rate_up(float(x) + fixed.penalty) for x in spread],
        scan_range=[rate_up(params.range_of(name)) for name in universe.assets],
        confidence=[rate_up(params.confidence_factor * float(x)) for x in confidence],
        share_edges=[
            tuple(int(volume[u]) * share * (VALUE // RATE) for share in shares) if some[u] else () for u in range(count)
        ],
        share_rates=[rate_up(x) for x in params.participation_rates],
        roll=[
            rate_up(max(params.roll_least, params.roll_annual * max(0, expiry - market.ts_ns) / 1e9 / SECONDS_A_YEAR))
            for _, expiry in fixed.bucket_keys
        ],
        depeg=[
            rate_up(params.depeg_factor * max(0.0, params.depeg_threshold - float(lowest[i])))
            if isinstance(each, Spot) and each.asset in STABLECOINS and each.asset != USD
            else 0
            for i, each in enumerate(universe)
        ],
    )


def rate_down(x: float) -> int:
    """A rate that counts for the account as an integer of 1e-9, down."""
    return math.floor(round(x * RATE, 6))


def _tables(
    fixed: Fixed, money: Money, rates: Rates, gain: Sequence[float], long_value: I64, short_value: I64
) -> Tables:
    """The integer tables as the kernel's floats."""
    params = fixed.params
    size = len(fixed.universe)
    asset = np.zeros(len(fixed.universe.assets), ASSET)
    asset["group"] = fixed.group
    asset["offset"] = [fixed.offset_e9[g] / RATE for g in fixed.group]
    asset["close_rate"] = _float_rates(rates.close)
    asset["scan_range"] = np.where([bool(row) for row in rates.share_edges], _float_rates(rates.scan_range), 0.0)
    asset["confidence"] = _float_rates(rates.confidence)
    asset["tail_short"], asset["tail_long"] = _float_rates(fixed.linear_tails).T / params.expected_shortfall_count
    asset["tier"] = size + np.arange(len(asset))
    bucket = np.zeros(max(1, len(fixed.bucket_keys)), BUCKET)
    if fixed.bucket_keys:
        bucket["asset"] = [u for u, _ in fixed.bucket_keys]
        bucket["roll_rate"] = _float_rates(rates.roll)
    made = Tables(
        instrument=_instrument_table(fixed, money, rates, gain, long_value, short_value),
        asset=asset,
        bucket=bucket,
        moves=fixed.moves_e9 / RATE,
        options=np.stack([short_value, long_value]) / MODEL,
        tiers=_tiers(fixed, rates),
        groups=len(fixed.group_names),
        short_initial=rate_up(params.short_option_initial) / RATE,
        short_maintenance=rate_up(params.short_option_maintenance) / RATE,
        maintenance_factor=rate_up(params.maintenance_factor) / RATE,
        tail_count=params.expected_shortfall_count,
        steepness=0.0,
    )
    return made._replace(steepness=_steepness(made))


def _steepness(t: Tables) -> float:
    """Bound on how much equity less a margin moves by for a USD in a position's value, delta, scenario or charge.

    Equity, haircut and slow price each follow once; scan, roll and short-option minimum once, times 1 + δ;
    close-out and quality once.
    """
    risk = max(1.0, float(np.abs(t.moves).max(initial=0.0))) + float(t.bucket["roll_rate"].max(initial=0.0)) + 1.0
    shares = float(t.asset["scan_range"].max(initial=0.0)) * float(t.tiers["initial"].max(initial=1.0))
    closing = float(t.asset["close_rate"].max(initial=0.0)) + shares + 2 * float(t.asset["confidence"].max(initial=0.0))
    return 3.0 + (1.0 + float(t.instrument["depeg"].max(initial=0.0))) * risk + closing


def _instrument_table(
    fixed: Fixed, money: Money, rates: Rates, gain: Sequence[float], long_value: I64, short_value: I64
) -> NDArray[np.void]:
    """One record an instrument, its money of one lot."""
    terms, size = fixed.universe.terms, len(fixed.universe)
    found = np.zeros(size, INSTRUMENT)
    found["form"] = terms.form
    found["underlying"] = terms.underlying
    found["settlement"] = terms.settlement
    found["bucket"] = fixed.bucket
    found["option"] = [place.option for place in fixed.places]
    lot = [place.lot_atoms if place.form == SPOT else 1 for place in fixed.places]
    found["value"] = _float_money([a * n + v for a, n, v in zip(money.atom, lot, money.long, strict=True)])
    found["value_short"] = _float_money(money.short)
    found["gain"] = gain
    found["delta"] = _float_money(money.delta)
    found["index_delta"] = _float_money(money.index_delta)
    found["notional"] = _float_money(money.notional)
    found["slow_long"] = _float_money([x * n for x, n in zip(money.slow_long, lot, strict=True)])
    found["slow_short"] = _float_money([x * n for x, n in zip(money.slow_short, lot, strict=True)])
    found["depeg"] = _float_rates(rates.depeg)
    found["scan_cap"] = np.nan
    for i, schedule in fixed.schedules.items():
        found[i]["borrow_initial"] = schedule.borrow_initial / RATE
        found[i]["borrow_maintenance"] = schedule.borrow_maintenance / RATE
        if schedule.scan_cap != 0:
            found[i]["scan_cap"] = math.inf if schedule.scan_cap is None else schedule.scan_cap / VALUE
    payer = found["value"][terms.settlement]
    scale = np.maximum(np.abs(found["delta"]), np.maximum(found["value"], found["notional"]))
    scale = np.maximum(scale, np.abs(found["index_delta"]))
    scale = np.maximum(scale, np.abs(found["gain"]) * payer)
    if len(fixed.options):
        change = np.maximum(np.abs(long_value), np.abs(short_value)).max(axis=1) / MODEL
        scale[fixed.options] = np.maximum(scale[fixed.options], change)
    found["scale"] = np.maximum(scale, np.maximum(found["slow_long"], found["slow_short"]))
    atom = payer / [place.lot_atoms for place in fixed.places] if size else 0.0
    found["slack"] = np.where(terms.form == INVERSE, atom, 0.0)
    return found


def _float_money(rows: Sequence[int]) -> F64:
    return np.array([x / VALUE for x in rows], dtype=float)


def _float_rates(rows: Sequence[int] | Sequence[tuple[int, int]]) -> F64:
    return np.array(rows, dtype=float) / RATE


def _tiers(fixed: Fixed, rates: Rates) -> NDArray[np.void]:
    """Size tiers of each instrument's balance, then tiers of each asset's daily volume; edges in USD, last inf."""
    none = Schedule((), (0,), (0,), 0, 0, 0)
    rows = [fixed.schedules.get(i, none)[:3] for i in range(len(fixed.universe))]
    rows += [(edges, tuple(rates.share_rates), tuple(rates.share_rates)) for edges in rates.share_edges]
    found = np.zeros((len(rows), max(len(initial) for _, initial, _ in rows)), TIER)
    found["edge"] = np.inf
    for row, (edges, initial, maintenance) in zip(found, rows, strict=True):
        row["edge"][: len(edges)] = _float_money(edges)
        row["initial"], row["maintenance"] = initial[-1] / RATE, maintenance[-1] / RATE
        row["initial"][: len(initial)] = _float_rates(initial)
        row["maintenance"][: len(initial)] = _float_rates(maintenance)
    return found
