"""Deribit portfolio margin (PME): a price and vol grid by currency pair, far moves with a dampener, roll shock.

Numeraire: the book's base currency (coin). Equity is the balance plus session profit and option value;
profit of inverse futures is pos (1 - 1 / (1 + x)) in coin and counts in full. Initial margin = risk matrix +
spot + MMP + open orders; maintenance = mm_factor x risk matrix only. Breach: liquidated iff equity <
maintenance margin (strict). Rounding: reals. Unpublished parts are named in `UNPUBLISHED`; here they are
arguments, never guessed.
As a Statement (cross collateral, X:PM): each pair of settlement asset and underlying has its risk matrix, valued in USD
at the settlement asset's price; equity is the USD value of all balances, MM = sum mm_factor x risk matrix, IM = sum of
risk matrices and the haircuts on collateral, which count in initial margin only. Balances take no part in scenarios.
Source: Deribit API reference private/pme/simulate; support articles "Portfolio Margin", "Delta decay during
settlement"; older portfolio margin page for the option contingency.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.universe import INVERSE, LINEAR, OPTION, SPOT, Universe
from solvent.errors import Problem
from solvent.margin.rules.grid import Chain, delta_coins, padded, scenario_names, scenario_sums, worst_scenarios
from solvent.margin.rules.rows import Groups, Held, found_in, sums
from solvent.margin.rules.venue import (
    Addend,
    Addends,
    Block,
    Figures,
    PreparedVenue,
    VenueRule,
    at_least,
    check_rates,
    checked,
    unlisted,
)
from solvent.valuation.black76 import price as black76_price

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

UNPUBLISHED = (
    "delta shock: growth between the liquidity threshold and its maximum",
    "correlation contingency",
    "fraction of profit in the extended table: here price_range / |move|, as Paradex prints for its own",
)

SHORT_TERM_DAYS = 30.0
YEAR_DAYS = 365.0
EXTENDED_MOVES = (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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


class DeribitParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of each underlying's pairs (or `*`); haircuts of collateral by asset, 0 where not listed."""

    pairs: Mapping[str, Params]
    collateral_haircuts: Mapping[str, float] = {}


DAYS_LEAST = 1e-6
"""Below this many days an option is at expiry: its vol shock no longer matters, but must be finite."""


