"""Bid-ask spreads: quoted where there is a book, estimated from candles where there is none."""

import numpy as np
from numpy.typing import ArrayLike

from solvent.valuation.tiers import F64

_OVERLAP = 3.0 - 2.0 * np.sqrt(2.0)
"""Of two days' ranges against the range of both days together, for a price without a spread."""


def quoted_spread(bid: ArrayLike, ask: ArrayLike) -> F64:
    """(ask - bid) / mid, a fraction of the price. bid, ask: USD a coin, shapes broadcast."""
    low, high = np.asarray(bid, np.float64), np.asarray(ask, np.float64)
    return np.asarray((high - low) / (0.5 * (high + low)))


def stressed_spread(spreads: ArrayLike, level: float = 0.99) -> float:
    """The empirical quantile of observed spreads; NaN where there are none.

    Source: A. Bangia et al., "Modeling liquidity risk" (1999) charge half of a stressed spread as mean + k
    standard deviations, k = 2 to 4.5; the quantile itself needs no k.
    """
    known = np.asarray(spreads, np.float64)
    known = known[np.isfinite(known)]
    return float(np.quantile(known, level)) if known.size else float("nan")


def corwin_schultz(high: ArrayLike, low: ArrayLike) -> F64:
    """Spread of each pair of neighbouring candles, a fraction of the price; negative estimates are 0.

    One day's range holds one day of variance and a spread, two days' range two of variance and the same spread.
    Without the adjustment for closed nights: these markets do not close.

    Source: S. Corwin and P. Schultz, "A simple way to estimate bid-ask spreads from daily high and low prices",
    Journal of Finance 67 (2012).

    Parameters
    ----------
    high, low : array_like, shape (n,)
        Candles of equal length, oldest first.

    Returns
    -------
    ndarray, shape (n - 1,)
        Take the mean over a month or more: single pairs are noise.
    """
    up, down = np.log(np.asarray(high, np.float64)), np.log(np.asarray(low, np.float64))
    beta = (up - down)[1:] ** 2 + (up - down)[:-1] ** 2
    gamma = (np.maximum(up[1:], up[:-1]) - np.minimum(down[1:], down[:-1])) ** 2
    alpha = (np.sqrt(2.0 * beta) - np.sqrt(beta)) / _OVERLAP - np.sqrt(gamma / _OVERLAP)
    return np.asarray(np.maximum(2.0 * np.tanh(0.5 * alpha), 0.0))


def abdi_ranaldo(high: ArrayLike, low: ArrayLike, close: ArrayLike) -> float:
    """One spread for the whole sample, a fraction of the price; 0 where the estimate is negative.

    s^2 = 4 E[(c_t - m_t)(c_t - m_t+1)], c the log close and m the middle of the log range: what the close is
    off both middles is half a spread, on the side on which the last trade was.

    Source: F. Abdi and A. Ranaldo, "A simple estimation of bid-ask spreads from daily close, high, and low
    prices", Review of Financial Studies 30 (2017).

    Parameters
    ----------
    high, low, close : array_like, shape (n,)
        Candles of equal length, oldest first. NaN for fewer than two.
    """
    middle = 0.5 * (np.log(np.asarray(high, np.float64)) + np.log(np.asarray(low, np.float64)))
    last = np.log(np.asarray(close, np.float64))
    if last.size < 2:
        return float("nan")
    products = (last[:-1] - middle[:-1]) * (last[:-1] - middle[1:])
    return float(np.sqrt(max(4.0 * products.mean(), 0.0)))
