# pragma version 0.4.3
"""
@title Markets: fills, positions, and unsettled profits and losses
@license Apache-2.0
@notice Losers pay into a market's pot what winners take out of it; fees and what rounding leaves stay there.
"""

from . import accounts
from . import debt
from . import errors
from . import health
from . import listings
from . import margins
from . import orders
from . import packing

uses: accounts
uses: listings
uses: margins
uses: debt
uses: orders


interface Pool:
    def lendable() -> uint256: view


event PositionSet:
    account: indexed(uint256)
    market: uint256
    word: uint256


event Filled:
    market: indexed(uint256)
    buyer: indexed(uint256)
    seller: indexed(uint256)
    lots: uint256
    price: uint256
    buyer_fee: uint256
    seller_fee: uint256
    buyer_order: bytes32
    seller_order: bytes32


event Settled:
    account: indexed(uint256)
    market: indexed(uint256)
    amount: int256
    lent: uint256


event FundsSet:
    market: indexed(uint256)
    word: uint256


BPS: constant(uint256) = 10_000
HOLDERS_MOST: constant(uint256) = 512
MASK_16: constant(uint256) = 2**16 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_88: constant(uint256) = 2**88 - 1
MASK_128: constant(uint256) = 2**128 - 1
MARKETS_OF: constant(uint256) = MASK_16 << 200

# long lots 64 | holders 32 bits
sizes: uint256[16]
# pot 128 | deficit 128 bits: what losers paid in for winners, and losses that winners still have to share
funds: uint256[16]


@external
@nonreentrant
def fill(
    buyer: orders.Order,
    buyer_signature: Bytes[520],
    seller: orders.Order,
    seller_signature: Bytes[520],
    lots: uint256,
    price: uint256,
    fees_bps: uint256[2],
):
    """
    @notice Match two signed orders; the caller is the operator of both, or they name none.
    @param lots Whole lots to fill, at most what is left of either order.
    @param price Ticks a lot, within both limits and the market's band around the guarded mark.
    @param fees_bps Fees of buyer and seller on the notional, within each order's limit; they stay in the market's pot.
    """
    market: uint256 = buyer.market
    errors.need(buyer.buy and not seller.buy and seller.market == market and lots != 0, errors.ORDERS_DO_NOT_MATCH)
    errors.need(buyer.account >> 8 != seller.account >> 8, errors.ONE_OWNER)
    errors.need(price <= buyer.price and price >= seller.price, errors.PRICE_BEYOND_LIMIT)
    buyer_hash: bytes32 = orders.use(buyer, buyer_signature, lots, fees_bps[0])
    seller_hash: bytes32 = orders.use(seller, seller_signature, lots, fees_bps[1])
    terms: uint256 = listings.terms[market]
    quote: uint256 = margins.good_quote(market)
    mark: uint256 = quote & (2**48 - 1)
    off: uint256 = convert(abs(convert(price, int256) - convert(mark, int256)), uint256)
    errors.need(off * BPS <= mark * ((terms >> 96) & MASK_16), errors.OUTSIDE_BAND)
    errors.need(max(fees_bps[0], fees_bps[1]) <= (terms >> 112) & MASK_16, errors.FEE_ABOVE_LIMIT)
    notional: uint256 = lots * price * (terms & MASK_64)
    buyer_fee: uint256 = (notional * fees_bps[0] + BPS - 1) // BPS
    seller_fee: uint256 = (notional * fees_bps[1] + BPS - 1) // BPS
    before: uint256 = self.sizes[market] & MASK_64
    signed_lots: int256 = convert(lots, int256)
    amount: int256 = convert(notional, int256)
    self._trade(buyer.account, market, signed_lots, -amount - convert(buyer_fee, int256), quote, terms)
    self._trade(seller.account, market, -signed_lots, amount - convert(seller_fee, int256), quote, terms)
    after: uint256 = self.sizes[market] & MASK_64
    errors.need(after <= before or after <= (terms >> 128) & MASK_64, errors.OPEN_INTEREST_CAP)
    log Filled(
        market=market,
        buyer=buyer.account,
        seller=seller.account,
        lots=lots,
        price=price,
        buyer_fee=buyer_fee,
        seller_fee=seller_fee,
        buyer_order=buyer_hash,
        seller_order=seller_hash,
    )


@internal
def _trade(account: uint256, market: uint256, lots: int256, amount: int256, quote: uint256, terms: uint256):
    """
    @notice Change a position and hold the account to the gate: it has initial margin, or the fill neither raises
            its requirement nor lowers what is left over it, at the guarded mark, of both margins.
    """
    old: uint256 = accounts.positions[account][market]
    new: uint256 = self.move(account, market, lots, amount, quote >> 148)
    word: uint256 = accounts.accounts[account]
    errors.need(word >> 216 == 0, errors.UNDER_LIQUIDATION)
    if margins.holds_initial(account, word, 0):
        return
    equity: int256 = 0
    margin: uint256 = 0
    for initial: bool in [True, False]:
        required: uint256 = 0
        equity, margin = health.position_terms(old, quote, terms, initial)
        spare: int256 = equity - convert(margin, int256)
        equity, required = health.position_terms(new, quote, terms, initial)
        is_less: bool = required <= margin and equity - convert(required, int256) >= spare
        errors.need(is_less, errors.BELOW_INITIAL_MARGIN)


