"""SPAN-like margin: 16 scenarios a commodity, calendar charge, inter-commodity credit, short-option minimum.

Numeraire: USD. Requirement = max(scan + calendar + delivery - credit, short-option minimum) - net option value
of premium-paid options; equity holds futures profit in full as cash and options not at all (their value is in
the requirement). Breach: equity < requirement (strict). Rounding: reals (clearing houses round each risk array
to whole currency units; not done here). Initial margin is a multiple of maintenance.
Unpublished: the clearing house's parameters change daily; scan ranges here are arguments.
As a Statement: equity counts options at their marks, so MM = sum max(scan + calendar + delivery - credit, short-option
minimum), plus haircuts of collateral: equity < MM iff what holds without options is below the requirement. Perpetuals
count as futures of one expiry of their own. All USD assets count one to one.
Source: CME SPAN methodology; the composite delta's weights are the published 0.270, 0.217, 0.110, 0.037 by
distance from the centre, normalised to sum to one.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.instruments import STABLECOINS, Option, Spot, contract_lot
from solvent.domain.universe import LINEAR, OPTION, SPOT, Universe
from solvent.errors import Problem, problem, raise_if
from solvent.margin.rules.grid import Chain, scenario_names, scenario_sums, worst_scenarios
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
    total,
    unlisted,
)
from solvent.valuation.black76 import greeks as black76_greeks
from solvent.valuation.black76 import price as black76_price

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

PRICE_STEPS = (0.0, 1 / 3, -1 / 3, 2 / 3, -2 / 3, 1.0, -1.0)
"""Shares of the price scan range, each with vol up and vol down: scenarios 1 to 14."""
DELTA_ROUNDING = 1e-12
DELTA_WEIGHTS = (0.270, 0.217, 0.217, 0.110, 0.110, 0.037, 0.037)


class CommodityParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of one combined commodity (all contracts on one underlying)."""

    price_scan: float
    """Price scan range as a fraction of the underlying price."""
    vol_scan: float
    """Vol scan range as a fraction of vol."""
    extreme_multiple: float = 3.0
    extreme_cover: float = 0.33
    """Scenarios 15 and 16: a move of this multiple of the range, of which this share is charged."""
    calendar_charge_usd: float = 0.0
    """For each spread of one delta between expiries."""
    delivery_charge_usd: float = 0.0
    """For each delta, unsigned, in an expiry in delivery."""
    short_option_minimum_usd: float = 0.0
    """For each short option."""


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Credit for offsetting two commodities, taken in the order of the table."""

    legs: tuple[tuple[str, float], tuple[str, float]]
    """(commodity, deltas per spread) twice; a spread forms from deltas of opposite sign."""
    credit_rate: float
    """Share of each leg's price risk that is forgiven."""


class Params(msgspec.Struct, frozen=True):
    """A clearing house's parameters."""

    commodities: Mapping[str, CommodityParams]
    spreads: tuple[Spread, ...] = ()
    initial_factor: float = 1.1
    """Initial over maintenance margin."""


class Position(msgspec.Struct, frozen=True):
    """One future (no strike) or option on one underlying, signed quantity of contracts."""

    commodity: str
    expiry: str
    quantity: float
    underlying_price: float
    multiplier: float = 1.0
    strike: float | None = None
    is_call: bool = True
    years: float = 0.0
    vol: float = 0.0
    discount: float = 1.0
    is_in_delivery: bool = False


class CommodityRisk(msgspec.Struct, frozen=True):
    """Terms of one combined commodity, USD where not said otherwise."""

    losses: tuple[float, ...]
    """Loss in each of the 16 scenarios, gains negative."""
    scan_risk: float
    calendar_charge: float
    delivery_charge: float
    short_option_minimum: float
    net_option_value: float
    net_delta: float
    """In units of the underlying."""
    price_risk: float
    """Scan risk without its vol and time parts, at least zero; what a credit may forgive."""


