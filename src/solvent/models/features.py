"""The frozen list of features: each with its group, source and lag, and the one place where lags are applied.

A feature is first computed as known at the end of an hour (candles) or at its own stamp (other sources), then
moved by its lag. So no forecast can see what came after it, whatever the formula of a feature is. A value that
is missing or older than its source may be is NaN: the margin then is the core's.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from solvent.models.hours import HOUR_NS, Hours
from solvent.models.kernel_hourly import rolling_mean
from solvent.models.liquidity.spreads import corwin_schultz
from solvent.models.ranges import log_variance, parkinson

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

HAR_HOURS = (1, 4, 24, 168)
RANGE_HOURS = (1, 2, 4, 12, 24, 48, 168, 720)
SAME_HOUR_DAYS = 14
COVERAGE_LEAST = 0.8
"""A mean over a window is missing where fewer of its hours have a candle."""


class Feature(msgspec.Struct, frozen=True):
    """What a model may look at."""

    name: str
    group: str
    source: str
    """`candles`, `clock`, or the name of a series that is handed in."""
    lag_hours: int
    """Hours from the stamp of the source's row (for candles: its opening) until a forecast may use it."""
    stale_hours: int = 0
    """Age after the lag at which a row of another source no longer counts."""
    column: str = "value"


def _candles(group: str, *names: str) -> tuple[Feature, ...]:
    return tuple(Feature(name, group, "candles", lag_hours=1) for name in names)


FEATURES: tuple[Feature, ...] = (
    *_candles("volatility", *(f"log_range_variance_{n}h" for n in RANGE_HOURS)),
    *_candles("volatility", "log_square_return_24h", "log_square_return_168h", "log_range_variance_deviation_24h"),
    # The hour that is forecast, on the days before: its stamp is a day earlier.
    Feature("log_range_variance_same_hour_14d", "volatility", "candles", lag_hours=24),
    *_candles("returns", "fall_1h", "absolute_return_1h", "momentum_24h"),
    *_candles("liquidity", "volume_ratio_1h", "volume_ratio_24h", "log_amihud_24h", "corwin_schultz_24h"),
    Feature("hour_of_day", "calendar", "clock", lag_hours=0),
    Feature("day_of_week", "calendar", "clock", lag_hours=0),
    # A funding rate is paid at its stamp; an hour is left for it to arrive.
    Feature("funding_rate", "funding", "funding", lag_hours=1, stale_hours=24),
    Feature("funding_rate_mean_3d", "funding", "funding", lag_hours=1, stale_hours=24, column="mean_9"),
    Feature("funding_rate_absolute_3d", "funding", "funding", lag_hours=1, stale_hours=24, column="absolute_mean_9"),
    # The index of a day is published in its course: it counts from the next day on.
    Feature("fear_greed", "fear_greed", "fear_greed", lag_hours=24, stale_hours=48),
    Feature("fear_greed_change_7d", "fear_greed", "fear_greed", lag_hours=24, stale_hours=48, column="change_7"),
    Feature("news_polarity_24h", "news", "news", lag_hours=1, stale_hours=48),
    Feature("news_count_24h", "news", "news", lag_hours=1, stale_hours=48, column="count"),
    # A month's figure counts once the month is over (31 days after its stamp).
    Feature("google_trends", "trends", "google_trends", lag_hours=31 * 24, stale_hours=31 * 24),
    Feature("implied_volatility", "implied", "dvol", lag_hours=1, stale_hours=3),
)

CORE_GROUPS = ("volatility", "returns", "liquidity", "calendar")
"""What `hourly` uses: all of it comes with the candles. What the others would add is in docs/risk-models.md."""


def chosen(groups: Sequence[str], hours: Hours) -> tuple[Feature, ...]:
    """Features of the groups, in the list's order; liquidity needs candles that have a volume."""
    return tuple(f for f in FEATURES if f.group in groups and (f.group != "liquidity" or hours.has_volume))


def matrix(hours: Hours, features: Sequence[Feature], series: Mapping[str, pl.DataFrame] | None = None) -> F64:
    """(T, K) features of each forecast hour.

    series: by source, frames `ts` (Datetime), `value` [and the columns that features name], sorted by `ts`.
    A source that is not handed in gives NaN.
    """
    known = candle_columns(hours)
    columns = []
    for feature in features:
        if feature.source == "candles":
            columns.append(lagged(known[feature.name], feature.lag_hours))
        elif feature.source == "clock":
            columns.append(_clock(hours.ts_ns)[feature.name])
        else:
            columns.append(_as_of(hours.ts_ns, feature, (series or {}).get(feature.source)))
    return np.column_stack(columns) if columns else np.empty((len(hours), 0))


