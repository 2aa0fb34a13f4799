"""Vega: the protocol's cases; rounding, riskier side, liquidation price, risk factors."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.margin.rules.vega import (
    MarginLevels,
    Params,
    liquidation_price,
    lognormal_risk_factors,
    margin_levels,
    normal_cdf,
    normal_quantile,
    side_requirement,
)

PARAMS = Params(quadratic_slippage=Fraction(1, 1_000), risk_factor_short=Fraction(3, 20))
sizes = st.integers(-1_000, 1_000)
orders = st.integers(0, 1_000)
marks = st.integers(0, 10**9)


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "synthetix_vega", "vega_margin_levels"))


@given(marks, sizes, orders, orders)
def test_levels_are_ordered_and_maintenance_rounds_up(mark: int, size: int, buys: int, sells: int) -> None:
    levels = margin_levels(mark, size, PARAMS, buys, sells)
    assert 0 <= levels.maintenance <= levels.search <= levels.initial <= levels.release
    for is_long, side in ((True, buys), (False, sells)):
        assert levels.maintenance >= side_requirement(mark, size, side, PARAMS, is_long)


@given(marks, sizes, orders, orders, orders)
def test_orders_never_lower_a_level(mark: int, size: int, buys: int, sells: int, more: int) -> None:
    before = margin_levels(mark, size, PARAMS, buys, sells).maintenance
    assert margin_levels(mark, size, PARAMS, buys + more, sells).maintenance >= before


def test_decimals_are_exact() -> None:
    params = Params(linear_slippage=Fraction(1), risk_factor_long=Fraction("0.801"))
    assert margin_levels(10, 200, params).maintenance == 3_602
    assert margin_levels(10, 0, params) == MarginLevels(0, 0, 0, 0)


@given(st.integers(1, 10**6), sizes, st.integers(1, 10**12))
def test_at_the_liquidation_price_collateral_is_the_requirement(mark: int, size: int, collateral: int) -> None:
    assume(size != 0)
    price = liquidation_price(Fraction(collateral), mark, size, PARAMS)
    assume(price is not None)
    assert price is not None
    held = Fraction(collateral) + size * (price - mark)
    slope = abs(size) * (PARAMS.linear_slippage + PARAMS.quadratic_slippage * abs(size))
    factor = PARAMS.risk_factor_long if size > 0 else PARAMS.risk_factor_short
    assert held == price * (slope + abs(size) * factor)


def test_risk_factors_are_expected_shortfalls() -> None:
    tail, years, drift, vol = 0.01, 1 / 365.25, 0.02, 1.2
    long, short = lognormal_risk_factors(tail, years, drift, vol)
    z = np.sort(np.random.default_rng(7).standard_normal(2_000_000))
    prices = np.exp((drift - vol * vol / 2) * years + vol * math.sqrt(years) * z)
    count = int(tail * len(prices))
    assert long == pytest.approx(1 - prices[:count].mean(), rel=5e-3)
    assert short == pytest.approx(prices[-count:].mean() - 1, rel=5e-3)


@given(st.floats(1e-9, 1 - 1e-9))
def test_the_quantile_inverts_the_distribution(p: float) -> None:
    assert normal_cdf(normal_quantile(p)) == pytest.approx(p, rel=1e-9)
