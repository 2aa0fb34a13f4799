"""Theory of fixed-spread liquidation."""

from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from solvent.liquidation.fixed_spread import (
    close_factor_step,
    effect,
    first_repay,
    health_after,
    two_steps,
)

thresholds = st.fractions(Fraction(1, 2), Fraction(9, 10))
spreads = st.fractions(0, Fraction(1, 10))
debts = st.fractions(1, 1000)


@given(thresholds, spreads, debts, st.fractions(1, Fraction(11, 10)))
def test_two_steps_earn_more_than_one_by_the_known_amount(
    threshold: Fraction, spread: Fraction, debt: Fraction, over: Fraction
) -> None:
    factor = Fraction(1, 2)
    collateral = debt / threshold / over
    assume(threshold * (1 + spread) < 1)
    repay = first_repay(collateral, debt, threshold, spread)
    assume(repay < debt)
    first, second = two_steps(debt, repay, spread, factor)
    once = close_factor_step(debt, spread, factor)
    assert health_after(collateral, debt, threshold, spread, repay) == 1
    assert first.profit + second.profit - once.profit == spread * (1 - factor) * repay


@given(debts, spreads, st.fractions(Fraction(1, 2), Fraction(3, 2)), st.fractions(Fraction(1, 100), Fraction(1, 2)))
def test_a_step_improves_below_the_toxic_ltv_and_bad_debt_is_left_above(
    debt: Fraction, spread: Fraction, ltv: Fraction, part: Fraction
) -> None:
    collateral = debt / ltv
    repay = part * min(debt, collateral / (1 + spread))
    found = effect(collateral, debt, spread, repay)
    assert found.improves == (found.ltv_after < ltv)
    assert (found.terminal_bad_debt > 0) == (ltv * (1 + spread) > 1)
