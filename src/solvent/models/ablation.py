"""Which groups of features earn their place: each core group left out, each other group put in, on the same hours.

A group is judged against the same model without it, learnt from the same rows: the hours where the group is known.
So neither a longer history nor an easier period can pass for a good feature.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from solvent.models import boosting
from solvent.models.backtests.coverage import promised
from solvent.models.backtests.procyclicality import factor_for_coverage
from solvent.models.backtests.scores import diebold_mariano, pinball
from solvent.models.features import CORE_GROUPS, chosen, matrix, range_variance
from solvent.models.hourly import PURGE_HOURS, refits, tail, target
from solvent.models.hours import Hours
from solvent.models.returns import SIDES, losses

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

OTHER_GROUPS = ("funding", "fear_greed", "news", "trends", "implied")
FIRST_FIT_HOURS = 60 * 24
SCORED_AFTER_HOURS = 120 * 24
"""After the first hour at which a group is known: shorter than the race's, as some sources cover a few months."""
NEWEY_WEST_HOURS = 24


def ablation(
    of: Hours,
    series: Mapping[str, pl.DataFrame],
    level: float = 0.99,
    *,
    others: Sequence[str] = OTHER_GROUPS,
    every_months: int = 1,
) -> pl.DataFrame:
    """One row a change: `group`, `change` (without, with), and the scores of both models on the same hours.

    series: by source, see `features.matrix`; groups without any data are left out. every_months: how often
    models are fitted anew. Columns end in `_base` for the core model on the hours and rows of the change and in
    `_changed` for the other. `dm_t` is Diebold and Mariano's of the pinball losses and `dm_qlike_t` of QLIKE:
    below -1.96 the changed model is better than chance explains, above 1.96 worse.
    """
    core = matrix(of, chosen(CORE_GROUPS, of))
    rows = []
    for group in (g for g in CORE_GROUPS if any(f.group == g for f in chosen(CORE_GROUPS, of))):
        kept = matrix(of, chosen([each for each in CORE_GROUPS if each != group], of))
        rows.append(_row(of, "without", group, core, kept, _known(core), level, every_months))
    for group in others:
        added = matrix(of, chosen([group], of), series)
        known = _known(added) & _known(core)
        if np.count_nonzero(known) > SCORED_AFTER_HOURS + boosting.ROWS_LEAST:
            rows.append(_row(of, "with", group, core, np.hstack([core, added]), known, level, every_months))
    return pl.DataFrame(rows, infer_schema_length=None)


def _row(
    of: Hours, change: str, group: str, base: F64, changed: F64, known: Bool, level: float, every: int
) -> dict[str, Any]:
    begins = int(np.argmax(known))
    after = refits(of.ts_ns, begins + FIRST_FIT_HOURS)
    found = []
    for X in (base, changed):
        masked = np.where(known[:, None], X, np.nan)
        found.append(boosting.forecasts(masked, target(of), np.append(after[0], after[1:][::every]), PURGE_HOURS)[0])
    scored = known & (np.arange(len(of)) >= begins + SCORED_AFTER_HOURS)
    first, second = (hourly_scores(of, each, level, scored) for each in found)
    figures: dict[str, Any] = {"asset": of.asset, "change": change, "group": group, "hours": len(first["pinball"])}
    for suffix, scores in (("base", first), ("changed", second)):
        figures |= {f"{name}_{suffix}": float(np.mean(scores[name])) for name in ("qlike", "pinball")}
        figures |= {f"{name}_{suffix}": scores[name] for name in ("r2_log", "margin_long", "margin_short")}
    figures["dm_t"] = diebold_mariano(second["pinball"], first["pinball"], NEWEY_WEST_HOURS).statistic
    figures["dm_qlike_t"] = diebold_mariano(second["qlike"], first["qlike"], NEWEY_WEST_HOURS).statistic
    return figures


def _known(X: F64) -> Bool:
    return np.asarray(np.isfinite(X).all(axis=1), np.bool_)


def hourly_scores(
    of: Hours, log_variances: F64, level: float, rows: Bool, margins: F64 | None = None
) -> dict[str, Any]:
    """Scores of a forecast of log variance on the hours of `rows` that it has: series and figures.

    `qlike`, (N,): v/f - ln(v/f) - 1 of range variance v (Patton 2011), after one factor on f that makes its mean
    ratio 1, since the mean of a logarithm is below the logarithm of the mean. `r2_log`: of log range variance.
    `pinball`, (N,): both sides' sum. `margin_long`, `margin_short`: means at equal coverage, by `hourly.tail`.
    """
    margins = tail(of.returns, log_variances, level)
    y = target(of)
    there = rows & np.isfinite(log_variances) & np.isfinite(y) & np.isfinite(of.returns) & np.isfinite(margins[:, 0])
    f, v, r = log_variances[there], range_variance(of)[there], of.returns[there]
    ratio = v / np.exp(f)
    ratio = np.maximum(ratio / ratio.mean(), 1e-12)
    scores: dict[str, Any] = {"qlike": ratio - np.log(ratio) - 1.0, "pinball": np.zeros(len(r))}
    scores["r2_log"] = 1.0 - float(np.var(y[there] - f) / np.var(y[there]))
    for number, side in enumerate(SIDES):
        loss, margin = losses(r, side), margins[there, 2 * number]
        scores["pinball"] += pinball(-loss, -margin, promised(level))
        scores[f"margin_{side}"] = float(margin.mean()) * factor_for_coverage(loss, margin, level)
    return scores
