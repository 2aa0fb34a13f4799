"""Aave v4's liquidation to a target health factor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.liquidation.reverted import RevertedError
from solvent.liquidation.target_health import (
    Params,
    Reserves,
    bonus_bps_down,
    debt_to_target_up,
    liquidation_amounts,
)
from solvent.pools.fixed_point import BPS, UINT256_MAX, WAD

CENT = 10**8
PARAMS = Params(target_health_factor_e18=WAD, health_factor_for_max_bonus_e18=8 * WAD // 10)


def reserves(collateral_usd: int, debt_usd: int, factor: int = 7000) -> Reserves:
    return Reserves(
        collateral_usd * WAD, CENT, WAD, debt_usd * WAD, CENT, WAD, factor, maximum_bonus_bps=11_000, fee_bps=1000
    )


def health_e18(collateral: int, debt: int, factor: int = 7000) -> int:
    return collateral * factor * WAD // (debt * BPS)


@given(st.integers(0, WAD - 1), st.integers(BPS, 2 * BPS))
def test_the_bonus_grows_as_health_falls(health: int, maximum: int) -> None:
    bonus = bonus_bps_down(PARAMS, health, maximum)
    least = BPS + (maximum - BPS) // 2
    assert least <= bonus <= maximum
    assert bonus_bps_down(PARAMS, max(health - WAD // 100, 0), maximum) >= bonus
    assert bonus_bps_down(PARAMS, PARAMS.health_factor_for_max_bonus_e18, maximum) == maximum


@given(st.integers(10**4, 10**7), st.integers(50, 99), st.integers(100, 130), st.integers(BPS, 12_000))
def test_repaying_to_target_restores_the_target_and_one_atom_less_does_not(
    debt_usd: int, health_percent: int, target_percent: int, bonus: int
) -> None:
    health, target, factor = health_percent * WAD // 100, target_percent * WAD // 100, 7000
    debt = debt_to_target_up(debt_usd * CENT * WAD, health, target, bonus, factor, CENT, WAD)
    weighted = debt_usd * WAD * health

    def reaches(repaid: int) -> bool:
        return weighted * BPS * BPS - repaid * bonus * factor * WAD >= target * (debt_usd * WAD - repaid) * BPS * BPS

    assert reaches(debt)
    assert not reaches(debt - 1)


@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_either_side_is_cleared_or_leaves_at_least_1000_usd(collateral_usd: int, debt_usd: int) -> None:
    health = health_e18(collateral_usd, debt_usd)
    if health >= WAD:
        return
    pair = reserves(collateral_usd, debt_usd)
    amounts = liquidation_amounts(PARAMS, pair, UINT256_MAX, debt_usd * CENT * WAD, health)
    assert 0 <= amounts.to_liquidator <= amounts.collateral <= pair.collateral_balance
    assert amounts.debt <= pair.debt_balance
    debt_left, collateral_left = pair.debt_balance - amounts.debt, pair.collateral_balance - amounts.collateral
    if debt_left and collateral_left:
        assert min(debt_left, collateral_left) >= 1000 * WAD


def test_a_wish_that_would_leave_dust_is_refused() -> None:
    pair = reserves(2500, 2000)
    with pytest.raises(RevertedError, match="MustNotLeaveDust"):
        liquidation_amounts(PARAMS, pair, 1500 * WAD, 2000 * CENT * WAD, health_e18(2500, 2000))


def test_the_protocol_takes_its_share_of_the_bonus_only() -> None:
    pair = reserves(100_000, 80_000)
    amounts = liquidation_amounts(PARAMS, pair, 10_000 * WAD, 80_000 * CENT * WAD, 8 * WAD // 10)
    assert amounts.collateral == 11_000 * WAD
    assert amounts.to_liquidator == 10_900 * WAD
