"""SPAN-like margin: 16 scenarios a commodity, calendar charge, inter-commodity credit, short-option minimum.

Numeraire: USD. Requirement = max(scan + calendar + delivery - credit, short-option minimum) - net option value
of premium-paid options; equity holds futures profit in full as cash and options not at all (their value is in
the requirement). Breach: equity < requirement (strict). Rounding: reals (clearing houses round each risk array
to whole currency units; not done here). Initial margin is a multiple of maintenance.
Unpublished: the clearing house's parameters change daily; scan ranges here are arguments.
Source: CME SPAN methodology; the composite delta's weights are the published 0.270, 0.217, 0.110, 0.037 by
distance from the centre, normalised to sum to one.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.errors import problem, raise_if
from solvent.valuation.black76 import greeks as black76_greeks
from solvent.valuation.black76 import price as black76_price

F64 = NDArray[np.float64]

PRICE_STEPS = (0.0, 1 / 3, -1 / 3, 2 / 3, -2 / 3, 1.0, -1.0)
"""Shares of the price scan range, each with vol up and vol down: scenarios 1 to 14."""
DELTA_WEIGHTS = (0.270, 0.217, 0.217, 0.110, 0.110, 0.037, 0.037)


class CommodityParams(msgspec.Struct, frozen=True):
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


class Spread(msgspec.Struct, frozen=True):
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
    delivery = shorts = option_value = 0.0
    for position in merged(positions):
        losses = losses + position.quantity * risk_array(position, params)
        delta = position.quantity * composite_delta(position, params)
        deltas[position.expiry] = deltas.get(position.expiry, 0.0) + delta
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
        net_delta=sum(deltas.values()),
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
