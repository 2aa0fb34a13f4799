"""Parameters of the `portfolio` rule that may change while the venue runs: read one, write some.

All of them tighten as they grow: `scan_range.ASSET`, and of `collateral.ID` the haircuts and borrow rates.
"""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

import msgspec

from solvent.domain.adaptive import Change
from solvent.domain.policy import Policy, parameters
from solvent.errors import SolventError, problem
from solvent.margin.rules.portfolio.params import PortfolioParams

RULE = "portfolio"
SCAN_RANGE = "scan_range."
COLLATERAL = "collateral."
RATES = ("haircut_initial", "haircut_maintenance", "borrow_initial", "borrow_maintenance")
ACCEPTED = f"{SCAN_RANGE}ASSET or {COLLATERAL}ID.FIELD with FIELD one of {', '.join(RATES)}, of the {RULE} rule"


def margin_params(policy: Policy) -> PortfolioParams:
    """The margin table of a policy of the `portfolio` rule. Raises SolventError for another rule."""
    if policy.rule != RULE:
        raise SolventError(problem(f"policy {policy.name}", None, "margin.rule", policy.rule, RULE))
    params, found = parameters(PortfolioParams, policy.margin, f"policy {policy.name} margin", frozenset({"rule"}))
    if params is None:
        raise SolventError(*found)
    return params


def value_of(policy: Policy, parameter: str) -> float:
    """A parameter as the policy has it, or its default. Raises SolventError for what is none."""
    params = margin_params(policy)
    if asset := parameter.removeprefix(SCAN_RANGE) if parameter.startswith(SCAN_RANGE) else "":
        return msgspec.structs.replace(params, margin_scale=1.0).range_of(asset)  # exact: no scale to divide by
    id, rate = _collateral(parameter)
    if id not in params.collateral:
        accepted = f"one of {', '.join(params.collateral)}: what is not listed has weight zero"
        raise SolventError(problem(f"policy {policy.name}", None, parameter, "not listed", accepted))
    return float(getattr(params.collateral[id], rate))


def required_of(policy: Policy, parameter: str) -> float:
    """The fraction of price that a parameter charges: a scan range times the policy's scale, a rate as it is."""
    scale = margin_params(policy).margin_scale if parameter.startswith(SCAN_RANGE) else 1.0
    return scale * value_of(policy, parameter)


def model_named(policy: Policy, asset: str) -> str:
    """BLAKE2b-256 of the predictive model that a policy names for an asset; empty where it names none."""
    found = margin_params(policy).prediction.get(asset)
    return found.blake2b if found else ""


def asset_of(parameter: str) -> str:
    """The asset that a parameter is about: `BTC` of `scan_range.BTC` and of `collateral.BTC@chain.haircut_initial`."""
    if parameter.startswith(SCAN_RANGE):
        return parameter.removeprefix(SCAN_RANGE)
    return _collateral(parameter)[0].partition("@")[0]


def with_values(policy: Policy, values: Mapping[str, float]) -> Policy:
    """The policy with some parameters replaced; everything else is as it was, tables in order of their keys.

    That order makes it the same text whether the policy came from its file or from a snapshot.
    Raises SolventError for what is no parameter or no number.
    """
    margin: dict[str, Any] = dict(policy.margin)
    for parameter, value in values.items():
        if not isfinite(value):
            raise SolventError(problem(f"policy {policy.name}", None, parameter, value, "a number"))
        value_of(policy, parameter)  # raises for what is none
        if parameter.startswith(SCAN_RANGE):
            ranges = margin.get("scan_range", margin_params(policy).scan_range)
            margin["scan_range"] = {**ranges, parameter.removeprefix(SCAN_RANGE): value}
        else:
            id, rate = _collateral(parameter)
            margin["collateral"] = {**margin["collateral"], id: {**margin["collateral"][id], rate: value}}
    tables = {name: _ordered(getattr(policy, name)) for name in ("oracle", "liquidation", "pools", "limits")}
    return msgspec.structs.replace(policy, margin=_ordered(margin), **tables)


def differ_by_parameters_only(one: Policy, other: Policy) -> bool:
    """Whether two policies are the same but for parameters that may change while the venue runs."""
    return _fixed(one) == _fixed(other)


def _fixed(policy: Policy) -> Policy:
    """The policy without those parameters."""
    margin = {key: value for key, value in policy.margin.items() if key != SCAN_RANGE.rstrip(".")}
    rows = margin.get("collateral", {}).items()
    margin["collateral"] = {id: {key: row[key] for key in row if key not in RATES} for id, row in rows}
    return msgspec.structs.replace(policy, margin=margin)


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(each) for each in value] if isinstance(value, (list, tuple)) else value


def changes_between(policy: Policy, values: Mapping[str, float]) -> tuple[Change, ...]:
    """What `values` change of a policy, by parameter; what stays the same is left out."""
    rows = (Change(name, value_of(policy, name), value) for name, value in sorted(values.items()))
    return tuple(row for row in rows if row.before != row.after)


def lowered(policy: Policy, changes: Iterable[Change]) -> Policy:
    """A policy with each parameter at a change's end, unless it is below that already."""
    return with_values(policy, {each.parameter: min(each.after, value_of(policy, each.parameter)) for each in changes})


def _collateral(parameter: str) -> tuple[str, str]:
    id, _, rate = parameter.removeprefix(COLLATERAL).rpartition(".")
    if not parameter.startswith(COLLATERAL) or not id or rate not in RATES:
        raise SolventError(problem("policy", None, "parameter", parameter, ACCEPTED))
    return id, rate
