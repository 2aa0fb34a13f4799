"""Drift v2 cross margin: weights by asset that worsen with size, open orders at their worse side.

Numeraire: quote units of 1e-6 (USDC), integers. Equity is total collateral: weighted assets and weighted
profit; liabilities make the margin requirement. Unsettled profit: positive unrealised profit counts at a
weight (initial margin capped at `PROFIT_MAX`), losses in full. Breach: liquidatable iff total collateral <
maintenance requirement (strict); liquidation ends at collateral >= requirement + 2 % buffer.
Rounding: division truncates as in the program, token values toward minus infinity.
Unpublished: nothing; the weights are set on chain by market.
Source: drift-labs/protocol-v2, programs/drift/src/math/margin.rs, state/user.rs, state/spot_market.rs.
"""

from collections.abc import Iterable
from enum import StrEnum
from math import isqrt

import msgspec

WEIGHT = 10_000
"""Precision of weights and margin ratios."""
PRICE = 1_000_000
QUOTE = 1_000_000
BASE = 1_000_000_000
IMF = 1_000_000
OPEN_ORDER_MARGIN = 10_000
"""0.01 USDC for each open order."""
PROFIT_MAX = 100_000_000 * QUOTE
"""Most unrealised profit that a perpetual adds to initial collateral."""


def div_toward_zero(a: int, b: int) -> int:
    """a / b truncated toward zero, b > 0."""
    return a // b if a >= 0 else -(-a // b)


def size_root(size_1e9: int) -> int:
    """sqrt(10 size + 1), rounded down: the size term of every weight, in units of 1e-5."""
    return isqrt(size_1e9 * 10 + 1)


