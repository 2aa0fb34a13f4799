"""The contracts' arithmetic in plain Python: what health and auctions must come to, to the last atom."""

from dataclasses import dataclass

BPS = 10_000
WAD = 10**18
FUNDING_SCALE = 10**6


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


@dataclass(frozen=True)
class Quote:
    """A guarded price."""

    price: int
    slow: int
    confidence_bps: int = 0


def collateral(
    amount: int, quote: Quote, weights_bps: tuple[int, int], unit: int, *, initial: bool, price_unit: int = 1
) -> tuple[int, int]:
    """Value and weighted value, both rounded down; weights are (initial, maintenance)."""
    price, weight = quote.price, weights_bps[1]
    if initial:
        price = min(quote.price, quote.slow) * (BPS - quote.confidence_bps) // BPS
        weight = weights_bps[0]
    value = amount * price * price_unit // 10**unit
    return value, value * weight // BPS


def funding_up(lots: int, paid: int, multiplier: int) -> int:
    """Funding owed, rounded up; `paid` is the index less the position's, in 1e-6 ticks a lot."""
    return ceil_div(lots * paid * multiplier, FUNDING_SCALE)


def unsettled(
    lots: int, leg: int, quote: Quote, multiplier: int, rates_bps: tuple[int, int], *, initial: bool
) -> tuple[int, int]:
    """Unsettled profit and requirement; rates are (initial, maintenance)."""
    price, rate = quote.price, rates_bps[1]
    if initial:
        price = min(quote.price, quote.slow) if lots >= 0 else max(quote.price, quote.slow)
        rate = rates_bps[0] + 2 * quote.confidence_bps
    value = lots * price * multiplier
    return value + leg, ceil_div(abs(value) * rate, BPS)


def slow_moved(slow: int, price: int, elapsed_s: int) -> int:
    """The slow price after a push."""
    step = min(abs(price - slow) * min(elapsed_s, 86_400) // 86_400, slow * 600 * elapsed_s // (BPS * 3_600))
    return slow + step if price > slow else slow - step


def missing_up(equity: int, margin: int, buffer_bps: int) -> int:
    return margin + ceil_div(margin * buffer_bps, BPS) - equity


def slice_up(missing: int, equity: int, discount_e18: int) -> int:
    """Part to sell, in 1e-18."""
    return ceil_div(missing * WAD * WAD, missing * WAD + equity * discount_e18)


def price_e18(elapsed_s: int, terms: list[int]) -> int:
    """Price of an auction as a part of equity; terms as the Auction takes them."""
    start, knee, fast, slow = terms[0], terms[1] * (WAD // BPS), terms[5], terms[6]
    if elapsed_s <= fast:
        factor = WAD - ceil_div((WAD - knee) * elapsed_s, fast)
    else:
        factor = knee * max(fast + slow - elapsed_s, 0) // slow
    return start * (WAD // BPS) * factor // WAD
