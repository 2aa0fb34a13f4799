"""Bybit: initial margin by leverage, maintenance margin by marginal tiers of position value.

Numeraire: the settlement coin (inverse) or USDT (linear). Equity is wallet balance plus unrealised profit,
which counts in full. Breach: the unified account is liquidated iff maintenance margin rate >= 100 %, that is
margin balance <= maintenance margin (not strict). Rounding: reals. Unpublished: none of the tiers.
Source: Bybit help centre, "Initial Margin" and "Maintenance Margin" of inverse and linear contracts.
"""

from collections.abc import Sequence

import msgspec

from solvent.margin.rules.brackets import Bracket, charge, from_uppers

EXAMPLE_TIERS = from_uppers((10.0, 20.0, 30.0, 40.0, 50.0), (0.01, 0.02, 0.03, 0.04, 0.05))
"""Of the help centre's worked example, uppers in coin; each contract has its own table."""


class InverseMargin(msgspec.Struct, frozen=True):
    """Of one inverse position, in coin."""

    position_value: float
    initial_margin: float


def inverse_initial_margin(contracts_usd: float, entry_price: float, leverage: float) -> InverseMargin:
    """Position value contracts / entry in coin, and that over leverage."""
    value = abs(contracts_usd) / entry_price
    return InverseMargin(value, value / leverage)


def linear_initial_margin(size: float, entry_price: float, leverage: float) -> float:
    """Position value size x entry, over leverage."""
    return abs(size) * entry_price / leverage


def maintenance_margin(position_value: float, tiers: Sequence[Bracket]) -> float:
    """Marginal rates by position value, in the unit of the tiers."""
    return charge(abs(position_value), tiers)


def is_liquidatable(margin_balance: float, maintenance: float) -> bool:
    """Maintenance margin rate at 100 % or above."""
    return maintenance > 0 and margin_balance <= maintenance