class PreparedDeribit(PreparedVenue):
    """The rule at one market."""

    def build(self) -> None:
        """Vectors of one lot in USD, deltas, keys of pairs and expiries."""
        universe, terms, market = self.universe, self.universe.terms, self.market
        none = Params()
        self.pair_params = [self.params.pairs.get(each, self.params.pairs.get("*", none)) for each in universe.assets]
        keys, pair = np.unique(np.stack([terms.settlement, terms.underlying]), axis=1, return_inverse=True)
        self.pair_asset, self.pair = keys[1], pair.ravel()
        self.pair_names = [f"{universe.assets[u]}_{universe[int(c)].id}" for c, u in keys.T.tolist()]
        expiries, expiry = np.unique(np.stack([self.pair, terms.expiry_ns]), axis=1, return_inverse=True)
        self.expiry_pair, self.expiry = expiries[0], expiry.ravel()
        days = np.maximum(expiries[1] - market.ts_ns, 0) / 86_400e9
        self.expiry_days = np.where(expiries[1] > 0, days, 0.0)
        self.chain = Chain.of(market)
        self.chain = self.chain._replace(discount=np.ones(len(self.chain.rows)))
        self.delta_usd = delta_coins(market, self.chain) * np.nan_to_num(self.index_usd)[terms.underlying]
        self._vectors()
        self.initial_haircut = np.array([found_in(self.params.collateral_haircuts, each) or 0.0 for each in universe])
        columns = [
            (each.pnl_offset, each.max_offsetable_usd, each.extended_dampener_usd, each.mm_factor)
            for each in self.pair_params
        ]
        self.offset, self.offset_most, self.dampener, self.factor = (
            np.array(columns).reshape(-1, 4).T[:, self.pair_asset]
        )
        least = np.array([each.min_annualised_move for each in self.pair_params])[self.pair_asset[self.expiry_pair]]
        risk = np.array([each.annualised_move_risk for each in self.pair_params])[self.pair_asset[self.expiry_pair]]
        self.roll_rate = np.maximum(least, risk * self.expiry_days / YEAR_DAYS)

    def _vectors(self) -> None:
        """(I, S) USD that one lot gains in the standard and in the extended scenarios, and the latter's weights."""
        params = self.pair_params
        moves = [price_moves(each.price_range, each.buckets_each_side) for each in params]
        standard = [np.repeat(each, p.vol_scenarios) for each, p in zip(moves, params, strict=True)]
        width, far_width = max(map(len, standard), default=1), max((len(p.extended_moves) for p in params), default=1)
        move = padded(standard, width)
        far = padded([np.array(p.extended_moves) for p in params], far_width)
        edge = padded([np.clip(p.extended_moves, -p.price_range, p.price_range) for p in params], far_width)
        self.far_weight = padded([extended_weights(p) for p in params], far_width)[self.pair_asset]
        self.buckets = [(len(each), len(p.extended_moves)) for each, p in zip(standard, params, strict=True)]
        names = [_names(params[u], width, far_width) for u in self.pair_asset.tolist()]
        self.scenarios = scenario_names(self.pair_names, names)
        asset = self.universe.terms.underlying
        self.standard, self.extended = self._futures(move[asset]), self._futures(edge[asset])
        chain = self.chain
        if len(chain.rows):
            vols = [
                shocked_vols(vol, max(days, DAYS_LEAST), params[u])
                for vol, days, u in zip(chain.vol.tolist(), chain.days.tolist(), chain.asset.tolist(), strict=True)
            ]
            each_move = [
                np.tile(row, len(move[u]) // len(row) + 1)[:width]
                for row, u in zip(vols, chain.asset.tolist(), strict=True)
            ]
            self.standard[chain.rows] = self._options(move[chain.asset], np.array(each_move))
            up = np.array([[row[0]] for row in vols]) * np.ones(far_width)
            self.extended[chain.rows] = self._options(far[chain.asset], up)

    def _futures(self, moves: F64) -> F64:
        """(I, S) USD that one lot of a perpetual or future gains at its moves."""
        form = self.universe.terms.form[:, None]
        coins = np.where(form == INVERSE, self.delta_usd[:, None], 0.0)
        inverse = inverse_future_profit(1.0, moves) * coins
        return np.asarray(np.where(form == LINEAR, self.delta_usd[:, None] * moves, inverse))

    def _options(self, moves: F64, vols: F64) -> F64:
        """(O, S) USD that one lot of an option gains: an inverse one's coin value at the present coin price."""
        chain, coin = self.chain, self.universe.terms.coin_priced[self.chain.rows][:, None]
        value, now = chain.values(1.0 + moves, vols), chain.now()[:, None]
        return np.asarray(np.where(coin, value / (1.0 + moves), value) - now)

    def figures(self, block: Block) -> Figures:
        """Margins of a block of accounts."""
        rows, which = block.rows, block.rows.instrument
        count, expiries = max(1, len(self.pair_asset)), max(1, len(self.expiry_pair))
        held = self.universe.terms.form[which] != SPOT
        groups = Groups.of(rows.owner * count + self.pair[which], held)
        owner, pair = groups.key // count, groups.key % count
        standard = scenario_sums(rows, groups, self.standard)
        gain = np.minimum(np.maximum(standard, 0.0) * self.offset[pair, None], self.offset_most[pair, None])
        standard = np.minimum(standard, 0.0) + gain
        extended = scenario_sums(rows, groups, self.extended) * self.far_weight[pair]
        extended = np.minimum(extended + self.dampener[pair, None], 0.0)
        losses = -np.hstack([standard, extended])
        worst = np.maximum(0.0, losses.max(axis=1, initial=0.0))
        by_expiry = Groups.of(rows.owner * expiries + self.expiry[which], held)
        expiry = by_expiry.key % expiries
        roll = np.abs(by_expiry.sums(rows.lots * self.delta_usd[which])) * self.roll_rate[expiry]
        place = np.searchsorted(groups.key, by_expiry.key // expiries * count + self.expiry_pair[expiry])
        matrix = worst + sums(place, roll, len(owner))
        maintenance = sums(owner, matrix * self.factor[pair], block.size)
        haircut = np.maximum(block.balances.usd, 0.0) * self.initial_haircut[block.balances.spot]
        initial = sums(owner, matrix, block.size) + sums(block.balances.owner, haircut, block.size)
        size = np.abs(self.standard).max(axis=1) + np.abs(self.extended).max(axis=1)
        gross = block.gross + rows.total(np.abs(rows.lots) * size[which])
        return Figures(initial, maintenance, gross, worst=worst_scenarios(block.size, owner, pair, matrix, losses))

    def addends(self, held: Held) -> Addends:
        """Worst case and roll shock of each pair, collateral haircuts."""
        initial, maintenance = list[Addend](), list[Addend]()
        for pair in sorted({int(self.pair[i]) for i in held.lots}):
            mine = {i: lots for i, lots in held.lots.items() if self.pair[i] == pair}
            params, name = self.pair_params[int(self.pair_asset[pair])], self.pair_names[pair]
            found = self._pair(pair, mine, params)
            factor = Fraction(params.mm_factor)
            for term, amount in (("worst case", found.worst_case), ("roll shock", found.roll_shock)):
                initial.append((term, name, amount))
                maintenance.append((f"{term} x mm factor", name, Fraction(amount) * factor))
        initial += self.haircut_addends(held, 1.0 - self.initial_haircut)
        return Addends(self.value_addends(held), at_least(initial, maintenance), maintenance)

    def _pair(self, pair: int, held: Mapping[int, int], params: Params) -> PmeMargin:
        """Margins of one pair, USD (a coin that is worth one)."""
        near, far = self.buckets[int(self.pair_asset[pair])]
        vectors = RiskVectors(
            tuple(sum((lots * self.standard[i] for i, lots in held.items()), np.zeros(1))[:near].tolist()),
            tuple(sum((lots * self.extended[i] for i, lots in held.items()), np.zeros(1))[:far].tolist()),
        )
        deltas, days = dict[str, float](), dict[str, float]()
        for i, lots in held.items():
            expiry = str(self.expiry[i])
            deltas[expiry] = deltas.get(expiry, 0.0) + lots * float(self.delta_usd[i])
            days[expiry] = float(self.expiry_days[self.expiry[i]])
        return margin(aggregate([vectors], 1.0, params), roll_shock(deltas, days, params), params)


def _names(params: Params, width: int, far_width: int) -> list[str]:
    """Of a pair's scenarios, standard ones first, in columns of these widths."""
    vols = ("vol up", "vol same", "vol down") if params.vol_scenarios == 3 else ("vol same",)
    moves = price_moves(params.price_range, params.buckets_each_side)
    near = [f"{move:+.0%} {vol}" for move in moves for vol in vols]
    far = [f"extended {move:+.0%}" for move in params.extended_moves]
    return near + [""] * (width - len(near)) + far + [""] * (far_width - len(far))


class DeribitRule(VenueRule):
    """Deribit portfolio margin with cross collateral; see the module."""

    name = "deribit-pme"
    Params = DeribitParams
    needs = frozenset({"price", "vol"})
    margins = frozenset(
        {"cash", "spot", "debt", "perpetual", "inverse perpetual", "future", "inverse future", "option",
         "inverse option"}
    )  # fmt: skip
    homogeneous = False
    prepared = PreparedDeribit

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Ranges, factors and haircuts outside their bounds."""
        rows = check_rates(params.collateral_haircuts, "collateral_haircuts")
        for name, each in params.pairs.items():
            where = f"pairs.{name}"
            rows += [
                (f"{where}.price_range", each.price_range, 0 < each.price_range < 1, "above 0, below 1"),
                (f"{where}.buckets_each_side", each.buckets_each_side, 1 <= each.buckets_each_side <= 50, "1 to 50"),
                (f"{where}.vol_scenarios", each.vol_scenarios, each.vol_scenarios in (1, 3), "1 or 3"),
                (f"{where}.extended_moves", each.extended_moves,
                 all(-1 < x <= 100 and x != 0 for x in each.extended_moves), "moves above -1, not 0"),
                (f"{where}.pnl_offset", each.pnl_offset, 0 <= each.pnl_offset <= 1, "from 0 to 1"),
                (f"{where}.mm_factor", each.mm_factor, 0 < each.mm_factor <= 1,
                 "above 0, at most 1: maintenance margin must not be above initial margin"),
            ]  # fmt: skip
            fields = ("vol_range_up", "vol_range_down", "vol_up_min", "min_annualised_move", "annualised_move_risk",
                      "extended_factor", "extended_dampener_usd", "max_offsetable_usd")  # fmt: skip
            rows += [(f"{where}.{f}", getattr(each, f), getattr(each, f) >= 0, "0 or more") for f in fields]
        return checked(rows)

    def missing(self, params: Any, universe: Universe) -> dict[int, str]:
        """Derivatives of underlyings without a pair."""
        return unlisted(universe, params.pairs, "pairs", (LINEAR, INVERSE, OPTION))
