"""GARCH: estimates against the published benchmark, filters against arch, and what happens when a fit fails."""

import numpy as np
import pytest

pytest.importorskip("arch", reason="needs the extra `models`")

from tests.models.samples import garch_returns, t_returns

from solvent.conform.series import dem_gbp
from solvent.models.garch import (
    FellBack,
    Garch,
    GarchFilter,
    GarchT,
    Kind,
    arch_fit,
    garch_forecast,
    garch_update,
    long_run_variance,
)

KINDS: list[Kind] = ["garch", "gjr", "egarch"]
FCP = {"mu": -0.00619041, "omega": 0.0107613, "alpha[1]": 0.153134, "beta[1]": 0.805974}
"""Fiorentini, Calzolari and Panattoni (1996): DEM/GBP, GARCH(1,1), normal."""
FCP_ERRORS = [0.00846212, 0.00285271, 0.0265228, 0.0335527]


def test_the_published_benchmark() -> None:
    returns = dem_gbp()
    assert len(returns) == 1974
    first = arch_fit(returns, "garch", "normal")
    found = arch_fit(returns, "garch", "normal", backcast=float(np.mean(first.resid**2)))
    for name, value in FCP.items():
        assert found.params[name] == pytest.approx(value, abs=2e-5)
    assert found.std_err.to_numpy() == pytest.approx(FCP_ERRORS, abs=1e-5)
    assert found.loglikelihood == pytest.approx(-1106.6079, abs=1e-3)


def test_archs_own_presample_variance_misses_it() -> None:
    found = arch_fit(dem_gbp(), "garch", "normal", backcast=None)
    assert abs(found.params["omega"] - FCP["omega"]) > 5e-4


@pytest.mark.parametrize("kind", KINDS)
def test_our_filter_is_archs(kind: Kind) -> None:
    returns = garch_returns(1200)
    result = arch_fit(100.0 * returns, kind, "t")
    filter = Garch(kind, window=1200).estimate(returns)
    assert isinstance(filter, GarchFilter)
    theirs = np.asarray(result.conditional_volatility) / 100.0
    ours = np.sqrt(filter.variances(returns)[:-1])
    # the presample bar is treated a little differently, and forgotten
    assert ours[100:] == pytest.approx(theirs[100:], rel=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_steps_of_paths_are_the_filters_recursion(kind: Kind) -> None:
    returns = garch_returns(900)
    filter = Garch(kind).estimate(returns)
    variances = filter.variances(returns)
    assert filter.step(variances[:-1], returns) == pytest.approx(variances[1:], rel=1e-9)


def test_an_estimate_is_kept_until_it_is_due() -> None:
    returns = garch_returns(800)
    first = Garch().estimate(returns[:700])
    assert Garch().estimate(returns[:729], first) is first
    assert Garch().estimate(returns[:730], first) is not first


def jump(count: int) -> np.ndarray:
    returns = t_returns(count, scale=0.001)
    returns[count // 2] = 3.0
    return returns


@pytest.mark.parametrize(
    ("returns", "reason"),
    [
        (np.zeros(400), "does not move"),
        (np.where(np.arange(400) % 7 == 0, 0.01, 0.0), "stands still"),
        (jump(400), "one return has most"),
    ],
)
def test_what_cannot_be_estimated_falls_back_to_ewma_and_says_so(returns: np.ndarray, reason: str) -> None:
    fitted = GarchT().fit(returns)
    assert isinstance(fitted.filter, FellBack)
    assert fitted.note is not None
    assert reason in fitted.note
    assert "EWMA instead" in fitted.note
    assert 0 < fitted.quantile(0.99) < np.inf


def test_a_fit_that_does_not_converge_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from solvent.models import garch

    class Failed:
        convergence_flag = 4
        params = np.array([1.0])

    monkeypatch.setattr(garch, "arch_fit", lambda *args, **kwargs: Failed())
    fitted = GarchT().fit(garch_returns(600))
    assert fitted.note == "garch-t: the estimate did not converge: EWMA instead"


def test_hulls_update_and_forecast() -> None:
    # Hull: omega 0.000002, alpha 0.13, beta 0.86; 1.6 % a day, then a move of -1 %
    assert garch_update(2e-6, 0.13, 0.86, 0.016, -0.01) == pytest.approx(0.00023516)
    assert long_run_variance(2e-6, 0.13, 0.86) == pytest.approx(0.0002)
    assert garch_forecast(0.9935, 0.0002073, 0.0003, 10) == pytest.approx(0.0002942, abs=1e-7)
    with pytest.raises(ValueError, match="below 1"):
        long_run_variance(1e-6, 0.2, 0.8)
