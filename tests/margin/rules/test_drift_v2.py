"""Drift v2 margin: the program's cases bit for bit, weights by size, orders at their worse side."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.margin.rules.drift_v2 import (
    PRICE,
    PROFIT_MAX,
    QUOTE,
    MarginType,
    PerpetualParams,
    PerpetualPosition,
    SpotParams,
    SpotPosition,
    account_margin,
    perpetual_margin,
    quote_margin,
    scaled_initial_asset_weight,
    size_discount_asset_weight,
    size_premium_liability_weight,
    spot_margin,
)

FNS = (
    "size_discount_asset_weight",
    "size_premium_liability_weight",
    "scale_initial_asset_weight",
    "account_margin",
)
sizes = st.integers(0, 10**16)
spots = st.builds(
    SpotPosition,
    amount=st.integers(-(10**13), 10**13),
    decimals=st.just(9),
    price_1e6=st.integers(1, 10**9),
    asset_weight_1e4=st.integers(0, 10_000),
    liability_weight_1e4=st.integers(10_000, 20_000),
    open_bids=st.integers(0, 10**12),
    open_asks=st.integers(-(10**12), 0),
    open_orders=st.integers(0, 5),
)


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "drift_v2", *FNS))


@given(sizes, sizes, st.integers(0, 10**6), st.integers(0, 10**4))
def test_weights_worsen_with_size(one: int, other: int, imf: int, weight: int) -> None:
    low, high = sorted((one, other))
    small, large = (size_discount_asset_weight(size, imf, weight) for size in (low, high))
    assert weight >= small >= large >= 0
    small, large = (size_premium_liability_weight(size, imf, 10_000 + weight) for size in (low, high))
    assert 10_000 + weight <= small <= large


@given(st.integers(0, 10**4), st.integers(0, 10**12), st.integers(1, 10**13))
def test_scaled_weight_keeps_weighted_deposits_below_the_start(weight: int, start: int, value: int) -> None:
    scaled = scaled_initial_asset_weight(weight, start, value)
    assert scaled <= weight
    assert start == 0 or scaled * value <= weight * max(start, value if value < start else start)


@given(spots)
def test_orders_never_help(position: SpotPosition) -> None:
    plain = SpotPosition(
        position.amount,
        position.decimals,
        position.price_1e6,
        position.asset_weight_1e4,
        position.liability_weight_1e4,
    )
    with_orders, without = spot_margin(position), spot_margin(plain)
    free = with_orders.total_collateral - with_orders.margin_requirement
    assert free <= without.total_collateral - without.margin_requirement + 2


@given(spots, st.integers(-(10**12), 10**12), st.integers(0, 10**12))
def test_quote_never_hurts(position: SpotPosition, quote: int, more: int) -> None:
    poor, rich = account_margin(quote, [position]), account_margin(quote + more, [position])
    gain = (rich.total_collateral - rich.margin_requirement) - (poor.total_collateral - poor.margin_requirement)
    assert gain == more


def test_the_bid_side_counts_what_it_buys() -> None:
    bids = SpotPosition(0, 9, 100 * PRICE, 8_000, 12_000, open_bids=500 * 10**9, open_orders=1)
    margin = account_margin(10_000 * QUOTE, [bids])
    assert (margin.total_collateral, margin.margin_requirement) == (50_000 * QUOTE, 50_000 * QUOTE + 10_000)


def test_perpetuals() -> None:
    long = PerpetualPosition(10 * 10**9, 100 * PRICE, 50 * QUOTE, 1_000, open_asks_1e9=-25 * 10**9, open_orders=2)
    margin = perpetual_margin(long, is_initial=False)
    assert margin.margin_requirement == 15 * 100 * QUOTE // 10 + 20_000
    assert margin.total_collateral == 50 * QUOTE
    half = PerpetualPosition(0, PRICE, 50 * QUOTE, 1_000, profit_weight_1e4=5_000)
    assert perpetual_margin(half, is_initial=True).total_collateral == 25 * QUOTE
    rich = PerpetualPosition(0, PRICE, 2 * PROFIT_MAX, 1_000)
    assert perpetual_margin(rich, is_initial=True).total_collateral == PROFIT_MAX
    loss = PerpetualPosition(0, PRICE, -50 * QUOTE, 1_000, profit_weight_1e4=5_000)
    assert perpetual_margin(loss, is_initial=True).total_collateral == -50 * QUOTE


def test_parameters_by_margin_type() -> None:
    token, perpetual = SpotParams(scale_initial_asset_weight_start_1e6=1_000), PerpetualParams()
    assert [token.asset_weight(each) for each in MarginType] == [8_000, 8_500, 9_000]
    assert [token.liability_weight(each) for each in MarginType] == [12_000, 11_500, 11_000]
    assert token.asset_weight(MarginType.INITIAL, market_deposits_1e6=2_000) == 4_000
    assert [perpetual.margin_ratio(each) for each in MarginType] == [1_000, 750, 500]
    half = PerpetualParams(initial_profit_weight_1e4=5_000)
    assert [half.profit_weight(each) for each in MarginType] == [5_000, 5_000, 10_000]


def test_borrowed_quote_is_requirement() -> None:
    assert quote_margin(-5).margin_requirement == 5
    assert quote_margin(-5).total_collateral == 0
    assert account_margin(100).meets_requirement
