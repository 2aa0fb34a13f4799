"""Interest on borrowed atoms: a kinked rate on utilisation, and how one interval's interest is split."""

from collections.abc import Sequence

import msgspec

from solvent.domain.quantities import mul_div_down, mul_div_up
from solvent.errors import Problem, problem
from solvent.pools.decimals import scaled
from solvent.pools.fixed_point import WAD, YEAR_S

RATE_ANNUAL_MOST = 10.0
"""Bound on the rate at full utilisation, as in Aave v3 (1000 %)."""


class KinkedCurve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rate that rises gently up to a target utilisation and steeply above it.

    The two slopes are the whole rise over their part of the range, as in Aave v3
    (DefaultReserveInterestRateStrategyV2): at the kink the rate is base + slope_low, at 1 it is
    base + slope_low + slope_high.
    """

    base_annual: float = 0.0
    """Rate with nothing lent; 0.01 is 1 % a year."""
    slope_low_annual: float = 0.04
    """Rise of the rate from utilisation 0 to the kink."""
    slope_high_annual: float = 0.75
    """Further rise from the kink to utilisation 1."""
    kink_utilisation: float = 0.8
    """Utilisation at which the rate turns steep; in (0, 1)."""
    reserve_factor: float = 0.1
    """Part of all interest that goes to insurance; in [0, 1]."""

    def check(self, where: str = "pools") -> list[Problem]:
        """Every field that no lender or borrower could live with."""
        found = [
            problem(where, None, field, getattr(self, field), "a number from 0 to 10 (0.04 is 4 % a year)")
            for field in ("base_annual", "slope_low_annual", "slope_high_annual")
            if not 0 <= getattr(self, field) <= RATE_ANNUAL_MOST
        ]
        if not found and self.base_annual + self.slope_low_annual + self.slope_high_annual > RATE_ANNUAL_MOST:
            total = self.base_annual + self.slope_low_annual + self.slope_high_annual
            found.append(problem(where, None, "base + slopes", total, "at most 10 in sum"))
        if not 0 < self.kink_utilisation < 1:
            value = self.kink_utilisation
            found.append(problem(where, None, "kink_utilisation", value, "above 0 and below 1"))
        if not 0 <= self.reserve_factor <= 1:
            found.append(problem(where, None, "reserve_factor", self.reserve_factor, "from 0 to 1"))
        return found


class Accrual(msgspec.Struct, frozen=True):
    """One interval's interest of a pool: `sum(interest_atoms) == lenders_atoms + reserve_atoms`, exactly."""

    rate_e18: int
    """Annual rate that borrowers paid."""
    interest_atoms: tuple[int, ...]
    """What each loan grows by, in the order given."""
    lenders_atoms: int
    """Added to the lenders' value."""
    reserve_atoms: int
    """Owed to insurance; it takes the rounding too."""


def utilisation_up_e18(cash_atoms: int, loan_atoms: int) -> int:
    """loans / (cash + loans) in 1e-18; 0 for an empty pool."""
    return mul_div_up(loan_atoms, WAD, cash_atoms + loan_atoms) if loan_atoms else 0


def borrow_rate_e18(curve: KinkedCurve, cash_atoms: int, loan_atoms: int) -> int:
    """Annual borrow rate in 1e-18 at the pool's utilisation, rounded up once.

    Parameters: cash_atoms >= 0 not lent; loan_atoms >= 0 lent in all.
    """
    base, low, high = (
        scaled(curve.base_annual),
        scaled(curve.slope_low_annual),
        scaled(curve.slope_high_annual),
    )
    kink, total = scaled(curve.kink_utilisation), cash_atoms + loan_atoms
    if not loan_atoms:
        return base
    if loan_atoms * WAD <= kink * total:
        return base + mul_div_up(low, loan_atoms * WAD, kink * total)
    return base + low + mul_div_up(high, loan_atoms * WAD - kink * total, (WAD - kink) * total)


def supply_rate_e18(curve: KinkedCurve, cash_atoms: int, loan_atoms: int) -> int:
    """Annual rate in 1e-18 that lenders earn at the pool's utilisation, rounded down; for display."""
    if not loan_atoms:
        return 0
    share = WAD - scaled(curve.reserve_factor)
    paid = borrow_rate_e18(curve, cash_atoms, loan_atoms) * loan_atoms
    return mul_div_down(paid, share, WAD * (cash_atoms + loan_atoms))


def interest_up(loan_atoms: int, rate_e18: int, interval_s: int) -> int:
    """Simple interest of a loan over `interval_s` seconds, rounded up; posting it each hour compounds it."""
    return mul_div_up(loan_atoms * rate_e18, interval_s, WAD * YEAR_S)


def accrue(curve: KinkedCurve, cash_atoms: int, loans_atoms: Sequence[int], interval_s: int) -> Accrual:
    """One interval's interest of all loans of a pool, and its split between lenders and insurance.

    Each loan is rounded up, the lenders' part down; what is left, rounding included, is the reserve's.
    Parameters: loans_atoms, one entry >= 0 a borrower; interval_s >= 0.
    """
    rate = borrow_rate_e18(curve, cash_atoms, sum(loans_atoms))
    interest = tuple(interest_up(loan, rate, interval_s) for loan in loans_atoms)
    total = sum(interest)
    lenders = mul_div_down(total, WAD - scaled(curve.reserve_factor), WAD)
    return Accrual(rate, interest, lenders, total - lenders)


METHODS = {"kinked": KinkedCurve}
"""Interest curves that a policy can name."""
