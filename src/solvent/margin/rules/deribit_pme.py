"""Deribit portfolio margin (PME): a price and vol grid by currency pair, far moves with a dampener, roll shock.

Numeraire: the book's base currency (coin). Equity is the balance plus session profit and option value;
profit of inverse futures is pos (1 - 1 / (1 + x)) in coin and counts in full. Initial margin = risk matrix +
spot + MMP + open orders; maintenance = mm_factor x risk matrix only. Breach: liquidated iff equity <
maintenance margin (strict). Rounding: reals. Unpublished parts are named in `UNPUBLISHED`; here they are
arguments, never guessed.
Source: Deribit API reference private/pme/simulate; support articles "Portfolio Margin", "Delta decay during
settlement"; older portfolio margin page for the option contingency.
"""

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.valuation.black76 import price as black76_price

F64 = NDArray[np.float64]

UNPUBLISHED = (
    "delta shock: growth between the liquidity threshold and its maximum",
    "correlation contingency",
    "fraction of profit in the extended table: here price_range / |move|, as Paradex prints for its own",
)

SHORT_TERM_DAYS = 30.0
YEAR_DAYS = 365.0
EXTENDED_MOVES = (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)


class Params(msgspec.Struct, frozen=True):
    """Parameters of one currency pair and its base currency; defaults: BTC sample of June 2024."""

    price_range: float = 0.16
    buckets_each_side: int = 4
    vol_scenarios: int = 3
    """3: up, same, down at each price; 1: same only."""
    vol_range_up: float = 0.50
    vol_range_down: float = 0.25
    vol_up_min: float = 0.50
    short_term_vega_power: float = 0.30
    long_term_vega_power: float = 0.13
    extended_moves: tuple[float, ...] = EXTENDED_MOVES
    extended_factor: float = 1.0
    extended_dampener_usd: float = 100_000.0
    pnl_offset: float = 0.0
    """Share of a scenario's profit that counts."""
    max_offsetable_usd: float = 0.0
    """Most profit that counts in a scenario; 0 where the offset is 0."""
    min_annualised_move: float = 0.01
    annualised_move_risk: float = 0.075
    mm_factor: float = 0.8


class RiskVectors(msgspec.Struct, frozen=True):
    """Profit by scenario in coin, price buckets low to high with their vol scenarios inside; extended moves."""

    standard: tuple[float, ...]
    extended: tuple[float, ...]


class PmeMargin(msgspec.Struct, frozen=True):
    """Margins and their terms, coin."""

    worst_case: float
    """Loss, at least zero."""
    worst_bucket: int
    """Price bucket of the worst case, from 1 at the lowest, or extended move, from 1; see `is_extended`."""
    is_extended: bool
    roll_shock: float
    delta_shock: float
    correlation_contingency: float
    risk_matrix_margin: float
    initial_margin: float
    maintenance_margin: float


def vol_shock(days: float, vol_range: float, power: float) -> float:
    """Largest relative change of implied vol: range (30 / days)^power, `days` > 0."""
    return vol_range * math.pow(SHORT_TERM_DAYS / days, power)


def price_moves(price_range: float, buckets_each_side: int) -> F64:
    """Relative moves of the grid's price buckets, low to high, zero in the middle."""
    steps = np.arange(-buckets_each_side, buckets_each_side + 1)
    return np.asarray(steps * (price_range / buckets_each_side))


def inverse_future_profit(position: float, moves: F64) -> F64:
    """Profit in coin of `position` coins of an inverse future: pos (1 - 1 / (1 + x))."""
    return np.asarray(position * (1.0 - 1.0 / (1.0 + moves)))


def linear_future_profit(position: float, price: float, moves: F64) -> F64:
    """Profit in quote of `position` coins of a linear future."""
    return np.asarray(position * price * moves)


def future_vectors(position: float, params: Params) -> RiskVectors:
    """An inverse future's profit in each scenario; far moves count as the edge of the price range."""
    grid = inverse_future_profit(position, price_moves(params.price_range, params.buckets_each_side))
    far = np.clip(params.extended_moves, -params.price_range, params.price_range)
    return RiskVectors(
        tuple(np.repeat(grid, params.vol_scenarios).tolist()),
        tuple(inverse_future_profit(position, far).tolist()),
    )


def shocked_vols(vol: float, days: float, params: Params) -> tuple[float, ...]:
    """Vols of the grid (up, same, down), or the same one only; the shocked-up vol has a floor."""
    if params.vol_scenarios == 1:
        return (vol,)
    power = params.short_term_vega_power if days < SHORT_TERM_DAYS else params.long_term_vega_power
    up = max(params.vol_up_min, vol * (1.0 + vol_shock(days, params.vol_range_up, power)))
    return up, vol, max(0.0, vol * (1.0 - vol_shock(days, params.vol_range_down, power)))


