"""OKX portfolio margin: printed worked examples; how the nine terms go together."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.margin.rules.okx_pm import (
    UNPUBLISHED,
    Params,
    StressLosses,
    account_margins,
    basis_risk,
    cross_currency_hedge,
    depeg_risk,
    extreme_loss,
    margin_ratio,
    minimum_charge,
    unit_maintenance_margin,
    worst_loss,
)

PARAMS = Params()
amounts = st.floats(0, 1e6)
losses = st.builds(StressLosses, amounts, amounts, amounts, amounts, amounts, amounts, amounts)


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "venues_published_examples", "okx_mr7_adjusted", "okx_mr9"))


@given(losses)
def test_a_unit_holds_at_least_its_minimum_charge(unit: StressLosses) -> None:
    found = unit_maintenance_margin(unit, PARAMS)
    assert found >= minimum_charge(unit.mr7_minimum_raw, PARAMS.minimum_charge_tiers)
    assert found >= unit.mr1_spot_shock + unit.mr3_vega


@given(st.lists(losses, max_size=3), amounts, amounts)
def test_units_borrowing_and_depeg_add_up(units: list[StressLosses], borrow: float, hedge: float) -> None:
    initial, maintenance = account_margins(units, borrow, hedge, PARAMS)
    parts = sum(unit_maintenance_margin(unit, PARAMS) for unit in units)
    assert maintenance == pytest.approx(parts + borrow + depeg_risk(hedge, PARAMS.depeg_tiers))
    assert initial == pytest.approx(1.3 * maintenance)


def test_default_tiers_are_the_published_ones() -> None:
    assert minimum_charge(1e6, PARAMS.minimum_charge_tiers) == pytest.approx(
        1e4 + 6e4 * 2 + 1e5 * 4 + 1.3e5 * 6 + 1.7e5 * 8 + 2.3e5 * 10 + 3e5 * 12
    )
    assert depeg_risk(1e7, PARAMS.depeg_tiers) == pytest.approx(202_500)
    assert len(PARAMS.price_moves) * 3 == 21


def test_terms() -> None:
    assert worst_loss([5.0, -7.0]) == 7.0
    assert worst_loss([5.0]) == 0.0
    assert extreme_loss([-10.0, 4.0], PARAMS) == 5.0
    assert basis_risk({0.5: -1_000.0, 1.0: 100.0}, PARAMS) == pytest.approx(30.0)
    assert cross_currency_hedge({"USDT": 5.0, "USD": -3.0, "USDC": -1.0}) == 4.0
    assert margin_ratio(10.0, 0.0, 0.0) == float("inf")
    assert margin_ratio(10.0, 4.0, 1.0) == 2.0


def test_what_is_unpublished_is_named() -> None:
    assert {text[:3] for text in UNPUBLISHED} >= {"MR2", "MR3", "MR5", "MR7"}
