"""Collateral assessed: whether an asset counts, for how much, up to what size, what may be borrowed, and why."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import msgspec
import numpy as np

from solvent.models.collateral.caps import Cap, asset_cap, shared_caps
from solvent.models.collateral.facts import Facts, backs_algorithmic, facts_at, is_affiliated
from solvent.models.collateral.haircuts import HaircutPart, maintenance_haircut, market_haircut
from solvent.models.collateral.history import History
from solvent.models.collateral.hysteresis import HaircutPath, haircut_path
from solvent.models.collateral.rules import Eligibility, Rule, Values, eligibility
from solvent.models.collateral.scorecard import Mark, overall, scorecard
from solvent.models.collateral.stablecoins import ALGORITHMIC_CAP_SHARE, joint_scenario, peg_shortfall
from solvent.models.collateral.tail import downside_tail
from solvent.models.collateral.targets import LEVEL, Target, by_asset
from solvent.models.collateral.thresholds import BONUS, LATENCY_DAYS, LoanTerms, loan_terms
from solvent.models.collateral.weights import EDGE_SHARES, SizeTiers, size_tiers, sized_haircut
from solvent.models.liquidity.tiers import PERIOD_DAYS, Score
from solvent.valuation.impact import impact_fraction

LIQUIDATED_SHARE = 0.01
"""Of a day's volume: the sale whose impact a threshold must bear."""
LEVEL_LIQUIDATION = 0.995
BORROW_MAINTENANCE_SHARE = 0.8


class Assessment(msgspec.Struct, frozen=True):
    """Everything said of one asset on one day. Rates are fractions, 1 and 0 where the asset does not count."""

    asset: str
    day: date
    eligibility: Eligibility
    values: Values
    """What rules and marks were given."""
    marks: tuple[Mark, ...]
    mark: float
    """From 0 to 100."""
    liquidity: Score
    haircut: float
    """Of new risk: initial margin."""
    haircut_existing: float
    """Of loans that stood before a raise."""
    haircut_maintenance: float
    borrow_initial: float
    borrow_maintenance: float
    target: float
    """What the evidence asks for; the haircut follows in steps."""
    parts: tuple[HaircutPart, ...]
    multiplier: float
    signals: tuple[str, ...]
    moved: str
    """The last day on which the haircut moved, and why; empty where it did not within the path."""
    tiers: SizeTiers
    cap: Cap
    loan: LoanTerms
    zero_for: tuple[str, ...]
    """Weight 0 for exposure to these: their failure takes the asset along."""
    scenario: dict[str, float]
    """Joint moves that margins must bear where an algorithmic coin is admitted; else empty."""

    @property
    def eligible(self) -> bool:
        """Whether the asset counts at all."""
        return self.eligibility.eligible

    @property
    def weight(self) -> float:
        """Share of the value that counts in the first size tier."""
        return 1.0 - self.haircut if self.eligible else 0.0


def unknown_facts(history: History) -> Facts:
    """What stands in for missing facts where a haircut is shown; rules see that nothing is known."""
    first = history.days[0].item() if len(history.days) else date.min
    return Facts("token", first, "", "no facts", first, custody="unknown")


