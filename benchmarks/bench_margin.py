"""Claim: the fused kernels margin a large book at 3 (rows) and 4 (linear folded) times the speed of scipy's CSR @
dense and minimum, and a full run of the `portfolio` rule adds less than 5 % of accounts x scenarios x 8 bytes.

Same book, same values, same process: 1,000,000 accounts with 10 positions on average in 2,270 instruments and 48
scenarios. `python benchmarks/bench_margin.py [--quick] [--json] [--rounds N]`; --quick takes 100,000 accounts.
The book is synthetic: who holds what follows a power law, 7 % of positions are options.
"""

import argparse
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from paired import paired, report
from scipy.sparse import csr_array

from solvent.domain.book import Book
from solvent.domain.instruments import Future, Instrument, Option, Perpetual, Spot
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.domain.symbols import spot
from solvent.domain.universe import SPOT, Universe
from solvent.margin.kernel import worst_folded, worst_rows
from solvent.margin.rules.portfolio import Portfolio, PreparedPortfolio

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

ROWS_FLOOR, FOLDED_FLOOR = 3.0, 4.0
MEMORY_MOST = 0.05
"""Of accounts x scenarios x 8 bytes, beyond inputs and outputs."""
NOW_NS = 1_735_689_600 * 10**9
DAY_NS = 24 * 3600 * 10**9
SPOTS, PERPETUALS, EXPIRIES, STRIKES = 50, 200, 10, 50
DRAWN = 11.1
"""Positions drawn an account; those of the same instrument become one, which leaves 10."""
SHARES = {Spot: 0.30, Perpetual: 0.58, Future: 0.05, Option: 0.07}
"""Of positions by kind."""


def universe() -> Universe:
    """50 spot, 200 perpetuals, 20 futures, 2,000 options."""
    coins = ["BTC", "ETH", *(f"C{i}" for i in range(PERPETUALS - 2))]
    made: list[Instrument] = [spot("USDC"), *(spot(name) for name in coins[: SPOTS - 1])]
    made += [Perpetual(f"{name}/USDC:USDC", name, "USDC") for name in coins]
    for name in ("BTC", "ETH"):
        for k in range(EXPIRIES):
            expiry, id = NOW_NS + (7 + 28 * k) * DAY_NS, f"{name}/USDC:USDC-{k}"
            made.append(Future(id, name, "USDC", expiry))
            for strike in np.geomspace(0.4, 2.5, STRIKES).round(4) * price_of(name):
                for side in "CP":
                    terms = (name, "USDC", expiry, Decimal(str(round(strike, 2))), side == "C")
                    made.append(Option(f"{id}-{strike:.2f}-{side}", *terms, tick=Decimal("0.01")))
    return Universe(made)


def price_of(name: str) -> float:
    return {"USDC": 1.0, "BTC": 60_000.0, "ETH": 3_000.0}.get(name, 5.0)


def prepared(listed: Universe) -> PreparedPortfolio:
    """The `portfolio` rule with 48 scenarios: 14 moves x 3 volatilities, 6 tails."""
    ticks = [0 if isinstance(each, Option) else round(price_of(each.underlying) / float(each.tick)) for each in listed]
    market = Market(listed, NOW_NS, np.array(ticks), vol_annual=0.6, volume_usd_daily=1e8, half_spread=0.0002)
    steps = [step for k in range(1, 8) for step in (k / 7, -k / 7)]
    listed_collateral = {
        each.id: {"scanned": True, "haircut_initial": 0.03, "haircut_maintenance": 0.02, "tier_edges_usd": [1e6, 1e7],
                  "tier_add": [0.05, 0.15]}
        for each in listed if isinstance(each, Spot) and each.id != "USDC"
    }  # fmt: skip
    cash = dict.fromkeys(("haircut_initial", "haircut_maintenance", "borrow_initial", "borrow_maintenance"), 0.0)
    margin = {"rule": "portfolio", "steps": steps, "tails": [2.0, -2.0, 3.0, -3.0, 5.0, -5.0],
              "collateral": {**listed_collateral, "USDC": cash}}  # fmt: skip
    return Portfolio().prepare(listed, market, Policy("bench", "1", "2025-01-01", "bench", margin=margin))


