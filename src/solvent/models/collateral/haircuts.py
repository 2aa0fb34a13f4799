"""The haircut of an asset: what it may fall by while it is sold, what the sale costs, and what stands behind it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from solvent.models.collateral.facts import Facts
from solvent.valuation.tiers import F64

COIN_FLOOR = 0.05
"""Of anything whose price floats, however quiet its history."""
CUSTODY_ADD = {"native": 0.0, "contract": 0.0, "qualified": 0.0, "exchange": 0.035, "unknown": 0.08}
"""By where what stands behind a claim lies; an exchange's promise adds 2 to 5 points."""
WRAPPING_ADD = {"none": 0.0, "canonical": 0.02, "custodial": 0.02, "third_party": 0.08}
KIND_ADD = {"staked": 0.01, "restaked": 0.03, "treasury": 0.01, "gold": 0.01}
"""Points for slashing, contracts and redemption of staked claims; for issue and redemption of tokenised assets."""


class HaircutPart(NamedTuple):
    """One part of a haircut and where it comes from."""

    name: str
    fraction: float
    detail: str


def market_haircut(
    quantile: ArrayLike,
    horizon_days: ArrayLike,
    spread: ArrayLike = 0.0,
    impact: ArrayLike = 0.0,
    multiplier: ArrayLike = 1.0,
) -> F64:
    """h = 1 - exp(-m z sigma sqrt(H)) (1 - s / 2 - impact), in [0, 1]. Shapes broadcast.

    Parameters
    ----------
    quantile : array_like
        z sigma: one-day log loss at the haircut's confidence.
    horizon_days : array_like
        H, days until it is sold.
    spread, impact : array_like
        s and the price concession of the sale, fractions.
    multiplier : array_like
        m, above 1 in stress.
    """
    fall = np.exp(-np.asarray(multiplier, np.float64) * np.asarray(quantile) * np.sqrt(np.asarray(horizon_days)))
    proceeds = np.maximum(1.0 - 0.5 * np.asarray(spread, np.float64) - np.asarray(impact, np.float64), 0.0)
    return np.asarray(np.clip(1.0 - fall * proceeds, 0.0, 1.0))


def claim_parts(facts: Facts) -> list[HaircutPart]:
    """What is added because an asset is a claim on another: custody, wrapping, staking, tokenisation."""
    rows = [
        ("custody", CUSTODY_ADD[facts.custody], facts.custody),
        ("wrapping", WRAPPING_ADD[facts.wrapping], facts.wrapping),
        ("claim", KIND_ADD.get(facts.kind, 0.0), facts.kind),
    ]
    return [HaircutPart(*row) for row in rows if row[1] > 0.0]


def looked_through(own: ArrayLike, underlying: ArrayLike | None) -> F64:
    """A claim is at least as dear as what it redeems into: a short or thin history of its own hides nothing."""
    mine = np.asarray(own, np.float64)
    return mine if underlying is None else np.maximum(mine, np.asarray(underlying, np.float64))


def maintenance_haircut(initial: float, fee: float, latency_fall: float, impact: float, share: float = 0.8) -> float:
    """Haircut of maintenance margin: a share of the initial one, with the floor that a liquidation needs.

    fee, latency_fall, impact: the liquidation's fee, the 99 % fall over the time it takes, its price concession.
    """
    return min(initial, max(share * initial, fee + latency_fall + impact))
