"""The `portfolio` rule as its text says it: slow, in plain floats, from the terms of instruments alone.

It shares no code with the rule, its tables or its kernel: prices, Black-76, scenarios and every charge are
written out again here. Shared values are not rounded, so that it agrees to about 1e-8 of an account's gross.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from solvent.domain.book import Order
from solvent.domain.instruments import STABLECOINS, Future, Instrument, Option, Perpetual, Spot
from solvent.domain.market import Market
from solvent.margin.rules.portfolio.params import PortfolioParams

YEAR_NS = 365 * 24 * 3600 * 10**9


@dataclass
class Result:
    equity: float
    initial_margin: float
    maintenance_margin: float
    gross: float
    """Sum of what is held, by value: the scale of rounding differences."""


def normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def black76(forward: float, strike: float, years: float, call: bool, vol: float, discount: float) -> float:
    width = vol * math.sqrt(years)
    if width <= 0:
        return discount * max(0.0, forward - strike if call else strike - forward)
    d1 = math.log(forward / strike) / width + width / 2
    d2 = d1 - width
    if call:
        return discount * (forward * normal(d1) - strike * normal(d2))
    return discount * (strike * normal(-d2) - forward * normal(-d1))


def delta76(forward: float, strike: float, years: float, call: bool, vol: float, discount: float) -> float:
    width = vol * math.sqrt(years)
    if width <= 0:
        sign = 1 if call else -1
        share = 0.5 if forward == strike else float(sign * (forward - strike) > 0)
        return discount * sign * share
    d1 = math.log(forward / strike) / width + width / 2
    return discount * (normal(d1) - (0 if call else 1))


def marginal(size: float, edges: Sequence[float], rates: Sequence[float]) -> float:
    """Each tier's rate on what lies in that tier."""
    bounds = [0.0, *edges, math.inf]
    parts = zip(bounds[:-1], bounds[1:], rates, strict=True)
    return sum(max(0.0, min(size, high) - low) * rate for low, high, rate in parts)


