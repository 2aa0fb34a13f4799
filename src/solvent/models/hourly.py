"""The hourly layer: margins of the next hour from candles, predicted where a prediction has earned it.

Each model forecasts a volatility for every hour; filtered historical simulation makes the quantile of each side.
`hourly` is the governed one: the mean of HAR and boosting, tracked, watched for drift against the champion (EWMA),
and held to it: at most a quarter below it, and exactly it where a feature is missing or the prediction has failed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from solvent.errors import SolventError, problem
from solvent.models import boosting, drift, har
from solvent.models.backtests.coverage import promised
from solvent.models.backtests.scores import pinball
from solvent.models.features import CORE_GROUPS, FEATURES, HAR_HOURS, chosen, matrix, range_variance
from solvent.models.hours import HOUR_NS, Hours, assets_of, hours
from solvent.models.kernel_filters import VARIANCE_LEAST
from solvent.models.kernel_hourly import ewma_variance, filtered_tail, tracked
from solvent.models.ranges import log_variance
from solvent.models.returns import SIDES, losses
from solvent.models.walk_forward import FORECASTS

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

WARM_UP_HOURS = 240 * 24
"""Hours before the first forecast; the first fit is made halfway, so that residuals are out of sample too."""
FIRST_FIT_HOURS = WARM_UP_HOURS // 2
PURGE_HOURS = 1
"""Left out between the last hour learnt from and the first one forecast."""
RESIDUAL_HOURS = 365 * 24
RESIDUALS_LEAST = 30 * 24
HELD_OUT_HOURS = 90 * 24
"""The newest hours, which a kept model does not learn from: they are its first residuals, and its test."""
ELASTICITY = 0.9
"""Margins follow sigma^0.9: a forecast of volatility is uncertain, and more so the further it is from usual."""
DECAY, DECAY_SLOWER, DECAY_SLOWEST = 0.94, 0.97, 0.99
SEED_HOURS = 168
GARCH_HOURS = 240 * 24
TRACKER_STEP = 0.01
TRACKER_MOST = 0.7
LIFT = 0.2
"""On the logarithm, for the hour after a breach on that side: shocks come in pairs before any range shows them."""
FLOOR = 0.75
"""Of the champion's margin: a prediction may lower a margin by a quarter at most; raise it, it may further."""

TEXTBOOK = "ewma-fhs"
"""What the others are held against: filtered historical simulation as it stands in books, margins along sigma."""
CHAMPION = "ewma-core-fhs"
"""The core: the same along sigma^0.9, sigma between a fast and a slow EWMA; it needs candles' closes alone."""
GOVERNED = "hourly"
MODELS = (
    TEXTBOOK, "ewma-97-fhs", CHAMPION, "garch-t-fhs", "har-fhs", "har-hour-fhs", "boosting-fhs", "mean-fhs", GOVERNED,
)  # fmt: skip
ALONG_SIGMA = frozenset({TEXTBOOK, "ewma-97-fhs", "garch-t-fhs"})
"""Comparators as the field runs them."""
BY_ARCH = frozenset({"garch-t-fhs"})
BY_LIGHTGBM = frozenset({"boosting-fhs", "mean-fhs", GOVERNED})
"""Those that need these packages, of the extra `models`."""
KEPT = tuple(each for each in FEATURES if each.group in CORE_GROUPS and each.group != "liquidity")
"""What kept models look at: a venue's marks have prices and no volume of the hour."""
KEPT_FEATURES = tuple(each.name for each in KEPT)


class Kept(msgspec.Struct, frozen=True):
    """A boosting model of one asset that is kept in a file and stands for the monthly fits."""

    text: str
    learnt_before_ns: int
    """It learnt from hours before this time. It forecasts later ones alone: its residuals on what it has learnt are
    too small, and so would be margins made of them."""


class Margins(msgspec.Struct, frozen=True, eq=False):
    """VaR and ES of both sides for each hour, from what came before it."""

    values: F64
    """(T, 4): VaR and ES of a long, VaR and ES of a short, in log returns; NaN where there is no forecast."""
    note: tuple[tuple[Bool, str], ...] = ()
    """(T,) where another model speaks, and why; the first that holds counts."""

    def side(self, number: int) -> tuple[F64, F64]:
        return self.values[:, 2 * number], self.values[:, 2 * number + 1]


