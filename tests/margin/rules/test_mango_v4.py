"""Mango v4 health: the program's cases, scaling of weights, order of the three healths."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.margin.rules.mango_v4 import (
    HealthType,
    Perpetual,
    Prices,
    SpotOrders,
    Token,
    account_health,
    balance_health,
    perpetual_profit,
)

TOKENS = {
    "USDC": Token(Prices(1.0), 1.0, 1.0),
    "SOL": Token(Prices(20.0, stable=18.0), 0.8, 1.2, maint_asset_weight=0.9, maint_liability_weight=1.1),
}
balances = st.fixed_dictionaries({"USDC": st.floats(-1e4, 1e4), "SOL": st.floats(-500, 500)})
perpetuals = st.builds(
    Perpetual,
    settle_token=st.just("USDC"),
    prices=st.just(Prices(20.0, stable=21.0)),
    base_lot_size=st.just(0.1),
    base_lots=st.integers(-1000, 1000),
    quote=st.floats(-1e4, 1e4),
    bid_lots=st.integers(0, 100),
    ask_lots=st.integers(0, 100),
    init_base_asset_weight=st.just(0.8),
    init_base_liability_weight=st.just(1.2),
    init_overall_asset_weight=st.floats(0, 1),
    maint_base_asset_weight=st.just(0.9),
    maint_base_liability_weight=st.just(1.1),
    maint_overall_asset_weight=st.just(1.0),
)


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "mango_v4_health"))


@given(balances, perpetuals)
def test_init_is_below_liquidation_end_is_below_maint(held: dict[str, float], perpetual: Perpetual) -> None:
    init, end, maint = (account_health(held, TOKENS, (), (perpetual,), each) for each in HealthType)
    assert init <= end + 1e-6
    assert end <= maint + 1e-6


@given(balances, perpetuals, st.floats(0, 1e3))
def test_tokens_never_lower_health(held: dict[str, float], perpetual: Perpetual, more: float) -> None:
    for health in HealthType:
        richer = {**held, "SOL": held["SOL"] + more}
        before = account_health(held, TOKENS, (), (perpetual,), health)
        assert account_health(richer, TOKENS, (), (perpetual,), health) >= before - 1e-6


@given(perpetuals)
def test_orders_never_help_a_perpetual(perpetual: Perpetual) -> None:
    bare = msgspec.structs.replace(perpetual, bid_lots=0, ask_lots=0)
    for health in HealthType:
        assert perpetual_profit(perpetual, health) <= perpetual_profit(bare, health) + 1e-9


def test_a_perpetual_loss_is_netted_before_the_sign_is_taken() -> None:
    loss = Perpetual("SOL", Prices(20.0), 1.0, 0, -3.0)
    held = {"SOL": 5.0}
    assert account_health(held, TOKENS, (), (loss,), HealthType.MAINT) == pytest.approx(2.0 * 20.0 * 0.9)


def test_weights_scale_with_the_banks_totals() -> None:
    bank = Token(Prices(2.0), 0.8, 1.2, deposits=900.0, potential_order_tokens=100.0, deposit_scale_start=1_000.0)
    assert bank.asset_weight(HealthType.INIT) == pytest.approx(0.4)
    assert bank.asset_weight(HealthType.LIQUIDATION_END) == 0.8
    borrowed = Token(Prices(2.0), 0.8, 1.2, borrows=1_000.0, borrow_scale_start=1_000.0)
    assert borrowed.liability_weight(HealthType.INIT) == pytest.approx(2.4)
    assert borrowed.liability_weight(HealthType.MAINT) == 1.2
    assert balance_health(borrowed, -1.0, HealthType.INIT) == pytest.approx(-4.8)


def test_reserved_funds_count_at_their_worse_side_and_best_price() -> None:
    orders = SpotOrders("SOL", "USDC", reserved_base=0.0, reserved_quote=100.0)
    plain = account_health({"SOL": 0.0}, TOKENS, (orders,), (), HealthType.MAINT)
    assert plain == pytest.approx(100.0 * 0.9)
    cheap = msgspec.structs.replace(orders, highest_bid_inverse=1 / 40.0)
    assert account_health({"SOL": 0.0}, TOKENS, (cheap,), (), HealthType.MAINT) == pytest.approx(50.0 * 0.9)
