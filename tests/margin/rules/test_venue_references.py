"""Every venue's whole-book rule against its published functions, fed by hand with one account's row at a time."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.margin.rules.venue_worlds import MARKET, NOW_NS, RULES, UNIVERSE, prepared_of, random_book

from solvent.domain.book import Book
from solvent.domain.instruments import Instrument, Option, Spot
from solvent.domain.universe import INVERSE, LINEAR
from solvent.engine.files import read_policy
from solvent.margin.rule import rule
from solvent.margin.rules import (
    binance,
    bybit,
    deribit_pme,
    derive_pmrm,
    derive_pmrm2,
    derive_srm,
    drift_v2,
    dydx_v4,
    hyperliquid,
    mango_v4,
    okx_pm,
    paradex,
    span16,
    synthetix_v3,
    vega,
)
from solvent.margin.rules.derive import OptionHolding
from solvent.valuation import black76

TERMS = UNIVERSE.terms
ASSETS = UNIVERSE.assets


class Row(NamedTuple):
    """One position as a venue would hear of it."""

    i: int
    instrument: Instrument
    asset: str
    lots: int
    coins: float
    """Signed coins; USD where inverse."""
    cost: float
    """Quote leg in coins of the settlement asset."""
    price: float


def rows_of(book: Book, account: int) -> Iterator[Row]:
    for i, lots, cost in zip(*(column.tolist() for column in book.row(account)), strict=True):
        coins, quote = lots * float(TERMS.unit[i]), cost * float(TERMS.lot_coins[i])
        yield Row(i, UNIVERSE[i], UNIVERSE[i].underlying, lots, coins, quote, float(MARKET.price[i]))


def is_cash(row: Row) -> bool:
    return isinstance(row.instrument, Spot) and row.asset == "USDC"


def is_spot(row: Row) -> bool:
    return isinstance(row.instrument, Spot) and row.asset != "USDC"


def is_linear(row: Row) -> bool:
    return bool(TERMS.form[row.i] == LINEAR)


def profit(row: Row) -> float:
    """Unsettled profit in coins of settlement."""
    if TERMS.form[row.i] == INVERSE:
        return row.cost - row.coins / row.price
    return row.cost + row.coins * row.price if is_linear(row) else 0.0


def payer(row: Row) -> int:
    return int(TERMS.settlement[row.i])


def cash_of(rows: list[Row]) -> float:
    """Cash and the quote legs that venues keep in it."""
    return sum(row.coins for row in rows if is_cash(row)) + sum(row.cost for row in rows)


def value(row: Row, vol: float | None = None, move: float = 0.0, years: float | None = None) -> float:
    """Black-76 value in USD of one coin of an option."""
    years = float(MARKET.years[row.i]) if years is None else years
    found = black76.price(
        MARKET.forward_usd[row.i] * (1 + move),
        TERMS.strike[row.i],
        years,
        TERMS.call[row.i],
        MARKET.vol_annual[row.i] if vol is None else vol,
        math.exp(-0.02 * float(MARKET.years[row.i])),
    )
    return float(found)


def delta(row: Row) -> float:
    found = black76.greeks(
        MARKET.forward_usd[row.i], TERMS.strike[row.i], MARKET.years[row.i], TERMS.call[row.i],
        MARKET.vol_annual[row.i], math.exp(-0.02 * float(MARKET.years[row.i])),
    )  # fmt: skip
    return float(found.delta)


def params_of(name: str) -> Any:
    found: Any = rule(name)
    return found.params(read_policy(name), UNIVERSE)


def index(asset: str) -> float:
    return float(MARKET.index_usd[UNIVERSE.asset_index[asset]])


def option_cash(rows: list[Row]) -> float:
    """Model value of all options, USD."""
    return sum(row.coins * value(row) for row in rows if isinstance(row.instrument, Option))


def dydx(rows: list[Row], p: Any) -> float:
    quote = math.floor(sum(Fraction(row.lots) for row in rows if is_cash(row)))
    positions, markets = {}, {}
    for row in rows:
        if is_linear(row):
            quote += round(row.cost * 1e6)
            tick = {"BTC": (1, -1), "ETH": (1, -2), "SOL": (1, -3)}[row.asset]
            lot = {"BTC": -4, "ETH": -3, "SOL": -2}[row.asset]
            terms = p.markets.get(row.asset, p.markets["*"])
            ticks = int(MARKET.ticks[row.i]) * tick[0]
            markets[row.instrument.id] = dydx_v4.Market(lot, ticks, tick[1], terms.tier)
            positions[row.instrument.id] = row.lots
    risk = dydx_v4.account_risk(quote, positions, markets)
    return (risk.net_collateral - risk.maintenance) / 1e6 if risk.maintenance else max(0, risk.net_collateral) / 1e6


def hyper(rows: list[Row], p: Any) -> float:
    held = cash_of(rows) + sum(row.coins * row.price for row in rows if is_linear(row))
    brackets = [
        (abs(row.coins) * row.price, p.markets.get(row.asset, p.markets["*"]).brackets)
        for row in rows
        if is_linear(row)
    ]
    return held - hyperliquid.account_maintenance_margin(brackets)


def hyper_pm(rows: list[Row], p: Any) -> float:
    cross = sum(row.coins * row.price for row in rows if is_linear(row)) + cash_of(rows) - hyper(rows, p)
    usdc = cash_of(rows) + sum(row.coins * row.price for row in rows if is_linear(row))
    collateral = sum(
        row.coins * row.price * hyperliquid.liquidation_threshold(p.collateral[row.asset].loan_to_value)
        for row in rows
        if is_spot(row) and row.asset in p.collateral
    )
    value_usd = max(0.0, usdc) + min(p.borrow_cap_usd, collateral)
    borrowed = max(0.0, -usdc)
    if not cross and not borrowed:
        return math.inf
    return p.trigger * value_usd - (p.min_borrow_offset_usd + cross + borrowed)


def assets_usd(rows: list[Row]) -> dict[int, float]:
    """Equity in each asset, unsettled profit included, USD."""
    found: dict[int, float] = {}
    for row in rows:
        coins = row.coins if isinstance(row.instrument, Spot) else profit(row)
        found[payer(row)] = found.get(payer(row), 0.0) + coins * float(MARKET.price[payer(row)])
    return found


def rates(p: Any, i: int) -> float:
    return p.collateral_rates.get(UNIVERSE[i].underlying, 0.0)


def bnb(rows: list[Row], p: Any) -> float:
    holdings = [binance.Holding(usd, rates(p, i)) for i, usd in assets_usd(rows).items()]
    margin = sum(
        binance.maintenance_margin(
            abs(row.coins) * row.price * float(MARKET.price[payer(row)]),
            p.markets.get(row.asset, p.markets["*"]).brackets,
        )
        for row in rows
        if is_linear(row)
    )
    ratio = binance.unified_maintenance_ratio(holdings, margin)
    return (ratio - p.liquidation) * margin if margin else ratio


def byb(rows: list[Row], p: Any) -> float:
    balance = sum(min(usd, usd * rates(p, i)) for i, usd in assets_usd(rows).items())
    margin = 0.0
    for row in rows:
        if is_linear(row):
            brackets = p.linear.get(row.asset, p.linear["*"]).brackets
            margin += bybit.maintenance_margin(row.coins * row.price, brackets) * float(MARKET.price[payer(row)])
        elif TERMS.form[row.i] == INVERSE:
            found = bybit.maintenance_margin(row.coins / row.price, p.inverse[row.asset].brackets)
            margin += found * float(MARKET.price[payer(row)])
    return balance - margin if margin else math.copysign(math.inf, balance)


def snx(rows: list[Row], p: Any) -> float:
    collateral = cash_of(rows)
    collateral += sum(
        row.coins * row.price * (1 - p.collateral_discounts.get(row.asset, 1.0)) for row in rows if is_spot(row)
    )
    positions = []
    for row in rows:
        if is_linear(row):
            collateral -= row.cost
            market = p.markets.get(row.asset, p.markets["*"])
            positions.append(synthetix_v3.Position(row.instrument.id, row.coins, -row.cost / row.coins, market))
    notional = sum(abs(row.coins) * row.price for row in rows if is_linear(row))
    reward = max(p.liquidation_reward_min_usd, notional * p.liquidation_reward_ratio)
    reward = min(p.liquidation_reward_max_usd, reward)
    prices = {row.instrument.id: row.price for row in rows if is_linear(row)}
    found = synthetix_v3.account(collateral, positions, prices, reward)
    return found.available_margin - found.maintenance_margin if positions else max(0.0, found.available_margin)


def vga(rows: list[Row], p: Any) -> float:
    margin = 0
    for row in rows:
        if is_linear(row):
            terms = p.markets.get(row.asset, p.markets["*"])
            lot = Fraction(str(row.instrument.lot))  # type: ignore[union-attr]
            atoms = round(float(TERMS.unit[row.i]) * row.price * 1e6)
            margin += vega.margin_levels(atoms, row.lots, terms.of_lots(lot)).maintenance
    balance = cash_of(rows) + sum(row.coins * row.price for row in rows if is_linear(row))
    return (balance - margin / 1e6) * float(MARKET.price[0])


def drift(rows: list[Row], p: Any) -> float:
    quote_price = int(MARKET.price[0] * 1e6 + 0.5)
    maintenance = drift_v2.MarginType.MAINTENANCE
    spots, perpetuals = [], []
    for row in rows:
        if is_spot(row):
            token = p.tokens.get(row.asset, p.tokens["*"])
            decimals = UNIVERSE.spot_of(row.i).decimals
            atoms = row.lots * UNIVERSE.spot_of(row.i).lot_atoms
            spots.append(
                drift_v2.SpotPosition(
                    atoms, decimals, int(row.price * 1e6 + 0.5), token.asset_weight(maintenance),
                    token.liability_weight(maintenance), imf_1e6=token.imf_1e6,
                )
            )  # fmt: skip
        elif is_linear(row):
            market = p.perpetuals.get(row.asset, p.perpetuals["*"])
            perpetuals.append(
                drift_v2.PerpetualPosition(
                    round(row.coins * 1e9), int(row.price * 1e6 + 0.5), math.floor(profit(row) * 1e6 + 1e-4),
                    market.margin_ratio(maintenance), imf_1e6=market.imf_1e6,
                    profit_weight_1e4=market.profit_weight(maintenance), quote_price_1e6=quote_price,
                )
            )  # fmt: skip
    total = drift_v2.account_margin(0, spots, perpetuals)
    quote = drift_v2.quote_margin(sum(row.lots for row in rows if is_cash(row)), quote_price)
    total = total + quote
    return (total.total_collateral - total.margin_requirement) / 1e6


def mango(rows: list[Row], p: Any) -> float:
    balances: dict[str, float] = {}
    tokens, perpetuals = {}, []
    for i, each in enumerate(UNIVERSE):
        if isinstance(each, Spot):
            terms = p.tokens.get(each.asset, p.tokens["*"])
            tokens[each.id] = terms.token(mango_v4.Prices(float(MARKET.price[i])))
    for row in rows:
        if isinstance(row.instrument, Spot):
            balances[row.instrument.id] = balances.get(row.instrument.id, 0.0) + row.coins
        else:
            terms = p.perpetuals.get(row.asset, p.perpetuals["*"])
            weights = {name: getattr(terms, name) for name in terms.__struct_fields__}
            prices = mango_v4.Prices(row.price)
            perpetuals.append(
                mango_v4.Perpetual("USDC", prices, float(TERMS.unit[row.i]), row.lots, row.cost, **weights)
            )
    return mango_v4.account_health(balances, tokens, (), perpetuals, mango_v4.HealthType.MAINT)


def parad(rows: list[Row], p: Any) -> float:
    held = cash_of(rows) + sum(row.coins * row.price for row in rows if is_linear(row)) + option_cash(rows)
    need, terms = 0.0, p.markets["*"]
    for asset in {row.asset for row in rows if not isinstance(row.instrument, Spot)}:
        mine = [row for row in rows if row.asset == asset and not isinstance(row.instrument, Spot)]
        profits = []
        for scenario in terms.scenarios:
            total = 0.0
            for row in mine:
                if is_linear(row):
                    total += row.coins * row.price * scenario.spot_move
                    continue
                vol = float(MARKET.vol_annual[row.i])
                vol *= paradex.vol_factor(scenario.vol, float(MARKET.years[row.i]) * 365, terms)
                total += row.coins * (value(row, vol, scenario.spot_move) - value(row))
            profits.append(total)
        deltas = paradex.split_deltas([row.coins * (1 if is_linear(row) else delta(row)) for row in mine])
        floor = paradex.minimum_delta_requirement(deltas, index(asset), terms)
        need += paradex.portfolio_margins(paradex.scan_risk(profits, terms), floor, 0.0, 0.0, terms)[1]
    notional = sum(
        abs(row.coins) * (row.price if is_linear(row) else index(row.asset)) for row in rows if not is_cash(row)
    )
    return held - need - notional * p.fee_provision_rate


def span(rows: list[Row], p: Any) -> float:
    positions = []
    for row in rows:
        if isinstance(row.instrument, Spot):
            continue
        option = isinstance(row.instrument, Option)
        positions.append(
            span16.Position(
                row.asset, str(TERMS.expiry_ns[row.i]), row.coins,
                float(MARKET.forward_usd[row.i]) if option else row.price, 1.0,
                float(TERMS.strike[row.i]) if option else None, bool(TERMS.call[row.i]) if option else True,
                float(MARKET.years[row.i]), float(MARKET.vol_annual[row.i]) if option else 0.0,
                math.exp(-0.02 * float(MARKET.years[row.i])) if option else 1.0,
            )
        )  # fmt: skip
    needed = {asset: p.commodities.get(asset, p.commodities["*"]) for asset in ASSETS}
    found = span16.account_margin(positions, span16.Params(needed, p.spreads, p.initial_factor))
    held = cash_of(rows) + sum(row.coins * row.price for row in rows if is_linear(row))
    held += sum(row.coins * row.price * p.collateral_rates.get(row.asset, 0.0) for row in rows if is_spot(row))
    return held - found.maintenance_margin


def deribit(rows: list[Row], p: Any) -> float:
    held = sum(assets_usd(rows).values()) + option_cash(rows)
    pairs: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        if not isinstance(row.instrument, Spot):
            pairs.setdefault((payer(row), row.asset), []).append(row)
    need = 0.0
    for (settlement, asset), mine in pairs.items():
        params = p.pairs.get(asset, p.pairs["*"])
        coin = float(MARKET.price[settlement]) if settlement else 1.0
        vectors = [pme_vectors(row, params) for row in mine]
        deltas: dict[str, float] = {}
        days: dict[str, float] = {}
        for row in mine:
            expiry = str(TERMS.expiry_ns[row.i])
            size = row.coins
            if isinstance(row.instrument, Option):
                size *= undiscounted_delta(row)
            elif TERMS.form[row.i] == INVERSE:
                size /= row.price
            deltas[expiry] = deltas.get(expiry, 0.0) + size * index(asset) / coin
            days[expiry] = float(MARKET.years[row.i]) * 365
        roll = deribit_pme.roll_shock(deltas, days, params)
        index_price = coin if settlement else 1.0
        need += (
            deribit_pme.margin(deribit_pme.aggregate(vectors, index_price, params), roll, params).maintenance_margin
            * coin
        )
    return held - need


def undiscounted_delta(row: Row) -> float:
    return delta(row) / math.exp(-0.02 * float(MARKET.years[row.i]))


def pme_vectors(row: Row, params: Any) -> deribit_pme.RiskVectors:
    """Of one position in coins of settlement; linear ones in USD."""
    if TERMS.form[row.i] == INVERSE:
        ratio = index(row.asset) / float(MARKET.price[payer(row)])
        return deribit_pme.future_vectors(row.coins / row.price * ratio, params)
    moves = deribit_pme.price_moves(params.price_range, params.buckets_each_side)
    far = np.clip(params.extended_moves, -params.price_range, params.price_range)
    if is_linear(row):
        price = index(row.asset)
        near = deribit_pme.linear_future_profit(row.coins, price, np.repeat(moves, params.vol_scenarios))
        return deribit_pme.RiskVectors(
            tuple(near.tolist()), tuple(deribit_pme.linear_future_profit(row.coins, price, far).tolist())
        )
    forward, strike = float(MARKET.forward_usd[row.i]), float(TERMS.strike[row.i])
    days, vol, call = float(MARKET.years[row.i]) * 365, float(MARKET.vol_annual[row.i]), bool(TERMS.call[row.i])
    if payer(row):
        scale = forward / float(MARKET.price[payer(row)])
        found = deribit_pme.option_vectors(row.coins, strike, call, forward, days, vol, params)
        return deribit_pme.RiskVectors(
            tuple(x * scale for x in found.standard), tuple(x * scale for x in found.extended)
        )
    vols = deribit_pme.shocked_vols(vol, days, params)

    def usd(move: float, shocked: float) -> float:
        now = float(black76.price(forward, strike, days / 365, call, vol))
        return row.coins * (float(black76.price(forward * (1 + move), strike, days / 365, call, shocked)) - now)

    return deribit_pme.RiskVectors(
        tuple(usd(move, x) for move in moves.tolist() for x in vols),
        tuple(usd(move, vols[0]) for move in params.extended_moves),
    )


def okx(rows: list[Row], p: Any) -> float:
    adjusted = sum(min(usd, usd * rates(p, i)) for i, usd in assets_usd(rows).items()) + option_cash(rows)
    units, hedge = [], 0.0
    for asset in {row.asset for row in rows if not isinstance(row.instrument, Spot)}:
        terms = p.units.get(asset, p.units["*"])
        params = p.of_unit(terms)
        mine = [row for row in rows if row.asset == asset and not isinstance(row.instrument, Spot)]

        def gain(move: float, mine: list[Row] = mine) -> float:
            return sum(
                row.coins * (value(row, move=move) - value(row)) if isinstance(row.instrument, Option)
                else okx_delta(row) * move
                for row in mine
            )  # fmt: skip

        by_expiry: dict[float, float] = {}
        by_currency: dict[str, float] = {}
        for row in mine:
            years = float(MARKET.years[row.i])
            by_expiry[years] = by_expiry.get(years, 0.0) + okx_delta(row)
            currency = "USD" if payer(row) else "USDC"
            by_currency[currency] = by_currency.get(currency, 0.0) + okx_delta(row)
        hedge += okx_pm.cross_currency_hedge(by_currency)
        units.append(
            okx_pm.StressLosses(
                mr1_spot_shock=okx_pm.worst_loss([gain(move) for move in terms.price_moves]),
                mr4_basis=okx_pm.basis_risk(by_expiry, params),
                mr6_extreme_move=okx_pm.extreme_loss([gain(move) for move in terms.extreme_moves], params),
            )
        )
    debts = sum(-usd for usd in assets_usd(rows).values() if usd < 0)
    any_params = p.of_unit(p.units["*"])
    margin = okx_pm.account_margins(units, debts * p.borrow_rate, hedge, any_params)[1]
    return adjusted - margin if margin else math.copysign(math.inf, adjusted)


def okx_delta(row: Row) -> float:
    if isinstance(row.instrument, Option):
        return row.coins * delta(row) * float(MARKET.forward_usd[row.i])
    return row.coins if TERMS.form[row.i] == INVERSE else row.coins * row.price * float(MARKET.price[payer(row)])


def chains(rows: list[Row], asset: str) -> dict[float, tuple[Row, tuple[OptionHolding, ...]]]:
    """Options of one underlying by seconds to expiry, with a row of each expiry."""
    found: dict[float, tuple[Row, tuple[OptionHolding, ...]]] = {}
    for row in rows:
        if row.asset == asset and isinstance(row.instrument, Option):
            seconds = (int(TERMS.expiry_ns[row.i]) - NOW_NS) / 1e9
            option = OptionHolding(
                float(TERMS.strike[row.i]), bool(TERMS.call[row.i]), row.coins, float(MARKET.vol_annual[row.i])
            )
            found[seconds] = (row, (*found.get(seconds, (row, ()))[1], option))
    return found


def derive(rows: list[Row], margin: Callable[[list[Row], str, float, float, float], float]) -> float:
    """Cash and each underlying's net maintenance margin; profit of the perpetual belongs to its underlying."""
    total = sum(row.coins for row in rows if is_cash(row))
    for asset in {row.asset for row in rows if row.asset != "USDC"}:
        perpetual = sum(row.coins for row in rows if row.asset == asset and is_linear(row))
        gain = sum(profit(row) for row in rows if row.asset == asset and is_linear(row))
        base = sum(row.coins for row in rows if row.asset == asset and is_spot(row))
        total += margin(rows, asset, perpetual, gain, base)
    return total


