"""The evidence pack of a calibrated policy: what it is made of, how it did, what is missing, what was overridden."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from solvent.engine.calibrate import Calibration, parameters_sha256
from solvent.models.acceptance import CRITERIA, Failure, kupiec
from solvent.models.backtests.summary import summarise
from solvent.models.calibration import HELD, HELD_DAYS
from solvent.models.catalogue import CHAMPION
from solvent.reports.backtest import backtest_page
from solvent.reports.forms import finite
from solvent.reports.model_documentation import Evidence, documentation, documentation_page

if TYPE_CHECKING:
    import polars as pl

NOT_IN_DATA = (
    "order books: spreads are estimated from candles, participation rates are the base policy's",
    "options: volatility shocks and the short-option minimum are the base policy's",
    "futures curves: roll charges are the base policy's",
    "more than one source of price: oracle parameters are the base policy's",
)


def evidence(found: Calibration) -> dict[str, Any]:
    """The pack as plain values; rates are fractions, margins and losses of tests log losses.

    `price_moves`: of each asset what its move is made of. `coverage`: of each asset and side, the stack one day
    ahead and the policy's own moves over their horizon. `documentation`: as `solvent disclose model` has it.
    """
    stack = of_model(found, CHAMPION)
    policy = found.policy
    return {
        "form": "calibration evidence",
        "policy": {
            "label": policy.label, "digest": policy.digest().hex(), "as_of": policy.as_of, "source": policy.source,
            "notes": policy.notes, "base": found.base.label,
        },
        "data_sha256": found.data_sha256,
        "parameters": found.parameters,
        "parameters_sha256": parameters_sha256(found.wanted),
        "level": found.wanted.level,
        "criteria": dict(CRITERIA),
        "passed": not found.failed,
        "failed": [failure_values(each) for each in found.failed],
        "overrides": overrides(found),
        "price_moves": [move_values(found, asset) for asset in found.moves],
        "groups": [each._asdict() for each in found.groups],
        "coverage": coverage_rows(found),
        "collateral": [
            {"asset": asset, "eligible": each.eligible, "reason": each.eligibility.reason, "full_haircut": each.haircut,
             "terms": policy.margin["collateral"].get(asset)}
            for asset, each in found.assessments.items()
        ],
        "left_out": found.left_out,
        "missing": missing(found),
        "documentation": documentation(stack, CHAMPION, model_evidence(found)) if len(stack) else None,
    }  # fmt: skip


def evidence_json(found: Calibration) -> str:
    """The pack as JSON."""
    return json.dumps(finite(evidence(found)), indent=1, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def evidence_pages(found: Calibration) -> dict[str, str]:
    """Name -> HTML: the page of the backtest and the documentation of the model; none where nothing but pegs is."""
    stack = of_model(found, CHAMPION)
    if not len(stack):
        return {}
    document = documentation(stack, CHAMPION, model_evidence(found))
    notes = [*failed_notes(found), *move_notes(found)]
    source = ", ".join(f"{name} (SHA-256 {digest[:16]})" for name, digest in found.data_sha256.items())
    return {
        "backtest": backtest_page(one_day(found), featured=CHAMPION, notes=notes, source=f"Data: {source}."),
        "documentation": documentation_page(document, stack),
    }


def of_model(found: Calibration, model: str) -> "pl.DataFrame":
    """The forecasts of one model."""
    import polars as pl

    return found.forecasts.filter(pl.col("model") == model)


def one_day(found: Calibration) -> "pl.DataFrame":
    """Forecasts that last for a day: the stack's, and the policy's own of assets with such a horizon."""
    import polars as pl

    single = [asset for asset, days in found.horizons.items() if days == 1]
    stacked = of_model(found, CHAMPION)["asset"].unique().to_list()
    held = (pl.col("model") == HELD) & pl.col("asset").is_in(single) & pl.col("asset").is_in(stacked)
    return found.forecasts.filter((pl.col("model") == CHAMPION) | held)


def model_evidence(found: Calibration) -> Evidence:
    """What the documentation states besides the forecasts."""
    return Evidence(found.parameters, found.data_sha256, found.policy)


def overrides(found: Calibration) -> list[dict[str, Any]]:
    """The reason why a policy was written though it failed, and what failed; or nothing."""
    if not found.wanted.override.strip():
        return []
    failed = [failure_values(each) for each in found.failed]
    return [{"reason": found.wanted.override.strip(), "needed": bool(failed), "failed": failed}]


def failure_values(each: Failure) -> dict[str, str]:
    """A failed criterion with what it asks."""
    return {**each._asdict(), "asks": CRITERIA[each.criterion]}


def move_values(found: Calibration, asset: str) -> dict[str, Any]:
    """An asset's price move and what it is made of."""
    move, each = found.moves[asset], found.assessments[asset]
    return {
        "asset": asset,
        "price_move": move.fraction,
        "by": move.reason,
        "horizon_days": found.horizons[asset],
        "liquidity_tier": each.liquidity.tier,
        "volume_usd_daily": each.values["volume_usd_daily"],
        "long": move.sides[0],
        "short": move.sides[1],
        "stack_log": dict(zip(("long", "short"), move.model, strict=True)),
        "all_past_log": dict(zip(("long", "short"), move.long_run, strict=True)),
    }