class Reference:
    """One market under one policy."""

    def __init__(self, market: Market, params: PortfolioParams, penalty: float) -> None:
        self.market, self.params, self.penalty = market, params, penalty
        self.universe = market.universe
        self.scenarios = self._scenarios()

    # ---- prices

    def price(self, i: int) -> float:
        return float(self.universe[i].tick * int(self.market.ticks[i]))

    def spot_of(self, each: Instrument) -> int:
        return self.universe.index(each.id if isinstance(each, Spot) else each.settlement)

    def index(self, asset: str) -> float:
        spots = [i for i, each in enumerate(self.universe) if isinstance(each, Spot) and each.asset == asset]
        house = [i for i in spots if self.universe[i].location == "house"]  # type: ignore[union-attr]
        if asset == "USD":
            return 1.0
        if house or spots:
            return self.price((house or spots)[0])
        held = [i for i, each in enumerate(self.universe) if each.underlying == asset and self.market.ticks[i] > 0]
        first = next(i for i in held if isinstance(self.universe[i], (Perpetual, Future)))
        each = self.universe[first]
        inverse = isinstance(each, (Perpetual, Future)) and each.inverse
        return self.price(first) * (1.0 if inverse else self.price(self.spot_of(each)))

    def years(self, each: Instrument) -> float:
        return self._years_to(each.expiry_ns if isinstance(each, (Future, Option)) else 0)

    def _years_to(self, expiry_ns: int) -> float:
        return max(0, expiry_ns - self.market.ts_ns) / YEAR_NS

    # ---- scenarios: (move of an asset, vol direction, damp)

    def _range(self, asset: str) -> float:
        p = self.params
        if asset == "USD":
            return 0.0
        default = p.scan_range_stablecoin if asset in STABLECOINS else p.scan_range_default
        return p.margin_scale * p.scan_range.get(asset, default)

    def _scenarios(self) -> list[tuple[Mapping[str, float], int, float]]:
        p, assets = self.params, {each.underlying for each in self.universe}

        def joint(step: float) -> dict[str, float]:
            return {asset: max(-0.9, step * self._range(asset)) for asset in assets}

        found: list[tuple[Mapping[str, float], int, float]] = []
        found += [(joint(step), vol, 1.0) for step in p.steps for vol in (1, 0, -1)]
        found += [(joint(step), 1, p.tail_damp / abs(step)) for step in p.tails]
        for k in range(len(next(iter(p.history.values()), ()))):
            found.append(({a: max(-0.9, p.history[a][k]) if a in p.history else 0.0 for a in assets}, 0, 1.0))
        for crash in p.crashes.values():
            found.append(({a: max(-0.9, crash.get(a, crash.get("*", 0.0))) for a in assets}, 1, 1.0))
        return found

    def vol_factor(self, each: Option, direction: int) -> float:
        p, days = self.params, max(1.0, 365 * self.years(each))
        t = (30 / days) ** (p.vol_power_short if days <= 30 else p.vol_power_long)
        return max(0.0, 1 + {1: p.vol_up, 0: 0.0, -1: -p.vol_down}[direction] * t)

    def option_usd(self, i: int, move: float = 0.0, direction: int = 0, *, of: str = "price") -> float:
        """Model value (or delta x forward, or delta in coins) of one contract in USD."""
        each = self.universe[i]
        assert isinstance(each, Option)
        forward, years = float(self.market.forward_usd[i]), self.years(each)
        vol = float(self.market.vol()[i])
        vol = 0.0 if math.isnan(vol) else vol * self.vol_factor(each, direction)
        discount = math.exp(-float(self.market.rate_annual[i]) * years)
        given = (float(each.strike), years, each.call, vol, discount)
        coins = float(each.multiplier)
        if of == "coins":
            return coins * delta76(forward, *given)
        if of == "delta":
            return forward * self.option_usd(i, of="coins")
        return coins * black76(forward * (1 + move), *given)

    # ---- one position: contracts q

    def linear_delta(self, i: int, q: float) -> float:
        """USD that a perpetual or future gains per unit of relative move."""
        each = self.universe[i]
        assert isinstance(each, (Perpetual, Future))
        m = float(each.multiplier)
        if each.inverse:
            return q * m * self.index(each.underlying) / self.price(i)
        return q * m * self.price(i) * self.price(self.spot_of(each))

    def index_delta(self, i: int, q: float) -> float:
        """Delta in coins at the index."""
        each = self.universe[i]
        assert isinstance(each, (Perpetual, Future, Option))
        if isinstance(each, Option):
            coins = q * self.option_usd(i, of="coins")
        else:
            coins = q * float(each.multiplier) / (self.price(i) if each.inverse else 1.0)
        return coins * self.index(each.underlying)

    def unsettled(self, i: int, q: float, c: float) -> float:
        """v in coins of the settlement asset."""
        each = self.universe[i]
        assert isinstance(each, (Perpetual, Future))
        m = float(each.multiplier)
        return c - q * m / self.price(i) if each.inverse else q * m * self.price(i) + c

    def option_mark(self, i: int) -> float:
        each = self.universe[i]
        assert isinstance(each, Option)
        if self.market.ticks[i] > 0:
            return float(each.multiplier) * self.price(i) * self.price(self.spot_of(each))
        return self.option_usd(i)

    # ---- the account

    def account(self, rows: Mapping[int, tuple[int, int]], orders: Sequence[Order] = ()) -> Result:
        """rows: instrument -> (lots, quote leg in settlement lots)."""
        p = self.params
        balance: dict[int, float] = {}
        linear: dict[str, float] = {}  # delta of what is not an option, by underlying
        options: list[tuple[int, float]] = []
        by_expiry: dict[tuple[str, int], float] = {}
        linear_by_expiry: dict[tuple[str, int], float] = {}
        close: dict[str, float] = {}
        equity = gross = slow = short_base = 0.0

        for i, (lots, cost) in rows.items():
            each = self.universe[i]
            payer = self.spot_of(each)
            coins = float(self.universe[payer].lot_coins)  # type: ignore[union-attr]
            balance.setdefault(payer, 0.0)
            if isinstance(each, Spot):
                balance[payer] += lots * coins
                gross += abs(lots * coins * self.price(i))
                continue
            q = lots * float(each.lot)
            key = (each.underlying, 0 if isinstance(each, Perpetual) else each.expiry_ns)
            if isinstance(each, Option):
                options.append((i, q))
                equity += q * self.option_mark(i)
                balance[payer] += cost * coins
                gross += abs(cost * coins * self.price(payer))
                delta = q * self.option_usd(i, of="delta")
                close[each.underlying] = close.get(each.underlying, 0.0) + abs(self.index_delta(i, q))
                slow += self._slow(delta, self._gap_of_index(each.underlying))
                short_base += max(0.0, -q) * float(each.multiplier) * self.index(each.underlying)
                gross += abs(q) * float(each.multiplier) * self.index(each.underlying)
            else:
                balance[payer] += self.unsettled(i, q, cost * coins)
                delta = self.linear_delta(i, q)
                linear[each.underlying] = linear.get(each.underlying, 0.0) + delta
                linear_by_expiry[key] = linear_by_expiry.get(key, 0.0) + self.index_delta(i, q)
                slow += self._slow(delta, self._gap(i))
                gross += abs(delta) + abs(cost * coins * self.price(payer))
            by_expiry[key] = by_expiry.get(key, 0.0) + self.index_delta(i, q)
        for (asset, _), delta in linear_by_expiry.items():
            close[asset] = close.get(asset, 0.0) + abs(delta)

        collateral = {True: 0.0, False: 0.0}
        for c, n in balance.items():
            value = n * self.price(c)
            equity += value
            slow += self._slow(value, self._gap(c))
            scanned = self._scanned(c, value)
            if scanned:
                asset = self.universe[c].underlying
                linear[asset] = linear.get(asset, 0.0) + scanned
            for initial in collateral:
                collateral[initial] += self._collateral(c, value, initial)

        roll = sum(abs(delta) * self._roll_rate(self._years_to(expiry)) for (_, expiry), delta in by_expiry.items())
        mr_mm = max(self._scan(linear, options) + roll, p.short_option_maintenance * short_base)
        maintenance = p.maintenance_factor * mr_mm + self._close_out(close) + collateral[False]

        ordered = self._ordered(linear, balance, options, close, orders)
        mr_im = max(ordered.scan + roll, p.short_option_initial * short_base)
        depeg = max(self._depeg(c) for c in {*balance, *ordered.payers}) if balance or orders else 0.0
        quality = sum(
            p.confidence_factor * self._confidence(asset) * size for asset, size in ordered.close.items()
        ) + sum(
            p.confidence_factor * self._confidence(self.universe[c].underlying) * abs(n * self.price(c))
            for c, n in balance.items()
        )
        initial_margin = (1 + depeg) * mr_im + self._close_out(ordered.close) + ordered.alone
        initial_margin += collateral[True] + ordered.collateral + quality + slow
        return Result(equity, max(maintenance, initial_margin), maintenance, gross)

    def _gap(self, i: int) -> float:
        """How far the slow price is below the mark, relative."""
        return (self.price(i) - float(self.market.slow_price[i])) / self.price(i) if self.price(i) else 0.0

    def _gap_of_index(self, asset: str) -> float:
        spots = [i for i, each in enumerate(self.universe) if isinstance(each, Spot) and each.asset == asset]
        return self._gap(spots[0])

    def _slow(self, exposure: float, gap: float) -> float:
        """What the slow price would take from an exposure; its gains do not count."""
        return max(0.0, exposure * gap)

    def _scanned(self, c: int, value: float) -> float:
        terms = self.params.collateral_of(self.universe[c].id)
        return min(value, terms.cap_usd) if terms.scanned else 0.0

    def _collateral(self, c: int, value: float, initial: bool) -> float:
        terms = self.params.collateral_of(self.universe[c].id)
        if value < 0:
            return -value * (terms.borrow_initial if initial else terms.borrow_maintenance)
        first = terms.haircut_initial if initial else terms.haircut_maintenance
        capped = min(value, terms.cap_usd)
        rates = [min(1.0, first + add) for add in (0.0, *terms.tier_add)]
        return marginal(capped, terms.tier_edges_usd, rates) + (value - capped)

    def _roll_rate(self, years: float) -> float:
        return max(self.params.roll_least, self.params.roll_annual * max(0.0, years))

    def _volume(self, asset: str) -> float:
        volumes = [
            float(self.market.volume_usd_daily[i]) for i, each in enumerate(self.universe) if each.underlying == asset
        ]
        known = [volume for volume in volumes if not math.isnan(volume)]
        return sum(known) if known else math.nan

    def _close_out(self, close: Mapping[str, float]) -> float:
        p, total = self.params, 0.0
        for asset, size in close.items():
            spreads = [
                float(self.market.half_spread[i]) for i, each in enumerate(self.universe) if each.underlying == asset
            ]
            total += size * (max(p.half_spread_least, *spreads) + self.penalty)
            volume = self._volume(asset)
            if not math.isnan(volume):
                edges = [edge * volume for edge in p.participation_edges]
                total += self._range(asset) * marginal(size, edges, p.participation_rates)
        return total

    def _confidence(self, asset: str) -> float:
        p, m = self.params, self.market
        return max(
            float(m.confidence[i]) + p.confidence_growth_hourly * max(0.0, float(m.age_s[i]) - p.soft_age_s) / 3600
            for i, each in enumerate(self.universe)
            if each.underlying == asset
        )

    def _depeg(self, c: int) -> float:
        each = self.universe[c]
        if each.underlying not in STABLECOINS or each.underlying == "USD":
            return 0.0
        lowest = min(self.price(c), float(self.market.slow_price[c]))
        return self.params.depeg_factor * max(0.0, self.params.depeg_threshold - lowest)

    def losses(self, linear: Mapping[str, float], options: Sequence[tuple[int, float]]) -> dict[str, list[float]]:
        """-G_u(s)."""
        found: dict[str, list[float]] = {}
        for asset in {*linear, *(self.universe[i].underlying for i, _ in options)}:
            row = []
            for moves, direction, damp in self.scenarios:
                move = moves[asset]
                gain = linear.get(asset, 0.0) * move
                for i, q in options:
                    if self.universe[i].underlying == asset:
                        weight = self.params.option_long_weight if q > 0 else 1.0
                        gain += q * (weight * self.option_usd(i, move, direction) - self.option_usd(i))
                row.append(-damp * gain)
            found[asset] = row
        return found

    def _tail(self, losses: Sequence[float]) -> float:
        count = self.params.expected_shortfall_count
        return max(0.0, sum(sorted(losses, reverse=True)[:count]) / count)

    def _reduce(self, losses: Mapping[str, Sequence[float]]) -> float:
        groups = [set(group.assets) & set(self.universe.assets) for group in self.params.groups]
        total = 0.0
        for group, spec in zip(groups, self.params.groups, strict=True):
            rho = max(0.0, spec.correlation - self.params.correlation_haircut)
            phi = min(self.params.offset_most, max(0.0, 1 - math.sqrt((1 - rho) / 2)))
            rows = [losses[asset] for asset in sorted(group) if asset in losses]
            if rows:
                joint = self._tail([sum(cell) for cell in zip(*rows, strict=True)])
                total += phi * joint + (1 - phi) * sum(self._tail(row) for row in rows)
        return total + sum(self._tail(row) for asset, row in losses.items() if not any(asset in g for g in groups))

    def _scan(self, linear: Mapping[str, float], options: Sequence[tuple[int, float]]) -> float:
        return self._reduce(self.losses(linear, options))

    def _ordered(
        self,
        linear: Mapping[str, float],
        balance: Mapping[int, float],
        options: Sequence[tuple[int, float]],
        close: Mapping[str, float],
        orders: Sequence[Order],
    ) -> "Ordered":
        """The worst, per underlying and scenario, of no fill, all that raise delta, all that lower it."""
        found = Ordered(0.0, dict(close), 0.0, 0.0, set())
        base = self.losses(linear, options)
        change: dict[str, tuple[list[float], list[float]]] = {}  # (delta, profit at the mark) up and down
        moved: dict[int, list[float]] = {}
        for order in orders:
            i, each = order.instrument, self.universe[order.instrument]
            found.payers.add(self.spot_of(each))
            price = float(each.tick * order.price_ticks)
            if isinstance(each, Option):
                found.alone += self._option_order(i, order.lots * float(each.lot), price, found.close)
                continue
            side = change.setdefault(each.underlying, ([0.0, 0.0], [0.0, 0.0]))[0 if order.lots > 0 else 1]
            if isinstance(each, Spot):
                n = order.lots * float(each.lot_coins)
                side[1] += n * (self.price(i) - price)
                moved.setdefault(i, [0.0, 0.0])[0 if order.lots > 0 else 1] += n
            else:
                q = order.lots * float(each.lot)
                delta = self.linear_delta(i, q)
                found.close[each.underlying] = found.close.get(each.underlying, 0.0) + abs(self.index_delta(i, q))
                side[0] += delta
                filled = self.unsettled(i, q, 0.0) - self._unsettled_at(i, q, price)
                side[1] += filled * self.price(self.spot_of(each))
        for c, amounts in moved.items():
            before = balance.get(c, 0.0) * self.price(c)
            after = [before + n * self.price(c) for n in amounts]
            for k, value in enumerate(after):
                side = change[self.universe[c].underlying][k]
                side[0] += self._scanned(c, value) - self._scanned(c, before)
            charges = [self._collateral(c, value, True) for value in (before, *after)]
            found.collateral += max(charges) - charges[0]
        for asset, sides in change.items():
            before_rows = base.get(asset, [0.0] * len(self.scenarios))
            rows = [before_rows]
            for delta, profit in sides:
                rows.append(
                    [
                        loss - damp * delta * moves[asset] - profit
                        for loss, (moves, _, damp) in zip(before_rows, self.scenarios, strict=True)
                    ]
                )
            base[asset] = [max(cell) for cell in zip(*rows, strict=True)]
        found.scan = self._reduce(base)
        return found

    def _unsettled_at(self, i: int, q: float, price: float) -> float:
        each = self.universe[i]
        assert isinstance(each, (Perpetual, Future))
        m = float(each.multiplier)
        return -q * m / price if each.inverse else q * m * price

    def _option_order(self, i: int, q: float, price: float, close: dict[str, float]) -> float:
        each = self.universe[i]
        assert isinstance(each, Option)
        delta = abs(self.index_delta(i, q))
        close[each.underlying] = close.get(each.underlying, 0.0) + delta
        if q > 0:
            return q * float(each.multiplier) * price * self.price(self.spot_of(each))
        worst = max(self.losses({}, [(i, q)])[each.underlying])
        least = -q * float(each.multiplier) * self.index(each.underlying) * self.params.short_option_initial
        return max(max(0.0, worst) + delta * self._roll_rate(self.years(each)), least)


@dataclass
class Ordered:
    scan: float
    close: dict[str, float]
    alone: float
    collateral: float
    payers: set[int]
