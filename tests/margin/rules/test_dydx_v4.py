"""dYdX v4 margin: the chain's cases bit for bit, rounding directions, order of liquidation."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.margin.rules.dydx_v4 import (
    LiquidityTier,
    Market,
    Risk,
    account_risk,
    initial_margin_ppm,
    initial_margin_quote,
    margin_requirements,
    notional_quote,
    position_risk,
)

tiers = st.builds(
    LiquidityTier,
    im_ppm=st.integers(0, 1_000_000),
    maintenance_fraction_ppm=st.integers(0, 1_000_000),
    open_interest_lower_cap=st.integers(0, 10**12),
    open_interest_upper_cap=st.integers(10**12 + 1, 10**14),
)
markets = st.builds(
    Market,
    atomic_resolution=st.integers(-10, 2),
    price=st.integers(0, 10**12),
    price_exponent=st.integers(-9, 2),
    tier=tiers,
    open_interest=st.integers(0, 10**15),
)
sizes = st.integers(-(10**15), 10**15)


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "dydx_v4", "initial_margin_quote", "margin_requirements"))


@given(markets, sizes)
def test_requirements_are_ordered_and_round_up(market: Market, size: int) -> None:
    initial, maintenance = margin_requirements(size, market)
    notional = abs(notional_quote(size, market))
    assert 0 <= maintenance <= initial <= notional
    assert initial * 1_000_000 >= notional * market.tier.im_ppm


@given(markets, sizes)
def test_notional_truncates_toward_zero(market: Market, size: int) -> None:
    assert notional_quote(-size, market) == -notional_quote(size, market)


@given(st.integers(0, 10**6), st.integers(0, 10**14), st.integers(0, 10**14))
def test_the_initial_fraction_rises_with_open_interest(im_ppm: int, one: int, other: int) -> None:
    low, high = sorted((one, other))
    caps = (10**12, 10**13)
    assert im_ppm <= initial_margin_ppm(im_ppm, low, *caps) <= initial_margin_ppm(im_ppm, high, *caps) <= 10**6


def test_a_chosen_fraction_raises_the_initial_requirement_only() -> None:
    market = Market(-8, 5_000_000_000, -5, LiquidityTier(50_000, 500_000))
    assert margin_requirements(10**8, market) == (2_500_000_000, 1_250_000_000)
    assert margin_requirements(10**8, market, custom_im_ppm=200_000) == (10_000_000_000, 1_250_000_000)
    assert initial_margin_quote(1_000, 50_000, custom_im_ppm=10_000) == 50


@given(markets, sizes, st.integers(-(10**15), 10**15), st.integers(1, 10**12))
def test_quote_counts_one_to_one(market: Market, size: int, quote: int, more: int) -> None:
    poor = account_risk(quote, {"X": size}, {"X": market})
    rich = account_risk(quote + more, {"X": size}, {"X": market})
    assert rich.net_collateral - poor.net_collateral == more
    assert (rich.initial, rich.maintenance) == (poor.initial, poor.maintenance)
    assert not (rich.is_liquidatable and not poor.is_liquidatable)
    assert poor == Risk(quote, 0, 0) + position_risk(size, market)


risks = st.builds(Risk, st.integers(-1000, 1000), st.just(0), st.integers(1, 1000))


@given(risks, risks)
def test_one_of_two_goes_first(one: Risk, other: Risk) -> None:
    assert not (one.precedes(other) and other.precedes(one))
    if one.net_collateral * other.maintenance < other.net_collateral * one.maintenance:
        assert one.precedes(other)


def test_an_account_exactly_at_maintenance_is_safe() -> None:
    assert not Risk(100, 0, 100).is_liquidatable
    assert Risk(99, 0, 100).is_liquidatable
    assert not Risk(-1, 0, 0).is_liquidatable
