"""Parameters of the `portfolio` rule: defaults, what is unsafe in them, and the scenarios they span."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from math import inf, isfinite, nan
from typing import Any

import msgspec
import numpy as np

from solvent.domain.instruments import STABLECOINS, USD, Spot
from solvent.domain.policy import Policy, parameters
from solvent.domain.universe import Universe
from solvent.errors import Problem, problem, raise_if
from solvent.margin import scenarios
from solvent.valuation.tiers import check_tiers

VALUE_DIGITS = 42
"""Money in the exact form is in integers of 10**-VALUE_DIGITS USD: 18 digits of price and 24 of an atom."""


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
    cap_usd: float = inf
    """Value beyond the cap counts nothing, and so carries no price risk either."""


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Assets whose risks offset one another in part."""

    assets: tuple[str, ...]
    correlation: float
    """Lowest pairwise correlation of their returns."""


class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A predictive model of one asset, by file and hash. It may move parameters, it is no part of a margin."""

    file: str
    """A plain name: the folder is said where the venue is run."""
    blake2b: str
    """BLAKE2b-256 of the file, 64 hexadecimal digits."""
    learnt_before: str
    """Time (ISO 8601, UTC) of the first hour that it has not learnt from."""


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
    prediction: dict[str, ModelFile] = {}
    """By asset: what may move its scan range while the venue runs (`solvent up --adaptive`)."""

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
    p = params
    # Written as "good if": a NaN is in no interval.
    rows: list[tuple[str, bool, str]] = [
        ("margin_scale", 0 < p.margin_scale <= 10, "above 0, at most 10"),
        ("maintenance_factor", 0 < p.maintenance_factor <= 1,
         "above 0 and at most 1: maintenance margin must not be above initial margin"),
        ("short_option_initial", 0 <= p.short_option_initial <= 1, "a fraction from 0 to 1"),
        ("short_option_maintenance", 0 <= p.short_option_maintenance <= p.short_option_initial,
         f"from 0 to short_option_initial = {p.short_option_initial}"),
        ("offset_most", 0 <= p.offset_most <= 0.8, "an offset φ from 0 to 0.8"),
        ("correlation_haircut", 0 <= p.correlation_haircut <= 2, "from 0 to 2"),
        ("steps", {1.0, -1.0} <= set(p.steps) and all(map(isfinite, p.steps)), "steps that include 1 and -1"),
        ("tails", all(isfinite(step) and step != 0 for step in p.tails), "tails other than 0"),
        ("tail_damp", 0 < p.tail_damp <= 1, "above 0, at most 1"),
        ("vol_up", 0 <= p.vol_up <= 10, "from 0 to 10"),
        ("vol_power_short", 0 <= p.vol_power_short <= 2, "from 0 to 2"),
        ("vol_power_long", 0 <= p.vol_power_long <= 2, "from 0 to 2"),
        ("expected_shortfall_count", 1 <= p.expected_shortfall_count <= _scenario_count(p),
         f"1 to {_scenario_count(p)}, the number of scenarios"),
        ("confidence_factor", 0 <= p.confidence_factor <= 100, "from 0 to 100"),
        ("confidence_growth_hourly", 0 <= p.confidence_growth_hourly <= 1, "from 0 to 1"),
        ("soft_age_s", 0 <= p.soft_age_s < inf, "seconds, 0 or more"),
        ("depeg_factor", 0 <= p.depeg_factor <= 100, "from 0 to 100"),
    ]  # fmt: skip
    fractions = ("scan_range_default", "scan_range_stablecoin", "roll_least", "roll_annual", "half_spread_least",
                 "vol_down", "option_long_weight", "depeg_threshold")  # fmt: skip
    rows += [(name, 0 <= getattr(p, name) <= 1, "a fraction from 0 to 1") for name in fractions]
    found = [problem(where, None, field, getattr(p, field), accepted) for field, good, accepted in rows if not good]
    for asset, value in p.scan_range.items():
        if not 0 < value <= 0.9:
            found.append(problem(where, None, f"scan_range.{asset}", value, "a fraction above 0, at most 0.9"))
    found += _check_joint_moves(p, where) + _check_groups(p, where)
    tiers = check_tiers(p.participation_edges, p.participation_rates, most=100.0, file=where, field="participation")
    found += [msgspec.structs.replace(each, field=each.field.replace(".", "_")) for each in tiers]
    for id, terms in p.collateral.items():
        found += _check_collateral(id, terms, where)
    for asset, model in p.prediction.items():
        found += _check_model(f"prediction.{asset}", model, where)
    return found


def _scenario_count(params: PortfolioParams) -> int:
    history = len(next(iter(params.history.values()), ()))
    return 3 * len(params.steps) + len(params.tails) + history + len(params.crashes)


def _check_joint_moves(params: PortfolioParams, where: str) -> list[Problem]:
    """Histories of unequal length, and moves that no price can make."""
    moves = [(f"history.{asset}", rows) for asset, rows in params.history.items()]
    moves += [(f"crashes.{name}", tuple(rows.values())) for name, rows in params.crashes.items()]
    found = [
        problem(where, None, field, move, "a relative move from -1 to 100")
        for field, rows in moves
        for move in rows
        if not -1 <= move <= 100
    ]
    lengths = {asset: len(rows) for asset, rows in params.history.items()}
    if len(set(lengths.values())) > 1:
        found.append(problem(where, None, "history", lengths, "returns of equal length for every asset"))
    return found


def _check_groups(params: PortfolioParams, where: str) -> list[Problem]:
    """Assets in two groups, correlations that are none."""
    grouped = [asset for group in params.groups for asset in group.assets]
    found = [
        problem(where, None, "groups.correlation", group.correlation, "from -1 to 1")
        for group in params.groups
        if not -1 <= group.correlation <= 1
    ]
    if len(grouped) != len(set(grouped)):
        found.append(problem(where, None, "groups", grouped, "every asset in at most one group"))
    return found


def _check_collateral(id: str, terms: CollateralTerms, where: str) -> list[Problem]:
    where_id = f"collateral.{id}"
    found: list[Problem] = []
    for name in ("haircut_initial", "haircut_maintenance", "borrow_initial", "borrow_maintenance"):
        value = getattr(terms, name)
        if not 0 <= value <= 1:
            found.append(problem(where, None, f"{where_id}.{name}", value, "a haircut from 0 to 1"))
    for low, high in (("haircut_maintenance", "haircut_initial"), ("borrow_maintenance", "borrow_initial")):
        if getattr(terms, low) > getattr(terms, high):
            accepted = f"at most {high} = {getattr(terms, high)}"
            found.append(problem(where, None, f"{where_id}.{low}", getattr(terms, low), accepted))
    edges, add = terms.tier_edges_usd, terms.tier_add
    if len(edges) != len(add) or not all(0 < edge < inf for edge in edges) or list(edges) != sorted(set(edges)):
        accepted = "edges in USD above 0 and rising, one tier_add each"
        found.append(problem(where, None, f"{where_id}.tier_edges_usd", edges, accepted))
    if not all(0 <= rate <= 1 for rate in add) or list(add) != sorted(add):
        found.append(problem(where, None, f"{where_id}.tier_add", add, "marginal rates from 0 to 1 that never fall"))
    if not terms.cap_usd >= 0:
        found.append(problem(where, None, f"{where_id}.cap_usd", terms.cap_usd, "a cap of at least 0"))
    return found


def _check_model(field: str, model: ModelFile, where: str) -> list[Problem]:
    rows: list[tuple[str, str, bool, str]] = [
        ("file", model.file, bool(re.fullmatch(r"\w[\w.-]*", model.file)), "a file's name without a folder"),
        ("blake2b", model.blake2b, bool(re.fullmatch(r"[0-9a-f]{64}", model.blake2b)), "64 hexadecimal digits"),
        ("learnt_before", model.learnt_before, _is_utc(model.learnt_before), "a time such as 2024-10-01T00:00:00Z"),
    ]
    return [
        problem(where, None, f"{field}.{name}", value, accepted) for name, value, good, accepted in rows if not good
    ]


def _is_utc(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).utcoffset() == timedelta(0)
    except ValueError:
        return False


def check_close_out(params: PortfolioParams, penalty: float, where: str = "policy margin") -> list[Problem]:
    """Balances whose maintenance margin would not pay for selling (or buying back) them in a liquidation.

    Derivatives are charged spread and penalty by the rule itself. A balance that the scenarios scan has only
    its haircut for that; one whose haircut is the full one, or cash that need not be sold, is as its terms say.
    """
    if not 0 <= penalty <= 0.2:
        return [problem("policy liquidation", None, "penalty_rate", penalty, "from 0 to 0.2")]
    cost = params.half_spread_least + penalty
    return [
        problem(where, None, f"collateral.{id}.{name}", getattr(terms, name),
                f"at least {cost:g}: penalty_rate {penalty:g} and half_spread_least {params.half_spread_least:g}")
        for id, terms in params.collateral.items()
        for name in ("haircut_maintenance", "borrow_maintenance")
        if terms.scanned and not getattr(terms, name) >= cost
    ]  # fmt: skip


def check_universe(params: PortfolioParams, universe: Universe, where: str = "policy margin") -> list[Problem]:
    """What cannot be margined: terms too fine for the exact form, balances that would be worth less than nothing."""
    found = [
        problem("instruments", None, f"{each.id}.tick", each.tick, f"a tick and decimals within {VALUE_DIGITS} digits")
        for each in universe
        if isinstance(each, Spot) and (Fraction(each.tick) * 10 ** (VALUE_DIGITS - each.decimals)).denominator != 1
    ]
    set_ = scenario_set(params, universe)
    worst = np.max(-set_.moves * set_.damp, axis=1, initial=0.0)
    for each in universe:
        terms = params.collateral_of(each.id)
        if not isinstance(each, Spot) or not terms.scanned:
            continue
        haircut = min(1.0, terms.haircut_maintenance + max(terms.tier_add, default=0.0))
        loss = params.maintenance_factor * float(worst[universe.asset_index[each.asset]])
        if haircut + loss > 1:
            accepted = f"at most {1 - loss:.4f} with tiers: its scenarios take {loss:.4f} of its value"
            found.append(problem(where, None, f"collateral.{each.id}.haircut_maintenance", haircut, accepted))
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


def portfolio_params(policy: Policy, universe: Universe) -> PortfolioParams:
    """The policy's margin table as parameters. Raises SolventError with all problems."""
    where = f"policy {policy.name} margin"
    ignore = frozenset({"rule"})
    params, found = parameters(PortfolioParams, policy.margin, where, ignore)
    if params is None:  # what can be read is checked too, so that everything is told at once
        unread = {each.field for each in found}
        rest = {key: value for key, value in policy.margin.items() if key not in unread}
        params, more = parameters(PortfolioParams, rest, where, ignore)
        found += more
    if params is not None:
        found += check_params(params, where)
        if not found:
            found += check_universe(params, universe, where)
        found += check_close_out(params, penalty_rate(policy.liquidation), where)
    raise_if(found)
    assert params is not None
    return params


PENALTY_RATE_DEFAULT = 0.005


def penalty_rate(liquidation: Mapping[str, Any]) -> float:
    """Penalty on closed notional as the policy's liquidation table states it; NaN where that is no number."""
    rate = liquidation.get("penalty_rate", PENALTY_RATE_DEFAULT)
    return float(rate) if isinstance(rate, (int, float)) else nan