def book(listed: Universe, accounts: int) -> Book:
    """Accounts of geometric size, instruments by a power law within their kind; seeded."""
    rng = np.random.default_rng(0)
    size = np.minimum(rng.geometric(1 / DRAWN, accounts), 200)
    account = np.repeat(np.arange(accounts), size)
    weight = np.zeros(len(listed))
    for kind, share in SHARES.items():
        of_kind = np.flatnonzero([isinstance(each, kind) for each in listed])
        law = 1.0 / np.arange(1, len(of_kind) + 1) ** 0.8
        weight[of_kind] = share * rng.permutation(law) / law.sum() if kind is Option else share * law / law.sum()
    instrument = rng.choice(len(listed), len(account), p=weight / weight.sum())
    lots = rng.integers(1, 10**6, len(account)) * np.where(rng.random(len(account)) < 0.6, 1, -1)
    names = [str(a) for a in range(accounts)]
    return Book.from_rows(listed, names, account, instrument, lots)


class Inputs(NamedTuple):
    """What the kernels read. I instruments, U assets, S scenarios, O options."""

    values: F64
    """(I, S) change of value of one lot, every instrument a row; options as if held long."""
    factor: I64
    """(I,) all linear instruments move by multiples of one grid: one factor."""
    asset: I64
    delta: F64
    """(I,) USD a lot gains per unit of the grid, per unit of its asset's move."""
    delta_of_asset: F64
    grid: F64
    """(1, S)"""
    moves: F64
    """(U, S)"""
    option: I64
    options: F64


def inputs(rule: PreparedPortfolio) -> Inputs:
    """The rule's scenario values as plain arrays."""
    t, set_ = rule.shared.tables, rule.shared.fixed.scenarios
    row, params = t.instrument, rule.shared.fixed.params
    ranges = np.array([params.range_of(asset) for asset in rule.shared.fixed.universe.assets])
    btc = rule.shared.fixed.universe.asset_index["BTC"]
    grid = (set_.moves[btc] * set_.damp / ranges[btc])[None, :]
    asset, option = np.ascontiguousarray(row["underlying"]), np.ascontiguousarray(row["option"])
    delta_of_asset = np.where(row["form"] == SPOT, row["value"], row["delta"])
    delta = delta_of_asset * ranges[asset]
    values = np.where((option >= 0)[:, None], t.options[1, option], delta[:, None] * grid)
    moves = ranges[:, None] * grid
    return Inputs(values, np.zeros_like(asset), asset, delta, delta_of_asset, grid, moves, option, t.options[1])


