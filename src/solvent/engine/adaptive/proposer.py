"""From evidence to proposals: tail quantiles, predictions inside their band, liquidity; raises and loosenings apart.

A margin is core moved by a prediction + half spread + impact of a close-out. What is proposed is what evidence
calls for, cut to the bounds; the engine checks both again.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from importlib.util import find_spec
from math import isfinite, nan
from typing import NamedTuple, Protocol

import msgspec

from solvent.domain import commands as c
from solvent.domain.adaptive import BAND, Adaptive, Change, Evidence, EvidenceRow, Forecast
from solvent.domain.policy import Policy
from solvent.engine.adaptive.history import DAY_S, S_NS, History
from solvent.engine.adaptive.parameters import SCAN_RANGE, asset_of, margin_params, model_named, required_of, value_of
from solvent.engine.adaptive.tails import Walk
from solvent.errors import SolventError, problem
from solvent.ledger.adaptive import DAY_NS
from solvent.models.catalogue import CHAMPION, model_of
from solvent.valuation.impact import impact_fraction

LEVEL = 0.99
PERIOD_S = DAY_S
"""Margin period of risk: a day."""
STALE_BARS = 3
"""Closes older than this are no evidence."""
CLOSE_OUT_USD = 1_000_000.0
"""Size whose impact is charged; larger accounts pay their own concentration in the margin rule."""
VOLATILITY_DAILY = 0.05
RANGE_MOST = 0.9
_DIGITS = 6
_FITTED_BY_ARCH = ("stack", "garch", "gjr")


class Prediction(NamedTuple):
    """What a predictive layer says of one asset and side for the margin period."""

    margin: float
    """Fraction of price; NaN where nothing is predicted."""
    ts_ns: int
    """Of the newest feature that it used."""
    lasts_ns: int
    """It is stale when that is longer ago."""
    model: str = ""
    """BLAKE2b-256 of the model's file."""
    data_digest: str = ""
    note: str = ""
    """Why nothing is predicted, or what held it back."""

    def forecast(self) -> Forecast:
        """As evidence has it."""
        margin = self.margin if isfinite(self.margin) else None
        return Forecast(self.ts_ns, self.model, self.data_digest, margin, self.note)


Predictor = Callable[[str, str], Prediction]
"""(asset, side) -> what is predicted."""
STALE = "stale"
OTHER_MODEL = "the policy names another model"


class Sight(NamedTuple):
    """What a proposer may look at: plain data, taken between blocks."""

    adaptive: Adaptive
    policy: Policy
    """In effect."""
    ts_ns: int
    volume_usd_daily: Mapping[str, float] = {}
    """By asset: what counts, NaN where unknown."""
    half_spread: Mapping[str, float] = {}

    @property
    def target(self) -> Policy:
        """What new risk has to satisfy."""
        return self.adaptive.target or self.policy


class Proposer(Protocol):
    """Makes commands from evidence; sends nothing itself."""

    def propose(self, history: History, sight: Sight) -> Sequence[c.Command]:
        """Proposals and withdrawals, in order; empty where nothing is to change."""
        ...


def within_band(core: float, prediction: Prediction, now_ns: int, band: float = BAND) -> float:
    """The core moved by a prediction: down to (1 - band) core, up as far as it says; missing or stale: the core."""
    if not isfinite(prediction.margin) or not 0 <= now_ns - prediction.ts_ns <= prediction.lasts_ns:
        return core
    return max(prediction.margin, (1.0 - band) * core)


def believed(prediction: Prediction, named: str, now_ns: int) -> Prediction:
    """A prediction, silent where it is stale or its model is not the one `named` by the policy, with the reason."""
    if prediction.model and prediction.model != named:
        return prediction._replace(margin=nan, note=OTHER_MODEL)
    if isfinite(prediction.margin) and not 0 <= now_ns - prediction.ts_ns <= prediction.lasts_ns:
        return prediction._replace(margin=nan, note=STALE)
    return prediction


