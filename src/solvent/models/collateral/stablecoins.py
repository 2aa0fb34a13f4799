"""A stablecoin's risk of losing its peg: kind, redemption, reserves and the price's own warning."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from solvent.models.collateral.facts import Facts
from solvent.valuation.tiers import F64

FLOOR: Mapping[str, float] = {"fiat": 0.02, "crypto": 0.10, "algorithmic": 0.50}
"""Haircut in quiet times: a peg's own history says little of its end."""
LOSS_GIVEN_DEPEG: Mapping[str, float] = {"fiat": 0.15, "crypto": 0.20, "algorithmic": 0.90}
"""What is lost when it happens: USDC and DAI fell to 0.88 and 0.90 in March 2023; UST to 0.13 in five days."""
HAZARD_WEEKLY: Mapping[str, float] = {"fiat": 0.0005, "crypto": 0.001, "algorithmic": 0.02}
"""Depegs a week while the price is at the peg."""
WARNING_SLOPE = 16.0
WARNING_POWER = 1.5
"""Hazard a week = base + 16 d^1.5, d how far the day's low was below the peg. Daily prices of USDC, USDT, DAI, USDP,
USDD and UST to 2024: of days whose low was 0.5 to 1 % below, 1.1 % saw a close below 0.97 within a week (the formula:
1.0 %); of 2 to 3 %, 6 % (6 %); of 3 to 5 %, 14 % (12 %); above 5 %, 17 % of 48 (above 16 %, by design: they are one
week of few events)."""
REDEMPTION_FACTOR: Mapping[str, float] = {"open": 1.0, "limited": 1.5, "none": 3.0, "suspended": 4.0}
RESERVE_FACTOR = 2.0
"""Hazard is up to 1 + this for reserves of no quality. Judgement, as are the redemption factors: events are few."""
RESERVE_UNKNOWN = 0.5
MEMORY_DAYS = 3
"""The worst low of so many days is the warning."""
BACKING_FALL = 0.90
"""Of what backs an algorithmic coin, in the joint scenario."""
ALGORITHMIC_CAP_SHARE = 0.25
"""Of the cap that volume and supply would give, where a rule admits one."""


def peg_shortfall(low: ArrayLike, close: ArrayLike, peg: float = 1.0) -> F64:
    """How far below the peg each day's price was at its worst of the last `MEMORY_DAYS`, a fraction, at least 0.

    low, close: USD, shape (n,), oldest first. Above the peg is nobody's loss.
    """
    worst = np.minimum(np.asarray(low, np.float64), np.asarray(close, np.float64)) / peg
    short = np.maximum(1.0 - worst, 0.0)
    lagged = [np.concatenate((np.zeros(lag), short[: short.size - lag])) for lag in range(min(MEMORY_DAYS, short.size))]
    return np.asarray(np.max(lagged, axis=0)) if lagged else short


def depeg_probability(shortfall: ArrayLike, facts: Facts, days: float = 7.0) -> F64:
    """Probability that the peg breaks within so many days: 1 - exp(-hazard days / 7).

    Parameters
    ----------
    shortfall : array_like
        See `peg_shortfall`.
    facts : Facts
        Of a stablecoin, as they were on the day.
    days : float
        Until what is held against it could be unwound.
    """
    quality = RESERVE_UNKNOWN if facts.reserve_quality is None else facts.reserve_quality
    factor = REDEMPTION_FACTOR[facts.redemption] * (1.0 + RESERVE_FACTOR * (1.0 - quality))
    hazard = HAZARD_WEEKLY[facts.stablecoin] + WARNING_SLOPE * np.asarray(shortfall, np.float64) ** WARNING_POWER
    return np.asarray(-np.expm1(-hazard * factor * days / 7.0))


def stablecoin_haircut(market: ArrayLike, shortfall: ArrayLike, facts: Facts) -> F64:
    """max(market + p_depeg x loss given depeg, floor of the kind), at most 1: two states, pegged and broken.

    market: the haircut for the price's ordinary moves, shapes broadcast.
    """
    broken = depeg_probability(shortfall, facts) * LOSS_GIVEN_DEPEG[facts.stablecoin]
    return np.asarray(np.clip(np.asarray(market, np.float64) + broken, FLOOR[facts.stablecoin], 1.0))


def joint_scenario(asset: str, facts: Facts) -> dict[str, float]:
    """Relative moves of the day on which an algorithmic coin fails: its depeg, and its backing down by 90 %."""
    moves = dict.fromkeys(facts.backing, -BACKING_FALL)
    return {asset: -LOSS_GIVEN_DEPEG[facts.stablecoin], **moves}
