"""OKX portfolio margin: stress losses MR1-MR6 of a risk unit, minimum charge MR7, borrowing MR8, depeg MR9.

Numeraire: USD. Equity is adjusted equity (discounted balances plus unrealised profit); profit counts in full.
MMR = max(max(MR1, MR2, MR6) + MR3 + MR4 + MR5, MR7) + MR8 + MR9; IMR = 1.3 MMR. Breach: liquidated iff
margin ratio adjusted equity / (MMR + liquidation cost) <= 100 % (not strict). Rounding: reals.
Unpublished parts are named in `UNPUBLISHED`; here they are arguments, never guessed.
As a Statement: MM = equity - adjusted equity + MMR + liquidation cost, so that equity <= MM iff the margin ratio <= 1;
IM the same with IMR. A risk unit is an underlying with all its derivatives; spot takes part in adjusted equity only
(no spot hedge). Without positions or loans MM is 0 unless adjusted equity is negative.
Source: OKX help centre, portfolio margin mode; announcements of Dec 2021, Dec 2024 and Jan 2025.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec
import numpy as np

from solvent.domain.universe import INVERSE, LINEAR, OPTION, SPOT, Universe
from solvent.errors import Problem
from solvent.margin.rules.brackets import Bracket, BracketTable, Tiers, charge, check_brackets, from_uppers
from solvent.margin.rules.grid import (
    YEAR_DAYS,
    Chain,
    delta_coins,
    padded,
    scenario_names,
    scenario_sums,
    worst_scenarios,
)
from solvent.margin.rules.rows import Groups, Held, sums
from solvent.margin.rules.venue import (
    BOOL,
    F64,
    I64,
    Addend,
    Addends,
    Block,
    Figures,
    PreparedVenue,
    VenueRule,
    at_least,
    check_rates,
    checked,
    listed_rates,
    required_addends,
    required_margin,
    total,
    unlisted,
)

UNPUBLISHED = (
    "MR1 and MR6: relative moves of implied volatility",
    "MR2: horizon of the theta decay",
    "MR3: vega coefficients by term",
    "MR5: rate shock by term",
    "MR7: slippage coefficients of the raw minimum charge",
    "liquidation cost in the margin ratio",
)


class Params(msgspec.Struct, frozen=True):
    """Published parameters of one risk unit; defaults are BTC and ETH, January 2025."""

    price_moves: tuple[float, ...] = (-0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12)
    """MR1, each with vol down, same and up: 21 scenarios."""
    extreme_moves: tuple[float, ...] = (-0.24, 0.24)
    extreme_fraction: float = 0.5
    """MR6 counts this share of the extreme loss."""
    annualised_move_risk: float = 0.05
    basis_move_min: float = 0.0
    """MR4: |delta| max(minimum, risk x years) by expiry."""
    minimum_charge_tiers: tuple[Bracket, ...] = from_uppers(
        (1e4, 7e4, 1.7e5, 3e5, 4.7e5, 7e5), (1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0)
    )
    depeg_tiers: tuple[Bracket, ...] = from_uppers((1e6, 5e6), (0.0075, 0.0175, 0.025))
    initial_factor: float = 1.3


class StressLosses(msgspec.Struct, frozen=True):
    """Terms of one risk unit, USD, each at least zero."""

    mr1_spot_shock: float = 0.0
    mr2_theta_decay: float = 0.0
    mr3_vega: float = 0.0
    mr4_basis: float = 0.0
    mr5_rate: float = 0.0
    mr6_extreme_move: float = 0.0
    mr7_minimum_raw: float = 0.0

    @property
    def stress(self) -> float:
        """max(MR1, MR2, MR6) + MR3 + MR4 + MR5."""
        worst = max(self.mr1_spot_shock, self.mr2_theta_decay, self.mr6_extreme_move)
        return worst + self.mr3_vega + self.mr4_basis + self.mr5_rate


def worst_loss(profits: Sequence[float]) -> float:
    """Largest loss of a scenario grid, at least zero (MR1)."""
    return max(0.0, *(-profit for profit in profits))


def extreme_loss(profits: Sequence[float], params: Params) -> float:
    """MR6: the stated share of the larger loss over the extreme moves."""
    return params.extreme_fraction * worst_loss(profits)


def basis_risk(delta_usd_by_years: Mapping[float, float], params: Params) -> float:
    """MR4: sum over expiries of |delta| max(minimum move, annualised risk x years), USD."""
    return sum(
        abs(delta) * max(params.basis_move_min, params.annualised_move_risk * years)
        for years, delta in delta_usd_by_years.items()
    )


def minimum_charge(raw_usd: float, tiers: Sequence[Bracket]) -> float:
    """MR7: the raw charge with marginal multipliers by size."""
    return charge(raw_usd, tiers)


def depeg_risk(hedge_usd: float, tiers: Sequence[Bracket]) -> float:
    """MR9: marginal rates on the amount hedged across stablecoins and USD."""
    return charge(hedge_usd, tiers)


def cross_currency_hedge(cash_delta_usd: Mapping[str, float]) -> float:
    """Amount that positions in one stablecoin (or USD) hedge in another: the lesser of long and short deltas."""
    longs = sum(max(0.0, delta) for delta in cash_delta_usd.values())
    shorts = sum(max(0.0, -delta) for delta in cash_delta_usd.values())
    return min(longs, shorts)


def unit_maintenance_margin(losses: StressLosses, params: Params) -> float:
    """Derivatives margin of one risk unit, USD: the stress terms, at least the tiered minimum charge."""
    return max(losses.stress, minimum_charge(losses.mr7_minimum_raw, params.minimum_charge_tiers))


def account_margins(
    units: Sequence[StressLosses], borrow_margin: float, depeg_hedge_usd: float, params: Params
) -> tuple[float, float]:
    """(initial, maintenance) margin of an account, USD: risk units, MR8 `borrow_margin` and MR9 add up."""
    maintenance = sum(unit_maintenance_margin(unit, params) for unit in units)
    maintenance += borrow_margin + depeg_risk(depeg_hedge_usd, params.depeg_tiers)
    return params.initial_factor * maintenance, maintenance


def margin_ratio(adjusted_equity: float, maintenance: float, liquidation_cost: float) -> float:
    """Adjusted equity / (MMR + liquidation cost); +-inf by the sign of equity where nothing is required."""
    required = maintenance + liquidation_cost
    if required == 0:
        return float("inf") if adjusted_equity >= 0 else float("-inf")
    return adjusted_equity / required


class UnitTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One risk unit as a policy states it; what is unpublished is 0 unless the policy gives it."""

    price_moves: tuple[float, ...] = (-0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12)
    extreme_moves: tuple[float, ...] = (-0.24, 0.24)
    annualised_move_risk: float = 0.05
    basis_move_min: float = 0.0
    minimum_charge: Tiers = Tiers((1e4, 7e4, 1.7e5, 3e5, 4.7e5, 7e5), (1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0))
    vol_move: float = 0.0
    """MR1: relative move of implied volatility, up and down."""
    theta_days: float = 0.0
    """MR2: horizon."""
    vega_move: float = 0.0
    """MR3: move of volatility (1.00 = 100 points) charged on each expiry's vega."""
    rate_move: float = 0.0
    """MR5: move of the annual rate charged on each expiry's rho."""
    minimum_charge_rate: float = 0.0
    """MR7: raw charge on the notional of every position."""


class OkxParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Risk units by underlying (or `*`), and what holds for the account."""

    units: Mapping[str, UnitTerms]
    collateral_rates: Mapping[str, float]
    """First discount rate by asset."""
    extreme_fraction: float = 0.5
    depeg: Tiers = Tiers((1e6, 5e6), (0.0075, 0.0175, 0.025))
    initial_factor: float = 1.3
    borrow_rate: float = 0.0
    """MR8: on debts."""
    liquidation_cost_rate: float = 0.0
    """On the notional of every position."""

    def of_unit(self, terms: UnitTerms) -> Params:
        """Parameters of the functions above."""
        return Params(
            terms.price_moves,
            terms.extreme_moves,
            self.extreme_fraction,
            terms.annualised_move_risk,
            terms.basis_move_min,
            terms.minimum_charge.brackets,
            self.depeg.brackets,
            self.initial_factor,
        )


class Units(NamedTuple):
    """Risk units of a block of accounts, USD: G of them."""

    owner: I64
    asset: I64
    margin: F64
    """MR1 to MR7."""
    hedge: F64
    """Hedged across stablecoins and USD, for MR9."""
    losses: F64
    """(G, S) of MR1."""


NONE = UnitTerms(price_moves=(), extreme_moves=(), minimum_charge=Tiers((), (1.0,)))


class PreparedOkx(PreparedVenue):
    """The rule at one market."""

    strict = False
    ratio_name = "margin_ratio"

    def build(self) -> None:
        """Scenario profits and sensitivities of one lot, keys of expiries and currencies."""
        universe, terms, market = self.universe, self.universe.terms, self.market
        self.units = [self.params.units.get(each, self.params.units.get("*", NONE)) for each in universe.assets]
        self.unit_params = [self.params.of_unit(each) for each in self.units]
        self.chain = Chain.of(market)
        self.delta_usd = delta_coins(market, self.chain) * self.index_usd[terms.underlying]
        self.delta_usd[terms.form != OPTION] = self.notional[terms.form != OPTION]
        self.delta_usd[terms.form == SPOT] = 0.0
        self.delta_usd[self.chain.rows] = self.chain.delta_coins() * self.chain.forward
        moves = [np.repeat(each.price_moves, 3) for each in self.units]
        vols = [np.tile([1 - each.vol_move, 1.0, 1 + each.vol_move], len(each.price_moves)) for each in self.units]
        self.profit = self._profits(moves, vols)
        far = [np.array(each.extreme_moves) for each in self.units]
        self.extreme = self._profits(far, [np.ones(len(each)) for each in far])
        self.theta, self.vega, self.rho = self._sensitivities()
        vol_names = ("down", "same", "up")
        names = [[f"{move:+.0%} vol {vol}" for move in each.price_moves for vol in vol_names] for each in self.units]
        self.scenarios = scenario_names(universe.assets, names)
        self._keys()
        self.charge_table = BracketTable.of(
            len(self.units), {u: each.minimum_charge.brackets for u, each in enumerate(self.units)}
        )
        self.depeg_table = BracketTable.of(1, {0: self.params.depeg.brackets})

    def _profits(self, moves: list[F64], vols: list[F64]) -> F64:
        """(I, S) USD that one lot gains in each scenario of its underlying."""
        terms, chain = self.universe.terms, self.chain
        width = max((len(each) for each in moves), default=1) or 1
        move, vol = padded(moves, width), 1.0 + padded([each - 1.0 for each in vols], width)
        profit = self.delta_usd[:, None] * move[terms.underlying]
        if len(chain.rows):
            shocked = chain.values(1.0 + move[chain.asset], chain.vol[:, None] * np.maximum(vol[chain.asset], 0.0))
            profit[chain.rows] = shocked - chain.now()[:, None]
        return np.asarray(profit)

    def _sensitivities(self) -> tuple[F64, F64, F64]:
        """(I,) of one lot: change of value over the theta horizon, vega and rho, USD."""
        found, chain = np.zeros((3, len(self.universe))), self.chain
        if len(chain.rows):
            days = np.array([self.units[u].theta_days for u in chain.asset.tolist()])
            later = chain._replace(years=np.maximum(chain.years - days / YEAR_DAYS, 0.0))
            now = chain.now()
            found[:, chain.rows] = later.now() - now, chain.greeks().vega * chain.unit, -chain.years * now
        return found[0], found[1], found[2]

    def _keys(self) -> None:
        """Numbers of (underlying, expiry) and (underlying, currency that profit is in), and rates by expiry."""
        terms, market = self.universe.terms, self.market
        expiry = np.unique(np.stack([terms.underlying, terms.expiry_ns]), axis=1, return_inverse=True)
        self.expiry_asset, self.expiry_key = expiry[0][0], expiry[1].ravel()
        years = np.maximum(expiry[0][1] - market.ts_ns, 0) / 1e9 / 31_536_000.0
        self.expiry_years = np.where(expiry[0][1] > 0, years, 0.0)
        risk, least, vega, rate = np.array(
            [(x.annualised_move_risk, x.basis_move_min, x.vega_move, x.rate_move) for x in self.units]
        ).reshape(-1, 4).T  # fmt: skip
        self.basis_rate = np.maximum(least[self.expiry_asset], risk[self.expiry_asset] * self.expiry_years)
        self.vega_move, self.rate_move = vega[self.expiry_asset], rate[self.expiry_asset]
        self.minimum_rate = np.array([each.minimum_charge_rate for each in self.units])
        is_usd = (terms.form == INVERSE) | (terms.form == OPTION) & terms.coin_priced
        currency = np.where(is_usd, -1, terms.underlying[terms.settlement])
        pair = np.unique(np.stack([terms.underlying, currency]), axis=1, return_inverse=True)
        self.pair_asset, self.pair_key = pair[0][0], pair[1].ravel()

    def weights(self) -> F64:
        """Discount rates."""
        return listed_rates(self.universe, self.params.collateral_rates)

    def _units(self, block: Block) -> Units:
        """Terms of every risk unit of a block."""
        rows, which, terms = block.rows, block.rows.instrument, self.universe.terms
        assets, held = max(1, len(self.universe.assets)), terms.form[which] != SPOT
        lots = rows.lots.astype(np.float64)
        groups = Groups.of(rows.owner * assets + terms.underlying[which], held)
        owner, asset = groups.key // assets, groups.key % assets
        losses = -scenario_sums(rows, groups, self.profit)
        extreme = -scenario_sums(rows, groups, self.extreme)
        theta = np.maximum(0.0, -groups.sums(lots * self.theta[which]))
        far = self.params.extreme_fraction * np.maximum(0.0, extreme.max(axis=1, initial=0.0))
        worst = np.maximum(np.maximum(0.0, losses.max(axis=1, initial=0.0)), np.maximum(theta, far))
        stress = worst + self._by_expiry(block, groups.key, held)
        raw = groups.sums(np.abs(lots) * self.notional[which]) * self.minimum_rate[asset]
        margin = np.maximum(stress, self.charge_table.charge(raw, asset))
        return Units(owner, asset, margin, self._hedges(block, groups.key, held), losses)

    def _by_expiry(self, block: Block, unit_key: I64, held: BOOL) -> F64:
        """(G,) MR3 + MR4 + MR5: each expiry's net vega, delta and rho, unsigned."""
        rows, which = block.rows, block.rows.instrument
        count, assets = len(self.expiry_asset), max(1, len(self.universe.assets))
        expiries = Groups.of(rows.owner * count + self.expiry_key[which], held)
        owner, expiry = expiries.key // count, expiries.key % count
        amount = np.abs(expiries.sums(rows.lots * self.delta_usd[which])) * self.basis_rate[expiry]
        amount += np.abs(expiries.sums(rows.lots * self.vega[which])) * self.vega_move[expiry]
        amount += np.abs(expiries.sums(rows.lots * self.rho[which])) * self.rate_move[expiry]
        place = np.searchsorted(unit_key, owner * assets + self.expiry_asset[expiry])
        return sums(place, amount, len(unit_key))

    def _hedges(self, block: Block, unit_key: I64, held: BOOL) -> F64:
        """(G,) the lesser of a unit's long and short deltas by currency of profit."""
        rows, which = block.rows, block.rows.instrument
        count, assets = len(self.pair_asset), max(1, len(self.universe.assets))
        pairs = Groups.of(rows.owner * count + self.pair_key[which], held)
        owner, pair = pairs.key // count, pairs.key % count
        delta = pairs.sums(rows.lots * self.delta_usd[which])
        place = np.searchsorted(unit_key, owner * assets + self.pair_asset[pair])
        size = len(unit_key)
        return np.minimum(sums(place, np.maximum(delta, 0.0), size), sums(place, np.maximum(-delta, 0.0), size))

    def figures(self, block: Block) -> Figures:
        """Margins and ratio of a block of accounts."""
        units, rows = self._units(block), block.rows
        debts = sums(block.balances.owner, np.maximum(-block.balances.usd, 0.0), block.size)
        hedge = sums(units.owner, units.hedge, block.size)
        depeg = self.depeg_table.charge(hedge, np.zeros(block.size, np.int64))
        margin = sums(units.owner, units.margin, block.size) + debts * self.params.borrow_rate + depeg
        held = self.universe.terms.form[rows.instrument] != SPOT
        size = rows.total(np.where(held, np.abs(rows.lots) * self.notional[rows.instrument], 0.0))
        cost = self.params.liquidation_cost_rate * size
        adjusted = block.equity - self.haircuts(block)
        required = required_margin(block, adjusted, margin + cost)
        initial = block.equity - adjusted + self.params.initial_factor * margin + cost
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(margin + cost > 0, adjusted / (margin + cost), np.where(adjusted >= 0, np.inf, -np.inf))
        scale = np.abs(self.profit).max(axis=1) + np.abs(self.extreme).max(axis=1)
        return Figures(
            np.maximum(initial, required.maintenance),
            required.maintenance,
            12.0 * size + rows.total(np.abs(rows.lots) * scale[rows.instrument]),
            ratio,
            worst_scenarios(block.size, units.owner, units.asset, units.margin, units.losses),
            required.slack,
        )

    def addends(self, held: Held) -> Addends:
        """Discounts, MR1 to MR9, liquidation cost."""
        equity, haircuts = self.value_addends(held), self.haircut_addends(held)
        margin, hedge = list[Addend](), 0.0
        assets = self.universe.terms.underlying
        for asset in sorted({int(assets[i]) for i in held.lots}):
            mine = {i: lots for i, lots in held.lots.items() if assets[i] == asset}
            margin += self._unit_addends(asset, mine)
            deltas: dict[str, float] = {}
            for i, lots in mine.items():
                pair = str(self.pair_key[i])
                deltas[pair] = deltas.get(pair, 0.0) + lots * float(self.delta_usd[i])
            hedge += cross_currency_hedge(deltas)
        debts = sum((-usd for usd in self.balances_usd(held).values() if usd < 0), Fraction(0))
        margin.append(("MR8 borrowing", "", debts * Fraction(self.params.borrow_rate)))
        margin.append(("MR9 depeg", "", depeg_risk(hedge, self.params.depeg.brackets)))
        size = sum(abs(lots) * float(self.notional[i]) for i, lots in held.lots.items())
        cost: Addend = ("liquidation cost", "", size * self.params.liquidation_cost_rate)
        factor = Fraction(self.params.initial_factor)
        initial = [(f"{name} x {self.params.initial_factor:g}", id, Fraction(x) * factor) for name, id, x in margin]
        maintenance = required_addends(haircuts, [*margin, cost], total(equity))
        return Addends(equity, at_least([*haircuts, *initial, cost], maintenance), maintenance)

    def _unit_addends(self, asset: int, held: Mapping[int, int]) -> list[Addend]:
        """MR1 to MR7 of one risk unit."""
        params, terms, name = self.unit_params[asset], self.units[asset], self.universe.assets[asset]

        def summed(table: F64, width: int) -> list[float]:
            found = sum((lots * table[i] for i, lots in held.items()), np.zeros(table.shape[1]))
            return [float(x) for x in found[:width]]

        vega, delta, rho = dict[int, float](), dict[int, float](), dict[int, float]()
        for i, lots in held.items():
            for into, table in ((vega, self.vega), (delta, self.delta_usd), (rho, self.rho)):
                key = int(self.expiry_key[i])
                into[key] = into.get(key, 0.0) + lots * float(table[i])
        basis = sum(basis_risk({float(self.expiry_years[key]): amount}, params) for key, amount in delta.items())
        losses = StressLosses(
            worst_loss(summed(self.profit, 3 * len(terms.price_moves))),
            max(0.0, -sum(lots * float(self.theta[i]) for i, lots in held.items())),
            sum(abs(x) for x in vega.values()) * terms.vega_move,
            basis,
            sum(abs(x) for x in rho.values()) * terms.rate_move,
            extreme_loss(summed(self.extreme, len(terms.extreme_moves)), params),
            sum(abs(lots) * float(self.notional[i]) for i, lots in held.items()) * terms.minimum_charge_rate,
        )
        if losses.stress < unit_maintenance_margin(losses, params):
            return [("MR7 minimum charge", name, minimum_charge(losses.mr7_minimum_raw, params.minimum_charge_tiers))]
        worst = {
            "MR1 spot shock": losses.mr1_spot_shock,
            "MR2 theta decay": losses.mr2_theta_decay,
            "MR6 extreme move": losses.mr6_extreme_move,
        }
        first = max(worst, key=lambda each: worst[each])
        return [
            (first, name, worst[first]),
            ("MR3 vega", name, losses.mr3_vega),
            ("MR4 basis", name, losses.mr4_basis),
            ("MR5 interest rate", name, losses.mr5_rate),
        ]


