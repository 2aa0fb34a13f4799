"""No model sees what it forecasts: changing the future changes nothing, and one that cheats finds nothing to see."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.samples import garch_returns, t_returns

from solvent.models.catalogue import ESTIMATED, MODELS, model_of
from solvent.models.copula import TCopula, portfolio_returns
from solvent.models.model import Model, Scenarios
from solvent.models.walk_forward import FORECASTS, known, latest, walk_forward


def times(count: int) -> list[datetime]:
    return [datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=i) for i in range(count)]


def forecasts(returns: np.ndarray, model: Model, first: int, **options: Any) -> pl.DataFrame:
    stated = {"asset": "BTC", "name": "any", **options}
    return walk_forward(returns, times(len(returns)), model, first=first, **stated)


class Peeking:
    """A model that looks for the future behind its prefix, and would know tomorrow's return."""

    least, memory = 250, 0

    def __init__(self, leak: np.ndarray | None = None) -> None:
        self.leak = leak

    def fit(self, returns: np.ndarray, previous: Any = None) -> Scenarios:
        memory = self.leak
        behind = returns.base
        while memory is None and behind is not None:
            memory, behind = behind, behind.base
        whole = returns if memory is None else memory
        tomorrow = whole[len(returns)] if len(whole) > len(returns) else 0.0
        return Scenarios(np.array([tomorrow, -tomorrow]))


def test_a_model_gets_a_read_only_copy_with_nothing_behind_it() -> None:
    returns = t_returns(300)
    past = known(returns, 260)
    assert past.base is None
    assert not np.shares_memory(past, returns)
    with pytest.raises(ValueError, match="read-only"):
        past[0] = 1.0


def test_a_cheating_model_finds_nothing() -> None:
    returns = t_returns(400)
    assert (forecasts(returns, Peeking(), 300)["margin"] <= 1e-6).all()


def test_the_control_cheats_where_it_is_given_the_future() -> None:
    returns = t_returns(400)
    found = forecasts(returns, Peeking(leak=returns), 300)
    assert (found["margin"] - found["loss"].abs()).abs().max() < 1e-9  # type: ignore[operator]


@pytest.mark.parametrize("name", MODELS)
def test_changing_the_future_changes_no_forecast_before_it(name: str) -> None:
    if name in ESTIMATED:
        pytest.importorskip("arch", reason="needs the extra `models`")
    returns = garch_returns(420)
    changed = returns.copy()
    changed[400:] *= -7.0
    one, other = (forecasts(each, model_of(name), 360) for each in (returns, changed))
    upto = pl.col("ts") <= times(421)[400]
    columns = ["ts", "side", "margin", "shortfall", "note"]
    assert one.filter(upto).select(columns).equals(other.filter(upto).select(columns))
    assert not one.select("margin").equals(other.select("margin"))


@settings(max_examples=15)
@given(st.integers(0, 1000), st.sampled_from([name for name in MODELS if name not in ESTIMATED]))
def test_a_forecast_is_the_fit_to_its_own_prefix(seed: int, name: str) -> None:
    returns = t_returns(320, seed)
    found = forecasts(returns, model_of(name), 300).filter(side="short")
    for place in (300, 319):
        fresh = model_of(name).fit(returns[:place])
        assert found["margin"][place - 300] == fresh.quantile(0.99, "short")
        assert found["shortfall"][place - 300] == fresh.shortfall(0.99, "short")


def test_losses_are_those_of_the_day_that_is_forecast() -> None:
    returns = t_returns(300)
    found = forecasts(returns, model_of("hs-250"), 290)
    assert found.filter(side="long")["loss"].to_list() == (-returns[290:]).tolist()
    assert found.filter(side="short")["loss"].to_list() == returns[290:].tolist()
    assert found["ts"][0] == times(300)[290]
    assert dict(found.schema) == dict(FORECASTS)


def test_over_several_bars_losses_are_sums_and_the_last_ones_are_left_out() -> None:
    returns = t_returns(300)
    found = forecasts(returns, model_of("hs-250", bars=5), 290, bars=5).filter(side="long")
    assert len(found) == 6
    assert found["loss"][0] == pytest.approx(-returns[290:295].sum())


def test_a_model_with_a_memory_runs_before_it_is_judged() -> None:
    pytest.importorskip("arch", reason="needs the extra `models`")
    returns = garch_returns(500)
    warm = forecasts(returns, model_of("stack"), 480)
    early = forecasts(returns, model_of("stack"), 250).filter(pl.col("ts") >= times(500)[480])
    assert warm["margin"].to_list() == early["margin"].to_list()


@pytest.mark.parametrize("name", ["hs-500", "stack"])
def test_the_latest_fit_is_the_next_forecast(name: str) -> None:
    if name in ESTIMATED:
        pytest.importorskip("arch", reason="needs the extra `models`")
    returns = garch_returns(400)
    found = forecasts(returns, model_of(name), 399).filter(side="long")
    assert latest(returns[:399], model_of(name)).quantile(0.99) == found["margin"][0]
    with pytest.raises(ValueError, match="at least 250"):
        latest(returns[:200], model_of(name))


def test_too_short_a_past_is_refused() -> None:
    with pytest.raises(ValueError, match="BTC: 249 returns before the first forecast"):
        forecasts(t_returns(300), model_of("hs-500"), 249)


def test_a_portfolio_is_forecast_from_its_assets() -> None:
    returns = np.column_stack([t_returns(320, 1), t_returns(320, 2)])
    model = TCopula((0.5, 0.5), draws=2000)
    outcome = portfolio_returns(returns, (0.5, 0.5))
    found = forecasts(returns, model, 310, outcomes=outcome)
    assert found.filter(side="short")["loss"].to_list() == outcome[310:].tolist()
    assert (found["margin"] > 0).all()