@internal
def move(
    account: uint256, market: uint256, lots: int256, amount: int256, index: uint256
) -> uint256:
    """
    @notice Add lots and quote to a position with its funding paid; keep bitmap, holders and open interest.
    """
    held: int256 = 0
    leg: int256 = 0
    held, leg = health.funded(accounts.positions[account][market], index, listings.terms[market])
    new_lots: int256 = held + lots
    new_leg: int256 = leg + amount
    word: uint256 = packing.unsigned(new_lots, 64) | (packing.unsigned(new_leg, 96) << 64) | (index << 160)
    is_flat: bool = new_lots == 0 and new_leg == 0
    if is_flat:
        word = 0
    size: uint256 = self.sizes[market]
    long: int256 = convert(size & MASK_64, int256) + max(new_lots, 0) - max(held, 0)
    holders: uint256 = size >> 64
    state: uint256 = accounts.accounts[account]
    bit: uint256 = 1 << (200 + market)
    if is_flat != (state & bit == 0):
        if is_flat:
            holders -= 1
        else:
            holders += 1
            errors.need(holders <= HOLDERS_MOST, errors.TOO_MANY_HOLDERS)
        accounts.set_account(account, state ^ bit)
    self.sizes[market] = packing.with_field(convert(long, uint256), 64, 32, holders)
    accounts.positions[account][market] = word
    log PositionSet(account=account, market=market, word=word)
    return word


@external
@nonreentrant
def settle(account: uint256, market: uint256):
    """
    @notice Turn unsettled profit into cash as far as losers paid in, or a loss into a payment; anyone may.
    @dev A loss takes the cash that no debt needs, then a loan that collateral alone must carry, both at maintenance
         weights: losses of markets never become the lenders'.
    """
    word: uint256 = accounts.accounts[account]
    errors.need((word >> (200 + market)) & 1 == 1, errors.NO_POSITION)
    quote: uint256 = margins.good_quote(market)
    profit: int256 = 0
    required: uint256 = 0
    profit, required = health.position_terms(accounts.positions[account][market], quote, listings.terms[market], False)
    pot: uint256 = self.funds[market] & MASK_128
    deficit: uint256 = self.funds[market] >> 128
    lent: uint256 = 0
    cash: uint256 = word & MASK_88
    if profit > 0:
        errors.need(deficit == 0, errors.LOSS_NOT_SHARED)
        won: uint256 = min(convert(profit, uint256), pot)
        pot -= won
        cash += won
        profit = convert(won, int256)
    else:
        loss: uint256 = convert(-profit, uint256)
        lost: uint256 = 0
        lost, lent = self._collected(account, word, loss)
        cash = cash + lent - lost
        pot += lost
        profit = -convert(lost, int256)
    self.set_funds(market, pot, deficit)
    word = accounts.with_cash(accounts.accounts[account], cash)
    accounts.set_account(account, word)
    self.move(account, market, 0, -profit, quote >> 148)
    log Settled(account=account, market=market, amount=profit, lent=lent)


@internal
def _collected(account: uint256, word: uint256, loss: uint256) -> (uint256, uint256):
    """
    @notice What of a loss an account can pay without its positions, and what of that is lent to it.
    """
    cash: uint256 = word & MASK_88
    if loss <= cash and accounts.shares_of(word) == 0:
        return loss, 0
    equity: int256 = 0
    margin: uint256 = 0
    state: uint256 = 0
    equity, margin, state = margins.assess(account, word & ~MARKETS_OF, 0, False)
    spare: uint256 = 0
    if state == health.OK:
        spare = convert(max(equity - convert(margin, int256), 0), uint256)
    elif accounts.shares_of(word) == 0:
        spare = cash
    if loss > cash and word >> 216 == 0:
        amount: uint256 = min(loss - cash, staticcall Pool(accounts.pool).lendable())
        if amount != 0 and spare > cash + amount:
            debt.lend(account, word, amount, empty(address))
            equity, margin, state = margins.assess(account, accounts.accounts[account], 0, False)
            errors.need(equity + convert(amount, int256) >= convert(margin, int256), errors.UNHEALTHY)
            return cash + amount, amount
    return min(loss, min(cash, spare)), 0


@internal
def set_funds(market: uint256, pot: uint256, deficit: uint256):
    word: uint256 = packing.with_field(pot, 128, 128, deficit)
    self.funds[market] = word
    log FundsSet(market=market, word=word)


@external
@view
def market_state(market: uint256) -> (uint256, uint256, uint256, uint256):
    """
    @notice Long lots, holders, the pot that losers paid in, and the loss that winners have to share.
    """
    return (
        self.sizes[market] & MASK_64,
        self.sizes[market] >> 64,
        self.funds[market] & MASK_128,
        self.funds[market] >> 128,
    )
