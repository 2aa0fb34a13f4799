"""Paradex: initial margin fraction of perpetuals in cross margin; portfolio margin over 24 weighted scenarios.

Numeraire: USD (USDC collateral only). Account value is collateral plus unrealised profit, which counts in full;
an order is checked as if filled at its price. Breach: liquidated iff account value < maintenance requirement
(strict); an order passes iff account value >= initial requirement. Rounding: reals.
Unpublished parts are named in `UNPUBLISHED`.
As a Statement: the rule is portfolio margin; equity = account value with options at their marks, IM and MM are the
requirements, each underlying's greater of scan risk and floor added up. All USD assets count as USDC at par.
Source: Paradex docs, risk/paradex-risk-checks, risk/portfolio-margin.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from solvent.domain.universe import LINEAR, OPTION, Universe
from solvent.errors import Problem
from solvent.margin.rules.grid import Chain, delta_coins, padded, scenario_names, scenario_sums, worst_scenarios
from solvent.margin.rules.rows import Groups, Held, sums
from solvent.margin.rules.venue import (
    F64,
    Addend,
    Addends,
    Block,
    Figures,
    PreparedVenue,
    VenueRule,
    checked,
    unlisted,
)

UNPUBLISHED = (
    "forecast of funding over eight hours in the funding provision",
    "price steps between the edges of the regular scenarios: here even steps",
)


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One joint move; the loss counts at `weight`."""

    spot_move: float
    vol: str
    """`up`, `none` or `down`."""
    weight: float = 1.0


def default_scenarios() -> tuple[Scenario, ...]:
    """+-16 % and between, with vol up and down, and far moves with vol up at weight 0.16 / |move|."""
    regular = tuple(
        Scenario(move, vol) for move in (-0.16, -0.12, -0.08, -0.04, 0.04, 0.08, 0.12, 0.16) for vol in ("up", "down")
    )
    weights = (
        (-0.66, 0.24),
        (-0.33, 0.48),
        (0.5, 0.32),
        (1.0, 0.16),
        (2.0, 0.08),
        (3.0, 0.0533),
        (4.0, 0.04),
        (5.0, 0.032),
    )
    return regular + tuple(Scenario(move, "up", weight) for move, weight in weights)


class PortfolioParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Portfolio margin settings of one underlying."""

    scenarios: tuple[Scenario, ...] = default_scenarios()
    vol_up: float = 0.40
    vol_down: float = 0.22
    vega_power: float = 0.30
    days_floor: float = 1.0
    net_delta_rate: float = 0.02
    hedged_delta_rate: float = 0.01
    maintenance_fraction: float = 0.5


class InitialCheck(msgspec.Struct, frozen=True):
    """Account after a hypothetical fill, USD."""

    initial_requirement: float
    unrealised_profit: float
    account_value: float
    passes: bool


class Deltas(msgspec.Struct, frozen=True):
    """Deltas of one underlying in units: net, gross, and the part that hedges itself."""

    net: float
    gross: float
    hedged: float


def initial_margin_check(
    collateral: float, size: float, order_price: float, mark: float, initial_fraction: float
) -> InitialCheck:
    """Whether an order of `size` (signed) at `order_price` passes: value after the fill >= fraction of notional."""
    profit = size * (mark - order_price)
    requirement = abs(size) * mark * initial_fraction
    value = collateral + profit
    return InitialCheck(requirement, profit, value, value >= requirement)


def split_deltas(deltas: Sequence[float]) -> Deltas:
    """Net sum, gross sum, and hedged = (gross - |net|) / 2."""
    net, gross = sum(deltas), sum(abs(delta) for delta in deltas)
    return Deltas(net, gross, (gross - abs(net)) / 2.0)


def minimum_delta_requirement(deltas: Deltas, spot_usd: float, params: PortfolioParams) -> float:
    """(rate |net delta| + rate hedged delta) spot, USD: the floor of portfolio margin."""
    return (abs(deltas.net) * params.net_delta_rate + deltas.hedged * params.hedged_delta_rate) * spot_usd


def vol_factor(vol: str, days: float, params: PortfolioParams) -> float:
    """Factor on implied vol: 1 +- shock (30 / max(floor, days))^power, not below zero."""
    shock = {"up": params.vol_up, "none": 0.0, "down": -params.vol_down}[vol]
    return max(0.0, 1.0 + shock * math.pow(30.0 / max(params.days_floor, days), params.vega_power))


def scan_risk(profits: Sequence[float], params: PortfolioParams) -> float:
    """Largest weighted loss over the scenarios, at least zero; `profits` in the scenarios' order, USD."""
    return max(0.0, *(-profit * each.weight for profit, each in zip(profits, params.scenarios, strict=True)))


