"""A `portfolio` policy from recorded prices: data in; price moves, offsets and collateral terms; one checked text."""

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from solvent.domain.instruments import STABLECOINS
from solvent.domain.policy import Policy, parameters
from solvent.domain.symbols import spot
from solvent.domain.universe import Universe
from solvent.engine.collateral import read_facts, read_histories, read_rules, with_represented
from solvent.engine.files import file_sha256, read_policy
from solvent.engine.params import EngineParams
from solvent.engine.toml_text import toml_text
from solvent.errors import Problem, SolventError, problem, raise_if
from solvent.margin.rules.portfolio.params import PortfolioParams, penalty_rate, scenario_set
from solvent.models import calibration
from solvent.models.acceptance import Failure, failures
from solvent.models.backtests.summary import summarise
from solvent.models.calibration import Move, Series, held_forecasts, move_at
from solvent.models.collateral.assess import Assessment, assess
from solvent.models.collateral.facts import Facts
from solvent.models.collateral.history import History
from solvent.models.collateral.scanned import scanned_terms
from solvent.models.collateral.terms import collateral_table, crashes_table, limits_table
from solvent.models.model import LEAST_RETURNS
from solvent.models.offsets import OffsetGroup, lowest_correlations, offset_groups
from solvent.models.stack import Stack

TESTED_MOST_DAYS = 1000
TESTED_LEAST_DAYS = 250
"""A year: of fewer days Kupiec's test refuses hardly any model."""
STALE_DAYS = 7
"""An asset whose prices end earlier than so many days before the calibration is not calibrated of them."""
CORRELATED_DAYS = 1000
PROCESSES_FROM = 4
"""Assets from which more than one process is worth its start."""
Progress = Callable[[str], None]


class Wanted(NamedTuple):
    """What is asked for."""

    data: tuple[Path, ...]
    assets: tuple[str, ...] | None
    """None: all of the files that have enough data; what is left out is named."""
    base: str = "portfolio"
    """Policy whose other parameters are kept."""
    level: float = 0.99
    horizon_days: int | None = None
    """None: by the liquidity tier of each asset."""
    until: date | None = None
    """Last day that is looked at."""
    override: str = ""
    """Why the policy may be written though its backtest fails."""


class Calibration(msgspec.Struct, frozen=True, eq=False):
    """A policy and everything that it rests on."""

    wanted: Wanted
    as_of: date
    base: Policy
    text: str
    """TOML of the policy."""
    policy: Policy
    parameters: str
    """The models with every parameter."""
    data_sha256: dict[str, str]
    moves: dict[str, Move]
    horizons: dict[str, int]
    groups: tuple[OffsetGroup, ...]
    assessments: dict[str, Assessment]
    forecasts: pl.DataFrame
    """Of the stack, one day ahead, and of the policy's own moves, over their horizon."""
    failed: tuple[Failure, ...]
    """Criteria that the policy is written in spite of."""
    left_out: dict[str, str]


class Data(NamedTuple):
    """What the files hold of the wanted assets, up to the last day."""

    day: date
    """The day after the last one."""
    series: dict[str, Series]
    assessments: dict[str, Assessment]
    facts: dict[str, Facts]
    left_out: dict[str, str]
    failed: tuple[Failure, ...]


