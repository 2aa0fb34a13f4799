"""The `portfolio` rule, one account in fractions: equity, MM and IM; semantics 7."""

from collections import defaultdict
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from tests.reference.market import Market
from tests.reference.terms import rate_up
from tests.reference.world import OpenedOrder, World

Sums = dict[str, Fraction]
MICRO = 10**6


class Verdict(NamedTuple):
    """Integers of 1e-6 USD, against the account."""

    equity: int
    initial: int
    maintenance: int
    doubt: int = 0
    """By how much a float of a model value may make it differ: one unit of 1e-9 USD a lot of an option."""

    @property
    def liquidatable(self) -> bool:
        return self.equity < self.maintenance

    @property
    def below_initial(self) -> bool:
        return self.equity < self.initial


class Row(NamedTuple):
    """What an account holds in whole lots, rounded against it: balances in atoms, positions with quote legs."""

    balances: dict[int, int]
    positions: dict[int, tuple[int, int]]


def row_of(world: World, account: int) -> Row:
    """Lots of the margin book: atoms and quote legs down to whole lots of the asset."""
    lot = [each.lot_atoms for each in world.terms]
    return Row(
        {a: atoms // lot[a] * lot[a] for a, atoms in world.balances(account).items()},
        {i: (q, quote // lot[i] * lot[i]) for i, (q, quote) in world.positions(account).items()},
    )


def verdict(world: World, account: int) -> Verdict:
    """Of an account as it is, its orders included."""
    return assess(world.market, row_of(world, account), list(world.orders_of(account).values()))


def assess(market: Market, row: Row, orders: list[OpenedOrder]) -> Verdict:
    """Terms 1 to 9; what was asked before at the same market is not computed again."""
    key = tuple(row.balances.items()), tuple(row.positions.items()), tuple(orders)
    if key not in market.assessed:
        market.assessed[key] = _assess(market, row, orders)
    found: Verdict = market.assessed[key]
    return found


def _assess(market: Market, row: Row, orders: list[OpenedOrder]) -> Verdict:
    held = _Held(market, row)
    p = market.parameters
    plain = held.risk(held.scan({}), "short_option_maintenance")
    maintenance = (
        p.rate("maintenance_factor") * plain + held.close_out(held.close) + held.collateral("maintenance", {}, {})
    )

    more = _Orders(held, orders)
    risk = held.risk(held.scan(more.losses), "short_option_initial")
    depeg = max((market.depeg(c) for c in {*held.net, *more.payers}), default=Fraction(0))
    initial = (1 + depeg) * risk + held.close_out(more.close) + more.alone
    initial += held.collateral("initial", more.bought, more.sold) + held.confidence(more.close) + held.slow()
    doubt = sum(abs(q) for i, (q, _) in row.positions.items() if market.terms[i].form == "option")
    doubt += sum(abs(order.lots) for order in orders if market.terms[order.instrument].form == "option")
    initial = max(initial, maintenance)
    return Verdict(
        floor(held.equity() * MICRO), ceil(initial * MICRO), ceil(maintenance * MICRO), ceil(Fraction(4 * doubt, 1000))
    )


class _Held:
    """One account's sums."""

    def __init__(self, market: Market, row: Row) -> None:
        self.market, self.row = market, row
        self._losses: dict[str, list[Fraction]] = {}
        self.net: dict[int, int] = defaultdict(int)
        """n_c: balance and unsettled profit settled in c, netted before the sign is taken."""
        for c, atoms in row.balances.items():
            self.net[c] += atoms
        for i, (lots, quote) in row.positions.items():
            each = market.terms[i]
            self.net[each.payer] += each.profit(lots, quote, market.quotes[i].ticks)
        self.by_expiry: dict[tuple[str, int], Fraction] = defaultdict(Fraction)
        self.linear: Sums = defaultdict(Fraction)
        futures: dict[tuple[str, int], Fraction] = defaultdict(Fraction)
        self.close: Sums = defaultdict(Fraction)
        """W_u."""
        for i, (lots, _) in row.positions.items():
            each, at_index = market.terms[i], lots * market.index_delta[i]
            self.by_expiry[each.asset, each.expiry_ns] += at_index
            if each.form == "option":
                self.close[each.asset] += abs(at_index)
            else:
                futures[each.asset, each.expiry_ns] += at_index
                self.linear[each.asset] += lots * market.delta[i]
        for (asset, _), usd in futures.items():
            self.close[asset] += abs(usd)
        for c, atoms in self.net.items():
            if market.parameters.collateral(market.terms[c].id)["scanned"]:
                self.linear[market.terms[c].asset] += self.scanned(c, atoms)

    def options(self) -> list[tuple[int, int]]:
        """(instrument, lots)."""
        return [(i, q) for i, (q, _) in self.row.positions.items() if self.market.terms[i].form == "option"]

    def equity(self) -> Fraction:
        """Term 1."""
        cash = sum((atoms * self.market.atom_usd[c] for c, atoms in self.net.items()), Fraction(0))
        return cash + sum((q * self.market.option_mark(i, q > 0) for i, q in self.options()), Fraction(0))

    def scanned(self, c: int, atoms: int) -> Fraction:
        """USD of a balance whose price risk is in the scan: none above its cap, where nothing counts."""
        terms = self.market.parameters.collateral(self.market.terms[c].id)
        value = atoms * self.market.atom_usd[c]
        if not terms["scanned"]:
            return Fraction(0)
        return value if terms["cap"] is None else min(value, terms["cap"])

    def losses(self, asset: str) -> list[Fraction]:
        """-G_u(s)."""
        if asset not in self._losses:
            self._losses[asset] = self._losses_of(asset)
        return self._losses[asset]

    def _losses_of(self, asset: str) -> list[Fraction]:
        found = [-self.linear.get(asset, Fraction(0)) * move for move in self.market.moves[asset]]
        for i, q in self.options():
            if self.market.terms[i].asset == asset:
                change = self.market.option_change[i][0 if q > 0 else 1]
                found = [loss - q * x for loss, x in zip(found, change, strict=True)]
        return found

    def scan(self, replaced: dict[str, list[Fraction]]) -> Fraction:
        """Terms 2 and 3; `replaced` are the losses of assets with orders."""
        p, market, total = self.market.parameters, self.market, Fraction(0)
        here = {*self.linear, *(market.terms[i].asset for i, _ in self.options()), *replaced}
        rows = {asset: replaced.get(asset) or self.losses(asset) for asset in sorted(here)}

        def tail(losses: list[Fraction]) -> Fraction:
            return max(Fraction(0), sum(sorted(losses)[-p.worst :], Fraction(0)) / p.worst)

        for members, phi in [*p.groups, *(((asset,), Fraction(0)) for asset in rows)]:
            if len(members) == 1 and any(members[0] in group for group, _ in p.groups):
                continue
            mine = [rows[asset] for asset in members if asset in rows]
            if mine:
                apart = sum((tail(row) for row in mine), Fraction(0))
                joint = tail([sum(cell, Fraction(0)) for cell in zip(*mine, strict=True)])
                total += phi * joint + (1 - phi) * apart
        return total

    def risk(self, scan: Fraction, least: str) -> Fraction:
        """MR_k: scan and roll, or the short-option minimum; term 4."""
        market = self.market
        roll = sum((abs(usd) * market.roll_rate(*key) for key, usd in self.by_expiry.items()), Fraction(0))
        short = sum((-q * index_usd(market, i) for i, q in self.options() if q < 0), Fraction(0))
        return max(scan + roll, short * market.parameters.rate(least))

    def close_out(self, close: Sums) -> Fraction:
        """Term 5."""
        market, total = self.market, Fraction(0)
        for asset, usd in close.items():
            total += usd * market.close_rate[asset]
            volume = market.volume[asset]
            if volume is not None:
                edges, rates = market.parameters.participation
                share = tiers(usd, [volume * edge for edge in edges], list(rates))
                total += share * rate_range(market, asset)
        return total

    def collateral(self, kind: str, bought: dict[int, int], sold: dict[int, int]) -> Fraction:
        """Term 6: the worst of what orders of spot would leave."""
        total = Fraction(0)
        for c in {*self.net, *bought, *sold}:
            atoms = self.net.get(c, 0)
            after = [atoms, *(atoms + moved[c] for moved in (bought, sold) if c in moved)]
            total += max(self._charge(c, each, kind) for each in after)
        return total

    def _charge(self, c: int, atoms: int, kind: str) -> Fraction:
        terms = self.market.parameters.collateral(self.market.terms[c].id)
        value = abs(atoms) * self.market.atom_usd[c]
        if atoms < 0:
            return value * rate_up(terms[f"borrow_{kind}"])
        base = terms[f"haircut_{kind}"]
        edges = [edge for edge, _ in terms["tiers"]]
        rates = [rate_up(min(Fraction(1), base + add)) for add in (Fraction(0), *(add for _, add in terms["tiers"]))]
        if terms["cap"] is not None:
            edges, rates = [*edges, terms["cap"]], [*rates, Fraction(1)]
        return tiers(value, edges, rates)

    def confidence(self, close: Sums) -> Fraction:
        """Term 7: gross exposure, balances included."""
        gross = defaultdict(Fraction, close)
        for c, atoms in self.net.items():
            gross[self.market.terms[c].asset] += abs(atoms) * self.market.atom_usd[c]
        return sum((usd * self.market.confidence[asset] for asset, usd in gross.items()), Fraction(0))

    def slow(self) -> Fraction:
        """Semantics 5: in initial margin assets and gains count at the lower, debts and losses at the higher price."""
        charges, total = self.market.slow_charge, Fraction(0)
        rows = [(i, q) for i, (q, _) in self.row.positions.items()] + list(self.net.items())
        for i, q in rows:
            total += q * charges[i][0] if q > 0 else -q * charges[i][1]
        return total


def tiers(value: Fraction, edges: list[Fraction], rates: list[Fraction]) -> Fraction:
    """Marginal rates over the tiers that `value` reaches through."""
    total, below = Fraction(0), Fraction(0)
    for edge, rate in zip([*edges, value], rates, strict=False):
        total += max(Fraction(0), min(edge, value) - below) * rate
        below = edge
    return total


def index_usd(market: Market, i: int) -> Fraction:
    """I_u M of a lot, up to 1e-9."""
    each = market.terms[i]
    return Fraction(ceil(market.index[each.asset] * each.unit * 10**9), 10**9)


def rate_range(market: Market, asset: str) -> Fraction:
    """R_u as a charge rate."""
    return rate_up(market.parameters.range_of(asset))


class _Orders:
    """Term 9: what open orders replace in, or add to, what is held."""

    def __init__(self, held: _Held, orders: list[OpenedOrder]) -> None:
        self.held, market = held, held.market
        self.close: Sums = defaultdict(Fraction, held.close)
        self.alone = Fraction(0)
        self.bought: dict[int, int] = defaultdict(int)
        self.sold: dict[int, int] = defaultdict(int)
        self.payers: set[int] = set()
        delta: dict[tuple[str, bool], Fraction] = defaultdict(Fraction)
        profit: dict[tuple[str, bool], Fraction] = defaultdict(Fraction)
        assets: set[str] = set()
        for order in orders:
            i, q = order.instrument, order.lots
            each, buys = market.terms[i], q > 0
            self.payers.add(each.payer)
            if each.form == "option":
                self.close[each.asset] += abs(q * market.index_delta[i])
                self.alone += self._option(order)
                continue
            assets.add(each.asset)
            if each.form == "spot":
                (self.bought if buys else self.sold)[i] += q * each.lot_atoms
                value = q * each.lot_atoms * market.atom_usd[i]
                profit[each.asset, buys] += value - value * order.price_ticks / market.quotes[i].ticks
            else:
                delta[each.asset, buys] += q * market.delta[i]
                self.close[each.asset] += abs(q * market.index_delta[i])
                gain = each.quote(q, order.price_ticks) if each.form == "linear" else self._inverse_gain(order)
                gain += q * each.factor * market.quotes[i].ticks if each.form == "linear" else 0
                profit[each.asset, buys] += gain * market.atom_usd[each.payer]
        for moved, buys in ((self.bought, True), (self.sold, False)):
            for c, atoms in moved.items():
                before = held.net.get(c, 0)
                delta[market.terms[c].asset, buys] += held.scanned(c, before + atoms) - held.scanned(c, before)
        self.losses = {asset: self._worst(asset, delta, profit) for asset in assets}

    def _worst(
        self, asset: str, delta: dict[tuple[str, bool], Fraction], profit: dict[tuple[str, bool], Fraction]
    ) -> list[Fraction]:
        """No fill, all that raise delta, all that lower it."""
        base, moves = self.held.losses(asset), self.held.market.moves[asset]
        return [
            max([loss] + [loss - delta[asset, buys] * move - profit[asset, buys] for buys in (True, False)])
            for loss, move in zip(base, moves, strict=True)
        ]

    def _inverse_gain(self, order: OpenedOrder) -> int:
        """Coins in atoms, down: q M / P - q M / mark."""
        each, mark = self.held.market.terms[order.instrument], self.held.market.quotes[order.instrument].ticks
        return floor(order.lots * each.factor * (mark - order.price_ticks) / (mark * order.price_ticks))

    def _option(self, order: OpenedOrder) -> Fraction:
        """A purchase costs its premium; a sale is margined alone."""
        market, i, q = self.held.market, order.instrument, order.lots
        each = market.terms[i]
        if q > 0:
            return q * each.factor * order.price_ticks * market.atom_usd[each.payer]
        worst = max(Fraction(0), -q * max(market.option_change[i][1]))
        roll = abs(q * market.index_delta[i]) * market.roll_rate(each.asset, each.expiry_ns)
        return max(worst + roll, -q * index_usd(market, i) * market.parameters.rate("short_option_initial"))
