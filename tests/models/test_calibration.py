"""Price moves of a policy: what they are made of, that they see no future, and how they are held."""

import numpy as np
import pytest
from tests.models.samples import garch_returns

from solvent.models import calibration
from solvent.models.calibration import HELD_DAYS, Path, Series, forecast_path, move_at
from solvent.models.model import lower_tail
from solvent.models.stack import Stack
from solvent.models.walk_forward import latest

DAYS = 420
TESTED = 100


def series(returns: np.ndarray, pegged: bool = False) -> Series:
    return Series("BTC", np.datetime64("2022-01-01") + np.arange(len(returns)), returns, pegged)


def flat(margin: tuple[float, float], factor: float, long_run: tuple[float, float], count: int = 1) -> Path:
    rows = [np.repeat(np.array([pair]).T, count, axis=1) for pair in (margin, margin, (factor, factor), long_run)]
    return Path("BTC", 1, 0, *rows, notes=(None,) * count)


@pytest.fixture(scope="module")
def walked() -> tuple[Series, Path]:
    """Two days ahead, the last 100 of 420 days."""
    pytest.importorskip("arch", reason="needs the extra `models`")
    held = series(garch_returns(DAYS))
    return held, forecast_path(held, 0.99, 2, TESTED)


def test_the_last_forecast_is_the_one_after_the_data(walked: tuple[Series, Path]) -> None:
    held, path = walked
    fitted = latest(held.returns, Stack(0.99, 1))
    assert path.margin.shape == (2, TESTED + 1)
    assert path.margin[:, -1].tolist() == [fitted.quantile(0.99, "long"), fitted.quantile(0.99, "short")]


def test_forecasts_see_no_future(walked: tuple[Series, Path]) -> None:
    held, path = walked
    changed = held.returns.copy()
    changed[-40:] *= 5.0
    other = forecast_path(held._replace(returns=changed), 0.99, 2, TESTED)
    for mine, theirs in zip(path[3:7], other[3:7], strict=True):
        np.testing.assert_array_equal(mine[:, : TESTED - 39], theirs[:, : TESTED - 39])
    assert not np.array_equal(path.margin, other.margin), "the control: the last days do count later"


def test_two_days_cost_more_than_one(walked: tuple[Series, Path]) -> None:
    _, path = walked
    assert (path.factor > 1.0).all()
    assert (path.factor < 2.0).all(), "independent days are below twice"
    assert len(np.unique(path.factor[0])) == -(-TESTED // HELD_DAYS) + 1, "made anew at calibrations only"


def test_all_the_past_is_an_order_statistic() -> None:
    returns = np.random.default_rng(3).normal(0.0, 0.02, 1000)
    assert calibration.past_quantile(returns, 0.99, "long", 1) == -lower_tail(returns, 0.99)[0]
    assert calibration.past_quantile(returns, 0.99, "short", 1) == -lower_tail(-returns, 0.99)[0]


def test_a_move_is_the_larger_of_model_and_past_on_its_larger_side() -> None:
    move = move_at(flat((0.10, 0.05), 2.0, (0.15, 0.12)), -1)
    assert move.sides == pytest.approx((1.0 - np.exp(-0.20), np.exp(0.12) - 1.0))
    assert move.fraction == 0.1813  # 1 - exp(-0.2) = 0.18127, up
    assert move.reason == "long: the stack"
    assert move_at(flat((0.01, 0.01), 1.0, (0.10, 0.10)), -1).reason == "short: all the past"


def test_a_move_stays_within_what_the_rule_takes() -> None:
    assert move_at(flat((1.0, 1.0), 1.0, (0.0, 0.0)), -1).fraction == 0.9
    assert "capped" in move_at(flat((1.0, 1.0), 1.0, (0.0, 0.0)), -1).reason
    assert move_at(flat((0.001, 0.001), 1.0, (0.0, 0.0)), -1, least=0.02).fraction == 0.02


def test_rates_are_rounded_to_the_stated_side() -> None:
    assert calibration.rounded_up(0.12341) == 0.1235
    assert calibration.rounded_up(0.1234) == 0.1234
    assert calibration.rounded_down(0.12349) == 0.1234


def test_a_policy_holds_until_the_next_calibration() -> None:
    returns = np.full(100, -0.01)
    path = flat((0.1, 0.1), 1.0, (0.0, 0.0), 101)
    path.margin[:, HELD_DAYS:] = 0.2
    found = calibration.held_forecasts(series(returns), path, 0.99)
    assert found["model"].unique().to_list() == [calibration.HELD]
    long = found.filter(found["side"] == "long")["margin"].to_numpy()
    before, after = (-np.log(1.0 - calibration.rounded_up(np.expm1(each))) for each in (0.1, 0.2))
    assert long[:HELD_DAYS] == pytest.approx(before)
    assert long[HELD_DAYS:] == pytest.approx(after)
    assert found["loss"].head(100).to_numpy() == pytest.approx(0.01)


def test_losses_are_over_the_horizon() -> None:
    returns = np.arange(50) / 1000.0
    path = flat((0.1, 0.1), 1.0, (0.0, 0.0), 51)._replace(horizon_days=3)
    found = calibration.held_forecasts(series(returns), path, 0.99)
    short = found.filter(found["side"] == "short")
    assert len(short) == 48
    assert short["loss"][0] == pytest.approx(0.003)
    assert str(short["ts"][0]) == "2022-01-01 00:00:00+00:00"


def test_a_peg_has_no_model() -> None:
    peg = series(np.random.default_rng(1).normal(0.0, 0.001, 400), pegged=True)
    path = forecast_path(peg, 0.99, 1, 100)
    assert not path.margin.any()
    assert (path.long_run > 0.0).all()
    assert len(calibration.daily_forecasts(peg, path, 0.99)) == 0
    assert len(calibration.held_forecasts(peg, path, 0.99, 0.02)) == 200


def test_too_few_days_are_refused() -> None:
    with pytest.raises(ValueError, match="250 are needed"):
        forecast_path(series(garch_returns(300)), 0.99, 1, 100)
