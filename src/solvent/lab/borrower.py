"""What a borrower risks: the chance that a loan is liquidated, and how much leverage that chance allows."""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr, ndtr

DAYS_A_YEAR = 365.0
LEVERAGE_STEPS = 200
"""Grid on which the optimum is looked for, before it is refined."""


def first_passage_probability(
    spot: float, liquidation_price: float, drift_annual: float, sigma_annual: float, days: float
) -> float:
    """Chance that a geometric Brownian motion touches a lower price within some days.

    Phi((-d - nT) / (s sqrt T)) + exp(-2 n d / s^2) Phi((-d + nT) / (s sqrt T)), d = ln(S / S_liq), n = mu - s^2 / 2.

    Parameters
    ----------
    spot, liquidation_price : float
        In one unit, spot above 0. At or below the liquidation price the answer is 1.
    drift_annual, sigma_annual : float
        mu of dS / S and its standard deviation, fractions a year of 365 days.
    days : float
        At least 0. Watched all the time: a path that is looked at now and then passes unseen a little more often.

    Notes
    -----
    Reflection principle; any textbook on barrier options.
    """
    if liquidation_price <= 0:
        return 0.0
    if spot <= liquidation_price:
        return 1.0
    years, distance = days / DAYS_A_YEAR, math.log(spot / liquidation_price)
    if years <= 0:
        return 0.0
    if sigma_annual <= 0:
        return 1.0 if drift_annual * years <= -distance else 0.0
    growth = drift_annual - sigma_annual**2 / 2
    spread = sigma_annual * math.sqrt(years)
    ends = float(ndtr((-distance - growth * years) / spread))
    # the exponential may overflow where the normal tail vanishes: their product is formed in logarithms
    turns = -2 * growth * distance / sigma_annual**2 + float(log_ndtr((-distance + growth * years) / spread))
    return min(1.0, ends + math.exp(min(turns, 0.0)))


def kelly_leverage(drift_annual: float, rate_annual: float, sigma_annual: float) -> float:
    """(mu - r) / s^2: the leverage that makes wealth grow fastest when nothing is ever liquidated.

    Source: R. Merton, "Lifetime portfolio selection under uncertainty" (1969), logarithmic utility.
    """
    return (drift_annual - rate_annual) / sigma_annual**2


class Leverage(NamedTuple):
    """A borrower's best leverage."""

    leverage: float
    """Assets over own capital, at least 1."""
    ltv: float
    """1 - 1 / leverage."""
    growth_annual: float
    """Of wealth, liquidations paid."""
    liquidation_probability: float
    """Within the horizon."""


def optimal_leverage(
    drift_annual: float,
    rate_annual: float,
    sigma_annual: float,
    liquidation_threshold: float,
    liquidation_cost: float,
    days: float,
    ltv_most: float | None = None,
) -> Leverage:
    """The leverage l of a loan against the asset itself that maximises growth less what liquidation costs.

    r + (mu - r) l - s^2 l^2 / 2 - k P_liq(l) / T, with P_liq the chance of a fall to LTV / threshold within T.

    Parameters
    ----------
    drift_annual, rate_annual, sigma_annual : float
        mu, r of the loan, s; fractions a year.
    liquidation_threshold : float
        LTV above which the loan is liquidated, in (0, 1).
    liquidation_cost : float
        k: part of own capital that a liquidation takes.
    days : float
        T, until the loan is looked at again; above 0.
    ltv_most : float, optional
        Cap of LTV when borrowing; just below the threshold by default.
    """
    cap = min(liquidation_threshold, ltv_most if ltv_most is not None else 1.0) * (1 - 1e-9)
    years = days / DAYS_A_YEAR

    def growth(leverage: float) -> tuple[float, float]:
        ltv = 1 - 1 / leverage
        chance = first_passage_probability(1.0, ltv / liquidation_threshold, drift_annual, sigma_annual, days)
        free = rate_annual + (drift_annual - rate_annual) * leverage - (sigma_annual * leverage) ** 2 / 2
        return free - liquidation_cost * chance / years, chance

    low, high = 1.0, 1 / (1 - cap)
    for _ in range(3):  # each grid is looked at around the best of the last: the target need not be unimodal
        grid = np.linspace(low, high, LEVERAGE_STEPS + 1)
        best = int(np.argmax([growth(float(each))[0] for each in grid]))
        low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, LEVERAGE_STEPS)])
    leverage = float(grid[best])
    value, chance = growth(leverage)
    return Leverage(leverage, 1 - 1 / leverage, value, chance)
