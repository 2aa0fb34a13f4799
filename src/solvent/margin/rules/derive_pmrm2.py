"""Derive portfolio manager, version 2: damped scenarios with tails and skew, contingencies outside the factor.

Numeraire: USD. Net margins: positive is surplus. In the terms of a Statement: equity = mark_to_market,
requirement = mark_to_market - net margin. Unsettled profit of the perpetual counts in full, only where the
position is not zero. Breach: liquidatable iff net maintenance margin < 0 (strict). Rounding: reals (the
contract truncates at 1e-18). Unpublished: nothing. One account holds one underlying; other collateral is
valued but takes no part in the scenarios unless it is risk-cancelling.
The rule sums over underlyings, each collateral asset being one: see `derive_book` for that and for what stands for the
venue's inputs.
Source: derivexyz/v2-core, src/risk-managers/PMRM_2.sol and PMRMLib_2.sol; defaults as deployed on mainnet.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from solvent.domain.universe import Universe
from solvent.errors import Problem
from solvent.margin.rules.derive import (
    F64,
    YEAR_S,
    OptionHolding,
    VolShock,
    basis_contingency,
    confidence_charge,
    expiry_values,
    merged,
    naked_shorts,
)
from solvent.margin.rules.derive_book import Holdings, PmrmRule, PreparedPmrm, Reduced
from solvent.margin.rules.grid import scenario_sums, worst_scenarios
from solvent.margin.rules.rows import Held, sums
from solvent.margin.rules.venue import Addend, Addends, Block, Figures, checked

SETTLEMENT_S = 1_800
"""Over the last half hour the forward becomes the settlement average, second by second."""


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One joint move of spot and vol; its profit is multiplied by `dampening`."""

    spot_multiplier: float
    vol: str
    """`up`, `none`, `down`; `linear` and `abs` turn or lift the smile's wings and leave the forward alone."""
    dampening: float = 1.0


SCENARIOS = (
    Scenario(1.18, "up"),
    *(Scenario(spot, vol) for spot in (1.135, 1.09, 1.045, 1.0, 0.955, 0.91, 0.865) for vol in ("up", "none", "down")),
    Scenario(0.82, "up"),
    *(
        Scenario(spot, "up", dampening)
        for spot, dampening in (
            (0.34, 0.21),
            (0.67, 0.42),
            (1.5, 0.2772),
            (2.0, 0.1386),
            (3.0, 0.0693),
            (4.0, 0.0462),
            (5.0, 0.03465),
            (6.0, 0.02772),
        )
    ),
    Scenario(1.0, "linear"),
    Scenario(1.0, "abs"),
)


class SkewShock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Relative vol shock proportional to log-moneyness, capped beyond k*, where the smile flattens out."""

    linear_cap: float = 0.25
    linear_cap_slope: float = -0.1
    abs_cap: float = 0.25
    abs_cap_slope: float = -0.1
    """Cap = slope sqrt(T) + cap."""
    k_star_min: float = 0.01
    width_scale: float = 4.0
    vol_static: float = 0.6
    vol_scale: float = 0.0
    """k* = max(minimum, sqrt(T) width (static + scale sqrt(T)))."""

    def factors(self, log_moneyness: F64, root_years: float, is_linear: bool) -> F64:
        """Factors on vol by log-moneyness ln(K/F); never negative.

        With a negative cap the protocol's min and max no longer clamp but amplify; that is kept.
        """
        slope, base = (self.linear_cap_slope, self.linear_cap) if is_linear else (self.abs_cap_slope, self.abs_cap)
        cap = slope * root_years + base
        k_star = max(self.k_star_min, root_years * self.width_scale * (self.vol_static + self.vol_scale * root_years))
        k = log_moneyness if is_linear else np.abs(log_moneyness)
        shift = k * cap / k_star if k_star > 0 else np.sign(k) * cap
        return np.maximum(0.0, 1.0 + np.where(k >= 0, np.minimum(cap, shift), np.maximum(-cap, shift)))


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of one manager (one underlying). Percentages of initial margin add to maintenance's."""

    vol_shock: VolShock = VolShock(range_up=0.5, range_down=0.3)
    vol_up_min: float = 0.40
    """Floor on a vol that is shocked up."""
    skew: SkewShock = SkewShock()
    mm_factor: float = 0.8
    im_factor: float = 1.0
    long_static_discount: float = 0.95
    long_rate_mult: float = 0.0
    long_rate_add: float = 0.16
    short_static_discount: float = 1.04
    short_rate_mult: float = 0.0
    short_rate_add: float = 0.16
    basis_spot_up: float = 1.045
    basis_spot_down: float = 0.955
    basis_add_factor: float = 0.5
    basis_mult_factor: float = 2.0
    peg_threshold_usd: float = 0.99
    peg_factor: float = 4.0
    confidence_threshold: float = 0.55
    confidence_margin: float = 1.0
    perpetual_mm_percent: float = 0.03
    perpetual_im_percent: float = 0.01
    option_mm_percent: float = 0.003
    option_im_percent: float = 0.002
    scenarios: tuple[Scenario, ...] = SCENARIOS


