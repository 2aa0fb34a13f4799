"""Collateral from files: daily histories of candle files, facts and rules, assessments as a policy."""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from solvent.domain.instruments import STABLECOINS
from solvent.engine.files import (
    policy_text,
    read_funding,
    read_market_caps,
    read_own_toml,
    read_sound_candles,
    read_toml,
)
from solvent.engine.toml_text import toml_text
from solvent.errors import Problem, SolventError, problem, raise_if
from solvent.models.collateral.assess import Assessment, assess
from solvent.models.collateral.facts import Facts, facts_of
from solvent.models.collateral.history import History
from solvent.models.collateral.rules import Rule, rules_of
from solvent.models.collateral.terms import collateral_table, crashes_table, limits_table
from solvent.valuation.tiers import F64

OWN_ROOM = "models/collateral"
BASE_POLICY = "portfolio"


class Assessed(NamedTuple):
    """The assets that were asked for, and the day."""

    day: date
    assessments: tuple[Assessment, ...]
    unread: dict[str, Problem]
    """Assets whose data have a fault: they do not count either."""


def read_facts(path: str | Path | None = None) -> dict[str, Facts]:
    """The package's facts, with those of a file over them. Raises SolventError with all problems."""
    found = facts_of(read_own_toml(OWN_ROOM, "assets"), "assets.toml")
    return found if path is None else found | facts_of(read_toml(path), Path(path).name)


def read_rules(path: str | Path | None = None) -> tuple[Rule, ...]:
    """The rules of a file, or the package's. Raises SolventError with all problems."""
    return rules_of(read_own_toml(OWN_ROOM, "rules")) if path is None else rules_of(read_toml(path), Path(path).name)


def assess_files(
    data: Sequence[str | Path],
    assets: Sequence[str] | None = None,
    day: date | None = None,
    facts: Mapping[str, Facts] | None = None,
    rules: Sequence[Rule] | None = None,
    own_token: str = "",
    funding: Sequence[str | Path] = (),
) -> Assessed:
    """Assess assets of candle files as of the start of a day.

    Parameters
    ----------
    data : sequence of paths
        Candle files. Prices are those of the source with the most days; volume is the lower of all sources.
    assets : sequence of str, optional
        All of the files by default.
    day : date, optional
        The day after the last candle by default. Later candles are not looked at.
    facts, rules : optional
        The package's by default.
    own_token : str
    funding : sequence of paths
        Funding files; an asset's unusual funding is a signal of stress.

    Raises
    ------
    SolventError
        With all problems of files, assets and days.
    """
    last = None if day is None else _midnight_ns(day) - 1
    known = read_facts() if facts is None else facts
    asked = None if assets is None else list(dict.fromkeys(each.strip().upper() for each in assets))
    needed = None if asked is None else sorted(with_represented(asked, known))
    histories, faulty = read_histories(data, needed, last, funding)
    wanted = sorted(histories) if asked is None else [each for each in asked if each not in faulty]
    accepted = f"an asset with candles{'' if day is None else f' before {day}'}"
    raise_if([problem(_names(data), None, "asset", each, accepted) for each in wanted if each not in histories])
    if not wanted:
        raise SolventError(*faulty.values() or [problem(_names(data), None, "rows", "none", accepted)])
    day = day or max(histories[each].days[-1].item() for each in wanted) + timedelta(days=1)
    found = assess(histories, known, rules or read_rules(), day, own_token)
    return Assessed(day, tuple(found[each] for each in wanted), faulty)


def _names(data: Sequence[str | Path]) -> str:
    return ", ".join(Path(each).name for each in data)


