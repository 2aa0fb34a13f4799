# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Prices: guarded prices of collateral and markets, pushed by signers or read from feeds
@license Apache-2.0
@custom:kill Nobody can stop this contract. Without pushes its prices halt after `hard_age`: risk cannot be
             added, nobody is liquidated, debts can be repaid and accounts without risk withdrawn.
@notice Two collaterals share a word with one signed time: a health check over four of them reads two words.
        A collateral's price is in 1e-6 settlement units a listed unit, a market's in ticks a lot.
        A slow price stands beside each: it closes the gap to the price within 24 h, by at most 6 % an hour.
"""

from . import errors
from . import packing
from . import signatures
from . import slow_prices

interface Feed:
    # Round, answer, started at, updated at: as whole words they need no checks that nobody looks at.
    def latestRoundData() -> uint256[4]: view
    def decimals() -> uint8: view


event PairPriced:
    pair: indexed(uint256)
    word: uint256


event MarkPriced:
    market: indexed(uint256)
    word: uint256


event ParameterSet:
    key: indexed(uint256)
    value: uint256


PAIRS: constant(uint256) = 8
LIMIT: constant(uint256) = (2**40 - 1) << 8
MARKETS: constant(uint256) = 16
UPDATES_MOST: constant(uint256) = 24
SIGNERS_MOST: constant(uint256) = 16
ONE: constant(uint256) = 1
BPS: constant(uint256) = 10_000
MASK_11: constant(uint256) = 2**11 - 1
MASK_12: constant(uint256) = 2**12 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_39: constant(uint256) = 2**39 - 1
MASK_40: constant(uint256) = 2**40 - 1
MASK_48: constant(uint256) = 2**48 - 1
MASK_96: constant(uint256) = 2**96 - 1
MASK_108: constant(uint256) = 2**108 - 1
MASK_160: constant(uint256) = 2**160 - 1
FEED_SCALE_ZERO: constant(uint256) = 24
ANSWER: constant(uint256) = 1
UPDATED_AT: constant(uint256) = 3
OK: constant(uint256) = 0
DEGRADED: constant(uint256) = 1
HALTED: constant(uint256) = 2

NAME_HASH: constant(bytes32) = keccak256("Solvent Prices")
PUSH_TYPEHASH: constant(bytes32) = keccak256("Push(uint256 signed_at,uint256[] updates)")

POLLED: constant(uint256) = 2**255
SLOW_PRICES: constant(uint256) = (MASK_48 << 48) | (MASK_48 << 156)
FEED_RULES: constant(uint256) = (2**216 - 1) ^ SLOW_PRICES

# One in each half of a pair's word, and a bit over each that no price, slow price or confidence reaches.
BOTH: constant(uint256) = 1 | (1 << 108)
BOTH_PRICES: constant(uint256) = MASK_48 * BOTH
BOTH_CONFIDENCES: constant(uint256) = (MASK_12 * BOTH)
ABOVE: constant(uint256) = BOTH << 63

# Parameters, by field; the key of one is field + 256 * index.
THRESHOLD: constant(uint256) = 0
SIGNER: constant(uint256) = 1
FEED: constant(uint256) = 2
FEED_LOWEST: constant(uint256) = 3
FEED_HIGHEST: constant(uint256) = 4
FEED_AGE_MIN: constant(uint256) = 5
FEED_UNIT_SHIFT: constant(uint256) = 6

steward: public(immutable(address))

# The guards are code, not storage: nobody can loosen them, and reading them costs nothing.
soft_age_s: public(immutable(uint256))
hard_age_s: public(immutable(uint256))
band_bps: public(immutable(uint256))
confidence_most_bps: public(immutable(uint256))
skew_s: public(immutable(uint256))
funding_most_bps_hourly: public(immutable(uint256))

# Pushed: price 48 | slow price 48 | confidence 12, twice; time 39 | none 1 bit.
# Priced by feeds: a piece of the second feed's address 32 | age limit in minutes 11 | power of ten 5 | slow price 48 |
# lowest 6 | highest 6 (powers of two of 1e-6), twice; time 39 | one 1 bit.
pairs: uint256[PAIRS]
# first feed 160 | lowest 96 bits of the second: two feeds are read from two words
addresses: uint256[PAIRS]
# price 48 | slow price 48 | confidence 12 | time 40 | funding index 108 bits, of which 96 are used
marks: uint256[MARKETS]
# As set: feed 160 | lowest 40 | highest 40, both in 256e-6 | power of ten 5 | age limit in minutes 11 bits
feeds: uint256[16]
is_signer: public(HashMap[address, bool])
threshold: public(uint256)


@deploy
@payable
def __init__(
    steward_: address, signers: DynArray[address, SIGNERS_MOST], threshold_: uint256, guards: uint256[6]
):
    """
    @param steward_ The only one who changes parameters and signers.
    @param signers Those whose signatures count, in strictly rising order.
    @param threshold_ Signatures that a push needs.
    @param guards soft age s, hard age s, band bps, most confidence bps, skew s, most funding bps an hour.
    """
    errors.need(threshold_ > 0 and threshold_ <= len(signers), errors.UNSAFE_PARAMETER)
    errors.need(guards[0] <= guards[1] and guards[1] <= MASK_39, errors.UNSAFE_PARAMETER)
    errors.need(guards[2] < BPS and guards[3] <= BPS, errors.UNSAFE_PARAMETER)
    steward = steward_
    last: uint256 = 0
    for signer: address in signers:
        errors.need(convert(signer, uint256) > last, errors.UNSAFE_PARAMETER)
        last = convert(signer, uint256)
        self.is_signer[signer] = True
        log ParameterSet(key=SIGNER, value=last | (1 << 160))
    soft_age_s = guards[0]
    hard_age_s = guards[1]
    band_bps = guards[2]
    confidence_most_bps = guards[3]
    skew_s = guards[4]
    funding_most_bps_hourly = guards[5]
    self.threshold = threshold_
    log ParameterSet(key=THRESHOLD, value=threshold_)


# Pushed prices


@external
def push(
    signed_at: uint256,
    updates: DynArray[uint256, UPDATES_MOST],
    proofs: DynArray[Bytes[65], SIGNERS_MOST],
):
    """
    @notice Take prices that enough signers signed together; anyone may bring them.
    @param signed_at Time of the prices in s; strictly later than that of every word it replaces.
    @param updates For a pair: index 8 | two of (price 48 | confidence 12 bits). For a market: 128 + index 8 |
           price 48 | confidence 12 | funding index 96 bits.
    @param proofs Signatures of `push_digest`, signers in strictly rising order.
    """
    errors.need(signed_at <= block.timestamp + skew_s, errors.FROM_THE_FUTURE)
    errors.need(len(proofs) >= self.threshold, errors.TOO_FEW_SIGNATURES)
    digest: bytes32 = self._push_digest(signed_at, updates)
    last: uint256 = 0
    for proof: Bytes[65] in proofs:
        signer: address = signatures.recovered(digest, proof)
        errors.need(convert(signer, uint256) > last, errors.SIGNERS_NOT_RISING)
        errors.need(self.is_signer[signer], errors.NOT_A_SIGNER)
        last = convert(signer, uint256)
    for update: uint256 in updates:
        if update & 128 == 0:
            self._push_pair(update, signed_at)
        else:
            self._push_mark(update, signed_at)


@external
@view
def push_digest(signed_at: uint256, updates: DynArray[uint256, UPDATES_MOST]) -> bytes32:
    """
    @notice EIP-712 digest of a push, bound to this chain and contract.
    """
    return self._push_digest(signed_at, updates)


@internal
@view
def _push_digest(signed_at: uint256, updates: DynArray[uint256, UPDATES_MOST]) -> bytes32:
    # An array is hashed as its elements one after another: the encoding without offset and length.
    packed: Bytes[32 * UPDATES_MOST + 64] = abi_encode(updates)
    hashed: bytes32 = keccak256(slice(packed, 64, 32 * len(updates)))
    return signatures.digest(NAME_HASH, keccak256(abi_encode(PUSH_TYPEHASH, signed_at, hashed)))


@internal
def _push_pair(update: uint256, signed_at: uint256):
    pair: uint256 = update & 127
    errors.need(pair < PAIRS, errors.WRONG_PAIR)
    old: uint256 = self.pairs[pair]
    errors.need(old & POLLED == 0, errors.WRONG_PAIR)
    time: uint256 = old >> 216
    errors.need(signed_at > time, errors.NOT_LATER)
    elapsed: uint256 = unsafe_sub(signed_at, time)
    word: uint256 = signed_at << 216
    for half: uint256 in range(2):
        new: uint256 = (update >> unsafe_add(8, unsafe_mul(60, half))) & (2**60 - 1)
        if new != 0:
            before: uint256 = (old >> unsafe_mul(108, half)) & MASK_108
            word |= slow_prices.moved(before, new & MASK_48, new >> 48, elapsed) << unsafe_mul(108, half)
        else:
            errors.need((old >> unsafe_mul(108, half)) & MASK_48 == 0, errors.PRICE_MISSING)
    self.pairs[pair] = word
    log PairPriced(pair=pair, word=word)


@internal
def _push_mark(update: uint256, signed_at: uint256):
    market: uint256 = update & 127
    errors.need(market < MARKETS, errors.WRONG_PAIR)
    old: uint256 = self.marks[market]
    time: uint256 = (old >> 108) & MASK_40
    errors.need(signed_at > time and signed_at <= MASK_40, errors.NOT_LATER)
    price: uint256 = (update >> 8) & MASK_48
    index: uint256 = (update >> 68) & MASK_96
    elapsed: uint256 = unsafe_sub(signed_at, time)
    if time != 0:
        before: int256 = packing.signed((old >> 148) & MASK_96, 96)
        step: uint256 = convert(abs(packing.signed(index, 96) - before), uint256)
        # The index is in 1e-6 ticks: price * rate * hours.
        most: uint256 = price * 10**6 * funding_most_bps_hourly * elapsed // (BPS * 3600)
        errors.need(step <= most, errors.FUNDING_ABOVE_LIMIT)
    quote: uint256 = slow_prices.moved(old & MASK_108, price, (update >> 56) & MASK_12, elapsed)
    word: uint256 = quote | (signed_at << 108) | (index << 148)
    self.marks[market] = word
    log MarkPriced(market=market, word=word)


# Feeds


@external
def poke(pair: uint256):
    """
    @notice Move the slow prices of a pair that feeds price; anyone may, nothing hangs on when.
    """
    errors.need(pair < PAIRS and self.pairs[pair] & POLLED != 0, errors.WRONG_PAIR)
    old: uint256 = self.pairs[pair]
    elapsed: uint256 = block.timestamp - ((old >> 216) & MASK_39)
    errors.need(elapsed > 0, errors.NOT_LATER)
    word: uint256 = (old & FEED_RULES) | POLLED | (block.timestamp << 216)
    for half: uint256 in range(2):
        asset: uint256 = 2 * pair + half
        if self.feeds[asset] != 0:
            price: uint256 = (self._polled(pair, old, half + 1) >> (108 * half)) & MASK_48
            before: uint256 = (old >> (108 * half)) & MASK_108
            if price != 0:
                before = slow_prices.moved(before, price, 0, elapsed)
            word |= (before & (MASK_48 << 48)) << (108 * half)
    self.pairs[pair] = word
    log PairPriced(pair=pair, word=word)


@internal
@view
def _polled(pair: uint256, word: uint256, asked: uint256) -> uint256:
    """
    @notice A pair's word with the feeds' answers of now; without its time, and so halted, where one is refused.
    """
    answers: uint256 = 0
    time: uint256 = block.timestamp
    addresses: uint256 = self.addresses[pair]
    if asked & 1 != 0:
        answers = self._answer(addresses & MASK_160, word)
        if answers == 0:
            time = 0
    if asked & 2 != 0:
        other: uint256 = (addresses >> 160) | ((word & MASK_32) << 96) | (((word >> 108) & MASK_32) << 128)
        answer: uint256 = self._answer(other, word >> 108)
        if answer == 0:
            time = 0
        answers |= answer << 108
    return (word & SLOW_PRICES) | answers | (time << 216)


@internal
@view
def _answer(feed: uint256, rule: uint256) -> uint256:
    """
    @notice The feed's price; zero where it is to be refused: not positive, from the future, stale, or at the limit
            where its aggregator clips. A feed that reverts makes the reading revert: no risk can be added then.
    @param rule The half of the pair's word that tells age limit, power of ten and limits.
    """
    round: uint256[4] = staticcall Feed(convert(feed, address)).latestRoundData(skip_contract_check=True)
    price: uint256 = round[ANSWER]
    scale: uint256 = (rule >> 43) & 31
    # A negative answer is a huge number, and above every limit.
    if scale < FEED_SCALE_ZERO:
        price = unsafe_div(price, pow_mod256(10, unsafe_sub(FEED_SCALE_ZERO, scale)))
    else:
        price = unsafe_mul(min(price, 2**128), pow_mod256(10, unsafe_sub(scale, FEED_SCALE_ZERO)))
    age: uint256 = unsafe_sub(block.timestamp, round[UPDATED_AT])
    # Each limit is a difference that is negative where it is broken; an age is where the time is to come.
    strain: uint256 = (
        unsafe_sub(unsafe_sub(price, 1), ONE << ((rule >> 96) & 63))
        | unsafe_sub(unsafe_sub(ONE << ((rule >> 102) & 63), 1), price)
        | unsafe_sub(unsafe_mul(60, (rule >> 32) & MASK_11), age)
        | age
    )
    if strain >> 255 != 0:
        return 0
    return price


# Reading


@external
@view
def quotes(assets: uint256, markets: uint256) -> (uint256, DynArray[uint256, 24]):
    """
    @notice Guarded prices of a set of markets and collaterals, for readers: a word a market and a word a pair, in
            rising order, markets first. Contracts ask `mark_quote` and `pair_quotes`, which cost less.
    @param assets Bitmap of collaterals, 16 bits.
    @param markets Bitmap of markets, 16 bits.
    @return The worst state (0 ok, 1 degraded, 2 halted) of what was asked for, and the words.
    """
    worst: uint256 = OK
    word: uint256 = 0
    state: uint256 = 0
    found: DynArray[uint256, 24] = []
    for market: uint256 in range(MARKETS):
        if (markets >> market) & 1 != 0:
            word, state = self._mark_quote(market)
            worst = max(worst, state)
            found.append(word)
    for pair: uint256 in range(PAIRS):
        asked: uint256 = (assets >> unsafe_mul(2, pair)) & 3
        if asked != 0:
            word = self.pairs[pair]
            if word >= POLLED:
                word = self._polled(pair, word, asked)
            word, state = self._guarded_pair(word, asked)
            worst = max(worst, state)
            found.append(word)
    return worst, found


@external
@view
def mark_quote(market: uint256) -> (uint256, uint256):
    """
    @notice Guarded price of a market.
    @return price 48 | slow price 48 | confidence 12 | time 40 | funding index 96 bits, and its state (0 ok,
            1 degraded, 2 halted). A price outside the band around its slow price stands at the edge of the band.
    """
    return self._mark_quote(market)


@internal
@view
def _mark_quote(market: uint256) -> (uint256, uint256):
    word: uint256 = self.marks[market]
    price: uint256 = 0
    state: uint256 = 0
    price, state = self._guarded(word, self._lateness(word >> 108 & MASK_40))
    return (word & ~MASK_48) | price, state


@external
@view
def pair_quotes(assets: uint256) -> uint256[PAIRS + 1]:
    """
    @notice Guarded prices of a set of collaterals, each pair at its number, and their worst state after them.
    @param assets Bitmap of collaterals, 16 bits.
    @return Of each pair asked for price 48 | slow price 48 | confidence 12 bits, twice; at last the worst state
            (0 ok, 1 degraded, 2 halted).
            A price outside the band around its slow price stands at the edge of the band.
    """
    # Whether a pair breaks any limit is asked of both halves at once. All that is compared is below 2**63 (a price
    # times BPS, a slow price times less than 2 * BPS): a difference keeps the bit of ABOVE that is put over it where
    # it is not negative, and never borrows from the other half. A price is inside the band of slow * band // BPS
    # exactly where price * BPS is between slow * (BPS - band) and slow * (BPS + band).
    found: uint256[PAIRS + 1] = empty(uint256[PAIRS + 1])
    least: uint256 = unsafe_sub(BPS, band_bps)
    most: uint256 = unsafe_add(BPS, band_bps)
    confidence_most: uint256 = unsafe_mul(confidence_most_bps, BOTH) | ABOVE
    oldest: uint256 = unsafe_sub(block.timestamp, soft_age_s)
    rest: uint256 = assets
    for pair: uint256 in range(PAIRS):
        if rest & 3 != 0:
            word: uint256 = self.pairs[pair]
            if word >= POLLED:
                word = self._polled(pair, word, rest)
            scaled: uint256 = unsafe_mul(word & BOTH_PRICES, BPS)
            slow: uint256 = (word >> 48) & BOTH_PRICES
            above: uint256 = (
                unsafe_sub(scaled | ABOVE, unsafe_mul(slow, least))
                & unsafe_sub(unsafe_mul(slow, most) | ABOVE, scaled)
                & unsafe_sub(confidence_most, (word >> 96) & BOTH_CONFIDENCES)
                & unsafe_sub(slow | ABOVE, BOTH)
                & ABOVE
            )
            if ((above ^ ABOVE) | (unsafe_sub(word >> 216, oldest) >> 255)) != 0:
                state: uint256 = 0
                word, state = self._guarded_pair(word, rest)
                found[PAIRS] = max(found[PAIRS], state)
            found[pair] = word
        rest >>= 2
        if rest == 0:
            break
    return found


@internal
@view
def _guarded_pair(word: uint256, asked: uint256) -> (uint256, uint256):
    """
    @notice A pair's word with its prices inside their bands, and the worst state of those asked for.
    """
    guarded: uint256 = word
    late: uint256 = self._lateness((word >> 216) & MASK_39)
    worst: uint256 = OK
    price: uint256 = 0
    state: uint256 = 0
    if asked & 1 != 0:
        price, worst = self._guarded(word, late)
        guarded = (guarded & ~MASK_48) | price
    if asked & 2 != 0:
        price, state = self._guarded(word >> 108, late)
        guarded = (guarded & ~(MASK_48 << 108)) | (price << 108)
    return guarded, max(worst, state)


@internal
@view
def _lateness(time: uint256) -> uint256:
    """
    @notice The state that a price of this time has at best.
    """
    if unsafe_add(time, soft_age_s) >= block.timestamp:
        return OK
    if unsafe_add(time, hard_age_s) >= block.timestamp:
        return DEGRADED
    return HALTED


@internal
@view
def _guarded(quote: uint256, state: uint256) -> (uint256, uint256):
    """
    @notice The price inside the band of a quote, and its state if that of its time is the given one.
    """
    price: uint256 = quote & MASK_48
    slow: uint256 = (quote >> 48) & MASK_48
    if state == HALTED or slow == 0:
        return price, HALTED
    band: uint256 = unsafe_div(unsafe_mul(slow, band_bps), BPS)
    if price > unsafe_add(slow, band):
        return min(unsafe_add(slow, band), MASK_48), DEGRADED
    if price < unsafe_sub(slow, band):
        return unsafe_sub(slow, band), DEGRADED
    if (quote >> 96) & MASK_12 > confidence_most_bps:
        return price, DEGRADED
    return price, state


@external
@view
def pair_word(pair: uint256) -> uint256:
    """
    @notice Pushed: price 48 | slow price 48 | confidence 12, twice; time 39 | none 1 bit. Priced by feeds: see `pairs`.
    """
    return self.pairs[pair]


@external
@view
def mark_word(market: uint256) -> uint256:
    """
    @notice price 48 | slow price 48 | confidence 12 | time 40 | funding index 96 bits.
    """
    return self.marks[market]


# Parameters


@external
@view
def parameter(key: uint256) -> uint256:
    """
    @notice A parameter's present value; of SIGNER with index 0 nothing, see `is_signer`.
    """
    return self._parameter(key & 255, key >> 8)


@internal
@view
def _parameter(field: uint256, index: uint256) -> uint256:
    if field == THRESHOLD:
        return self.threshold
    if field == FEED:
        return self.feeds[index] & (2**160 - 1)
    if field == FEED_LOWEST:
        return packing.field(self.feeds[index], 160, 40) << 8
    if field == FEED_HIGHEST:
        return packing.field(self.feeds[index], 200, 40) << 8
    if field == FEED_AGE_MIN:
        return packing.field(self.feeds[index], 245, 11)
    if field == FEED_UNIT_SHIFT:
        return packing.field(self.feeds[index], 240, 5)
    return 0


@external
def set_parameter(key: uint256, setting: uint256):
    """
    @notice Change a parameter; the Steward alone, who keeps bounds, steps and delays.
    @param key field + 256 * index. SIGNER takes address | 2**160 to admit and the bare address to remove.
           The least and greatest answers are kept in 256e-6, and held to at the next powers of two of 1e-6,
           both narrowed. FEED is set last: it reads the feed's decimals once and makes its pair one of feeds.
    """
    errors.need(msg.sender == steward, errors.NOT_AUTHORISED)
    field: uint256 = key & 255
    index: uint256 = key >> 8
    if field == THRESHOLD:
        errors.need(setting > 0 and setting <= SIGNERS_MOST, errors.UNSAFE_PARAMETER)
        self.threshold = setting
    elif field == SIGNER:
        signer: uint256 = packing.field(setting, 0, 160)
        errors.need(signer != 0 and setting >> 161 == 0, errors.UNSAFE_PARAMETER)
        self.is_signer[convert(signer, address)] = setting >> 160 == 1
    elif field == FEED_LOWEST:
        self.feeds[index] = packing.with_field(self.feeds[index], 160, 40, (setting + 255) >> 8)
    elif field == FEED_HIGHEST:
        self.feeds[index] = packing.with_field(self.feeds[index], 200, 40, setting >> 8)
    elif field == FEED_AGE_MIN:
        self.feeds[index] = packing.with_field(self.feeds[index], 245, 11, setting)
    elif field == FEED_UNIT_SHIFT:
        self.feeds[index] = packing.with_field(self.feeds[index], 240, 5, setting)
    else:
        errors.need(field == FEED, errors.NO_SUCH_PARAMETER)
        self._set_feed(index, setting)
    if field >= FEED and self.pairs[index // 2] & POLLED != 0:
        self._set_rules(index // 2)
    log ParameterSet(key=key, value=setting)


@internal
def _set_feed(asset: uint256, feed: uint256):
    """
    @notice FEED_UNIT_SHIFT holds, until now, the decimals of a feed's base unit in a listed unit (0: the same).
    """
    self.feeds[asset] = packing.with_field(self.feeds[asset], 0, 160, feed)
    units: uint256 = packing.field(self.feeds[asset], 240, 5)
    decimals: uint256 = convert(staticcall Feed(convert(feed, address)).decimals(), uint256)
    # Price in 1e-6 of a listed unit: answer * 10 ** (6 + units - decimals).
    scale: uint256 = FEED_SCALE_ZERO + 6 + units - decimals
    self.feeds[asset] = packing.with_field(self.feeds[asset], 240, 5, scale)
    if self.pairs[asset // 2] & POLLED == 0:
        self.pairs[asset // 2] = POLLED  # pushed prices of the pair are void


@internal
def _set_rules(pair: uint256):
    """
    @notice Write what is set of a pair's feeds into the two words that readings need. Limits become powers of two
            inside those that are set: the lowest is rounded up, the highest down.
    """
    first: uint256 = self.feeds[2 * pair]
    second: uint256 = self.feeds[2 * pair + 1]
    word: uint256 = self.pairs[pair] & ~FEED_RULES
    for half: uint256 in range(2):
        feed: uint256 = first
        if half == 1:
            feed = second
        lowest: uint256 = (feed >> 152) & LIMIT
        highest: uint256 = (feed >> 192) & LIMIT
        low: uint256 = 0
        high: uint256 = 0
        for bit: uint256 in range(48):
            if (ONE << bit) < lowest:
                low = bit + 1
            if (ONE << bit) <= highest:
                high = bit
        piece: uint256 = (second >> (96 + 32 * half)) & MASK_32
        rule: uint256 = piece | ((feed >> 245) << 32) | (((feed >> 240) & 31) << 43) | (low << 96) | (high << 102)
        word |= rule << (108 * half)
    self.addresses[pair] = (first & MASK_160) | (second << 160)
    self.pairs[pair] = word
    log PairPriced(pair=pair, word=word)