def perpetual_price(asset: str) -> float:
    return float(MARKET.price[UNIVERSE.index(f"{asset}/USDC:USDC")])


def srm(rows: list[Row], p: Any) -> float:
    def margin(rows: list[Row], asset: str, perpetual: float, gain: float, base: float) -> float:
        expiries = tuple(
            derive_srm.Expiry(seconds, float(MARKET.forward_usd[row.i]), 1.0, options)
            for seconds, (row, options) in chains(rows, asset).items()
        )
        holding = derive_srm.Holding(index(asset), 1.0, perpetual, perpetual_price(asset), 1.0, gain, base, expiries)
        return derive_srm.account_margins(0.0, {asset: holding}, float(MARKET.price[0]), p).maintenance_margin

    return derive(rows, margin)


def pmrm(rows: list[Row], p: Any) -> float:
    def margin(rows: list[Row], asset: str, perpetual: float, gain: float, base: float) -> float:
        expiries = tuple(
            derive_pmrm.Expiry(seconds, 0.0, float(MARKET.forward_usd[row.i]), 0.02, 1.0, options)
            for seconds, (row, options) in chains(rows, asset).items()
        )
        account = derive_pmrm.Account(
            0.0, index(asset), 1.0, float(MARKET.price[0]), perpetual, perpetual_price(asset), 1.0, gain, base, expiries
        )
        return derive_pmrm.account_margins(account, p.managers[asset]).maintenance_margin

    return derive(rows, margin)


