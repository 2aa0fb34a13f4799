"""Changes of a policy while a venue runs: their bounds, the evidence for them, and how far along they are.

A *parameter* is named by its place in the margin table: `scan_range.BTC`, `collateral.BTC.haircut_initial`. A change
that makes a parameter larger is a raise, one that makes it smaller loosens. One point is 0.01.
"""

import msgspec

from solvent.domain.policy import Policy
from solvent.errors import Problem, problem

BAND = 0.25
"""Predictions move a margin down by so much of the core at most; upward without a limit of their own."""
RAISE, LOOSEN = "raise", "loosen"
"""Which way a proposal goes; none goes both ways."""


class Change(msgspec.Struct, frozen=True, array_like=True):
    """One parameter of the target, before and after."""

    parameter: str
    before: float
    after: float


class Forecast(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a predictive layer said of one asset and side, or why it was silent."""

    ts_ns: int
    """Of the newest thing that it looked at."""
    model: str = ""
    """BLAKE2b-256 of the model's file, in hexadecimal digits; empty where there is no model."""
    data_digest: str = ""
    """BLAKE2b-256 of the candles that it looked at."""
    margin: float | None = None
    """What it called for, a fraction of price; None: nothing."""
    note: str = ""
    """Why it is silent, or what held it back."""


class EvidenceRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a model says of one asset and side, and how it did on the data it had."""

    asset: str
    side: str
    """`long` or `short`."""
    margin: float
    """Fraction of price that the evidence calls for: the core moved by the prediction, with liquidity charges."""
    core: float
    """Tail quantile of losses over the margin period, a fraction of price."""
    level: float
    """Confidence of the quantile."""
    observations: int
    """Returns that the quantile stands on."""
    exceptions: int
    """Of the backtest: losses beyond the forecast made before them."""
    tested: int
    """Forecasts of the backtest."""
    kupiec_p: float
    prediction: float | None = None
    """What a predictive layer called for in place of the core; None: missing or stale, the core stands."""
    liquidity: float = 0.0
    """Spread and impact, part of `margin`."""
    volume_usd_daily: float | None = None
    """Lower of all sources over weeks."""
    forecast: Forecast | None = None
    """Behind `prediction`; None where the venue has no predictive layer."""


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a change is proposed; stands in the journal with the proposal."""

    model: str
    data_digest: str
    """BLAKE2b-256, in hexadecimal digits, of the rows (time, asset, price) that the model saw."""
    first_ns: int
    last_ns: int
    rows: tuple[EvidenceRow, ...]
    bar_s: int = 300
    """Length of the bars that prices were taken at."""
    reason: str = ""
    """In words, for people."""

    def margin_of(self, asset: str) -> float | None:
        """The larger margin of an asset's two sides; None where the evidence says nothing of it."""
        return max((row.margin for row in self.rows if row.asset == asset), default=None)


class AdaptiveParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of what may change while the venue runs, in fractions (0.05 is five points) and seconds."""

    step_most: float = 0.05
    """Largest change of one parameter by one proposal."""
    daily_most: float = 0.10
    """Largest sum of one parameter's changes in any 24 hours, either way."""
    delay_s: int = 3_600
    """From a raise to the start of its ramp for existing positions."""
    notice_s: int = 86_400
    """From a raise to the first moment at which it may by itself make an account liquidatable."""
    ramp_s: int = 86_400
    """Over which existing positions take a raise, at the least."""
    ramp_daily_most: float = 0.05
    """Fastest ramp."""
    ramp_every_s: int = 900
    """Between two steps of a ramp, at the least."""
    loosen_after: float = 0.03
    """A loosening is proposed only where evidence is this far below the target."""
    change_least: float = 0.005
    """Smaller changes are not proposed by the engine."""

    def check(self, where: str = "adaptive") -> list[Problem]:
        """Everything unsafe, all at once."""
        rows: list[tuple[str, bool, str]] = [
            ("step_most", 0 < self.step_most <= 0.25, "above 0, at most 0.25"),
            ("daily_most", self.step_most <= self.daily_most <= 0.5, "from step_most to 0.5"),
            ("delay_s", 0 <= self.delay_s <= self.notice_s, "from 0 to notice_s"),
            ("notice_s", 0 < self.notice_s <= 30 * 86_400, "above 0, at most 30 days"),
            ("ramp_s", 3_600 <= self.ramp_s <= 30 * 86_400, "from an hour to 30 days"),
            ("ramp_daily_most", 0 < self.ramp_daily_most <= 0.05, "above 0, at most 0.05"),
            ("ramp_every_s", 0 < self.ramp_every_s <= 86_400, "above 0, at most a day"),
            ("loosen_after", 0 <= self.loosen_after <= 1, "from 0 to 1"),
            ("change_least", 0 < self.change_least <= self.step_most, "above 0, at most step_most"),
        ]
        return [problem(where, None, field, getattr(self, field), ok) for field, good, ok in rows if not good]


class PendingChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A loosening that waits for a person."""

    proposal: int
    changes: tuple[Change, ...]
    by: str
    """Who proposed it; empty for the engine."""
    ts_ns: int
    reason: str = ""


class Ramp(msgspec.Struct, frozen=True, omit_defaults=True):
    """A raise on its way to existing positions; new risk has had it since it was proposed."""

    proposal: int
    changes: tuple[Change, ...]
    """`before` is what held for existing positions when it was proposed."""
    by: str
    start_ns: int
    """Nothing moves before."""
    notice_ns: int
    """Before this time no step may by itself make an account liquidatable."""
    reason: str = ""


class Adaptive(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that the ledger keeps of changes under way. The state's own policy is the one in effect."""

    params: AdaptiveParams
    target: Policy | None = None
    """What new risk is margined with beside the policy in effect; None where they are the same."""
    pending: tuple[PendingChange, ...] = ()
    ramps: tuple[Ramp, ...] = ()
    moved: tuple[tuple[int, str, float], ...] = ()
    """(time, parameter, change) of the target's changes in the last 24 hours."""
    ramped_ns: int = 0
    """When the policy in effect last took a step."""
    next_proposal: int = 1