class Expiry(msgspec.Struct, frozen=True):
    """Options of one expiry with their oracles."""

    seconds: float
    forward_usd: float
    rate_annual: float
    confidence: float
    """Lowest of the forward's, the rate's and the vol surface's confidence, 0 to 1."""
    options: tuple[OptionHolding, ...]


class Collateral(msgspec.Struct, frozen=True):
    """An asset held as collateral; haircuts are fractions of its value."""

    amount: float
    price_usd: float
    confidence: float
    is_risk_cancelling: bool
    """Whether the account's spot scenarios move it too."""
    mm_haircut: float
    im_haircut: float
    """Adds to `mm_haircut`."""


class Account(msgspec.Struct, frozen=True):
    """One account with the market it is valued in."""

    cash_usd: float
    spot_usd: float
    spot_confidence: float = 1.0
    stable_usd: float = 1.0
    perpetual: float = 0.0
    perpetual_price_usd: float = 0.0
    perpetual_confidence: float = 1.0
    unsettled_profit_usd: float = 0.0
    """Unsettled profit and funding of the perpetual."""
    collaterals: tuple[Collateral, ...] = ()
    expiries: tuple[Expiry, ...] = ()

    @property
    def confidence(self) -> float:
        """Lowest confidence of spot and, where a perpetual is held, of its price."""
        return min(self.spot_confidence, self.perpetual_confidence) if self.perpetual else self.spot_confidence


class Margins(msgspec.Struct, frozen=True):
    """Net margins and their parts, USD."""

    initial_margin: float
    maintenance_margin: float
    mark_to_market: float
    option_mark: float
    collateral_mark: float
    basis_contingency: float
    mm_contingency: float
    im_contingency: float
    """Charged on top of `mm_contingency`."""
    scenario_pnl: tuple[float, ...]
    worst_scenario: int
    """Index into the scenarios; their number where the basis contingency is worst."""


class Charges(msgspec.Struct, frozen=True):
    """Contingencies outside the scenario factor, USD; the initial one adds to the maintenance one."""

    maintenance: float
    initial: float

    def __add__(self, other: "Charges") -> "Charges":
        return Charges(self.maintenance + other.maintenance, self.initial + other.initial)


class ExpiryRisk(msgspec.Struct, frozen=True):
    """What one expiry adds to an account's sums, USD."""

    mark: float
    pnl: F64
    """Shape (scenarios,)."""
    basis: float
    charges: Charges


def forward_portions(forward_usd: float, seconds: float) -> tuple[float, float]:
    """(fixed, variable) parts of the forward: in the last 30 minutes the average observed so far is fixed."""
    if seconds >= SETTLEMENT_S:
        return 0.0, forward_usd
    variable = forward_usd * seconds / SETTLEMENT_S
    return forward_usd - variable, variable


