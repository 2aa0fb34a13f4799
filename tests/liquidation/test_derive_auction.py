"""Derive's Dutch auction: the venue's cases, and what the closed form promises."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.liquidation.derive_auction import (
    AuctionParams,
    AuctionState,
    bidder_cash_required,
    buffer_margin,
    can_start,
    discount,
    insolvent_price,
    is_withdrawal_blocked,
    max_fraction,
    place_bid,
    start_fee,
)

PARAMS = AuctionParams()
states = st.tuples(st.floats(1, 1e6), st.floats(1, 1e6)).map(lambda x: AuctionState(x[0], -x[1]))


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "derive_auction"))


def test_the_start_fee_is_the_one_that_the_venue_charged() -> None:
    params = AuctionParams(0.98, 0.8, 100, 14_400, 600, fee_rate=0.02, buffer_percent=0.2)
    fee = 1.322084630165343
    before = AuctionState(119.30633018077472 + fee, -103.09061949052965 + fee)
    assert start_fee(before, params) == pytest.approx(fee, rel=1e-12)


@given(states, st.floats(0, 40_000))
def test_the_largest_slice_restores_the_buffer_exactly(state: AuctionState, elapsed_s: float) -> None:
    bid = place_bid(state, 1.0, elapsed_s, PARAMS)
    assert 0 < bid.fraction <= 1
    scale = abs(state.mark_to_market) + abs(state.maintenance_margin)
    assert buffer_margin(bid.after, PARAMS) == pytest.approx(0.0, abs=1e-9 * scale)
    assert bid.is_final


@given(states, st.floats(0.01, 0.3), st.floats(0, 40_000))
def test_two_bids_at_one_price_restore_it_too(state: AuctionState, wanted: float, elapsed_s: float) -> None:
    first = place_bid(state, wanted, elapsed_s, PARAMS)
    second = place_bid(first.after, 1.0, elapsed_s, PARAMS)
    scale = abs(state.mark_to_market) + abs(state.maintenance_margin)
    assert buffer_margin(second.after, PARAMS) == pytest.approx(0.0, abs=1e-8 * scale)
    assert second.after.reserved_cash >= first.after.reserved_cash


@given(st.floats(0, 1e5), st.floats(0, 1e5))
def test_the_price_never_rises(one: float, other: float) -> None:
    assert discount(min(one, other), PARAMS) >= discount(max(one, other), PARAMS) >= 0.0


def test_the_legs_meet() -> None:
    assert discount(0, PARAMS) == 0.95
    assert discount(900, PARAMS) == pytest.approx(0.70)
    assert discount(900 + 43_200, PARAMS) == 0.0


def test_edges() -> None:
    assert can_start(-1e-9)
    assert not can_start(0.0)
    assert max_fraction(AuctionState(100.0, 50.0), 0.9, PARAMS) == 0.0
    assert max_fraction(AuctionState(5.0, -1.0), 0.9, AuctionParams(mark_cutoff_usd=10.0)) == 1.0
    assert start_fee(AuctionState(-1.0, -5.0), PARAMS) == 0.0


@given(st.floats(-1e6, 1e6), st.floats(-1e6, -1), st.floats(0, 1e4))
def test_the_insolvent_price_lies_between_value_and_margin(value: float, margin: float, elapsed_s: float) -> None:
    state = AuctionState(max(value, margin), margin)
    price = insolvent_price(state, elapsed_s, PARAMS)
    slack = 1e-9 * abs(margin)
    assert margin - slack <= price <= min(state.mark_to_market, 0.0) + slack


def test_bidders_pay_the_price_and_bring_the_buffer() -> None:
    state = AuctionState(119.0, -103.0)
    bid = place_bid(state, 0.1, 0.0, PARAMS)
    assert bidder_cash_required(state, bid, PARAMS) == pytest.approx(
        bid.cash_from_bidder + 0.1 * abs(buffer_margin(state, PARAMS))
    )


def test_withdrawals_stop_when_the_fund_is_short() -> None:
    assert is_withdrawal_blocked(101.0, 100.0)
    assert not is_withdrawal_blocked(100.0, 100.0)
    assert not is_withdrawal_blocked(0.0, -1.0)