def calibrate(wanted: Wanted, workers: int | None = None, progress: Progress = lambda line: None) -> Calibration:
    """Make a policy and its evidence, writing nothing.

    workers: processes, by default one a core. Raises SolventError with everything that is wrong with files and
    assets; and, without an override, with every criterion of the backtest that fails.
    """
    base = read_policy(wanted.base)
    params = _base_params(base)
    progress("reading")
    data = read_data(wanted)
    horizons = {
        asset: wanted.horizon_days or calibration.horizon_days(data.assessments[asset].liquidity.tier)
        for asset in data.series
    }
    paths = forecast_paths(data.series, wanted.level, horizons, workers, progress)
    progress("policy and backtest")
    floors = {asset: params.scan_range_stablecoin if each.pegged else 0.0 for asset, each in data.series.items()}
    daily, held, moves = [], [], {}
    for asset, each in data.series.items():
        moves[asset] = move_at(paths[asset], -1, floors[asset])
        daily.append(calibration.daily_forecasts(each, paths[asset], wanted.level))
        held.append(held_forecasts(each, paths[asset], wanted.level, floors[asset]))
    of_stack, of_policy = pl.concat(daily), pl.concat(held)
    failed = (*data.failed, *failures(summarise(of_stack), summarise(of_policy), horizons))
    if failed and not wanted.override.strip():
        raise SolventError(*refusals(failed, _names(wanted.data)))
    groups = _groups(data)
    hashes = {path.name: file_sha256(path) for path in wanted.data}
    moves = _looked_through(moves, data.facts)
    table = policy_table(wanted, base, params, data, moves, groups, hashes, failed)
    text = toml_text(table)
    policy = Policy.from_toml(text, "calibrated policy")
    EngineParams.of(policy, Universe(spot(asset) for asset in data.series))
    return Calibration(
        wanted, data.day - timedelta(days=1), base, text, policy, model_parameters(wanted), hashes, moves, horizons,
        groups, data.assessments, pl.concat([of_stack, of_policy]), failed, data.left_out,
    )  # fmt: skip


def model_parameters(wanted: Wanted) -> str:
    """Every model and constant that makes the moves, as text to be hashed."""
    stated = {
        "stack": Stack(wanted.level, 1),
        "held_days": calibration.HELD_DAYS,
        "horizon_days": wanted.horizon_days or "by liquidity tier",
        "tested_days": (TESTED_LEAST_DAYS, TESTED_MOST_DAYS),
        "range_most": calibration.RANGE_MOST,
        "correlated_days": CORRELATED_DAYS,
    }
    return ", ".join(f"{name}={value!r}" for name, value in stated.items())


def refusals(failed: Sequence[Failure], file: str) -> list[Problem]:
    """Failed criteria as the problems that refuse a policy, and the way round."""
    found = [problem(file, None, each.name, each.value, each.accepted) for each in failed]
    return [*found, problem("calibrate", None, "--override", "empty", "a reason, or --assets without those above")]


def _base_params(base: Policy) -> PortfolioParams:
    if base.rule != "portfolio":
        raise SolventError(problem(base.name, None, "margin.rule", base.rule, "portfolio: the rule that is calibrated"))
    params, problems = parameters(PortfolioParams, base.margin, base.name, frozenset({"rule"}))
    raise_if(problems)
    assert params is not None
    return params


def _names(data: Sequence[Path]) -> str:
    return ", ".join(path.name for path in data)


def read_data(wanted: Wanted) -> Data:
    """Series and assessments of the wanted assets as of the day after the last one.

    Raises SolventError with all problems of files and of assets that are named.
    """
    facts = read_facts()
    asked = None if wanted.assets is None else sorted(with_represented(wanted.assets, facts))
    end = None if wanted.until is None else wanted.until + timedelta(days=1)
    end_ns = None if end is None else int(datetime(end.year, end.month, end.day, tzinfo=UTC).timestamp()) * 10**9 - 1
    histories, faulty = read_histories(wanted.data, asked, end_ns)
    names = sorted(histories.keys() | faulty) if wanted.assets is None else list(dict.fromkeys(wanted.assets))
    file = _names(wanted.data)
    there = [histories[name].days[-1].item() for name in names if name in histories]
    if not there:
        raise SolventError(*faulty.values() or [problem(file, None, "asset", ", ".join(names), "assets with prices")])
    day = end or max(there) + timedelta(days=1)
    series: dict[str, Series] = {}
    short: list[Failure] = []
    left_out: dict[str, str] = {}
    problems: list[Problem] = []
    for name in names:
        if name not in histories:
            problems.append(faulty.get(name) or problem(file, None, "asset", name, "an asset with prices"))
            left_out[name] = str(problems[-1])
            continue
        each = series_of(histories[name], facts.get(name))
        fault = _too_little(each, file)
        if fault is not None:
            problems.append(fault)
            left_out[name] = str(fault)
            continue
        lacks = _lacks(each, day)
        if lacks and wanted.assets is None:
            left_out[name] = "; ".join(f"{lack.value}: {lack.accepted}" for lack in lacks)
            continue
        short += lacks
        series[name] = each
    raise_if(problems if wanted.assets is not None or not series else [])
    found = assess(histories, facts, read_rules(), day)
    return Data(day, series, {name: found[name] for name in series}, facts, left_out, tuple(short))