def static_discounts(expiry: Expiry, discount: float, params: Params) -> tuple[float, float]:
    """Factors on a scenario's expiry value: (of a value >= 0, of a value < 0).

    The second never undoes more than the discount of time itself, 1 / discount.
    """
    rate, years = max(expiry.rate_annual, 0.0), expiry.seconds / YEAR_S
    long = params.long_static_discount * math.exp(-years * (rate * params.long_rate_mult + params.long_rate_add))
    short = params.short_static_discount * math.exp(years * (rate * params.short_rate_mult + params.short_rate_add))
    return long, min(1.0 / discount, short)


def scenario_forwards(expiry: Expiry, moves: F64, vols: list[str]) -> F64:
    """Forward in each scenario, shape (s,); the skew scenarios leave it alone."""
    fixed, variable = forward_portions(expiry.forward_usd, expiry.seconds)
    is_skew = np.isin(vols, ("linear", "abs"))
    return np.asarray(fixed + variable * np.where(is_skew, 1.0, moves))


def scenario_vols(expiry: Expiry, options: tuple[OptionHolding, ...], vols: list[str], params: Params) -> F64:
    """Each option's vol in each scenario, shape (s, n)."""
    base = np.array([option.vol for option in options])
    strikes = np.array([option.strike_usd for option in options])
    up, down = params.vol_shock.multipliers(expiry.seconds)
    root = math.sqrt(expiry.seconds / YEAR_S)
    k = np.log(strikes / expiry.forward_usd)
    of = {
        "up": np.maximum(params.vol_up_min, base * up),
        "none": base,
        "down": base * down,
        "linear": base * params.skew.factors(k, root, is_linear=True),
        "abs": base * params.skew.factors(k, root, is_linear=False),
    }
    return np.array([of[vol] for vol in vols]).reshape(len(vols), len(options))


def expiry_risk(expiry: Expiry, account: Account, params: Params) -> ExpiryRisk:
    """Mark, scenario profit, basis contingency and charges of one expiry."""
    options = merged(expiry.options)
    vols = ["none"] * 3 + [scenario.vol for scenario in params.scenarios]
    moves = np.array(
        [1.0, params.basis_spot_up, params.basis_spot_down]
        + [scenario.spot_multiplier for scenario in params.scenarios]
    )
    discount = math.exp(-max(expiry.rate_annual, 0.0) * expiry.seconds / YEAR_S)
    values = expiry_values(
        options,
        expiry.seconds,
        scenario_forwards(expiry, moves, vols),
        scenario_vols(expiry, options, vols, params),
        discount,
    )
    current, up, down = (float(value) for value in values[:3])
    long, short = static_discounts(expiry, discount, params)
    shocked = values[3:] * np.where(values[3:] >= 0, long, short)
    pnl = np.array([scenario.dampening for scenario in params.scenarios]) * (shocked - current)
    is_skew = np.isin(vols[3:], ("linear", "abs"))
    factor = params.basis_add_factor + params.basis_mult_factor * expiry.seconds / YEAR_S
    return ExpiryRisk(
        mark=current,
        pnl=np.where(is_skew, -np.abs(pnl), pnl),
        basis=basis_contingency(current, up, down, factor),
        charges=option_charges(expiry, options, account, params),
    )


def option_charges(expiry: Expiry, options: tuple[OptionHolding, ...], account: Account, params: Params) -> Charges:
    """Naked shorts at a percentage of spot, and the oracle charge on all options (initial margin)."""
    shorts = naked_shorts(options) * account.spot_usd
    gross = sum(abs(option.amount) for option in options) * account.spot_usd
    doubt = confidence_charge(
        min(expiry.confidence, account.confidence),
        params.confidence_threshold,
        params.confidence_margin,
        gross,
    )
    return Charges(shorts * params.option_mm_percent, shorts * params.option_im_percent + doubt)


def perpetual_charges(account: Account, params: Params) -> Charges:
    """Perpetual notional at a percentage, and its oracle charge (initial margin)."""
    notional = abs(account.perpetual) * account.spot_usd
    doubt = confidence_charge(account.confidence, params.confidence_threshold, params.confidence_margin, notional)
    return Charges(notional * params.perpetual_mm_percent, notional * params.perpetual_im_percent + doubt)


