# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Auction: slices of accounts below their margin, sold at a falling price; losses shared once and visibly
@license Apache-2.0
@custom:kill Nobody can stop it. Where prices halt nobody is liquidated.
@notice A taker buys the part f of everything that an account has and owes: f of each collateral, position, of cash
        and of debt. He pays f E d into the account, E its equity and d a price that falls from `start` to `knee`
        and then to zero. f = B / (B + E d) restores the margin M and its buffer, B = M + buffer - E. No token moves
        and nothing is sent to the account's owner, so no transfer can stop a liquidation.
        An account worth less than nothing goes as a whole, and its taker is paid: by insurance, then by lenders for
        what was lent, then by the winners of its losing markets. The pay rises from the shortfall to M - E.
"""

from . import errors
from . import health
from . import packing


interface Clearing:
    def standing(account: uint256) -> (int256, uint256, uint256, uint256): view
    def account_word(account: uint256) -> uint256: view
    def position_word(account: uint256, market: uint256) -> uint256: view
    def terms_word(market: uint256) -> uint256: view
    def market_state(market: uint256) -> (uint256, uint256, uint256, uint256): view
    def prices() -> address: view
    def set_auction(account: uint256, start: uint256): nonpayable
    def take(
        account: uint256,
        taker: uint256,
        caller: address,
        fraction_e18: uint256,
        paid: uint256,
        fee: uint256,
        start: uint256,
    ): nonpayable
    def absorb(account: uint256, taker: uint256, payout: uint256, lenders_most: uint256) -> (uint256, uint256): nonpayable
    def move_position(account: uint256, market: uint256, lots: int256, amount: int256, index: uint256): nonpayable
    def set_deficit(market: uint256, deficit: uint256): nonpayable


interface Prices:
    def mark_quote(market: uint256) -> (uint256, uint256): view


event Started:
    account: indexed(uint256)
    equity: int256
    margin: uint256
    resets: uint256


event Ended:
    account: indexed(uint256)


event MarketCharged:
    market: indexed(uint256)
    account: indexed(uint256)
    amount: uint256


event ProfitCut:
    market: indexed(uint256)
    account: indexed(uint256)
    amount: uint256


event ParameterSet:
    key: indexed(uint256)
    value: uint256


struct Offer:
    fraction_e18: uint256  # of the account that is for sale; zero where nothing is
    price_e18: uint256  # part of the slice's equity that the taker pays
    equity: int256  # of the whole account
    margin: uint256
    payout: uint256  # what the taker is paid, where the account is worth less than nothing
    start: uint256  # start 32 | resets 8 bits


BPS: constant(uint256) = 10_000
WAD: constant(uint256) = 10**18
HOLDERS_MOST: constant(uint256) = 512
MASK_16: constant(uint256) = 2**16 - 1
MASK_24: constant(uint256) = 2**24 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_48: constant(uint256) = 2**48 - 1
MASK_64: constant(uint256) = 2**64 - 1

# Parameters; the key is the field. Nine of 16 or 24 bits, then the dust.
START_BPS: constant(uint256) = 0
KNEE_BPS: constant(uint256) = 1
BUFFER_BPS: constant(uint256) = 2
FEE_BPS: constant(uint256) = 3
FULL_BPS: constant(uint256) = 4
FAST_S: constant(uint256) = 5
SLOW_S: constant(uint256) = 6
TAIL_S: constant(uint256) = 7
INSOLVENT_S: constant(uint256) = 8
DUST: constant(uint256) = 9
RESETS_MOST: constant(uint256) = 1

clearing: public(immutable(address))
prices: public(immutable(address))
steward: public(immutable(address))

# start, knee, buffer, fee, full 16 bits each | fast, slow, tail, insolvent 24 bits each | dust 80 bits
terms: uint256


@deploy
@payable
def __init__(clearing_: address, steward_: address, terms_: uint256[10]):
    """
    @param clearing_ Where the accounts are.
    @param steward_ The only one who changes parameters.
    @param terms_ start price, knee, buffer, fee, line of full closing (bps); fast leg, slow leg, age of a reset,
           rise of the pay (s); least margin that a bid takes or leaves (atoms).
    """
    clearing = clearing_
    prices = staticcall Clearing(clearing_).prices()
    steward = steward_
    for i: uint256 in range(10):
        self._set_parameter(i, terms_[i])


# What is for sale


@internal
@view
def _offer(account: uint256, terms: uint256) -> Offer:
    """
    @notice What a taker would get now; the auction of an account that has just become liquidatable starts now.
    """
    offer: Offer = empty(Offer)
    state: uint256 = 0
    offer.equity, offer.margin, state, offer.start = staticcall Clearing(clearing).standing(account)
    missing: int256 = health.missing_up(offer.equity, offer.margin, (terms >> 32) & MASK_16)
    if missing <= 0 or state == health.HALTED:
        return offer
    if offer.start == 0 or state != health.OK:
        if not health.liquidatable(offer.equity, offer.margin, state):
            return offer
    if offer.start == 0:
        offer.start = block.timestamp
    elapsed: uint256 = block.timestamp - (offer.start & MASK_32)
    offer.price_e18 = self._price_e18(elapsed, terms)
    if offer.equity <= 0 or offer.price_e18 == 0:
        offer.price_e18 = 0
        offer.fraction_e18 = WAD
        offer.payout = self._payout(offer.equity, offer.margin, elapsed, (terms >> 152) & MASK_24)
        return offer
    equity: uint256 = convert(offer.equity, uint256)
    if equity * BPS < offer.margin * ((terms >> 64) & MASK_16):
        offer.fraction_e18 = WAD
        return offer
    net: uint256 = offer.price_e18 * (BPS - ((terms >> 48) & MASK_16)) // BPS
    offer.fraction_e18 = health.slice_up(convert(missing, uint256), equity, net)
    # What is left is dust: all of it goes.
    if offer.margin * (WAD - offer.fraction_e18) < (terms >> 176) * WAD:
        offer.fraction_e18 = WAD
    return offer


@internal
@pure
def _price_e18(elapsed: uint256, terms: uint256) -> uint256:
    """
    @notice Part of equity to pay: start times 1 down to the knee over the fast leg, then down to 0, rounded down.
    """
    fast: uint256 = (terms >> 80) & MASK_24
    slow: uint256 = (terms >> 104) & MASK_24
    knee: uint256 = ((terms >> 16) & MASK_16) * (WAD // BPS)
    factor: uint256 = 0
    if elapsed <= fast:
        factor = WAD - ((WAD - knee) * elapsed + fast - 1) // fast
    elif elapsed < fast + slow:
        factor = knee * (fast + slow - elapsed) // slow
    return (terms & MASK_16) * (WAD // BPS) * factor // WAD


@internal
@pure
def _payout(equity: int256, margin: uint256, elapsed: uint256, rise_s: uint256) -> uint256:
    """
    @notice Pay for the whole account: from its shortfall up to what fills its margin, rounded down.
    """
    shortfall: uint256 = convert(max(-equity, 0), uint256)
    whole: uint256 = convert(max(convert(margin, int256) - equity, 0), uint256)
    return (shortfall * rise_s + (whole - shortfall) * min(elapsed, rise_s)) // rise_s


@external
@view
def offer(account: uint256) -> Offer:
    """
    @notice What a taker would get now.
    """
    return self._offer(account, self.terms)


# Running an auction


@external
@nonreentrant
def start(account: uint256):
    """
    @notice Begin the auction of a liquidatable account, so that its price falls; a bid does it too.
    """
    offer: Offer = self._offer(account, self.terms)
    errors.need(offer.fraction_e18 != 0, errors.NOT_LIQUIDATABLE)
    errors.need(staticcall Clearing(clearing).account_word(account) >> 216 == 0, errors.AUCTION_RUNNING)
    self._set_start(account, offer, 0)


@external
@nonreentrant
def reset(account: uint256):
    """
    @notice Begin again at the first price an auction that nobody took in time; once.
    """
    terms: uint256 = self.terms
    offer: Offer = self._offer(account, terms)
    errors.need(offer.fraction_e18 != 0, errors.NOT_LIQUIDATABLE)
    resets: uint256 = offer.start >> 32
    too_old: bool = block.timestamp - (offer.start & MASK_32) > (terms >> 128) & MASK_24
    errors.need(too_old and resets < RESETS_MOST, errors.AUCTION_RUNNING)
    self._set_start(account, offer, resets + 1)


@internal
def _set_start(account: uint256, offer: Offer, resets: uint256):
    log Started(account=account, equity=offer.equity, margin=offer.margin, resets=resets)
    extcall Clearing(clearing).set_auction(account, block.timestamp | (resets << 32))


@external
@nonreentrant
def finish(account: uint256):
    """
    @notice End the auction of an account that has its margin and buffer again; anyone may.
    """
    equity: int256 = 0
    margin: uint256 = 0
    state: uint256 = 0
    started: uint256 = 0
    equity, margin, state, started = staticcall Clearing(clearing).standing(account)
    missing: int256 = health.missing_up(equity, margin, (self.terms >> 32) & MASK_16)
    errors.need(started != 0 and missing <= 0 and state == health.OK, errors.STILL_UNHEALTHY)
    log Ended(account=account)
    extcall Clearing(clearing).set_auction(account, 0)


@external
@nonreentrant
def bid(
    account: uint256,
    taker: uint256,
    fraction_most_e18: uint256,
    paid_most: uint256,
    received_least: uint256,
    deadline: uint256,
) -> (uint256, uint256, uint256):
    """
    @notice Take a slice of an account into the caller's own, which needs its initial margin afterwards.
    @param fraction_most_e18 At most this part; what is taken and what is left is at least the dust of margin.
    @param paid_most At most this many atoms from the taker's cash.
    @param received_least At least so much equity at guarded prices, or pay where the account is insolvent.
    @return Fraction taken, atoms paid, atoms of pay.
    """
    errors.need(block.timestamp <= deadline, errors.DEADLINE_PASSED)
    terms: uint256 = self.terms
    offer: Offer = self._offer(account, terms)
    errors.need(offer.fraction_e18 != 0, errors.NOT_LIQUIDATABLE)
    if offer.price_e18 == 0:
        errors.need(fraction_most_e18 >= WAD, errors.DUST)
        return self._absorb(account, taker, offer, received_least)
    part: uint256 = min(offer.fraction_e18, fraction_most_e18)
    is_enough: bool = part == offer.fraction_e18
    if not is_enough:
        dust: uint256 = (terms >> 176) * WAD
        margin: uint256 = offer.margin
        errors.need(margin * part >= dust and margin * (WAD - part) >= dust, errors.DUST)
    equity: uint256 = convert(offer.equity, uint256)
    paid: uint256 = (equity * offer.price_e18 * part + WAD * WAD - 1) // (WAD * WAD)
    errors.need(paid <= paid_most, errors.TOO_MUCH_PAID)
    errors.need(equity * part // WAD >= received_least, errors.TOO_LITTLE_RECEIVED)
    fee: uint256 = paid * ((terms >> 48) & MASK_16) // BPS
    kept: uint256 = offer.start
    if is_enough:
        kept = 0
    self._take_positions(account, taker, part)
    extcall Clearing(clearing).take(account, taker, msg.sender, part, paid, fee, kept)
    return part, paid, 0


@internal
def _take_positions(account: uint256, taker: uint256, fraction_e18: uint256):
    """
    @notice Move the slice of each position, lots rounded up, with its part of the unsettled profit.
    """
    markets: uint256 = (staticcall Clearing(clearing).account_word(account) >> 200) & MASK_16
    for market: uint256 in range(16):
        if (markets >> market) & 1 == 0:
            continue
        quote: uint256 = self._quote(market)
        position: uint256 = staticcall Clearing(clearing).position_word(account, market)
        lots: int256 = 0
        leg: int256 = 0
        terms: uint256 = staticcall Clearing(clearing).terms_word(market)
        lots, leg = health.funded(position, quote >> 148, terms)
        size: uint256 = convert(abs(lots), uint256)
        moved: uint256 = (size * fraction_e18 + WAD - 1) // WAD
        part: int256 = convert(moved, int256)
        if lots < 0:
            part = -part
        # Lots are rounded up; what is more than the slice changes hands at the mark, so that profit moves by the slice.
        worth: int256 = convert((quote & MASK_48) * (terms & MASK_64), int256)
        leg_part: int256 = (lots * worth + leg) * convert(fraction_e18, int256) // convert(WAD, int256) - part * worth
        extcall Clearing(clearing).move_position(account, market, -part, -leg_part, quote >> 148)
        extcall Clearing(clearing).move_position(taker, market, part, leg_part, quote >> 148)


# Losses


@internal
def _absorb(
    account: uint256, taker: uint256, offer: Offer, received_least: uint256
) -> (uint256, uint256, uint256):
    """
    @notice Hand an account that is worth less than nothing to its taker, with what he is paid for it.
    """
    markets: uint256 = (staticcall Clearing(clearing).account_word(account) >> 200) & MASK_16
    lenders_most: uint256 = offer.payout
    if markets != 0:
        # Lenders answer for what collateral and cash leave of the debt, never for a loss of a position.
        lending: int256 = offer.equity - self._profits(account, markets)
        lenders_most = convert(max(-lending, 0), uint256)
    insured: uint256 = 0
    lenders: uint256 = 0
    insured, lenders = extcall Clearing(clearing).absorb(account, taker, offer.payout, lenders_most)
    charged: uint256 = self._charge_markets(account, markets, offer.payout - insured - lenders)
    payout: uint256 = insured + lenders + charged
    errors.need(payout >= received_least, errors.TOO_LITTLE_RECEIVED)
    self._take_positions(account, taker, WAD)
    extcall Clearing(clearing).take(account, taker, msg.sender, WAD, 0, 0, 0)
    return WAD, 0, payout


@internal
@view
def _quote(market: uint256) -> uint256:
    """
    @notice A market's guarded price, whatever its state: `standing` has told what state counts.
    """
    quote: uint256 = 0
    state: uint256 = 0
    quote, state = staticcall Prices(prices).mark_quote(market)
    return quote


@internal
@view
def _profit(account: uint256, market: uint256, quote: uint256) -> int256:
    profit: int256 = 0
    required: uint256 = 0
    profit, required = health.position_terms(
        staticcall Clearing(clearing).position_word(account, market),
        quote,
        staticcall Clearing(clearing).terms_word(market),
        False,
    )
    return profit


@internal
@view
def _profits(account: uint256, markets: uint256) -> int256:
    sum: int256 = 0
    for market: uint256 in range(16):
        if (markets >> market) & 1 == 1:
            sum += self._profit(account, market, self._quote(market))
    return sum


@internal
def _charge_markets(account: uint256, markets: uint256, amount: uint256) -> uint256:
    """
    @notice Forgive losses of an account's positions and put them to the winners of their markets.
    """
    left: uint256 = amount
    for market: uint256 in range(16):
        if (markets >> market) & 1 == 0:
            continue
        quote: uint256 = self._quote(market)
        charged: uint256 = min(left, convert(max(-self._profit(account, market, quote), 0), uint256))
        if charged != 0:
            left -= charged
            extcall Clearing(clearing).set_deficit(market, self._deficit(market) + charged)
            extcall Clearing(clearing).move_position(account, market, 0, convert(charged, int256), quote >> 148)
            log MarketCharged(market=market, account=account, amount=charged)
    return amount - left


@internal
@view
def _deficit(market: uint256) -> uint256:
    size: uint256 = 0
    holders: uint256 = 0
    pot: uint256 = 0
    deficit: uint256 = 0
    size, holders, pot, deficit = staticcall Clearing(clearing).market_state(market)
    return deficit


@internal
@view
def _holders(market: uint256) -> uint256:
    size: uint256 = 0
    holders: uint256 = 0
    pot: uint256 = 0
    deficit: uint256 = 0
    size, holders, pot, deficit = staticcall Clearing(clearing).market_state(market)
    return holders


@external
@nonreentrant
def share_market_loss(market: uint256, holders: DynArray[uint256, HOLDERS_MOST]):
    """
    @notice Cut the positive unsettled profits of a market pro rata by the loss that insurance could not pay.
    @param holders All accounts in the market in strictly rising order; anyone may bring the list.
    """
    quote: uint256 = 0
    state: uint256 = 0
    quote, state = staticcall Prices(prices).mark_quote(market)
    errors.need(state == health.OK, errors.PRICES_NOT_GOOD)
    deficit: uint256 = self._deficit(market)
    errors.need(deficit != 0, errors.NO_LOSS)
    errors.need(len(holders) == self._holders(market), errors.NOT_ALL_HOLDERS)
    profits: DynArray[uint256, HOLDERS_MOST] = []
    total: uint256 = 0
    last: uint256 = 0
    for account: uint256 in holders:
        errors.need(account > last, errors.NOT_ALL_HOLDERS)
        word: uint256 = staticcall Clearing(clearing).account_word(account)
        errors.need((word >> (200 + market)) & 1 == 1, errors.NOT_ALL_HOLDERS)
        last = account
        won: uint256 = convert(max(self._profit(account, market, quote), 0), uint256)
        profits.append(won)
        total += won
    left: uint256 = min(deficit, total)
    shared: uint256 = left
    for i: uint256 in range(len(holders), bound=HOLDERS_MOST):
        if profits[i] == 0 or left == 0:
            continue
        cut: uint256 = min(left, (shared * profits[i] + total - 1) // total)
        left -= cut
        log ProfitCut(market=market, account=holders[i], amount=cut)
        extcall Clearing(clearing).move_position(holders[i], market, 0, -convert(cut, int256), quote >> 148)
    extcall Clearing(clearing).set_deficit(market, deficit - shared)


# Parameters


@internal
@pure
def _place(key: uint256) -> (uint256, uint256):
    """
    @notice Offset and width of a parameter.
    """
    errors.need(key <= DUST, errors.NO_SUCH_PARAMETER)
    if key <= FULL_BPS:
        return 16 * key, 16
    if key <= INSOLVENT_S:
        return 80 + 24 * (key - FAST_S), 24
    return 176, 80


@external
@view
def parameter(key: uint256) -> uint256:
    """
    @notice A parameter's present value.
    """
    offset: uint256 = 0
    width: uint256 = 0
    offset, width = self._place(key)
    return packing.field(self.terms, offset, width)


@external
def set_parameter(key: uint256, setting: uint256):
    """
    @notice Change a parameter; the Steward alone, who keeps bounds, steps and delays.
    """
    errors.need(msg.sender == steward, errors.NOT_AUTHORISED)
    self._set_parameter(key, setting)


@internal
def _set_parameter(key: uint256, setting: uint256):
    offset: uint256 = 0
    width: uint256 = 0
    offset, width = self._place(key)
    if key <= FULL_BPS:
        errors.need(setting <= BPS, errors.UNSAFE_PARAMETER)
    elif key <= INSOLVENT_S:
        errors.need(setting > 0, errors.UNSAFE_PARAMETER)
    self.terms = packing.with_field(self.terms, offset, width, setting)
    log ParameterSet(key=key, value=setting)