def values_of(
    history: History, facts: Facts | None, day: date, score: Score, affiliated: bool, backing: bool
) -> dict[str, float | str | bool | None]:
    """What rules may ask, of days before `day`: measures, and the facts that held on it."""
    returns = history.returns
    tail = downside_tail(returns, LEVEL, 0)
    values: dict[str, float | str | bool | None] = {
        "volume_usd_daily": _known(history.volume_counted),
        "market_cap_usd": history.market_cap,
        "spread": _known(history.spread),
        "amihud": _known(history.amihud),
        "liquidity_score": score.score,
        "liquidity_tier": float(score.tier),
        "history_days": float(len(history.days)),
        "sigma_daily": float(tail.sigma[-1]) if len(tail.sigma) else None,
        "price_usd": float(history.close[-1]) if len(history.close) else None,
        "worst_fall_daily": float(-np.expm1(returns.min())) if len(returns) else None,
        "affiliated": affiliated,
        "backs_algorithmic": backing,
    }
    if facts is not None:
        stated = msgspec.structs.asdict(facts_at(facts, day))
        for name in ("kind", "stablecoin", "issuer", "custody", "custodian", "wrapping", "redemption", "chain"):
            values[name] = stated[name]
        values |= {name: stated[name] for name in ("represents", "reserve_quality", "exit_days")}
        values["age_days"] = float((day - facts.launched).days)
        if facts.stablecoin and len(history.close):
            values["peg_shortfall"] = float(peg_shortfall(history.low, history.close)[-1])
    return values


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def assess(
    histories: Mapping[str, History],
    facts: Mapping[str, Facts],
    rules: Sequence[Rule],
    day: date,
    own_token: str = "",
) -> dict[str, Assessment]:
    """Assess every asset as of the start of a day, with what was known then.

    Parameters
    ----------
    histories : mapping
        Asset -> its days; those from `day` on are dropped here. Include what wrapped assets redeem into.
    facts : mapping
        Asset -> facts; assets without are refused by the first rule that asks.
    rules : sequence of Rule
        All must hold.
    day : date
    own_token : str
        The venue's own token, if it has one: it and its issuer's others are refused.

    Raises
    ------
    SolventError
        For an own token without facts.
    """
    past = {asset: history.before(day) for asset, history in histories.items()}
    ages = {asset: float((day - known.launched).days) for asset, known in facts.items()}
    scores = {asset: history.score(ages.get(asset)) for asset, history in past.items()}
    stated = {asset: facts.get(asset) or unknown_facts(history) for asset, history in past.items()}
    targets = by_asset(past, stated, day, {asset: score.tier for asset, score in scores.items()})
    found = {}
    for asset, history in past.items():
        own = bool(own_token) and is_affiliated(asset, own_token, facts)
        backing = backs_algorithmic(asset, facts, day)
        values = values_of(history, facts.get(asset), day, scores[asset], own, backing)
        verdict = eligibility(rules, values)
        found[asset] = _assessed(history, stated[asset], day, scores[asset], targets[asset], values, verdict)
    return _with_shared_caps(found, {asset: facts_at(stated[asset], day).domains for asset in found})


def _assessed(
    history: History,
    facts: Facts,
    day: date,
    score: Score,
    target: Target | None,
    values: Values,
    verdict: Eligibility,
) -> Assessment:
    marks = scorecard(values)
    known: dict[str, Any] = {
        "asset": history.asset, "day": day, "values": values, "marks": marks, "mark": overall(marks),
        "liquidity": score, "zero_for": tuple(sorted(facts_at(facts, day).domains)),
    }  # fmt: skip
    if target is None:
        return _uncounted(verdict, known)
    path = haircut_path(target.path, target.falls)
    haircut, volume = float(path.haircut[-1]), history.volume_counted
    reflexive = facts.kind == "venue_token" or bool(values["backs_algorithmic"])
    cap = _cap(facts, score, volume, history.market_cap, reflexive)
    maintenance, loan = _liquidation(history, haircut, target, score.tier)
    borrow = _borrow(history, target)
    sized = sized_haircut(
        float(target.tail.quantile[-1]), float(target.tail.sigma[-1]), target.horizon_days, history.spread, volume,
        float(target.multiplier[-1]),
    )  # fmt: skip
    return Assessment(
        eligibility=verdict, haircut=haircut, haircut_existing=float(path.existing[-1]),
        haircut_maintenance=maintenance, borrow_initial=borrow, borrow_maintenance=BORROW_MAINTENANCE_SHARE * borrow,
        target=float(target.path[-1]), parts=target.parts, multiplier=float(target.multiplier[-1]),
        signals=target.signals, moved=_moved(path, history, day), tiers=size_tiers(sized, volume, cap.usd), cap=cap,
        loan=loan, scenario=joint_scenario(history.asset, facts) if facts.stablecoin == "algorithmic" else {}, **known,
    )  # fmt: skip


