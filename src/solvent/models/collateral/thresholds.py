"""Liquidation threshold and loan-to-value of an asset: what a liquidation can bear, and never a toxic spiral."""

from typing import NamedTuple

import numpy as np

BONUS = {1: 0.05, 2: 0.075, 3: 0.10, 4: 0.15}
"""Liquidation bonus by liquidity tier."""
CUSHION_LEAST = 0.03
"""Between loan-to-value and threshold, where the 99 % move of an hour is smaller."""
LATENCY_DAYS = 1.0 / 24.0
"""From the moment a loan can be liquidated until it is."""
STEP = 0.001
"""Thresholds are rounded down to this."""


class LoanTerms(NamedTuple):
    """What may be borrowed against an asset."""

    loan_to_value: float
    liquidation_threshold: float
    bonus: float
    bound: float
    """The highest threshold that a liquidation can bear."""
    reason: str


def threshold_bound(fall: float, impact: float, bonus: float) -> float:
    """(1 - fall - impact) / (1 + bonus): at it the collateral still pays debt and bonus after the fall and the sale.

    Below 1 / (1 + bonus), so no liquidation raises LTV (Warmuz, Chaudhary, Pinna 2022, arXiv 2212.07306).
    fall: 99.5 % loss over the liquidation's latency, a fraction.
    """
    return max(0.0, 1.0 - fall - impact) / (1.0 + bonus)


def is_toxic(liquidation_threshold: float, bonus: float) -> bool:
    """Whether threshold x (1 + bonus) reaches 1: every liquidation then leaves the loan worse off."""
    return liquidation_threshold * (1.0 + bonus) >= 1.0


def loan_terms(
    haircut_initial: float,
    haircut_maintenance: float,
    fall: float,
    hourly_move: float,
    impact: float,
    bonus: float,
) -> LoanTerms:
    """Threshold: the lower of the bound and the maintenance weight. LTV: below it by a cushion, and by the haircut.

    Parameters
    ----------
    haircut_initial, haircut_maintenance : float
        Fractions; weights are 1 less these.
    fall, hourly_move : float
        99.5 % loss over the latency and 99 % move of an hour.
    impact : float
        Of the sale of what is seized.
    bonus : float
        What a liquidator gets on top.
    """
    bound = threshold_bound(fall, impact, bonus)
    weight = 1.0 - haircut_maintenance
    threshold = _down(min(bound, weight))
    if is_toxic(threshold, bonus):  # only where neither fall nor impact stands between bound and toxic
        threshold = _down(threshold - STEP)
    cushion = max(CUSHION_LEAST, hourly_move)
    ltv = _down(max(0.0, min(threshold - cushion, 1.0 - haircut_initial)))
    by = "maintenance haircut" if weight < bound else f"fall {fall:.1%}, impact {impact:.1%}, bonus {bonus:.1%}"
    return LoanTerms(ltv, threshold, bonus, bound, f"threshold set by {by}; cushion {cushion * 100:.1f} points")


def _down(value: float) -> float:
    """To whole steps, against the borrower; what is a step but for noise stays."""
    return float(np.floor(value / STEP + 1e-9) * STEP)