def series_of(history: History, facts: Facts | None) -> Series:
    """Daily log returns of a history; over missing days there is none."""
    whole = np.diff(history.days) == np.timedelta64(1, "D")
    pegged = history.asset in STABLECOINS or bool(facts and facts.stablecoin)
    return Series(history.asset, history.days[1:][whole], history.returns[whole], pegged)


def _too_little(series: Series, file: str) -> Problem | None:
    """No model can be fitted and tested at all."""
    count, least = len(series.returns), LEAST_RETURNS + calibration.HORIZON_MOST_DAYS
    if count >= least:
        return None
    return problem(file, None, "asset", f"{series.asset}: {count} daily returns", f"at least {least}")


def _lacks(series: Series, day: date) -> list[Failure]:
    """Too few days for a test, or prices that end too early."""
    found = []
    count, least = len(series.returns), LEAST_RETURNS + TESTED_LEAST_DAYS
    if count < least:
        found.append(Failure("data", series.asset, "", f"{count} daily returns", f"at least {least}"))
    last = series.days[-1].item()
    if (day - last).days > STALE_DAYS + 1:
        accepted = f"{day - timedelta(days=STALE_DAYS + 1)} or later: --until sets the day"
        found.append(Failure("data", series.asset, "", f"last price {last}", accepted))
    return found


def forecast_paths(
    series: Mapping[str, Series],
    level: float,
    horizons: Mapping[str, int],
    workers: int | None = None,
    progress: Progress = lambda line: None,
) -> dict[str, calibration.Path]:
    """Forecasts of every asset, in several processes where that pays."""
    tasks = [
        (each, level, horizons[each.asset], min(TESTED_MOST_DAYS, len(each.returns) - LEAST_RETURNS))
        for each in sorted(series.values(), key=lambda each: (each.pegged, -len(each.returns)))
    ]
    count = min(workers or len(os.sched_getaffinity(0)), len(tasks))
    found: dict[str, calibration.Path] = {}
    if count == 1 or len(tasks) < PROCESSES_FROM:
        for task in tasks:
            progress(task[0].asset)
            found[task[0].asset] = calibration.forecast_path(*task)
        return found
    # Spawned, not forked: polars and numba hold threads that a fork would lose.
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        for path in pool.map(calibration.forecast_path, *zip(*tasks, strict=True)):
            found[path.asset] = path
            progress(f"{path.asset}: {len(found)} of {len(tasks)}")
    return found


def _looked_through(moves: Mapping[str, Move], facts: Mapping[str, Facts]) -> dict[str, Move]:
    """A claim moves at least as far as what it redeems into: its own history may be short or thin."""
    found = {}
    for asset, move in moves.items():
        below = facts[asset].represents if asset in facts else ""
        if below in moves and moves[below].fraction > move.fraction:
            move = move._replace(fraction=moves[below].fraction, reason=f"that of {below}, which it redeems into")
        found[asset] = move
    return found


def _groups(data: Data) -> tuple[OffsetGroup, ...]:
    """Groups of the assets that are no stablecoins, by their days in common."""
    coins = [each for each in data.series.values() if not each.pegged]
    days = np.arange(np.datetime64(data.day, "D") - CORRELATED_DAYS, np.datetime64(data.day, "D"))
    returns = np.full((len(coins), len(days)), np.nan)
    for row, each in zip(returns, coins, strict=True):
        place = (each.days - days[0]).astype(np.int64)
        row[place[place >= 0]] = each.returns[place >= 0]
    return offset_groups([each.asset for each in coins], lowest_correlations(returns))


