"""Derive portfolio manager, version 1: worst of 23 scenarios, static contingencies inside the factor.

Numeraire: USD. Net margins: positive is surplus. In the terms of a Statement: equity = mark_to_market,
requirement = mark_to_market - net margin. Unsettled profit of the perpetual counts in full, only where the
position is not zero. Breach: liquidatable iff net maintenance margin < 0 (strict). Rounding: reals (the
contract truncates at 1e-18). Unpublished: nothing. One account holds one underlying.
The rule sums over underlyings: see `derive_book` for that and for what stands for the venue's inputs.
Source: derivexyz/v2-core, src/risk-managers/PMRM.sol and PMRMLib.sol; defaults: scripts/config-mainnet.sol.
"""

import math
from collections.abc import Mapping
from fractions import Fraction

import msgspec
import numpy as np

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
from solvent.margin.rules.venue import Addend, Addends, Block, Figures


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One joint move of spot and vol."""

    spot_multiplier: float
    vol: str
    """`up`, `none` or `down`."""


SCENARIOS = (
    Scenario(1.20, "up"),
    *(Scenario(spot, vol) for spot in (1.15, 1.10, 1.05, 1.0, 0.95, 0.90, 0.85) for vol in ("up", "none", "down")),
    Scenario(0.80, "up"),
)


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of one manager (one underlying)."""

    vol_shock: VolShock = VolShock(range_up=0.6, range_down=0.3)
    basis_spot_up: float = 1.05
    basis_spot_down: float = 0.95
    basis_add_factor: float = 1.0
    basis_mult_factor: float = 1.2
    peg_threshold_usd: float = 0.99
    peg_factor: float = 4.0
    confidence_threshold: float = 0.55
    confidence_margin: float = 1.0
    base_percent: float = 0.03
    perpetual_percent: float = 0.03
    option_percent: float = 0.02
    im_factor: float = 1.25
    base_static_discount: float = 0.95
    rate_mult_scale: float = 1.0
    rate_add_scale: float = 0.12
    scenarios: tuple[Scenario, ...] = SCENARIOS


class Expiry(msgspec.Struct, frozen=True):
    """Options of one expiry with their oracles."""

    seconds: float
    forward_fixed_usd: float
    """Share of the forward that the settlement average has already fixed; no scenario moves it."""
    forward_variable_usd: float
    rate_annual: float
    confidence: float
    """Lowest of the forward's, the rate's and the vol surface's confidence, 0 to 1."""
    options: tuple[OptionHolding, ...]


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
    base: float = 0.0
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
    basis_contingency: float
    static_contingency: float
    confidence_contingency: float
    scenario_pnl: tuple[float, ...]
    worst_scenario: int
    """Index into the scenarios; their number where the basis contingency is worst."""


class ExpiryRisk(msgspec.Struct, frozen=True):
    """What one expiry adds to an account's sums, USD."""

    mark: float
    pnl: F64
    """Shape (scenarios,)."""
    basis: float
    static: float
    doubt: float


def shocked_vols(options: tuple[OptionHolding, ...], directions: list[str], up: float, down: float) -> F64:
    """Vols by scenario and option, shape (s, n)."""
    factor = {"up": up, "none": 1.0, "down": down}
    vols = np.array([option.vol for option in options])
    return np.outer([factor[direction] for direction in directions], vols)


def static_discount(expiry: Expiry, params: Params) -> float:
    """Discount on a positive expiry value: base exp(-T (r mult + add)), the rate not below zero."""
    rate = max(expiry.rate_annual, 0.0) * params.rate_mult_scale + params.rate_add_scale
    return params.base_static_discount * math.exp(-expiry.seconds / YEAR_S * rate)


