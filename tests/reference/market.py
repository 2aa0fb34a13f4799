"""What all accounts share at one mark: prices, deltas and scenario values of a lot, charge rates; semantics 5 and 7."""

from fractions import Fraction
from functools import cached_property
from math import ceil, floor
from typing import Any

from tests.reference import options
from tests.reference.parameters import Parameters
from tests.reference.terms import RATE, Terms, rate_up

from solvent.domain.commands import Quote

YEAR_NS = 31_536_000 * 10**9
DAYS = 365
LOWEST = Fraction(-9, 10)


class Market:
    """Quotes under a policy; `terms` are those up to the first instrument without a quote."""

    def __init__(self, terms: list[Terms], parameters: Parameters, quotes: dict[int, Quote], marked_ns: int) -> None:
        size = next((i for i in range(len(terms)) if i not in quotes), len(terms))
        self.terms, self.parameters, self.marked_ns = terms[:size], parameters, marked_ns
        self.quotes = [quotes[i] for i in range(size)]
        self.price = [each.ticks * t.tick for each, t in zip(self.quotes, self.terms, strict=True)]
        self.slow = [(each.slow_ticks or each.ticks) * t.tick for each, t in zip(self.quotes, self.terms, strict=True)]
        self.assessed: dict[Any, Any] = {}
        """Verdicts at this market by what is held."""
        self.assets = list(dict.fromkeys(each.asset for each in self.terms))
        self.index = {asset: self._of_asset(asset, self.price) for asset in self.assets}
        self.slow_index = {asset: self._of_asset(asset, self.slow) for asset in self.assets}
        self.atom_usd = [
            self.price[i] / each.payer_atoms if each.form == "spot" else Fraction(0)
            for i, each in enumerate(self.terms)
        ]

    def _of_asset(self, asset: str, price: list[Fraction]) -> Fraction:
        """Index: the price of the asset's spot, at the house first."""
        spots = [i for i, each in enumerate(self.terms) if each.form == "spot" and each.asset == asset]
        spots.sort(key=lambda i: (not self.terms[i].house, i))
        return price[spots[0]] if spots else Fraction(0)

    def house_spot(self, asset: str) -> int:
        """The spot instrument that the index is the price of."""
        return min(
            (not each.house, i) for i, each in enumerate(self.terms) if each.form == "spot" and each.asset == asset
        )[1]

    def years(self, i: int) -> Fraction:
        """To expiry."""
        return Fraction(max(0, self.terms[i].expiry_ns - self.marked_ns), YEAR_NS)

    def _forward(self, i: int) -> Fraction:
        """As quoted, else the mark of a future of that expiry, else the index."""
        if self.quotes[i].forward_ticks:
            return Fraction(self.quotes[i].forward_ticks, 10**6)
        mine = self.terms[i]
        for k, each in reversed(list(enumerate(self.terms))):
            same = each.asset == mine.asset and each.expiry_ns == mine.expiry_ns and each.form in ("linear", "inverse")
            if same and self.price[k] > 0:
                return self.price[k]
        return self.index[mine.asset]

    def _vol(self, i: int) -> Fraction:
        return Fraction(self.quotes[i].vol_e9, 10**9)

    @cached_property
    def option_now(self) -> dict[int, tuple[Fraction, Fraction, Fraction]]:
        """Option -> model value of a lot in USD, its delta by relative moves in USD, its delta in coins."""
        found = {}
        for i, each in enumerate(self.terms):
            if each.form == "option":
                forward = self._forward(i)
                value, delta = options.worth(forward, each.strike, self.years(i), self._vol(i), each.call)
                found[i] = value * each.unit, delta * forward * each.unit, delta * each.unit
        return found

    @cached_property
    def delta(self) -> list[Fraction]:
        """USD that one lot gains by a relative move of 1 of its underlying."""
        found = []
        for i, each in enumerate(self.terms):
            if each.form == "linear":
                found.append(each.factor * self.quotes[i].ticks * self.atom_usd[each.payer])
            elif each.form == "inverse":
                found.append(Fraction(ceil(each.unit * self.index[each.asset] / self.price[i] * RATE), RATE))
            elif each.form == "option":
                usd = self.option_now[i][1]
                found.append(Fraction((1 if usd >= 0 else -1) * ceil(abs(usd) * RATE), RATE))
            else:
                found.append(Fraction(0))
        return found

    @cached_property
    def index_delta(self) -> list[Fraction]:
        """One lot's delta in coins at the index, I_u Δ: what roll, close-out and confidence charge."""
        found = []
        for i, each in enumerate(self.terms):
            index = self.index[each.asset]
            if each.form == "linear":
                found.append(index * each.unit)
            elif each.form == "inverse":
                found.append(self.delta[i])
            elif each.form == "option":
                usd = self.option_now[i][2] * index
                found.append(Fraction((1 if usd >= 0 else -1) * ceil(abs(usd) * RATE), RATE))
            else:
                found.append(Fraction(0))
        return found

    @cached_property
    def exposure(self) -> list[Fraction]:
        """USD that one lot is exposed to: notional, for options that of their delta at the index, to 1e-9."""
        found = []
        for i, each in enumerate(self.terms):
            if each.form == "option":
                found.append(Fraction(round(abs(self.option_now[i][2]) * self.index[each.asset] * RATE), RATE))
            elif each.form == "inverse":
                found.append(each.unit)
            else:
                found.append(each.unit * self.price[i] * (self.price[each.payer] if each.form == "linear" else 1))
        return found

    def option_mark(self, i: int, long: bool) -> Fraction:
        """USD of one lot at its mark; where none is quoted the model's value, against the holder."""
        each = self.terms[i]
        if self.quotes[i].ticks:
            return each.factor * self.quotes[i].ticks * self.atom_usd[each.payer]
        value = self.option_now[i][0] * RATE
        return Fraction(floor(value) if long else ceil(value), RATE)

    @cached_property
    def scenarios(self) -> list[tuple[Fraction, int, Fraction]]:
        """(move in units of R, volatility +1 up / 0 / -1 down, damp)."""
        p = self.parameters
        regular = [(step, vol, Fraction(1)) for step in p.steps for vol in (1, 0, -1)]
        return regular + [(step, 1, p.margin["tail_damp"] / abs(step)) for step in p.tails]

    def move(self, asset: str, step: Fraction) -> Fraction:
        """Relative move of an asset's price in a scenario, clipped."""
        return max(LOWEST, step * self.parameters.range_of(asset))

    @cached_property
    def moves(self) -> dict[str, list[Fraction]]:
        """Damped moves in each scenario, away from zero to 1e-9."""
        found = {}
        for asset in self.assets:
            row = [self.move(asset, step) * damp for step, _, damp in self.scenarios]
            found[asset] = [rate_up(x) if x >= 0 else -rate_up(-x) for x in row]
        return found

    def _vol_factor(self, years: Fraction, shift: int) -> Fraction:
        """1 + 0.5 t up, 1 - 0.3 t down, t = (30 d / max(T, 1 d))^p."""
        m, days = self.parameters.margin, max(years * DAYS, Fraction(1))
        t = options.power(30 / days, m["vol_power_short" if days <= 30 else "vol_power_long"])
        return max(Fraction(0), 1 + (m["vol_up"] * t if shift > 0 else -m["vol_down"] * t if shift < 0 else 0))

    @cached_property
    def option_change(self) -> dict[int, tuple[list[Fraction], list[Fraction]]]:
        """Option -> change of a lot's value in each scenario, held long (down to 1e-9) and short (up)."""
        found = {}
        weight = self.parameters.margin["option_long_weight"]
        for i, (now, _, _) in self.option_now.items():
            each, forward, years = self.terms[i], self._forward(i), self.years(i)
            factors = {shift: self._vol_factor(years, shift) * self._vol(i) for shift in (1, 0, -1)}
            long, short = [], []
            for step, shift, damp in self.scenarios:
                there = forward * (1 + self.move(each.asset, step))
                value = options.worth(there, each.strike, years, factors[shift], each.call)[0] * each.unit
                long.append(Fraction(floor(damp * (weight * value - now) * RATE), RATE))
                short.append(Fraction(ceil(damp * (value - now) * RATE), RATE))
            found[i] = long, short
        return found

    @cached_property
    def slow_charge(self) -> list[tuple[Fraction, Fraction]]:
        """USD of a lot (spot: of an atom) by which the slow price is worse than the mark: held long, held short."""
        found = []
        for i, each in enumerate(self.terms):
            mark, slow = self.price[i], self.slow[i]
            if each.form == "option":
                mark, slow = self.index[each.asset], self.slow_index[each.asset]
            gap = (mark - slow) / mark if mark else Fraction(0)
            base = self.atom_usd[i] if each.form == "spot" else self.delta[i]
            charge = abs(base) * rate_up(abs(gap))
            falls = (gap > 0) == (base >= 0)
            found.append((charge, Fraction(0)) if falls else (Fraction(0), charge))
        return found

    def _of(self, asset: str) -> list[int]:
        return [i for i, each in enumerate(self.terms) if each.asset == asset]

    @cached_property
    def close_rate(self) -> dict[str, Fraction]:
        """Half spread + penalty rate."""
        p = self.parameters
        least = p.margin["half_spread_least"]
        return {
            asset: rate_up(
                max(least, *(Fraction(self.quotes[i].spread_e9, 10**9) for i in self._of(asset)))
                + p.liquidation["penalty_rate"]
            )
            for asset in self.assets
        }

    @cached_property
    def confidence(self) -> dict[str, Fraction]:
        """2 conf, the widest of the asset's instruments."""
        factor = self.parameters.margin["confidence_factor"]
        return {
            asset: rate_up(factor * max(Fraction(self.quotes[i].confidence_e9, 10**9) for i in self._of(asset)))
            for asset in self.assets
        }

    @cached_property
    def volume(self) -> dict[str, int | None]:
        """USD traded a day in all instruments of an asset; None where unknown."""
        rows = {asset: [self.quotes[i].volume_usd_daily for i in self._of(asset)] for asset in self.assets}
        return {a: sum(v for v in row if v >= 0) if max(row) >= 0 else None for a, row in rows.items()}

    def roll_rate(self, asset: str, expiry_ns: int) -> Fraction:
        """max(0.002, 0.05 T)."""
        m = self.parameters.margin
        years = Fraction(max(0, expiry_ns - self.marked_ns), YEAR_NS)
        return rate_up(max(m["roll_least"], m["roll_annual"] * years))

    def depeg(self, i: int) -> Fraction:
        """4 max(0, 0.99 - lowest price) of a stablecoin."""
        m = self.parameters.margin
        if not self.terms[i].stable or self.terms[i].asset == "USD":
            return Fraction(0)
        return rate_up(m["depeg_factor"] * max(Fraction(0), m["depeg_threshold"] - min(self.price[i], self.slow[i])))