def coverage_rows(found: Calibration) -> list[dict[str, Any]]:
    """A row an asset and side: exceptions of the stack, and of the policy's moves, whose neighbours count as one."""
    daily = {(row["asset"], row["side"]): row for row in summarise(of_model(found, CHAMPION)).to_dicts()}
    rows = []
    for row in summarise(of_model(found, HELD)).to_dicts():
        key = (row["asset"], row["side"])
        days = found.horizons[row["asset"]]
        tested = kupiec(row, days)
        rows.append(
            {
                "asset": key[0],
                "side": key[1],
                "stack": None if key not in daily else _coverage(daily[key]),
                "policy": {
                    "horizon_days": days,
                    "losses": row["observations"],
                    "losses_beyond": row["exceptions"],
                    "coverage": 1.0 - row["exception_rate"],
                    "test": tested.value,
                    "accepted": tested.accepted,
                    "mean_margin": row["mean_margin"],
                },
            }
        )
    return rows


def _coverage(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("observations", "exceptions", "kupiec_least", "kupiec_most", "kupiec_p", "conditional_coverage_p", "dq_p")
    more = ("traffic_light", "e_process", "mean_margin", "peak_to_trough", "max_one_day_rise")
    return {**{name: row[name] for name in (*names, *more)}, "coverage": 1.0 - row["exception_rate"]}


def missing(found: Calibration) -> list[str]:
    """What the data could not say, and what stands in for it."""
    unknown = [asset for asset, each in found.assessments.items() if each.values["volume_usd_daily"] is None]
    nothing = [asset for asset, each in found.assessments.items() if each.eligibility.rule and not each.eligible]
    kept = sorted(set(found.policy.margin.get("collateral", {})) - set(found.assessments))
    rows = [
        (unknown, "no volume: last liquidity tier, no collateral"),
        (nothing, "no collateral: see the reasons"),
        (kept, "not calibrated: collateral terms are the base policy's"),
    ]
    return [f"{', '.join(assets)}: {text}" for assets, text in rows if assets] + list(NOT_IN_DATA)


def failed_notes(found: Calibration) -> list[str]:
    """What failed and why the policy was written all the same."""
    if not found.failed:
        return []
    names = "; ".join(each.name for each in found.failed)
    return [f"Written in spite of {names}, because: {found.wanted.override.strip()}."]


def move_notes(found: Calibration) -> list[str]:
    """How the policy's own moves are tested."""
    return [
        f"The model `{HELD}` is what policies calibrated every {HELD_DAYS} days would have charged until the next; "
        "shown where it lasts for one day. Longer horizons stand in the evidence file."
    ]


def table_rows(found: Calibration) -> list[dict[str, Any]]:
    """A row an asset of what people look at first."""
    covered: dict[str, list[str]] = {}
    for row in coverage_rows(found):
        one = row["stack"]
        text = "-" if one is None else f"{one['exceptions']} ({one['kupiec_least']}-{one['kupiec_most']})"
        covered.setdefault(row["asset"], []).append(text)
    collateral = found.policy.margin["collateral"]
    return [
        {
            "asset": asset,
            "price_move": move.fraction,
            "by": move.reason,
            "horizon_days": found.horizons[asset],
            "liquidity_tier": found.assessments[asset].liquidity.tier,
            "haircut": collateral.get(asset, {}).get("haircut_initial"),
            "scanned": bool(collateral.get(asset, {}).get("scanned")),
            "cap_usd": collateral.get(asset, {}).get("cap_usd"),
            "beyond": covered[asset],
        }
        for asset, move in found.moves.items()
    ]


def summary_values(found: Calibration) -> dict[str, Any]:
    """What a program reads of a calibration; all of it stands in the evidence."""
    return {
        "policy": found.policy.label,
        "as_of": found.policy.as_of,
        "passed": not found.failed,
        "failed": [failure_values(each) for each in found.failed],
        "overrides": overrides(found),
        "assets": table_rows(found),
        "groups": [each._asdict() for each in found.groups],
        "left_out": found.left_out,
        "evidence": {"data_sha256": found.data_sha256, "parameters_sha256": parameters_sha256(found.wanted)},
    }