def portfolio_margins(
    scan: float, minimum_delta: float, funding_provision: float, fee_provision: float, params: PortfolioParams
) -> tuple[float, float]:
    """(initial, maintenance) requirement, USD: the greater of scan risk and floor, half of it in maintenance.

    Funding and fee provisions are added to both in full.
    """
    net = max(scan, minimum_delta)
    provisions = funding_provision + fee_provision
    return net + provisions, params.maintenance_fraction * net + provisions


class ParadexParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Portfolio margin of each underlying (or `*`), and provisions."""

    markets: Mapping[str, PortfolioParams]
    fee_provision_rate: float = 0.0
    """On the notional of all positions."""
    funding_provision_rate: float = 0.0
    """On the notional of perpetuals, for the forecast over eight hours."""


class PreparedParadex(PreparedVenue):
    """Portfolio margin at one market."""

    cash_at_par = True

    def build(self) -> None:
        """Profit of one lot in each scenario, deltas, and each underlying's parameters."""
        universe, markets = self.universe, self.params.markets
        none = PortfolioParams(scenarios=())
        self.underlyings = [markets.get(asset, markets.get("*", none)) for asset in universe.assets]
        width = max((len(each.scenarios) for each in self.underlyings), default=1) or 1
        self.weight = padded([np.array([x.weight for x in each.scenarios]) for each in self.underlyings], width)
        self.moves = padded([np.array([x.spot_move for x in each.scenarios]) for each in self.underlyings], width)
        names = [[f"{x.spot_move:+.0%} vol {x.vol}" for x in each.scenarios] for each in self.underlyings]
        self.scenarios = scenario_names(universe.assets, names)
        columns = [
            (each.net_delta_rate, each.hedged_delta_rate, each.maintenance_fraction) for each in self.underlyings
        ]
        self.net_rate, self.hedged_rate, self.fraction = np.array(columns).reshape(-1, 3).T
        self.chain = Chain.of(self.market)
        self.delta = delta_coins(self.market, self.chain)
        self.profit = self._profits(width)
        is_perpetual = universe.terms.form == LINEAR
        self.fee_usd = self.params.fee_provision_rate * np.where(universe.terms.form == 0, 0.0, self.notional)
        self.funding_usd = self.params.funding_provision_rate * np.where(is_perpetual, self.notional, 0.0)

    def _profits(self, width: int) -> F64:
        """(I, S) USD that one lot gains in each scenario of its underlying."""
        terms, chain = self.universe.terms, self.chain
        linear = np.where(terms.form == LINEAR, self.notional, 0.0)
        profit = linear[:, None] * self.moves[terms.underlying]
        factor = np.ones((len(chain.rows), width))
        for o, (asset, days) in enumerate(zip(chain.asset.tolist(), chain.days.tolist(), strict=True)):
            params = self.underlyings[asset]
            factor[o, : len(params.scenarios)] = [vol_factor(x.vol, days, params) for x in params.scenarios]
        if len(chain.rows):
            shocked = chain.values(1.0 + self.moves[chain.asset], chain.vol[:, None] * factor)
            profit[chain.rows] = shocked - chain.now()[:, None]
        return np.asarray(profit)

    def figures(self, block: Block) -> Figures:
        """Margins of a block of accounts."""
        rows, terms = block.rows, self.universe.terms
        width = max(1, len(self.universe.assets))
        which = rows.instrument
        groups = Groups.of(rows.owner * width + terms.underlying[which], terms.form[which] != 0)
        owner, asset = groups.key // width, groups.key % width
        losses = -scenario_sums(rows, groups, self.profit) * self.weight[asset]
        scan = np.maximum(0.0, losses.max(axis=1))
        delta = rows.lots * self.delta[which]
        net, gross = np.abs(groups.sums(delta)), groups.sums(np.abs(delta))
        floor = (self.net_rate[asset] * net + self.hedged_rate[asset] * (gross - net) / 2.0) * self.index_usd[asset]
        need = np.maximum(scan, floor)
        provisions = rows.total(np.abs(rows.lots) * (self.fee_usd + self.funding_usd)[which])
        initial = sums(owner, need, block.size) + provisions
        maintenance = sums(owner, need * self.fraction[asset], block.size) + provisions
        return Figures(
            initial,
            maintenance,
            rows.total(np.abs(rows.lots) * np.abs(self.profit).max(axis=1)[which]),
            worst=worst_scenarios(block.size, owner, asset, scan, losses),
        )

    def addends(self, held: Held) -> Addends:
        """Scan risk or floor of each underlying, and provisions."""
        initial, maintenance = list[Addend](), list[Addend]()
        assets = self.universe.terms.underlying
        for asset in sorted({int(assets[i]) for i in held.lots}):
            params, name = self.underlyings[asset], self.universe.assets[asset]
            mine = {i: lots for i, lots in held.lots.items() if assets[i] == asset}
            profits = sum((lots * self.profit[i] for i, lots in mine.items()), np.zeros(self.profit.shape[1]))
            scan = scan_risk(profits[: len(params.scenarios)].tolist(), params)
            deltas = split_deltas([lots * float(self.delta[i]) for i, lots in mine.items()])
            floor = minimum_delta_requirement(deltas, float(self.index_usd[asset]), params)
            term = "scan risk" if scan >= floor else "minimum delta requirement"
            first, second = portfolio_margins(scan, floor, 0.0, 0.0, params)
            initial.append((term, name, first))
            maintenance.append((term, name, second))
        provisions: list[Addend] = [
            (f"{name} provision", self.universe[i].id, abs(lots) * Fraction(float(table[i])))
            for name, table in (("fee", self.fee_usd), ("funding", self.funding_usd))
            for i, lots in held.lots.items()
        ]
        return Addends(self.value_addends(held), [*initial, *provisions], [*maintenance, *provisions])