class OkxRule(VenueRule):
    """OKX portfolio margin; see the module."""

    name = "okx-pm"
    Params = OkxParams
    needs = frozenset({"price", "vol"})
    margins = frozenset(
        {"cash", "spot", "debt", "perpetual", "inverse perpetual", "future", "inverse future", "option",
         "inverse option"}
    )  # fmt: skip
    homogeneous = False
    prepared = PreparedOkx

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Moves, rates and tiers outside their bounds."""
        rows: list[tuple[str, object, bool, str]] = [
            ("extreme_fraction", params.extreme_fraction, 0 <= params.extreme_fraction <= 1, "from 0 to 1"),
            ("initial_factor", params.initial_factor, params.initial_factor >= 1,
             "1 or more: maintenance margin must not be above initial margin"),
            *((name, getattr(params, name), 0 <= getattr(params, name) <= 1, "from 0 to 1")
              for name in ("borrow_rate", "liquidation_cost_rate")),
            *check_rates(params.collateral_rates, "collateral_rates"),
        ]  # fmt: skip
        found = check_brackets(params.depeg.brackets, "depeg")
        for name, each in params.units.items():
            moves = (*each.price_moves, *each.extreme_moves)
            rows.append((f"units.{name}.price_moves", moves, all(-1 < x <= 10 for x in moves), "moves above -1"))
            fields = ("annualised_move_risk", "basis_move_min", "vol_move", "vega_move", "rate_move",
                      "minimum_charge_rate")  # fmt: skip
            rows += [(f"units.{name}.{f}", getattr(each, f), 0 <= getattr(each, f) <= 1, "from 0 to 1") for f in fields]
            rows.append((f"units.{name}.theta_days", each.theta_days, 0 <= each.theta_days <= 30, "0 to 30 days"))
            found += check_brackets(each.minimum_charge.brackets, f"units.{name}.minimum_charge", 1000.0)
        return checked(rows) + found

    def missing(self, params: Any, universe: Universe) -> dict[int, str]:
        """Derivatives of underlyings without a risk unit."""
        return unlisted(universe, params.units, "units", (LINEAR, INVERSE, OPTION))
