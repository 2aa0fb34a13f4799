"""The watch: a prediction that gets worse is put aside, comes back after 20 days, and noise alone moves nothing."""

import numpy as np

from solvent.models.drift import HYSTERESIS_HOURS, WINDOW_HOURS, trusted

HOURS = 12_000


def scores(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pinball-like losses of two models of the same hours, the first 7 % better."""
    noise = np.random.default_rng(seed).exponential(1.0, HOURS)
    return 0.93 * noise, noise


def test_a_better_prediction_stays_in_use() -> None:
    assert trusted(*scores(0)).all()


def test_a_prediction_that_goes_bad_is_put_aside_and_comes_back() -> None:
    challenger, champion = scores(1)
    bad = slice(4_000, 6_000)
    challenger[bad] = 1.15 * champion[bad]
    used = trusted(challenger, champion)
    assert used[:4_000].all()
    aside = np.flatnonzero(~used)
    assert 4_000 < aside[0] < 4_000 + WINDOW_HOURS + HYSTERESIS_HOURS
    assert aside[-1] < 6_000 + WINDOW_HOURS + HYSTERESIS_HOURS
    assert used[-1]


def test_a_sudden_failure_acts_at_once() -> None:
    challenger, champion = scores(2)
    challenger[5_000:5_040] += 3.0
    used = trusted(challenger, champion)
    assert used[:5_000].all()
    assert not used[5_041 : 5_041 + HYSTERESIS_HOURS - 1].any()


def test_the_hour_itself_decides_nothing_about_itself() -> None:
    challenger, champion = scores(3)
    challenger[7_000] = 1e6
    used = trusted(challenger, champion)
    assert used[7_000]
    assert not used[7_001]


def test_missing_scores_are_no_evidence() -> None:
    challenger, champion = scores(4)
    challenger[3_000:5_000] = champion[3_000:5_000] = np.nan
    assert trusted(challenger, champion).all()
