"""SPAN with 16 scenarios: hand-computed requirements, credits, the short-option minimum."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.errors import SolventError
from solvent.margin.rules.span16 import (
    CommodityParams,
    Params,
    Position,
    Spread,
    account_margin,
    calendar_spreads,
    composite_delta,
    price_risk,
    risk_array,
    scenario_moves,
)

BTC = CommodityParams(0.12, 0.25, calendar_charge_usd=50.0, delivery_charge_usd=10.0, short_option_minimum_usd=100.0)
ETH = CommodityParams(0.15, 0.25)
SPREAD = Spread((("BTC", 1.0), ("ETH", 20.0)), 0.5)
PARAMS = Params({"BTC": BTC, "ETH": ETH}, (SPREAD,))
FUTURE = Position("BTC", "DEC", 1.0, 100_000.0)
CALL = Position("BTC", "DEC", 1.0, 100_000.0, strike=110_000.0, years=0.25, vol=0.6)
quantities = st.integers(-20, 20).map(float)
options = st.builds(
    Position,
    commodity=st.just("BTC"),
    expiry=st.sampled_from(["DEC", "MAR"]),
    quantity=quantities,
    underlying_price=st.just(100_000.0),
    strike=st.sampled_from([60_000.0, 100_000.0, 150_000.0]),
    is_call=st.booleans(),
    years=st.just(0.25),
    vol=st.just(0.6),
)


def maintenance(*positions: Position, params: Params = PARAMS) -> float:
    return account_margin(positions, params).maintenance_margin


def test_there_are_sixteen_scenarios_in_span_order() -> None:
    moves, vols, cover = scenario_moves(BTC)
    assert len(moves) == len(vols) == len(cover) == 16
    assert moves[:4] == pytest.approx([0.0, 0.0, 0.04, 0.04])
    assert vols[:2] == pytest.approx([1.25, 0.75])
    assert (moves[14], cover[14], moves[15], cover[15]) == pytest.approx((0.36, 0.33, -0.36, 0.33))


def test_one_future_holds_its_scan_range() -> None:
    assert maintenance(FUTURE) == pytest.approx(12_000.0)
    assert risk_array(FUTURE, BTC)[12:14] == pytest.approx([12_000.0, 12_000.0])
    assert account_margin([FUTURE], PARAMS).initial_margin == pytest.approx(13_200.0)


def test_a_calendar_spread_pays_the_calendar_charge_only() -> None:
    back = msgspec.structs.replace(FUTURE, expiry="MAR", quantity=-1.0)
    assert maintenance(FUTURE, back) == pytest.approx(50.0)
    assert calendar_spreads({"DEC": 3.0, "MAR": -2.0, "JUN": -2.0}) == 3.0


def test_what_is_in_delivery_pays_for_it() -> None:
    near = msgspec.structs.replace(FUTURE, quantity=-2.0, is_in_delivery=True)
    assert maintenance(near) == pytest.approx(2 * 12_000.0 + 20.0)


def test_an_inter_commodity_credit_forgives_price_risk_of_opposite_deltas() -> None:
    eth = Position("ETH", "DEC", -10.0, 4_000.0)
    found = account_margin([FUTURE, eth], PARAMS)
    # Half a spread: 0.5 BTC against 10 ETH, half of each leg's price risk on what is used.
    assert found.credits == pytest.approx({"BTC": 0.5 * 12_000.0 * 0.5, "ETH": 0.5 * 6_000.0})
    assert found.maintenance_margin == pytest.approx(18_000.0 - 6_000.0)
    same_side = msgspec.structs.replace(eth, quantity=10.0)
    assert account_margin([FUTURE, same_side], PARAMS).credits == {"BTC": 0.0, "ETH": 0.0}


def test_far_short_options_hold_the_minimum() -> None:
    wing = msgspec.structs.replace(CALL, quantity=-1.0, strike=10_000_000.0, years=0.01)
    assert maintenance(wing) == pytest.approx(100.0)


@given(st.lists(options, max_size=5))
def test_bought_options_never_need_more_than_they_are_worth(positions: list[Position]) -> None:
    bought = [msgspec.structs.replace(each, quantity=abs(each.quantity)) for each in positions]
    free = msgspec.structs.replace(PARAMS, commodities={"BTC": msgspec.structs.replace(BTC, calendar_charge_usd=0.0)})
    assert maintenance(*bought, params=free) <= 1e-6


@given(st.lists(options, min_size=1, max_size=4), st.floats(0.1, 10))
def test_an_account_scales(positions: list[Position], scale: float) -> None:
    larger = [msgspec.structs.replace(each, quantity=each.quantity * scale) for each in positions]
    assert maintenance(*larger) == pytest.approx(maintenance(*positions) * scale, rel=1e-9, abs=1e-6)


@given(st.lists(options, min_size=1, max_size=4), quantities)
def test_a_pair_of_one_contract_changes_nothing(positions: list[Position], quantity: float) -> None:
    pair = [msgspec.structs.replace(positions[0], quantity=each) for each in (quantity, -quantity)]
    assert maintenance(*positions, *pair) == pytest.approx(maintenance(*positions), rel=1e-9, abs=1e-6)


def test_price_risk_leaves_out_vol_and_time() -> None:
    losses = np.zeros(16)
    losses[12], losses[13], losses[0], losses[1] = 100.0, 80.0, 4.0, 2.0
    assert price_risk(losses) == pytest.approx(100.0 - 10.0 - 3.0)


def test_composite_deltas_lie_between_the_extremes() -> None:
    assert composite_delta(FUTURE, BTC) == 1.0
    assert 0.0 < composite_delta(CALL, BTC) < 1.0
    put = msgspec.structs.replace(CALL, is_call=False)
    assert composite_delta(CALL, BTC) - composite_delta(put, BTC) == pytest.approx(1.0)


def test_a_commodity_without_parameters_is_named() -> None:
    with pytest.raises(SolventError, match="commodities = SOL: one of BTC, ETH"):
        maintenance(msgspec.structs.replace(FUTURE, commodity="SOL"))
