# pragma version 0.4.3
"""
@title Health: what an account is worth and what it must hold, in atoms of the settlement asset
@license Apache-2.0
@notice The arithmetic of positions and slices: `Clearing` adds the terms up, and values collateral in the same
        walk; `Auction` sizes with the totals.
        What an account owns is rounded down, what it owes or must hold is rounded up.
        equity E = cash - debt + sum of collateral values + sum of unsettled profits
        margin M = sum of (value - weighted value) + sum of position requirements
        An account is healthy where E >= M. There are two margins: the initial one, at the worse of price and
        slow price and with confidence charged, gates new risk; the maintenance one, at the guarded price,
        decides liquidation.
"""

from . import packing

BPS: constant(uint256) = 10_000
WAD: constant(uint256) = 10**18
FUNDING_SCALE: constant(uint256) = 10**6
MASK_12: constant(uint256) = 2**12 - 1
MASK_16: constant(uint256) = 2**16 - 1
MASK_48: constant(uint256) = 2**48 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_96: constant(uint256) = 2**96 - 1

# States of a price, the worst of all that an account depends on counts.
OK: constant(uint256) = 0
DEGRADED: constant(uint256) = 1
HALTED: constant(uint256) = 2


@internal
@pure
def initial_price(quote: uint256) -> uint256:
    """
    @notice The worse of price and slow price, less its confidence.
    """
    price: uint256 = min(quote & MASK_48, (quote >> 48) & MASK_48)
    return unsafe_div(unsafe_mul(price, unsafe_sub(BPS, (quote >> 96) & MASK_12)), BPS)


@internal
@pure
def funding_up(lots: int256, paid: int256, multiplier: uint256) -> int256:
    """
    @notice What a position owes for funding since its index was read, rounded up (against the account).
    @param paid Present index less the position's, 1e-6 ticks a lot.
    """
    owed: int256 = lots * paid * convert(multiplier, int256)
    scale: int256 = convert(FUNDING_SCALE, int256)
    if owed <= 0:
        return owed // scale  # toward zero, which is up
    return (owed + scale - 1) // scale


@internal
@pure
def unsettled(
    lots: int256, quote_leg: int256, quote: uint256, terms: uint256, initial: bool
) -> (int256, uint256):
    """
    @notice Unsettled profit of a linear position, its funding already in the quote leg, and what it must hold.
    @param quote price 48 | slow price 48 | confidence 12 bits, price in ticks a lot.
    @param terms multiplier 64 | maintenance rate 16 | initial rate 16 bits.
    """
    price: uint256 = quote & MASK_48
    rate: uint256 = (terms >> 64) & MASK_16
    if initial:
        slow: uint256 = (quote >> 48) & MASK_48
        if lots >= 0:
            price = min(price, slow)
        else:
            price = max(price, slow)
        rate = ((terms >> 80) & MASK_16) + 2 * ((quote >> 96) & MASK_12)
    # |lots| < 2**63, price < 2**48, multiplier < 2**64: the notional is below 2**175.
    value: int256 = lots * convert(unsafe_mul(price, terms & MASK_64), int256)
    notional: uint256 = convert(abs(value), uint256)
    return value + quote_leg, unsafe_div(unsafe_mul(notional, rate) + BPS - 1, BPS)


@internal
@pure
def liquidatable(equity: int256, margin: uint256, state: uint256) -> bool:
    """
    @notice Below the maintenance margin at a good price; at a degraded one only where health is below 0.9.
    """
    required: int256 = convert(margin, int256)
    if state == OK:
        return equity < required
    if state == DEGRADED:
        return 10 * equity < 9 * required
    return False


@internal
@pure
def missing_up(equity: int256, margin: uint256, buffer_bps: uint256) -> int256:
    """
    @notice By how much equity falls short of the margin with its buffer; zero or less where it does not.
    """
    buffered: uint256 = margin + (margin * buffer_bps + BPS - 1) // BPS
    return convert(buffered, int256) - equity


@internal
@pure
def slice_up(missing: uint256, equity: uint256, discount_e18: uint256) -> uint256:
    """
    @notice Part of an account that must be sold to restore margin and buffer, in 1e-18, rounded up.
    @dev Derive's closed form f = B / (B + E d): a slice f frees f B and brings f E d.
    """
    whole: uint256 = missing * WAD + equity * discount_e18
    return (missing * WAD * WAD + whole - 1) // whole


@internal
@pure
def funded(position: uint256, index: uint256, terms: uint256) -> (int256, int256):
    """
    @notice Lots and quote leg of a packed position (lots 64 | quote leg 96 | index 96 bits) with its funding paid
            up to an index.
    """
    lots: int256 = packing.signed(position & MASK_64, 64)
    leg: int256 = packing.signed((position >> 64) & MASK_96, 96)
    if lots != 0:
        paid: int256 = packing.signed(index, 96) - packing.signed(position >> 160, 96)
        leg -= self.funding_up(lots, paid, terms & MASK_64)
    return lots, leg


@internal
@pure
def position_terms(position: uint256, quote: uint256, terms: uint256, initial: bool) -> (int256, uint256):
    """
    @notice Unsettled profit of a packed position after funding, and what it must hold.
    """
    lots: int256 = 0
    leg: int256 = 0
    lots, leg = self.funded(position, quote >> 148, terms)
    return self.unsettled(lots, leg, quote, terms, initial)
