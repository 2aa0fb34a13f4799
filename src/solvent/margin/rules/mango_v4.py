"""Mango v4 health: weighted balances, open orders at their worse side, perpetuals netted into their settle token.

Numeraire: the reference token's native units (quote). Health >= 0 is the whole test; equity in the sense of a
Statement is assets - liabilities at weight one, MM the weighted part. Unsettled profit: a perpetual's
"hupnl" joins the settle token's balance before its sign is taken; positive profit at the overall weight.
Breach: liquidatable iff maintenance health < 0 (strict); new risk needs init health >= 0; liquidation ends at
liquidation-end health >= 0. Rounding: reals (the program uses binary fixed point of 48 fractional bits).
Unpublished: nothing; weights are set on chain.
As a Statement: MM = equity - maintenance health, IM = equity - init health; the market's slow price is the stable
price. Open orders are an argument of the functions here; the rule margins positions.
Source: blockworks-foundation/mango-v4, programs/mango-v4/src/health/cache.rs, state/bank.rs.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from solvent.domain.instruments import Spot
from solvent.domain.universe import LINEAR, SPOT, Universe
from solvent.errors import Problem
from solvent.margin.rules.rows import Held, found_in, sums
from solvent.margin.rules.venue import (
    F64,
    Addend,
    Addends,
    Block,
    Figures,
    PreparedVenue,
    VenueRule,
    checked,
    unlisted,
)


class HealthType(StrEnum):
    """Which weights and prices apply."""

    INIT = "init"
    """Initial weights scaled by the bank's totals, worse of oracle and stable price."""
    LIQUIDATION_END = "liquidation_end"
    """Initial weights, oracle price."""
    MAINT = "maint"


class Prices(msgspec.Struct, frozen=True):
    """Oracle price and the slow stable price; the latter defaults to the former."""

    oracle: float
    stable: float | None = None

    def asset(self, health: HealthType) -> float:
        """The lower of the two for init health."""
        use_stable = health is HealthType.INIT and self.stable is not None
        return min(self.oracle, self.stable or 0.0) if use_stable else self.oracle

    def liability(self, health: HealthType) -> float:
        """The higher of the two for init health."""
        use_stable = health is HealthType.INIT and self.stable is not None
        return max(self.oracle, self.stable or 0.0) if use_stable else self.oracle


class Token(msgspec.Struct, frozen=True):
    """One bank: prices, weights, and totals that scale the initial weights."""

    prices: Prices
    init_asset_weight: float = 0.8
    init_liability_weight: float = 1.2
    maint_asset_weight: float | None = None
    maint_liability_weight: float | None = None
    """Default: the initial ones."""
    deposits: float = 0.0
    borrows: float = 0.0
    potential_order_tokens: float = 0.0
    """Tokens in open orders that may come to the bank; they count as deposits."""
    deposit_scale_start: float | None = None
    borrow_scale_start: float | None = None
    """In quote; None turns scaling off."""

    def asset_weight(self, health: HealthType) -> float:
        """w, times start / deposits above the start for init health."""
        if health is HealthType.MAINT:
            return self.init_asset_weight if self.maint_asset_weight is None else self.maint_asset_weight
        if health is HealthType.LIQUIDATION_END or self.deposit_scale_start is None:
            return self.init_asset_weight
        value = (self.deposits + self.potential_order_tokens) * self.prices.asset(health)
        scale = self.deposit_scale_start / value if value > self.deposit_scale_start else 1.0
        return self.init_asset_weight * scale

    def liability_weight(self, health: HealthType) -> float:
        """w, times borrows / start above the start for init health."""
        if health is HealthType.MAINT:
            weight = self.maint_liability_weight
            return self.init_liability_weight if weight is None else weight
        if health is HealthType.LIQUIDATION_END or self.borrow_scale_start is None:
            return self.init_liability_weight
        value = self.borrows * self.prices.liability(health)
        scale = value / self.borrow_scale_start if value > self.borrow_scale_start else 1.0
        return self.init_liability_weight * scale


class SpotOrders(msgspec.Struct, frozen=True):
    """Amounts that open spot orders reserve on one market."""

    base: str
    quote: str
    reserved_base: float
    reserved_quote: float
    lowest_ask: float = 0.0
    """Quote per base of the lowest ask placed; 0 is unset."""
    highest_bid_inverse: float = 0.0
    """Base per quote of the highest bid placed; 0 is unset."""


