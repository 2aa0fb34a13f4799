"""HAR forecasts: the least squares of the past, refitted, and nothing of the future."""

import numpy as np
import pytest

from solvent.models import har


def problem_of(count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = har.design(rng.normal(size=(count, 4)))
    return X, X @ np.array([1.0, 0.5, -0.2, 0.1, 0.3]) + rng.normal(0.0, 0.1, count)


def test_coefficients_are_those_of_least_squares_on_the_past() -> None:
    X, y = problem_of()
    X[50, 2] = np.nan
    y[60] = np.nan
    found = har.forecasts(X, y, np.array([200, 400]), purge=1)
    assert np.isnan(found[:200]).all()
    for start, stop in ((200, 400), (400, 600)):
        rows = [t for t in range(start - 1) if t not in (50, 60)]
        coefficients = np.linalg.lstsq(X[rows], y[rows], rcond=None)[0]
        np.testing.assert_allclose(found[start:stop], X[start:stop] @ coefficients, rtol=1e-6)


def test_purged_and_later_rows_change_nothing() -> None:
    X, y = problem_of()
    other = y.copy()
    other[399:] = 1e6
    np.testing.assert_array_equal(
        har.forecasts(X, y, np.array([200, 400]), 1), har.forecasts(X, other, np.array([200, 400]), 1)
    )
    other[398] = 1e6
    assert not np.array_equal(har.forecasts(X, other, np.array([400]), 1), har.forecasts(X, y, np.array([400]), 1))


def test_an_hour_that_never_came_breaks_nothing() -> None:
    X = har.design(np.random.default_rng(1).normal(size=(300, 2)), np.arange(300) % 12)
    found = har.forecasts(X, X[:, 1] * 2.0 + 1.0, np.array([100]), 1)
    assert found[150] == pytest.approx(X[150, 1] * 2.0 + 1.0, abs=1e-4)