def collateral_charges(collateral: Collateral, account: Account, params: Params) -> Charges:
    """Haircuts of one collateral asset, and its oracle charge (initial margin)."""
    value = collateral.amount * collateral.price_usd / account.stable_usd
    doubt = confidence_charge(
        min(collateral.confidence, account.spot_confidence),
        params.confidence_threshold,
        params.confidence_margin,
        value,
    )
    return Charges(value * collateral.mm_haircut, value * collateral.im_haircut + doubt)


def initial_factor(stable_usd: float, params: Params) -> float:
    """Factor of initial margin, raised while the stablecoin is below its threshold."""
    return params.im_factor + max(0.0, params.peg_threshold_usd - stable_usd) * params.peg_factor


def linear_pnl(account: Account, params: Params) -> F64:
    """Scenario profit of the perpetual and of risk-cancelling collateral, shape (scenarios,), USD."""
    moved = account.perpetual * account.perpetual_price_usd + sum(
        each.amount * each.price_usd / account.stable_usd for each in account.collaterals if each.is_risk_cancelling
    )
    scales = [(each.spot_multiplier - 1.0) * each.dampening for each in params.scenarios]
    return moved * np.array(scales)


def account_margins(account: Account, params: Params) -> Margins:
    """Net margins of one account, USD.

    With L = min(basis contingency, worst scenario): maintenance L mm_factor - MM contingency + value,
    initial L (im_factor + peg term) - IM contingency - MM contingency + value.
    Source: PMRMLib_2.sol `getMarginAndMarkToMarket`, `getScenarioPnL`, `addPrecomputes`.
    """
    risks = [expiry_risk(expiry, account, params) for expiry in account.expiries]
    pnl = linear_pnl(account, params) + sum((risk.pnl for risk in risks), np.zeros(len(params.scenarios)))
    charges = sum((risk.charges for risk in risks), perpetual_charges(account, params))
    charges = sum((collateral_charges(each, account, params) for each in account.collaterals), charges)
    basis = sum(risk.basis for risk in risks)
    options = sum(risk.mark for risk in risks)
    collateral = sum(each.amount * each.price_usd / account.stable_usd for each in account.collaterals)
    profit = account.unsettled_profit_usd if account.perpetual else 0.0
    value = account.cash_usd + options + collateral + profit
    worst = int(np.argmin(pnl))
    is_basis = basis <= pnl[worst]
    loss = basis if is_basis else float(pnl[worst])
    return Margins(
        initial_margin=loss * initial_factor(account.stable_usd, params)
        - charges.initial
        - charges.maintenance
        + value,
        maintenance_margin=loss * params.mm_factor - charges.maintenance + value,
        mark_to_market=value,
        option_mark=options,
        collateral_mark=collateral,
        basis_contingency=basis,
        mm_contingency=charges.maintenance,
        im_contingency=charges.initial,
        scenario_pnl=tuple(float(each) for each in pnl),
        worst_scenario=len(pnl) if is_basis else worst,
    )


SKEWS = ("linear", "abs")


class ManagerTerms(Params, frozen=True, forbid_unknown_fields=True):
    """One manager and how its underlying counts as collateral; haircuts are fractions of value."""

    is_risk_cancelling: bool = True
    mm_haircut: float = 0.0
    im_haircut: float = 0.0
    """Adds to `mm_haircut`."""