class Perpetual(msgspec.Struct, frozen=True):
    """One perpetual position with its open orders."""

    settle_token: str
    prices: Prices
    base_lot_size: float
    base_lots: int
    quote: float
    """Quote position in native units, funding included."""
    bid_lots: int = 0
    ask_lots: int = 0
    init_base_asset_weight: float = 1.0
    init_base_liability_weight: float = 1.0
    init_overall_asset_weight: float = 1.0
    maint_base_asset_weight: float | None = None
    maint_base_liability_weight: float | None = None
    maint_overall_asset_weight: float | None = None

    def weights(self, health: HealthType) -> tuple[float, float, float]:
        """(base asset, base liability, overall asset) weight."""
        init = (self.init_base_asset_weight, self.init_base_liability_weight, self.init_overall_asset_weight)
        if health is not HealthType.MAINT:
            return init
        maint = (
            self.maint_base_asset_weight,
            self.maint_base_liability_weight,
            self.maint_overall_asset_weight,
        )
        asset, liability, overall = (
            first if second is None else second for first, second in zip(init, maint, strict=True)
        )
        return asset, liability, overall


def perpetual_profit(perpetual: Perpetual, health: HealthType) -> float:
    """Weighted unsettled profit, settle-token units: the worse of all bids and all asks filled.

    Source: cache.rs `unweighted_health_unsettled_pnl`, `health_unsettled_pnl`.
    """
    asset_weight, liability_weight, overall = perpetual.weights(health)
    asset_price, liability_price = perpetual.prices.asset(health), perpetual.prices.liability(health)
    cases = []
    for order_lots, order_price in (
        (perpetual.bid_lots, liability_price),
        (-perpetual.ask_lots, asset_price),
    ):
        base = (perpetual.base_lots + order_lots) * perpetual.base_lot_size
        value = base * (liability_weight * liability_price if base < 0 else asset_weight * asset_price)
        cases.append(value - order_lots * perpetual.base_lot_size * order_price)
    profit = perpetual.quote + min(cases)
    return profit * overall if profit > 0 else profit


def balance_health(token: Token, balance: float, health: HealthType) -> float:
    """Balance times price times the asset weight where >= 0, the liability weight below."""
    if balance < 0:
        return balance * token.liability_weight(health) * token.prices.liability(health)
    return balance * token.asset_weight(health) * token.prices.asset(health)


def reserved_as(orders: SpotOrders, tokens: Mapping[str, Token], health: HealthType) -> tuple[float, float]:
    """What an order account holds if all reserved funds become (base, quote).

    Conversion at oracle prices, but no better than the best price placed.
    """
    base, quote = tokens[orders.base].prices, tokens[orders.quote].prices
    bought = orders.reserved_quote * quote.asset(health) / base.liability(health)
    sold = orders.reserved_base * base.asset(health) / quote.liability(health)
    at_bid = orders.reserved_quote * orders.highest_bid_inverse
    at_ask = orders.reserved_base * orders.lowest_ask
    return (
        orders.reserved_base + (min(bought, at_bid) if at_bid != 0 else bought),
        orders.reserved_quote + (min(sold, at_ask) if at_ask != 0 else sold),
    )


def reserved_effect(token: Token, maximum: float, reserved: float, health: HealthType) -> float:
    """Health that `reserved` adds to a token if it arrives last, `maximum` being the balance with it."""
    as_asset = reserved if maximum >= reserved else max(0.0, maximum)
    as_liability = reserved - as_asset
    return as_asset * token.asset_weight(health) * token.prices.asset(health) + as_liability * token.liability_weight(
        health
    ) * token.prices.liability(health)


def orders_health(
    orders: Sequence[SpotOrders],
    tokens: Mapping[str, Token],
    balances: Mapping[str, float],
    health: HealthType,
) -> float:
    """Health of all reserved spot funds: each market at its worse side, the others all resolved against it.

    Source: cache.rs `compute_serum3_reservations`, `Serum3Info::health_contribution`.
    """
    reserved = [reserved_as(each, tokens, health) for each in orders]
    maximum = dict(balances)
    for each, (base, quote) in zip(orders, reserved, strict=True):
        maximum[each.base] = maximum.get(each.base, 0.0) + base
        maximum[each.quote] = maximum.get(each.quote, 0.0) + quote
    total = 0.0
    for each, (base, quote) in zip(orders, reserved, strict=True):
        if base == 0 or quote == 0:
            continue
        total += min(
            reserved_effect(tokens[each.base], maximum[each.base], base, health),
            reserved_effect(tokens[each.quote], maximum[each.quote], quote, health),
        )
    return total