def lagged(values: F64, hours: int) -> F64:
    """(T,) values moved `hours` >= 1 rows later; NaN where there is nothing yet."""
    out = np.full(len(values), np.nan)
    out[hours:] = values[:-hours]
    return out


def range_variance(hours: Hours) -> F64:
    """(T,) the variance that is forecast.

    Parkinson's: Garman-Klass is the better estimator on paper and Rogers-Satchell is free of drift, but both take
    off what a one-way hour moved, and one-way hours are what a margin is for (docs/risk-models.md has the figures).
    """
    return parkinson(hours.high, hours.low)


def candle_columns(hours: Hours) -> dict[str, F64]:
    """Every candle feature, (T,) each, as known at the end of its hour."""
    variance = range_variance(hours)
    r = hours.returns
    square = r * r
    columns = {f"log_range_variance_{n}h": log_variance(_mean(variance, n)) for n in RANGE_HOURS}
    columns |= {f"log_square_return_{n}h": log_variance(_mean(square, n)) for n in (24, 168)}
    single = log_variance(variance)
    columns |= {
        "log_range_variance_deviation_24h": _deviation(single, 24),
        "log_range_variance_same_hour_14d": _same_hour(single, SAME_HOUR_DAYS),
        "fall_1h": np.minimum(r, 0.0),
        "absolute_return_1h": np.abs(r),
        "momentum_24h": 24.0 * _mean(r, 24),
    }
    return columns | _liquidity(hours)


def _liquidity(hours: Hours) -> dict[str, F64]:
    """Ratios and logarithms, so that a change of venue shifts a level and spoils no scale. Amihud (2002): |r| / USD."""
    volume = np.where(hours.volume_usd > 0, hours.volume_usd, np.nan)
    amihud = np.abs(hours.returns) / volume
    with np.errstate(divide="ignore"):
        return {
            "volume_ratio_1h": np.log(volume / _mean(volume, 168)),
            "volume_ratio_24h": np.log(_mean(volume, 24) / _mean(volume, 720)),
            "log_amihud_24h": np.log(np.maximum(_mean(amihud, 24), 1e-16)),
            "corwin_schultz_24h": _mean(np.append(np.nan, corwin_schultz(hours.high, hours.low)), 24),
        }


def _mean(values: F64, window: int) -> F64:
    out: F64 = rolling_mean(values, window, int(np.ceil(COVERAGE_LEAST * window)))
    return out


def _deviation(values: F64, window: int) -> F64:
    return np.sqrt(np.maximum(_mean(values * values, window) - _mean(values, window) ** 2, 0.0))


def _same_hour(values: F64, days: int) -> F64:
    """Mean of the hour and the same hour of the days before, `days` in all; NaN for what is not there yet."""
    total, count = np.zeros(len(values)), np.zeros(len(values))
    for day in range(days):
        shifted = lagged(values, 24 * day) if day else values
        there = np.isfinite(shifted)
        total[there] += shifted[there]
        count += there
    return np.where(count >= COVERAGE_LEAST * days, total / np.maximum(count, 1), np.nan)


def _clock(ts_ns: I64) -> dict[str, F64]:
    hour = ts_ns // HOUR_NS
    return {
        "hour_of_day": (hour % 24).astype(np.float64),
        "day_of_week": ((hour // 24 + 3) % 7).astype(np.float64),  # 1970-01-01 was a Thursday; 0 is Monday
    }


def _as_of(ts_ns: I64, feature: Feature, frame: pl.DataFrame | None) -> F64:
    """The newest row that is `lag_hours` old, unless that is stale."""
    out = np.full(len(ts_ns), np.nan)
    if frame is None or frame.is_empty() or feature.column not in frame.columns:
        return out
    stamp = frame["ts"].dt.epoch("ns").to_numpy()
    value = frame[feature.column].cast(pl.Float64).to_numpy()
    last_usable = ts_ns - feature.lag_hours * HOUR_NS
    row = np.searchsorted(stamp, last_usable, side="right") - 1
    there = row >= 0
    fresh = there & (last_usable - stamp[np.maximum(row, 0)] <= feature.stale_hours * HOUR_NS)
    out[fresh] = value[row[fresh]]
    return out
