"""Price guards: several sources become one price with a state, and every rejection has a reason.

A weighted median of fresh, independent sources. A source is judged against the median of the others and never
against the past, so a move that all share is accepted and a move of one alone is not.
Prices are plain floats in lists: with two or three sources a call costs microseconds.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from solvent.errors import Problem, problem

State = Literal["ok", "degraded", "halted"]

NOT_A_PRICE, FUTURE, STALE, OWN_BOOK, OUTSIDE_BAND = "not_a_price", "future", "stale", "own_book", "outside_band"
"""Why a source was rejected: price or weight not positive and finite, or confidence not a number; stamped
beyond the skew limit; older than the fresh limit; own book where it has no weight; too far from the median
of the others."""

NO_SOURCE, FEW_SOURCES, NO_MAJORITY = "no_fresh_source", "few_sources", "no_majority"
WIDE_SPREAD, OUTSIDE_SLOW_BAND = "wide_spread", "outside_slow_band"
"""Why a price is not ok."""

HALT_AGE_MOST_S = 600.0
"""No last price is used beyond this age, whatever a policy says."""


class OracleParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of the guards. Relative distances are symmetric: 0.05 = from 1/1.05 to 1.05 times."""

    soft_age_s: float = 15.0
    """Age from which the confidence half-width grows."""
    fresh_age_s: float = 60.0
    """Age up to which a source counts."""
    halt_age_s: float = 600.0
    """Age up to which the last good price stands in where no source counts."""
    skew_s: float = 2.0
    """How far ahead of our clock a source may be stamped."""
    minimum_sources: int = 2
    """Independent sources inside the band, below which the price is degraded. Replays use 1."""
    source_weight_max: float = 0.5
    """Largest share of the weight that sources of one origin have together."""
    own_book_weight_max: float = 0.25
    """Largest share of our own book in perpetual marks; it has none in collateral prices."""
    band: float = 0.05
    """Largest distance of a source from the median of the others."""
    spread_max: float = 0.04
    """Largest distance between the highest and the lowest source inside the band."""
    slow_band: float = 1.0
    """Largest distance of the median from the slow price; 1.0 = from half of it to twice."""
    degraded_health: float = 0.9
    """Health below which accounts are liquidated while a price of theirs is not ok."""
    slow_delay_s: float = 86_400.0
    """Mean age of what the slow price shows."""
    slow_rate_hourly: float = 0.06
    """Largest move of the slow price in an hour."""
    confidence_growth_per_s: float = 0.0001
    """What each second beyond the soft age adds to the relative half-width."""

    def check(self, file: str = "policy") -> list[Problem]:
        """Every value that is unsafe or contradicts another, NaN included."""
        own = self.own_book_weight_max
        rules = [
            ("soft_age_s", 0.0 < self.soft_age_s <= self.fresh_age_s, "above 0, at most fresh_age_s"),
            ("fresh_age_s", 0.0 < self.fresh_age_s <= self.halt_age_s, "above 0, at most halt_age_s"),
            ("halt_age_s", 0.0 < self.halt_age_s <= HALT_AGE_MOST_S, f"above 0, at most {HALT_AGE_MOST_S:g}"),
            ("skew_s", 0.0 <= self.skew_s <= self.fresh_age_s, "from 0 to fresh_age_s"),
            ("minimum_sources", self.minimum_sources >= 1, "at least 1"),
            ("source_weight_max", self._weight_is_safe(), "above 0, at most 0.5 (1 where minimum_sources = 1)"),
            ("own_book_weight_max", 0.0 <= own < 0.5, "from 0 to below 0.5: never a majority"),
            ("band", 0.0 < self.band <= 0.5, "above 0, at most 0.5"),
            ("spread_max", 0.0 < self.spread_max <= 1.0, "above 0, at most 1"),
            ("slow_band", self.band <= self.slow_band <= 10.0, "at least band, at most 10"),
            ("degraded_health", 0.0 < self.degraded_health <= 1.0, "above 0, at most 1"),
            ("slow_delay_s", 0.0 < self.slow_delay_s < math.inf, "above 0"),
            ("slow_rate_hourly", 0.0 < self.slow_rate_hourly <= 1.0, "above 0, at most 1"),
            ("confidence_growth_per_s", 0.0 <= self.confidence_growth_per_s <= 0.01, "from 0 to 0.01"),
        ]
        return [
            problem(file, None, f"oracle.{name}", getattr(self, name), accepted)
            for name, safe, accepted in rules
            if not safe
        ]

    def _weight_is_safe(self) -> bool:
        return 0.0 < self.source_weight_max <= (1.0 if self.minimum_sources == 1 else 0.5)


class Source(msgspec.Struct, frozen=True):
    """What one source says now."""

    name: str
    price: float
    """USD."""
    age_s: float = 0.0
    """Our clock less the source's stamp; negative where it is stamped in the future."""
    origin: str = ""
    """What it is derived from: sources of one origin count as one. Empty: itself."""
    weight: float = 1.0
    """Relative to other sources, before the caps."""
    confidence: float = 0.0
    """Relative half-width that the source states."""
    own_book: bool = False
    """Our own order book."""


