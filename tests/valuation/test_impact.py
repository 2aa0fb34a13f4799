"""Impact and concentration: worked numbers, limits, convexity, exact form, and the walk down a book."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.valuation.impact import (
    IMPACT_MAX,
    book_walk,
    impact_cost_usd,
    impact_fraction,
    participation_cost_up,
    participation_cost_usd,
)


def test_square_root_law_by_hand() -> None:
    # 0.8 x 4 % x sqrt(1 % of the volume) = 0.32 %
    assert impact_fraction(1e6, 1e8, 0.04) == pytest.approx(0.0032)
    assert impact_cost_usd(-1e6, 1e8, 0.04) == pytest.approx(3_200.0)
    # Four times the size costs twice as much a coin, eight times in all.
    assert impact_cost_usd(4e6, 1e8, 0.04) == pytest.approx(8 * 3_200.0)


def test_impact_without_volume_is_the_cap_and_of_nothing_is_nothing() -> None:
    np.testing.assert_array_equal(impact_fraction([0.0, 1.0, 1e12], [0.0, 0.0, 1.0], 0.04), [0, IMPACT_MAX, IMPACT_MAX])
    assert impact_fraction(1e12, 1.0, 0.04, most=0.2) == 0.2
    assert np.isnan(impact_fraction(1.0, np.nan, 0.04))


@pytest.mark.parametrize(
    ("share", "multiple"),
    [(0.0, 0.0), (0.1, 0.0), (0.2, 0.05), (0.3, 0.1), (0.65, 0.45), (1.0, 0.8), (1.5, 1.8)],
)
def test_concentration_by_hand(share: float, multiple: float) -> None:
    volume, price_range = 1e8, 0.16
    expected = price_range * multiple * volume
    assert participation_cost_usd(share * volume, volume, price_range) == pytest.approx(expected, abs=1e-6)
    exact = participation_cost_up(round(share * 10**8) * 10**6, 10**8 * 10**6, 160_000_000)
    assert exact == round(expected * 10**6)


def test_concentration_in_an_unknown_volume_is_nothing_and_in_none_the_last_rate() -> None:
    np.testing.assert_allclose(participation_cost_usd(100.0, [np.nan, 0.0], 0.25), [0.0, 50.0])
    assert participation_cost_up(100, 0, 250_000_000) == 50


@given(
    size=st.integers(0, 10**18),
    volume=st.integers(0, 10**17),
    price_range=st.integers(0, 10**9),
    more=st.integers(0, 10**18),
)
def test_concentration_exact_form_rounds_up_rises_and_is_convex(
    size: int, volume: int, price_range: int, more: int
) -> None:
    lower, by_hand = Fraction(0), Fraction(0)
    for upper, rate in (("1/10", "0"), ("3/10", "1/2"), ("1", "1"), ("inf", "2")):
        edge = Fraction(size) if upper == "inf" else Fraction(upper) * volume
        by_hand += max(min(Fraction(size), edge) - lower, Fraction(0)) * Fraction(rate)
        lower = edge if upper == "inf" else max(edge, lower)
    by_hand *= Fraction(price_range, 10**9)
    found = participation_cost_up(size, volume, price_range)
    assert 0 <= found - by_hand < 1
    assert participation_cost_usd(size, volume, price_range / 1e9) == pytest.approx(float(by_hand), rel=1e-9, abs=1)
    other = participation_cost_up(more, volume, price_range)
    assert participation_cost_up(size + more, volume, price_range) >= found + other - 1


def test_book_walk_by_hand() -> None:
    prices, sizes = [99.0, 98.0, 95.0], [2.0, 4.0, 10.0]
    found = book_walk([1.0, 2.0, 5.0, 100.0, -1.0], 100.0, prices, sizes, depth_haircut=0.0)
    np.testing.assert_allclose(found.cost_usd, [1.0, 2.0, 8.0, 60.0, 1.0])
    np.testing.assert_allclose(found.filled, [1.0, 2.0, 5.0, 16.0, 1.0])
    # Half of the depth gone: the same quantity reaches deeper.
    np.testing.assert_allclose(book_walk(5.0, 100.0, prices, sizes).cost_usd, 1 * 1 + 2 * 2 + 2 * 5)
    assert book_walk(1.0, 100.0, [], []).filled == 0.0


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.1, 10.0)), min_size=1, max_size=6))
def test_book_walk_equals_filling_level_by_level(steps: list[tuple[float, float]]) -> None:
    distances = list(itertools.accumulate(step for step, _ in steps))
    sizes = [size for _, size in steps]
    quantity = sum(sizes) * 0.7
    left, cost = quantity, 0.0
    for distance, size in zip(distances, sizes, strict=True):
        taken = min(left, size)
        cost += taken * distance
        left -= taken
    found = book_walk(quantity, 100.0, [100.0 + d for d in distances], sizes, depth_haircut=0.0)
    assert found.cost_usd == pytest.approx(cost, rel=1e-9, abs=1e-9)
    assert found.filled == pytest.approx(quantity)