class SpanMargin(msgspec.Struct, frozen=True):
    """Requirement of one account and its terms, USD."""

    commodities: Mapping[str, CommodityRisk]
    credits: Mapping[str, float]
    maintenance_margin: float
    initial_margin: float


def scenario_moves(params: CommodityParams) -> tuple[F64, F64, F64]:
    """(relative price move, vol factor, share of loss charged) of the 16 scenarios."""
    moves = np.repeat(np.array(PRICE_STEPS) * params.price_scan, 2)
    vols = np.tile([1.0 + params.vol_scan, max(0.0, 1.0 - params.vol_scan)], len(PRICE_STEPS))
    far = params.extreme_multiple * params.price_scan
    return (
        np.append(moves, (far, max(-1.0, -far))),
        np.append(vols, (1.0, 1.0)),
        np.append(np.ones(len(moves)), (params.extreme_cover, params.extreme_cover)),
    )


def contract_values(position: Position, moves: F64, vol_factors: F64) -> F64:
    """Value of one contract in each scenario, USD."""
    prices = position.underlying_price * (1.0 + moves)
    if position.strike is None:
        return np.asarray(prices * position.multiplier)
    values = black76_price(
        np.maximum(prices, 1e-12 * position.underlying_price),
        position.strike,
        position.years,
        position.is_call,
        position.vol * vol_factors,
        position.discount,
    )
    return np.asarray(values * position.multiplier)


def risk_array(position: Position, params: CommodityParams) -> F64:
    """Loss of one contract held long in each of the 16 scenarios, shape (16,), USD."""
    moves, vols, cover = scenario_moves(params)
    now = contract_values(position, np.zeros(1), np.ones(1))[0]
    return np.asarray((now - contract_values(position, moves, vols)) * cover)


def composite_delta(position: Position, params: CommodityParams) -> float:
    """Delta of one contract in units of the underlying, averaged over the scan range."""
    if position.strike is None:
        return position.multiplier
    prices = position.underlying_price * (1.0 + np.array(PRICE_STEPS) * params.price_scan)
    delta = black76_greeks(
        prices, position.strike, position.years, position.is_call, position.vol, position.discount
    ).delta
    weights = np.array(DELTA_WEIGHTS)
    return float(delta @ weights / weights.sum()) * position.multiplier


def calendar_spreads(delta_by_expiry: Mapping[str, float]) -> float:
    """Deltas that offset each other between expiries: the lesser of the long and the short side."""
    longs = sum(max(0.0, delta) for delta in delta_by_expiry.values())
    shorts = sum(max(0.0, -delta) for delta in delta_by_expiry.values())
    return min(longs, shorts)


def price_risk(losses: F64) -> float:
    """Scan risk less its vol part (half the worst scenario's difference to its vol twin) and its time part.

    The time part is the mean loss of the two scenarios without a price move.
    Source: CME SPAN, weighted futures price risk.
    """
    worst = int(np.argmax(losses))
    twin = worst ^ 1 if worst < 14 else worst
    vol_part = abs(losses[worst] - losses[twin]) / 2.0
    time_part = (losses[0] + losses[1]) / 2.0
    return max(0.0, float(max(0.0, losses[worst]) - vol_part - time_part))


def net_delta(net: float, gross: float) -> float:
    """Net delta, 0 where it is only what rounding has left of `gross`: a credit per delta would blow that up."""
    return net if abs(net) > DELTA_ROUNDING * gross else 0.0


def merged(positions: Sequence[Position]) -> list[Position]:
    """One position a contract, quantities summed: a pair of +q and -q is nothing, not a short option."""
    held: dict[Position, float] = {}
    for position in positions:
        contract = msgspec.structs.replace(position, quantity=0.0)
        held[contract] = held.get(contract, 0.0) + position.quantity
    return [msgspec.structs.replace(contract, quantity=quantity) for contract, quantity in held.items()]


