"""A market: exact marks, index prices, forwards, volatilities."""

import numpy as np
import pytest

from solvent.domain.market import Market
from solvent.domain.symbols import instrument
from solvent.domain.universe import Universe

NOW = 1_700_000_000 * 10**9
UNIVERSE = Universe(
    [
        instrument("USDC"),
        instrument("BTC"),
        instrument("BTC/USDC:USDC", 40_000.0),
        instrument("ETH/USDC:USDC", 2_000.0),
        instrument("BTC-29DEC23"),
        instrument("BTC-29DEC23-40000-C"),
        instrument("BTC-29MAR24-40000-C"),
    ]
)


class Flat:
    def vol(self, log_moneyness: np.ndarray, years: np.ndarray) -> np.ndarray:
        return 0.5 + 0.1 * np.abs(log_moneyness)


def market(**fields: object) -> Market:
    prices = np.array([1.0, 40_000.0, 40_010.0, 2_000.0, 40_500.0, 0.05, 0.08])
    return Market(UNIVERSE, NOW, np.rint(prices / UNIVERSE.terms.tick).astype(np.int64), **fields)  # type: ignore[arg-type]


def test_index_is_the_spot_else_the_first_derivative() -> None:
    found = market()
    by_asset = dict(zip(UNIVERSE.assets, found.index_usd, strict=True))
    assert by_asset == pytest.approx({"USDC": 1.0, "BTC": 40_000.0, "ETH": 2_000.0})


def test_the_index_of_a_linear_contract_is_in_usd_not_in_its_settlement_asset() -> None:
    depegged = market().replaced(
        ticks=np.where(np.arange(len(UNIVERSE)) == 0, market().ticks * 24 // 25, market().ticks)
    )
    by_asset = dict(zip(UNIVERSE.assets, depegged.index_usd, strict=True))
    assert by_asset == pytest.approx({"USDC": 0.96, "BTC": 40_000.0, "ETH": 1_920.0})
    assert depegged.index_source.tolist() == [0, 1, 3]


def test_an_option_takes_the_future_of_its_expiry_as_forward() -> None:
    forward = market().forward_usd
    assert forward[5] == pytest.approx(40_500.0)
    assert forward[6] == pytest.approx(40_000.0)
    given = np.full(len(UNIVERSE), np.nan)
    given[6] = 41_000.0
    assert market(forward=given).forward_usd[6] == pytest.approx(41_000.0)


def test_own_volatility_comes_before_the_surface() -> None:
    own = np.full(len(UNIVERSE), np.nan)
    own[5] = 0.7
    vol = market(vol_annual=own, surfaces={"BTC": Flat()}).vol()
    assert vol[5] == 0.7
    assert vol[6] == pytest.approx(0.5)
    assert np.isnan(market().vol()[5])


def test_arrays_cannot_be_changed() -> None:
    found = market()
    with pytest.raises(ValueError, match="read-only"):
        found.price[0] = 2.0
    assert found.years[0] == 0.0
    assert found.years[5] > 0.0
