"""Claim: margins of the next hour from HAR and boosting hold 99 %, at nine tenths of the cost of EWMA's.

`python benchmarks/bench_hourly.py [--data FOLDER] [--assets BTC,ETH] [--files a,b] [--json]` races the hourly models
on recorded candles, a row a model and side. `--ablation` instead prints what each group of features is worth on the
hours after `--from`. The folder is that of the recorded data beside the checkout (`../shared/data`).
"""

import argparse
import json
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from solvent.models import hourly
from solvent.models.ablation import ablation, hourly_scores
from solvent.models.backtests.summary import summarise
from solvent.models.hours import hours

CANDLES = ("hourly_2017_2021", "binance_spot_1h_2021_2023", "binance_perp_1h_2023_2024")
COLUMNS = ["ts", "asset", "venue", "open", "high", "low", "close", "volume_base"]
SHARE_MOST = 0.90
SHARED = Path(__file__).parent.parent.parent / "shared" / "data"
FIRST_WRONG = pl.datetime(2017, 8, 17, 4, time_zone="UTC")
"""Its open and high are those of no market (see the data's README)."""
SHOWN = {
    "model": "<16", "side": "<5", "observations": "7,", "qlike": "6.3f", "r2_log": "6.3f", "exception_rate": "6.2%",
    "kupiec_p": "8.3f", "conditional_coverage_p": "8.3f", "margin_bp": "9.1f", "pinball_e5": "10.2f", "of_ewma": "7.3f",
}  # fmt: skip
ABLATED = {
    "asset": "<5", "change": "<8", "group": "<11", "hours": "7,", "r2_log_base": "11.3f", "r2_log_changed": "14.3f",
    "qlike_base": "10.3f", "qlike_changed": "13.3f", "dm_qlike_t": "10.1f", "dm_t": "6.1f", "margin_long": "11.1%",
    "margin_short": "12.1%",
}  # fmt: skip


def candles(folder: Path, files: list[str], assets: list[str]) -> pl.DataFrame:
    """Candles of all files; where one venue ends the next takes over (`solvent.models.hours`)."""
    frames = []
    for name in files:
        frame = pl.read_parquet(folder / "prices_intraday" / f"{name}.parquet")
        frame = frame if "venue" in frame.columns else frame.with_columns(venue=pl.lit(name))
        frames.append(frame.select(COLUMNS).filter(pl.col("asset").is_in(assets), pl.col("ts") != FIRST_WRONG))
    return pl.concat(frames)


def other_series(folder: Path, asset: str) -> dict[str, pl.DataFrame]:
    """Funding, sentiment and implied volatility as `ts, value` and what features make of them, by source."""

    def read(name: str) -> pl.DataFrame:
        return pl.read_parquet(folder / f"{name}.parquet")

    def daily(frame: pl.DataFrame, day: str, value: str) -> pl.DataFrame:
        return frame.select(ts=pl.col(day).cast(pl.Datetime("ns", "UTC")), value=pl.col(value).cast(pl.Float64))

    funding = read("funding/perp_funding_8h_multi").filter(pl.col("asset") == asset)
    if asset == "BTC":
        funding = read("funding/btc_perp_funding_8h")
    funding = funding.sort("ts").select("ts", value="funding_rate_8h")
    greed = daily(read("sentiment/fear_greed_daily"), "date", "fear_greed").sort("ts")
    news = read("sentiment/crypto_news_sentiment_2021_2022").sort("ts").rolling("ts", period="24h")
    series = {
        "funding": funding.with_columns(
            mean_9=pl.col("value").rolling_mean(9), absolute_mean_9=pl.col("value").abs().rolling_mean(9)
        ),
        "fear_greed": greed.with_columns(change_7=pl.col("value").diff(7)),
        "news": news.agg(value=pl.col("polarity").mean(), count=pl.len().cast(pl.Float64)),
        "google_trends": daily(read("sentiment/google_trends_bitcoin_monthly"), "month", "google_trends_bitcoin"),
    }
    if asset == "BTC":
        dvol = read("options/btc_dvol_hourly").select("ts", value="dvol_close")
        series["dvol"] = dvol.sort("ts").with_columns(pl.col("value").log())
    return {name: frame.drop_nulls().unique("ts", keep="last").sort("ts") for name, frame in series.items()}