@njit(cache=True, parallel=True, fastmath=True)
def read_rows(instrument: I64, values: F64) -> float:
    """Read the row of scenario values of each position and do no more with it than add it up: the roof."""
    total = 0.0
    for k in prange(len(instrument) // 4):
        i0, i1, i2, i3 = instrument[4 * k], instrument[4 * k + 1], instrument[4 * k + 2], instrument[4 * k + 3]
        for s in range(values.shape[1]):
            total += values[i0, s] + values[i1, s] + values[i2, s] + values[i3, s]
    return total


def added_bytes(run: Callable[[], Any], outputs: Callable[[Any], int]) -> int | None:
    """Peak of resident memory during a run beyond what was there before and what it returns; None where unknown."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        before = status_bytes("VmRSS")
        returned = run()
        return max(0, status_bytes("VmHWM") - before - outputs(returned))
    except (OSError, StopIteration):
        return None


def status_bytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024


def statement_bytes(statement: Any) -> int:
    columns = (getattr(statement, name) for name in statement.__struct_fields__)
    return sum(each.nbytes for each in columns if isinstance(each, np.ndarray)) + 8 * len(statement.names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=7, help="how often each candidate runs (default 7)")
    parser.add_argument("--quick", action="store_true", help="100,000 accounts, for a small or busy machine")
    given = parser.parse_args()
    accounts = 100_000 if given.quick else 1_000_000

    listed = universe()
    rule, held = prepared(listed), book(listed, accounts)
    x = inputs(rule)
    values, scenarios = x.values, x.values.shape[1]
    slots = (held.start, held.length, held.instrument, held.lots)
    matrix = csr_array(
        (held.lots.astype(float), held.instrument, np.append(held.start, len(held.lots))), (accounts, len(listed))
    )
    runs: dict[str, Callable[[], Any]] = {
        "scipy CSR @ dense, min": lambda: (matrix @ values).min(axis=1),
        "worst_rows": lambda: worst_rows(*slots, values),
        "worst_folded": lambda: worst_folded(*slots, x.factor, x.delta, x.grid, x.option, x.options),
        "worst_folded, a factor an asset": lambda: worst_folded(
            *slots, x.asset, x.delta_of_asset, x.moves, x.option, x.options
        ),
        "portfolio rule": lambda: rule.assess(held),
        "roof: read every row": lambda: read_rows(held.instrument, values),
    }
    expected = runs["scipy CSR @ dense, min"]()
    scale = np.abs(expected).max()
    for name in ("worst_rows", "worst_folded", "worst_folded, a factor an asset"):
        assert np.abs(runs[name]() - expected).max() <= 1e-10 * scale, f"{name} is not what scipy finds"
    runs["portfolio rule"]()

    whole = accounts * scenarios * 8
    added = {
        name: added_bytes(runs[name], lambda out: out.nbytes) for name in ("scipy CSR @ dense, min", "worst_rows",
                                                                            "worst_folded")
    }  # fmt: skip
    added["portfolio rule"] = added_bytes(runs["portfolio rule"], statement_bytes)

    timings = paired(runs, rounds=given.rounds)
    faster = {timing.name: timings[0].ratio and 1 / timing.ratio for timing in timings}
    milliseconds = {timing.name: timing.median_ms for timing in timings}
    rows_gb = len(held.lots) * scenarios * 8 / 1e9
    facts = {
        "accounts": accounts,
        "positions": len(held.lots),
        "instruments": len(listed),
        "scenarios": scenarios,
        "option_share_of_positions": round(float((x.option[held.instrument] >= 0).mean()), 3),
        "threads": numba.get_num_threads(),
        **{f"times_scipy {name}": round(faster[name], 2) for name in ("worst_rows", "worst_folded", "portfolio rule")},
        "roof_gb_s": round(rows_gb / milliseconds["roof: read every row"] * 1e3, 1),
        "worst_rows_of_roof": round(milliseconds["roof: read every row"] / milliseconds["worst_rows"], 2),
        "portfolio_us_an_account": round(1e3 * milliseconds["portfolio rule"] / accounts, 3),
        **{f"added_memory {name}": None if size is None else f"{size / whole:.1%}" for name, size in added.items()},
        "claims": f"worst_rows >= {ROWS_FLOOR}x, worst_folded >= {FOLDED_FLOOR}x scipy; memory < {MEMORY_MOST:.0%}",
    }
    report("Margin of a whole book", timings, facts=facts, as_json=given.json)
    failed = [
        f"{name} is only {faster[name]:.2f} times as fast as scipy; the claim is {floor}"
        for name, floor in (("worst_rows", ROWS_FLOOR), ("worst_folded", FOLDED_FLOOR))
        if faster[name] < floor
    ]
    failed += [
        f"{name} added {x / whole:.1%} of accounts x scenarios x 8 bytes; the claim is below {MEMORY_MOST:.0%}"
        for name, x in added.items()
        if x is not None and x >= MEMORY_MOST * whole and "scipy" not in name
    ]
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