def _midnight_ns(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 10**9


def with_represented(assets: Sequence[str], facts: Mapping[str, Facts]) -> set[str]:
    """The assets and what they redeem into, all the way down."""
    found: set[str] = set()
    open_ = list(assets)
    while open_:
        asset = open_.pop()
        if asset and asset not in found:
            found.add(asset)
            open_.append(facts[asset].represents if asset in facts else "")
    return found


def read_histories(
    data: Sequence[str | Path],
    assets: Sequence[str] | None = None,
    end_ns: int | None = None,
    funding: Sequence[str | Path] = (),
) -> tuple[dict[str, History], dict[str, Problem]]:
    """Daily histories by asset of candle files of any bar, and the assets that have a fault; see `assess_files`."""
    if not data:
        raise SolventError(problem("data", None, "files", 0, "at least one candle file"))
    tables = [read_sound_candles(each, assets, end_ns) for each in data]
    faulty = {asset: fault for _, faults in tables for asset, fault in faults.items()}
    candles = pl.concat([table for table, _ in tables])
    daily = _daily(candles.filter(~pl.col("asset").is_in(list(faulty)) & pl.col("quote").is_in(list(STABLECOINS))))
    caps = _daily_caps(pl.concat([read_market_caps(each) for each in data]))
    paid = _daily_funding([read_funding(each) for each in funding])
    found = {}
    for (asset,), frame in daily.group_by("asset", maintain_order=True):
        mine = pl.col("asset") == asset
        found[str(asset)] = _history(str(asset), frame, caps.filter(mine), paid.filter(mine))
    return found, faulty


def _daily(candles: pl.DataFrame) -> pl.DataFrame:
    """Bars of UTC days: highest, lowest and last price, volume summed, by asset and source."""
    return (
        candles.with_columns(day=pl.col("ts").dt.date())
        .group_by("asset", "venue", "day")
        .agg(
            high=pl.max_horizontal(pl.col("high").max(), pl.col("close").max()),
            low=pl.min_horizontal(pl.col("low").min(), pl.col("close").min()),
            close=pl.col("close").sort_by("ts").last(),
            volume_usd=pl.when(pl.col("volume_usd").count() > 0).then(pl.col("volume_usd").sum()),
        )
        .sort("asset", "venue", "day")
    )


def _daily_caps(caps: pl.DataFrame) -> pl.DataFrame:
    return caps.group_by("asset", pl.col("ts").dt.date().alias("day")).agg(pl.col("market_cap_usd").last())


def _daily_funding(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Mean rate of each UTC day by asset."""
    if not tables:
        return pl.DataFrame(schema={"asset": pl.String, "day": pl.Date, "rate": pl.Float64})
    day = pl.col("ts").dt.date().alias("day")
    return pl.concat(tables).group_by("asset", day).agg(pl.col("rate").mean())


def _history(asset: str, frame: pl.DataFrame, caps: pl.DataFrame, funding: pl.DataFrame) -> History:
    """Prices of the source with the most days; volumes of all sources on those days."""
    lengths = frame.group_by("venue", maintain_order=True).len().sort("len", descending=True, maintain_order=True)
    venues = lengths["venue"].to_list()
    prices = frame.filter(pl.col("venue") == venues[0]).sort("day")
    prices = prices.join(caps.select("day", "market_cap_usd"), on="day", how="left", maintain_order="left")
    volumes = [_volumes(prices, frame.filter(pl.col("venue") == venue)) for venue in venues]
    high, low, close, market_cap = (_floats(prices[name]) for name in ("high", "low", "close", "market_cap_usd"))
    days = prices["day"].to_numpy().astype("datetime64[D]")
    rates = prices.select("day").join(funding, on="day", how="left", maintain_order="left")["rate"]
    paid = _floats(rates) if len(funding) else None
    return History(asset, days, high, low, close, np.stack(volumes), market_cap, paid)


def _volumes(prices: pl.DataFrame, source: pl.DataFrame) -> F64:
    """A source's volume on the days of the prices."""
    joined = prices.select("day").join(source.select("day", "volume_usd"), on="day", how="left", maintain_order="left")
    return _floats(joined["volume_usd"])


def _floats(column: pl.Series) -> F64:
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def collateral_policy(assessed: Assessed, source: str) -> str:
    """TOML of the `portfolio` policy with these collateral terms, limits and joint scenarios in place of its own.

    source: where the data come from, for the policy's own `source`.
    """
    policy = tomllib.loads(policy_text(BASE_POLICY))
    margin = policy["margin"] | {"collateral": collateral_table(assessed.assessments)}
    crashes = crashes_table(assessed.assessments)
    if crashes:
        margin["crashes"] = margin.get("crashes", {}) | crashes
    named = {
        "name": f"{BASE_POLICY}-collateral",
        "version": assessed.day.isoformat(),
        "as_of": assessed.day.isoformat(),
        "source": source,
        "notes": "Collateral terms by `solvent collateral`; everything else as the portfolio policy.",
    }
    rest = {key: value for key, value in policy.items() if key not in (*named, "margin")}
    return toml_text(named | rest | {"margin": margin, "limits": limits_table(assessed.assessments)})
