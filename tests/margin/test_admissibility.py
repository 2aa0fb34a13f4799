"""What bonus a threshold can bear."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from solvent.margin.admissibility import admissibility_problems, is_admissible, toxic_ltv, trigger_product

shares = st.fractions(Fraction(1, 100), Fraction(99, 100))
bonuses = st.fractions(0, 1)


@given(shares, bonuses)
def test_a_threshold_is_admissible_up_to_the_toxic_ltv(threshold: Fraction, bonus: Fraction) -> None:
    assert is_admissible(threshold, bonus) == (threshold <= toxic_ltv(bonus))
    assert trigger_product(toxic_ltv(bonus), bonus) == 1


@given(shares, bonuses, st.fractions(Fraction(1, 10), 1), st.fractions(Fraction(1, 100), Fraction(1, 2)))
def test_a_liquidation_lowers_ltv_below_the_toxic_ltv_only(
    ltv: Fraction, bonus: Fraction, collateral: Fraction, part: Fraction
) -> None:
    repay = part * ltv * collateral / (1 + bonus)
    after = (ltv * collateral - repay) / (collateral - repay * (1 + bonus))
    assert (after < ltv) == (ltv < toxic_ltv(bonus))


def test_a_policy_is_refused_at_the_product_of_1_unless_flagged() -> None:
    rows = [("ETH", Fraction(8, 10), Fraction(1, 4)), ("BTC", Fraction(8, 10), Fraction(2, 10))]
    found = admissibility_problems(rows, "policy.toml")
    assert [each.field for each in found] == ["ETH"]
    assert "below 0.8" in found[0].accepted
    assert admissibility_problems(rows, "policy.toml", flagged=True) == []
