"""Visible depth of an order book, and what a sale into it costs at the worse of book and square-root law."""

import numpy as np
from numpy.typing import ArrayLike

from solvent.valuation.impact import IMPACT_FACTOR, book_walk, impact_cost_usd
from solvent.valuation.tiers import F64

DEPTH_HAIRCUT = 0.5
"""Share of visible depth taken to vanish when it is needed, in normal times."""
DEPTH_HAIRCUT_STRESS = 0.8


def depth_usd(prices: ArrayLike, sizes: ArrayLike, mid: float, within: float) -> float:
    """USD on one side of a book at prices within a fraction of the mid.

    prices, sizes: shape (levels,), USD a coin and coins. within: 0.02 = 2 %.
    """
    price, size = np.asarray(prices, np.float64), np.asarray(sizes, np.float64)
    near = np.abs(price - mid) <= within * mid
    return float(np.sum(price[near] * size[near]))


def sale_cost_usd(
    quantity: ArrayLike,
    mid: float,
    prices: ArrayLike,
    sizes: ArrayLike,
    sigma_daily: float,
    volume_usd_daily: float,
    depth_haircut: float = DEPTH_HAIRCUT,
    factor: float = IMPACT_FACTOR,
) -> F64:
    """What closing a quantity loses: the larger of a walk down the trusted book and the square-root law, in USD.

    What the trusted depth does not fill pays the price of its last level, or the square-root law where dearer.

    Parameters
    ----------
    quantity : array_like
        Coins; the sign does not matter.
    mid : float
        USD a coin.
    prices, sizes : array_like, shape (levels,)
        The side that is sold into, best level first.
    sigma_daily, volume_usd_daily : float
        Daily standard deviation and volume.
    depth_haircut : float
        `DEPTH_HAIRCUT` in normal times, `DEPTH_HAIRCUT_STRESS` in stress.
    factor : float
        Y of the square-root law.
    """
    wanted = np.abs(np.asarray(quantity, np.float64))
    walk = book_walk(wanted, mid, prices, sizes, depth_haircut)
    last = np.asarray(prices, np.float64)
    beyond = np.abs(mid - last[-1]) if last.size else 0.0
    book = walk.cost_usd + (wanted - walk.filled) * beyond
    return np.maximum(book, impact_cost_usd(wanted * mid, volume_usd_daily, sigma_daily, factor))
