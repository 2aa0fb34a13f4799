"""The depeg model against what happened: UST, USDC and DAI in March 2023, USDD. No file has prices of FRAX."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.engine.collateral import assess_files, read_facts, read_histories
from solvent.models.collateral.assess import Assessment
from solvent.models.collateral.facts import Facts
from solvent.models.collateral.history import History
from solvent.models.collateral.stablecoins import (
    HAZARD_WEEKLY,
    WARNING_POWER,
    WARNING_SLOPE,
    depeg_probability,
    joint_scenario,
    peg_shortfall,
    stablecoin_haircut,
)

DAY = date(2020, 1, 1)


def coin(kind: str, redemption: str = "open", quality: float | None = 1.0) -> Facts:
    return Facts("stablecoin", DAY, "Test", "a test", DAY, stablecoin=kind, redemption=redemption,
                 reserve_quality=quality, backing=("BACK",))  # fmt: skip


@given(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_larger_gap_is_never_a_smaller_haircut(one: float, other: float, market: float) -> None:
    low, high = sorted((one, other))
    for kind in HAZARD_WEEKLY:
        found = stablecoin_haircut(market, [low, high], coin(kind))
        assert 0 <= found[0] <= found[1] <= 1


def test_kind_redemption_and_reserves_each_count() -> None:
    fiat = float(depeg_probability(0.01, coin("fiat")))
    assert fiat < float(depeg_probability(0.01, coin("crypto"))) < float(depeg_probability(0.01, coin("algorithmic")))
    assert fiat < float(depeg_probability(0.01, coin("fiat", "limited")))
    assert fiat < float(depeg_probability(0.01, coin("fiat", quality=0.5)))
    assert float(depeg_probability(0.01, coin("fiat", quality=None))) == float(
        depeg_probability(0.01, coin("fiat", quality=0.5))
    )
    assert float(depeg_probability(0.01, coin("fiat", "suspended"))) > 3 * fiat


def test_above_the_peg_is_nobodys_loss_and_the_worst_of_three_days_counts() -> None:
    assert peg_shortfall([1.01, 0.95, 1.0, 1.0, 1.0], [1.02, 1.0, 1.0, 1.0, 1.0]) == pytest.approx(
        [0, 0.05, 0.05, 0.05, 0]
    )
    assert peg_shortfall([], []).size == 0


def test_the_joint_scenario_takes_the_backing_along() -> None:
    assert joint_scenario("X", coin("algorithmic")) == {"X": -0.9, "BACK": -0.9}


@pytest.fixture(scope="module")
def coins(shared: Path) -> dict[str, History]:
    daily = shared / "data" / "prices_daily" / "crypto_daily_ohlcv.parquet"
    return read_histories([daily], ["USDC", "USDT", "DAI", "USDP", "USDD", "UST"])[0]


def test_the_warning_is_what_daily_prices_say(coins: dict[str, History]) -> None:
    """Share of days after which a close below 0.97 came within a week, by how far the low was below the peg."""
    short, came = [], []
    for history in coins.values():
        kept = history.before(date(2022, 5, 12)) if history.asset == "UST" else history
        gaps, closes = np.maximum(1 - kept.low, 0), kept.close
        short += gaps[:-7].tolist()
        came += [bool((closes[i + 1 : i + 8] < 0.97).any()) for i in range(len(closes) - 7)]
    gaps, broke = np.array(short), np.array(came)
    for low, high, events in ((0.005, 0.01, 10), (0.02, 0.03, 8), (0.03, 0.05, 8)):
        rows = (gaps > low) & (gaps <= high)
        formula = 1 - np.exp(-HAZARD_WEEKLY["crypto"] - WARNING_SLOPE * gaps[rows] ** WARNING_POWER)
        assert broke[rows].sum() >= events
        assert formula.mean() == pytest.approx(broke[rows].mean(), rel=0.35)
    quiet = gaps <= 0.001
    assert broke[quiet].mean() < 0.002


def on(shared: Path, day: str, *assets: str, own_token: str = "", rules: object = None) -> list[Assessment]:
    daily = shared / "data" / "prices_daily" / "crypto_daily_ohlcv.parquet"
    options = {} if rules is None else {"rules": rules}
    return list(assess_files([daily], assets, date.fromisoformat(day), own_token=own_token, **options).assessments)


def test_ust_is_refused_a_week_before_and_dear_where_it_is_admitted(shared: Path) -> None:
    (before,) = on(shared, "2022-05-01", "UST")
    assert (before.eligible, before.eligibility.rule, before.weight) == (False, "algorithmic", 0.0)
    assert before.haircut >= 0.5
    assert before.scenario == {"UST": -0.9, "LUNA": -0.9}
    assert before.cap.reason.startswith("25% of")
    assert set(before.zero_for) == {"Terraform Labs", "LUNA"}
    targets = [on(shared, f"2022-05-{day:02}", "UST")[0].target for day in (1, 10, 12)]
    assert targets[0] == 0.5
    assert targets[1] > 0.9
    assert targets[2] > 0.95


def test_usdc_in_march_2023_is_raised_at_once_and_falls_slowly(shared: Path) -> None:
    path = {day: on(shared, f"2023-{day}", "USDC")[0] for day in ("03-11", "03-12", "03-14", "06-30")}
    before, breach, after, later = path.values()
    assert all(each.eligible for each in path.values())
    assert before.haircut == pytest.approx(0.02)
    assert breach.haircut > 0.15
    assert breach.multiplier == 1.6
    assert "peg" in breach.signals
    assert "breach" in breach.moved
    assert breach.haircut_existing == pytest.approx(0.02), "existing loans have notice"
    assert breach.haircut_existing < after.haircut_existing <= breach.haircut_existing + 0.1 + 1e-9
    assert 0.02 < later.haircut < breach.haircut
    assert breach.haircut > 1 - 0.9715, "it covers the close of the day that raised it"


def test_dai_falls_with_usdc_and_shares_its_cap(shared: Path) -> None:
    usdc, dai = on(shared, "2023-03-12", "USDC", "DAI")
    assert dai.haircut > on(shared, "2023-03-11", "DAI")[0].haircut
    assert dai.cap.reason == "shares the failure domain USDC with USDC"
    alone = on(shared, "2023-03-12", "USDC")[0].cap.usd
    assert usdc.cap.usd + dai.cap.usd <= alone * (1 + 1e-9)


def test_usdd_warned_in_june_2022(coins: dict[str, History]) -> None:
    """Six weeks old and below its peg for weeks: refused as algorithmic, and the model says why."""
    chance = {}
    for day in (date(2022, 6, 10), date(2022, 6, 20)):
        known = coins["USDD"].before(day)
        chance[day.day] = float(depeg_probability(peg_shortfall(known.low, known.close)[-1], read_facts()["USDD"]))
    assert chance[10] < 0.1
    assert chance[20] > 0.5
