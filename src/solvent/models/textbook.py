"""Value at risk in closed form, as textbooks state it: normal positions, portfolios, and the cost of the spread.

Hull, Risk Management and Financial Institutions; Bangia, Diebold, Schuermann and Stroughair 1999; Dowd 2005.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class PortfolioVar(NamedTuple):
    """Value at risk of several normal positions together."""

    deviation: float
    """Of one day, in money."""
    value_at_risk: float
    diversification: float
    """What the positions' own values at risk are more than that."""


def normal_var(position: float, deviation: float, days: float, z: float) -> float:
    """|position| x daily deviation x z x sqrt(days)."""
    return abs(position) * deviation * z * math.sqrt(days)


def portfolio_var(deviations: Sequence[float], correlation: float, days: float, z: float) -> PortfolioVar:
    """Of positions whose daily deviations (money) have one correlation pairwise."""
    sizes = np.asarray(deviations, np.float64)
    alone = float(np.square(sizes).sum())
    deviation = math.sqrt(max(alone + correlation * (float(sizes.sum()) ** 2 - alone), 0.0))
    scale = z * math.sqrt(days)
    return PortfolioVar(deviation, deviation * scale, (float(np.abs(sizes).sum()) - deviation) * scale)


def with_spread(value_at_risk: float, value: float, spread: float) -> float:
    """Value at risk and half of a relative spread that stays as it is."""
    return value_at_risk + value * spread / 2.0


def with_stressed_spread(value_at_risk: float, value: float, mean_spread: float, k: float, sd_spread: float) -> float:
    """Value at risk and half of a spread `k` deviations above its mean: + V/2 (mean + k sd)."""
    return with_spread(value_at_risk, value, mean_spread + k * sd_spread)
