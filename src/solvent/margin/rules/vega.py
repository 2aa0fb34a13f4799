"""Vega: four margin levels from one maintenance requirement, risk factors from a lognormal expected shortfall.

Numeraire: the settlement asset's smallest unit, integers. Equity is the margin plus general account; profit is
settled to cash at every mark, so none is unsettled. Breach: closed out iff collateral < maintenance level
after topping up from the general account (strict). Rounding: the maintenance level rounds up, the others are
its multiples rounded down; inputs are exact decimals. Unpublished: nothing.
As a Statement: MM = equity - headroom, IM the same at the initial level, headroom being the least, over the
settlement assets of the account's positions, of balance (mark profit included) less the levels of its positions: an
asset cannot stand in for another. So equity < MM iff some asset's collateral is below its maintenance level.
Source: vegaprotocol/vega, core/risk, protocol spec 0019-MCAL.
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from solvent.domain.quantities import fraction_down, fraction_up
from solvent.domain.universe import LINEAR, Universe
from solvent.errors import Problem
from solvent.margin.rules.rows import Held, exact_coins, found_in
from solvent.margin.rules.venue import (
    F64,
    Addend,
    Addends,
    Block,
    Figures,
    PreparedVenue,
    VenueRule,
    checked,
    total,
    unlisted,
)


class Params(msgspec.Struct, frozen=True):
    """Slippage, risk factors and scaling of one market; exact fractions."""

    linear_slippage: Fraction = Fraction(1, 10)
    quadratic_slippage: Fraction = Fraction(0)
    risk_factor_long: Fraction = Fraction(1, 10)
    risk_factor_short: Fraction = Fraction(1, 10)
    search_scale: Fraction = Fraction(11, 10)
    initial_scale: Fraction = Fraction(12, 10)
    release_scale: Fraction = Fraction(14, 10)


class MarginLevels(msgspec.Struct, frozen=True):
    """Maintenance: closed out below. Search: topped up below. Initial: for new positions. Release: freed above."""

    maintenance: int
    search: int
    initial: int
    release: int


def slippage(mark: int, open_size: int, params: Params) -> Fraction:
    """Cost of closing the open volume: mark |v| (linear + quadratic |v|)."""
    size = abs(open_size)
    return mark * size * (params.linear_slippage + params.quadratic_slippage * size)


def side_requirement(mark: int, open_size: int, orders: int, params: Params, is_long: bool) -> Fraction:
    """Requirement if all of one side's orders fill: slippage of the open part, risk factor on all of it.

    `open_size` is signed, `orders` the unsigned size of that side's orders. A position on the other side that
    the orders cannot turn requires nothing on this one.
    """
    signed = open_size if is_long else -open_size
    volume = max(0, signed + orders)
    factor = params.risk_factor_long if is_long else params.risk_factor_short
    held = max(0, signed) if volume > 0 else 0
    return slippage(mark, held, params) + mark * volume * factor


def margin_levels(mark: int, position: int, params: Params, buy_orders: int = 0, sell_orders: int = 0) -> MarginLevels:
    """Levels of one position with its orders at the riskier side, in units of the settlement asset."""
    need = max(
        side_requirement(mark, position, buy_orders, params, is_long=True),
        side_requirement(mark, position, sell_orders, params, is_long=False),
    )
    maintenance = fraction_up(need)
    return MarginLevels(
        maintenance,
        fraction_down(maintenance * params.search_scale),
        fraction_down(maintenance * params.initial_scale),
        fraction_down(maintenance * params.release_scale),
    )


def liquidation_price(collateral: Fraction, mark: int, position: int, params: Params) -> Fraction | None:
    """Mark at which collateral, with the profit from `mark` to there, equals the maintenance requirement.

    (C - v P) / (|v| (lin + quad |v|) + |v| rf - v), None where no price does that. Orders are not counted.
    """
    size = abs(position)
    factor = params.risk_factor_long if position > 0 else params.risk_factor_short
    slope = size * (params.linear_slippage + params.quadratic_slippage * size) + size * factor - position
    return (collateral - position * mark) / slope if slope != 0 else None


def normal_cdf(x: float) -> float:
    """Standard normal distribution function."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def normal_quantile(p: float) -> float:
    """Inverse of `normal_cdf` by bisection, 0 < p < 1."""
    low, high = -40.0, 40.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if normal_cdf(middle) < p else (low, middle)
    return 0.5 * (low + high)


def lognormal_risk_factors(tail: float, horizon_years: float, drift: float, vol: float) -> tuple[float, float]:
    """(long, short) risk factors: expected shortfall of one unit at mark one, at tail probability `tail`.

    With the log price normal of mean (drift - vol^2 / 2) T and deviation s = vol sqrt(T), z = quantile(tail):
    long 1 - e^(drift T) Phi(z - s) / tail, short e^(drift T) Phi(s + z') / tail - 1 with z' the same quantile.
    Source: protocol spec 0018-RSKM.
    """
    deviation = vol * math.sqrt(horizon_years)
    growth = math.exp(drift * horizon_years)
    z = normal_quantile(tail)
    return 1.0 - growth * normal_cdf(z - deviation) / tail, growth * normal_cdf(z + deviation) / tail - 1.0


class MarketTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One market as a policy states it; `quadratic_slippage` is per coin."""

    linear_slippage: Decimal = Decimal("0.1")
    quadratic_slippage: Decimal = Decimal(0)
    risk_factor_long: Decimal = Decimal("0.1")
    risk_factor_short: Decimal = Decimal("0.1")
    search_scale: Decimal = Decimal("1.1")
    initial_scale: Decimal = Decimal("1.2")
    release_scale: Decimal = Decimal("1.4")

    def of_lots(self, lot: Fraction) -> Params:
        """Parameters of positions counted in lots of `lot` coins."""
        return Params(
            Fraction(self.linear_slippage),
            Fraction(self.quadratic_slippage) * lot,
            Fraction(self.risk_factor_long),
            Fraction(self.risk_factor_short),
            Fraction(self.search_scale),
            Fraction(self.initial_scale),
            Fraction(self.release_scale),
        )


class VegaParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Markets by instrument id or underlying, `*` for all others."""

    markets: Mapping[str, MarketTerms]


class PreparedVega(PreparedVenue):
    """The rule at one market."""

    def build(self) -> None:
        """Parameters, and the mark of one lot in atoms of its settlement asset."""
        size = len(self.universe)
        self.markets: dict[int, Params] = {
            i: found_in(self.params.markets, each).of_lots(exact_coins(self.universe, i, 1))
            for i, each in enumerate(self.universe)
            if self.universe.terms.form[i] == LINEAR and i not in self.missing
        }
        self.mark = {i: self.universe.value_atoms[i][0] * int(self.market.ticks[i]) for i in self.markets}
        columns = np.zeros((6, size))
        for i, each in self.markets.items():
            slips = each.linear_slippage, each.quadratic_slippage, each.risk_factor_long, each.risk_factor_short
            atom = float(Fraction(1, 10 ** self.universe.spot_of(i).decimals))
            columns[:, i] = *map(float, slips), float(each.initial_scale), atom
        self.linear, self.quadratic, self.long, self.short, self.initial_scale, self.atom_coins = columns

    def _level(self, block: Block) -> F64:
        """(N,) maintenance level of each position in coins of its settlement asset."""
        rows, i = block.rows, block.rows.instrument
        size = np.abs(rows.lots)
        factor = np.where(rows.lots > 0, self.long[i], self.short[i])
        value = size * self.universe.terms.unit[i] * self.market.price[i]
        return np.where(self.atom_coins[i] > 0, value * (self.linear[i] + self.quadratic[i] * size + factor), 0.0)

    def figures(self, block: Block) -> Figures:
        """Margins of a block of accounts."""
        level, i = self._level(block), block.rows.instrument
        needed = self.paid(block.payers, level)
        initial = self.paid(block.payers, level * self.initial_scale[i])
        atoms = block.rows.total(3 * self.atom_coins[i] * self.price_usd[self.universe.terms.settlement[i]])
        held = needed.usd > 0

        def headroom(required: F64) -> F64:
            least = np.full(block.size, np.inf)
            np.minimum.at(least, needed.owner[held], (block.balances.usd - required)[held])
            return np.where(np.isinf(least), block.equity, least)

        gross = block.rows.total(level * self.price_usd[self.universe.terms.settlement[i]])
        return Figures(block.equity - headroom(initial.usd), block.equity - headroom(needed.usd), gross, slack=atoms)

    def addends(self, held: Held) -> Addends:
        """Levels of the positions in the tightest settlement asset, and the equity that others cannot lend it."""
        equity = self.value_addends(held)
        balances = self.balances_usd(held)
        levels: dict[int, list[tuple[str, tuple[Fraction, Fraction]]]] = {}
        for i, lots in held.lots.items():
            payer = int(self.universe.terms.settlement[i])
            found = margin_levels(self.mark[i], lots, self.markets[i])
            usd = self.exact_price_usd(payer) / 10 ** self.universe.spot_of(i).decimals
            if lots:
                required = found.initial * usd, found.maintenance * usd
                levels.setdefault(payer, []).append((self.universe[i].id, required))
        if not levels:
            return Addends(equity, [], [])
        value = total(equity)

        def tightest(which: int, name: str) -> list[Addend]:
            required = {payer: sum((row[which] for _, row in rows), Fraction(0)) for payer, rows in levels.items()}
            payer = min(required, key=lambda each: balances[each] - required[each])
            rows: list[Addend] = [(name, id, row[which]) for id, row in levels[payer]]
            return [*rows, ("equity in other assets", "", value - balances[payer])]

        return Addends(equity, tightest(0, "initial level"), tightest(1, "maintenance level"))


class VegaRule(VenueRule):
    """Vega margin levels, cross over the markets of a settlement asset; see the module."""

    name = "vega"
    Params = VegaParams
    margins = frozenset({"cash", "perpetual", "future"})
    homogeneous = False
    prepared = PreparedVega

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Factors below zero, scales out of order."""
        rows: list[tuple[str, object, bool, str]] = []
        for name, each in params.markets.items():
            for field in ("linear_slippage", "quadratic_slippage", "risk_factor_long", "risk_factor_short"):
                value = getattr(each, field)
                rows.append((f"markets.{name}.{field}", str(value), value >= 0, "0 or more"))
            ordered = 1 <= each.search_scale <= each.initial_scale <= each.release_scale
            scales = f"{each.search_scale}, {each.initial_scale}, {each.release_scale}"
            rows.append((f"markets.{name}.scales", scales, ordered, "1 <= search <= initial <= release"))
        return checked(rows)

    def missing(self, params: Any, universe: Universe) -> dict[int, str]:
        """Contracts without a market."""
        return unlisted(universe, params.markets, "markets", (LINEAR,))
