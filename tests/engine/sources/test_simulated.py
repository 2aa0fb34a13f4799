"""The simulated market: seeded, correlated, it crashes and recovers, venues err, our trades move it."""

import itertools

import msgspec
import numpy as np
import pytest

from solvent.engine.sources.simulated import Simulated, SimulationParams
from solvent.engine.sources.tick import Tick

CALM = SimulationParams(crash_first_tick=10**9, stale_share=0.0, outlier_share=0.0, venue_noise=0.0)


def path(source: Simulated, name: str = "BTC") -> np.ndarray:
    return np.array([np.median([p.price for p in tick.prices if p.name == name]) for tick in source])


def test_the_same_seed_gives_the_same_market_and_another_another() -> None:
    first = list(Simulated(ticks=120, seed=3))
    assert first == list(Simulated(ticks=120, seed=3))
    assert first != list(Simulated(ticks=120, seed=4))


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    assert list(itertools.islice(Simulated(seed=3), 50)) == list(Simulated(ticks=50, seed=3))


def test_it_crashes_early_and_recovers_a_part() -> None:
    btc = path(Simulated(ticks=200))
    assert btc[19] == pytest.approx(btc[0], rel=0.1)
    assert btc[25:60].min() < 0.65 * btc[19]
    assert btc[100] > 1.08 * btc[55:65].min()


def test_the_crash_has_a_gap_in_its_middle() -> None:
    btc = path(Simulated(ticks=80))
    falls = btc[1:] / btc[:-1] - 1
    assert falls.argmin() == 39
    assert falls[39] < -0.15
    assert np.delete(falls, 39).min() > -0.05


def test_it_goes_on_where_another_market_ended() -> None:
    ended = list(Simulated(ticks=30, seed=3))[-1]
    source = Simulated(seed=4, first_tick=Simulated().tick_at(ended.ts_ns), prices={"BTC": 50_000.0}, ticks=30)
    onward = list(source)
    assert onward[0].ts_ns == ended.ts_ns + 300 * 10**9
    assert onward[0].prices[0].price == pytest.approx(50_000.0, rel=0.02)
    assert len(onward) == 30
    assert path(source)[-1] < 0.75 * 50_000.0  # the crash that began before goes on
    assert Simulated().tick_at(0) == 0


def test_volatility_volume_and_funding_go_with_the_crash() -> None:
    ticks = list(Simulated(ticks=500))
    assert ticks[59].vol_annual["BTC"] > 1.5 * ticks[15].vol_annual["BTC"]
    assert ticks[55].volume_usd_daily["BTC"] > 2 * ticks[15].volume_usd_daily["BTC"]
    paid = [k for k, tick in enumerate(ticks) if tick.funding_rate]
    assert paid == [0, 96, 192, 288, 384, 480]  # every eight hours, at five minutes a tick


def test_returns_are_correlated_and_of_the_stated_size() -> None:
    source = Simulated(("BTC", "ETH"), ticks=4000, params=msgspec.structs.replace(CALM, jumps_daily=0.0))
    quotes = np.array([[t.prices[0].price, t.prices[3].price] for t in source])
    returns = np.diff(np.log(quotes), axis=0)
    assert np.corrcoef(returns.T)[0, 1] == pytest.approx(0.8, abs=0.1)
    annual = returns.std(axis=0) * np.sqrt(365 * 24 * 12)
    assert annual == pytest.approx([0.55, 0.70], rel=0.4)


def _rejectable(ticks: list[Tick]) -> tuple[int, int]:
    """How many source prices stand still, and how many are far from the median."""
    stale = sum(p.age_s > 0 for t in ticks for p in t.prices)
    far = 0
    for tick in ticks:
        median = np.median([p.price for p in tick.prices if p.name == "BTC"])
        far += sum(abs(p.price / median - 1) > 0.05 for p in tick.prices if p.name == "BTC" and p.age_s == 0)
    return stale, far


def test_venues_stand_still_and_misprint_now_and_then() -> None:
    stale, far = _rejectable(list(Simulated(ticks=1500)))
    assert stale > 100
    assert 1 <= far < 50
    assert _rejectable(list(Simulated(ticks=300, params=CALM))) == (0, 0)


def test_selling_moves_the_price_down_for_a_while_and_other_assets_stay() -> None:
    def run(sold_usd: float) -> tuple[np.ndarray, np.ndarray]:
        source = Simulated(("BTC", "ETH"), params=CALM)
        quotes = []
        for k, tick in enumerate(itertools.islice(source, 120)):
            quotes.append((tick.prices[0].price, tick.prices[3].price))
            source.after([("BTC", sold_usd), ("DOGE", 1e9)] if k == 10 else [])
        return tuple(np.array(quotes).T)  # type: ignore[return-value]

    calm, other = run(0.0)
    for sold_usd, sign in ((2e8, -1), (-2e8, 1)):
        moved, unmoved = run(sold_usd)
        shift = sign * (moved / calm - 1)
        assert (shift[:11] == 0).all()
        assert shift[11] > 0.001
        assert 0 < shift[31] < 0.01 * shift[11]
        assert (unmoved == other).all()
