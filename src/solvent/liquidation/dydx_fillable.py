"""dYdX v4 liquidation: bankruptcy price, fillable price, what the insurance fund gets or gives.

Quote quantums (1e-6 USD) throughout; prices as quote quantums per base quantum, exact fractions.
Source: dydxprotocol/v4-chain, protocol/x/clob/keeper/liquidations.go.
"""

from collections.abc import Mapping
from fractions import Fraction

import msgspec

from solvent.errors import SolventError, problem
from solvent.margin.rules.dydx_v4 import PPM, Market, account_risk, position_risk, power_of_ten_down


class LiquidationParams(msgspec.Struct, frozen=True):
    """The chain's liquidation settings, parts per million."""

    bankruptcy_adjustment_ppm: int = 1_000_000
    spread_to_maintenance_ratio_ppm: int = 100_000
    max_liquidation_fee_ppm: int = 5_000


class Account(msgspec.Struct, frozen=True):
    """One account and the markets of its positions."""

    quote_quantums: int
    positions: Mapping[str, int]
    """Base quantums, signed."""
    markets: Mapping[str, Market]


def bankruptcy_price_quote(account: Account, name: str, delta: int) -> int:
    """Quote quantums, signed, at which closing `delta` base quantums leaves the rest as solvent as before.

    -dNNV - floor(NC |dMMR| / MMR), so it rounds toward plus infinity; positive is received (a long is sold).
    Raises SolventError where `delta` does not reduce the position or the account needs no maintenance margin.
    """
    size = account.positions.get(name, 0)
    if size * delta >= 0 or abs(delta) > abs(size):
        raise SolventError(problem("liquidation", None, "delta", delta, f"a reduction of {name} = {size}"))
    market = account.markets[name]
    before, after = position_risk(size, market), position_risk(size + delta, market)
    total = account_risk(account.quote_quantums, account.positions, account.markets)
    if total.maintenance == 0:
        raise SolventError(problem("liquidation", None, "maintenance margin", 0, "more than zero"))
    share = total.net_collateral * (before.maintenance - after.maintenance) // total.maintenance
    return before.net_collateral - after.net_collateral - share


def fillable_price(account: Account, name: str, params: LiquidationParams) -> Fraction:
    """Limit price of a liquidation order, quote quantums per base quantum, exact.

    (PNNV - ABR SMMR PMMR) / size with ABR = clamp(BA (1 - NC / MMR), 0, 1): the oracle price, moved against
    the account by up to a share of the position's maintenance margin as the account nears bankruptcy.
    """
    size = account.positions.get(name, 0)
    total = account_risk(account.quote_quantums, account.positions, account.markets)
    if size == 0 or total.maintenance == 0:
        raise SolventError(problem("liquidation", None, name, size, "a position with maintenance margin"))
    position = position_risk(size, account.markets[name])
    rating = Fraction(params.bankruptcy_adjustment_ppm, PPM) * (1 - Fraction(total.net_collateral, total.maintenance))
    spread = Fraction(params.spread_to_maintenance_ratio_ppm, PPM) * position.maintenance
    return (position.net_collateral - min(Fraction(1), max(Fraction(0), rating)) * spread) / size


def fill_quote(subticks: int, base_quantums: int, quantum_conversion_exponent: int) -> int:
    """Quote quantums of a fill at a book price of `subticks`, rounded down."""
    return power_of_ten_down(subticks * base_quantums, quantum_conversion_exponent)


def insurance_fund_delta(
    account: Account, name: str, is_buy: bool, base_quantums: int, quote_quantums: int, max_fee_ppm: int
) -> int:
    """What the insurance fund receives (positive) or pays (negative) when a fill closes part of a position.

    The fill's gain over the bankruptcy price, capped by the fee, rounded down; a loss in full.

    Parameters
    ----------
    is_buy : the order buys, so it closes a short.
    base_quantums, quote_quantums : size and value of the fill, both positive.
    max_fee_ppm : cap of the fee, of the fill's value.
    """
    delta, received = (base_quantums, -quote_quantums) if is_buy else (-base_quantums, quote_quantums)
    gain = received - bankruptcy_price_quote(account, name, delta)
    return min(gain, quote_quantums * max_fee_ppm // PPM) if gain > 0 else gain


def liquidatable_size(size: int, notional: int, notional_limit: int, step: int) -> int:
    """Most base quantums, unsigned, that one block may close of a position.

    All of it where its notional is within the limit or it is one step; else the limit's worth, rounded down
    to whole steps, at least one.
    """
    if abs(notional) <= notional_limit or abs(size) <= step:
        return abs(size)
    worth = abs(size) * notional_limit // abs(notional)
    return max(step, worth // step * step)
