"""Synthetix v3 perpetuals: margin ratio linear in a position's share of its market's skew scale.

Numeraire: USD. Available margin is discounted collateral plus profit and funding of all positions, in full; a
position opens at the fill price that its own skew makes, and is valued at the index. Breach: liquidatable iff
available margin < maintenance margin + possible liquidation rewards (strict), and positions are open.
Rounding: reals (the contract truncates at 1e-18). Unpublished: nothing.
As a Statement: MM = equity - available margin + maintenance margin and rewards, so that equity < MM iff available
margin < what is required; without positions MM = equity - max(0, available margin). USD assets count at par, the mark
is the index. Liquidation rewards are a share of notional between a least and a most.
Source: Synthetixio/synthetix-v3, markets/perps-market/contracts/storage/PerpsMarketConfiguration.sol,
PerpsAccount.sol, AsyncOrder.sol.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from solvent.domain.instruments import STABLECOINS, Spot
from solvent.domain.universe import LINEAR, Universe
from solvent.errors import Problem
from solvent.margin.rules.rows import Held, found_in
from solvent.margin.rules.venue import (
    F64,
    Addend,
    Addends,
    Block,
    Figures,
    PreparedVenue,
    VenueRule,
    checked,
    total,
    unlisted,
)


class MarketParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of one market; ratios as the protocol's tests list BTC, each market has its own."""

    skew_scale: float
    """Size, in units, at which the price moves by the index price."""
    initial_ratio: float = 2.0
    """Slope of the initial ratio by |size| / skew scale."""
    initial_ratio_min: float = 0.01
    maintenance_scalar: float = 0.5
    """Maintenance ratio as a fraction of the initial one."""
    position_margin_min_usd: float = 0.0
    """Flat amount on top of either margin."""


class Position(msgspec.Struct, frozen=True):
    """One position, signed size in units."""

    market: str
    size: float
    entry_price_usd: float
    params: MarketParams
    funding_usd: float = 0.0
    """Accrued funding, positive in the account's favour."""


class Account(msgspec.Struct, frozen=True):
    """Sums of one account, USD."""

    profit: Mapping[str, float]
    available_margin: float
    initial_margin: float
    maintenance_margin: float
    is_liquidatable: bool


def fill_price(size: float, skew: float, index_price: float, skew_scale: float) -> float:
    """Average price of a trade of `size` (signed) into a market of `skew`: index (1 + (skew + size / 2) / scale)."""
    return index_price * (1.0 + (skew + size / 2.0) / skew_scale)


def position_profit(position: Position, index_price: float) -> float:
    """Unrealised profit at the index and accrued funding, USD."""
    return position.size * (index_price - position.entry_price_usd) + position.funding_usd


def position_margins(size: float, index_price: float, params: MarketParams) -> tuple[float, float]:
    """(initial, maintenance) margin of one position, USD.

    Initial ratio = |size| / skew scale x ratio + minimum; maintenance ratio = that x scalar; both on notional,
    plus the flat minimum.
    """
    notional = abs(size) * index_price
    ratio = abs(size) / params.skew_scale * params.initial_ratio + params.initial_ratio_min
    flat = params.position_margin_min_usd
    return notional * ratio + flat, notional * ratio * params.maintenance_scalar + flat


def account(
    collateral_usd: float,
    positions: Sequence[Position],
    index_prices: Mapping[str, float],
    liquidation_rewards_usd: float = 0.0,
) -> Account:
    """Profit by market, available margin, requirements and the liquidation test of one account.

    `collateral_usd` is after the size discount of each collateral; rewards are what a liquidation would cost.
    """
    profit: dict[str, float] = {}
    initial = maintenance = liquidation_rewards_usd if positions else 0.0
    for position in positions:
        price = index_prices[position.market]
        profit[position.market] = profit.get(position.market, 0.0) + position_profit(position, price)
        first, second = position_margins(position.size, price, position.params)
        initial, maintenance = initial + first, maintenance + second
    available = collateral_usd + sum(profit.values())
    return Account(profit, available, initial, maintenance, bool(positions) and available < maintenance)


class SynthetixParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Markets by instrument id or underlying, `*` for all others; discounts by asset."""

    markets: Mapping[str, MarketParams]
    collateral_discounts: Mapping[str, float] = {}
    """Part of a collateral's value that does not count; an asset that is not listed does not count at all."""
    liquidation_reward_ratio: float = 0.0003
    liquidation_reward_min_usd: float = 0.0
    liquidation_reward_max_usd: float = float("inf")


