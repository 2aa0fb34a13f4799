"""What it costs to close: square-root impact, a walk down the visible book, the charge on concentration."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from solvent.domain.quantities import div_up
from solvent.valuation.tiers import F64, RATE_ONE, marginal_charge, marginal_charge_e9

IMPACT_FACTOR = 0.8
"""Y of the square-root law; studies of many markets find 0.5 to 1."""
IMPACT_MAX = 0.5
"""No closing trade is taken to move the price by more than this share."""
PARTICIPATION_EDGES = (0.10, 0.30, 1.00)
"""Shares of a day's volume at which the concentration charge gets dearer."""
PARTICIPATION_RATES = (0.0, 0.5, 1.0, 2.0)
"""Marginal multiples of the price range R_u between those edges."""


def impact_fraction(
    size_usd: ArrayLike,
    volume_usd: ArrayLike,
    sigma: ArrayLike,
    factor: float = IMPACT_FACTOR,
    most: float = IMPACT_MAX,
) -> F64:
    """Square-root impact Y sigma sqrt(Q / V), capped: the share of the price that a trade of size Q gives up.

    Source: B. Tóth et al., "Anomalous price impact and the critical nature of liquidity in financial
    markets", Physical Review X 1 (2011); J. Donier and J. Bonart, "A million metaorder analysis of market
    impact on the Bitcoin" (2015) find the same law there.

    Parameters
    ----------
    size_usd : array_like
        |Q|; the sign does not matter. Shapes broadcast.
    volume_usd : array_like
        V, traded in the interval that `sigma` is of (a day, a tick). Zero volume gives the cap, unless Q = 0.
    sigma : array_like
        Standard deviation of the price over that interval, a fraction.
    factor : float
        Y.
    most : float
        The cap.

    Returns
    -------
    ndarray
        Fractions of the price in [0, most].
    """
    size = np.abs(np.asarray(size_usd, np.float64))
    volume = np.asarray(volume_usd, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(size > 0.0, size / volume, 0.0)
    return np.asarray(np.minimum(factor * np.asarray(sigma, np.float64) * np.sqrt(ratio), most))


def impact_cost_usd(
    size_usd: ArrayLike,
    volume_usd: ArrayLike,
    sigma: ArrayLike,
    factor: float = IMPACT_FACTOR,
    most: float = IMPACT_MAX,
) -> F64:
    """What the trade of `impact_fraction` loses, in USD: the fraction times |Q|."""
    fraction = impact_fraction(size_usd, volume_usd, sigma, factor, most)
    return np.abs(np.asarray(size_usd, np.float64)) * fraction


def participation_cost_usd(
    size_usd: ArrayLike,
    volume_usd_daily: ArrayLike,
    price_range: ArrayLike,
    edges: Sequence[float] = PARTICIPATION_EDGES,
    rates: Sequence[float] = PARTICIPATION_RATES,
) -> F64:
    """Concentration charge: price range x marginal tiers of the share W / ADV of a day's volume, in USD.

    By default nothing up to 10 % of the volume, then 0.5 of the range on what lies below 30 %, 1 below 100 %
    and 2 above. Convex and piecewise linear in the size.

    Parameters
    ----------
    size_usd : array_like
        W >= 0, the value to be closed. Shapes broadcast.
    volume_usd_daily : array_like
        ADV. NaN where it is unknown: no charge. Zero: all at the last rate.
    price_range : array_like
        R_u, the scan range of the underlying, a fraction.
    edges, rates : sequences of n - 1 and n floats
        Tiers as shares of the volume, and multiples of the range.
    """
    size, volume = np.asarray(size_usd, np.float64), np.asarray(volume_usd_daily, np.float64)
    charge = marginal_charge(size, np.nan_to_num(volume)[..., None] * np.asarray(edges), rates)
    return np.where(np.isnan(volume), 0.0, np.asarray(price_range, np.float64) * charge)


def participation_cost_up(
    size: int,
    volume_daily: int,
    price_range_e9: int,
    edges_e9: Sequence[int] = (100_000_000, 300_000_000, 1_000_000_000),
    rates_e9: Sequence[int] = (0, 500_000_000, 1_000_000_000, 2_000_000_000),
) -> int:
    """The exact mirror of `participation_cost_usd`: whole units of `size` (atoms, or 1e-6 USD), rounded up.

    Edges fall between whole units, so all is counted in 1e-9 units and rounded once, at the end.
    """
    charge_e18 = marginal_charge_e9(size * RATE_ONE, [edge * volume_daily for edge in edges_e9], rates_e9)
    return div_up(charge_e18 * price_range_e9, RATE_ONE**3)


class BookWalk(NamedTuple):
    """A sale or purchase against visible depth; arrays have the shape of the quantity."""

    cost_usd: F64
    """Loss against the mid price on what is filled."""
    filled: F64
    """How much of the quantity the depth takes, at most all of it."""


def book_walk(
    quantity: ArrayLike, mid: float, prices: ArrayLike, sizes: ArrayLike, depth_haircut: float = 0.5
) -> BookWalk:
    """Close a quantity down the levels of one side of an order book, of which only a part is trusted.

    cost = sum over levels |mid - price| x what is taken there: convex and piecewise linear in the quantity.

    Parameters
    ----------
    quantity : array_like
        |quantity| in coins is what is closed.
    mid : float
        USD a coin.
    prices, sizes : array_like, shape (levels,)
        USD a coin and coins, best level first.
    depth_haircut : float
        Share of each level taken to vanish when it is needed: 0.5 in normal times, 0.8 in stress.
    """
    wanted = np.abs(np.asarray(quantity, np.float64))
    size = np.asarray(sizes, np.float64) * (1.0 - depth_haircut)
    loss = np.abs(mid - np.asarray(prices, np.float64))
    depth = np.concatenate(([0.0], np.cumsum(size)))
    cost = np.concatenate(([0.0], np.cumsum(size * loss)))
    filled = np.minimum(wanted, depth[-1])
    return BookWalk(np.interp(filled, depth, cost), filled)
