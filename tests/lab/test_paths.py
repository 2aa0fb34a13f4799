"""Stressed paths: real bars, more of the wild ones, no invented closes, the same for the same seed."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from solvent.errors import SolventError
from solvent.lab.paths import STEP_S, Bars, bars, loss_quantile, stressed_paths


def history(n: int = 2_000, step_s: int = 3_600, seed: int = 1) -> Bars:
    chance = np.random.default_rng(seed)
    scale = np.where(np.arange(n) % 500 < 50, 0.03, 0.003)  # a tenth of it is wild
    return Bars(scale * chance.standard_normal(n), scale, np.full(n, 1e7), step_s)


def test_the_same_seed_gives_the_same_days() -> None:
    one, other = stressed_paths(history(), 50, 3), stressed_paths(history(), 50, 3)
    assert (one == other).all()
    assert (one != stressed_paths(history(), 50, 4)).any()


@pytest.mark.parametrize(("step_s", "steps"), [(86_400, 144), (3_600, 144), (600, 144), (300, 288)])
def test_a_day_is_a_day_in_steps_of_at_most_ten_minutes(step_s: int, steps: int) -> None:
    paths = stressed_paths(history(step_s=step_s), 20, 1)
    assert paths.shape == (20, steps + 1)
    assert (paths[:, 0] == 1).all()
    assert (paths > 0).all()
    assert 86_400 / steps <= STEP_S


def test_closes_of_bars_are_the_histories_own() -> None:
    """Filling in changes nothing at the ends of bars; runs of six are consecutive bars of the history."""
    past = history()
    paths = stressed_paths(past, 30, 1)
    moves = np.diff(np.log(paths[:, ::6]), axis=1)
    known = {round(float(each), 9) for each in past.move}
    assert {round(float(each), 9) for each in moves.ravel()} <= known
    place = {round(float(each), 9): i for i, each in enumerate(past.move)}
    run = [place[round(float(each), 9)] for each in moves[0, :6]]
    assert run == list(range(run[0], run[0] + 6))


def test_wild_hours_come_more_often_than_in_the_history_and_a_multiple_scales_them() -> None:
    past = history()
    moves = np.diff(np.log(stressed_paths(past, 2_000, 1)[:, ::6]), axis=1)
    assert np.mean(moves**2) > 2 * np.mean(past.move**2)
    doubled = np.diff(np.log(stressed_paths(past, 2_000, 1, 2.0)[:, ::6]), axis=1)
    assert doubled == pytest.approx(2 * moves, abs=1e-12)


def test_loss_quantile_of_known_paths() -> None:
    paths = np.array([[1.0, 0.9, 0.81], [1.0, 1.1, 1.21]])
    assert loss_quantile(paths, 1, 1.0) == pytest.approx(0.1)
    assert loss_quantile(paths, 2, 1.0) == pytest.approx(0.19)
    assert loss_quantile(paths, 1, 0.0) == 0.0


def candles(n: int, step: timedelta, gap_at: int = -1) -> pl.DataFrame:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    times = [start + i * step + (timedelta(days=9) if 0 <= gap_at <= i else timedelta()) for i in range(n)]
    close = [100.0 * 1.01**i for i in range(n)]
    columns = {"ts": times, "asset": ["ETH"] * n, "close": close, "volume_usd": [5.0] * n}
    frame = pl.DataFrame(columns, schema_overrides={"ts": pl.Datetime("ns", "UTC")})
    return frame.with_columns(high=pl.col("close") * 1.02, low=pl.col("close"))


def test_bars_of_candles() -> None:
    found = bars(candles(100, timedelta(hours=1)), "eth")
    assert found.step_s == 3_600
    assert found.move == pytest.approx(np.full(99, np.log(1.01)))
    assert found.sigma == pytest.approx(np.full(99, np.log(1.02) / (2 * np.sqrt(np.log(2)))))
    assert found.volume_usd_daily == pytest.approx(120)
    assert found.sigma_daily == pytest.approx(np.log(1.01) * np.sqrt(24))


def test_a_move_across_a_gap_is_left_out_and_short_histories_are_refused() -> None:
    assert len(bars(candles(100, timedelta(hours=1), gap_at=50), "ETH").move) == 98
    with pytest.raises(SolventError, match="at least 60"):
        bars(candles(20, timedelta(hours=1)), "ETH")
    with pytest.raises(SolventError, match="at most a day"):
        bars(candles(100, timedelta(days=7)), "ETH")