def _uncounted(verdict: Eligibility, known: dict[str, Any]) -> Assessment:
    """An asset with too short a history for any haircut: nothing of it counts, whatever rules say."""
    if verdict.eligible:
        verdict = Eligibility(False, "history", "too few days of prices for a haircut", verdict.checks)
    nothing = LoanTerms(0.0, 0.0, 0.0, 0.0, "no history")
    return Assessment(
        eligibility=verdict, haircut=1.0, haircut_existing=1.0, haircut_maintenance=1.0, borrow_initial=1.0,
        borrow_maintenance=1.0, target=1.0, parts=(HaircutPart("history", 1.0, "too few days of prices"),),
        multiplier=1.0, signals=(), moved="", tiers=SizeTiers((), ()), cap=Cap(0.0, "no history"), loan=nothing,
        scenario={}, **known,
    )  # fmt: skip


def _cap(facts: Facts, score: Score, volume: float, market_cap: float | None, reflexive: bool) -> Cap:
    share = ALGORITHMIC_CAP_SHARE if facts.stablecoin == "algorithmic" else 1.0
    return asset_cap(volume, market_cap, PERIOD_DAYS[score.tier], reflexive=reflexive, share=share)


def _liquidation(history: History, haircut: float, target: Target, tier: int) -> tuple[float, LoanTerms]:
    """Maintenance haircut, and what may be borrowed."""
    extreme = float(downside_tail(history.returns, LEVEL_LIQUIDATION, 0).quantile[-1])
    stress, quantile = float(target.multiplier[-1]), float(target.tail.quantile[-1])
    fall, hourly = (float(market_haircut(each, LATENCY_DAYS, multiplier=stress)) for each in (extreme, quantile))
    impact = float(impact_fraction(LIQUIDATED_SHARE, 1.0, target.tail.sigma[-1]))
    bonus = BONUS[tier]
    maintenance = maintenance_haircut(haircut, bonus, hourly, impact)
    return maintenance, loan_terms(haircut, maintenance, fall, hourly, impact, bonus)


def _borrow(history: History, target: Target) -> float:
    """Rate on what is owed in the asset: the rise at the same level over the same horizon, spread and impact on top."""
    rise = float(downside_tail(-history.returns, LEVEL, 0).quantile[-1])
    impact = float(impact_fraction(EDGE_SHARES[0], 1.0, target.tail.sigma[-1]))
    grown = float(np.expm1(target.multiplier[-1] * rise * np.sqrt(target.horizon_days)))
    return min(1.0, grown + 0.5 * history.spread + impact)


def _moved(path: HaircutPath, history: History, day: date) -> str:
    """The last move within the path, with its day."""
    for i in range(len(path.reasons) - 1, -1, -1):
        if path.reasons[i]:
            back = len(path.reasons) - 1 - i
            when = day if back == 0 else history.days[len(history.days) - back].item()
            return f"{when}: {path.reasons[i]}"
    return ""


def _with_shared_caps(found: Mapping[str, Assessment], domains: Mapping[str, frozenset[str]]) -> dict[str, Assessment]:
    """Cut the caps of eligible assets that fail together, and the size tiers that end above them."""
    own = {asset: each.cap.usd for asset, each in found.items() if each.eligible}
    cut = shared_caps(own, domains)
    return {asset: _capped(each, cut[asset]) if asset in cut else each for asset, each in found.items()}


def _capped(each: Assessment, cap: Cap) -> Assessment:
    edges = tuple(edge for edge in each.tiers.edges_usd if edge < cap.usd)
    return msgspec.structs.replace(each, cap=cap, tiers=SizeTiers(edges, each.tiers.add[: len(edges)]))
