"""Figures that regulations print: EMIR's limits on margin models, and the fields of a back-test report."""

from typing import NamedTuple


class EmirLimits(NamedTuple):
    """Commission Delegated Regulation (EU) 153/2013, Articles 24 to 28."""

    buffer_min: float = 0.25
    """Article 28(1)(a): margin buffer that may be exhausted."""
    stressed_weight_min: float = 0.25
    """Article 28(1)(b): weight of stressed observations in the look-back."""
    floor_lookback_years: int = 10
    """Article 28(1)(c): volatility whose margin is the floor."""
    confidence_otc: float = 0.995
    """Article 24, OTC derivatives."""
    confidence_other: float = 0.99
    lookback_months_min: int = 12
    """Article 25."""
    liquidation_days_otc: int = 5
    """Article 26."""
    liquidation_days_other: int = 2
    portfolio_offset_cap: float = 0.8
    """Article 27(4): of the difference between the sum and the joint margin."""


EMIR = EmirLimits()

AUTH_066_FIELDS = (
    "NumberOfObservations",
    "NumberOfExceptions",
    "Coverage",
    "LargestException",
    "AverageException",
    "LargestExceptionIdentification",
)
"""Elements of a back-test result in ISO 20022 auth.066.001.01 (CCP back-testing result report), in their order."""
