"""Races: every model on the same days, the benchmark beside each, overlapping horizons tested apart."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from tests.models.test_history import candles

from solvent.errors import SolventError
from solvent.models.backtests.summary import summarise
from solvent.models.history import histories
from solvent.models.race import HISTORICAL, constant_forecasts, figures, race


@pytest.fixture(scope="module")
def series() -> list:
    return histories(pl.concat([candles(), candles(asset="ETH")]), ["BTC", "ETH"], date(2020, 12, 1))


def test_a_row_an_asset_side_and_model(series: list) -> None:
    forecasts = race(series, ["hs-250", "fhs-ewma-97", "hs-250"], 0.99)
    table = figures(forecasts, race(series, ["hs-500"], 0.99))
    assert table.select("asset", "side", "model").n_unique() == len(table) == 8
    assert table["observations"].unique().to_list() == [65]
    assert (table[HISTORICAL] > 0).all()
    assert table["fallbacks"].sum() == 0


def test_the_portfolio_is_run_once_on_equal_shares(series: list) -> None:
    found = race(series, ["t-copula"], 0.99)
    assert found["asset"].unique().to_list() == ["BTC+ETH"]
    moves = np.expm1([each.returns[each.first] for each in series]).mean()
    assert found.filter(side="short")["loss"][0] == pytest.approx(np.log1p(moves))


def test_an_unknown_model_is_named_with_those_there_are(series: list) -> None:
    with pytest.raises(SolventError, match="one of hs-250, hs-500"):
        race(series, ["crystal-ball"], 0.99)


def test_a_constant_charge_is_a_log_loss_of_each_side(series: list) -> None:
    found = constant_forecasts(series, {"BTC": 0.16, "ETH": 0.2}, "portfolio", 0.99)
    margin = {(row["asset"], row["side"]): row["margin"] for row in found.to_dicts()}
    assert margin["BTC", "long"] == pytest.approx(-np.log(0.84))
    assert margin["ETH", "short"] == pytest.approx(np.log(1.2))
    assert found["shortfall"].null_count() == len(found)


def test_overlapping_horizons_report_the_worst_of_interleaved_tests(series: list) -> None:
    bars = 4
    forecasts = race(series[:1], ["hs-250"], 0.9, bars)
    found = figures(forecasts, race(series[:1], ["hs-500"], 0.9, bars), bars).row(0, named=True)
    mine = forecasts.filter(side="long")
    apart = [summarise(mine[i::bars])["kupiec_p"][0] for i in range(bars)]
    assert found["kupiec_p"] == pytest.approx(min(apart))
    assert found["interleaved_tests"] == bars
    assert found["observations"] == len(mine)
