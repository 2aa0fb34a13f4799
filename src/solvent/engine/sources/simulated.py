"""A market of our own: correlated jump-diffusions with stochastic volatility, crashes, and venues that err.

Randomness is a function of (seed, tick, stream), so the same seed gives the same market on every machine. Each
asset's log price follows a common factor and its own noise; variance reverts to its mean (the square-root process
of S. Heston, 1993) and jumps come at random (R. Merton, 1976). In a crash all assets fall together, variance
soars and volume follows; afterwards a part is recovered. Three venues quote each asset with a little noise; now
and then one stands still or is far off, so that the guards have something to reject.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.engine.sources.tick import SourcePrice, Tick
from solvent.valuation.impact import impact_fraction

Floats = NDArray[np.float64]

START_NS = 1_704_067_200 * 10**9
"""2024-01-01 00:00 UTC."""
DAYS_A_YEAR = 365.0
FUNDING_NS = 8 * 3_600 * 10**9
FACTOR, OWN, JUMP, VENUE, STALE, CRASH = range(6)
"""Streams of random numbers."""


class Coin(NamedTuple):
    """What an asset is like: price in USD, volatility a year, traded USD a day."""

    price: float
    vol_annual: float
    volume_usd_daily: float


COINS = {
    "BTC": Coin(60_000.0, 0.55, 15e9),
    "ETH": Coin(3_000.0, 0.70, 8e9),
    "SOL": Coin(150.0, 0.95, 2e9),
    "XRP": Coin(0.6, 0.90, 1e9),
    "LTC": Coin(80.0, 0.80, 4e8),
}
COIN_DEFAULT = Coin(10.0, 1.0, 2e8)


class SimulationParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the market is made of; the defaults crash within ten seconds of watching four ticks a second."""

    step_s: float = 300.0
    """Simulated seconds a tick."""
    correlation: float = 0.8
    """Between any two assets."""
    vol_reversion_daily: float = 4.0
    vol_of_variance: float = 1.5
    """Volatility of the relative variance, a year to the power of one half."""
    jumps_daily: float = 1.0
    jump_size: float = 0.02
    """Standard deviation of a jump's log size."""
    crash_first_tick: int = 20
    crash_every_ticks: int = 720
    """0: one crash only."""
    crash_ticks: int = 40
    crash_gap: float = 0.35
    """Share of the fall that comes in one tick, in the middle of the crash: no liquidation keeps up with that."""
    crash_depth: float = 0.42
    """Fall of the market factor's crash, a fraction; drawn between half and all of it after the first."""
    crash_recovery: float = 0.35
    """Share of the fall that comes back over the next `crash_ticks`."""
    crash_vol_factor: float = 3.0
    venues: tuple[str, ...] = ("alpha", "beta", "gamma")
    venue_noise: float = 0.0002
    stale_share: float = 0.03
    """Share of blocks of 20 ticks in which a venue stands still."""
    outlier_share: float = 0.002
    """Share of ticks at which a venue's price is off by a tenth or more."""
    impact_half_life_s: float = 600.0
    """Of what our own trades move."""