def policy_table(
    wanted: Wanted,
    base: Policy,
    params: PortfolioParams,
    data: Data,
    moves: Mapping[str, Move],
    groups: Sequence[OffsetGroup],
    hashes: Mapping[str, str],
    failed: Sequence[Failure],
) -> dict[str, Any]:
    """The policy as TOML tables: the base's with everything replaced that was calibrated."""
    as_of = (data.day - timedelta(days=1)).isoformat()
    margin = _margin_table(base, params, data, moves, groups)
    files = ", ".join(f"{name} (SHA-256 {digest})" for name, digest in hashes.items())
    horizon = f"{wanted.horizon_days} days" if wanted.horizon_days else "liquidity tier"
    notes = f"Other parameters as {base.label}."
    if wanted.override.strip():
        names = sorted(each.name for each in failed)
        notes += f" Override: {wanted.override.strip()} (failed: {'; '.join(names) or 'nothing'})."
    rest: dict[str, Any] = msgspec.to_builtins(base)
    return rest | {
        "name": f"{base.name.removesuffix('-calibrated')}-calibrated",
        "version": as_of,
        "as_of": as_of,
        "source": f"solvent calibrate of {files}; stack at {wanted.level:g}, horizon by {horizon}, parameters SHA-256 "
        f"{parameters_sha256(wanted)}",
        "notes": notes,
        "margin": margin,
        "limits": base.limits | limits_table(data.assessments.values()),
    }


def parameters_sha256(wanted: Wanted) -> str:
    """Of `model_parameters`."""
    from hashlib import sha256

    return sha256(model_parameters(wanted).encode()).hexdigest()


def _margin_table(
    base: Policy, params: PortfolioParams, data: Data, moves: Mapping[str, Move], groups: Sequence[OffsetGroup]
) -> dict[str, Any]:
    scale = params.margin_scale
    kept = {asset: min(calibration.RANGE_MOST, scale * each) for asset, each in params.scan_range.items()}
    coins = [moves[asset].fraction for asset, each in data.series.items() if not each.pegged]
    pegs = [moves[asset].fraction for asset in data.series if asset in STABLECOINS]
    grouped = {asset for group in params.groups for asset in group.assets if asset not in data.series}
    spreads = [
        0.5 * float(each.values["spread"] or 0.0)
        for asset, each in data.assessments.items()
        if each.eligible and not data.series[asset].pegged
    ]
    changed: dict[str, Any] = {
        "margin_scale": 1.0,
        "scan_range": kept | {asset: move.fraction for asset, move in moves.items()},
        "scan_range_default": max([scale * params.scan_range_default, *coins]),
        "scan_range_stablecoin": max([scale * params.scan_range_stablecoin, *pegs]),
        "half_spread_least": max(params.half_spread_least, calibration.rounded_up(float(np.median(spreads or [0.0])))),
        "groups": [
            {"assets": list(group.assets), "correlation": calibration.rounded_down(group.correlation)}
            for group in groups
        ]
        + [msgspec.to_builtins(each) for each in params.groups if set(each.assets) <= grouped],
    }
    if crashes := params.crashes | crashes_table(data.assessments.values()):
        changed["crashes"] = crashes
    margin = base.margin | changed
    return margin | {"collateral": _collateral(base, margin, data)}


def _collateral(base: Policy, margin: Mapping[str, Any], data: Data) -> dict[str, Any]:
    """Terms of the calibrated assets, those that the scenarios scan with the cost of a sale only; the base's others.

    The price risk of what is scanned is charged by the scenarios, once, and so a hedge counts.
    """
    params, problems = parameters(PortfolioParams, margin, "calibrated policy", frozenset({"rule", "collateral"}))
    raise_if(problems)
    assert params is not None
    assets = list(data.series)
    set_ = scenario_set(params, Universe(spot(asset) for asset in assets))
    worst = dict(zip(assets, np.max(-set_.moves * set_.damp, axis=1, initial=0.0).tolist(), strict=True))
    close_out = penalty_rate(base.liquidation) + params.half_spread_least
    table = collateral_table(data.assessments.values())
    for asset, terms in table.items():
        if not data.series[asset].pegged and not terms.get("scanned"):
            room = 1.0 - params.maintenance_factor * worst[asset]
            terms |= scanned_terms(data.assessments[asset], room, close_out)
    rest = {id: terms for id, terms in base.margin.get("collateral", {}).items() if id not in data.series}
    return rest | table
