"""Mango v4 health: weighted balances, open orders at their worse side, perpetuals netted into their settle token.

Numeraire: the reference token's native units (quote). Health >= 0 is the whole test; equity in the sense of a
Statement is assets - liabilities at weight one, MM the weighted part. Unsettled profit: a perpetual's
"hupnl" joins the settle token's balance before its sign is taken; positive profit at the overall weight.
Breach: liquidatable iff maintenance health < 0 (strict); new risk needs init health >= 0; liquidation ends at
liquidation-end health >= 0. Rounding: reals (the program uses binary fixed point of 48 fractional bits).
Unpublished: nothing; weights are set on chain.
Source: blockworks-foundation/mango-v4, programs/mango-v4/src/health/cache.rs, state/bank.rs.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec


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
