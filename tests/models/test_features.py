"""Features know the past alone: known values, lags, and a future that may be anything."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from tests.models.hourly_market import made_candles

from solvent.models.features import CORE_GROUPS, FEATURES, Feature, chosen, matrix
from solvent.models.hours import hours
from solvent.models.ranges import parkinson

CANDLES = made_candles(1_500)
START = datetime(2020, 1, 1, tzinfo=UTC)


def series(stamps: list[datetime], values: list[float]) -> pl.DataFrame:
    return pl.DataFrame({"ts": pl.Series(stamps).cast(pl.Datetime("ms", "UTC")), "value": values})


def column(name: str, candles: pl.DataFrame = CANDLES, other: dict[str, pl.DataFrame] | None = None) -> np.ndarray:
    feature = next(each for each in FEATURES if each.name == name)
    return matrix(hours(candles, "BTC"), [feature], other)[:, 0]


def test_every_feature_states_a_source_and_a_lag() -> None:
    assert len({f.name for f in FEATURES}) == len(FEATURES)
    for feature in FEATURES:
        assert feature.lag_hours >= (0 if feature.source == "clock" else 1), feature.name
        assert feature.source in ("candles", "clock") or feature.stale_hours > 0, feature.name


def test_known_values() -> None:
    of = hours(CANDLES, "BTC")
    variance = parkinson(of.high, of.low)
    assert column("log_range_variance_4h")[100] == pytest.approx(np.log(variance[96:100].mean()))
    assert column("fall_1h")[100] == min(of.returns[99], 0.0)
    assert column("momentum_24h")[100] == pytest.approx(np.log(of.close[99] / of.close[75]))
    assert column("volume_ratio_1h")[300] == pytest.approx(np.log(of.volume_usd[299] / of.volume_usd[132:300].mean()))
    same = np.log(variance)[[500 - 24 * day for day in range(1, 15)]]
    assert column("log_range_variance_same_hour_14d")[500] == pytest.approx(same.mean())
    assert column("hour_of_day")[25] == 1
    assert column("day_of_week")[0] == 2, "2020-01-01 was a Wednesday"


@pytest.mark.parametrize("cut", [800, 1_203])
def test_changing_the_future_changes_no_feature(cut: int) -> None:
    of = hours(CANDLES, "BTC")
    features = chosen(CORE_GROUPS, of)
    after = pl.int_range(pl.len()) >= cut
    other = CANDLES.with_columns(
        [
            pl.when(after).then(pl.col(name) * 3.0).otherwise(name).alias(name)
            for name in ("open", "high", "low", "close")
        ],
        volume_usd=pl.when(after).then(0.0).otherwise("volume_usd"),
    )
    before, changed = (matrix(hours(each, "BTC"), features) for each in (CANDLES, other))
    np.testing.assert_array_equal(before[: cut + 1], changed[: cut + 1])
    assert not np.array_equal(before[cut + 1 :], changed[cut + 1 :], equal_nan=True), "the control: later ones change"


def test_a_feature_without_a_lag_would_be_caught() -> None:
    of = hours(CANDLES, "BTC")
    cheat = Feature("fall_1h", "returns", "candles", lag_hours=1)
    honest = matrix(of, [cheat])[:, 0]
    assert not np.array_equal(honest[1:], np.minimum(of.returns, 0.0)[1:])


def test_other_sources_count_after_their_lag_until_they_are_stale() -> None:
    stamps = [START + timedelta(hours=h) for h in (0, 8, 16)]
    found = column("funding_rate", other={"funding": series(stamps, [1e-4, 2e-4, 3e-4])})
    assert np.isnan(found[0])
    assert found[1:9].tolist() == [1e-4] * 8
    assert found[9] == 2e-4
    assert found[17 + 24] == 3e-4
    assert np.isnan(found[17 + 25 :]).all(), "older than a day: no longer known"
    assert np.isnan(column("funding_rate")).all(), "a source that is not there is missing"


def test_a_daily_index_counts_from_the_next_day() -> None:
    found = column("fear_greed", other={"fear_greed": series([START, START + timedelta(days=1)], [10.0, 90.0])})
    assert np.isnan(found[:24]).all()
    assert set(found[24:48]) == {10.0}
    assert set(found[48:72]) == {90.0}


def test_liquidity_needs_a_volume() -> None:
    without = hours(CANDLES.drop("volume_usd"), "BTC")
    assert {f.group for f in chosen(CORE_GROUPS, without)} == set(CORE_GROUPS) - {"liquidity"}
