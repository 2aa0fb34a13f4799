"""Synthetix v3 perpetuals: margin ratio linear in a position's share of its market's skew scale.

Numeraire: USD. Available margin is discounted collateral plus profit and funding of all positions, in full; a
position opens at the fill price that its own skew makes, and is valued at the index. Breach: liquidatable iff
available margin < maintenance margin + possible liquidation rewards (strict), and positions are open.
Rounding: reals (the contract truncates at 1e-18). Unpublished: nothing.
Source: Synthetixio/synthetix-v3, markets/perps-market/contracts/storage/PerpsMarketConfiguration.sol,
PerpsAccount.sol, AsyncOrder.sol.
"""

from collections.abc import Mapping, Sequence

import msgspec


class MarketParams(msgspec.Struct, frozen=True):
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
