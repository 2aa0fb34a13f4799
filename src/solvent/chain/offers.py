"""What an auction of our contracts offers for an account, in the contract's own integers: `Auction._offer`."""

from typing import NamedTuple

from solvent.chain.standing import BPS, DEGRADED, HALTED, Ledger, bits, liquidatable, shares_of

WAD = 10**18
START, KNEE, BUFFER, FEE, FULL, FAST_S, SLOW_S, TAIL_S, INSOLVENT_S, DUST = range(10)
"""Parameters of the auction."""


class Offer(NamedTuple):
    """What a taker would get at a second. Amounts in atoms of the settlement asset."""

    fraction_e18: int
    """Of the account that is for sale; 0 where nothing is."""
    price_e18: int
    """Part of the slice's equity that the taker pays."""
    equity: int
    """Of the whole account."""
    margin: int
    payout: int
    """What the taker is paid, where the account is worth less than nothing."""
    start: int

    def paid(self, fraction_e18: int) -> int:
        """For a slice, rounded up."""
        return -(-max(self.equity, 0) * self.price_e18 * fraction_e18 // WAD**2)


NOTHING = Offer(0, 0, 0, 0, 0, 0)


def offer(ledger: Ledger, account: int, now: int) -> Offer:
    """What the contract's `offer` answers at a second."""
    terms = ledger.auction
    equity, margin, state, start = ledger.assess(account, now)
    nothing = Offer(0, 0, equity, margin, 0, start)
    missing = margin + -(-margin * terms[BUFFER] // BPS) - equity
    if missing <= 0 or state == HALTED:
        return nothing
    if (start == 0 or state == DEGRADED) and not liquidatable(ledger.assess(account, now)):
        return nothing
    start = start or now
    elapsed = now - start % 2**32
    price = price_e18(terms, elapsed)
    if equity <= 0 or price == 0:
        return Offer(WAD, 0, equity, margin, _payout(terms, equity, margin, elapsed), start)
    if equity * BPS < margin * terms[FULL]:
        return Offer(WAD, price, equity, margin, 0, start)
    net = price * (BPS - terms[FEE]) // BPS
    fraction = -(-missing * WAD * WAD // (missing * WAD + equity * net))
    if margin * (WAD - fraction) < terms[DUST] * WAD:
        fraction = WAD
    return Offer(fraction, price, equity, margin, 0, start)


def price_e18(terms: dict[int, int], elapsed: int) -> int:
    """Falls from `start` to the knee over the fast leg, then to 0 over the slow one."""
    fast, slow, knee = terms[FAST_S], terms[SLOW_S], terms[KNEE] * (WAD // BPS)
    factor = 0
    if elapsed <= fast:
        factor = WAD + -(WAD - knee) * elapsed // fast
    elif elapsed < fast + slow:
        factor = knee * (fast + slow - elapsed) // slow
    return terms[START] * (WAD // BPS) * factor // WAD


def _payout(terms: dict[int, int], equity: int, margin: int, elapsed: int) -> int:
    shortfall, whole, rise_s = max(-equity, 0), max(margin - equity, 0), terms[INSOLVENT_S]
    return (shortfall * rise_s + (whole - shortfall) * min(elapsed, rise_s)) // rise_s


def liabilities(ledger: Ledger, account: int, now: int) -> int:
    """Debt and unsettled losses."""
    word = ledger.accounts.get(account, 0)
    losses = 0
    for market in bits(word >> 200 & 0xFFFF):
        losses += max(-ledger.profit(account, market, now), 0)
    return ledger.debt_of(shares_of(word), now) + losses


def capital(ledger: Ledger, account: int, found: Offer, now: int) -> int:
    """What a taker must have left in his own account to take all that is offered: its initial margin, less what the
    slice brings at initial prices. Below zero where it brings more."""
    needed = ledger.assess(account, now, initial=True)
    slice_of = (needed.margin - needed.equity) * found.fraction_e18 // WAD
    return slice_of + found.paid(found.fraction_e18) - found.payout