def pmrm2(rows: list[Row], p: Any) -> float:
    def margin(rows: list[Row], asset: str, perpetual: float, gain: float, base: float) -> float:
        expiries = tuple(
            derive_pmrm2.Expiry(seconds, float(MARKET.forward_usd[row.i]), 0.02, 1.0, options)
            for seconds, (row, options) in chains(rows, asset).items()
        )
        terms = p.managers[asset]
        collaterals = tuple(
            derive_pmrm2.Collateral(
                row.coins, row.price, 1.0, terms.is_risk_cancelling, terms.mm_haircut, terms.im_haircut
            )
            for row in rows
            if row.asset == asset and is_spot(row)
        )
        account = derive_pmrm2.Account(
            0.0, index(asset), 1.0, float(MARKET.price[0]), perpetual, perpetual_price(asset), 1.0, gain, collaterals,
            expiries,
        )  # fmt: skip
        return derive_pmrm2.account_margins(account, terms).maintenance_margin

    return derive(rows, margin)


HEADROOMS: dict[str, Callable[[list[Row], Any], float]] = {
    "dydx-v4": dydx, "hyperliquid": hyper, "hyperliquid-pm": hyper_pm, "binance": bnb, "bybit": byb,
    "synthetix-v3": snx, "vega": vga, "drift-v2": drift, "mango-v4": mango, "paradex": parad, "span16": span,
    "deribit-pme": deribit, "okx-pm": okx, "derive-srm": srm, "derive-pmrm": pmrm, "derive-pmrm2": pmrm2,
}  # fmt: skip
"""Equity less maintenance margin, USD; infinite where nothing is required."""


def test_every_venue_has_a_reference() -> None:
    assert sorted(HEADROOMS) == RULES


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=4)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_book_is_margined_as_the_venue_margins_each_account(name: str, seed: int) -> None:
    prepared, params = prepared_of(name), params_of(name)
    book = random_book(name, seed, 25)
    statement = prepared.assess(book)
    headroom = statement.equity - statement.maintenance_margin
    for account in range(len(book)):
        wanted = HEADROOMS[name](list(rows_of(book, account)), params)
        if math.isinf(wanted):
            assert statement.liquidatable[account] == (wanted < 0)
            continue
        size = abs(statement.equity[account]) + abs(statement.maintenance_margin[account])
        assert headroom[account] == pytest.approx(wanted, rel=1e-7, abs=2e-5 + 1e-8 * size), book.row(account)
        if statement.certain[account] and abs(wanted) > 1e-3:
            assert statement.liquidatable[account] == (wanted < 0)


def test_control_another_account_has_another_headroom() -> None:
    book, params = random_book("dydx-v4", 1, 25), params_of("dydx-v4")
    found = {round(dydx(list(rows_of(book, account)), params), 6) for account in range(len(book))}
    assert len(found) > 20
