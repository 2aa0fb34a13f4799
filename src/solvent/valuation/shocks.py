"""A market after a shock: all instruments of an underlying move together, options are priced again."""

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.instruments import STABLECOINS, USD
from solvent.domain.market import Market, Surface
from solvent.domain.quantities import LOT_BOUND
from solvent.domain.universe import OPTION
from solvent.errors import Problem, problem, raise_if
from solvent.valuation import black76

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

OTHERS = "*"
"""Key of the factor of every asset that is neither named nor a US dollar."""
FACTOR_MOST = 1e6


class ScaledSurface(msgspec.Struct, frozen=True):
    """A surface whose volatilities are all multiplied by one factor."""

    surface: Surface
    factor: float

    def vol(self, log_moneyness: F64, years: F64) -> F64:
        """Annualised volatility at ln(strike / forward) and time to expiry in years; shapes broadcast."""
        return self.factor * self.surface.vol(log_moneyness, years)


def shocked(market: Market, factors: Mapping[str, float], vol_factor: float = 1.0) -> Market:
    """The market with the price of each asset times its factor and every volatility times `vol_factor`.

    Spot (at every location), perpetuals and futures move with their underlying, as do forwards and slow
    prices; marks are rounded to the nearest tick (for nobody and against nobody) and stay at least one.
    A contract's price follows its underlying alone: a stablecoin's own factor moves what is held and settled
    in it. Surfaces keep their volatility at each log-moneyness (sticky moneyness), an option's own volatility
    stays with it; the mark of a quoted option changes by what its Black-76 value changes by, so that its
    distance to the model is kept. Time, rates, confidence, age, liquidity (in USD) and states stay as they are.

    factors: above 0, by asset of the market; `*` for every other asset that is no US dollar. vol_factor: at
    least 0. Raises SolventError for unknown assets, for USD, and for options that move and have no volatility.
    """
    raise_if(_check(market, factors, vol_factor))
    terms = market.universe.terms
    others = factors.get(OTHERS, 1.0)
    by_asset = [factors.get(asset, 1.0 if asset in STABLECOINS else others) for asset in market.universe.assets]
    factor = np.array(by_asset, dtype=np.float64)[terms.underlying]
    option = terms.form == OPTION
    linear = np.where(option, 1.0, factor)
    moved = market.replaced(
        ticks=_times(market.ticks, linear),
        forward=market.forward * factor,
        vol_annual=market.vol_annual * vol_factor,
        surfaces=_scaled(market.surfaces, vol_factor),
    )
    rows = np.flatnonzero(option & (market.ticks > 0) & ((factor != 1.0) | (vol_factor != 1.0)))
    ticks = moved.ticks.copy()
    if len(rows):
        ticks[rows] = _option_marks(market, moved, rows)
    price = ticks * terms.tick
    follow = np.where(
        option, np.maximum(market.slow_price + price - market.price, terms.tick), market.slow_price * linear
    )
    slow = np.where(market.slow_price == market.price, price, follow)
    return moved.replaced(ticks=ticks, slow_price=slow)


def _check(market: Market, factors: Mapping[str, float], vol_factor: float) -> list[Problem]:
    """Factors of assets that there are not or that cannot move, and factors that are none."""
    assets = market.universe.assets
    known = [asset for asset in assets if asset != USD]
    found = [
        problem("shock", None, "asset", asset, "a coin: USD is the numeraire" if asset == USD else
                f"one of {', '.join(known[:12])}; or {OTHERS} for every other asset")
        for asset in factors
        if asset != OTHERS and asset not in known
    ]  # fmt: skip
    highest = int(market.ticks.max(initial=1))
    for asset, factor in factors.items():
        if not 0.0 < factor <= FACTOR_MOST:
            found.append(problem("shock", None, asset, factor, f"a factor above 0, at most {FACTOR_MOST:g}"))
        elif factor * highest >= LOT_BOUND:
            found.append(problem("shock", None, asset, factor, "a price of less than 2**63 ticks after it"))
    if not 0.0 <= vol_factor <= FACTOR_MOST:
        found.append(problem("shock", None, "vol", vol_factor, f"a factor from 0 to {FACTOR_MOST:g}"))
    return found


def _times(ticks: I64, factor: F64) -> I64:
    """Marks times their factors to the nearest tick, at least one where there was one; untouched by a factor 1."""
    product = np.maximum(np.rint(ticks * factor), np.where(ticks > 0, 1.0, 0.0)).astype(np.int64)
    return np.where(factor == 1.0, ticks, product)


def _scaled(surfaces: Mapping[str, Surface], factor: float) -> Mapping[str, Surface]:
    return surfaces if factor == 1.0 else {asset: ScaledSurface(each, factor) for asset, each in surfaces.items()}


def _option_marks(before: Market, after: Market, rows: I64) -> I64:
    """Marks in ticks of the options in `rows`: the old mark and the change of the model's value, at least a tick."""
    universe, terms = before.universe, before.universe.terms
    vols = before.vol()[rows], after.vol()[rows]
    blind = np.isnan(vols[0]) | np.isnan(vols[1])
    raise_if(
        [
            problem("market", None, f"{universe[int(i)].id}.vol", "missing", "a volatility, or a surface of its asset")
            for i in rows[blind]
        ]
    )
    usd = [_value_usd(market, rows, vol) for market, vol in zip((before, after), vols, strict=True)]
    coin = terms.coin_priced[rows]
    index = [np.where(coin, market.index_usd[terms.underlying[rows]], 1.0) for market in (before, after)]
    mark = (before.price[rows] * index[0] + usd[1] - usd[0]) / index[1]
    return np.maximum(np.rint(mark / terms.tick[rows]), 1.0).astype(np.int64)


def _value_usd(market: Market, rows: I64, vol: F64) -> F64:
    """Black-76 values of one contract unit."""
    terms = market.universe.terms
    years = market.years[rows]
    discount = np.exp(-market.rate_annual[rows] * years)
    return black76.price(market.forward_usd[rows], terms.strike[rows], years, terms.call[rows], vol, discount)