def forecast(
    candles: pl.DataFrame,
    level: float = 0.99,
    *,
    models: Sequence[str] = (GOVERNED,),
    assets: Sequence[str] | None = None,
    ahead: bool = False,
    kept: Mapping[str, Kept] | None = None,
) -> pl.DataFrame:
    """Forecasts of every hour after the warm-up, by each model, both sides: the frame `FORECASTS`, in log returns.

    candles: hourly, see `hours`. Hours without a return (gaps, a change of venue) are not in the frame. Where a
    model has no forecast the champion's stands, and `note` says why. ahead: the hour after the last candle is
    added, its loss null. kept: by asset, a model of `trained` that stands for the monthly fits of boosting; where it
    does not forecast, models made of it have the champion's margin.

    Raises
    ------
    SolventError
        For unknown models, candles that are not hourly, and assets with less history than the warm-up.
    """
    unknown = [name for name in models if name not in MODELS]
    if unknown:
        raise SolventError(*(problem("models", None, "name", name, f"one of {', '.join(MODELS)}") for name in unknown))
    wanted = assets_of(candles) if assets is None else assets
    given = kept or {}
    return pl.concat(
        [of_asset(hours(candles, each, ahead=ahead), level, models, given.get(each))[0] for each in wanted]
    )


def trained(candles: pl.DataFrame, asset: str) -> Kept:
    """A boosting model of one asset's hours but the last 90 days, for a file that a policy names by `boosting.digest`.

    The same candles give the same text on a machine. Raises SolventError for a history that is too short.
    """
    of = hours(candles, asset)
    learnt = len(of) - HELD_OUT_HOURS
    if learnt <= WARM_UP_HOURS:
        accepted = f"more than {WARM_UP_HOURS + HELD_OUT_HOURS} hours, of which {HELD_OUT_HOURS} are held out"
        raise SolventError(problem("candles", None, "ts", f"{asset}: {len(of)} hours", accepted))
    X, y = matrix(of, KEPT), target(of)
    there = np.isfinite(X).all(axis=1) & np.isfinite(y)
    there[learnt - PURGE_HOURS :] = False
    if np.count_nonzero(there) < boosting.ROWS_LEAST:
        accepted = f"at least {boosting.ROWS_LEAST} hours with every feature"
        raise SolventError(problem("candles", None, "high", f"{asset}: {np.count_nonzero(there)}", accepted))
    text = boosting.fit(X[there], y[there], KEPT_FEATURES)
    return Kept(text, int(of.ts_ns[learnt]))


class NextHour(NamedTuple):
    """The governed margin of one hour, before it."""

    margins: tuple[float, float]
    """VaR of a long and of a short, in log returns; NaN where not even the champion has one."""
    note: str | None
    """Why another model speaks, or what holds the prediction back."""


def next_hour(of: Hours, level: float, kept: Kept) -> NextHour:
    """What `hourly` says of the last hour of `of` (see `hours`, `ahead`), its prediction made with a kept model."""
    margins = Race(of, level, kept).margins(GOVERNED)
    note = next((why for where, why in margins.note if where[-1]), None)
    return NextHour((float(margins.values[-1, 0]), float(margins.values[-1, 2])), note)


def of_asset(of: Hours, level: float, models: Sequence[str], kept: Kept | None = None) -> tuple[pl.DataFrame, "Race"]:
    """Forecasts of one asset, and the race that they come from. Raises SolventError where it is too short."""
    if len(of) <= WARM_UP_HOURS:
        accepted = f"more than {WARM_UP_HOURS} hours: what comes before is for warming up"
        raise SolventError(problem("candles", None, "ts", f"{of.asset}: {len(of)} hours", accepted))
    race = Race(of, level, kept)
    core = race.margins(CHAMPION)
    rows = np.isfinite(of.returns) & np.isfinite(core.values[:, 0]) & (np.arange(len(of)) >= WARM_UP_HOURS)
    rows[-1] |= np.isnan(of.close[-1]) and np.isfinite(core.values[-1, 0])
    return pl.concat([_frame(of, race.margins(name), name, level, rows) for name in models]), race


