"""Hyperliquid's liquidation ladder: the book, then the vault, then deleveraging by profit and leverage.

Source: Hyperliquid docs, trading/liquidations and trading/auto-deleveraging.
"""

import msgspec


class LadderParams(msgspec.Struct, frozen=True):
    """Sizes and times of the ladder."""

    partial_notional_usd: float = 100_000.0
    """Larger positions are first sold in part."""
    partial_fraction: float = 0.2
    cooldown_s: float = 30.0
    """After a partial sale; then all of it is sold."""
    vault_fraction: float = 2.0 / 3.0
    """Below this fraction of maintenance margin the liquidator vault takes the whole account."""


def close_fraction(notional_usd: float, since_partial_s: float | None, params: LadderParams) -> float:
    """Share of a position that is sent to the book; `since_partial_s` is None before any partial sale.

    Zero while the cooldown after a partial sale runs.
    """
    if since_partial_s is None:
        return params.partial_fraction if notional_usd > params.partial_notional_usd else 1.0
    return 0.0 if since_partial_s < params.cooldown_s else 1.0


def goes_to_vault(account_value_usd: float, maintenance_usd: float, params: LadderParams) -> bool:
    """Whether the vault takes over: account value below two thirds of maintenance margin."""
    return account_value_usd < params.vault_fraction * maintenance_usd


def deleverage_index(mark: float, entry: float, notional_usd: float, account_value_usd: float) -> float:
    """Rank of a profitable counterparty, highest first: (mark / entry) (notional / account value)."""
    return mark / entry * (notional_usd / account_value_usd)