def option_vectors(
    position: float, strike: float, is_call: bool, forward: float, days: float, vol: float, params: Params
) -> RiskVectors:
    """An inverse option's profit in coin in each scenario; far moves with vol up only.

    Value in coin is the Black-76 value over the forward.
    """
    vols = shocked_vols(vol, days, params)

    def coin_value(moves: F64, vol: F64) -> F64:
        forwards = forward * (1.0 + moves)
        return np.asarray(black76_price(forwards, strike, days / YEAR_DAYS, is_call, vol) / forwards)

    now = coin_value(np.zeros(1), np.array([vol]))[0]
    moves = np.repeat(price_moves(params.price_range, params.buckets_each_side), len(vols))
    grid = coin_value(moves, np.tile(vols, len(moves) // len(vols)))
    far = coin_value(np.array(params.extended_moves), np.full(len(params.extended_moves), vols[0]))
    return RiskVectors(tuple((position * (grid - now)).tolist()), tuple((position * (far - now)).tolist()))


def extended_weights(params: Params) -> F64:
    """Share of profit that the extended table counts: factor x price range / |move|, at most the factor."""
    moves = np.abs(params.extended_moves)
    return np.asarray(params.extended_factor * np.minimum(1.0, params.price_range / moves))


def aggregate(vectors: Sequence[RiskVectors], index_price: float, params: Params) -> RiskVectors:
    """Sum of one currency pair's vectors after the profit offset and the extended dampener.

    A scenario's profit counts at `pnl_offset`, at most `max_offsetable_usd`; its loss in full. In the extended
    table the weighted sum plus the dampener counts where it is still a loss. `index_price` is USD per coin.
    """
    scenarios = params.vol_scenarios * (2 * params.buckets_each_side + 1)
    standard = sum((np.array(each.standard) for each in vectors), np.zeros(scenarios))
    extended = sum((np.array(each.extended) for each in vectors), np.zeros(len(params.extended_moves)))
    gain = np.minimum(np.maximum(standard, 0.0) * params.pnl_offset, params.max_offsetable_usd / index_price)
    damped = extended * extended_weights(params) + params.extended_dampener_usd / index_price
    return RiskVectors(tuple((np.minimum(standard, 0.0) + gain).tolist()), tuple(np.minimum(damped, 0.0).tolist()))


def roll_shock(deltas: Mapping[str, float], days_to_expiry: Mapping[str, float], params: Params) -> float:
    """sum |delta| max(minimum move, annualised risk x years), coin; what has no expiry counts at the minimum."""
    return sum(
        abs(delta)
        * max(params.min_annualised_move, params.annualised_move_risk * days_to_expiry.get(name, 0.0) / YEAR_DAYS)
        for name, delta in deltas.items()
    )


def margin(
    vectors: RiskVectors,
    roll: float,
    params: Params,
    delta_shock: float = 0.0,
    correlation_contingency: float = 0.0,
    spot_margin: float = 0.0,
    mmp_margin: float = 0.0,
    open_orders_margin: float = 0.0,
) -> PmeMargin:
    """Margins of one currency from its aggregated vectors and terms, coin."""
    low, far = min(vectors.standard), min(vectors.extended, default=0.0)
    is_extended = far < low
    source = vectors.extended if is_extended else vectors.standard
    place = source.index(min(low, far))
    worst = max(0.0, -min(low, far))
    matrix = worst + roll + delta_shock + correlation_contingency
    return PmeMargin(
        worst_case=worst,
        worst_bucket=place + 1 if is_extended else place // params.vol_scenarios + 1,
        is_extended=is_extended,
        roll_shock=roll,
        delta_shock=delta_shock,
        correlation_contingency=correlation_contingency,
        risk_matrix_margin=matrix,
        initial_margin=matrix + spot_margin + mmp_margin + open_orders_margin,
        maintenance_margin=params.mm_factor * matrix,
    )


def option_contingency(short_options: float, rate: float) -> float:
    """Charge of older parameter sets, coin: rate for each net short option of a strike."""
    return abs(short_options) * rate


def net_transaction_delta(delta: float, mark_price: float, settled_fraction: float) -> float:
    """Delta less the option's own coin value, which decays linearly over the settlement half hour.

    `delta` is the present, already decayed one.
    """
    return delta - mark_price * (1.0 - settled_fraction)