class Race:
    """All models of one asset on the same hours; what several of them share is made once."""

    def __init__(self, of: Hours, level: float, kept: Kept | None = None) -> None:
        self.of = of
        self.level = level
        self.kept = kept
        self.refits = refits(of.ts_ns)
        self._log_variances: dict[str, F64] = {}
        self._margins: dict[str, Margins] = {}

    def log_variance(self, name: str) -> F64:
        """(T,) forecast of the logarithm of the variance of each hour, known before it."""
        if name not in self._log_variances:
            self._log_variances[name] = FORECASTERS[name](self)
        return self._log_variances[name]

    def margins(self, name: str) -> Margins:
        """By model; where it has no forecast the champion's."""
        if name not in self._margins:
            self._margins[name] = self._governed() if name == GOVERNED else self._filtered(name)
        return self._margins[name]

    def _filtered(self, name: str) -> Margins:
        elasticity = 1.0 if name in ALONG_SIGMA else ELASTICITY
        own = tail(self.of.returns, self.log_variance(name), self.level, elasticity)
        if name == CHAMPION:
            return Margins(own)
        missing = np.isnan(own[:, 0])
        return Margins(np.where(missing[:, None], self.margins(CHAMPION).values, own), ((missing, MISSING),))

    def _governed(self) -> Margins:
        core = self.margins(CHAMPION).values
        own = tail(self.of.returns, self.log_variance("mean-fhs"), self.level, ELASTICITY)
        return governed(core, own, self.of.returns, self.level)


MISSING = f"a feature is missing: {CHAMPION}"
DRIFTED = f"worse than {CHAMPION} of late: {CHAMPION}"
FLOORED = f"held at {FLOOR:.0%} of {CHAMPION}"


def governed(core: F64, predicted: F64, returns: F64, level: float) -> Margins:
    """The margin that is charged: the tracked prediction where it is trusted, never below `FLOOR` of the core.

    core, predicted: (T, 4), see `Margins`. returns: (T,) log returns. The prediction is tracked and watched in
    the shadow too, while the core speaks. Hour t uses returns before t alone.
    """
    alpha = promised(level)
    values = core.copy()
    scores = np.zeros((2, len(returns)))
    shadow = np.empty_like(core)
    for number, side in enumerate(SIDES):
        loss = losses(returns, side)
        column = slice(2 * number, 2 * number + 2)
        factor = np.exp(tracked(predicted[:, 2 * number], loss, alpha, TRACKER_STEP, TRACKER_MOST, LIFT))
        shadow[:, column] = predicted[:, column] * factor[:, None]
        for row, margin in enumerate((shadow[:, 2 * number], core[:, 2 * number])):
            scores[row] += pinball(-loss, -margin, alpha)
    known = np.isfinite(scores).all(axis=0)
    trusted = drift.trusted(*np.where(known, scores, np.nan))
    missing = np.isnan(shadow[:, 0])
    used = trusted & ~missing
    values[used] = np.maximum(shadow, FLOOR * core)[used]
    floored = used & (shadow < FLOOR * core).any(axis=1)
    return Margins(values, ((missing, MISSING), (~trusted, DRIFTED), (floored, FLOORED)))


def tail(returns: F64, log_variances: F64, level: float, elasticity: float = ELASTICITY) -> F64:
    """(T, 4) filtered historical simulation over forecasts of variance: VaR and ES of a long and of a short."""
    found: F64 = filtered_tail(
        returns, np.exp(0.5 * elasticity * log_variances), level, RESIDUAL_HOURS, RESIDUALS_LEAST
    )
    return found


def refits(ts_ns: I64, first: int = FIRST_FIT_HOURS) -> I64:
    """Rows from which new fits hold: the first one, then the start of every month (UTC)."""
    month = ts_ns.astype("datetime64[ns]").astype("datetime64[M]")
    turns = np.flatnonzero(month[1:] != month[:-1]) + 1
    return np.append(first, turns[turns > first])


