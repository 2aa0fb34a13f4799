"""Black-76 against a 40-digit reference, printed numbers, its own identities, and exact edges."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.errors import SolventError
from solvent.valuation import black76
from solvent.valuation.kernel_black76 import Z_MAX, mills_ratio, normal_density

PRICE_TOLERANCE = 1e-14


def reference(f: float, k: float, t: float, call: bool, vol: float, d: float) -> dict[str, mp.mpf]:
    """The textbook formulas in 40 digits, on the very doubles that the package is given."""
    with mp.workdps(40):
        F, K, T, s, D = (mp.mpf(float(each)) for each in (f, k, t, vol, d))
        side = 1 if call else -1
        w = s * mp.sqrt(T)
        d1 = mp.log(F / K) / w + w / 2
        cdf = lambda z: mp.erfc(-z / mp.sqrt(2)) / 2  # noqa: E731
        density = mp.exp(-d1 * d1 / 2) / mp.sqrt(2 * mp.pi)
        price = D * side * (F * cdf(side * d1) - K * cdf(side * (d1 - w)))
        rate = -mp.log(D) / T
        return {
            "price": price,
            "delta": side * D * cdf(side * d1),
            "gamma": D * density / (F * w),
            "vega": D * F * density * mp.sqrt(T),
            "theta": -D * F * density * s / (2 * mp.sqrt(T)) + rate * price,
        }


def sweep(count: int, seed: int) -> tuple[np.ndarray, ...]:
    """Options deep in to deep out of the money, vol 0.01 % to 1000 %, a third of a second to ten years."""
    rng = np.random.default_rng(seed)
    forward = 10 ** rng.uniform(-4, 6, count)
    distance = rng.choice([0, 1e-13, 1e-8, 1e-4, 0.02, 0.3, 1.0, 2.3], count) * rng.choice([-1, 1], count)
    strike = forward * np.exp(distance * rng.uniform(0.3, 1.0, count))
    years = 10 ** rng.uniform(-8, 1, count)
    vol = 10 ** rng.uniform(-4, 1, count)
    return (
        forward,
        strike,
        years,
        rng.random(count) < 0.5,
        vol,
        np.exp(-rng.uniform(-0.05, 0.2, count) * years),
    )


def test_prices_and_greeks_match_the_40_digit_reference() -> None:
    columns = sweep(1500, seed=1)
    f, _, t, _, vol, d = columns
    prices, greeks = black76.price(*columns), black76.greeks(*columns)
    expected = [reference(*row) for row in zip(*columns, strict=True)]

    def error(found: np.ndarray, name: str) -> np.ndarray:
        return np.array([float(abs(mp.mpf(float(x)) - e[name])) for x, e in zip(found, expected, strict=True)])

    scale = np.maximum(f, prices)
    rate = np.abs(np.log(d) / t)
    assert np.max(error(prices, "price") / scale) <= PRICE_TOLERANCE
    assert np.max(error(greeks.price, "price") / scale) <= PRICE_TOLERANCE
    assert np.max(error(greeks.delta, "delta")) <= 1e-14
    assert np.max(error(greeks.gamma, "gamma") * f * vol * np.sqrt(t) / d) <= 1e-13
    assert np.max(error(greeks.vega, "vega") / (d * f * np.sqrt(t))) <= 1e-13
    assert np.max(error(greeks.theta, "theta") / (d * f * vol / np.sqrt(t) + rate * scale)) <= 1e-13


def test_the_reference_can_see_an_error() -> None:
    """Control: one part in 10^12 on the volatility is far outside the tolerance."""
    row = (100.0, 100.0, 0.25, True, 0.8, 1.0)
    found = black76.price(100.0, 100.0, 0.25, True, 0.8 * (1 + 1e-12))
    assert abs(float(found) - float(reference(*row)["price"])) > PRICE_TOLERANCE * 100


def test_far_out_of_the_money_prices_keep_relative_precision() -> None:
    strikes = 100.0 * np.exp(np.linspace(0.5, 7.0, 30))
    found = black76.price(100.0, strikes, 0.1, True, 0.9)
    expected = [reference(100.0, k, 0.1, True, 0.9, 1.0)["price"] for k in strikes]
    relative = [float(abs(mp.mpf(float(x)) / e - 1)) for x, e in zip(found, expected, strict=True)]
    assert found[-1] < 1e-100
    assert max(relative) < 1e-11


def test_the_special_functions_have_the_stated_accuracy() -> None:
    with mp.workdps(40):
        for z in np.linspace(0.0, Z_MAX, 400).tolist():
            density = mp.exp(-(mp.mpf(z) ** 2) / 2) / mp.sqrt(2 * mp.pi)
            mills = mp.erfc(mp.mpf(z) / mp.sqrt(2)) / 2 / density
            assert abs(normal_density(z) / density - 1) < 1e-13
            assert abs(normal_density(z) - density) < 1e-16
            assert abs(mills_ratio(z) / mills - 1) < 1e-15


def test_published_prices(shared: Path) -> None:
    vectors = json.loads((shared / "vectors/risk/black76.json").read_text())["vectors"]
    assert len(vectors) == 17
    for vector in vectors:
        given_ = vector["inputs"]
        call, discount = given_["type"] == "C", np.exp(-given_["r"] * given_["T"])
        terms = (given_["F"], given_["K"], given_["T"], call)
        assert black76.price(*terms, given_["vol"], discount) == pytest.approx(
            vector["expected"]["price"], abs=vector["abs_tol"]
        )
        # Control: the same check refuses a tenth more volatility.
        wrong = float(black76.price(*terms, given_["vol"] * 1.1, discount))
        assert abs(wrong - vector["expected"]["price"]) > vector["abs_tol"]


@given(
    forward=st.floats(1e-3, 1e6),
    distance=st.floats(-2.0, 2.0),
    years=st.floats(0.0, 30.0),
    vol=st.floats(0.0, 20.0),
    discount=st.floats(0.1, 1.2),
)
def test_put_call_parity_and_bounds(forward: float, distance: float, years: float, vol: float, discount: float) -> None:
    strike = forward * float(np.exp(distance))
    call, put = black76.price(forward, strike, years, [True, False], vol, discount)
    assert call - put == pytest.approx(discount * (forward - strike), abs=PRICE_TOLERANCE * max(forward, strike))
    for value, is_call, most in ((call, True, forward), (put, False, strike)):
        low = discount * float(black76.intrinsic(forward, strike, is_call))
        assert low <= value <= discount * most * (1 + 1e-15)


@given(distance=st.floats(-1.0, 1.0), years=st.floats(0.001, 2.0), vol=st.floats(0.05, 3.0), call=st.booleans())
def test_price_rises_with_volatility_and_is_convex_in_the_strike(
    distance: float, years: float, vol: float, call: bool
) -> None:
    strike = 100.0 * float(np.exp(distance))
    lower, higher = black76.price(100.0, strike, years, call, [vol, vol * 1.01])
    left, middle, right = black76.price(100.0, [strike * 0.99, strike, strike * 1.01], years, call, vol)
    assert higher >= lower - 1e-12
    assert left + right - 2 * middle >= -1e-11


@pytest.mark.parametrize("years", [0.0, -1.0, 1.0])
@pytest.mark.parametrize("call", [True, False])
def test_expiry_and_zero_volatility_are_intrinsic_exactly(years: float, call: bool) -> None:
    vol = 0.0 if years > 0.0 else 0.7
    forward = np.array([80.0, 100.0, 130.7])
    greeks = black76.greeks(forward, 100.0, years, call, vol, 0.9)
    intrinsic = 0.9 * black76.intrinsic(forward, 100.0, call)
    step = np.array([0.0, 0.5, 1.0]) - (0.0 if call else 1.0)
    rate = -np.log(0.9) if years > 0.0 else 0.0
    np.testing.assert_array_equal(greeks.price, intrinsic)
    np.testing.assert_array_equal(black76.price(forward, 100.0, years, call, vol, 0.9), intrinsic)
    np.testing.assert_array_equal(greeks.delta, 0.9 * step)
    np.testing.assert_array_equal(greeks.gamma, 0.0)
    np.testing.assert_allclose(greeks.theta, rate * intrinsic, rtol=1e-15)
    # Vega at the strike has a limit as vol falls to zero; everywhere else, and at expiry, it is zero.
    at_strike = 0.9 * 100.0 / np.sqrt(2 * np.pi) if years > 0.0 else 0.0
    np.testing.assert_allclose(greeks.vega, [0.0, at_strike, 0.0], rtol=1e-15)


def test_extreme_inputs_never_give_nan_and_nan_is_never_hidden() -> None:
    sizes = [1e-300, 1e-8, 1.0, 1e8, 1e300]
    rows = list(itertools.product(sizes, sizes, [0.0, 1e-300, 1e-9, 1.0, 1e3], [True, False], [0.0, 1e-9, 1.0, 1e3]))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    prices = black76.price(*columns)
    assert np.isfinite(prices).all()
    assert (prices >= 0.0).all()
    assert np.isfinite(black76.greeks(*columns).delta).all()
    for position in (0, 1, 2, 4):
        terms: list[object] = [100.0, 100.0, 0.5, True, 0.5]
        terms[position] = np.nan
        assert np.isnan(black76.price(*terms))
        assert np.isnan(black76.greeks(*terms).delta)


def test_grid_equals_single_prices_for_shared_and_own_moves() -> None:
    f, k, t, call, vol, d = sweep(40, seed=2)
    moves = np.linspace(0.1, 6.0, 13)
    vols = vol[:, None] * np.linspace(0.7, 1.5, 13)
    grid = black76.price_grid(f, k, t, call, vols, moves, d)
    own = black76.price_grid(f, k, t, call, vols, np.tile(moves, (40, 1)), d)
    single = black76.price(f[:, None] * moves, k[:, None], t[:, None], call[:, None], vols, d[:, None])
    np.testing.assert_array_equal(grid, own)
    np.testing.assert_allclose(grid, single, rtol=0, atol=PRICE_TOLERANCE * np.max(f) * 6)
    assert np.max(np.abs(grid - single) / np.maximum(single, f[:, None] * moves)) <= PRICE_TOLERANCE


def test_grid_writes_where_it_is_told_and_broadcasts_scalars() -> None:
    out = np.full((2, 3), np.nan)
    found = black76.price_grid([100.0, 90.0], 95.0, 0.2, [True, False], 0.6, [0.0, 1.0, 2.0], out=out)
    assert found is out
    np.testing.assert_array_equal(out[:, 0], [0.0, 95.0])  # the forward at zero: a call is lost, a put pays K
    assert black76.price_grid(100.0, 95.0, 0.2, True, 0.6).shape == (1, 1)


def test_implied_vol_returns_what_priced() -> None:
    f, k, t, call, vol, d = sweep(3000, seed=3)
    prices = black76.price(f, k, t, call, vol, d)
    inside = prices < d * np.where(call, f, k) * (1 - 1e-14)
    columns = [each[inside] for each in (f, k, t, call, d)]
    f, k, t, call, d = columns
    found = black76.implied_vol(prices[inside], f, k, t, call, d)
    again = black76.price(f, k, t, call, found, d)
    assert np.max(np.abs(again - prices[inside]) / np.maximum(f, prices[inside])) <= PRICE_TOLERANCE
    sure = black76.greeks(f, k, t, call, vol[inside], d).vega * vol[inside] > 1e-2 * f
    assert np.count_nonzero(sure) > 400
    np.testing.assert_allclose(found[sure], vol[inside][sure], rtol=1e-11)


def test_implied_vol_of_intrinsic_value_is_zero_and_tiny_prices_solve() -> None:
    assert black76.implied_vol(30.0, 130.0, 100.0, 1.0, True) == 0.0
    tiny = black76.price(100.0, 600.0, 0.01, True, 0.6)
    assert tiny < 1e-150
    assert black76.implied_vol(tiny, 100.0, 600.0, 0.01, True) == pytest.approx(0.6, rel=1e-12)


def test_implied_vol_names_every_impossible_price() -> None:
    with pytest.raises(SolventError) as caught:
        black76.implied_vol([5.0, 29.0, 130.0, np.nan, 7.0], 130.0, 100.0, [1, 1, 1, 1, 0], [False] + [True] * 4)
    rows = [(each.row, each.field) for each in caught.value.problems]
    assert rows == [(2, "price"), (3, "price"), (4, "price"), (5, "years")]
    assert "at least 30 and below 130" in str(caught.value)


def test_the_kernels_mean_the_same_without_compilation() -> None:
    script = (
        "import json; from solvent.valuation import black76 as b;"
        "prices = b.price([90., 100., 130.], 100., [.1, 0., 2.], [True, False, True], .8, .97).tolist();"
        "delta = b.greeks(90., 100., .1, False, .8).delta.tolist();"
        "print(json.dumps([*prices, delta, b.implied_vol(4., 90., 100., .1, True).tolist()]))"
    )
    source = str(Path(black76.__file__).parents[2])
    outputs = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": source, "NUMBA_DISABLE_JIT": flag},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for flag in ("0", "1")
    ]
    compiled, plain = (json.loads(output) for output in outputs)
    assert len(compiled) == 5
    np.testing.assert_allclose(compiled, plain, rtol=1e-13)
