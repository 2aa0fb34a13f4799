"""Silo's liquidation to a target LTV."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.liquidation.reverted import RevertedError
from solvent.liquidation.target_ltv import (
    Borrower,
    Params,
    by_ratio_down,
    collateral_assets_for,
    maximum_liquidation,
    maximum_preview,
    preview,
    repay_value_most,
)
from solvent.pools.fixed_point import WAD

PERCENT = WAD // 100
values = st.integers(1, 10**30)
terms = st.builds(Params, st.integers(0, WAD), st.integers(0, 20 * PERCENT))


@given(terms, values, values)
def test_a_repayment_stays_within_debt_and_collateral(params: Params, debt: int, collateral: int) -> None:
    seized, repaid = maximum_preview(params, debt, collateral)
    assert 0 <= repaid <= debt
    assert 0 <= seized <= collateral
    assert repaid == debt or repaid * WAD // debt <= params.full_above_e18


@given(st.integers(10 * WAD, 10**30), st.integers(50, 85), st.integers(1, 20), st.integers(0, 10))
def test_a_partial_repayment_lands_on_the_target(collateral: int, target: int, above: int, fee: int) -> None:
    params = Params(target * PERCENT, fee * PERCENT)
    debt = collateral * min(target + above, 99) // 100
    repaid = repay_value_most(params, debt, collateral)
    if repaid < debt:
        seized = repaid + repaid * params.fee_e18 // WAD
        ltv = (debt - repaid) * WAD // (collateral - seized)
        assert abs(ltv - params.target_ltv_e18) <= 10


@pytest.mark.parametrize(
    ("debt", "collateral", "target", "fee", "repaid"),
    [
        (0, 100, 70, 5, 0),
        (50, 100, 70, 5, 0),
        (100, 100, 70, 5, 100),
        (80, 100, 0, 5, 80),
        (80, 100, 79, 27, 80),
        (99, 100, 70, 30, 99),
    ],
)
def test_edges(debt: int, collateral: int, target: int, fee: int, repaid: int) -> None:
    params = Params(target * PERCENT, fee * PERCENT)
    assert repay_value_most(params, debt * WAD, collateral * WAD) == repaid * WAD


@given(terms, values, values, values, values, st.integers(0, 10**31))
def test_a_preview_never_takes_more_than_there_is(
    params: Params, debt_assets: int, debt_value: int, assets: int, value: int, wish: int
) -> None:
    borrower = Borrower(debt_assets, debt_value, assets, value)
    seized, repaid, ltv = preview(params, borrower, wish)
    assert 0 <= seized <= assets
    assert 0 <= repaid <= debt_assets
    assert ltv >= 0
    most_seized, most_repaid = maximum_liquidation(params, borrower)
    assert most_repaid <= debt_assets
    assert most_seized <= assets


def test_bad_debt_may_be_repaid_in_any_amount() -> None:
    borrower = Borrower(180 * WAD, 180 * WAD, 100 * WAD, 100 * WAD)
    found = preview(Params(72 * PERCENT, 10 * PERCENT), borrower, 10 * WAD)
    assert found == (11 * WAD, 10 * WAD, -(-170 * WAD // 89))


def test_all_collateral_needs_no_ratio_and_an_empty_total_has_none() -> None:
    assert collateral_assets_for(Params(0, 0), 5, 100, 5) == (100, 5)
    assert collateral_assets_for(Params(0, 0), 5, 100, 0) == (100, 0)
    with pytest.raises(RevertedError, match="UnknownRatio"):
        by_ratio_down(1, 1, 0)