def size_premium_liability_weight(size_1e9: int, imf_1e6: int, weight_1e4: int, precision: int = WEIGHT) -> int:
    """max(w, 0.8 w + imf sqrt(size)), the weight of a liability or the margin ratio of a perpetual.

    Source: margin.rs `calculate_size_premium_liability_weight`.
    """
    if imf_1e6 == 0:
        return weight_1e4
    premium = size_root(size_1e9) * imf_1e6 // (100_000 * IMF // precision)
    return max(weight_1e4, weight_1e4 - weight_1e4 // 5 + premium)


def size_discount_asset_weight(size_1e9: int, imf_1e6: int, weight_1e4: int) -> int:
    """min(w, 1.1 / (1 + imf sqrt(size))), the weight of an asset.

    Source: margin.rs `calculate_size_discount_asset_weight`.
    """
    if imf_1e6 == 0:
        return weight_1e4
    numerator = (IMF + IMF // 10) * WEIGHT
    return min(weight_1e4, numerator // (IMF + size_root(size_1e9) * imf_1e6 // 100_000))


def scaled_initial_asset_weight(weight_1e4: int, scale_start_1e6: int, deposit_value_1e6: int) -> int:
    """w start / deposits once the market's deposits exceed `scale_start`; a start of zero turns it off.

    Source: state/spot_market.rs `get_scaled_initial_asset_weight`.
    """
    if scale_start_1e6 == 0 or deposit_value_1e6 < scale_start_1e6:
        return weight_1e4
    return weight_1e4 * scale_start_1e6 // deposit_value_1e6


def token_value(amount: int, decimals: int, price_1e6: int) -> int:
    """Value of a token amount, 1e-6 quote, rounded toward minus infinity."""
    return int(amount * price_1e6 // 10**decimals)


class MarginType(StrEnum):
    """Initial for new risk, maintenance for liquidation, fill (their mean) while an order is matched."""

    INITIAL = "initial"
    FILL = "fill"
    MAINTENANCE = "maintenance"

    def of(self, initial: int, maintenance: int) -> int:
        """The parameter of this type, the mean rounded down."""
        if self is MarginType.FILL:
            return (initial + maintenance) // 2
        return initial if self is MarginType.INITIAL else maintenance


class SpotParams(msgspec.Struct, frozen=True):
    """Weights of one token; defaults as the program's tests list SOL, each market has its own."""

    initial_asset_weight_1e4: int = 8_000
    maintenance_asset_weight_1e4: int = 9_000
    initial_liability_weight_1e4: int = 12_000
    maintenance_liability_weight_1e4: int = 11_000
    imf_1e6: int = 0
    scale_initial_asset_weight_start_1e6: int = 0
    """Deposits of the market in quote above which its initial asset weight falls; 0 turns it off."""

    def asset_weight(self, margin: MarginType, market_deposits_1e6: int = 0) -> int:
        """Asset weight (1e-4) before the size discount.

        Source: state/spot_market.rs `get_asset_weight`.
        """
        initial = scaled_initial_asset_weight(
            self.initial_asset_weight_1e4, self.scale_initial_asset_weight_start_1e6, market_deposits_1e6
        )
        return margin.of(initial, self.maintenance_asset_weight_1e4)

    def liability_weight(self, margin: MarginType) -> int:
        """Liability weight (1e-4) before the size premium."""
        return margin.of(self.initial_liability_weight_1e4, self.maintenance_liability_weight_1e4)


class PerpetualParams(msgspec.Struct, frozen=True):
    """Margin ratios of one perpetual; defaults as the program's tests list SOL-PERP, each market has its own."""

    initial_ratio_1e4: int = 1_000
    maintenance_ratio_1e4: int = 500
    imf_1e6: int = 0
    initial_profit_weight_1e4: int = WEIGHT
    maintenance_profit_weight_1e4: int = WEIGHT

    def margin_ratio(self, margin: MarginType) -> int:
        """Margin ratio (1e-4) before the size premium."""
        return margin.of(self.initial_ratio_1e4, self.maintenance_ratio_1e4)

    def profit_weight(self, margin: MarginType) -> int:
        """Weight (1e-4) of positive unrealised profit; fills count it as initial margin does."""
        is_maintenance = margin is MarginType.MAINTENANCE
        return self.maintenance_profit_weight_1e4 if is_maintenance else self.initial_profit_weight_1e4


class SpotPosition(msgspec.Struct, frozen=True):
    """One token balance other than the quote token, with its open orders and weights."""

    amount: int
    """Signed, in the token's own precision."""
    decimals: int
    price_1e6: int
    asset_weight_1e4: int
    liability_weight_1e4: int
    open_bids: int = 0
    open_asks: int = 0
    """Token amounts; asks are negative."""
    open_orders: int = 0
    imf_1e6: int = 0


class PerpetualPosition(msgspec.Struct, frozen=True):
    """One perpetual with its open orders; unrealised profit includes funding."""

    base_1e9: int
    price_1e6: int
    unrealised_profit_1e6: int
    margin_ratio_1e4: int
    open_bids_1e9: int = 0
    open_asks_1e9: int = 0
    open_orders: int = 0
    imf_1e6: int = 0
    profit_weight_1e4: int = WEIGHT
    quote_price_1e6: int = PRICE


class Fill(msgspec.Struct, frozen=True):
    """A spot position once one side's orders are filled, 1e-6 quote."""

    token_value: int
    weighted_value: int
    order_value: int
    """Cash that the orders bring (positive) or cost."""

    @property
    def contribution(self) -> int:
        return self.weighted_value + self.order_value


class Margin(msgspec.Struct, frozen=True):
    """Sums over an account, 1e-6 quote."""

    total_collateral: int
    margin_requirement: int

    def __add__(self, other: "Margin") -> "Margin":
        return Margin(
            self.total_collateral + other.total_collateral, self.margin_requirement + other.margin_requirement
        )

    @property
    def meets_requirement(self) -> bool:
        return self.total_collateral >= self.margin_requirement


def weighted_value(position: SpotPosition, amount: int, value: int) -> int:
    """Token value times the asset or liability weight at this size, truncated toward zero."""
    if value == 0:
        return 0
    size_1e9 = abs(amount) * BASE // 10**position.decimals
    if value > 0:
        weight = size_discount_asset_weight(size_1e9, position.imf_1e6, position.asset_weight_1e4)
    else:
        weight = size_premium_liability_weight(size_1e9, position.imf_1e6, position.liability_weight_1e4)
    return div_toward_zero(value * weight, WEIGHT)


def spot_fill(position: SpotPosition, orders: int) -> Fill:
    """The position after `orders` (signed) of the token are filled at the oracle price."""
    cash = token_value(-orders, position.decimals, position.price_1e6)
    value = token_value(position.amount, position.decimals, position.price_1e6) - cash
    return Fill(value, weighted_value(position, position.amount + orders, value), cash)


def spot_margin(position: SpotPosition) -> Margin:
    """Collateral and requirement of one spot position at the worse of all bids and all asks filled.

    Source: state/user.rs `get_worst_case_fill_simulation`, margin.rs.
    """
    bids, asks = spot_fill(position, position.open_bids), spot_fill(position, position.open_asks)
    worst = asks if asks.contribution <= bids.contribution else bids
    collateral = max(0, worst.weighted_value if worst.token_value > 0 else 0) + max(0, worst.order_value)
    liability = (-worst.weighted_value if worst.token_value < 0 else 0) + max(0, -worst.order_value)
    return Margin(collateral, liability + position.open_orders * OPEN_ORDER_MARGIN)


def quote_margin(balance_1e6: int, price_1e6: int = PRICE) -> Margin:
    """The quote token counts one to one, as collateral or as requirement."""
    value = token_value(balance_1e6, 6, price_1e6)
    return Margin(max(0, value), max(0, -value))


def worst_case_base(position: PerpetualPosition) -> int:
    """Base amount with the side of orders filled that leaves more, signed, 1e-9."""
    bids = position.base_1e9 + position.open_bids_1e9
    asks = position.base_1e9 + position.open_asks_1e9
    return bids if abs(bids) > abs(asks) else asks


def perpetual_margin(position: PerpetualPosition, is_initial: bool) -> Margin:
    """Weighted profit as collateral, notional times the ratio at its worst-case size as requirement.

    Source: margin.rs `calculate_perp_position_value_and_pnl`.
    """
    worst = abs(worst_case_base(position))
    notional = worst * position.price_1e6 // BASE * position.quote_price_1e6 // PRICE
    ratio = size_premium_liability_weight(worst, position.imf_1e6, position.margin_ratio_1e4)
    profit = position.unrealised_profit_1e6
    if profit > 0:
        profit = profit * position.profit_weight_1e4 // WEIGHT
    profit = div_toward_zero(profit * position.quote_price_1e6, PRICE)
    if is_initial:
        profit = min(profit, PROFIT_MAX)
    return Margin(profit, notional * ratio // WEIGHT + position.open_orders * OPEN_ORDER_MARGIN)


def account_margin(
    quote_1e6: int,
    spots: Iterable[SpotPosition] = (),
    perpetuals: Iterable[PerpetualPosition] = (),
    is_initial: bool = False,
) -> Margin:
    """Total collateral and margin requirement of one account, 1e-6 quote.

    The caller passes weights and ratios of the margin type (initial, maintenance, or their mean for fills).
    """
    total = quote_margin(quote_1e6)
    for spot in spots:
        total = total + spot_margin(spot)
    for perpetual in perpetuals:
        total = total + perpetual_margin(perpetual, is_initial)
    return total
