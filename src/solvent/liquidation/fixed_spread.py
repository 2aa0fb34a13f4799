"""What theory says of fixed-spread liquidation: one step, the two-step optimum, and the toxic region."""

from fractions import Fraction

import msgspec

from solvent.margin.admissibility import toxic_ltv


class Step(msgspec.Struct, frozen=True):
    """One repayment in one numeraire."""

    repay: Fraction
    receive: Fraction
    profit: Fraction


class Effect(msgspec.Struct, frozen=True):
    """What a repayment does to a position."""

    ltv_after: Fraction
    improves: bool
    """Whether LTV falls: LTV x (1 + spread) below 1 before it."""
    terminal_bad_debt: Fraction
    """Debt that stays once all collateral is seized at this spread."""


def step(repay: Fraction, spread: Fraction) -> Step:
    """Repay, and receive (1 + spread) of it."""
    return Step(repay, repay * (1 + spread), repay * spread)


def close_factor_step(debt: Fraction, spread: Fraction, close_factor: Fraction) -> Step:
    """The largest single step: close factor of the debt."""
    return step(close_factor * debt, spread)


def first_repay(collateral: Fraction, debt: Fraction, threshold: Fraction, spread: Fraction) -> Fraction:
    """The most that leaves a liquidatable position liquidatable: health is exactly 1 after it.

    (D - LT C) / (1 - LT (1 + LS)); needs LT (1 + LS) < 1.

    Notes
    -----
    Qin, Zhou, Gamito, Jovanovic, Gervais 2021 (arXiv 2106.06389), section 5.2.
    """
    return (debt - threshold * collateral) / (1 - threshold * (1 + spread))


def two_steps(debt: Fraction, first: Fraction, spread: Fraction, close_factor: Fraction) -> tuple[Step, Step]:
    """A first repayment that keeps the position liquidatable, then close factor of what is left."""
    return step(first, spread), step(close_factor * (debt - first), spread)


def health_after(
    collateral: Fraction, debt: Fraction, threshold: Fraction, spread: Fraction, repay: Fraction
) -> Fraction:
    """Health factor after a repayment that leaves debt."""
    return threshold * (collateral - repay * (1 + spread)) / (debt - repay)


def effect(collateral: Fraction, debt: Fraction, spread: Fraction, repay: Fraction) -> Effect:
    """What one repayment does; it leaves collateral.

    Notes
    -----
    Above LTV 1 / (1 + spread) every step raises LTV (Warmuz, Chaudhary, Pinna 2022, arXiv 2212.07306).
    """
    left = debt - repay
    return Effect(
        left / (collateral - repay * (1 + spread)),
        debt * (1 + spread) < collateral,
        max(debt - collateral * toxic_ltv(spread), Fraction(0)),
    )
