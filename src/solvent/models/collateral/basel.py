"""Basel's comprehensive approach: haircuts scaled to a holding period, and the exposure that they leave.

Source: Basel framework CRE22 (standardised approach: credit risk mitigation); Regulation (EU) 575/2013, Articles
223 to 226.
"""

import numpy as np
from numpy.typing import ArrayLike

from solvent.valuation.tiers import F64


def scaled_haircut(haircut: ArrayLike, from_days: ArrayLike, to_days: ArrayLike) -> F64:
    """H_M = H_N sqrt(T_M / T_N): a haircut of one holding period for another. Shapes broadcast, any unit."""
    ratio = np.asarray(to_days, np.float64) / np.asarray(from_days, np.float64)
    return np.asarray(np.asarray(haircut, np.float64) * np.sqrt(ratio))


def remargined_haircut(haircut: ArrayLike, remargin_days: ArrayLike, period_days: ArrayLike) -> F64:
    """H = H_M sqrt((N_R + T_M - 1) / T_M): dearer where margin is called less often than every day.

    haircut: H_M, of the least holding period T_M. remargin_days: N_R, days from one call to the next; 1 is daily.
    """
    period = np.asarray(period_days, np.float64)
    ratio = (np.asarray(remargin_days, np.float64) + period - 1.0) / period
    return np.asarray(np.asarray(haircut, np.float64) * np.sqrt(ratio))


def comprehensive_exposure(
    exposure: ArrayLike,
    collateral: ArrayLike,
    exposure_haircut: ArrayLike = 0.0,
    collateral_haircut: ArrayLike = 0.0,
    currency_haircut: ArrayLike = 0.0,
) -> F64:
    """E* = max(0, E (1 + H_e) - C (1 - H_c - H_fx)), in the unit of E and C. Shapes broadcast."""
    owed = np.asarray(exposure, np.float64) * (1.0 + np.asarray(exposure_haircut, np.float64))
    counted = 1.0 - np.asarray(collateral_haircut, np.float64) - np.asarray(currency_haircut, np.float64)
    return np.asarray(np.maximum(owed - np.asarray(collateral, np.float64) * counted, 0.0))
