"""The public quantitative disclosure of a clearing house: items 4, 5, 6 and 18 from a book, its policy and backtests.

Item numbers are those of CPMI-IOSCO's "Public quantitative disclosure standards for central counterparties" (2015)
as known to us, not checked against the published text: each item says so. What these inputs do not say stands
in the form as not known, with what it would take.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from solvent.engine.margined import Margined
from solvent.engine.verdicts import ACCOUNT_STATES, REFUSED, verdicts
from solvent.errors import SolventError, problem, raise_if
from solvent.models.backtests.summary import with_losses
from solvent.reports.forms import Form, Item, unknown, utc
from solvent.valuation.shocks import shocked

if TYPE_CHECKING:
    import polars as pl

F64 = NDArray[np.float64]

SOURCE = "CPMI-IOSCO, Public quantitative disclosure standards for central counterparties (February 2015)"
STRESSES = (-0.5, 0.5)
"""Moves of every asset that is no US dollar, for the stress losses."""
GROUPS = {"4": "Default resources", "5": "Haircuts", "6": "Margin", "18": "Concentration"}
PERIOD = timedelta(days=365)
CONCENTRATIONS = (5, 10)
NEEDS_BOOK = "needs a book with its market and policy, or a journal"
NEEDS_JOURNAL = "needs a journal"
NEEDS_FORECASTS = "needs backtest forecasts"


def disclosure(
    margined: Margined | None,
    forecasts: "pl.DataFrame | None",
    model: str | None,
    stresses: tuple[float, ...] = STRESSES,
) -> Form:
    """The form. Raises SolventError for a model that the forecasts do not have."""
    rows = None if forecasts is None else _year(forecasts, model)
    dates = []
    if margined is not None:
        dates.append(f"book of {utc(margined.market.ts_ns)}")
    if rows is not None:
        dates.append(f"backtest {rows['ts'][0]:%Y-%m-%d} to {rows['ts'][-1]:%Y-%m-%d}")
    notes = [
        "Money in USD at marks. Losses and margins of backtests are shares of price: each asset and side counts as one "
        "account.",
    ]
    if margined is not None and margined.answer.refusals:
        notes.append(
            f"{len(margined.answer.refusals)} of {len(margined.book)} accounts hold what the policy's rule cannot "
            "margin; they are in no sum."
        )
    items = (
        *_resources(margined, stresses), *_haircuts(margined, rows), *_margin(margined), *_rates(rows),
        *_model(margined, rows), *_backtest(rows), *_variation(), *_concentration(margined),
    )  # fmt: skip
    title = "Public quantitative disclosure"
    period = "; ".join(dates) or "no data"
    return Form("PFMI public quantitative disclosure", title, SOURCE, period, items, tuple(notes), GROUPS)


def _resources(margined: Margined | None, stresses: tuple[float, ...]) -> list[Item]:
    fund = None if margined is None else margined.insurance_usd
    resources = "Prefunded default resources without initial margin: insurance fund"
    found = [
        unknown("4.1.4", resources, NEEDS_JOURNAL)
        if fund is None
        else Item("4.1.4", resources, fund, "USD", "the insurance fund at marks; a venue without members has no other"),
        unknown("4.2.1", "Hypothetical capital of the clearing house (KCCP)", "this form does not compute it"),
        unknown(
            "4.4.1",
            "Whether resources cover the default of one participant or of two",
            "the venue's own policy says it",
        ),
    ]
    names = {1: "4.4.3", 2: "4.4.7"}
    if margined is None:
        return found + [unknown(names[k], _stress_name(k), NEEDS_BOOK) for k in names]
    try:
        losses = {move: stress_losses(margined, move) for move in stresses}
    except SolventError as error:
        return found + [unknown(names[k], _stress_name(k), f"the stress cannot be valued: {error}") for k in names]
    for count, number in names.items():
        worst = {move: float(np.sort(loss)[::-1][:count].sum()) for move, loss in losses.items()}
        move = max(worst, key=lambda each: worst[each])
        note = f"sum of what owners lack when every asset but US dollars moves {move:+.0%} at once"
        if fund is not None:
            note += f"; the fund {'covers' if fund >= worst[move] else 'does not cover'} it"
        found.append(Item(number, _stress_name(count), worst[move], "USD", note))
    return found


def stress_losses(margined: Margined, move: float) -> F64:
    """(owners,) USD that each owner lacks in all accounts after a move of all assets that are no US dollar."""
    moved = shocked(margined.market, {"*": 1.0 + move})
    equity = verdicts(margined.book, moved, margined.policy).statement.equity
    lacking = np.maximum(0.0, -np.nan_to_num(equity))
    owners = {owner: place for place, owner in enumerate(dict.fromkeys(margined.book.owners))}
    places = np.array([owners[each] for each in margined.book.owners], np.int64)
    return np.bincount(places, lacking, len(owners)).astype(np.float64)


def _stress_name(count: int) -> str:
    who = "any one participant" if count == 1 else "any two participants"
    return f"Largest stress loss beyond all its collateral, default of {who}"


def _haircuts(margined: Margined | None, rows: "pl.DataFrame | None") -> list[Item]:
    eligible, tested = "Assets eligible as initial margin, and haircuts", "Days on which the fall exceeded the haircut"
    if margined is None:
        return [unknown("5.1.1", eligible, NEEDS_BOOK), unknown("5.3.4", tested, NEEDS_BOOK)]
    terms = margined.policy.margin.get("collateral")
    if not isinstance(terms, dict) or not all(isinstance(each, dict) for each in terms.values()):
        needs = f"the rule {margined.policy.rule} does not state haircuts by asset"
        return [unknown("5.1.1", eligible, needs), unknown("5.3.4", tested, needs)]
    table = [{"asset": asset, **row} for asset, row in terms.items()]
    found = [Item("5.1.1", eligible, table, "", f"of the policy {margined.policy.label}")]
    found += [
        unknown("5.3.1", "Confidence that haircuts aim at", "whoever calibrated the policy states it"),
        unknown("5.3.2", "Holding period that haircuts assume", "whoever calibrated the policy states it"),
    ]
    if rows is None:
        return [*found, unknown("5.3.4", tested, NEEDS_FORECASTS)]
    tests = haircut_tests(terms, rows)
    days = sum(row["observations"] for row in tests)
    found.append(Item("5.3.3", "Look-back of the test of haircuts", _span(rows), "days", "of the forecasts given"))
    if not days:
        return [*found, unknown("5.3.4", tested, "no asset has both a haircut against its price and forecasts")]
    note = "losses of longs against the maintenance haircut; where price risk is charged by scenarios instead, none"
    return [*found, Item("5.3.4", tested, tests, "", note)]


def haircut_tests(terms: dict[str, Any], rows: "pl.DataFrame") -> list[dict[str, Any]]:
    """By asset: haircut, observations of its long side, and how many fell by more."""
    import polars as pl

    found = []
    for asset, row in terms.items():
        mine = rows.filter((pl.col("asset") == asset) & (pl.col("side") == "long"))
        if len(mine) and not row.get("scanned", False):
            haircut = float(row.get("haircut_maintenance", 1.0))
            fall = 1.0 - np.exp(-mine["loss"].to_numpy())
            found.append({"asset": asset, "haircut": haircut, "observations": len(mine),
                          "exceeded": int((fall > haircut).sum())})  # fmt: skip
    return found


def _margin(margined: Margined | None) -> list[Item]:
    required, held = "Total initial margin required", "Collateral held, before haircuts, by asset"
    after = "Total collateral held, after haircuts"
    if margined is None:
        return [unknown(n, name, NEEDS_BOOK) for n, name in (("6.1.1", required), ("6.2", held), ("6.2.15", after))]
    statement = margined.answer.statement
    there = margined.answer.state != REFUSED
    total = {asset: float(values[there].sum()) for asset, values in margined.held_usd.items()}
    by_asset = [{"asset": asset, "usd": usd} for asset, usd in sorted(total.items(), key=lambda each: -each[1])]
    states = {name: int((margined.answer.state == i).sum()) for i, name in enumerate(ACCOUNT_STATES)}
    counts = ", ".join(f"{count} {name}" for name, count in states.items() if count)
    return [
        Item("6.1.1", required, float(statement.initial_margin[there].sum()), "USD", f"sum over accounts: {counts}"),
        unknown("6.1.1.1", "The same by house and client", "a book does not tell house from client accounts"),
        Item("6.2", held, by_asset, "USD", "positive balances at marks"),
        Item("6.2.15", after, float(statement.collateral_value[there].sum()), "USD",
             "after the policy's maintenance haircuts, unsettled profit and loss netted"),
    ]  # fmt: skip


def _rates(rows: "pl.DataFrame | None") -> list[Item]:
    import polars as pl

    name = "Initial margin rates by contract"
    if rows is None:
        return [unknown("6.3.1", name, NEEDS_FORECASTS)]
    last = rows.group_by("asset", "side", maintain_order=True).agg(pl.col("margin").last(), pl.col("ts").last())
    table = [
        {"asset": row["asset"], "side": row["side"], "rate": row["margin"], "as_of": f"{row['ts']:%Y-%m-%d}"}
        for row in last.to_dicts()
    ]
    return [Item("6.3.1", name, table, "share of price", "the model's newest margin of one asset and side alone")]


def _model(margined: Margined | None, rows: "pl.DataFrame | None") -> list[Item]:
    changes = None if margined is None else margined.changes
    since = "Changes of parameters of the model"
    found = [
        unknown("6.4.1", "Initial margin model", NEEDS_BOOK)
        if margined is None
        else Item("6.4.1", "Initial margin model", margined.policy.rule, "", f"rule of {margined.policy.label}"),
        unknown("6.4.2", since, NEEDS_JOURNAL)
        if changes is None
        else Item("6.4.2", since, [{"at": utc(at), "policy": label, "by": by} for at, label, by in changes]),
    ]
    if rows is None:
        found += [unknown("6.4.3", "Model of price moves", NEEDS_FORECASTS),
                  unknown("6.4.4", "One-tailed confidence", NEEDS_FORECASTS)]  # fmt: skip
    else:
        found += [
            Item("6.4.3", "Model of price moves", rows["model"][0], "", "of the backtest"),
            Item("6.4.4", "One-tailed confidence", float(rows["level"][0])),
        ]
    return [
        *found,
        unknown("6.4.5", "Look-back of the model", "the forecasts do not say it; the model documentation does"),
        unknown("6.4.7", "Close-out period", "the forecasts do not say for which horizon they were made"),
        unknown("6.4.9", "Frequency of review", "the venue's own policy says it"),
    ]


def _backtest(rows: "pl.DataFrame | None") -> list[Item]:
    names = {
        "6.5.1": "Times in twelve months that margin fell short",
        "6.5.2": "Observations",
        "6.5.3": "Achieved coverage",
        "6.5.4": "Peak size of what was not covered",
        "6.5.5": "Average size of what was not covered",
    }
    if rows is None:
        return [unknown(number, name, NEEDS_FORECASTS) for number, name in names.items()]
    beyond = (rows["loss"] - rows["margin"]).to_numpy()
    beyond = beyond[beyond > 0.0]
    values: dict[str, Any] = {
        "6.5.1": len(beyond),
        "6.5.2": len(rows),
        "6.5.3": 1.0 - len(beyond) / len(rows),
        "6.5.4": float(beyond.max()) if len(beyond) else 0.0,
        "6.5.5": float(beyond.mean()) if len(beyond) else 0.0,
    }
    units = {"6.5.4": "share of price", "6.5.5": "share of price"}
    span = f"{_span(rows)} days to {rows['ts'][-1]:%Y-%m-%d}, an observation an asset, side and forecast"
    return [Item(number, name, values[number], units.get(number, ""), span) for number, name in names.items()]


def _variation() -> list[Item]:
    needs = "payments of variation margin are not told apart from other payments in these inputs"
    return [
        unknown("6.6.1", "Average variation margin paid a day", needs),
        unknown("6.7.1", "Largest variation margin of a day", needs),
        unknown("6.8.1", "Largest aggregate initial margin call of a day", needs),
    ]


def _concentration(margined: Margined | None) -> list[Item]:
    numbers = {5: "18.3.1", 10: "18.3.2"}
    names = {count: f"Share of initial margin of the {count} largest participants" for count in CONCENTRATIONS}
    if margined is None:
        return [unknown(numbers[count], names[count], NEEDS_BOOK) for count in CONCENTRATIONS]
    sums: dict[str, float] = {}
    for owner, margin in zip(margined.book.owners, margined.answer.statement.initial_margin.tolist(), strict=True):
        sums[owner] = sums.get(owner, 0.0) + (margin if np.isfinite(margin) else 0.0)
    total, largest = sum(sums.values()), sorted(sums.values(), reverse=True)
    if not total > 0.0:
        return [unknown(numbers[count], names[count], "no account needs margin") for count in CONCENTRATIONS]
    return [
        Item(numbers[count], names[count], min(1.0, sum(largest[:count]) / total), "", f"of {len(sums):,} owners")
        for count in CONCENTRATIONS
    ]


def _year(forecasts: "pl.DataFrame", model: str | None) -> "pl.DataFrame":
    """One model's rows of the last twelve months of the forecasts."""
    import polars as pl

    frame = with_losses(forecasts)
    known = frame["model"].unique(maintain_order=True).to_list()
    accepted = ", ".join(known) or "forecasts with margin and loss"
    if model is None and len(known) != 1:
        raise_if([problem("forecasts", None, "model", "none named", f"one of {accepted}")])
    if model is not None and model not in known:
        raise_if([problem("forecasts", None, "model", model, f"one of {accepted}")])
    mine = frame.filter(pl.col("model") == (model or known[0]))
    return mine.filter(pl.col("ts") > mine["ts"][-1] - PERIOD)


def _span(rows: "pl.DataFrame") -> int:
    return int((rows["ts"][-1] - rows["ts"][0]).days) + 1
