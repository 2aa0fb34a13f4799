"""Parameters of the `portfolio` rule: defaults, what is unsafe in them, and the scenarios they span."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from solvent.domain.instruments import STABLECOINS, USD
from solvent.domain.policy import Policy, parameters
from solvent.domain.universe import Universe
from solvent.errors import Problem, SolventError, problem, raise_if
from solvent.margin import scenarios


class CollateralTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What counts of a balance. Rates are fractions of value; an asset that is not listed has weight zero."""

    haircut_initial: float = 1.0
    haircut_maintenance: float = 1.0
    scanned: bool = False
    """Price risk is charged by scenarios; the haircut then covers sale cost only."""
    borrow_initial: float = 1.0
    borrow_maintenance: float = 1.0
    """Rates on negative balances."""
    tier_edges_usd: tuple[float, ...] = ()
    """Upper edges of size tiers."""
    tier_add: tuple[float, ...] = ()
    """Added to the haircut in the tier above each edge; must not fall."""
    cap_usd: float = float("inf")
    """Value beyond the cap counts nothing."""


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Assets whose risks offset one another in part."""

    assets: tuple[str, ...]
    correlation: float
    """Lowest pairwise correlation of their returns."""


class PortfolioParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of the rule; defaults are those of semantics, calibration replaces them."""

    scan_range: dict[str, float] = msgspec.field(default_factory=lambda: {"BTC": 0.16, "ETH": 0.16})
    scan_range_default: float = 0.25
    scan_range_stablecoin: float = 0.02
    margin_scale: float = 1.0
    """Multiplies every scan range."""
    steps: tuple[float, ...] = (0.0, 1 / 3, -1 / 3, 2 / 3, -2 / 3, 1.0, -1.0)
    tails: tuple[float, ...] = (2.0, -2.0, 3.0, -3.0, 5.0)
    tail_damp: float = 0.75
    vol_up: float = 0.5
    vol_down: float = 0.3
    vol_power_short: float = 0.30
    vol_power_long: float = 0.13
    option_long_weight: float = 0.95
    crashes: dict[str, dict[str, float]] = {}
    """Named joint crashes: move of each asset, `*` for all others."""
    history: dict[str, tuple[float, ...]] = {}
    """Past returns of each asset, equally long, as joint scenarios."""
    expected_shortfall_count: int = 1
    """Scan risk is the mean of this many worst scenarios; 1 is the worst one."""
    groups: tuple[Group, ...] = (Group(("BTC", "ETH"), 0.8),)
    correlation_haircut: float = 0.3
    offset_most: float = 0.8
    roll_least: float = 0.002
    roll_annual: float = 0.05
    short_option_initial: float = 0.005
    short_option_maintenance: float = 0.003
    maintenance_factor: float = 0.8
    half_spread_least: float = 0.0005
    participation_edges: tuple[float, ...] = (0.1, 0.3, 1.0)
    participation_rates: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0)
    confidence_factor: float = 2.0
    confidence_growth_hourly: float = 0.01
    soft_age_s: float = 120.0
    depeg_threshold: float = 0.99
    depeg_factor: float = 4.0
    collateral: dict[str, CollateralTerms] = {}
    """By spot id."""

    def collateral_of(self, id: str) -> CollateralTerms:
        """Terms of a spot instrument; `USD` is cash, what is not listed has weight zero."""
        cash = CollateralTerms(0.0, 0.0, False, 0.0, 0.0)
        return self.collateral.get(id, cash if id == USD else CollateralTerms())

    def range_of(self, asset: str) -> float:
        """Largest regular move of an asset."""
        base = self.scan_range_stablecoin if asset in STABLECOINS else self.scan_range_default
        return self.margin_scale * (0.0 if asset == USD else self.scan_range.get(asset, base))

    def offset_of(self, correlation: float) -> float:
        """φ = min(most, max(0, 1 - sqrt((1 - ρ) / 2))), ρ less the haircut, at least 0.

        For linear risks of either sign this bounds sqrt(x'Cx) for every C whose opposite-sign pairs have a
        correlation of at least ρ.
        """
        stressed = max(0.0, correlation - self.correlation_haircut)
        return float(min(self.offset_most, max(0.0, 1.0 - np.sqrt((1.0 - stressed) / 2.0))))


