"""One immutable snapshot of the world: prices with confidence and age, forwards, volatility, rates, liquidity."""

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from solvent.domain.instruments import USD
from solvent.domain.universe import INVERSE, LINEAR, OPTION, SPOT, Universe

OK, DEGRADED, HALTED, GONE = 0, 1, 2, 3
"""States of a price; gone: halted for so long that the last price counts no more."""
STATES = ("ok", "degraded", "halted", "gone")
SECONDS_A_YEAR = 31_536_000.0

_COLUMNS = ("ts_ns", "ticks", "confidence", "age_s", "forward", "rate_annual", "depth_usd", "volume_usd_daily",
            "half_spread", "vol_annual", "slow_price", "state", "surfaces")  # fmt: skip


class Surface(Protocol):
    """Implied volatility of one underlying."""

    def vol(self, log_moneyness: NDArray[np.float64], years: NDArray[np.float64]) -> NDArray[np.float64]:
        """Annualised volatility (a fraction) at ln(strike / forward) and time to expiry in years."""
        ...


class Market:
    """Marks and what goes with them, one entry an instrument of `universe`; arrays are read-only.

    `ticks` are the exact marks; `price` = ticks x tick: USD for spot, settlement units for linear contracts
    and options (coins where the option is coin-priced), USD for inverse ones.
    """

    def __init__(
        self,
        universe: Universe,
        ts_ns: int,
        ticks: NDArray[np.int64],
        *,
        confidence: NDArray[np.float64] | float = 0.0,
        age_s: NDArray[np.float64] | float = 0.0,
        forward: NDArray[np.float64] | None = None,
        rate_annual: NDArray[np.float64] | float = 0.0,
        depth_usd: NDArray[np.float64] | float = np.nan,
        volume_usd_daily: NDArray[np.float64] | float = np.nan,
        half_spread: NDArray[np.float64] | float = 0.0,
        vol_annual: NDArray[np.float64] | float = np.nan,
        slow_price: NDArray[np.float64] | None = None,
        state: NDArray[np.int64] | int = OK,
        surfaces: Mapping[str, Surface] | None = None,
    ) -> None:
        """Arrays have one entry an instrument; a scalar holds for all.

        ticks: exact marks, 0 where there is none. confidence: relative half-width of the mark. age_s: age of
        its newest source. forward: USD forward to the instrument's expiry (NaN: index). depth_usd: sellable
        within the half spread, volume_usd_daily: traded a day (NaN: unknown, no concentration charge).
        half_spread: relative to the mark.
        vol_annual: option volatility where there is no surface. slow_price: the delayed price, in the units
        of `price` (None: the mark itself). state: OK, DEGRADED or HALTED.
        """
        size = len(universe)

        def column(values: Any, kind: Any = np.float64) -> NDArray[Any]:
            if type(values) is np.ndarray and values.dtype == kind and values.shape == (size,):
                if values.base is None and not values.flags.writeable:  # another market's
                    return values
                array = values.copy()
                array.setflags(write=False)
                return array
            array = np.array(np.broadcast_to(np.asarray(values, dtype=kind), (size,)))
            array.setflags(write=False)
            return array

        self.universe = universe
        self.ts_ns = ts_ns
        self.ticks: NDArray[np.int64] = column(ticks, np.int64)
        self.price: NDArray[np.float64] = column(self.ticks * universe.terms.tick)
        self.confidence = column(confidence)
        self.age_s = column(age_s)
        self.forward = column(np.nan if forward is None else forward)
        self.rate_annual = column(rate_annual)
        self.depth_usd = column(depth_usd)
        self.volume_usd_daily = column(volume_usd_daily)
        self.half_spread = column(half_spread)
        self.vol_annual = column(vol_annual)
        self.slow_price = column(self.price if slow_price is None else slow_price)
        self.state: NDArray[np.int64] = column(state, np.int64)
        self.surfaces: Mapping[str, Surface] = MappingProxyType(dict(surfaces or {}))

    def replaced(self, **columns: Any) -> "Market":
        """The same market but for some columns, named as the constructor's arguments."""
        kept = {name: getattr(self, name) for name in _COLUMNS}
        return Market(self.universe, **{**kept, **columns})

    @cached_property
    def index_usd(self) -> NDArray[np.float64]:
        """USD price of each asset: that of its `index_source`, NaN where there is none; of USD always 1."""
        return self._by_asset(self.price)

    @cached_property
    def slow_index_usd(self) -> NDArray[np.float64]:
        """The slow price of each asset, found as `index_usd` is."""
        return self._by_asset(self.slow_price)

    @cached_property
    def index_source(self) -> NDArray[np.int64]:
        """(U,) the instrument whose price is each asset's index, its house spot, else its first perpetual or future
        with a mark; -1 where there is none."""
        terms = self.universe.terms
        found = np.array(self.universe.house_spot)
        found[(found >= 0) & (self.ticks[found] <= 0)] = -1
        for position in np.flatnonzero(((terms.form == LINEAR) | (terms.form == INVERSE)) & (self.ticks > 0)):
            asset = terms.underlying[position]
            if found[asset] < 0:
                found[asset] = position
        return found

    def _by_asset(self, price: NDArray[np.float64]) -> NDArray[np.float64]:
        """A linear contract's price is in what it settles in, and so times the payer's."""
        universe, source = self.universe, self.index_source
        terms = universe.terms
        found = np.full(len(universe.assets), np.nan)
        known = np.flatnonzero(source >= 0)
        rows = source[known]
        found[known] = price[rows] * np.where(terms.form[rows] == LINEAR, price[terms.settlement[rows]], 1.0)
        if USD in universe.asset_index:
            found[universe.asset_index[USD]] = 1.0
        return found

    @cached_property
    def years(self) -> NDArray[np.float64]:
        """Time to expiry in years of 365 days; 0 where there is none or it has passed."""
        expiry = self.universe.terms.expiry_ns
        return np.where(expiry > 0, np.maximum(expiry - self.ts_ns, 0) / 1e9 / SECONDS_A_YEAR, 0.0)

    @cached_property
    def forward_usd(self) -> NDArray[np.float64]:
        """Forward of each instrument: as given, else the mark of a future of that expiry, else the index."""
        terms = self.universe.terms
        index = self.index_usd[terms.underlying]
        futures = {
            (int(terms.underlying[i]), int(terms.expiry_ns[i])): float(self.price[i])
            for i in np.flatnonzero((terms.form != SPOT) & (terms.form != OPTION) & (self.ticks > 0))
        }
        derived = np.array(
            [
                futures.get((int(u), int(e)), float(x)) if e > 0 else float(x)
                for u, e, x in zip(terms.underlying, terms.expiry_ns, index, strict=True)
            ]
        )
        return np.where(np.isnan(self.forward), derived, self.forward)

    def vol(self) -> NDArray[np.float64]:
        """Annualised volatility of each option: its own, else its underlying's surface; NaN where neither is."""
        universe = self.universe
        terms = universe.terms
        found = np.array(self.vol_annual)
        for asset, surface in self.surfaces.items():
            rows = np.flatnonzero(
                (terms.form == OPTION) & (terms.underlying == universe.asset_index.get(asset, -1)) & np.isnan(found)
            )
            if len(rows):
                moneyness = np.log(terms.strike[rows] / self.forward_usd[rows])
                found[rows] = surface.vol(moneyness, self.years[rows])
        return found

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        surfaces: Mapping[str, Surface] | None = None,
        ts_ns: int | None = None,
        file: str = "market",
    ) -> "Market":
        """A market from any frame with `__arrow_c_stream__`, one row an instrument.

        Columns: see `solvent.domain.market_frame.market_from_frame`. Raises SolventError with all problems.
        """
        from solvent.domain.frames import market_from_frame

        return market_from_frame(frame, surfaces=surfaces, ts_ns=ts_ns, file=file)
