"""Drift v2 cross margin: weights by asset that worsen with size, open orders at their worse side.

Numeraire: quote units of 1e-6 (USDC), integers. Equity is total collateral: weighted assets and weighted
profit; liabilities make the margin requirement. Unsettled profit: positive unrealised profit counts at a
weight (initial margin capped at `PROFIT_MAX`), losses in full. Breach: liquidatable iff total collateral <
maintenance requirement (strict); liquidation ends at collateral >= requirement + 2 % buffer.
Rounding: division truncates as in the program, token values toward minus infinity.
Unpublished: nothing; the weights are set on chain by market.
As a Statement: MM = equity - total collateral + requirement at maintenance weights, IM the same at initial ones, so
that equity < MM iff total collateral < requirement. USD assets count as the quote token at their own price; oracle
prices are the marks, cut to 1e-6. Open orders are an argument of the functions here; the rule margins positions.
Source: drift-labs/protocol-v2, programs/drift/src/math/margin.rs, state/user.rs, state/spot_market.rs.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from fractions import Fraction
from math import isqrt
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.instruments import STABLECOINS, Spot
from solvent.domain.universe import LINEAR, SPOT, Universe
from solvent.errors import Problem
from solvent.margin.rules.rows import Held, exact_coins, exact_price, found_in
from solvent.margin.rules.venue import (
    Addend,
    Addends,
    Block,
    Figures,
    PreparedVenue,
    VenueRule,
    checked,
    unlisted,
)

F64 = NDArray[np.float64]
BOOL = NDArray[np.bool_]

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


class SpotParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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


class PerpetualParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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


class SpotTerms(SpotParams, frozen=True, forbid_unknown_fields=True):
    """One token as a policy states it."""

    market_deposits_usd: float = 0.0
    """Of all depositors; scales the initial asset weight."""


class DriftParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tokens by asset and perpetuals by underlying (or by instrument id), `*` for all others."""

    tokens: Mapping[str, SpotTerms]
    perpetuals: Mapping[str, PerpetualParams]


class Weights(NamedTuple):
    """Weights of I instruments for one margin type, x 1e-4, before size counts."""

    asset: F64
    liability: F64
    """Of a perpetual: its margin ratio."""
    profit: F64
    profit_most_usd: float


class Sized(NamedTuple):
    """A weight at its size, x 1e-4, and where the floor in it may be off by one."""

    weight: F64
    doubt: BOOL


def near_whole(x: F64) -> BOOL:
    """Where rounding errors may carry a number over a whole one."""
    return np.asarray(np.abs(x - np.rint(x)) <= 8.0 * 2.0**-52 * np.abs(x) + 1e-12)


def premium_weights(size_1e9: F64, imf_1e6: F64, weight_1e4: F64) -> Sized:
    """`size_premium_liability_weight` of arrays."""
    root = np.sqrt(10.0 * size_1e9 + 1.0)
    premium = np.floor(root) * imf_1e6 / 1e7
    weight = weight_1e4 - np.floor(weight_1e4 / 5.0) + np.floor(premium)
    doubt = (imf_1e6 > 0) & (near_whole(root) | near_whole(premium))
    return Sized(np.where(imf_1e6 > 0, np.maximum(weight_1e4, weight), weight_1e4), doubt)


def discount_weights(size_1e9: F64, imf_1e6: F64, weight_1e4: F64) -> Sized:
    """`size_discount_asset_weight` of arrays."""
    root = np.sqrt(10.0 * size_1e9 + 1.0)
    growth = np.floor(root) * imf_1e6 / 1e5
    weight = 1.1e10 / (1e6 + np.floor(growth))
    doubt = (imf_1e6 > 0) & (near_whole(root) | near_whole(growth) | near_whole(weight))
    return Sized(np.where(imf_1e6 > 0, np.minimum(weight_1e4, np.floor(weight)), weight_1e4), doubt)


