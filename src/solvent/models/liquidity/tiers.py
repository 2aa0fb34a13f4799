"""How liquid an asset is, in one score with its parts, and the tier and margin period that follow."""

from collections.abc import Mapping
from math import isfinite, log10
from typing import NamedTuple

from solvent.valuation.tiers import F64

SCALES: Mapping[str, tuple[float, float, float]] = {
    "volume_usd_daily": (0.40, 1e6, 1e10),
    "depth_usd": (0.15, 1e5, 1e8),
    "spread": (0.15, 0.05, 0.0005),
    "amihud": (0.15, 1e-8, 1e-12),
    "herfindahl": (0.05, 1.0, 0.1),
    "age_days": (0.10, 90.0, 2000.0),
}
"""Measure -> weight, the value that scores 0, the value that scores 1; logarithmic in between.

Fixed scales and not ranks: an asset's tier must not depend on which others are in the file."""
TIER_EDGES = (0.70, 0.50, 0.30)
"""Least scores of tiers 1, 2 and 3; the rest is tier 4."""
PERIOD_DAYS = {1: 1.0, 2: 2.0, 3: 5.0, 4: 10.0}
"""Margin period of risk of each tier: a day for the largest, a trading week and more for the tail."""


class Score(NamedTuple):
    """A liquidity score and what it is made of."""

    score: float
    """From 0 to 1."""
    tier: int
    """From 1, the most liquid, to 4."""
    parts: dict[str, float]
    """Each known measure's own score, from 0 to 1."""


def liquidity_score(measures: Mapping[str, float | None]) -> Score:
    """Weighted mean of what is known of `SCALES`; without a volume the score is 0 and the tier the last.

    Measures that are None or NaN are left out and the others' weights grow.
    """
    parts = {name: _part(name, value) for name in SCALES if _known(value := measures.get(name))}
    if "volume_usd_daily" not in parts:
        return Score(0.0, len(TIER_EDGES) + 1, parts)
    weight = sum(SCALES[name][0] for name in parts)
    score = sum(SCALES[name][0] * part for name, part in parts.items()) / weight
    tier = 1 + sum(score < edge for edge in TIER_EDGES)
    return Score(score, tier, parts)


def _known(value: float | None) -> bool:
    return value is not None and isfinite(value)


def _part(name: str, value: float | None) -> float:
    """0 to 1 on a logarithmic scale."""
    assert value is not None
    _, worst, best = SCALES[name]
    if value <= 0.0:
        return 0.0 if best > worst else 1.0
    return min(1.0, max(0.0, log10(value / worst) / log10(best / worst)))


def herfindahl(volumes_usd: F64) -> float:
    """Sum of squared shares of venues: 1 where all trades on one, 1 / n where n share equally; NaN without any.

    volumes_usd: shape (venues,).
    """
    total = float(volumes_usd.sum())
    return float(((volumes_usd / total) ** 2).sum()) if total > 0.0 else float("nan")