def check_params(params: PortfolioParams, where: str = "policy margin") -> list[Problem]:
    """Everything unsafe in the parameters, all at once."""
    found: list[Problem] = []

    def unless(good: bool, field: str, value: object, accepted: str) -> None:
        if not good:
            found.append(problem(where, None, field, value, accepted))

    for name in (
        "scan_range_default",
        "scan_range_stablecoin",
        "roll_least",
        "roll_annual",
        "half_spread_least",
    ):
        value = getattr(params, name)
        unless(0 <= value <= 1, name, value, "a fraction from 0 to 1")
    for asset, value in params.scan_range.items():
        unless(0 < value <= 0.9, f"scan_range.{asset}", value, "a fraction above 0, at most 0.9")
    unless(0 < params.margin_scale <= 10, "margin_scale", params.margin_scale, "above 0, at most 10")
    unless(0 < params.maintenance_factor <= 1, "maintenance_factor", params.maintenance_factor,
           "above 0 and at most 1: maintenance margin must not be above initial margin")  # fmt: skip
    unless(params.short_option_maintenance <= params.short_option_initial, "short_option_maintenance",
           params.short_option_maintenance, "at most short_option_initial")  # fmt: skip
    unless(params.offset_most <= 0.8, "offset_most", params.offset_most, "an offset φ of at most 0.8")
    unless(1.0 in params.steps and -1.0 in params.steps, "steps", params.steps, "steps that include 1 and -1")
    unless(0 not in params.tails, "tails", params.tails, "tails other than 0")
    unless(
        params.expected_shortfall_count >= 1,
        "expected_shortfall_count",
        params.expected_shortfall_count,
        "1 or more",
    )
    unless(
        len(set(map(len, params.history.values()))) <= 1,
        "history",
        "lengths differ",
        "returns of equal length",
    )
    grouped = [asset for group in params.groups for asset in group.assets]
    unless(len(grouped) == len(set(grouped)), "groups", grouped, "every asset in at most one group")
    for group in params.groups:
        unless(-1 <= group.correlation <= 1, "groups.correlation", group.correlation, "from -1 to 1")
    rates = params.participation_rates
    unless(list(rates) == sorted(rates) and len(rates) == len(params.participation_edges) + 1, "participation_rates",
           rates, "one rate more than edges, none falling")  # fmt: skip
    for id, terms in params.collateral.items():
        found += _check_collateral(id, terms, where)
    return found


def _check_collateral(id: str, terms: CollateralTerms, where: str) -> list[Problem]:
    found: list[Problem] = []
    for name in ("haircut_initial", "haircut_maintenance", "borrow_initial", "borrow_maintenance"):
        value = getattr(terms, name)
        if not 0 <= value <= 1:
            found.append(problem(where, None, f"collateral.{id}.{name}", value, "a haircut from 0 to 1"))
    for low, high in (("haircut_maintenance", "haircut_initial"), ("borrow_maintenance", "borrow_initial")):
        if getattr(terms, low) > getattr(terms, high):
            accepted = f"at most {high} = {getattr(terms, high)}"
            found.append(problem(where, None, f"collateral.{id}.{low}", getattr(terms, low), accepted))
    edges, add = terms.tier_edges_usd, terms.tier_add
    if len(edges) != len(add) or list(edges) != sorted(set(edges)) or any(edge <= 0 for edge in edges):
        found.append(problem(where, None, f"collateral.{id}.tier_edges_usd", edges, "rising edges, one tier_add each"))
    if list(add) != sorted(add) or any(rate < 0 for rate in add):
        found.append(problem(where, None, f"collateral.{id}.tier_add", add, "marginal rates that never fall"))
    if terms.cap_usd < 0:
        found.append(problem(where, None, f"collateral.{id}.cap_usd", terms.cap_usd, "a cap of at least 0"))
    return found


def scenario_set(params: PortfolioParams, universe: Universe) -> scenarios.ScenarioSet:
    """The policy's scenarios over the universe's assets: grid with tails, history, named crashes."""
    ranges = np.array([params.range_of(asset) for asset in universe.assets])
    found = scenarios.grid(ranges, params.steps, params.tails, params.tail_damp)
    if params.history:
        length = len(next(iter(params.history.values())))
        rows = [params.history.get(asset, (0.0,) * length) for asset in universe.assets]
        found = found.joined(scenarios.historical(np.array(rows, dtype=float).reshape(len(rows), length)))
    if params.crashes:
        found = found.joined(scenarios.named(universe.assets, params.crashes))
    return found


def portfolio_params(policy: Policy) -> PortfolioParams:
    """The policy's margin table as parameters. Raises SolventError with all problems."""
    where = f"policy {policy.name} margin"
    params, found = parameters(PortfolioParams, policy.margin, where, ignore=frozenset({"rule"}))
    if params is None:
        raise SolventError(*found)
    raise_if(check_params(params, where))
    return params


PENALTY_RATE_DEFAULT = 0.005


def penalty_rate(liquidation: Mapping[str, Any]) -> float:
    """Penalty on closed notional as the policy's liquidation table states it."""
    return float(liquidation.get("penalty_rate", PENALTY_RATE_DEFAULT))
