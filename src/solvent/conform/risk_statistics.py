"""Cases of risk statistics: backtests of VaR and expected shortfall, conformal recursions, Black-76."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from solvent.conform.adapters import of_inputs
from solvent.conform.compare import Undetermined
from solvent.conform.core import Adapter
from solvent.conform.values import Function, Inputs
from solvent.models import tracker
from solvent.models.backtests import coverage, scores, sequential, shortfall, traffic_light
from solvent.models.backtests.distributions import LossDistribution
from solvent.valuation import black76

ALTERNATIVES_PERCENT = range(1, 11)
"""Frequencies for which both errors of the traffic light are stated, in names as `typeII_p003`."""
BET = 0.01
"""Where an input names none."""

# VaR


def _kupiec(inputs: Inputs) -> Any:
    return _named(coverage.kupiec(*_sample(inputs), _probability(inputs)))


def _kupiec_reject(inputs: Inputs) -> Any:
    """Rejects at 5 % unless a confidence is stated."""
    found = coverage.kupiec(*_sample(inputs), _probability(inputs))
    rejected = found.p_value < 1.0 - _confidence(inputs)
    return {**_named(found), "reject_5pct": found.p_value < 0.05, "reject": rejected}


def _kupiec_region(inputs: Inputs) -> Any:
    low, high = coverage.kupiec_region(int(inputs["T"]), _probability(inputs), _confidence(inputs))
    return {"min_accept": low, "max_accept": high}


def _tuff(inputs: Inputs) -> Any:
    first = inputs.get("first_failure")
    return _named(coverage.time_until_first_failure(None if first is None else int(first), _probability(inputs)))


def _independence(inputs: Inputs) -> Any:
    return _named(coverage.independence(_transitions(inputs)))


def _conditional_coverage(inputs: Inputs) -> Any:
    counts = _transitions(inputs)
    return _named(coverage.conditional_coverage(*_sample(inputs), _probability(inputs), counts))


def _traffic_light(inputs: Inputs) -> Any:
    found = _light(inputs, inputs["exceptions"])
    return {
        "cum_prob": found.cumulative, "type_I": found.type_one, "zone": found.zone, "plus_factor": found.plus_factor,
        "multiplier_MAR99": found.multiplier,
    }  # fmt: skip


def _traffic_light_table(inputs: Inputs) -> Any:
    """One count, or a list of them."""
    counts = inputs["exceptions"]
    if not isinstance(counts, Sequence):
        return _traffic_light(inputs)
    rows = [_traffic_light({**inputs, "exceptions": count}) for count in counts]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def _traffic_light_errors(inputs: Inputs) -> Any:
    size, most = int(inputs["T"]), int(inputs["cutoff_exceptions_gt"])
    errors: dict[str, float] = {}
    for percent in ALTERNATIVES_PERCENT:
        errors[f"typeI_p{percent:03d}"] = traffic_light.false_alarm(size, most, percent / 100)
        errors[f"typeII_p{percent:03d}"] = traffic_light.missed_alarm(size, most, percent / 100)
    return errors


def _light(inputs: Inputs, exceptions: Any) -> traffic_light.TrafficLight:
    return traffic_light.traffic_light(int(inputs["T"]), int(exceptions), _probability(inputs))


# Expected shortfall


def _fissler_ziegel(inputs: Inputs) -> Any:
    y, v, e = (np.asarray(inputs[name], np.float64) for name in ("y", "v", "e"))
    return {"loss": scores.fissler_ziegel(y, v, e, float(inputs["alpha"]))}


def _pinball(inputs: Inputs) -> Any:
    return {"loss": scores.pinball(inputs["y"], inputs["q"], float(inputs["alpha"]))}


def _z2_critical(inputs: Inputs) -> Any:
    size, alpha = int(inputs["T"]), float(inputs["alpha"])
    share = 1.0 - _confidence(inputs)
    return {"critical": shortfall.critical_value(shortfall.z2_sampler, size, alpha, share, _distribution(inputs))}


def _unconditional_test(inputs: Inputs) -> Any:
    """The critical value; statistic, p-value and result only where the inputs give what a statistic is made of.

    That is `statistic` itself, losses with their VaR and ES, or the summary `failures`, `observed_severity` and
    `expected_severity` (mean L/VaR over exceptions, and ES/VaR).
    """
    found: dict[str, Any] = _z2_critical(inputs)
    statistic = _z2_statistic(inputs)
    if statistic is not None:
        size, alpha = int(inputs["T"]), float(inputs["alpha"])
        found["statistic"] = statistic
        found["p_value"] = shortfall.p_value(shortfall.z2_sampler, statistic, size, alpha, _distribution(inputs))
        found["result"] = "reject" if statistic < found["critical"] else "accept"
        return found
    return found | dict.fromkeys(("statistic", "p_value", "result"), Undetermined("the losses with their VaR and ES"))


def _z2_statistic(inputs: Inputs) -> float | None:
    alpha = float(inputs["alpha"])
    if inputs.get("statistic") is not None:
        return float(inputs["statistic"])
    if inputs.get("losses") is not None:
        losses = np.asarray(inputs["losses"], np.float64)
        var, es = (np.broadcast_to(np.asarray(inputs[name], np.float64), losses.shape) for name in ("VaR", "ES"))
        return shortfall.z2(losses, var, es, alpha)
    if inputs.get("failures") is not None:
        severity = float(inputs["observed_severity"]) / float(inputs["expected_severity"])
        return shortfall.z2_of_sum(int(inputs["failures"]) * severity, int(inputs["T"]), alpha)
    return None


def _es_normal(inputs: Inputs) -> Any:
    return _location_scale(inputs, LossDistribution())


def _es_student_t(inputs: Inputs) -> Any:
    """Raw t; one number of degrees, or a list of them. `scale` in words says that it is 1."""
    degrees = inputs["nu"]
    if not isinstance(degrees, Sequence):
        return _location_scale(inputs, LossDistribution(float(degrees)))
    rows = [_location_scale(inputs, LossDistribution(float(each))) for each in degrees]
    return {name: [row[name] for row in rows] for name in ("VaR", "ES")}


def _location_scale(inputs: Inputs, distribution: LossDistribution) -> dict[str, Any]:
    """VaR and ES of losses sigma X - mu, X standard: mu is the mean of returns."""
    alpha, mu = np.asarray(inputs["alpha"], np.float64), float(inputs.get("mu") or 0.0)
    sigma = inputs.get("sigma")
    scale = 1.0 if sigma is None else float(sigma)
    return {
        "VaR": scale * distribution.quantile(alpha) - mu,
        "ES": scale * distribution.shortfall(alpha) - mu,
    }


# Conformal recursions and e-values


def _tracker(inputs: Inputs) -> Any:
    """Without `clip` the factor is free."""
    clip = inputs.get("clip")
    found = tracker.log_quantile_tracker(
        inputs["base"],
        inputs["loss"],
        float(inputs["alpha"]),
        float(inputs["eta"]),
        math.inf if clip is None else float(clip),
        float(inputs.get("theta1") or 0.0),
    )
    return {"q": found.margin, "err": found.exceptions.astype(np.float64), "theta_end": found.next_log_factor}


def _adaptive_levels(inputs: Inputs) -> Any:
    first = inputs.get("alpha1")
    levels = tracker.adaptive_levels(
        inputs["err"], float(inputs["alpha"]), float(inputs["gamma"]), None if first is None else float(first)
    )
    return {"alpha_t": levels}


def _adaptive_bound(inputs: Inputs) -> Any:
    return {"bound": tracker.adaptive_bound(float(inputs["alpha1"]), float(inputs["gamma"]), int(inputs["T"]))}


def _e_values_var(inputs: Inputs) -> Any:
    return _with_process(inputs, sequential.e_values_var(inputs["losses"], inputs["VaR"], float(inputs["p"])))


def _e_values_shortfall(inputs: Inputs) -> Any:
    values = sequential.e_values_shortfall(inputs["losses"], inputs["VaR"], inputs["ES"], float(inputs["p"]))
    return _with_process(inputs, values)


def _with_process(inputs: Inputs, values: Any) -> dict[str, Any]:
    bet = inputs.get("bet")
    return {"e": values, "M": sequential.e_process(values, BET if bet is None else float(bet))}


# Options


def _black76(inputs: Inputs) -> Any:
    """Type C or P (or the words), rate continuous, T in years."""
    years = float(inputs["T"])
    is_call = str(inputs["type"]).upper().startswith("C")
    discount = math.exp(-float(inputs["r"]) * years)
    value = black76.price(float(inputs["F"]), float(inputs["K"]), years, is_call, float(inputs["vol"]), discount)
    return {"price": float(value)}


# What inputs share


def _named(found: coverage.Significance) -> dict[str, float]:
    return {"LR": found.statistic, "p_value": found.p_value}


def _sample(inputs: Inputs) -> tuple[int, int]:
    return int(inputs["T"]), int(inputs["exceptions"])


def _probability(inputs: Inputs) -> float:
    return float(inputs["p"])


def _confidence(inputs: Inputs) -> float:
    """Tests are named by their confidence (0.95) or by their size (0.05); 0.95 where nothing is stated."""
    level = inputs.get("test_level")
    stated = 0.95 if level is None else float(level)
    return stated if stated >= 0.5 else 1.0 - stated


def _transitions(inputs: Inputs) -> coverage.Transitions:
    """The four counts; or all days' hits; or T, exceptions and how many of them follow another."""
    if inputs.get("n00") is not None:
        return coverage.Transitions(*(int(inputs[name]) for name in ("n00", "n01", "n10", "n11")))
    if inputs.get("hits") is not None:
        return coverage.transitions(np.asarray(inputs["hits"], np.bool_))
    size, count = _sample(inputs)
    following = int(inputs["following"])
    alone = count - following
    return coverage.Transitions(size - 2 * alone - following, alone, alone, following)


