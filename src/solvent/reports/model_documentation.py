"""The documentation pack of a margin model: what it is, on which data, how it did, and who overrode it."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from solvent.domain.policy import Policy
from solvent.engine.margined import PolicyChange
from solvent.errors import problem, raise_if
from solvent.models.backtests import sequential
from solvent.models.backtests.summary import summarise, with_losses
from solvent.reports.backtest import MEANINGS, every_cost, every_test, readings, worst
from solvent.reports.forms import finite, utc
from solvent.reports.page import page, prose, section, table, terms, tiles

if TYPE_CHECKING:
    import polars as pl

SOURCE = "EU Regulation 153/2013, Articles 49 to 56 on review and testing of models, as known to us, not checked"
SIZE = 0.05


class Evidence(msgspec.Struct, frozen=True):
    """What the forecasts themselves do not say; None where it is not given."""

    parameters: str | None = None
    """The model with every parameter, as text."""
    files: Mapping[str, str] = {}
    """File name -> SHA-256 of its bytes: the data, the forecasts."""
    policy: Policy | None = None
    changes: Sequence[PolicyChange] | None = None
    """Policies that came into effect, from a journal."""


def documentation(forecasts: "pl.DataFrame", model: str, evidence: Evidence) -> dict[str, Any]:
    """The pack as plain values.

    Every verdict names its rule: `passes` is p > 0.05 for likelihood-ratio tests, below 20 for the e-process.
    Raises SolventError for an absent model.
    """
    import polars as pl

    frame = with_losses(forecasts)
    known = frame["model"].unique(maintain_order=True).to_list()
    raise_if([] if model in known else [problem("forecasts", None, "model", model, f"one of {', '.join(known)}")])
    mine = frame.filter(pl.col("model") == model)
    rows = summarise(mine).to_dicts()
    return {
        "form": "model documentation",
        "source": SOURCE,
        "model": model,
        "parameters": evidence.parameters,
        "parameters_sha256": None if evidence.parameters is None else digest(evidence.parameters),
        "policy": None if evidence.policy is None else _policy(evidence.policy),
        "data_sha256": dict(evidence.files),
        "forecasts": {
            "from": f"{mine['ts'][0]:%Y-%m-%dT%H:%M:%SZ}",
            "to": f"{mine['ts'][-1]:%Y-%m-%dT%H:%M:%SZ}",
            "rows": len(mine),
            "by": "asset and side" + ("; fallbacks are noted in the forecasts" if "note" in mine.columns else ""),
        },
        "verdicts": [verdict(row) for row in rows],
        "tests": rows,
        "overrides": None if evidence.changes is None else [_change(each) for each in evidence.changes],
        "not_known": [
            *(["parameters: the model is none of the catalogue's"] if evidence.parameters is None else []),
            *(["policy: none given"] if evidence.policy is None else []),
            *(["overrides: no journal given"] if evidence.changes is None else []),
        ],
    }


def verdict(row: Mapping[str, Any]) -> dict[str, Any]:
    """Which tests an asset and side passes."""
    found = {"asset": row["asset"], "side": row["side"], "level": row["level"]}
    for name in ("kupiec_p", "independence_p", "conditional_coverage_p", "dq_p"):
        found[name.removesuffix("_p") + "_passes"] = None if row[name] is None else row[name] > SIZE
    found["e_process_passes"] = row["e_process"] < sequential.BREACH_FROM
    return found


def digest(text: str) -> str:
    """SHA-256 of a text in UTF-8."""
    return sha256(text.encode("utf-8")).hexdigest()


def documentation_json(document: Mapping[str, Any]) -> str:
    """The pack as JSON."""
    return json.dumps(finite(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def documentation_page(document: Mapping[str, Any], forecasts: "pl.DataFrame") -> str:
    """The pack as an HTML page; forecasts: those that the document was made of."""
    import polars as pl

    model = document["model"]
    frame = with_losses(forecasts).filter(pl.col("model") == model)
    summary = summarise(frame)
    span = document["forecasts"]
    verdicts = document["verdicts"]
    figures = {
        "model": model,
        "forecasts": f"{span['rows']:,}",
        "pass coverage": f"{sum(bool(each['kupiec_passes']) for each in verdicts)} of {len(verdicts)}",
        "pass live monitoring": f"{sum(each['e_process_passes'] for each in verdicts)} of {len(verdicts)}",
    }
    parts = [
        tiles(figures),
        *(prose(f"Not known: {each}.", "warn") for each in document["not_known"]),
        section("What it is", table(["", ""], _identity(document))),
        section("What the tests say", *readings(summary, model)),
        section("Tests", every_test(summary)),
        section("Cost and procyclicality", every_cost(summary, None)),
        section("Largest breaches", worst(frame, model)),
        section("Overrides and changes", _overrides(document["overrides"])),
        section("What the words mean", terms(MEANINGS)),
    ]
    lead = f"{model}, {span['from'][:10]} to {span['to'][:10]}."
    return page("Model documentation", lead, parts, f"After {SOURCE}. Made by Solvent from recorded data.")


def _identity(document: Mapping[str, Any]) -> list[list[str]]:
    policy = document["policy"]
    rows = [
        ["parameters", document["parameters"] or "-"],
        ["SHA-256 of the parameters", document["parameters_sha256"] or "-"],
        ["policy", f"{policy['label']}, as of {policy['as_of']}: {policy['source']}" if policy else "-"],
        ["digest of the policy", policy["digest"] if policy else "-"],
    ]
    return rows + [[f"SHA-256 of {name}", value] for name, value in document["data_sha256"].items()]


def _overrides(changes: Sequence[Mapping[str, str]] | None) -> str:
    if changes is None:
        return prose("Not known: no journal given.")
    if not changes:
        return prose("None.")
    return table(["time", "policy", "by"], [[each["at"], each["policy"], each["by"] or "-"] for each in changes])


def _policy(policy: Policy) -> dict[str, str]:
    return {
        "label": policy.label, "rule": policy.rule, "version": policy.version, "as_of": policy.as_of,
        "source": policy.source, "notes": policy.notes, "digest": policy.digest().hex(),
    }  # fmt: skip


def _change(change: PolicyChange) -> dict[str, str]:
    return {"at": utc(change.ts_ns), "policy": change.policy, "by": change.by}
