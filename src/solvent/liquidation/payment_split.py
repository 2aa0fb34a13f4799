"""Gearbox's split of a liquidated account's funds: pool and its fees first, the rest to the owner."""

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.pools.fixed_point import BPS


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Basis points. Source: Gearbox-protocol/core-v3, contracts/libraries/CreditLogic.sol."""

    liquidation_discount_bps: int = 9600
    """Share of value that is recovered; the rest is the liquidator's premium."""
    fee_liquidation_bps: int = 150
    """Of total value, to the treasury."""
    token_fee_bps: int = 0
    """Fee that the underlying token itself takes on a transfer."""


class Payments(msgspec.Struct, frozen=True):
    """Atoms of the underlying."""

    amount_to_pool: int
    """What is sent, the token's own fee included."""
    remaining: int
    """To the owner."""
    profit: int
    """To the treasury, on top of debt and interest."""
    loss: int
    """Debt and interest that stay unpaid: at most one of profit and loss is above 0."""


def amount_with_fee_down(amount: int, token_fee_bps: int) -> int:
    """What must be sent for `amount` to arrive."""
    return mul_div_down(amount, BPS + token_fee_bps, BPS)


def amount_minus_fee_down(amount: int, token_fee_bps: int) -> int:
    """What arrives of `amount`."""
    return mul_div_down(amount, BPS - token_fee_bps, BPS)


def liquidation_payments(params: Params, total_value: int, debt: int, interest: int, fees: int) -> Payments:
    """Distribute a closed account.

    Parameters
    ----------
    total_value : int
        Of the account's assets.
    debt, interest, fees : int
        Principal, accrued interest, and the treasury's fee on it.
    """
    owed = debt + interest
    received = owed + fees + mul_div_down(total_value, params.fee_liquidation_bps, BPS)
    funds = mul_div_down(total_value, params.liquidation_discount_bps, BPS)
    sent = amount_with_fee_down(received, params.token_fee_bps)
    remaining = max(funds - sent, 0)
    if funds <= sent:
        sent, received = funds, amount_minus_fee_down(funds, params.token_fee_bps)
    return Payments(sent, remaining, max(received - owed, 0), max(owed - received, 0))
