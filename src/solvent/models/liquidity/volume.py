"""How much trades, and how far it moves the price: the lower of several sources, Amihud, Kyle's lambda."""

import numpy as np
from numpy.typing import ArrayLike

from solvent.valuation.tiers import F64

WEEKS_DAYS = 28
"""Volume counts over four weeks: one busy day is no liquidity."""
COVERAGE_LEAST = 0.5
"""A source that has fewer of the days is not counted."""


def lower_volume(volumes_usd: ArrayLike, days: int = WEEKS_DAYS, coverage: float = COVERAGE_LEAST) -> float:
    """The daily volume that counts: each source's median over the last weeks, and the lowest of them.

    Venues report their own volume and aggregators add up what venues report: the lower figure is the one
    that nobody had a reason to inflate.

    Parameters
    ----------
    volumes_usd : array_like, shape (days,) or (sources, days)
        USD a day, oldest first; NaN where a source has none.
    days : int
        How many of the last days count.
    coverage : float
        Least share of those days that a source must have.

    Returns
    -------
    float
        NaN where no source has enough days.
    """
    recent = np.atleast_2d(np.asarray(volumes_usd, np.float64))[:, -days:]
    enough = np.isfinite(recent).sum(axis=1) >= max(1.0, coverage * days)
    return float(np.nanmedian(recent[enough], axis=1).min()) if enough.any() else float("nan")


def amihud(returns: ArrayLike, volume_usd: ArrayLike) -> float:
    """Mean |return| a USD traded; days without a return or without volume are left out, NaN without any left.

    Source: Y. Amihud, "Illiquidity and stock returns", Journal of Financial Markets 5 (2002).

    returns, volume_usd: shape (n,), fractions and USD of the same days.
    """
    size, traded = np.abs(np.asarray(returns, np.float64)), np.asarray(volume_usd, np.float64)
    counted = np.isfinite(size) & (traded > 0.0) & np.isfinite(traded)
    return float(np.mean(size[counted] / traded[counted])) if counted.any() else float("nan")


def amihud_daily(returns: ArrayLike, volume_usd: ArrayLike) -> F64:
    """|return| a USD traded, a value a day; NaN where there is no volume. Shapes as in `amihud`."""
    traded = np.asarray(volume_usd, np.float64)
    return np.asarray(np.abs(np.asarray(returns, np.float64)) / np.where(traded > 0.0, traded, np.nan))


def kyle_lambda(price_changes: ArrayLike, signed_volume: ArrayLike) -> float:
    """Price change a unit of net buying: the slope of least squares with an intercept; NaN without variation.

    Source: A. Kyle, "Continuous auctions and insider trading", Econometrica 53 (1985).

    Parameters
    ----------
    price_changes : array_like, shape (n,)
        Over equal intervals, in any unit of price (fractions, USD).
    signed_volume : array_like, shape (n,)
        Bought less sold by takers in the same intervals.
    """
    change, flow = np.asarray(price_changes, np.float64), np.asarray(signed_volume, np.float64)
    spread = flow - flow.mean() if flow.size else flow
    variation = float(spread @ spread)
    return float(spread @ change) / variation if variation > 0.0 else float("nan")
