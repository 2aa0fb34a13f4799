"""What an account of our contracts is worth and must hold, in the contract's own integers: `docs/contracts.md`."""

from dataclasses import dataclass, field
from typing import NamedTuple

from solvent.chain.plan import Guards

BPS = 10_000
YEAR_S = 31_536_000
FUNDING_SCALE = 10**6
OK, DEGRADED, HALTED = range(3)
PAIR_SHIFT, PRICE_BITS, CONFIDENCE_BITS, INDEX_BITS = 108, 48, 12, 96
POLLED = 1 << 255

WEIGHT_INITIAL, WEIGHT_MAINTENANCE = 5, 6
UNIT_DECIMALS, MULTIPLIER = 4, 7
RATE_MAINTENANCE, RATE_INITIAL = 8, 9
BASE_BPS, SLOPE_LOW_BPS, SLOPE_HIGH_BPS, KINK_BPS, RESERVE_BPS = range(5)


class Standing(NamedTuple):
    """Atoms of the settlement asset."""

    equity: int
    margin: int
    price_state: int
    """0 ok, 1 degraded, 2 halted: the worst of all that the account depends on."""
    start: int
    """When its auction began | resets << 32; 0 where there is none."""


class Quote(NamedTuple):
    """A guarded price."""

    price: int
    slow: int
    confidence_bps: int
    state: int


