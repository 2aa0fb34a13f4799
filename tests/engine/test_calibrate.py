"""Policies from prices: processes agree, claims look through, what the base states is kept."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from tests.cli.calibrated import written
from tests.models.samples import garch_returns

from solvent.domain.policy import Policy
from solvent.engine.calibrate import Wanted, _looked_through, calibrate, forecast_paths, read_data
from solvent.engine.collateral import read_facts
from solvent.engine.files import policy_text
from solvent.errors import SolventError
from solvent.models.calibration import Move, Series

pytest.importorskip("arch", reason="needs the extra `models`")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("data") / "prices.csv")


def test_processes_find_what_one_finds() -> None:
    names = ("A", "B", "C", "D")
    days = np.datetime64("2022-01-01") + np.arange(350)
    series = {name: Series(name, days, garch_returns(350, i), name > "B") for i, name in enumerate(names)}
    horizons = dict.fromkeys(names, 1)
    alone = forecast_paths(series, 0.99, horizons, workers=1)
    together = forecast_paths(series, 0.99, horizons, workers=2)
    for name in names:
        np.testing.assert_array_equal(alone[name].margin, together[name].margin)
        np.testing.assert_array_equal(alone[name].long_run, together[name].long_run)


def test_a_claim_moves_as_far_as_what_it_redeems_into() -> None:
    def move(fraction: float) -> Move:
        return Move(fraction, (0.0, 0.0), (0.0, 0.0), (0.0, 0.0), "own")

    found = _looked_through({"BTC": move(0.2), "WBTC": move(0.1), "ETH": move(0.3)}, read_facts())
    assert found["WBTC"].fraction == 0.2
    assert "BTC" in found["WBTC"].reason
    assert found["ETH"] == move(0.3)
    assert _looked_through({"WBTC": move(0.1)}, read_facts())["WBTC"].reason == "own"


def test_the_base_keeps_what_is_not_calibrated(data: Path, tmp_path: Path) -> None:
    base = tmp_path / "base.toml"
    text = policy_text("portfolio").replace(
        "scan_range_default = 0.25", "scan_range_default = 0.25\nmargin_scale = 2.0"
    )
    base.write_text(text.replace('name = "portfolio"', 'name = "house"'))
    found = calibrate(Wanted((data,), ("BTC",), base=str(base)))
    margin, old = found.policy.margin, Policy.from_toml(text).margin
    assert found.policy.name == "house-calibrated"
    assert margin["scan_range"]["ETH"] == pytest.approx(0.32), "twice its own: the scale is in the ranges now"
    assert margin["scan_range"]["BTC"] == found.moves["BTC"].fraction
    assert (margin["margin_scale"], margin["scan_range_default"]) == (1.0, 0.5)
    assert margin["collateral"]["SOL"] == old["collateral"]["SOL"]
    assert margin["collateral"]["BTC"]["cap_usd"] == 1e10
    assert margin["groups"] == [], "ETH alone offsets nothing"
    assert found.policy.liquidation == {"penalty_rate": 0.005}


def test_no_day_after_the_last_is_read(data: Path) -> None:
    until = date(2024, 2, 1)
    found = read_data(Wanted((data,), ("BTC",), until=until))
    assert found.series["BTC"].days[-1].item() == until
    assert found.day == date(2024, 2, 2)


def test_prices_that_end_early_are_stale(data: Path) -> None:
    found = read_data(Wanted((data,), ("BTC",), until=date(2024, 5, 19)))
    assert found.failed == ()
    found = read_data(Wanted((data,), ("BTC",), until=date(2024, 5, 20)))
    assert [(each.criterion, each.value) for each in found.failed] == [("data", "last price 2024-05-12")]


def test_over_a_missing_day_there_is_no_return(data: Path, tmp_path: Path) -> None:
    holed = tmp_path / "holed.csv"
    holed.write_text("".join(line for line in data.open() if not line.startswith("2023-07-01,BTC")))
    whole, found = (read_data(Wanted((path,), ("BTC",))).series["BTC"] for path in (data, holed))
    assert len(found.returns) == len(whole.returns) - 2
    assert np.datetime64("2023-07-02") not in found.days


def test_another_rule_cannot_be_calibrated(data: Path) -> None:
    with pytest.raises(SolventError, match="the rule that is calibrated"):
        calibrate(Wanted((data,), ("BTC",), base="aave-v3"))
