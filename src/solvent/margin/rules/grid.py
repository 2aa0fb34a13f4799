"""What rules with scenario grids share: options of a universe valued together, and sums of scenario values."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvent.domain.market import Market
from solvent.domain.universe import INVERSE, OPTION
from solvent.margin.rules.rows import Groups, Rows
from solvent.valuation import black76

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
BOOL = NDArray[np.bool_]

YEAR_DAYS = 365.0


class Chain(NamedTuple):
    """The O options of a universe at a market."""

    rows: I64
    """(O,) their instruments."""
    asset: I64
    """Of the underlying."""
    forward: F64
    strike: F64
    years: F64
    call: BOOL
    vol: F64
    discount: F64
    unit: F64
    """Coins a lot."""

    @classmethod
    def of(cls, market: Market) -> "Chain":
        """Read them; volatilities that are not there count as 0 (nobody may hold such an option)."""
        terms = market.universe.terms
        rows = np.flatnonzero(terms.form == OPTION)
        years = market.years[rows]
        forward = np.nan_to_num(market.forward_usd[rows], nan=1.0)
        return cls(
            rows,
            terms.underlying[rows],
            np.where(forward > 0, forward, 1.0),
            terms.strike[rows],
            years,
            terms.call[rows],
            np.nan_to_num(market.vol()[rows]) if len(rows) else np.zeros(0),
            np.exp(-np.maximum(market.rate_annual[rows], 0.0) * years),
            terms.unit[rows],
        )

    @property
    def days(self) -> F64:
        """(O,) to expiry."""
        return self.years * YEAR_DAYS

    def values(self, multiplier: F64, vol: F64) -> F64:
        """(O, S) USD of one lot: forward times (O, S) or (S,) multipliers, (O, S) volatilities."""
        size, scenarios = len(self.rows), np.broadcast_shapes(multiplier.shape, vol.shape)[-1]
        if not size:
            return np.zeros((0, scenarios))
        full = np.ascontiguousarray(np.broadcast_to(multiplier, (size, scenarios)))
        grid = black76.price_grid(
            self.forward, self.strike, self.years, self.call, np.broadcast_to(vol, full.shape), full, self.discount
        )
        return np.asarray(grid * self.unit[:, None])

    def now(self) -> F64:
        """(O,) USD of one lot as it is."""
        return self.values(np.ones(1), self.vol[:, None])[:, 0]

    def greeks(self) -> black76.Greeks:
        """Of one coin of the underlying, by the forward."""
        return black76.greeks(self.forward, self.strike, self.years, self.call, self.vol, self.discount)

    def delta_coins(self) -> F64:
        """(O,) coins of the underlying that one lot moves with."""
        return self.greeks().delta * self.unit if len(self.rows) else np.zeros(0)


def delta_coins(market: Market, chain: Chain) -> F64:
    """(I,) coins of the underlying that one lot of a derivative moves with; inverse ones at their mark; 0 for spot."""
    terms = market.universe.terms
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(terms.form == INVERSE, terms.unit / market.price, terms.unit)
    found = np.where(market.universe.terms.form == 0, 0.0, np.nan_to_num(found, posinf=0.0))
    found[chain.rows] = chain.delta_coins()
    return np.asarray(found)


def scenario_sums(rows: Rows, groups: Groups, values: F64) -> F64:
    """(G, S) lots x values[instrument, s] summed over the entries of each group."""
    chosen = rows.instrument[groups.order]
    amounts = values[chosen]
    amounts *= rows.lots[groups.order][:, None]
    if not len(groups.start):
        return np.zeros((0, values.shape[1]))
    return np.asarray(np.add.reduceat(amounts, groups.start, axis=0))


def padded(rows: list[F64], width: int) -> F64:
    """Vectors of unequal length as an array, zeros behind."""
    out = np.zeros((len(rows), width))
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def worst_scenarios(size: int, owner: I64, which: I64, need: F64, losses: F64) -> I64:
    """(size,) the scenario that costs most in the account's largest group, -1 where nothing is lost.

    owner: (G,) rising. which: (G,) number of the underlying or pair. need: (G,) what each group requires.
    losses: (G, S). Scenario s of underlying u is number u S + s, in the order of `scenario_names`.
    """
    found = np.full(size, -1, np.int64)
    order = np.lexsort((need, owner))
    last = np.ones(len(order), np.bool_)
    last[:-1] = owner[order][1:] != owner[order][:-1]
    top = order[last]
    number = which[top] * losses.shape[1] + losses[top].argmax(axis=1)
    found[owner[top]] = np.where(losses[top].max(axis=1, initial=0.0) > 0, number, -1)
    return found


def scenario_names(names: Sequence[str], scenarios: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Of every underlying or pair and each of its scenarios, as many for each as for the one that has most."""
    width = max(map(len, scenarios), default=0)
    return tuple(
        f"{name} {rows[s]}" if s < len(rows) else ""
        for name, rows in zip(names, scenarios, strict=True)
        for s in range(width)
    )