def _ewma(race: Race, decay: float = DECAY) -> F64:
    return np.asarray(np.log(np.maximum(ewma_variance(race.of.returns, decay, SEED_HOURS), VARIANCE_LEAST)))


def _ewma_slower(race: Race) -> F64:
    return _ewma(race, DECAY_SLOWER)


def _core(race: Race) -> F64:
    """The geometric mean of two memories: the shock of today, and what is usual of late."""
    return 0.5 * (_ewma(race) + _ewma(race, DECAY_SLOWEST))


def _garch(race: Race) -> F64:
    """GARCH(1,1)-t, estimated monthly on the last 240 days; missing returns are skipped over."""
    from solvent.models.garch import Garch

    r = race.of.returns
    out = np.full(len(r), np.nan)
    estimator = Garch("garch", window=GARCH_HOURS, refit_every=1)
    for start, stop in zip(race.refits, np.append(race.refits[1:], len(r)), strict=True):
        there = np.flatnonzero(np.isfinite(r[:stop]))
        past = np.count_nonzero(there < start - PURGE_HOURS)
        known = r[there]
        variances = estimator.estimate(known[:past]).variances(known)
        rows = np.arange(start, stop)
        out[rows] = np.log(variances[np.searchsorted(there, rows)])
    return out


def _har(race: Race, hour_of_day: I64 | None = None) -> F64:
    names = [f"log_range_variance_{n}h" for n in HAR_HOURS]
    features = [f for f in chosen(("volatility",), race.of) if f.name in names]
    X = har.design(matrix(race.of, features), hour_of_day)
    return har.forecasts(X, target(race.of), race.refits, PURGE_HOURS)


def _har_hour(race: Race) -> F64:
    return _har(race, race.of.ts_ns // HOUR_NS % 24)


def _boosting(race: Race) -> F64:
    if race.kept is not None:
        return _of_kept(race.of, race.kept)
    X = matrix(race.of, chosen(CORE_GROUPS, race.of))
    return boosting.forecasts(X, target(race.of), race.refits, PURGE_HOURS)[0]


def _of_kept(of: Hours, kept: Kept) -> F64:
    boosting.loaded(kept.text, boosting.digest(kept.text), of.asset, KEPT_FEATURES)
    X = matrix(of, KEPT)
    rows = np.isfinite(X).all(axis=1) & (of.ts_ns >= kept.learnt_before_ns)
    found = np.full(len(X), np.nan)
    if rows.any():
        found[rows] = boosting.predict(kept.text, X[rows])
    return found


def _mean(race: Race) -> F64:
    return 0.5 * (race.log_variance("har-hour-fhs") + race.log_variance("boosting-fhs"))


FORECASTERS: Mapping[str, Callable[[Race], F64]] = {
    TEXTBOOK: _ewma,
    "ewma-97-fhs": _ewma_slower,
    CHAMPION: _core,
    "garch-t-fhs": _garch,
    "har-fhs": _har,
    "har-hour-fhs": _har_hour,
    "boosting-fhs": _boosting,
    "mean-fhs": _mean,
}


def target(of: Hours) -> F64:
    """(T,) what is learnt: the logarithm of the range variance of each hour."""
    return log_variance(range_variance(of))


def _frame(of: Hours, margins: Margins, name: str, level: float, rows: Bool) -> pl.DataFrame:
    note = np.full(len(of), None, dtype=object)
    for where, why in reversed(margins.note):
        note[where] = why
    when = pl.from_epoch(pl.Series("ts", of.ts_ns[rows]), "ns").dt.replace_time_zone("UTC").cast(FORECASTS["ts"])
    parts = []
    for number, side in enumerate(SIDES):
        margin, shortfall = margins.side(number)
        columns = {"ts": when, "asset": of.asset, "side": side, "model": name, "level": level, "margin": margin[rows]}
        columns |= {"shortfall": shortfall[rows], "loss": losses(of.returns, side)[rows]}
        columns |= {"note": pl.Series(note[rows].tolist(), dtype=pl.String)}
        parts.append(
            pl.DataFrame(columns, schema_overrides=dict(FORECASTS)).with_columns(pl.col("loss").fill_nan(None))
        )
    return pl.concat(parts)