def commodity_risk(positions: Sequence[Position], params: CommodityParams) -> CommodityRisk:
    """All terms of one combined commodity before credits."""
    losses = np.zeros(16)
    deltas: dict[str, float] = {}
    delivery = shorts = option_value = gross = 0.0
    for position in merged(positions):
        losses = losses + position.quantity * risk_array(position, params)
        delta = position.quantity * composite_delta(position, params)
        deltas[position.expiry] = deltas.get(position.expiry, 0.0) + delta
        gross += abs(delta)
        delivery += abs(delta) if position.is_in_delivery else 0.0
        if position.strike is not None:
            shorts += max(0.0, -position.quantity)
            option_value += position.quantity * contract_values(position, np.zeros(1), np.ones(1))[0]
    return CommodityRisk(
        losses=tuple(losses.tolist()),
        scan_risk=max(0.0, float(losses.max())),
        calendar_charge=params.calendar_charge_usd * calendar_spreads(deltas),
        delivery_charge=params.delivery_charge_usd * delivery,
        short_option_minimum=params.short_option_minimum_usd * shorts,
        net_option_value=option_value,
        net_delta=net_delta(sum(deltas.values()), gross),
        price_risk=price_risk(losses),
    )


def inter_commodity_credits(risks: Mapping[str, CommodityRisk], spreads: Sequence[Spread]) -> dict[str, float]:
    """Credit by commodity, USD: spreads in order, each using up deltas of opposite sign.

    A leg's credit is rate x (price risk / |net delta|) x deltas used.
    """
    left = {name: risk.net_delta for name, risk in risks.items()}
    credit = dict.fromkeys(risks, 0.0)
    for spread in spreads:
        (first, first_ratio), (second, second_ratio) = spread.legs
        if left.get(first, 0.0) * left.get(second, 0.0) >= 0:
            continue
        count = min(abs(left[first]) / first_ratio, abs(left[second]) / second_ratio)
        for name, ratio in spread.legs:
            used = count * ratio
            credit[name] += spread.credit_rate * risks[name].price_risk / abs(risks[name].net_delta) * used
            left[name] -= used if left[name] > 0 else -used
    return credit


def account_margin(positions: Sequence[Position], params: Params) -> SpanMargin:
    """SPAN requirement of one account. Raises SolventError naming every commodity without parameters."""
    by_commodity: dict[str, list[Position]] = {}
    for position in positions:
        by_commodity.setdefault(position.commodity, []).append(position)
    raise_if(
        [
            problem("SPAN parameters", None, "commodities", name, f"one of {', '.join(params.commodities)}")
            for name in by_commodity
            if name not in params.commodities
        ]
    )
    risks = {name: commodity_risk(held, params.commodities[name]) for name, held in by_commodity.items()}
    credits = inter_commodity_credits(risks, params.spreads)
    maintenance = 0.0
    for name, risk in risks.items():
        charged = risk.scan_risk + risk.calendar_charge + risk.delivery_charge - credits[name]
        maintenance += max(charged, risk.short_option_minimum) - risk.net_option_value
    return SpanMargin(risks, credits, maintenance, maintenance_to_initial(maintenance, params))


def maintenance_to_initial(maintenance: float, params: Params) -> float:
    """Initial requirement: the factor on a positive requirement; a negative one (an excess) is left alone."""
    return maintenance * params.initial_factor if maintenance > 0 else maintenance


class SpanParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Commodities by underlying (or `*`), credits in their order, and collateral rates by asset."""

    commodities: Mapping[str, CommodityParams]
    spreads: tuple[Spread, ...] = ()
    initial_factor: float = 1.1
    collateral_rates: Mapping[str, float] = {}
    """Part of a collateral that counts; an asset that is not listed does not count at all."""


class Commodities(NamedTuple):
    """Combined commodities of a block of accounts: G of them, USD where not said otherwise."""

    owner: I64
    asset: I64
    losses: F64
    """(G, 16)."""
    charged: F64
    """Scan risk, calendar and delivery charge."""
    minimum: F64
    """Short-option minimum."""
    delta: F64
    """Net composite delta in units of the underlying."""


class PreparedSpan(PreparedVenue):
    """The rule at one market."""

    cash_at_par = True

    def build(self) -> None:
        """Risk arrays, composite deltas and keys of every contract."""
        universe, terms, market = self.universe, self.universe.terms, self.market
        none = CommodityParams(0.0, 0.0)
        commodities = self.params.commodities
        self.commodities = [commodities.get(asset, commodities.get("*", none)) for asset in universe.assets]
        named = dict(zip(universe.assets, self.commodities, strict=True))
        self.span = Params(named, self.params.spreads, self.params.initial_factor)
        names = [[f"scenario {i + 1}" for i in range(16)]] * len(universe.assets)
        self.scenarios = scenario_names(universe.assets, names)
        chain = Chain.of(market)
        moves, vols, cover = map(np.stack, zip(*map(scenario_moves, self.commodities), strict=True))
        linear = np.where(terms.form == LINEAR, terms.unit * market.price, 0.0)
        self.array = -linear[:, None] * moves[terms.underlying] * cover[terms.underlying]
        self.delta = np.where(terms.form == LINEAR, terms.unit, 0.0)
        if len(chain.rows):
            asset = chain.asset
            shocked = chain.values(np.maximum(1.0 + moves[asset], 1e-12), chain.vol[:, None] * vols[asset])
            self.array[chain.rows] = (chain.now()[:, None] - shocked) * cover[asset]
            self.delta[chain.rows] = self._composite(chain)
        self._keys(chain)

    def _composite(self, chain: Chain) -> F64:
        """(O,) composite delta of one lot."""
        weights = np.array(DELTA_WEIGHTS) / sum(DELTA_WEIGHTS)
        scan = np.array([each.price_scan for each in self.commodities])[chain.asset]
        found = np.zeros(len(chain.rows))
        for step, weight in zip(PRICE_STEPS, weights, strict=True):
            moved = chain._replace(forward=chain.forward * (1.0 + step * scan))
            found += weight * moved.greeks().delta
        return found * chain.unit

    def _keys(self, chain: Chain) -> None:
        """Contract as the function above knows it, and numbers of (underlying, expiry) and of equal contracts."""
        terms, market = self.universe.terms, self.market
        price = np.array(market.price)
        price[chain.rows] = chain.forward
        columns = {name: np.zeros(len(self.universe)) for name in ("years", "vol")}
        columns["discount"] = np.ones(len(self.universe))
        for name, column in columns.items():
            column[chain.rows] = getattr(chain, name)
        self.contract: dict[int, Position] = {}
        for i, each in enumerate(self.universe):
            if isinstance(each, Spot):
                continue
            is_option = isinstance(each, Option)
            self.contract[i] = Position(
                each.underlying,
                str(int(terms.expiry_ns[i])),
                0.0,
                float(price[i]),
                float(each.multiplier),
                float(terms.strike[i]) if is_option else None,
                bool(terms.call[i]) if is_option else True,
                float(columns["years"][i]),
                float(columns["vol"][i]),
                float(columns["discount"][i]),
            )
        self.contracts = np.array([float(contract_lot(each)) for each in self.universe])
        """(I,) contracts in one lot."""
        first: dict[Position, int] = {}
        self.equal = np.arange(len(self.universe))
        for i, contract in self.contract.items():
            self.equal[i] = first.setdefault(contract, i)
        expiries, key = np.unique(np.stack([terms.underlying, terms.expiry_ns]), axis=1, return_inverse=True)
        self.expiry_asset, self.expiry_key = expiries[0], key.ravel()
        self.short_minimum, self.calendar = np.array(
            [(each.short_option_minimum_usd, each.calendar_charge_usd) for each in self.commodities]
        ).reshape(-1, 2).T  # fmt: skip

    def weights(self) -> F64:
        """Collateral rates; USD assets count in full."""
        found = np.zeros(len(self.universe))
        for i, each in enumerate(self.universe):
            if isinstance(each, Spot):
                rate = found_in(self.params.collateral_rates, each)
                found[i] = 1.0 if each.asset in STABLECOINS else rate or 0.0
        return found

    def _commodities(self, block: Block) -> Commodities:
        """Terms of every combined commodity before credits."""
        rows, which, terms = block.rows, block.rows.instrument, self.universe.terms
        assets, count, width = max(1, len(self.universe.assets)), len(self.expiry_asset), max(1, len(self.universe))
        held = terms.form[which] != SPOT
        groups = Groups.of(rows.owner * assets + terms.underlying[which], held)
        owner, asset = groups.key // assets, groups.key % assets
        losses = scenario_sums(rows, groups, self.array)
        delta = rows.lots * self.delta[which]
        expiries = Groups.of(rows.owner * count + self.expiry_key[which], held)
        by_expiry = expiries.sums(delta)
        place = np.searchsorted(groups.key, expiries.key // count * assets + self.expiry_asset[expiries.key % count])
        longs = sums(place, np.maximum(by_expiry, 0.0), len(owner))
        shorts = sums(place, np.maximum(-by_expiry, 0.0), len(owner))
        options = Groups.of(rows.owner * width + self.equal[which], terms.form[which] == OPTION)
        short = np.maximum(0.0, -options.sums(rows.lots * self.contracts[which]))
        underlying = terms.underlying[options.key % width]
        place = np.searchsorted(groups.key, options.key // width * assets + underlying)
        minimum = sums(place, short * self.short_minimum[underlying], len(owner))
        calendar = self.calendar[asset] * np.minimum(longs, shorts)
        charged = np.maximum(0.0, losses.max(axis=1, initial=0.0)) + calendar
        net, gross = groups.sums(delta), groups.sums(np.abs(delta))
        net[np.abs(net) <= DELTA_ROUNDING * gross] = 0.0
        return Commodities(owner, asset, losses, charged, minimum, net)

    def _credits(self, found: Commodities, size: int) -> F64:
        """(G,) inter-commodity credits: spreads in order over all accounts at once."""
        assets, credit = max(1, len(self.universe.assets)), np.zeros(len(found.owner))
        key = found.owner * assets + found.asset
        risk, left = price_risks(found.losses), found.delta.copy()
        index = self.universe.asset_index
        for spread in self.params.spreads:
            (first, first_ratio), (second, second_ratio) = spread.legs
            if first not in index or second not in index:
                continue
            a = np.flatnonzero(found.asset == index[first])
            b = np.searchsorted(key, found.owner[a] * assets + index[second])
            there = b < len(key)
            there[there] = key[b[there]] == found.owner[a][there] * assets + index[second]
            a, b = a[there], b[there]
            opposite = left[a] * left[b] < 0
            a, b = a[opposite], b[opposite]
            spreads = np.minimum(np.abs(left[a]) / first_ratio, np.abs(left[b]) / second_ratio)
            for leg, ratio in ((a, first_ratio), (b, second_ratio)):
                used = spreads * ratio
                credit[leg] += spread.credit_rate * risk[leg] / np.abs(found.delta[leg]) * used
                left[leg] -= np.sign(left[leg]) * used
        return credit

    def figures(self, block: Block) -> Figures:
        """Margins of a block of accounts."""
        found = self._commodities(block)
        need = np.maximum(found.charged - self._credits(found, block.size), found.minimum)
        gross = sums(found.owner, need, block.size)
        requirement = gross - block.options
        haircuts = self.haircuts(block)
        factor = np.where(requirement > 0, self.params.initial_factor, 1.0)
        initial = requirement * factor + block.options + haircuts
        size = block.rows.total(np.abs(block.rows.lots) * np.abs(self.array).max(axis=1)[block.rows.instrument])
        worst = worst_scenarios(block.size, found.owner, found.asset, need, found.losses)
        return Figures(initial, gross + haircuts, 4.0 * size, worst=worst)

    def addends(self, held: Held) -> Addends:
        """Terms of each combined commodity."""
        equity, haircuts = self.value_addends(held), self.haircut_addends(held)
        positions = [
            msgspec.structs.replace(self.contract[i], quantity=lots * float(self.contracts[i]))
            for i, lots in held.lots.items()
        ]
        margin = account_margin(positions, self.span)
        maintenance = list[Addend](haircuts)
        for name, risk in margin.commodities.items():
            credit = margin.credits[name]
            if risk.short_option_minimum > risk.scan_risk + risk.calendar_charge + risk.delivery_charge - credit:
                maintenance.append(("short-option minimum", name, risk.short_option_minimum))
                continue
            maintenance += [
                ("scan risk", name, risk.scan_risk),
                ("calendar charge", name, risk.calendar_charge),
                ("delivery charge", name, risk.delivery_charge),
                ("inter-commodity credit", name, -credit),
            ]
        options = total([row for row in equity if row[0] == "option value"])
        requirement = total(maintenance) - total(haircuts) - options
        extra = Fraction(0)
        if requirement > 0:
            extra = requirement * (Fraction(self.params.initial_factor) - 1)
        initial = [*maintenance, ("initial over maintenance", "", extra)]
        return Addends(equity, at_least(initial, maintenance), maintenance)


def price_risks(losses: F64) -> F64:
    """`price_risk` of each row of (G, 16) losses."""
    rows = np.arange(len(losses))
    worst = losses.argmax(axis=1) if len(losses) else rows
    twin = np.where(worst < 14, worst ^ 1, worst)
    vol_part = np.abs(losses[rows, worst] - losses[rows, twin]) / 2.0
    time_part = (losses[:, 0] + losses[:, 1]) / 2.0
    return np.asarray(np.maximum(0.0, np.maximum(0.0, losses[rows, worst]) - vol_part - time_part))


class SpanRule(VenueRule):
    """SPAN-like margin over linear contracts; see the module."""

    name = "span16"
    Params = SpanParams
    needs = frozenset({"price", "vol"})
    margins = frozenset({"cash", "spot", "perpetual", "future", "option"})
    prepared = PreparedSpan

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Ranges, rates and charges outside their bounds."""
        rows: list[tuple[str, object, bool, str]] = [
            ("initial_factor", params.initial_factor, params.initial_factor >= 1,
             "1 or more: maintenance margin must not be above initial margin"),
            *check_rates(params.collateral_rates, "collateral_rates"),
        ]  # fmt: skip
        for name, each in params.commodities.items():
            where = f"commodities.{name}"
            rows += [
                (f"{where}.price_scan", each.price_scan, 0 < each.price_scan < 1, "above 0, below 1"),
                (f"{where}.vol_scan", each.vol_scan, 0 <= each.vol_scan <= 10, "from 0 to 10"),
                (f"{where}.extreme_multiple", each.extreme_multiple, each.extreme_multiple >= 1, "1 or more"),
                (f"{where}.extreme_cover", each.extreme_cover, 0 <= each.extreme_cover <= 1, "from 0 to 1"),
            ]
            fields = ("calendar_charge_usd", "delivery_charge_usd", "short_option_minimum_usd")
            rows += [(f"{where}.{f}", getattr(each, f), getattr(each, f) >= 0, "0 or more") for f in fields]
        for spread in params.spreads:
            good = all(ratio > 0 for _, ratio in spread.legs) and spread.legs[0][0] != spread.legs[1][0]
            rows.append(("spreads.legs", spread.legs, good, "two commodities, ratios above 0"))
            rows.append(("spreads.credit_rate", spread.credit_rate, 0 <= spread.credit_rate <= 1, "from 0 to 1"))
        return checked(rows)

    def missing(self, params: Any, universe: Universe) -> dict[int, str]:
        """Contracts on underlyings without a scan range."""
        return unlisted(universe, params.commodities, "commodities", (LINEAR, OPTION))