class PreparedDrift(PreparedVenue):
    """The rule at one market."""

    ROUNDED = 8 / QUOTE
    """USD by which the integers of one position may be rounded."""
    STEP = 2 / WEIGHT
    """By how much a weight may be off where `Sized.doubt` is set."""

    def build(self) -> None:
        """Prices in integers of 1e-6, and weights of both margin types."""
        size = len(self.universe)
        form = self.universe.terms.form
        self.tokens: dict[int, SpotTerms] = {}
        self.perpetuals: dict[int, PerpetualParams] = {}
        self.imf = np.zeros(size)
        for i, each in enumerate(self.universe):
            if i in self.missing:
                continue
            if isinstance(each, Spot) and each.asset not in STABLECOINS:
                self.tokens[i] = found_in(self.params.tokens, each)
                self.imf[i] = self.tokens[i].imf_1e6
            elif form[i] == LINEAR:
                self.perpetuals[i] = found_in(self.params.perpetuals, each)
                self.imf[i] = self.perpetuals[i].imf_1e6
        self.price_1e6 = [int(exact_price(self.market, i) * PRICE) for i in range(size)]
        self.quote_1e6 = [self.price_1e6[payer] for payer in self.universe.terms.settlement.tolist()]
        self.cut_price = np.array(self.price_1e6) / PRICE
        self.cut_quote = np.array(self.quote_1e6) / PRICE
        units = [exact_coins(self.universe, i, BASE) if i in self.perpetuals else Fraction(0) for i in range(size)]
        self.base_cut_usd = np.array([unit.denominator > 1 for unit in units]) * self.cut_price * self.cut_quote / BASE
        self.kinds = {each: self._weights(each) for each in (MarginType.INITIAL, MarginType.MAINTENANCE)}

    def _weights(self, margin: MarginType) -> Weights:
        """Of every instrument; the quote token weighs one."""
        size = len(self.universe)
        asset, liability, profit = np.full(size, 1.0 * WEIGHT), np.full(size, 1.0 * WEIGHT), np.zeros(size)
        for i in self.tokens:
            asset[i], liability[i] = self._token_weights(i, margin)
        for i, each in self.perpetuals.items():
            liability[i], profit[i] = each.margin_ratio(margin), each.profit_weight(margin)
        most = PROFIT_MAX / QUOTE if margin is MarginType.INITIAL else np.inf
        return Weights(asset, liability, profit, most)

    def _token_weights(self, i: int, margin: MarginType) -> tuple[int, int]:
        token = self.tokens[i]
        return token.asset_weight(margin, int(token.market_deposits_usd * QUOTE)), token.liability_weight(margin)

    def weights(self) -> F64:
        """Maintenance asset weights before size counts."""
        found = np.ones(len(self.universe))
        for i, each in enumerate(self.universe):
            token = found_in(self.params.tokens, each)
            if isinstance(each, Spot) and each.asset not in STABLECOINS:
                found[i] = token.maintenance_asset_weight_1e4 / WEIGHT if token else 0.0
        return found

    def figures(self, block: Block) -> Figures:
        """Margins of a block of accounts."""
        initial, doubt = self._requirement(block, self.kinds[MarginType.INITIAL])
        maintenance, more = self._requirement(block, self.kinds[MarginType.MAINTENANCE])
        i = block.rows.instrument
        slack = block.rows.total(self.ROUNDED + 2.0 * self.base_cut_usd[i]) + doubt + more
        return Figures(initial, maintenance, block.gross, slack=slack)

    def _requirement(self, block: Block, weights: Weights) -> tuple[F64, F64]:
        """(A,) equity less weighted collateral plus requirement; (A,) what a weight off by one would move."""
        rows, i = block.rows, block.rows.instrument
        lots = rows.lots.astype(np.float64)
        is_spot = self.universe.terms.form[i] == SPOT
        coins = lots * self.universe.terms.unit[i]
        size = np.floor(np.abs(coins) * BASE * (1 + 2.0**-52))
        premium = premium_weights(size, self.imf[i], weights.liability[i])
        discount = discount_weights(size, self.imf[i], weights.asset[i])
        is_asset = is_spot & (lots > 0)
        weight = np.where(is_asset, discount.weight, premium.weight) / WEIGHT
        doubt = np.where(is_asset, discount.doubt, premium.doubt)
        value = coins * self.cut_price[i] * np.where(is_spot, 1.0, self.cut_quote[i])
        profit = self.profit_coins(rows)
        kept = np.where(profit > 0, profit * weights.profit[i] / WEIGHT, profit) * self.cut_quote[i]
        counted = np.where(is_spot, value * weight, np.minimum(kept, weights.profit_most_usd) - np.abs(value) * weight)
        worth = self.profit_coins(rows) * self.price_usd[self.universe.terms.settlement[i]]
        return rows.total(worth - counted), rows.total(np.where(doubt, np.abs(value) * self.STEP, 0.0))

    def addends(self, held: Held) -> Addends:
        """What weights take from each position, and each perpetual's requirement."""
        return Addends(
            self.value_addends(held),
            self._addends_of(held, MarginType.INITIAL),
            self._addends_of(held, MarginType.MAINTENANCE),
        )

    def _addends_of(self, held: Held, margin: MarginType) -> list[Addend]:
        found = list[Addend]()
        for i, coins in held.coins.items():
            worth, id = coins * self.exact_price_usd(i), self.universe[i].id
            if i in self.tokens:
                counted, name = spot_margin(self._spot_position(i, coins, margin)), "weight of token"
            else:
                balance = int(coins * QUOTE // 1)
                counted, name = quote_margin(balance, self.price_1e6[i]), "weight of quote"
            net = Fraction(counted.total_collateral - counted.margin_requirement, QUOTE)
            found.append((name, id, worth - net))
        for i, lots in held.lots.items():
            worth = held.profit[i] * self.exact_price_usd(int(self.universe.terms.settlement[i]))
            id, counted = self.universe[i].id, self._perpetual_margin(i, lots, held.profit[i], margin)
            found.append(("weight of unrealised profit", id, worth - Fraction(counted.total_collateral, QUOTE)))
            found.append(("margin requirement", id, Fraction(counted.margin_requirement, QUOTE)))
        return found

    def _spot_position(self, i: int, coins: Fraction, margin: MarginType) -> SpotPosition:
        decimals = self.universe.spot_of(i).decimals
        asset, liability = self._token_weights(i, margin)
        return SpotPosition(
            int(coins * 10**decimals), decimals, self.price_1e6[i], asset, liability, imf_1e6=self.tokens[i].imf_1e6
        )

    def _perpetual_margin(self, i: int, lots: int, profit: Fraction, margin: MarginType) -> Margin:
        each = self.perpetuals[i]
        position = PerpetualPosition(
            int(exact_coins(self.universe, i, lots) * BASE),
            self.price_1e6[i],
            int(profit * QUOTE // 1),
            each.margin_ratio(margin),
            imf_1e6=each.imf_1e6,
            profit_weight_1e4=each.profit_weight(margin),
            quote_price_1e6=self.quote_1e6[i],
        )
        return perpetual_margin(position, margin is MarginType.INITIAL)


class DriftRule(VenueRule):
    """Drift v2 cross margin; see the module."""

    name = "drift-v2"
    Params = DriftParams
    margins = frozenset({"cash", "spot", "debt", "perpetual"})
    homogeneous = False
    prepared = PreparedDrift

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Weights on the wrong side of one, maintenance stricter than initial."""
        rows: list[tuple[str, object, bool, str]] = []
        for name, token in params.tokens.items():
            low, high = token.initial_asset_weight_1e4, token.maintenance_asset_weight_1e4
            rows.append((f"tokens.{name}.asset_weight", (low, high), 0 <= low <= high <= WEIGHT,
                         f"0 <= initial <= maintenance <= {WEIGHT}"))  # fmt: skip
            high, low = token.initial_liability_weight_1e4, token.maintenance_liability_weight_1e4
            rows.append((f"tokens.{name}.liability_weight", (high, low), WEIGHT <= low <= high,
                         f"{WEIGHT} <= maintenance <= initial"))  # fmt: skip
            rows.append((f"tokens.{name}.imf_1e6", token.imf_1e6, 0 <= token.imf_1e6 <= IMF, f"0 to {IMF}"))
        for name, each in params.perpetuals.items():
            high, low = each.initial_ratio_1e4, each.maintenance_ratio_1e4
            rows.append((f"perpetuals.{name}.ratio", (high, low), 0 < low <= high <= WEIGHT,
                         f"0 < maintenance <= initial <= {WEIGHT}"))  # fmt: skip
            low, high = each.initial_profit_weight_1e4, each.maintenance_profit_weight_1e4
            rows.append((f"perpetuals.{name}.profit_weight", (low, high), 0 <= low <= high <= WEIGHT,
                         f"0 <= initial <= maintenance <= {WEIGHT}"))  # fmt: skip
            rows.append((f"perpetuals.{name}.imf_1e6", each.imf_1e6, 0 <= each.imf_1e6 <= IMF, f"0 to {IMF}"))
        return checked(rows)

    def missing(self, params: Any, universe: Universe) -> dict[int, str]:
        """Tokens and perpetuals without weights."""
        tokens = unlisted(universe, params.tokens, "tokens", (SPOT,))
        tokens = {i: why for i, why in tokens.items() if universe[i].underlying not in STABLECOINS}
        return {**tokens, **unlisted(universe, params.perpetuals, "perpetuals", (LINEAR,))}
