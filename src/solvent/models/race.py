"""Many models over many assets: every forecast as one frame, and the figures that a backtest shows of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import polars as pl

from solvent.models.backtests.summary import KEYS, summarise
from solvent.models.catalogue import BENCHMARK, PORTFOLIO_MODEL, model_of
from solvent.models.copula import TCopula, portfolio_returns
from solvent.models.history import History
from solvent.models.returns import SIDES, compounded, log_loss, losses
from solvent.models.walk_forward import FORECASTS, walk_forward

P_VALUES = ("kupiec_p", "independence_p", "conditional_coverage_p", "dq_p", "first_failure_p")
HISTORICAL = "historical_var_500_at_equal_coverage"
Progress = Callable[[str], None]


def race(
    histories: Sequence[History],
    names: Iterable[str],
    level: float,
    bars: int = 1,
    progress: Progress = lambda line: None,
) -> pl.DataFrame:
    """Forecasts of every model for every asset: the frame `FORECASTS`.

    The portfolio model is run once, on equal shares of all assets over the bars that they have in common.
    bars: horizon. progress: is told what runs. Raises SolventError for an unknown name.
    """
    found = []
    for name in dict.fromkeys(names):
        if name == PORTFOLIO_MODEL:
            progress(f"{name}: {len(histories)} assets")
            found.append(portfolio_forecasts(histories, level, bars))
            continue
        model = model_of(name, level, bars)
        for history in histories:
            progress(f"{name}: {history.asset}")
            found.append(
                walk_forward(
                    history.returns, history.times, model, first=history.first, end=history.end,
                    asset=history.asset, name=name, level=level, bars=bars,
                )
            )  # fmt: skip
    return pl.concat(found)


def portfolio_forecasts(histories: Sequence[History], level: float, bars: int = 1) -> pl.DataFrame:
    """The t copula on equal shares of all assets, over the bars that all have; the asset is their names joined."""
    frames = [pl.DataFrame({"ts": each.times, str(i): each.returns}) for i, each in enumerate(histories)]
    joined = frames[0]
    for frame in frames[1:]:
        joined = joined.join(frame, on="ts", how="inner")
    joined = joined.sort("ts")
    returns = joined.drop("ts").to_numpy()
    weights = (1.0 / len(histories),) * len(histories)
    model = TCopula(weights)
    start = max(each.times[each.first] for each in histories)
    stop = min(each.times[each.end - 1] for each in histories)
    first = int((joined["ts"] < start).sum())
    return walk_forward(
        np.ascontiguousarray(returns), joined["ts"], model, first=max(first, model.least),
        end=int((joined["ts"] <= stop).sum()), asset="+".join(each.asset for each in histories),
        name=PORTFOLIO_MODEL, level=level, bars=bars, outcomes=portfolio_returns(returns, weights),
    )  # fmt: skip


def constant_forecasts(
    histories: Sequence[History], ranges: Mapping[str, float], name: str, level: float, bars: int = 1
) -> pl.DataFrame:
    """Margins that never change: of every asset, the price move (fraction) in `ranges`, on both sides."""
    found = []
    for history in histories:
        end = min(history.end, len(history.returns) - bars + 1)
        came = compounded(history.returns, bars)[history.first : end]
        for side in SIDES:
            frame = pl.DataFrame({"ts": history.times[history.first : end], "loss": losses(came, side)})
            found.append(
                frame.with_columns(
                    asset=pl.lit(history.asset),
                    side=pl.lit(side),
                    model=pl.lit(name),
                    level=pl.lit(level),
                    margin=pl.lit(log_loss(ranges[history.asset], side)),
                    shortfall=pl.lit(None, pl.Float64),
                    note=pl.lit(None, pl.String),
                )
            )
    return pl.concat(found).select(pl.col(key).cast(kind) for key, kind in FORECASTS.items())


def figures(forecasts: pl.DataFrame, benchmark: pl.DataFrame, bars: int = 1) -> pl.DataFrame:
    """A row an asset, side and model: all of `summarise`, beside 500-bar historical simulation at equal coverage.

    benchmark: forecasts of `BENCHMARK` for the same bars. With a horizon of several bars neighbouring losses
    overlap: each p-value is the worst of that many interleaved tests on every bars-th forecast.
    """
    held = summarise(benchmark.filter(pl.col("model") == BENCHMARK))
    against = held.select("asset", "side", pl.col("mean_margin_at_equal_coverage").alias(HISTORICAL))
    found = summarise(forecasts)
    if bars > 1:
        worst = interleaved(forecasts, bars)
        found = found.drop(worst.columns, strict=False).hstack(worst) if len(worst) else found
        found = found.with_columns(interleaved_tests=pl.lit(bars))
    notes = forecasts.group_by(KEYS, maintain_order=True).agg(pl.col("note").is_not_null().sum().alias("fallbacks"))
    return found.join(against, on=["asset", "side"], how="left", maintain_order="left").join(
        notes, on=list(KEYS), how="left", maintain_order="left"
    )


def interleaved(forecasts: pl.DataFrame, bars: int) -> pl.DataFrame:
    """The lowest of each p-value over the `bars` ways to take every bars-th forecast; rows as `summarise` has them."""
    place = pl.int_range(pl.len()).over(KEYS) % bars
    parts = [summarise(forecasts.filter(place == offset)) for offset in range(bars)]
    kept = [name for name in P_VALUES if name in parts[0].columns]
    keys = summarise(forecasts).select(KEYS)
    lowest = pl.concat(parts, how="diagonal_relaxed").group_by(KEYS).agg(pl.col(kept).min())
    return keys.join(lowest, on=list(KEYS), how="left", maintain_order="left").select(kept)