class TailProposer:
    """Scan ranges from a tail model of each asset, by default the champion."""

    def __init__(self, model: str = CHAMPION, predictor: Predictor | None = None, level: float = LEVEL) -> None:
        """model: a name of `models.catalogue`. Raises SolventError for another, and where its packages are missing."""
        self.model, self.predictor, self.level = model, predictor, level
        model_of(model, level)
        _check_installed(model)
        self.latest: Evidence | None = None
        """Of the last look."""
        self._walks: dict[str, Walk] = {}

    def evidence(self, history: History, sight: Sight) -> Evidence | None:
        """What the model says of every asset with enough fresh closes; None without any."""
        rows: list[EvidenceRow] = []
        spans: list[tuple[int, int]] = []
        for asset in history.assets:
            closes = history.closes(asset)
            walk = self._walks.setdefault(asset, Walk(model_of(self.model, self.level), self.level))
            if not walk.advance(closes):
                continue
            bars_daily = closes.bars_daily()
            stale_ns = round(STALE_BARS * DAY_NS / bars_daily)
            if history.last_ns - closes.end_ns[-1] > stale_ns:
                continue
            rows += [self._complete(row, sight) for row in walk.rows(asset, bars_daily * PERIOD_S / DAY_S)]
            spans.append((closes.end_ns[0], closes.end_ns[-1]))
        if not rows:
            return None
        first_ns, last_ns = min(first for first, _ in spans), max(last for _, last in spans)
        digest = history.digest(sorted({row.asset for row in rows}), first_ns, last_ns)
        return Evidence(self.model, digest, first_ns, last_ns, tuple(rows), history.bar_ns // S_NS)

    def _complete(self, row: EvidenceRow, sight: Sight) -> EvidenceRow:
        """A row with its prediction and liquidity charges."""
        core, forecast = row.core, None
        if self.predictor is not None:
            named = model_named(sight.policy, row.asset)
            said = believed(self.predictor(row.asset, row.side), named, sight.ts_ns)
            core, forecast = within_band(row.core, said, sight.ts_ns), said.forecast()
        volume = sight.volume_usd_daily.get(row.asset, float("nan"))
        impact = float(impact_fraction(CLOSE_OUT_USD, volume, VOLATILITY_DAILY)) if volume > 0 else 0.0
        liquidity = sight.half_spread.get(row.asset, 0.0) + impact
        return msgspec.structs.replace(
            row,
            margin=min(core + liquidity, RANGE_MOST),
            prediction=None if core == row.core else core,
            liquidity=liquidity,
            volume_usd_daily=volume if volume > 0 else None,
            forecast=forecast,
        )

    def propose(self, history: History, sight: Sight) -> Sequence[c.Command]:
        """At most a raise, and a loosening in place of one that waits no longer fit."""
        evidence = self.latest = self.evidence(history, sight)
        if evidence is None:
            return ()
        raises: dict[str, float] = {}
        loosens: dict[str, float] = {}
        for asset in sorted({row.asset for row in evidence.rows}):
            moved = _move(asset, evidence, sight)
            if moved is not None:
                (raises if moved > required_of(sight.target, SCAN_RANGE + asset) else loosens)[asset] = moved
        found: list[c.Command] = []
        if raises:
            found.append(_command(raises, evidence, sight))
        waiting = [each for each in sight.adaptive.pending if not each.by]
        if any(_still_good(each.changes, evidence, sight) for each in waiting):
            return found
        found += [c.WithdrawProposal(each.proposal) for each in waiting]
        return [*found, _command(loosens, evidence, sight)] if loosens else found


def _check_installed(model: str) -> None:
    """Raise SolventError where a model needs a package that is not there."""
    if any(name in model for name in _FITTED_BY_ARCH) and find_spec("arch") is None:
        accepted = "`./run --with models ...` or `pip install 'solvent[models]'`"
        raise SolventError(problem("adaptive", None, "model", model, accepted))


def _move(asset: str, evidence: Evidence, sight: Sight) -> float | None:
    """Where an asset's range is to go, as a fraction of price, within step and day; None: it stays."""
    params = sight.adaptive.params
    parameter, wanted = SCAN_RANGE + asset, evidence.margin_of(asset)
    assert wanted is not None, "evidence of each of its assets"
    now = required_of(sight.target, parameter)
    up = wanted > now
    if not up and now - wanted < params.loosen_after:
        return None
    size = min(abs(wanted - now), params.step_most, _room(parameter, up, sight))
    if size < params.change_least:
        return None
    return now + size if up else now - size


def _room(parameter: str, up: bool, sight: Sight) -> float:
    """What is left of the day's bound."""
    moved = sum(
        abs(change)
        for ts_ns, name, change in sight.adaptive.moved
        if name == parameter and ts_ns > sight.ts_ns - DAY_NS and (change > 0) == up
    )
    return max(0.0, sight.adaptive.params.daily_most - moved)


def _command(margins: Mapping[str, float], evidence: Evidence, sight: Sight) -> c.ProposePolicy:
    """A proposal of scan ranges, rounded to where the engine's bounds are kept."""
    scale = margin_params(sight.target).margin_scale
    changes = []
    for asset, margin in margins.items():
        up = margin > required_of(sight.target, SCAN_RANGE + asset)
        steps = margin / scale * 10**_DIGITS
        changes.append((SCAN_RANGE + asset, (steps // 1 if up else -(-steps // 1)) / 10**_DIGITS))
    explained = msgspec.structs.replace(evidence, reason=reason_of(evidence, margins))
    return c.ProposePolicy(tuple(changes), explained)


def reason_of(evidence: Evidence, assets: Container[str]) -> str:
    """The rows that decide about some assets, in words."""
    return "; ".join(
        f"{row.asset} {row.side}: {row.level:.0%} loss of a day {row.core:.1%}{_moved_by(row)}, "
        f"with liquidity {row.margin:.1%}"
        for row in evidence.rows
        if row.asset in assets and row.margin == evidence.margin_of(row.asset)
    )


def _moved_by(row: EvidenceRow) -> str:
    if row.prediction is None or row.forecast is None:
        return ""
    return f", by model {row.forecast.model[:8]} {row.prediction:.1%}"


def _still_good(changes: Sequence[Change], evidence: Evidence, sight: Sight) -> bool:
    """Whether a loosening that waits is against the present target and no lower than what evidence calls for now."""
    scale = margin_params(sight.target).margin_scale
    return all(
        value_of(sight.target, each.parameter) == each.before
        and scale * each.after >= (evidence.margin_of(asset_of(each.parameter)) or RANGE_MOST)
        for each in changes
    )
