"""Candles on an hourly grid: gaps stay gaps, venues follow one another, what is no hourly candle is refused."""

import numpy as np
import polars as pl
import pytest
from tests.models.hourly_market import made_candles

from solvent.errors import SolventError
from solvent.models.hours import HOUR_NS, hours


def test_a_full_history_is_taken_as_it_is() -> None:
    candles = made_candles(100)
    found = hours(candles, "BTC")
    assert len(found) == 100
    assert (np.diff(found.ts_ns) == HOUR_NS).all()
    np.testing.assert_allclose(found.returns[1:], np.diff(np.log(candles["close"].to_numpy())))
    assert np.isnan(found.returns[0])


def test_a_gap_is_nan_and_has_no_return_on_either_side() -> None:
    candles = made_candles(100)
    found = hours(candles.filter(~pl.int_range(pl.len()).is_in([40, 41])), "BTC")
    assert np.isnan(found.close[[40, 41]]).all()
    assert np.isnan(found.returns[[40, 41, 42]]).all()
    assert np.isfinite(found.returns[43])


def test_a_candle_at_odds_with_itself_counts_as_missing() -> None:
    candles = made_candles(100).with_columns(high=pl.when(pl.int_range(pl.len()) == 7).then(1.0).otherwise("high"))
    assert np.isnan(hours(candles, "BTC").close[7])


def test_venues_follow_one_another_and_their_seam_has_no_return() -> None:
    candles = made_candles(100)
    first = candles[:60].with_columns(venue=pl.lit("old"))
    second = candles[30:].with_columns(pl.col("open", "high", "low", "close") * 1.05, venue=pl.lit("new"))
    found = hours(pl.concat([second, first]), "BTC")
    close = candles["close"].to_numpy()
    np.testing.assert_allclose(found.close, np.concatenate([close[:60], 1.05 * close[60:]]))
    assert np.isnan(found.returns[60])
    assert np.isfinite(np.delete(found.returns, [0, 60])).all()


def test_one_hour_ahead_is_empty() -> None:
    found = hours(made_candles(50), "BTC", ahead=True)
    assert len(found) == 51
    assert np.isnan(found.close[-1])


@pytest.mark.parametrize(
    ("candles", "asset", "said"),
    [
        pytest.param(made_candles(50), "ETH", "an asset with candles", id="unknown-asset"),
        pytest.param(made_candles(96)[::24], "BTC", "candles of one hour", id="daily"),
    ],
)
def test_what_is_no_hourly_history_is_named(candles: pl.DataFrame, asset: str, said: str) -> None:
    with pytest.raises(SolventError, match=said):
        hours(candles, asset)
