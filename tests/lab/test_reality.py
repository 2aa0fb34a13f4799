"""Simulated loans against what happened: Aave v2 on 19 May 2021 and its CRV borrower of 22 November 2022.

The figures stand in docs/lab.md. Nothing is fitted to them.
"""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from solvent.lab import kernel_loans as kernel
from solvent.lab.thresholds import Setting, borrowers

F64 = NDArray[np.float64]
BORROWS = 100e6
STABLES = ("USDC", "USDT", "DAI", "SUSD", "TUSD", "GUSD", "BUSD")


def pool(path: F64, *, latency: int = 0) -> F64:
    """Borrowers of stablecoins against WETH as they were allowed then (82.5 %, bonus 5 %), half a loan a call."""
    debt, health = borrowers(Setting(borrowers=3_000, borrows_usd=BORROWS))
    collateral = debt / np.minimum(0.825 / health, 0.80)
    gas_usd, volume = 400.0, 1e9  # 500,000 gas at the day's mean price; half of the venue's usual day
    market = (kernel.SQUARE_ROOT, 0.8 * 0.05, volume, 0.9)
    out = kernel.run_paths(path[None], debt, collateral, 0.825, 0.05, 0.5, 0.0, latency, 1e9, gas_usd, *market)
    return np.asarray(out[0])


@pytest.fixture(scope="module")
def may_path(shared: Path) -> F64:
    """Closes of ten minutes through 19 May 2021, over the first open."""
    frame = pl.read_parquet(shared / "data" / "prices_intraday" / "crash_days_eth_10m.parquet").sort("ts")
    day = frame.filter(frame["ts"].dt.date() == date(2021, 5, 19))
    assert len(day) == 144
    return np.concatenate([[1.0], day["close"].to_numpy() / day["open"][0]])


@pytest.fixture(scope="module")
def may_repaid(shared: Path) -> F64:
    """(24,) USD of stablecoins repaid against WETH in each hour of that day."""
    frame = pl.read_parquet(shared / "data" / "liquidations" / "aave_v2_liquidations.parquet")
    of_day = frame["ts"].dt.date() == date(2021, 5, 19)
    rows = frame.filter(of_day & (frame["collateral_asset"] == "WETH") & frame["debt_asset"].is_in(STABLES))
    return np.bincount(rows["ts"].dt.hour().to_numpy(), rows["debt_amount"].to_numpy(), 24)


def hourly(path: F64) -> F64:
    """(24,) USD repaid in each hour of a simulated day."""
    until = [pool(path[: 6 * hour + 1].copy())[kernel.REPAID] for hour in range(25)]
    return np.diff(until)


def test_simulated_liquidations_come_in_the_hours_in_which_they_came(may_path: F64, may_repaid: F64) -> None:
    simulated = hourly(may_path)
    assert may_repaid.sum() == pytest.approx(69.7e6, rel=0.01)
    assert np.corrcoef(simulated, may_repaid)[0, 1] > 0.7
    crash = slice(10, 15)
    shares = [float(each[crash].sum() / each.sum()) for each in (simulated, may_repaid)]
    assert shares == pytest.approx([0.88, 0.74], abs=0.03)


def test_hours_of_another_day_do_not_fit(may_path: F64, may_repaid: F64) -> None:
    """A control: the same day turned round has no such correlation."""
    turned = may_path[::-1] / may_path[-1]
    assert np.corrcoef(hourly(turned.copy()), may_repaid)[0, 1] < 0.3


def test_the_default_borrowers_are_harsher_than_the_real_ones(may_path: F64) -> None:
    """Two fifths of all borrows are liquidated, almost nothing is left unpaid; with ten minutes of lag more of both."""
    prompt, late = pool(may_path), pool(may_path, latency=1)
    assert prompt[kernel.REPAID] / BORROWS == pytest.approx(0.42, abs=0.03)
    assert prompt[kernel.BAD_DEBT] / BORROWS < 0.002
    assert prompt[kernel.BAD_DEBT] < late[kernel.BAD_DEBT] < 0.01 * BORROWS


def crv_bad_debt(shared: Path, capacity_hourly: float) -> tuple[float, dict[str, Any]]:
    """Millions of CRV left unpaid, and the published figures: 92 M CRV owed against 63.6 M USDC, bonus 4.5 %.

    Everything is counted in CRV: the collateral falls as CRV rises. Four ticks an hour: open, the extremes, close.
    """
    facts = json.loads((shared / "facts" / "empirical_facts.json").read_text())["facts"]
    known = next(each["facts"] for each in facts if each["id"] == "aave-v2-crv-2022-11-22")
    frame = pl.read_parquet(shared / "data" / "prices_intraday" / "binance_spot_1h_2021_2023.parquet")
    start = datetime(2022, 11, 22, 12, tzinfo=UTC)
    frame = frame.filter(frame["asset"] == "CRV").sort("ts")
    hours = frame.filter(frame["ts"] >= start).head(24)
    ticks = [
        price
        for o, high, low, c in hours.select("open", "high", "low", "close").iter_rows()
        for price in ((o, low, high, c) if c >= o else (o, high, low, c))
    ]
    path = ticks[0] / np.array(ticks)
    debt, collateral = float(known["crv_borrowed_m"]), known["usdc_collateral_musd"] / ticks[0]
    volume = float(hours["volume_base"].sum()) / 1e6
    market = (kernel.SQUARE_ROOT, 0.8 * 0.15, volume, 0.84)
    arguments = (known["usdc_lt"], 0.045, 0.5, 0.0, 0, capacity_hourly / 4, 0.0, *market)
    out = kernel.run_paths(path[None], np.array([debt]), np.array([collateral]), *arguments)
    return float(out[0, kernel.BAD_DEBT]), known


def test_many_partial_liquidations_of_the_crv_borrower_leave_the_hole_that_they_left(shared: Path) -> None:
    """Each half of a loan at a bonus of 4.5 % while CRV rises: past LTV 1 / 1.045 each makes it worse."""
    bad_debt, known = crv_bad_debt(shared, capacity_hourly=1e3)
    assert bad_debt == pytest.approx(known["bad_debt_crv_m"], rel=0.1)


def test_slower_keepers_would_have_found_crv_cheap_again(shared: Path) -> None:
    """The hole is made by liquidating into the peak: at 10 M CRV an hour the price is back before the end."""
    assert crv_bad_debt(shared, capacity_hourly=10.0)[0] < 0.001
