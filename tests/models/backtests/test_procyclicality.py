"""How margins move, by hand, and the factor with which models of different coverage are compared."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.models.backtests.procyclicality import factor_for_coverage, procyclicality


def test_by_hand() -> None:
    found = procyclicality([0.05, 0.30, 0.10, 0.02, 0.0, 0.0], [0.10, 0.10, 0.20, 0.25, 0.20, 0.20])
    assert found.mean_margin == pytest.approx(0.175)
    assert found.peak_to_trough == pytest.approx(2.5)
    assert found.max_one_day_rise == pytest.approx(1.0)
    assert found.max_five_day_rise == pytest.approx(1.0)
    assert math.isnan(found.max_thirty_day_rise)
    assert found.mean_shortfall_beyond == pytest.approx(0.2)
    assert found.worst_breach == pytest.approx(3.0)


def test_a_margin_that_covered_everything_has_no_shortfall() -> None:
    found = procyclicality([0.01, 0.02], [0.1, 0.1])
    assert math.isnan(found.mean_shortfall_beyond)
    assert found.worst_breach == pytest.approx(0.2)


def test_a_margin_that_was_nothing_once_has_no_finite_ratio() -> None:
    assert procyclicality([0.1], [0.0]).peak_to_trough == math.inf


def test_a_jumpy_margin_is_told_from_a_still_one() -> None:
    still, jumpy = np.full(100, 0.1), np.where(np.arange(100) == 50, 0.4, 0.1)
    assert procyclicality(np.zeros(100), still).max_one_day_rise == 0.0
    assert procyclicality(np.zeros(100), jumpy).max_one_day_rise == pytest.approx(3.0)


@given(st.integers(1, 400), st.sampled_from([0.9, 0.95, 0.99]), st.integers(0, 1000))
def test_the_factor_leaves_exactly_the_promised_share_above(size: int, level: float, seed: int) -> None:
    chance = np.random.default_rng(seed)
    losses, margins = chance.standard_normal(size) + 3.0, chance.random(size) + 0.5
    factor = factor_for_coverage(losses, margins, level)
    above = int((losses > factor * margins * (1.0 + 1e-12)).sum())
    assert above == math.floor(round(1.0 - level, 12) * size + 1e-9)


def test_rescaled_models_cost_the_same_whatever_their_scale() -> None:
    chance = np.random.default_rng(2)
    losses, margins = chance.standard_normal(1000), chance.random(1000) + 1.0
    one, other = (factor_for_coverage(losses, k * margins, 0.99) * (k * margins).mean() for k in (1.0, 3.0))
    assert one == pytest.approx(other)
