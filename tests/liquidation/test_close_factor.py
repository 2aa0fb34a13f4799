"""Aave v3's liquidation: close factor, seizure, dust, deficit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.liquidation.close_factor import (
    BEFORE_3_3,
    Params,
    Position,
    close_factor_bps,
    liquidate,
    max_liquidatable_base,
    seizure,
)
from solvent.liquidation.reverted import RevertedError
from solvent.margin.rules.aave_v3 import Debt
from solvent.pools.fixed_point import BPS, WAD

USD = 10**8
PARAMS = Params()
PERCENT = WAD // 100


def position(collateral_usd: int, *debts_usd: int, other_usd: int = 0) -> Position:
    """Collateral and debts of assets at 1 USD with 8 decimals; thresholds 86 %, bonus 5 %, fee 10 %."""
    debts = tuple(Debt(usd * USD, USD, USD) for usd in debts_usd)
    return Position(collateral_usd * USD, USD, USD, 8600, 10500, 1000, debts, other_usd * USD, other_usd * USD * 8600)


@pytest.mark.parametrize(
    ("health", "collateral_usd", "debt_usd", "share"),
    [
        (96 * PERCENT, 2000, 2000, 5000),
        (95 * PERCENT, 2000, 2000, BPS),
        (96 * PERCENT, 1999, 2000, BPS),
        (96 * PERCENT, 2000, 1999, BPS),
    ],
)
def test_the_close_factor_has_three_conditions(health: int, collateral_usd: int, debt_usd: int, share: int) -> None:
    assert close_factor_bps(PARAMS, health, collateral_usd * USD, debt_usd * USD) == share


def test_the_close_factor_is_of_all_debt_now_and_of_the_reserve_before() -> None:
    amounts = (96 * PERCENT, 9000 * USD, 3000 * USD, 9000 * USD)
    assert max_liquidatable_base(PARAMS, *amounts) == 3000 * USD
    assert max_liquidatable_base(BEFORE_3_3, *amounts) == 1500 * USD


@given(
    st.integers(1, 10**12), st.integers(1, 10**12), st.integers(1, 10**12), st.integers(BPS, 2 * BPS),
    st.integers(0, BPS), st.integers(0, 10**12),
)  # fmt: skip
def test_a_seizure_never_pays_more_than_repayment_with_bonus(
    balance: int, price: int, debt_price: int, bonus: int, fee: int, cover: int
) -> None:
    debt = Debt(10**12, debt_price, 10**6)
    taken = seizure(Position(balance, price, 10**8, 8000, bonus, fee, (debt,)), debt, cover)
    seized = taken.collateral_to_liquidator + taken.protocol_fee
    assert 0 <= seized <= balance
    assert taken.debt_repaid <= cover + 1
    # values in base units times both units and basis points; the floor inside may lose an atom of debt
    assert seized * price * 10**6 * BPS <= ((taken.debt_repaid + 1) * debt_price + 10**6) * 10**8 * bonus
    assert taken.protocol_fee * BPS <= (seized - seized * BPS // bonus) * fee + BPS


@given(st.integers(1000, 10**6), st.integers(1000, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_liquidation_leaves_no_dust_or_is_refused(collateral: int, debt: int, second: int, cover: int) -> None:
    account = position(collateral, debt, second)
    if collateral * 86 >= (debt + second) * 100:
        return
    try:
        outcome = liquidate(PARAMS, account, 0, cover * USD)
    except RevertedError as refused:
        reason = refused.reason
    else:
        reason = ""
    assert reason in {"", "MustNotLeaveDust"}
    if reason:
        return
    taken = outcome.seizure
    left = account.collateral_balance - taken.collateral_to_liquidator - taken.protocol_fee
    debt_left = debt * USD - taken.debt_repaid
    assert taken.debt_repaid <= outcome.max_liquidatable <= debt * USD
    if left and debt_left:
        assert min(left, debt_left) >= 1000 * USD
    expected = (debt_left, second * USD) if left == 0 else (0, 0)
    assert outcome.deficits == expected


def test_a_healthy_account_is_refused() -> None:
    with pytest.raises(RevertedError, match="HealthFactorNotBelowThreshold"):
        liquidate(PARAMS, position(100, 86), 0, None)


def test_a_rest_below_1000_usd_is_refused() -> None:
    with pytest.raises(RevertedError, match="MustNotLeaveDust"):
        liquidate(PARAMS, position(1500, 1400), 0, 700 * USD)


def test_other_collateral_keeps_debt_from_being_written_off() -> None:
    bare = liquidate(PARAMS, position(1000, 1500), 0, None)
    backed = liquidate(PARAMS, position(1000, 1500, other_usd=100), 0, None)
    assert bare.deficits[0] > 0
    assert backed.deficits == (0,)
    assert bare.seizure == backed.seizure


@given(st.integers(10**4, 10**6), st.integers(910, 999))
def test_above_threshold_times_bonus_a_liquidation_raises_health(debt: int, health_thousandths: int) -> None:
    """The least health is 0.86 x 1.05 = 0.903: LTV 1 / 1.05."""
    account = position(debt * health_thousandths // 860, debt)
    outcome = liquidate(PARAMS, account, 0, debt // 2 * USD)
    taken = outcome.seizure
    left = account.collateral_balance - taken.collateral_to_liquidator - taken.protocol_fee
    after = left * 86 * WAD // (100 * (debt * USD - taken.debt_repaid))
    assert after >= outcome.health_factor_e18
