"""Shocked markets: what moves together, what keeps, how marks are rounded, what is refused."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.domain.market import Market
from solvent.errors import SolventError
from solvent.valuation import black76
from solvent.valuation.shocks import shocked
from solvent.valuation.surfaces import SviSlice, SviSurface

TS_NS = 1_731_000_000_000_000_000
SURFACE = SviSurface((SviSlice(0.1, 0.01, 0.1, -0.2, 0.0, 0.2), SviSlice(1.0, 0.2, 0.2, -0.2, 0.0, 0.3)))
PRICES = {
    "BTC": "60000",
    "BTC@custodian-x": "59900",
    "ETH": "3000",
    "USDC": "0.999",
    "BTC/USDC:USDC": "60010.5",
    "BTC/USD:BTC": "60020",
    "ETH/USDC:USDC": "3001.25",
    "BTC/USDC:USDC-250328": "61000",
    "BTC/USD:BTC-250328-60000-C": "0.1234",
    "BTC/USD:BTC-250328-50000-P": None,
    "ETH/USDC:USDC-250328-3000-P": "301.5",
}


def market(**columns: object) -> Market:
    rows = {"instrument": list(PRICES), "price": list(PRICES.values()), **columns}
    return Market.from_frame(pl.DataFrame(rows), surfaces={"BTC": SURFACE, "ETH": SURFACE}, ts_ns=TS_NS)


def price(of: Market, id: str) -> float:
    return float(of.price[of.universe.index(id)])


def test_everything_of_an_underlying_moves_by_its_factor_and_nothing_else_does() -> None:
    before = market()
    after = shocked(before, {"BTC": 0.8})
    for id in ("BTC", "BTC@custodian-x", "BTC/USDC:USDC", "BTC/USD:BTC", "BTC/USDC:USDC-250328"):
        tick = float(before.universe[before.universe.index(id)].tick)
        assert abs(price(after, id) - 0.8 * price(before, id)) <= tick / 2, id
    for id in ("ETH", "USDC", "USD", "ETH/USDC:USDC", "ETH/USDC:USDC-250328-3000-P"):
        assert price(after, id) == price(before, id), id
    assert after.universe is before.universe


def test_forwards_and_slow_prices_go_along_and_a_slow_price_that_is_the_mark_stays_the_mark() -> None:
    slow = [58000.0] + [None] * (len(PRICES) - 1)
    forward = [None] * 8 + [62000.0, None, None]
    before = market(slow_price=slow, forward=forward)
    after = shocked(before, {"BTC": 0.73, "ETH": 1.31})
    assert after.slow_price[0] == pytest.approx(0.73 * 58000)
    assert (after.slow_price[1:] == after.price[1:]).all()
    assert after.forward_usd[8] == pytest.approx(0.73 * 62000)
    assert after.forward_usd[9] == pytest.approx(0.73 * 61000, abs=0.01)  # the future of that expiry


def test_a_coin_priced_option_keeps_its_distance_to_the_model_in_usd() -> None:
    before = market()
    after = shocked(before, {"BTC": 0.9}, vol_factor=1.2)
    i = before.universe.index("BTC/USD:BTC-250328-60000-C")
    years, strike, call = before.years[i], 60000.0, np.array(True)
    k = np.log(strike / 61000), np.log(strike / 54900)
    vol = SURFACE.vol(k[0], years), 1.2 * SURFACE.vol(k[1], years)
    model = [float(black76.price(f, strike, years, call, v)) for f, v in zip((61000, 54900), vol, strict=True)]
    expected = (0.1234 * 60000 + model[1] - model[0]) / 54000
    assert price(after, "BTC/USD:BTC-250328-60000-C") == pytest.approx(expected, abs=0.5001e-4)


def test_an_unquoted_option_stays_with_the_model() -> None:
    before = market()
    after = shocked(before, {"BTC": 0.5})
    i = before.universe.index("BTC/USD:BTC-250328-50000-P")
    assert before.ticks[i] == after.ticks[i] == 0
    assert after.vol()[i] == pytest.approx(SURFACE.vol(np.log(50000 / 30500), before.years[i]))


def test_surfaces_keep_their_volatility_at_each_moneyness_and_scale_with_the_factor() -> None:
    after = shocked(market(), {"BTC": 1.5}, vol_factor=2.0)
    assert after.surfaces["BTC"].vol(np.array([0.1]), np.array([0.5])) == 2 * SURFACE.vol(0.1, 0.5)


def test_an_options_own_volatility_stays_with_it() -> None:
    vols = [None] * 8 + [0.5, None, None]
    before = market(vol=vols)
    assert shocked(before, {"BTC": 1.5}, vol_factor=1.1).vol()[8] == pytest.approx(0.55)


def test_star_moves_every_other_asset_but_dollars() -> None:
    after = shocked(market(), {"*": 0.5, "ETH": 2.0})
    assert [price(after, id) for id in ("BTC", "ETH", "USDC", "USD")] == [30000, 6000, 0.999, 1]


def test_a_stablecoin_moves_alone() -> None:
    before = market()
    after = shocked(before, {"USDC": 0.9})
    assert price(after, "USDC") == pytest.approx(0.8991)
    assert price(after, "BTC/USDC:USDC") == price(before, "BTC/USDC:USDC")


def test_a_mark_never_falls_to_nothing() -> None:
    after = shocked(market(), {"*": 1e-9})
    assert (after.ticks[market().ticks > 0] >= 1).all()


@given(st.floats(0.1, 10))
def test_no_shock_is_no_change_and_marks_are_the_nearest_ticks(factor: float) -> None:
    before = market()
    same = shocked(before, {"BTC": 1.0, "*": 1.0})
    assert (same.ticks == before.ticks).all()
    assert (same.slow_price == before.slow_price).all()
    after = shocked(before, {"BTC": factor})
    linear = [before.universe.index(id) for id in ("BTC", "BTC/USDC:USDC", "BTC/USD:BTC")]
    assert (abs(after.ticks[linear] - before.ticks[linear] * factor) <= 0.5).all()


def test_options_rise_with_volatility_and_follow_their_delta() -> None:
    before = market()
    call, put = "BTC/USD:BTC-250328-60000-C", "ETH/USDC:USDC-250328-3000-P"
    assert price(shocked(before, {}, 1.2), call) > price(before, call)
    assert price(shocked(before, {"ETH": 0.9}), put) > price(before, put)
    assert price(shocked(before, {"ETH": 1.1}), put) < price(before, put)


def test_wrong_factors_are_told_all_at_once() -> None:
    with pytest.raises(SolventError) as caught:
        shocked(market(), {"DOGE": 0.5, "BTC": 0.0, "ETH": float("nan"), "USD": 0.9}, vol_factor=-1.0)
    text = str(caught.value)
    assert len(caught.value.problems) == 5
    assert "DOGE" in text
    assert "USD is the numeraire" in text
    assert "factor from 0" in text


def test_a_quoted_option_without_a_volatility_cannot_move() -> None:
    before = market()
    blind = before.replaced(surfaces={})
    with pytest.raises(SolventError, match=r"BTC/USD:BTC-250328-60000-C\.vol = missing"):
        shocked(blind, {"BTC": 0.9})
    assert shocked(blind, {"USDC": 0.9}).ticks[8] == before.ticks[8]