class Pmrm2Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Managers by underlying."""

    managers: Mapping[str, ManagerTerms]


class PreparedPmrm2(PreparedPmrm):
    """The rule at one market."""

    def build(self) -> None:
        """(I, 3 + S) values of one lot of an option: as it is, at the basis up and down, in each scenario."""
        super().build()
        self.managers = [self.params.managers.get(asset) for asset in self.universe.assets]
        self.prepare_scenarios()
        self.is_skew = np.array([[vol in SKEWS for vol in row] for row in self.vols])
        self.damp = np.zeros(self.multiplier.shape)
        for u, each in enumerate(self.managers):
            scenarios = () if each is None else each.scenarios
            self.damp[u, : len(scenarios)] = [x.dampening for x in scenarios]
        self.values = np.zeros((len(self.universe), 3 + self.width))
        if len(self.chain.rows):
            self.values[self.chain.rows] = self._option_tables()
        discounts = [self._discounts(bucket) for bucket in range(len(self.bucket_asset))]
        self.long, self.short = np.array(discounts).reshape(-1, 2).T

    def _option_tables(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(O, 3 + S) values; in the last half hour only part of the forward still moves."""
        chain, asset = self.chain, self.chain.asset
        basis = np.stack([self.field("basis_spot_up")[asset], self.field("basis_spot_down")[asset]], axis=1)
        spot = np.where(self.is_skew, 1.0, self.multiplier)[asset]
        moves = np.hstack([np.ones((len(asset), 1)), basis, spot])
        moving = np.minimum(1.0, chain.years * YEAR_S / SETTLEMENT_S)[:, None]
        up, down = self.vol_shocks()
        vols = np.repeat(chain.vol[:, None], 3 + self.width, axis=1)
        for o, u in enumerate(asset.tolist()):
            if (params := self.managers[u]) is not None:
                vols[o, 3:] = self._vols(o, params, float(up[o]), float(down[o]), self.vols[u])
        return chain.values(1.0 + moving * (moves - 1.0), vols)

    def _vols(self, o: int, params: Params, up: float, down: float, names: list[str]) -> list[float]:
        """Volatility of one option in each scenario."""
        vol, root = float(self.chain.vol[o]), math.sqrt(float(self.chain.years[o]))
        k = np.log(self.chain.strike[o : o + 1] / self.chain.forward[o])
        of = {
            "up": max(params.vol_up_min, vol * up),
            "none": vol,
            "down": vol * down,
            "linear": vol * float(params.skew.factors(k, root, is_linear=True)[0]),
            "abs": vol * float(params.skew.factors(k, root, is_linear=False)[0]),
        }
        return [of[name] for name in names]

    def _discounts(self, bucket: int) -> tuple[float, float]:
        """`static_discounts` of one expiry."""
        params = self.managers[self.bucket_asset[bucket]]
        if params is None:
            return 1.0, 1.0
        expiry = self._expiry(bucket, ())
        return static_discounts(expiry, math.exp(-max(expiry.rate_annual, 0.0) * expiry.seconds / YEAR_S), params)

    def _expiry(self, bucket: int, options: tuple[OptionHolding, ...]) -> Expiry:
        return Expiry(
            float(self.bucket_years[bucket]) * YEAR_S,
            float(self.bucket_forward[bucket]),
            float(self.bucket_rate[bucket]),
            float(self.bucket_confidence[bucket]),
            options,
        )

    def _reduced(self, block: Block, held: Holdings) -> Reduced:
        """Scenario profit, basis contingency and marks."""
        by_expiry = scenario_sums(block.rows, held.expiries, self.values)
        current, shocked = by_expiry[:, 0], by_expiry[:, 3:]
        asset = self.bucket_asset[held.bucket]
        discount = np.where(shocked >= 0, self.long[held.bucket, None], self.short[held.bucket, None])
        pnl = self.damp[asset] * (shocked * discount - current[:, None])
        pnl = np.where(self.is_skew[asset], -np.abs(pnl), pnl)
        cancelling = self.field("is_risk_cancelling")[held.asset]
        moved = held.perpetual * self.perpetual_usd[held.asset] + cancelling * held.worth / self.stable_usd
        moves = (self.multiplier - 1.0) * self.damp
        total = moved[:, None] * moves[held.asset] + held.by_underlying(pnl)
        return Reduced(total, self.basis_of(by_expiry, held), held.by_underlying(current))

    def figures(self, block: Block) -> Figures:
        """Margins of a block of accounts: equity less the venue's net margins."""
        held = self.holdings(block)
        found, asset = self._reduced(block, held), held.asset
        spot, size = self.spot_usd[asset], np.abs(held.perpetual)
        naked, value = held.by_underlying(self.naked_coins(block, held)) * spot, held.worth / self.stable_usd
        maintenance = size * spot * self.field("perpetual_mm_percent")[asset]
        maintenance += naked * self.field("option_mm_percent")[asset] + value * self.field("mm_haircut")[asset]
        initial = size * spot * self.field("perpetual_im_percent")[asset]
        initial += naked * self.field("option_im_percent")[asset] + value * self.field("im_haircut")[asset]
        initial += self.doubt_rate(self.confidence(held), asset) * size * spot + self.option_doubt(block, held)
        initial += self.doubt_rate(self.spot_confidence[asset], asset) * value
        loss = -self.worst_loss(found)
        first = loss * self.initial_factors()[asset] + initial + maintenance
        second = loss * self.field("mm_factor")[asset] + maintenance
        rest = sums(held.owner, held.worth - value - found.mark, block.size) + block.options
        gross = block.rows.total(np.abs(block.rows.lots) * np.abs(self.values).max(axis=1)[block.rows.instrument])
        return Figures(
            sums(held.owner, first, block.size) + rest,
            sums(held.owner, second, block.size) + rest,
            4.0 * (block.gross + gross),
            worst=worst_scenarios(block.size, held.owner, asset, loss, -found.pnl),
        )

    def addends(self, held: Held) -> Addends:
        """Scenario loss or basis contingency, and the contingencies of each underlying."""
        initial, maintenance = list[Addend](), list[Addend]()
        for asset in self.assets_of(held):
            params, name = self.managers[asset], self.universe.assets[asset]
            account = self._account(held, asset)
            found = account_margins(account, params)
            is_basis = found.worst_scenario == len(found.scenario_pnl)
            loss = -Fraction(found.basis_contingency if is_basis else min(found.scenario_pnl))
            term = "basis contingency" if is_basis else "scenario loss"
            spot, options = self.worth_of(held, asset)
            counted = Fraction(found.mark_to_market - account.unsettled_profit_usd)
            both: list[Addend] = [
                ("MM contingency", name, found.mm_contingency),
                ("equity less mark to market", name, spot + options - counted),
            ]
            maintenance += [(f"{term} x MM factor", name, loss * Fraction(params.mm_factor)), *both]
            factor = Fraction(initial_factor(self.stable_usd, params))
            initial += [
                (f"{term} x IM factor", name, loss * factor),
                ("IM contingency", name, found.im_contingency),
                *both,
            ]
        return Addends(self.value_addends(held), initial, maintenance)

    def _account(self, held: Held, asset: int) -> Account:
        """One underlying of an account, without its cash."""
        params = self.managers[asset]
        perpetual, base, profit = self.held_of(held, asset)
        sure = float(self.spot_confidence[asset])
        spot, _ = self.worth_of(held, asset)
        collateral = Collateral(float(spot), 1.0, sure, params.is_risk_cancelling, params.mm_haircut, params.im_haircut)
        options = self.options_of(held, asset)
        return Account(
            0.0,
            float(self.spot_usd[asset]),
            sure,
            self.stable_usd,
            perpetual,
            float(self.perpetual_usd[asset]),
            float(self.perpetual_confidence[asset]),
            profit,
            (collateral,) if base else (),
            tuple(self._expiry(bucket, each) for bucket, each in options.items()),
        )


class DerivePmrm2Rule(PmrmRule):
    """Derive portfolio manager, version 2; see the module."""

    name = "derive-pmrm2"
    Params = Pmrm2Params
    prepared = PreparedPmrm2

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Also haircuts and names of volatility shocks."""
        rows: list[tuple[str, object, bool, str]] = []
        for name, each in params.managers.items():
            total = each.mm_haircut + each.im_haircut
            rows.append((f"managers.{name}.im_haircut", total, total <= 1, "haircuts that add up to at most 1"))
            names = {x.vol for x in each.scenarios}
            known = names <= {"up", "none", "down", *SKEWS}
            rows.append((f"managers.{name}.scenarios", sorted(names), known, "up, none, down, linear or abs"))
        return super().check(params, universe) + checked(rows)
