"""Euler's linear kink: a rate a second in 1e-27 from a 32-bit utilisation."""

import math

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.pools.fixed_point import RAY

UTILIZATION_ONE = 2**32 - 1
"""Full utilisation."""
GREGORIAN_YEAR_S = 31_556_952.0
"""365.2425 days, the year in which Euler states yields."""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rates a second in 1e-27; slopes per 1/`UTILIZATION_ONE` of utilisation.

    Source: euler-xyz/euler-vault-kit, src/InterestRateModels/IRMLinearKink.sol.
    """

    base_e27: int
    slope1_e27: int
    slope2_e27: int
    kink: int
    """Utilisation at the kink, in 1/`UTILIZATION_ONE`."""


def utilization_down(cash: int, borrows: int) -> int:
    """borrows / (cash + borrows) in 1/`UTILIZATION_ONE`; 0 for an empty vault."""
    total = cash + borrows
    return 0 if total == 0 else mul_div_down(borrows, UTILIZATION_ONE, total)


def rate_e27(curve: Params, utilization: int) -> int:
    """Borrow rate a second in 1e-27; exact, no rounding."""
    below = min(utilization, curve.kink)
    return curve.base_e27 + curve.slope1_e27 * below + curve.slope2_e27 * (utilization - below)


def yield_annual(rate_e27: int, year_s: float = GREGORIAN_YEAR_S) -> float:
    """Compounded yield of a year at a rate a second: (1 + rate)^year - 1."""
    return math.expm1(year_s * math.log1p(rate_e27 / RAY))