class ParadexRule(VenueRule):
    """Paradex portfolio margin; see the module."""

    name = "paradex"
    Params = ParadexParams
    needs = frozenset({"price", "vol"})
    margins = frozenset({"cash", "perpetual", "option"})
    prepared = PreparedParadex

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Moves, weights and rates outside their bounds."""
        rows: list[tuple[str, object, bool, str]] = []
        for name in ("fee_provision_rate", "funding_provision_rate"):
            rows.append((name, getattr(params, name), 0 <= getattr(params, name) <= 1, "from 0 to 1"))
        for name, each in params.markets.items():
            where = f"markets.{name}"
            rows.append((f"{where}.scenarios", len(each.scenarios), len(each.scenarios) > 0, "at least one"))
            for x in each.scenarios:
                good = x.spot_move > -1 and x.vol in ("up", "none", "down") and 0 < x.weight <= 1
                rows.append((f"{where}.scenarios", x, good, "a move above -1, vol up, none or down, a weight to 1"))
            for field in ("vol_up", "vol_down", "vega_power", "net_delta_rate", "hedged_delta_rate"):
                rows.append((f"{where}.{field}", getattr(each, field), 0 <= getattr(each, field) <= 10, "from 0 to 10"))
            part = each.maintenance_fraction
            rows.append((f"{where}.maintenance_fraction", part, 0 < part <= 1, "above 0, at most 1"))
        return checked(rows)

    def missing(self, params: Any, universe: Universe) -> dict[int, str]:
        """Derivatives of underlyings without parameters."""
        return unlisted(universe, params.markets, "markets", (LINEAR, OPTION))
