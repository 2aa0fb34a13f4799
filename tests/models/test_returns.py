"""Log returns, losses of both sides, and what they are as fractions of the price."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.models.returns import compounded, log_loss, log_returns, losses, price_fraction


def test_returns_are_differences_of_logarithms() -> None:
    assert log_returns(np.array([100.0, 110.0, 99.0])) == pytest.approx([math.log(1.1), math.log(0.9)])


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan])
def test_a_price_that_is_not_above_zero_is_refused(price: float) -> None:
    with pytest.raises(ValueError, match="no price above 0"):
        log_returns(np.array([1.0, price]))


def test_what_one_side_loses_the_other_gains() -> None:
    returns = np.array([0.1, -0.2])
    assert losses(returns, "long").tolist() == [-0.1, 0.2]
    assert losses(returns, "short").tolist() == [0.1, -0.2]


@pytest.mark.parametrize(("side", "fraction"), [("long", 0.0951626), ("short", 0.1051709)])
def test_ten_percent_of_log_loss_as_a_fraction_of_the_price(side: str, fraction: float) -> None:
    assert price_fraction(0.1, side) == pytest.approx(fraction, abs=1e-6)  # type: ignore[arg-type]


@given(st.floats(0.0, 0.99), st.sampled_from(["long", "short"]))
def test_fractions_and_log_losses_are_inverse(fraction: float, side: str) -> None:
    assert price_fraction(log_loss(fraction, side), side) == pytest.approx(fraction, abs=1e-12)  # type: ignore[arg-type]


def test_a_long_that_may_lose_everything_has_an_infinite_log_loss() -> None:
    assert log_loss(1.0, "long") == math.inf


@given(st.integers(1, 5), st.integers(5, 30))
def test_overlapping_sums(bars: int, count: int) -> None:
    returns = np.random.default_rng(count).normal(size=count)
    expected = [returns[i : i + bars].sum() for i in range(count - bars + 1)]
    assert compounded(returns, bars) == pytest.approx(expected)