class Simulated:
    """A seeded source without end, or of `ticks` ticks."""

    name = "simulated"

    def __init__(
        self,
        assets: Sequence[str] = ("BTC", "ETH", "SOL"),
        seed: int = 7,
        ticks: int | None = None,
        start_ns: int = START_NS,
        params: SimulationParams | None = None,
        *,
        first_tick: int = 0,
        prices: Mapping[str, float] | None = None,
    ) -> None:
        """assets: of `COINS`, others get `COIN_DEFAULT`. Tick 0 is at `start_ns`.

        first_tick: number of the first tick. prices: USD by asset that the market goes on from, in place of those
        of `COINS`: with `first_tick` a market takes up where another ended.
        """
        self.assets: tuple[str, ...] = tuple(assets)
        self.seed, self.ticks, self.start_ns, self.first_tick = seed, ticks, start_ns, first_tick
        self.params = params or SimulationParams()
        self._coins = [COINS.get(asset, COIN_DEFAULT) for asset in self.assets]
        self._prices = [(prices or {}).get(a, coin.price) for a, coin in zip(self.assets, self._coins, strict=True)]
        self._moved = np.zeros(len(self.assets))

    def tick_at(self, ts_ns: int) -> int:
        """Number of the first tick after a time."""
        return max(0, (ts_ns - self.start_ns) // round(self.params.step_s * 1e9) + 1)

    def after(self, fills: Iterable[tuple[str, float]]) -> None:
        """Let the last tick's fills move prices: (asset, USD sold to the market, negative where bought).

        Square-root impact of the tick's own volume, which decays with `impact_half_life_s`.
        """
        for asset, sold_usd in fills:
            if asset not in self.assets:
                continue
            i = self.assets.index(asset)
            day = 86_400.0 / self.params.step_s
            coin = self._coins[i]
            sigma = coin.vol_annual / math.sqrt(DAYS_A_YEAR * day)
            share = float(impact_fraction(sold_usd, coin.volume_usd_daily / day, sigma))
            self._moved[i] += math.copysign(math.log1p(-share), -sold_usd) if sold_usd else 0.0

    def __iter__(self) -> Iterator[Tick]:
        """Ticks from the start; what `after` was told holds for this pass only."""
        p = self.params
        self._moved = np.zeros(len(self.assets))
        price: Floats = np.log(self._prices)
        # Wilder assets fall further: SOL about a third more than BTC.
        beta = np.sqrt(np.array([coin.vol_annual for coin in self._coins]) / COINS["BTC"].vol_annual)
        relative: Floats = np.ones(len(self.assets))
        years = p.step_s / 86_400.0 / DAYS_A_YEAR
        decay = 0.5 ** (p.step_s / p.impact_half_life_s)
        venues = _Venues(self.seed, p, len(self.assets))
        tick = self.first_tick
        while self.ticks is None or tick < self.first_tick + self.ticks:
            ts_ns = self.start_ns + round(tick * p.step_s * 1e9)
            drift, stress = self._crash(tick)
            if tick:
                relative = self._next_variance(tick, relative, years, stress)
                price = price + self._moves(tick, relative, years) + drift * beta
                self._moved *= decay
            quotes = venues.quotes(tick, np.exp(price + self._moved))
            yield self._tick(ts_ns, tick, quotes, relative, stress)
            tick += 1

    def _crash(self, tick: int) -> tuple[float, float]:
        """Drift of the log price at this tick, and stress from 0 (calm) to 1 (the crash)."""
        p = self.params
        since = tick - p.crash_first_tick
        number = since // p.crash_every_ticks if p.crash_every_ticks else 0
        into = since - number * p.crash_every_ticks
        if since < 0 or into >= 2 * p.crash_ticks:
            return 0.0, 0.0
        depth = p.crash_depth if number == 0 else p.crash_depth * _random(self.seed, number, CRASH).uniform(0.5, 1.0)
        fall = math.log1p(-depth)
        if into < p.crash_ticks:
            # Ever faster, from half to one and a half of the mean pace; the gap comes on top, in the middle.
            share = (1.0 - p.crash_gap) * (0.5 + (into + 0.5) / p.crash_ticks) / p.crash_ticks
            share += p.crash_gap if into == p.crash_ticks // 2 else 0.0
            return fall * share, (into + 1) / p.crash_ticks
        return -fall * p.crash_recovery / p.crash_ticks, 2.0 - (into + 1) / p.crash_ticks

    def _next_variance(self, tick: int, relative: Floats, years: float, stress: float) -> Floats:
        """Variance relative to its long mean, never below a twentieth of it."""
        p = self.params
        z = _random(self.seed, tick, OWN).standard_normal((2, len(self.assets)))[1]
        target = (1.0 + (p.crash_vol_factor - 1.0) * stress) ** 2
        pull = 1.0 - math.exp(-p.vol_reversion_daily * years * DAYS_A_YEAR * (10.0 if stress else 1.0))
        moved = relative + pull * (target - relative) + p.vol_of_variance * np.sqrt(relative * years) * z
        return np.asarray(np.maximum(moved, 0.05))

    def _moves(self, tick: int, relative: Floats, years: float) -> Floats:
        """Log returns of one step without the crash's drift."""
        p = self.params
        factor = _random(self.seed, tick, FACTOR).standard_normal()
        own = _random(self.seed, tick, OWN).standard_normal((2, len(self.assets)))[0]
        z = math.sqrt(p.correlation) * factor + math.sqrt(1.0 - p.correlation) * own
        sigma = np.array([coin.vol_annual for coin in self._coins]) * np.sqrt(relative * years)
        jump = _random(self.seed, tick, JUMP)
        jumps = jump.poisson(p.jumps_daily * years * DAYS_A_YEAR, len(self.assets))
        return np.asarray(sigma * z - 0.5 * sigma**2 + p.jump_size * np.sqrt(jumps) * jump.standard_normal(len(jumps)))

    def _tick(
        self, ts_ns: int, tick: int, quotes: list[list[tuple[float, float]]], relative: Floats, stress: float
    ) -> Tick:
        """What goes out: every venue's price and age, volumes, volatilities and, at funding times, rates."""
        prices = tuple(
            SourcePrice(asset, venue, price, age_s)
            for asset, row in zip(self.assets, quotes, strict=True)
            for venue, (price, age_s) in zip(self.params.venues, row, strict=True)
        )
        volumes = {a: c.volume_usd_daily * (1.0 + 2.0 * stress) for a, c in zip(self.assets, self._coins, strict=True)}
        vols = {a: c.vol_annual * math.sqrt(v) for a, c, v in zip(self.assets, self._coins, relative, strict=True)}
        pays = ts_ns % FUNDING_NS < round(self.params.step_s * 1e9)
        rates = dict.fromkeys(self.assets, 0.0001 - 0.002 * stress) if pays else {}
        return Tick(ts_ns, prices, volumes, vols, rates, True)


class _Venues:
    """Each venue's view of the true prices: noise, and at times a stop or a false print."""

    def __init__(self, seed: int, params: SimulationParams, assets: int) -> None:
        self.seed, self.params = seed, params
        self.last = np.zeros((assets, len(params.venues)))
        self.moved_tick = np.zeros((assets, len(params.venues)), np.int64)

    def quotes(self, tick: int, price: Floats) -> list[list[tuple[float, float]]]:
        """(price, age in seconds) by asset and venue."""
        p = self.params
        shape = self.last.shape
        random = _random(self.seed, tick, VENUE)
        seen = price[:, None] * np.exp(p.venue_noise * random.standard_normal(shape))
        off = random.random(shape) < p.outlier_share
        seen = np.where(off, seen * np.exp(random.choice((-1.0, 1.0), shape) * random.uniform(0.1, 0.3, shape)), seen)
        stale = _random(self.seed, tick // 20, STALE).random(shape) < p.stale_share
        stale &= self.last > 0
        self.last = np.where(stale, self.last, seen)
        self.moved_tick = np.where(stale, self.moved_tick, tick)
        ages = (tick - self.moved_tick) * p.step_s
        return [list(zip(*pair, strict=True)) for pair in zip(self.last.tolist(), ages.tolist(), strict=True)]


def _random(seed: int, tick: int, stream: int) -> np.random.Generator:
    """Numbers that depend on nothing but these three."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, stream, tick]))
