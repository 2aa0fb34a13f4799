"""An asset's days as arrays: prices, each source's volume, value of all units; and what can be measured of them."""

from datetime import date
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.models.liquidity.spreads import abdi_ranaldo
from solvent.models.liquidity.tiers import Score, liquidity_score
from solvent.models.liquidity.volume import WEEKS_DAYS, amihud, amihud_daily, lower_volume
from solvent.valuation.tiers import F64

SPREAD_DAYS = 90
SPREAD_LEAST = 0.0001
"""Candles of a day do not resolve less."""
DEPTH_DAYS = 7


class History(msgspec.Struct, frozen=True, eq=False):
    """Days that had closed, oldest first."""

    asset: str
    days: NDArray[np.datetime64]
    """Shape (n,), UTC."""
    high: F64
    low: F64
    close: F64
    """Shape (n,), USD a coin; high and low are the close where a source has closes only."""
    volume_usd: F64
    """Shape (sources, n), NaN where a source has none."""
    market_cap_usd: F64
    """Shape (n,), NaN where it is unknown."""
    funding_rate: F64 | None = None
    """Mean funding of each day's payments, shape (n,), NaN where it is unknown; None without any."""

    def before(self, day: date) -> "History":
        """The days that had closed when `day` began: nothing later is seen by anything made of them."""
        kept = self.days < np.datetime64(day, "D")
        arrays = {each.name: getattr(self, each.name) for each in msgspec.structs.fields(self) if each.name != "asset"}
        shown: dict[str, Any] = {name: None if each is None else each[..., kept] for name, each in arrays.items()}
        return History(self.asset, **shown)

    @property
    def returns(self) -> F64:
        """Daily log returns, shape (n - 1,)."""
        return np.asarray(np.diff(np.log(self.close)))

    @property
    def falls(self) -> F64:
        """From each day's close to the next day's low, fractions; shape (n - 1,)."""
        return np.asarray(1.0 - self.low[1:] / self.close[:-1])

    @property
    def volume_counted(self) -> float:
        """USD a day: the lower of the sources over weeks, NaN where it is unknown."""
        return lower_volume(self.volume_usd)

    @property
    def volume_lowest(self) -> F64:
        """The lowest of the sources on each day, shape (n,)."""
        known = np.where(np.isfinite(self.volume_usd), self.volume_usd, np.inf).min(axis=0, initial=np.inf)
        return np.where(np.isfinite(known), known, np.nan)

    @property
    def spread(self) -> float:
        """Estimated from the candles of the last months, a fraction of the price."""
        last = slice(-SPREAD_DAYS, None)
        return max(SPREAD_LEAST, abdi_ranaldo(self.high[last], self.low[last], self.close[last]))

    @property
    def amihud(self) -> float:
        """Over the last four weeks, 1 / USD."""
        last = slice(-WEEKS_DAYS, None)
        return amihud(self.returns[last], self.volume_lowest[last][-len(self.returns[last]) :])

    @property
    def depth_proxy(self) -> F64:
        """1 / Amihud of a week, shape (n - 1,): USD that a given move took, where no book is known."""
        daily = amihud_daily(self.returns, self.volume_lowest[1:])
        mean = np.full(daily.size, np.nan)
        if daily.size >= DEPTH_DAYS:
            mean[DEPTH_DAYS - 1 :] = np.convolve(daily, np.full(DEPTH_DAYS, 1.0 / DEPTH_DAYS), "valid")
        return np.asarray(1.0 / np.where(mean > 0.0, mean, np.nan))

    @property
    def market_cap(self) -> float | None:
        """Value of all units on the last day on which it is known."""
        known = self.market_cap_usd[np.isfinite(self.market_cap_usd)]
        return float(known[-1]) if known.size else None

    def score(self, age_days: float | None) -> Score:
        """The liquidity score of what candles tell. Sources are no venues: an aggregator holds the others' volume."""
        measures = {"volume_usd_daily": self.volume_counted, "spread": self.spread, "amihud": self.amihud}
        return liquidity_score({**measures, "age_days": age_days})
