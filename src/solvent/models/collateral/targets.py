"""Day by day the haircut that the evidence asks for, before steps and notice bound how it may move."""

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

import numpy as np

from solvent.models.collateral.facts import Facts, facts_at
from solvent.models.collateral.haircuts import COIN_FLOOR, HaircutPart, claim_parts, looked_through, market_haircut
from solvent.models.collateral.history import History
from solvent.models.collateral.regime import depth_signal, funding_signal, multiplier, peg_signal, volatility_signal
from solvent.models.collateral.stablecoins import (
    FLOOR,
    LOSS_GIVEN_DEPEG,
    depeg_probability,
    peg_shortfall,
    stablecoin_haircut,
)
from solvent.models.collateral.tail import Tail, downside_tail
from solvent.models.collateral.weights import EDGE_SHARES
from solvent.models.liquidity.tiers import PERIOD_DAYS
from solvent.valuation.impact import impact_fraction
from solvent.valuation.tiers import F64

LEVEL = 0.99
PATH_DAYS = 730
"""How far back a haircut's steps are followed."""
KIND_FLOOR = {"treasury": 0.01}
"""Of tokenised assets that move less than a coin; `COIN_FLOOR` otherwise."""


class Target(NamedTuple):
    """The target of the last days, the present one last, and what the present one is made of."""

    path: F64
    """Shape (days,)."""
    falls: F64
    """Shape (days,): the fall of the day before each."""
    tail: Tail
    multiplier: F64
    """Shape (days,)."""
    signals: tuple[str, ...]
    """Those that stand on the present day."""
    horizon_days: float
    parts: tuple[HaircutPart, ...]
    """Of the present day; what is larger than the last part counts, claims are added."""


def horizon_days(facts: Facts, tier: int) -> float:
    """Days until it is sold: the tier's margin period, and the queue of those who would redeem."""
    return PERIOD_DAYS[tier] + facts.exit_days


def target(history: History, facts: Facts, day: date, tier: int, underlying: Target | None = None) -> Target | None:
    """The target haircut of each of the last days; None for too short a history.

    Parameters
    ----------
    history : History
        Days before `day` only.
    facts : Facts
        With their changes; each day sees those that held on it.
    day : date
        The last day that is asked for.
    tier : int
        Liquidity tier of the last day, with which the days before are followed too.
    underlying : Target, optional
        Of what the asset redeems into.
    """
    tail = downside_tail(history.returns, LEVEL, PATH_DAYS)
    count = len(tail.sigma)
    if not count:
        return None
    known = facts_at(facts, day)
    horizon = horizon_days(known, tier)
    short = peg_shortfall(history.low, history.close)[-count:] if facts.stablecoin else np.zeros(count)
    signals = {
        "volatility": volatility_signal(history.returns)[-count:],
        "depth": _padded(depth_signal(history.depth_proxy).astype(np.float64), count) > 0.0,
    }
    if facts.stablecoin:
        signals["peg"] = peg_signal(short)
    if history.funding_rate is not None:
        signals["funding"] = _padded(funding_signal(history.funding_rate).astype(np.float64), count) > 0.0
    stress = multiplier(signals)
    impact = float(impact_fraction(EDGE_SHARES[0], 1.0, tail.sigma[-1]))
    market = market_haircut(tail.quantile, horizon, history.spread, impact, stress)
    each_day = _facts_by_day(facts, history, day, count)
    own = _with_peg(market, short, each_day) if facts.stablecoin else np.maximum(market, _floor(facts))
    through = None if underlying is None else _padded(underlying.path, count)
    claims = claim_parts(known)
    path = np.minimum(looked_through(own, through) + sum(part.fraction for part in claims), 1.0)
    standing = tuple(name for name, days in signals.items() if days[-1])
    parts = _parts(tail, horizon, market, stress, short, known, through)
    falls = _padded(history.falls, count)
    return Target(path, falls, tail, stress, standing, horizon, (*parts, *claims))


def _floor(facts: Facts) -> float:
    return KIND_FLOOR.get(facts.kind, COIN_FLOOR)


def _padded(values: F64, count: int) -> F64:
    """The last `count` values; the first is repeated where there are fewer."""
    if len(values) >= count:
        return values[len(values) - count :]
    first = values[0] if len(values) else 0.0
    return np.concatenate((np.full(count - len(values), first), values))


def _facts_by_day(facts: Facts, history: History, day: date, count: int) -> list[Facts]:
    """The facts of each of the last days, `day` last."""
    before = history.days[len(history.days) - count + 1 :].tolist()
    return [facts_at(facts, each) for each in (*before, day)] if facts.changes else [facts] * count


def _with_peg(market: F64, short: F64, each_day: list[Facts]) -> F64:
    """A stablecoin's haircut day by day; days of the same facts are taken together."""
    found = np.empty(len(market))
    rows: dict[Facts, list[int]] = {}
    for i, facts in enumerate(each_day):
        rows.setdefault(facts, []).append(i)
    for facts, where in rows.items():
        found[where] = stablecoin_haircut(market[where], short[where], facts)
    return found


def _parts(
    tail: Tail, horizon: float, market: F64, stress: F64, short: F64, facts: Facts, through: F64 | None
) -> list[HaircutPart]:
    """What the present day's target is made of, in words."""
    quantile = f"99 % of a day {tail.quantile[-1]:.2%}, {horizon:g} days, stress x {stress[-1]:g}"
    parts = [HaircutPart("market", float(market[-1]), quantile)]
    if facts.stablecoin:
        chance, loss = float(depeg_probability(short[-1], facts)), LOSS_GIVEN_DEPEG[facts.stablecoin]
        detail = (
            f"{chance:.1%} in a week x {loss:.0%} lost; {short[-1]:.2%} below the peg, redemption {facts.redemption}"
        )
        parts.append(HaircutPart("depeg", chance * loss, detail))
        parts.append(HaircutPart("floor", FLOOR[facts.stablecoin], f"{facts.stablecoin} stablecoin: at least"))
    else:
        parts.append(HaircutPart("floor", _floor(facts), f"{facts.kind}: at least"))
    if through is not None:
        parts.append(
            HaircutPart("look-through", float(through[-1]), f"what it redeems into, {facts.represents}: at least")
        )
    return parts


def by_asset(
    histories: Mapping[str, History], facts: Mapping[str, Facts], day: date, tiers: Mapping[str, int]
) -> dict[str, Target | None]:
    """Targets of all assets, each looking through to what it represents where that is in the data."""
    found: dict[str, Target | None] = {}

    def of(asset: str, above: frozenset[str]) -> Target | None:
        if asset not in found:
            below = facts[asset].represents
            through = of(below, above | {asset}) if below in histories and below not in above | {asset} else None
            found[asset] = target(histories[asset], facts[asset], day, tiers[asset], through)
        return found[asset]

    for asset in histories:
        of(asset, frozenset())
    return found
