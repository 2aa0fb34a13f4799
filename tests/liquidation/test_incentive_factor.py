"""Morpho's liquidation by incentive factor, bad debt and pre-liquidation."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.liquidation.incentive_factor import (
    Market,
    Params,
    PreLiquidation,
    bad_debt,
    incentive_factor_e18_down,
    pre_liquidation_factors_e18,
    seized_for_shares,
    shares_for_seized,
)
from solvent.liquidation.reverted import RevertedError
from solvent.margin.admissibility import is_admissible
from solvent.margin.rules.morpho_blue import PRICE_SCALE
from solvent.pools.fixed_point import WAD

markets = st.builds(Market, st.integers(0, 10**30), st.integers(0, 10**36), st.integers(10**30, 10**42))
factors = st.integers(WAD, 115 * WAD // 100)


@given(st.integers(0, WAD - 1))
def test_the_factor_falls_with_lltv_and_stays_admissible(lltv: int) -> None:
    factor = incentive_factor_e18_down(Params(), lltv)
    assert WAD <= factor <= 115 * WAD // 100
    assert incentive_factor_e18_down(Params(), lltv // 2) >= factor
    assert is_admissible(Fraction(lltv, WAD), Fraction(factor - WAD, WAD))


@given(markets, factors, st.integers(0, 10**30))
def test_seizing_by_shares_favours_the_lenders(market: Market, factor: int, shares: int) -> None:
    seized, repaid = seized_for_shares(market, factor, shares)
    assert seized * market.price_e36 * WAD <= repaid * factor * PRICE_SCALE


@given(markets, factors, st.integers(0, 10**30))
def test_repaying_for_an_amount_favours_the_lenders(market: Market, factor: int, seized: int) -> None:
    shares, repaid = shares_for_seized(market, factor, seized)
    assert seized * market.price_e36 * WAD <= repaid * factor * PRICE_SCALE
    assert seized_for_shares(market, factor, shares)[0] >= seized - seized_for_shares(market, factor, 1)[0] - 1


@given(st.integers(0, 10**30), st.integers(0, 10**30), st.integers(0, 10**30))
def test_bad_debt_is_written_off_only_without_collateral(assets: int, shares: int, left: int) -> None:
    market = Market(assets, shares, PRICE_SCALE)
    assert bad_debt(market, 1, left) == 0
    assert bad_debt(market, 0, left) == min(assets, -(-left * (assets + 1) // (shares + 10**6)))


TERMS = PreLiquidation(8 * WAD // 10, 9 * WAD // 10, WAD // 10, WAD // 2, WAD, 105 * WAD // 100)


@pytest.mark.parametrize(("ltv_percent", "incentive_thousandths", "close_percent"), [(85, 1025, 30), (90, 1050, 50)])
def test_pre_liquidation_runs_linearly(ltv_percent: int, incentive_thousandths: int, close_percent: int) -> None:
    found = pre_liquidation_factors_e18(TERMS, ltv_percent * WAD // 100)
    assert found == (incentive_thousandths * WAD // 1000, close_percent * WAD // 100)


@pytest.mark.parametrize(("ltv_percent", "reason"), [(80, "NotPreLiquidatable"), (91, "LiquidatablePosition")])
def test_pre_liquidation_ends_where_its_range_ends(ltv_percent: int, reason: str) -> None:
    with pytest.raises(RevertedError, match=reason):
        pre_liquidation_factors_e18(TERMS, ltv_percent * WAD // 100)