def account_health(
    balances: Mapping[str, float],
    tokens: Mapping[str, Token],
    orders: Sequence[SpotOrders] = (),
    perpetuals: Sequence[Perpetual] = (),
    health: HealthType = HealthType.INIT,
) -> float:
    """Health of one account in quote.

    Parameters
    ----------
    balances : native token amounts by token, free order funds included, negative where borrowed.
    tokens : banks by the same names.
    """
    effective = dict(balances)
    for perpetual in perpetuals:
        settle = perpetual.settle_token
        effective[settle] = effective.get(settle, 0.0) + perpetual_profit(perpetual, health)
    total = sum(balance_health(tokens[name], balance, health) for name, balance in effective.items())
    return total + orders_health(orders, tokens, effective, health)


class TokenTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One token as a policy states it: weights, and totals of its bank that scale the initial ones."""

    init_asset_weight: float
    init_liability_weight: float
    maint_asset_weight: float
    maint_liability_weight: float
    deposits_coins: float = 0.0
    borrows_coins: float = 0.0
    deposit_scale_start_usd: float | None = None
    borrow_scale_start_usd: float | None = None

    def token(self, prices: Prices) -> Token:
        """The bank at these prices."""
        return Token(
            prices,
            self.init_asset_weight,
            self.init_liability_weight,
            self.maint_asset_weight,
            self.maint_liability_weight,
            self.deposits_coins,
            self.borrows_coins,
            0.0,
            self.deposit_scale_start_usd,
            self.borrow_scale_start_usd,
        )


class PerpetualTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One perpetual as a policy states it."""

    init_base_asset_weight: float
    init_base_liability_weight: float
    maint_base_asset_weight: float
    maint_base_liability_weight: float
    init_overall_asset_weight: float = 1.0
    maint_overall_asset_weight: float = 1.0


class MangoParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tokens by asset and perpetuals by underlying (or by instrument id), `*` for all others."""

    tokens: Mapping[str, TokenTerms]
    perpetuals: Mapping[str, PerpetualTerms]


TYPES = (HealthType.INIT, HealthType.MAINT)


class PreparedMango(PreparedVenue):
    """The rule at one market."""

    ratio_name = "maint_health"

    def build(self) -> None:
        """Banks and perpetuals, and what each side of a lot is worth by health type."""
        size, market = len(self.universe), self.market
        self.tokens: dict[int, Token] = {}
        self.perpetuals: dict[int, Perpetual] = {}
        self.value = {each: np.zeros((2, size)) for each in TYPES}
        """(asset, liability) worth of a coin of a token in USD, of a coin of a perpetual in its settlement asset."""
        self.overall = {each: np.ones(size) for each in TYPES}
        for i, each in enumerate(self.universe):
            if i in self.missing or market.ticks[i] <= 0:
                continue
            prices = Prices(float(market.price[i]), float(market.slow_price[i]))
            if isinstance(each, Spot):
                self._add_token(i, found_in(self.params.tokens, each).token(prices))
            elif self.universe.terms.form[i] == LINEAR:
                self._add_perpetual(i, found_in(self.params.perpetuals, each), prices)

    def _add_token(self, i: int, token: Token) -> None:
        self.tokens[i] = token
        for health in TYPES:
            self.value[health][:, i] = (
                token.asset_weight(health) * token.prices.asset(health),
                token.liability_weight(health) * token.prices.liability(health),
            )

    def _add_perpetual(self, i: int, terms: PerpetualTerms, prices: Prices) -> None:
        self.perpetuals[i] = Perpetual(
            str(self.universe.terms.settlement[i]),
            prices,
            float(self.universe.terms.unit[i]),
            0,
            0.0,
            **msgspec.structs.asdict(terms),
        )
        for health in TYPES:
            asset, liability, overall = self.perpetuals[i].weights(health)
            self.value[health][:, i] = asset * prices.asset(health), liability * prices.liability(health)
            self.overall[health][i] = overall

    def weights(self) -> F64:
        """Maintenance asset weights."""
        found = [found_in(self.params.tokens, each) if isinstance(each, Spot) else None for each in self.universe]
        return np.array([0.0 if each is None else each.maint_asset_weight for each in found])

    def _health(self, block: Block, health: HealthType) -> F64:
        """(A,) health of a block of accounts, USD."""
        rows, i = block.rows, block.rows.instrument
        asset, liability = self.value[health]
        coins = rows.lots * self.universe.terms.unit[i]
        cost = rows.cost * self.universe.terms.lot_coins[i]
        profit = coins * np.where(rows.lots < 0, liability[i], asset[i]) + cost
        profit = np.where(profit > 0, profit * self.overall[health][i], profit)
        paid = self.paid(block.payers, np.where(self.universe.terms.form[i] == SPOT, coins, profit))
        worth = paid.coins * np.where(paid.coins < 0, liability[paid.spot], asset[paid.spot])
        return sums(paid.owner, worth, block.size)

    def figures(self, block: Block) -> Figures:
        """Margins and health of a block of accounts."""
        init, maint = (self._health(block, each) for each in TYPES)
        initial, maintenance = block.equity - init, block.equity - maint
        return Figures(initial, maintenance, 4.0 * block.gross, venue_ratio=maint)

    def addends(self, held: Held) -> Addends:
        """What weights and prices take from each balance, perpetuals netted into their settlement token."""
        return Addends(
            self.value_addends(held), self._addends_of(held, HealthType.INIT), self._addends_of(held, HealthType.MAINT)
        )

    def _addends_of(self, held: Held, health: HealthType) -> list[Addend]:
        found = list[Addend]()
        effective = {i: float(coins) for i, coins in held.coins.items()}
        worth = self.balances_usd(held)
        for i, lots in held.lots.items():
            position = msgspec.structs.replace(self.perpetuals[i], base_lots=lots, quote=float(held.cost[i]))
            payer = int(self.universe.terms.settlement[i])
            profit = perpetual_profit(position, health)
            effective[payer] = effective.get(payer, 0.0) + profit
            usd = self.exact_price_usd(payer)
            found.append(("perp base weight", self.universe[i].id, held.profit[i] * usd - Fraction(profit) * usd))
            worth[payer] += (Fraction(profit) - held.profit[i]) * usd
        for i, balance in effective.items():
            counted = Fraction(balance_health(self.tokens[i], balance, health))
            name = "asset weight" if balance >= 0 else "liability weight"
            found.append((name, self.universe[i].id, worth[i] - counted))
        return found


class MangoRule(VenueRule):
    """Mango v4 health; see the module."""

    name = "mango-v4"
    Params = MangoParams
    margins = frozenset({"cash", "spot", "debt", "perpetual"})
    prepared = PreparedMango

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Weights on the wrong side of one, maintenance stricter than initial."""
        rows: list[tuple[str, object, bool, str]] = []
        for name, token in params.tokens.items():
            low, high = token.init_asset_weight, token.maint_asset_weight
            rows.append((f"tokens.{name}.asset_weight", (low, high), 0 <= low <= high <= 1, "0 <= init <= maint <= 1"))
            high, low = token.init_liability_weight, token.maint_liability_weight
            rows.append((f"tokens.{name}.liability_weight", (high, low), 1 <= low <= high, "1 <= maint <= init"))
        for name, each in params.perpetuals.items():
            low, high = each.init_base_asset_weight, each.maint_base_asset_weight
            good = 0 <= low <= high <= 1
            rows.append((f"perpetuals.{name}.base_asset_weight", (low, high), good, "0 <= init <= maint <= 1"))
            high, low = each.init_base_liability_weight, each.maint_base_liability_weight
            good = 1 <= low <= high
            rows.append((f"perpetuals.{name}.base_liability_weight", (high, low), good, "1 <= maint <= init"))
            low, high = each.init_overall_asset_weight, each.maint_overall_asset_weight
            good = 0 <= low <= high <= 1
            rows.append((f"perpetuals.{name}.overall_asset_weight", (low, high), good, "0 <= init <= maint <= 1"))
        return checked(rows)

    def missing(self, params: Any, universe: Universe) -> dict[int, str]:
        """Tokens and perpetuals without weights."""
        tokens = unlisted(universe, params.tokens, "tokens", (SPOT,))
        return {**tokens, **unlisted(universe, params.perpetuals, "perpetuals", (LINEAR,))}