class SourceVerdict(msgspec.Struct, frozen=True):
    """What became of one source."""

    name: str
    price: float
    age_s: float
    rejected: str = ""
    """One of the reasons above, empty where it counted."""


class GuardedPrice(msgspec.Struct, frozen=True):
    """One price for one asset."""

    price: float | None
    """USD: the median where ok; else the last good price while it is young enough, then the present median
    where there is one. None: no price at all."""
    state: State
    reason: str
    """Why it is not ok, empty where it is."""
    age_s: float
    """Of the newest source that counted, or of the last good price where that stands in."""
    confidence: float
    """Relative half-width: what the sources state or half their spread, grown with age. For initial margin."""
    severity_price: float | None
    """At which losses are measured for liquidation: the price where ok; else the last good price moved toward
    the present median by at most the band, so that no suspect price liquidates. None: nobody is liquidated."""
    sources: tuple[SourceVerdict, ...]


class _Vote(NamedTuple):
    """Sources of one origin, as one."""

    price: float
    weight: float
    origin: str
    age_s: float
    confidence: float


def guard(
    sources: Sequence[Source],
    params: OracleParams,
    *,
    last_price: float | None = None,
    last_age_s: float = 0.0,
    slow_price: float | None = None,
    own_book_counts: bool = False,
) -> GuardedPrice:
    """The one price that several sources give, and its state.

    Parameters
    ----------
    sources : sequence of Source
        In any order; the order does not matter.
    params : OracleParams
    last_price, last_age_s : float
        The last price whose state was ok and its age; None where there never was one.
    slow_price : float
        The slow price before this one is mixed in; None: no such guard.
    own_book_counts : bool
        True for perpetual marks, False for collateral and indices.
    """
    rejected = [_reason(source, params, own_book_counts) for source in sources]
    fresh = [source for source, reason in zip(sources, rejected, strict=True) if not reason]
    votes = _votes(fresh, params)
    kept = _inside_band(votes, params.band)
    origins, counted = {vote.origin for vote in votes}, {vote.origin for vote in kept}
    verdicts = tuple(
        SourceVerdict(source.name, source.price, source.age_s, reason or _late_reason(source, origins, counted))
        for source, reason in zip(sources, rejected, strict=True)
    )
    majority = 2.0 * sum(vote.weight for vote in kept) > sum(vote.weight for vote in votes)
    basis = kept if majority else votes
    median = weighted_median([(vote.price, vote.weight) for vote in basis])
    reason = _doubt(kept, majority, median, slow_price, params)
    state: State = "ok" if not reason else ("degraded" if votes else "halted")
    usable = last_price is not None and last_age_s <= params.halt_age_s
    if state != "ok" and usable:
        price, age = last_price, last_age_s
    else:
        price, age = median, min((vote.age_s for vote in basis), default=last_age_s)
    severity = median if state == "ok" else _severity(last_price, usable, median, params.band)
    return GuardedPrice(price, state, reason, max(age, 0.0), _confidence(basis, age, params), severity, verdicts)


def weighted_median(values: Sequence[tuple[float, float]]) -> float | None:
    """The value with half of the weight on either side; the middle of two where the halves meet between them.

    values: (value, weight > 0) in any order. None where there is none.
    """
    if len(values) < 2:
        return values[0][0] if values else None
    ordered = sorted(values)
    total = sum(weight for _, weight in ordered)
    below = 0.0
    for i, (value, weight) in enumerate(ordered):
        below += weight
        if 2.0 * below > total:
            return value
        if 2.0 * below == total:
            return 0.5 * (value + ordered[i + 1][0])
    return ordered[-1][0]


def capped_weights(weights: Sequence[float], most: float) -> list[float]:
    """Weights cut so that none is above the share `most` of their sum; equal where there are too few for that."""
    if len(weights) * most <= 1.0:
        return [1.0] * len(weights)
    rest = sum(weights)
    limit = most * rest
    # If the k heaviest are cut to `limit`, then limit = most (k limit + what the others weigh).
    for k, weight in enumerate(sorted(weights, reverse=True)):
        limit = most * rest / max(1.0 - k * most, 1e-9)
        if weight <= limit:
            break
        rest -= weight
    return [min(weight, limit) for weight in weights]


def slow_price(
    previous: float, price: float, elapsed_s: float, delay_s: float = 86_400.0, rate_hourly: float = 0.06
) -> float:
    """The slow stable price after `price` has stood for `elapsed_s` seconds.

    The logarithm of the slow price follows that of the price with a lag of mean age `delay_s`, and never moves
    faster than `rate_hourly` an hour. For a constant price the steps compose: two of 10 s are one of 20 s.
    Who lifts a price for an hour lifts this one by a twenty-fourth of the move.

    The idea, the day's delay and the 6 % are those of Mango v4's stable price (state/stable_price.rs), which
    keeps 24 hourly averages; here the whole state is one number, and a spike does not come back a day later.
    """
    if elapsed_s <= 0.0 or price == previous:
        return previous
    gap = math.log(price / previous)
    distance, rate = abs(gap), math.log1p(rate_hourly) / 3_600.0
    beyond = distance - rate * delay_s  # the lag alone would be faster than the limit while this is positive
    if beyond > 0.0:
        limited_s = min(elapsed_s, beyond / rate)
        distance -= rate * limited_s
        elapsed_s -= limited_s
    return price * math.exp(-math.copysign(distance * math.exp(-elapsed_s / delay_s), gap))