class PreparedSynthetix(PreparedVenue):
    """The rule at one market."""

    cash_at_par = True

    def build(self) -> None:
        """Each market's rates on one lot: ratio = slope x lots + least."""
        self.markets: dict[int, MarketParams] = {
            i: found_in(self.params.markets, each)
            for i, each in enumerate(self.universe)
            if self.universe.terms.form[i] == LINEAR and i not in self.missing
        }
        columns = np.zeros((4, len(self.universe)))
        for i, each in self.markets.items():
            slope = self.universe.terms.unit[i] / each.skew_scale * each.initial_ratio
            columns[:, i] = slope, each.initial_ratio_min, each.maintenance_scalar, each.position_margin_min_usd
        self.slope, self.least, self.scalar, self.flat = columns

    def weights(self) -> F64:
        """1 less the discount."""
        return np.array([self._weight(each) for each in self.universe])

    def _weight(self, each: Any) -> float:
        if not isinstance(each, Spot):
            return 0.0
        discount = found_in(self.params.collateral_discounts, each)
        return 1.0 if each.asset in STABLECOINS else 0.0 if discount is None else 1.0 - discount

    def figures(self, block: Block) -> Figures:
        """Margins of a block of accounts."""
        rows, which = block.rows, block.rows.instrument
        size = np.abs(rows.lots)
        is_position = self.universe.terms.form[which] == LINEAR
        notional = np.where(is_position, size * self.notional[which], 0.0)
        margin = notional * (size * self.slope[which] + self.least[which])
        flat = rows.total(self.flat[which] * (rows.lots != 0))
        params = self.params
        held = rows.total(1.0 * (is_position & (rows.lots != 0))) > 0
        least, most = params.liquidation_reward_min_usd, params.liquidation_reward_max_usd
        rewards = np.clip(rows.total(notional) * params.liquidation_reward_ratio, least, most)
        initial = rows.total(margin) + flat + rewards
        maintenance = rows.total(margin * self.scalar[which]) + flat + rewards
        haircuts = self.haircuts(block)
        free = block.equity - np.maximum(0.0, block.equity - haircuts)
        return Figures(
            np.where(held, haircuts + initial, haircuts), np.where(held, haircuts + maintenance, free), initial
        )

    def addends(self, held: Held) -> Addends:
        """Discounts, each position's margins, rewards."""
        equity, haircuts = self.value_addends(held), self.haircut_addends(held)
        positions = {i: lots for i, lots in held.lots.items() if lots}
        if not positions:
            available = total(equity) - total(haircuts)
            deficit: list[Addend] = [("nothing to liquidate", "", available)] if available < 0 else []
            return Addends(equity, haircuts, [*haircuts, *deficit])
        initial, maintenance, notional = list[Addend](haircuts), list[Addend](haircuts), 0.0
        for i, lots in positions.items():
            id, price = self.universe[i].id, float(self.market.price[i])
            first, second = position_margins(self.coins_of(i, lots), price, self.markets[i])
            initial.append(("initial margin", id, first))
            maintenance.append(("maintenance margin", id, second))
            notional += abs(lots) * float(self.notional[i])
        params = self.params
        reward = min(
            max(notional * params.liquidation_reward_ratio, params.liquidation_reward_min_usd),
            params.liquidation_reward_max_usd,
        )
        rewards: Addend = ("liquidation rewards", "", Fraction(reward))
        return Addends(equity, [*initial, rewards], [*maintenance, rewards])


class SynthetixRule(VenueRule):
    """Synthetix v3 perpetuals; see the module."""

    name = "synthetix-v3"
    Params = SynthetixParams
    margins = frozenset({"cash", "spot", "perpetual"})
    homogeneous = False
    prepared = PreparedSynthetix

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Ratios and discounts outside their bounds."""
        rows = [
            (f"collateral_discounts.{name}", x, 0 <= x <= 1, "a discount from 0 to 1")
            for name, x in params.collateral_discounts.items()
        ]
        least, most = params.liquidation_reward_min_usd, params.liquidation_reward_max_usd
        ratio = params.liquidation_reward_ratio
        rows += [
            ("liquidation_reward_ratio", ratio, 0 <= ratio <= 1, "from 0 to 1"),
            ("liquidation_reward_max_usd", most, 0 <= least <= most, "at least liquidation_reward_min_usd"),
        ]
        for name, each in params.markets.items():
            scalar = each.maintenance_scalar
            rows += [
                (f"markets.{name}.skew_scale", each.skew_scale, each.skew_scale > 0, "above 0"),
                (f"markets.{name}.initial_ratio", each.initial_ratio, each.initial_ratio >= 0, "0 or more"),
                (f"markets.{name}.initial_ratio_min", each.initial_ratio_min, each.initial_ratio_min >= 0, "0 or more"),
                (f"markets.{name}.maintenance_scalar", scalar, 0 < scalar <= 1, "above 0, at most 1"),
                (
                    f"markets.{name}.position_margin_min_usd",
                    each.position_margin_min_usd,
                    each.position_margin_min_usd >= 0,
                    "0 or more",
                ),
            ]
        return checked(rows)

    def missing(self, params: Any, universe: Universe) -> dict[int, str]:
        """Perpetuals without a market."""
        return unlisted(universe, params.markets, "markets", (LINEAR,))
