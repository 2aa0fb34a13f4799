"""Derive's Dutch auction of a uniform slice of an account: discount curve, largest slice, payouts when insolvent.

Margins are net (negative is a shortfall), values USD, slices fractions of what the account holds beside the
cash that bidders already paid in, which is reserved. Reals; the contract truncates at 1e-18.
Source: derivexyz/v2-core, src/liquidation/DutchAuction.sol; defaults from scripts/config-mainnet.sol.
"""

import msgspec


class AuctionParams(msgspec.Struct, frozen=True):
    """Shape of the auction."""

    starting_discount: float = 0.95
    """Fraction of value asked at the start."""
    fast_cutoff: float = 0.70
    """Fraction asked at the end of the fast leg; the slow leg falls from there to zero."""
    fast_length_s: float = 900.0
    slow_length_s: float = 43_200.0
    insolvent_length_s: float = 3_600.0
    fee_rate: float = 0.10
    """Of the largest slice's value, to the security module when an auction starts solvent."""
    buffer_percent: float = 0.15
    mark_cutoff_usd: float = 0.0
    """Below this value all may be taken at once."""


class AuctionState(msgspec.Struct, frozen=True):
    """An account under auction at present prices."""

    mark_to_market: float
    """Value with reserved cash."""
    maintenance_margin: float
    """Net, with reserved cash."""
    reserved_cash: float = 0.0


class Bid(msgspec.Struct, frozen=True):
    """What a bid takes and pays, and the account after it at the same prices."""

    max_fraction: float
    fraction: float
    cash_from_bidder: float
    after: AuctionState
    is_final: bool
    """The bid took all that may be taken, which ends the auction."""


def can_start(maintenance_margin: float) -> bool:
    """An auction starts below maintenance margin, strictly."""
    return maintenance_margin < 0


def buffer_margin(state: AuctionState, params: AuctionParams) -> float:
    """Margin that the auction restores: MM + (MM - value) buffer, net."""
    shortfall = state.maintenance_margin - state.mark_to_market
    return state.maintenance_margin + shortfall * params.buffer_percent


def discount(elapsed_s: float, params: AuctionParams) -> float:
    """Fraction of value asked after `elapsed_s`: linear over the fast leg, then linear to zero."""
    if elapsed_s < params.fast_length_s:
        fall = params.starting_discount - params.fast_cutoff
        return params.starting_discount - fall * elapsed_s / params.fast_length_s
    slow_s = elapsed_s - params.fast_length_s
    if slow_s >= params.slow_length_s:
        return 0.0
    return params.fast_cutoff * (1.0 - slow_s / params.slow_length_s)


def max_fraction(state: AuctionState, asked: float, params: AuctionParams) -> float:
    """Largest slice that may be sold: BM / (BM - MtM d - R (1 - d)), all below the cutoff value.

    Selling that slice at fraction `asked` of its value brings the buffer margin to zero.
    """
    if state.mark_to_market < params.mark_cutoff_usd:
        return 1.0
    buffer = min(0.0, buffer_margin(state, params))
    denominator = buffer - state.mark_to_market * asked - state.reserved_cash * (1.0 - asked)
    return buffer / denominator if buffer < 0 else 0.0


def start_fee(state: AuctionState, params: AuctionParams) -> float:
    """Fee to the security module when an auction starts on an account of positive value.

    `state` is the account before the fee is paid. An insolvent account pays nothing.
    """
    if state.mark_to_market <= 0:
        return 0.0
    return max_fraction(state, 1.0, params) * state.mark_to_market * params.fee_rate


def bid_price(state: AuctionState, elapsed_s: float, params: AuctionParams) -> float:
    """Cash asked for all that the account holds beside reserved cash."""
    return (state.mark_to_market - state.reserved_cash) * discount(elapsed_s, params)


def place_bid(state: AuctionState, wanted: float, elapsed_s: float, params: AuctionParams) -> Bid:
    """Take up to `wanted` of the account at the present price, solvent leg.

    The slice leaves reserved cash behind; the bidder's cash is reserved too.
    """
    asked = discount(elapsed_s, params)
    most = max_fraction(state, asked, params)
    fraction = min(wanted, most)
    cash = bid_price(state, elapsed_s, params) * fraction
    kept = 1.0 - fraction
    reserved = state.reserved_cash
    after = AuctionState(
        mark_to_market=(state.mark_to_market - reserved) * kept + reserved + cash,
        maintenance_margin=(state.maintenance_margin - reserved) * kept + reserved + cash,
        reserved_cash=reserved + cash,
    )
    return Bid(most, fraction, cash, after, is_final=wanted >= most)


def bidder_cash_required(state: AuctionState, bid: Bid, params: AuctionParams) -> float:
    """Cash that a bidder, who may hold nothing else, must own: the price and the slice's buffer margin."""
    return bid.cash_from_bidder + abs(buffer_margin(state, params) - state.reserved_cash) * bid.fraction


def insolvent_price(state: AuctionState, elapsed_s: float, params: AuctionParams) -> float:
    """Price of an insolvent account, negative: from its value down to its maintenance margin, linearly."""
    if state.maintenance_margin >= 0:
        return 0.0
    value = min(state.mark_to_market, 0.0)
    share = min(1.0, elapsed_s / params.insolvent_length_s) if params.insolvent_length_s > 0 else 1.0
    return (state.maintenance_margin - value) * share + value


def is_withdrawal_blocked(insolvent_margin: float, security_cash: float) -> bool:
    """Withdrawals stop while insolvent accounts need more (sum of |MM|) than the security module holds."""
    return insolvent_margin > 0 and insolvent_margin > security_cash