@dataclass(slots=True)
class Ledger:
    """All accounts, prices and the pool, as logs rebuild them. Words are packed as the contracts pack them."""

    guards: Guards
    price_unit: int
    """Atoms of the settlement asset in 1e-6 of it."""
    accounts: dict[int, int] = field(default_factory=dict)
    balances: dict[int, dict[int, int]] = field(default_factory=dict)
    """account -> collateral -> atoms."""
    positions: dict[int, dict[int, int]] = field(default_factory=dict)
    """account -> market -> word."""
    clearing: dict[int, int] = field(default_factory=dict)
    """Parameters by key: field + 256 * index."""
    auction: dict[int, int] = field(default_factory=dict)
    pool: dict[int, int] = field(default_factory=dict)
    pairs: dict[int, int] = field(default_factory=dict)
    marks: dict[int, int] = field(default_factory=dict)
    polled: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    """(pair, which of its two) -> state and word of now, where feeds price the pair."""
    debt: int = 0
    debt_shares: int = 0
    accrued_at: int = 0
    rate_bps: int = 0
    idle: int = 0
    insurance: int = 0

    def assess(self, account: int, now: int, initial: bool = False) -> Standing:
        """Equity and maintenance (or initial) margin at a second."""
        word = self.accounts.get(account, 0)
        debt = self.debt_of(shares_of(word), now)
        equity, margin, worst = cash_of(word) - debt, 0, OK
        for market in bits(word >> 200 & 0xFFFF):
            quote = self.mark(market, now)
            profit, required = self._position(account, market, quote, initial)
            equity, margin, worst = equity + profit, margin + required, max(worst, quote.state)
        if initial and debt:
            # Unsettled profit carries positions, never a debt.
            equity = min(equity, cash_of(word) - debt + margin)
        assets = word >> 184 & 0xFFFF
        for asset in bits(assets):
            quote = self.quote(asset, now, assets)
            value, weighted = self._collateral(account, asset, quote, initial)
            equity, margin, worst = equity + value, margin + value - weighted, max(worst, quote.state)
        return Standing(equity, margin, worst, word >> 216)

    def has_initial(self, account: int, now: int) -> bool:
        """Whether it has its initial margin at good prices."""
        word = self.accounts.get(account, 0)
        if word >> 200 & 0xFFFF == 0 and cash_of(word) >= self.debt_of(shares_of(word), now):
            return True  # no price matters
        found = self.assess(account, now, initial=True)
        return found.price_state == OK and found.equity >= found.margin

    def _position(self, account: int, market: int, quote: Quote, initial: bool) -> tuple[int, int]:
        """Unsettled profit after funding, and what it must hold."""
        multiplier = self.clearing.get(MULTIPLIER + 256 * market, 0)
        lots, leg = self.funded(account, market)
        price, rate = quote.price, self.clearing.get(RATE_MAINTENANCE + 256 * market, 0)
        if initial:
            price = (min if lots >= 0 else max)(quote.price, quote.slow)
            rate = self.clearing.get(RATE_INITIAL + 256 * market, 0) + 2 * quote.confidence_bps
        value = lots * price * multiplier
        return value + leg, (abs(value) * rate + BPS - 1) // BPS

    def profit(self, account: int, market: int, now: int) -> int:
        """Unsettled profit after funding, at the guarded mark."""
        return self._position(account, market, self.mark(market, now), False)[0]

    def funded(self, account: int, market: int) -> tuple[int, int]:
        """Lots, and quote leg with funding paid up to now."""
        lots, leg, index = position_of(self.positions.get(account, {}).get(market, 0))
        paid = index_in(self.marks.get(market, 0)) - index
        owed = lots * paid * self.clearing.get(MULTIPLIER + 256 * market, 0)
        return lots, leg + -owed // FUNDING_SCALE  # what is owed is rounded up, so what remains is rounded down

    def _collateral(self, account: int, asset: int, quote: Quote, initial: bool) -> tuple[int, int]:
        """Value and weighted value."""
        price, weight = quote.price, self.clearing.get(WEIGHT_MAINTENANCE + 256 * asset, 0)
        if initial:
            price = min(quote.price, quote.slow) * (BPS - quote.confidence_bps) // BPS
            weight = self.clearing.get(WEIGHT_INITIAL + 256 * asset, 0)
        amount = self.balances.get(account, {}).get(asset, 0)
        value = amount * price * self.price_unit // 10 ** self.clearing.get(UNIT_DECIMALS + 256 * asset, 0)
        return value, value * weight // BPS

    def quote(self, asset: int, now: int, asked: int = 0) -> Quote:
        """Of a collateral. asked: bitmap of all that are priced with it: a pair of feeds halts together."""
        pair, half = asset >> 1, asset & 1
        word = self.pairs.get(pair, 0)
        if word & POLLED:
            wanted = (asked | 1 << asset) >> (2 * pair) & 3
            state, word = self.polled.get((pair, wanted), (HALTED, 0))
            return Quote(*_fields(word >> PAIR_SHIFT * half), state)
        return guarded(word >> PAIR_SHIFT * half, max(now - (word >> 216), 0), self.guards)

    def mark(self, market: int, now: int) -> Quote:
        """Of a market."""
        word = self.marks.get(market, 0)
        return guarded(word, max(now - (word >> 108 & 2**40 - 1), 0), self.guards)

    def interest(self, now: int) -> int:
        """Since the last accrual, rounded up."""
        if now <= self.accrued_at or not self.debt:
            return 0
        return -(-self.debt * self.rate_bps * (now - self.accrued_at) // (BPS * YEAR_S))

    def debt_of(self, shares: int, now: int) -> int:
        """What debt shares owe, rounded up."""
        return -(-shares * (self.debt + self.interest(now)) // self.debt_shares) if shares else 0

    def new_rate(self) -> int:
        """Kinked rate in bps a year that the present utilisation gives, rounded up."""
        base, low, high, kink = (self.pool.get(each, 0) for each in (BASE_BPS, SLOPE_LOW_BPS, SLOPE_HIGH_BPS, KINK_BPS))
        if self.debt == 0:
            return base
        use = -(-self.debt * BPS // (self.debt + self.idle))
        rate = base - (-min(use, kink) * low // kink)
        if use > kink:
            rate += -(-(use - kink) * high // (BPS - kink))
        return min(rate, 2**16 - 1)


def _fields(word: int) -> tuple[int, int, int]:
    return word % 2**48, word >> 48 & 2**48 - 1, word >> 96 & 2**12 - 1


def guarded(word: int, age_s: int, guards: Guards) -> Quote:
    """A price inside the band around its slow price, and its state."""
    price, slow, confidence = _fields(word)
    if age_s > guards.hard_age_s or slow == 0:
        return Quote(price, slow, confidence, HALTED)
    band = slow * guards.band_bps // BPS
    if price > slow + band:
        return Quote(min(slow + band, 2**48 - 1), slow, confidence, DEGRADED)
    if price < slow - band:
        return Quote(slow - band, slow, confidence, DEGRADED)
    is_sure = age_s <= guards.soft_age_s and confidence <= guards.confidence_most_bps
    return Quote(price, slow, confidence, OK if is_sure else DEGRADED)


def liquidatable(found: Standing) -> bool:
    """Below the maintenance margin at good prices; at degraded ones only where health is below 0.9."""
    if found.price_state == OK:
        return found.equity < found.margin
    return found.price_state == DEGRADED and 10 * found.equity < 9 * found.margin


def cash_of(word: int) -> int:
    """Cash in an account's word."""
    return word % 2**88


def shares_of(word: int) -> int:
    """Debt shares in an account's word."""
    return word >> 88 & 2**96 - 1


def position_of(word: int) -> tuple[int, int, int]:
    """Lots, quote leg and funding index of a position's word."""
    return signed(word % 2**64, 64), signed(word >> 64 & 2**96 - 1, 96), signed(word >> 160, 96)


def index_in(word: int) -> int:
    """Funding index in a mark's word."""
    return signed(word >> 148 & 2**96 - 1, 96)


def signed(number: int, width: int) -> int:
    """Two's complement of `width` bits."""
    return number - (1 << width) if number >> (width - 1) else number


def bits(bitmap: int) -> list[int]:
    """Numbers of the bits that are set, rising."""
    return [each for each in range(bitmap.bit_length()) if bitmap >> each & 1]