def expiry_risk(expiry: Expiry, account: Account, params: Params) -> ExpiryRisk:
    """Mark, scenario profit, basis contingency and charges of one expiry."""
    options = merged(expiry.options)
    moves = [1.0, params.basis_spot_up, params.basis_spot_down]
    moves += [scenario.spot_multiplier for scenario in params.scenarios]
    directions = ["none"] * 3 + [scenario.vol for scenario in params.scenarios]
    forwards = expiry.forward_fixed_usd + expiry.forward_variable_usd * np.array(moves)
    vols = shocked_vols(options, directions, *params.vol_shock.multipliers(expiry.seconds))
    values = expiry_values(options, expiry.seconds, forwards, vols)
    current, up, down = (float(value) for value in values[:3])
    shocked = values[3:]
    discounted = np.where(shocked > 0, shocked * static_discount(expiry, params), shocked)
    factor = params.basis_add_factor + params.basis_mult_factor * expiry.seconds / YEAR_S
    gross = sum(abs(option.amount) for option in options)
    return ExpiryRisk(
        mark=current,
        pnl=discounted - current,
        basis=basis_contingency(current, up, down, factor),
        static=naked_shorts(options) * params.option_percent * account.spot_usd,
        doubt=confidence_charge(
            min(expiry.confidence, account.confidence),
            params.confidence_threshold,
            params.confidence_margin,
            gross * account.spot_usd,
        ),
    )


def initial_factor(stable_usd: float, params: Params) -> float:
    """Factor of initial margin, raised while the stablecoin is below its threshold."""
    return params.im_factor + max(0.0, params.peg_threshold_usd - stable_usd) * params.peg_factor


def account_margins(account: Account, params: Params) -> Margins:
    """Net margins of one account, USD.

    S = min(basis contingency, worst scenario) - static contingency; maintenance S + value,
    initial S factor - confidence contingency + value. Source: PMRMLib.sol `getMarginAndMarkToMarket`.
    """
    risks = [expiry_risk(expiry, account, params) for expiry in account.expiries]
    moves = np.array([scenario.spot_multiplier for scenario in params.scenarios]) - 1.0
    base_value = account.base * account.spot_usd / account.stable_usd
    linear = base_value + account.perpetual * account.perpetual_price_usd
    pnl = linear * moves + sum((risk.pnl for risk in risks), np.zeros(len(moves)))
    size = abs(account.perpetual) + account.base
    static = (
        abs(account.perpetual) * params.perpetual_percent + account.base * params.base_percent
    ) * account.spot_usd + sum(risk.static for risk in risks)
    doubt = confidence_charge(
        account.confidence, params.confidence_threshold, params.confidence_margin, size * account.spot_usd
    ) + sum(risk.doubt for risk in risks)
    basis = sum(risk.basis for risk in risks)
    profit = account.unsettled_profit_usd if account.perpetual else 0.0
    value = account.cash_usd + base_value + profit + sum(risk.mark for risk in risks)
    worst = int(np.argmin(pnl))
    is_basis = basis <= pnl[worst]
    loss = (basis if is_basis else float(pnl[worst])) - static
    return Margins(
        initial_margin=loss * initial_factor(account.stable_usd, params) - doubt + value,
        maintenance_margin=loss + value,
        mark_to_market=value,
        basis_contingency=basis,
        static_contingency=static,
        confidence_contingency=doubt,
        scenario_pnl=tuple(float(each) for each in pnl),
        worst_scenario=len(pnl) if is_basis else worst,
    )


class PmrmParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Managers by underlying."""

    managers: Mapping[str, Params]


class PreparedPmrm1(PreparedPmrm):
    """The rule at one market."""

    def build(self) -> None:
        """(I, 3 + S) values of one lot of an option: as it is, at the basis up and down, in each scenario."""
        super().build()
        self.managers = [self.params.managers.get(asset) for asset in self.universe.assets]
        self.prepare_scenarios()
        chain, size = self.chain, len(self.universe)
        self.values = np.zeros((size, 3 + self.width))
        if len(chain.rows):
            up, down = self.vol_shocks()
            asset = chain.asset
            basis = np.stack([self.field("basis_spot_up")[asset], self.field("basis_spot_down")[asset]], axis=1)
            moves = np.hstack([np.ones((len(asset), 1)), basis, self.multiplier[asset]])
            factor = {"up": up, "none": np.ones(len(up)), "down": down}
            vols = np.ones(moves.shape)
            for o, u in enumerate(asset.tolist()):
                vols[o, 3:] = [factor[vol][o] for vol in self.vols[u]]
            undiscounted = chain._replace(discount=np.ones(len(asset)))
            self.values[chain.rows] = undiscounted.values(moves, chain.vol[:, None] * vols)
        rate = np.maximum(self.bucket_rate, 0.0) * self.field("rate_mult_scale")[self.bucket_asset]
        growth = self.bucket_years * (rate + self.field("rate_add_scale")[self.bucket_asset])
        self.discount = self.field("base_static_discount")[self.bucket_asset] * np.exp(-growth)

    def _reduced(self, block: Block, held: Holdings) -> Reduced:
        """Scenario profit, basis contingency and marks."""
        by_expiry = scenario_sums(block.rows, held.expiries, self.values)
        current, shocked = by_expiry[:, 0], by_expiry[:, 3:]
        discounted = np.where(shocked > 0, shocked * self.discount[held.bucket, None], shocked)
        base = held.base * self.spot_usd[held.asset] / self.stable_usd
        linear = base + held.perpetual * self.perpetual_usd[held.asset]
        pnl = linear[:, None] * (self.multiplier[held.asset] - 1.0)
        pnl += held.by_underlying(discounted - current[:, None])
        return Reduced(pnl, self.basis_of(by_expiry, held), held.by_underlying(current))

    def figures(self, block: Block) -> Figures:
        """Margins of a block of accounts: equity less the venue's net margins."""
        held = self.holdings(block)
        found, asset = self._reduced(block, held), held.asset
        spot, size = self.spot_usd[asset], np.abs(held.perpetual)
        naked = held.by_underlying(self.naked_coins(block, held)) * self.field("option_percent")[asset]
        percent = self.field("perpetual_percent")[asset], self.field("base_percent")[asset]
        static = (size * percent[0] + held.base * percent[1] + naked) * spot
        doubt = self.doubt_rate(self.confidence(held), asset) * (size + held.base) * spot
        doubt += self.option_doubt(block, held)
        loss = static - self.worst_loss(found)
        counted = held.base * spot / self.stable_usd + found.mark
        rest = sums(held.owner, held.worth - counted, block.size) + block.options
        initial = sums(held.owner, loss * self.initial_factors()[asset] + doubt, block.size) + rest
        gross = block.rows.total(np.abs(block.rows.lots) * np.abs(self.values).max(axis=1)[block.rows.instrument])
        worst = worst_scenarios(block.size, held.owner, asset, loss, -found.pnl)
        return Figures(initial, sums(held.owner, loss, block.size) + rest, 4.0 * (block.gross + gross), worst=worst)

    def addends(self, held: Held) -> Addends:
        """Scenario loss or basis contingency, static and oracle contingency of each underlying."""
        initial, maintenance = list[Addend](), list[Addend]()
        for asset in self.assets_of(held):
            params, name = self.managers[asset], self.universe.assets[asset]
            account = self._account(held, asset)
            found = account_margins(account, params)
            factor = Fraction(initial_factor(self.stable_usd, params))
            worst = min(found.scenario_pnl)
            is_basis = found.worst_scenario == len(found.scenario_pnl)
            term = "basis contingency" if is_basis else "scenario loss"
            loss = found.basis_contingency if is_basis else worst
            losses = ((term, -loss), ("static contingency", found.static_contingency))
            for term, amount in losses:
                maintenance.append((term, name, amount))
                initial.append((f"{term} x IM factor", name, Fraction(amount) * factor))
            initial.append(("oracle contingency", name, found.confidence_contingency))
            spot, options = self.worth_of(held, asset)
            profit = account.unsettled_profit_usd
            rest: Addend = (
                "equity less mark to market",
                name,
                spot + options - Fraction(found.mark_to_market - profit),
            )
            initial.append(rest)
            maintenance.append(rest)
        return Addends(self.value_addends(held), initial, maintenance)

    def _account(self, held: Held, asset: int) -> Account:
        """One underlying of an account, without its cash."""
        perpetual, base, profit = self.held_of(held, asset)
        expiries = tuple(
            Expiry(
                float(self.bucket_years[bucket]) * YEAR_S,
                0.0,
                float(self.bucket_forward[bucket]),
                float(self.bucket_rate[bucket]),
                float(self.bucket_confidence[bucket]),
                options,
            )
            for bucket, options in self.options_of(held, asset).items()
        )
        return Account(
            0.0,
            float(self.spot_usd[asset]),
            float(self.spot_confidence[asset]),
            self.stable_usd,
            perpetual,
            float(self.perpetual_usd[asset]),
            float(self.perpetual_confidence[asset]),
            profit,
            base,
            expiries,
        )


class DerivePmrmRule(PmrmRule):
    """Derive portfolio manager, version 1; see the module."""

    name = "derive-pmrm"
    Params = PmrmParams
    prepared = PreparedPmrm1
