"""What Derive's risk managers share: option holdings, the value of one expiry, naked shorts, vol shocks.

Numeraire: USD (cash, a USDC wrapper, counts as one USD). The contracts compute in integers of 1e-18; the
venue's own reference cases are reals, so the forms here are floats that agree with them to 1e-8 relative.
Source: derivexyz/v2-core, src/risk-managers.
"""

import math
from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.valuation.black76 import price as black76_price

F64 = NDArray[np.float64]

YEAR_S = 31_536_000
"""The managers' year: 365 days."""
TOTAL_VARIANCE_MAX = 20.0
"""The vol feed's bound on a smile's total variance."""
SHORT_TERM_S = 30 * 86_400
"""Up to here the short-term power scales a vol shock; the shock of this term is the stated range itself."""


class OptionHolding(msgspec.Struct, frozen=True):
    """One option position of an account."""

    strike_usd: float
    is_call: bool
    amount: float
    """Units of the underlying, signed."""
    vol: float
    """Annual volatility of the smile at this strike."""


class VolShock(msgspec.Struct, frozen=True):
    """Relative vol shocks: up 1 + range m, down max(0, 1 - range m), m = (30 d / max(T, floor))^power."""

    range_up: float
    range_down: float
    short_term_power: float = 0.30
    long_term_power: float = 0.13
    floor_s: float = 86_400.0

    def multipliers(self, seconds: float) -> tuple[float, float]:
        """Factors (up, down) on the vol of an expiry `seconds` away."""
        power = self.short_term_power if seconds <= SHORT_TERM_S else self.long_term_power
        scale = (SHORT_TERM_S / max(seconds, self.floor_s)) ** power
        return 1.0 + self.range_up * scale, max(0.0, 1.0 - self.range_down * scale)


class Smile(msgspec.Struct, frozen=True):
    """Raw SVI of one expiry: w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2)), k = ln(K/F)."""

    a: float
    b: float
    rho: float
    m: float
    sigma: float
    forward_usd: float
    years: float
    """Time to expiry when the smile was signed."""

    def vol(self, strike_usd: float) -> float:
        """Annual volatility at a strike; the feed clamps k to +-4 sqrt(a + b sigma) and total variance to 20.

        Source: src/feeds/LyraVolFeed.sol and the SVI library that it uses.
        """
        most = 4.0 * math.sqrt(self.a + self.b * self.sigma)
        k = min(most, max(-most, math.log(strike_usd / self.forward_usd))) - self.m
        variance = self.a + self.b * (self.rho * k + math.hypot(k, self.sigma))
        return math.sqrt(min(variance, TOTAL_VARIANCE_MAX) / self.years)


def merged(options: Iterable[OptionHolding]) -> tuple[OptionHolding, ...]:
    """One holding an instrument (strike, call or put), amounts summed, in order of first appearance."""
    held: dict[tuple[float, bool], OptionHolding] = {}
    for option in options:
        key = (option.strike_usd, option.is_call)
        amount = option.amount + (held[key].amount if key in held else 0.0)
        held[key] = msgspec.structs.replace(held.get(key, option), amount=amount)
    return tuple(held.values())


def naked_shorts(options: Iterable[OptionHolding]) -> float:
    """Short options that no long option of the same strike and expiry covers, in units.

    At one strike a long call covers a short put and the reverse; two shorts add up. `options` are the merged
    holdings of one expiry.
    """
    shorts: dict[float, float] = {}
    longs: dict[float, float] = {}
    for option in options:
        side = shorts if option.amount < 0 else longs
        side[option.strike_usd] = side.get(option.strike_usd, 0.0) + abs(option.amount)
    return sum(max(0.0, short - longs.get(strike, 0.0)) for strike, short in shorts.items())


def expiry_values(
    options: tuple[OptionHolding, ...], seconds: float, forwards_usd: F64, vols: F64, discount: float = 1.0
) -> F64:
    """Value of one expiry's holdings in each scenario.

    Parameters
    ----------
    options : n holdings.
    seconds : time to expiry.
    forwards_usd : shape (s,), the forward in each scenario.
    vols : shape (s, n), each option's vol in each scenario.
    discount : price today of one USD at expiry.

    Returns
    -------
    Shape (s,), USD.
    """
    if not options:
        return np.zeros(len(forwards_usd))
    strikes = np.array([option.strike_usd for option in options])
    is_call = np.array([option.is_call for option in options])
    amounts = np.array([option.amount for option in options])
    values = black76_price(
        forwards_usd[:, None], strikes[None, :], max(seconds, 0.0) / YEAR_S, is_call[None, :], vols, discount
    )
    return np.asarray(values @ amounts)


def confidence_charge(confidence: float, threshold: float, factor: float, notional: float) -> float:
    """Charge for an oracle's doubt: (1 - confidence) factor notional below the threshold, else nothing."""
    return (1.0 - confidence) * factor * notional if confidence < threshold else 0.0


def basis_contingency(current: float, up: float, down: float, factor: float) -> float:
    """Loss of one expiry if its forward moves against the spot, scaled; never positive."""
    return min(up - current, down - current, 0.0) * factor
