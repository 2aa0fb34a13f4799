"""Spread estimators: their own papers' model, the order book of August 2024, and how far off they are there."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.models.liquidity.spreads import abdi_ranaldo, corwin_schultz, quoted_spread, stressed_spread


def candles(spread: float, sigma: float, days: int = 2000, steps: int = 400) -> tuple[np.ndarray, ...]:
    """Daily candles of trades at bid or ask around a random walk: the model that both papers assume."""
    draw = np.random.default_rng(7)
    mid = np.cumsum(draw.normal(0.0, sigma / np.sqrt(steps), days * steps)).reshape(days, steps)
    price = np.exp(mid) * (1.0 + 0.5 * spread * draw.choice([-1.0, 1.0], (days, steps)))
    return price.max(axis=1), price.min(axis=1), price[:, -1]


@pytest.mark.parametrize(("spread", "off"), [(0.005, 0.5), (0.01, 0.2), (0.02, 0.1)])
def test_a_wide_spread_is_found_in_the_papers_own_model(spread: float, off: float) -> None:
    """Corwin-Schultz is biased upward where spreads are small against volatility: negative estimates count as 0."""
    high, low, close = candles(spread, sigma=0.01)
    assert corwin_schultz(high, low).mean() == pytest.approx(spread, rel=off)
    assert abdi_ranaldo(high, low, close) == pytest.approx(spread, rel=0.2)


def test_without_a_spread_the_estimates_are_noise_that_grows_with_volatility() -> None:
    """The control: what a daily estimate says of a liquid coin is mostly its volatility."""
    calm, wild = (corwin_schultz(*candles(0.0, sigma)[:2]).mean() for sigma in (0.01, 0.04))
    assert wild == pytest.approx(4.0 * calm, rel=0.05)
    assert calm > 0.001


@given(st.floats(0.01, 1e6), st.floats(1e-6, 0.5))
def test_a_quoted_spread_is_a_fraction_of_the_mid(mid: float, spread: float) -> None:
    found = quoted_spread(mid * (1 - spread / 2), mid * (1 + spread / 2))
    assert float(found) == pytest.approx(spread, rel=1e-6)


def test_stress_is_the_upper_quantile_of_what_was_seen() -> None:
    seen = np.append(np.full(99, 0.001), [0.05, np.nan])
    assert 0.001 < stressed_spread(seen) <= 0.05
    assert stressed_spread(seen, 0.5) == pytest.approx(0.001)
    assert np.isnan(stressed_spread([]))


def test_one_candle_is_no_estimate() -> None:
    assert np.isnan(abdi_ranaldo([2.0], [1.0], [1.5]))
    assert corwin_schultz([2.0], [1.0]).size == 0


def bars(trades: pl.DataFrame, every: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    price = pl.col("price")
    table = (
        trades.sort("ts")
        .group_by_dynamic("ts", every=every)
        .agg(price.max().alias("h"), price.min().alias("l"), price.last().alias("c"))
    )
    return table["h"].to_numpy(), table["l"].to_numpy(), table["c"].to_numpy()


@pytest.mark.parametrize(("asset", "market"), [("BTC", "spot"), ("ETH", "spot"), ("BTC", "usdm_perp")])
def test_against_the_book_of_august_2024(shared: Path, asset: str, market: str) -> None:
    """How far off they are (docs/collateral.md): on one-second candles a multiple of the quoted spread, on ten
    seconds a hundred times, on days ten thousand times. On liquid coins they are upper bounds, no more."""
    folder = shared / "data" / "liquidity"
    wanted = (pl.col("asset") == asset) & (pl.col("market") == market)
    book = pl.read_parquet(folder / "book_depth_1s_2024_08.parquet").filter(wanted)
    quoted = float(quoted_spread(book["best_bid"].to_numpy(), book["best_ask"].to_numpy()).mean())
    assert quoted * 1e4 == pytest.approx(book["spread_bps"].mean(), rel=0.01)
    trades = pl.read_parquet(folder / "trades_2024_08.parquet").filter(wanted)
    second = corwin_schultz(*bars(trades, "1s")[:2]).mean()
    ten = corwin_schultz(*bars(trades, "10s")[:2]).mean()
    assert quoted < second < 15 * quoted
    assert 15 * quoted < ten < 300 * quoted
    assert abdi_ranaldo(*bars(trades, "1s")) < 15 * quoted


def test_daily_candles_do_not_see_a_liquid_coins_spread(shared: Path) -> None:
    days = pl.read_parquet(shared / "data" / "prices_daily" / "crypto_daily_ohlcv.parquet")
    days = days.filter(
        (pl.col("asset") == "BTC") & pl.col("date").is_between(pl.date(2024, 5, 10), pl.date(2024, 8, 8))
    )
    high, low = (days[name].to_numpy() for name in ("high", "low"))
    assert corwin_schultz(high, low).mean() > 5_000 * 0.5e-6
