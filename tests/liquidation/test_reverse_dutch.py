"""Euler's liquidation at a discount that health sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.liquidation.reverse_dutch import (
    Params,
    Violator,
    discount_factor_e18,
    is_socialised,
    maximum_liquidation,
    partial_yield_down,
)
from solvent.liquidation.reverted import RevertedError
from solvent.pools.fixed_point import WAD

PARAMS = Params()


@given(st.integers(0, WAD))
def test_the_discount_is_capped(health: int) -> None:
    assert discount_factor_e18(PARAMS, health) == max(health, 8 * WAD // 10)


@given(st.integers(0, 10**24), st.integers(1, 10**24), st.integers(WAD, 10**24), st.integers(0, 10**24))
def test_a_liquidator_never_gains_beyond_the_discount(adjusted: int, debt: int, price: int, balance: int) -> None:
    violator = Violator(adjusted, debt, price, balance, WAD)
    repay, seized = maximum_liquidation(PARAMS, violator)
    assert 0 <= repay <= debt
    assert 0 <= seized <= balance
    liability = debt * price // WAD
    if adjusted > liability:
        assert (repay, seized) == (0, 0)
    else:
        # values: seized at 1, repaid at price; an atom of debt may be lost to rounding
        assert seized * 8 * WAD <= (repay + 1) * price * 10 + 10 * WAD


def test_equality_of_value_and_liability_is_liquidatable_without_discount() -> None:
    assert maximum_liquidation(PARAMS, Violator(100, 100, WAD, 500, WAD)) == (100, 100)
    assert maximum_liquidation(PARAMS, Violator(101, 100, WAD, 500, WAD)) == (0, 0)


def test_worthless_collateral_is_given_away_and_no_debt_means_nothing() -> None:
    assert maximum_liquidation(PARAMS, Violator(0, 100, WAD, 500, 0)) == (0, 500)
    assert maximum_liquidation(PARAMS, Violator(0, 0, WAD, 500, WAD)) == (0, 0)


@given(st.integers(1, 10**24), st.integers(0, 10**24), st.integers(0, 10**24))
def test_parts_are_proportional_and_rounded_down(most: int, seized: int, repay: int) -> None:
    if repay > most:
        with pytest.raises(RevertedError, match="ExcessiveRepayAmount"):
            partial_yield_down(most, seized, repay)
    else:
        assert partial_yield_down(most, seized, repay) * most <= repay * seized
        assert partial_yield_down(most, seized, most) == seized


@pytest.mark.parametrize(
    ("liability", "repaid", "has_collateral", "verdict"),
    [(10**6, 5, False, True), (10**6 - 1, 5, False, False), (10**6, 10, False, False), (10**6, 5, True, False)],
)
def test_debt_is_socialised_only_without_collateral_and_above_the_least(
    liability: int, repaid: int, has_collateral: bool, verdict: bool
) -> None:
    assert is_socialised(PARAMS, liability, 10, repaid, has_collateral) == verdict
    assert not is_socialised(Params(socialises_debt=False), liability, 10, repaid, has_collateral)