def _reason(source: Source, params: OracleParams, own_book_counts: bool) -> str:
    """Why this source cannot count, judged alone."""
    if not (0.0 < source.price < math.inf and 0.0 < source.weight < math.inf and source.confidence >= 0.0):
        return NOT_A_PRICE
    if source.age_s < -params.skew_s:
        return FUTURE
    if not source.age_s <= params.fresh_age_s:
        return STALE
    return OWN_BOOK if source.own_book and not own_book_counts else ""


def _origin(source: Source) -> str:
    return OWN_BOOK if source.own_book else source.origin or source.name


def _votes(fresh: Sequence[Source], params: OracleParams) -> list[_Vote]:
    """One vote an origin, at the median of its sources and with the heaviest weight among them, capped."""
    groups: dict[str, list[Source]] = {}
    for source in fresh:
        groups.setdefault(_origin(source), []).append(source)
    own = groups.pop(OWN_BOOK, [])
    votes = [_vote(origin, group) for origin, group in sorted(groups.items())]
    weights = capped_weights([vote.weight for vote in votes], params.source_weight_max)
    votes = [vote._replace(weight=weight) for vote, weight in zip(votes, weights, strict=True)]
    share = params.own_book_weight_max
    bound = share / (1.0 - share) * sum(weights)
    if own and bound > 0.0:  # alone, our own book has no weight
        vote = _vote(OWN_BOOK, own)
        votes.append(vote._replace(weight=min(vote.weight, bound)))
    return votes


def _vote(origin: str, group: Sequence[Source]) -> _Vote:
    if len(group) == 1:
        source = group[0]
        return _Vote(source.price, source.weight, origin, source.age_s, source.confidence)
    price = weighted_median([(source.price, source.weight) for source in group])
    assert price is not None
    return _Vote(
        price,
        max(source.weight for source in group),
        origin,
        min(source.age_s for source in group),
        max(source.confidence for source in group),
    )


def _distance(a: float, b: float) -> float:
    return max(a / b, b / a) - 1.0


def _inside_band(votes: list[_Vote], band: float) -> list[_Vote]:
    """What remains when the vote farthest from the median of the others is dropped until all are inside.

    One at a time, because one false price also moves the median that true ones are compared with. Equally far
    votes go together: of two that disagree neither is believed.
    """
    kept = votes
    while len(kept) > 1:
        prices = [vote.price for vote in kept]
        if max(prices) / min(prices) - 1.0 <= band:
            break
        pairs = [(vote.price, vote.weight) for vote in kept]
        distances = []
        for i, price in enumerate(prices):
            others = weighted_median(pairs[:i] + pairs[i + 1 :])
            assert others is not None
            distances.append(_distance(price, others))
        farthest = max(distances)
        if farthest <= band:
            break
        kept = [vote for vote, distance in zip(kept, distances, strict=True) if distance < farthest]
    return kept


def _late_reason(source: Source, origins: set[str], counted: set[str]) -> str:
    """Why a fresh source does not count among the others."""
    origin = _origin(source)
    if origin in counted:
        return ""
    return OUTSIDE_BAND if origin in origins else OWN_BOOK


def _doubt(
    kept: Sequence[_Vote],
    majority: bool,
    median: float | None,
    slow: float | None,
    params: OracleParams,
) -> str:
    """Why the median cannot be trusted, empty where it can."""
    if median is None:
        return NO_SOURCE
    if not majority:
        return NO_MAJORITY
    if len(kept) < params.minimum_sources:
        return FEW_SOURCES
    if max(vote.price for vote in kept) / min(vote.price for vote in kept) - 1.0 > params.spread_max:
        return WIDE_SPREAD
    if slow is not None and _distance(median, slow) > params.slow_band:
        return OUTSIDE_SLOW_BAND
    return ""


def _severity(last: float | None, usable: bool, median: float | None, band: float) -> float | None:
    """The last good price, moved toward the suspect median by at most the band."""
    if last is None or (median is None and not usable):
        return None
    if median is None:
        return last
    return min(max(median, last / (1.0 + band)), last * (1.0 + band))


def _confidence(votes: Sequence[_Vote], age_s: float, params: OracleParams) -> float:
    """The larger of what the sources state and half their spread, grown by the age beyond the soft limit."""
    grown = params.confidence_growth_per_s * max(age_s - params.soft_age_s, 0.0)
    if not votes:
        return grown
    stated = max(vote.confidence for vote in votes)
    half_spread = 0.5 * (max(vote.price for vote in votes) / min(vote.price for vote in votes) - 1.0)
    return max(stated, half_spread) + grown