def race(data: pl.DataFrame, asset: str, level: float) -> tuple[list[dict[str, Any]], float]:
    """A row a model and side, and the seconds that all models took."""
    begun = time.perf_counter()
    of = hours(data, asset)
    frame, models = hourly.of_asset(of, level, hourly.MODELS)
    seconds = time.perf_counter() - begun
    figures = summarise(frame).to_dicts()
    costs = {(row["model"], row["side"]): row["mean_margin_at_equal_coverage"] for row in figures}
    scored = np.arange(len(of)) >= hourly.WARM_UP_HOURS
    for row in figures:
        row["of_ewma"] = costs[row["model"], row["side"]] / costs[hourly.TEXTBOOK, row["side"]]
        row["margin_bp"] = 1e4 * row["mean_margin_at_equal_coverage"]
        row["pinball_e5"] = 1e5 * row["pinball"]
        variance = models.log_variance("mean-fhs" if row["model"] == hourly.GOVERNED else row["model"])
        scores = hourly_scores(of, variance, level, scored)
        row["qlike"], row["r2_log"] = float(scores["qlike"].mean()), scores["r2_log"]
    return figures, seconds


def show(rows: list[dict[str, Any]], columns: dict[str, str]) -> None:
    """A plain table."""
    cells = [[format(row[name], form) for name, form in columns.items()] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(columns)]
    for line in [list(columns), *cells]:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SHARED, help="folder of the recorded data")
    parser.add_argument("--assets", default="BTC,ETH")
    parser.add_argument("--files", default=",".join(CANDLES), help="candle files, in any order")
    parser.add_argument("--level", type=float, default=0.99)
    parser.add_argument("--ablation", action="store_true", help="groups of features instead of models")
    parser.add_argument("--from", dest="start", default="2021-01-01", help="first hour of the ablation")
    parser.add_argument("--every-months", type=int, default=3, help="how often the ablation fits anew")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    assets = given.assets.split(",")
    data = candles(given.data, given.files.split(","), assets)
    found: dict[str, Any] = {}
    for asset in assets:
        if given.ablation:
            since = data.filter(pl.col("ts") >= pl.lit(datetime.fromisoformat(given.start)).dt.replace_time_zone("UTC"))
            changes = ablation(
                hours(since, asset), other_series(given.data, asset), given.level, every_months=given.every_months
            )
            for side in ("long", "short"):
                share = pl.col(f"margin_{side}_changed") / pl.col(f"margin_{side}_base") - 1.0
                changes = changes.with_columns(share.alias(f"margin_{side}"))
            found[asset] = changes.to_dicts()
        else:
            found[asset], found[f"{asset}_seconds"] = race(data, asset, given.level)
    if given.json:
        print(json.dumps(found))
        return 0
    for asset in assets:
        print(f"\n{asset}" + ("" if given.ablation else f", {found[f'{asset}_seconds']:.0f} s"))
        show(found[asset], ABLATED if given.ablation else SHOWN)
    if given.ablation:
        return 0
    best = {a: max(row["of_ewma"] for row in found[a] if row["model"] == hourly.GOVERNED) for a in assets}
    held = [
        f"{asset} {row['side']}"
        for asset in assets
        for row in found[asset]
        if row["model"] == hourly.GOVERNED and min(row["kupiec_p"], row["conditional_coverage_p"]) <= 0.05
    ]
    print(f"\ncoverage of `{hourly.GOVERNED}` rejected at 5 %: {', '.join(held) or 'nowhere'}")
    shares = ", ".join(f"{asset} {share:.3f}" for asset, share in best.items())
    print(
        f"its cost at equal coverage, share of {hourly.TEXTBOOK}, worse side: {shares} (wanted: {SHARE_MOST} at most)"
    )
    return 1 if held else 0


if __name__ == "__main__":
    sys.exit(main())