def _distribution(inputs: Inputs) -> LossDistribution:
    """normal, t with `nu`, or a t that names its degrees: t3."""
    name = str(inputs.get("dist") or "normal").lower()
    if name in ("normal", "gaussian"):
        return LossDistribution()
    degrees = re.search(r"\d+(\.\d+)?", name) if inputs.get("nu") is None else None
    return LossDistribution(float(degrees.group() if degrees else inputs["nu"]))


FUNCTIONS: dict[str, dict[str, Function]] = {
    "var_backtests": {
        "kupiec_pof": _kupiec,
        "kupiec_reject": _kupiec_reject,
        "kupiec_region": _kupiec_region,
        "tuff": _tuff,
        "christoffersen_independence": _independence,
        "christoffersen_conditional_coverage": _conditional_coverage,
        "traffic_light": _traffic_light,
        "traffic_light_cumulative": _traffic_light_table,
        "traffic_light_multipliers": _traffic_light_table,
        "traffic_light_errors": _traffic_light_errors,
    },
    "es_backtests": {
        "fz0_loss": _fissler_ziegel,
        "pinball_loss": _pinball,
        "acerbi_szekely_z2_critical": _z2_critical,
        "es_unconditional_test": _unconditional_test,
        "es_normal": _es_normal,
        "es_student_t": _es_student_t,
    },
    "conformal": {
        "log_quantile_tracker": _tracker,
        "aci_update": _adaptive_levels,
        "aci_bound": _adaptive_bound,
        "e_backtest_var": _e_values_var,
        "e_backtest_es": _e_values_shortfall,
    },
    "black76": {"black76_price": _black76},
}
"""suite -> fn -> function of a vector's inputs."""

CASES: dict[tuple[str, str], Adapter] = {
    (suite, fn): of_inputs(function) for suite, functions in FUNCTIONS.items() for fn, function in functions.items()
}
"""(suite, fn) -> adapter."""
