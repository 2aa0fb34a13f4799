"""Cases of tail models: textbook value at risk, EWMA and GARCH updates, published GARCH estimates."""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from solvent.conform.adapters import of_inputs
from solvent.conform.core import Adapter
from solvent.conform.series import percent_returns
from solvent.conform.values import Function, Inputs
from solvent.models import cornish_fisher, ewma, filtered, garch, historical, textbook
from solvent.models.evt import Pareto

SIZES = {"GARCH": 0, "GJR-GARCH": 1, "GJR": 1, "TARCH": 1, "EGARCH": 1}
"""Asymmetric terms that the name of a model stands for."""
DISTRIBUTIONS = {"normal": "normal", "gaussian": "normal", "t": "t", "studentst": "t", "student": "t", "skewt": "skewt"}
_SPEC = re.compile(r"(?P<name>[A-Z]+(?:-[A-Z]+)?)\s*\((?P<orders>[\d,\s]+)\)(?P<rest>.*)")

# Value at risk


def _cornish_fisher(inputs: Inputs) -> Any:
    """`VaR_printed`: some textbooks add the mean where a loss takes it off."""
    mean, deviation = float(inputs.get("mu") or 0.0), float(inputs["sigma"])
    skewness, kurtosis = float(inputs["skew"]), float(inputs["ex_kurt"])
    z = cornish_fisher.corrected(float(inputs["z"]), skewness, kurtosis)
    return {
        "z_cf": z,
        "VaR": -(mean + z * deviation),
        "VaR_printed": mean - z * deviation,
        "in_domain": cornish_fisher.in_domain(skewness, kurtosis),
    }


def _constant_spread(inputs: Inputs) -> Any:
    value = float(inputs["V"])
    var = textbook.normal_var(value, float(inputs["sigma"]), float(inputs.get("h") or 1), float(inputs["z"]))
    return {"VaR": var, "LVaR": textbook.with_spread(var, value, float(inputs["spread"]))}


def _stressed_spread(inputs: Inputs) -> Any:
    names = ("VaR", "V", "mean_spread", "k", "sd_spread")
    return {"LVaR": textbook.with_stressed_spread(*(float(inputs[name]) for name in names))}


def _var_normal(inputs: Inputs) -> Any:
    days = float(inputs.get("h") or 1)
    return {"VaR": textbook.normal_var(float(inputs["position"]), float(inputs["daily_vol"]), days, float(inputs["z"]))}


def _var_portfolio(inputs: Inputs) -> Any:
    sizes = [float(each) for each in inputs["sd"]]
    found = textbook.portfolio_var(sizes, float(inputs["rho"]), float(inputs.get("h") or 1), float(inputs["z"]))
    return {"sd_1d": found.deviation, "VaR": found.value_at_risk, "diversification": found.diversification}


def _age_weights(inputs: Inputs) -> Any:
    weights = historical.age_weights(float(inputs["lambda_"]), int(inputs["window"]))
    ages = inputs.get("age")
    chosen = range(1, len(weights) + 1) if ages is None else ages if isinstance(ages, list) else [ages]
    found = [float(weights[int(age) - 1]) for age in chosen]
    return {"weight": found if ages is None or isinstance(ages, list) else found[0], "sum": float(weights.sum())}


def _evt_pot(inputs: Inputs) -> Any:
    """VaR and ES at each level; an infinite ES is null. `ES_99` is the ES at 0.99."""
    share = float(inputs["n_u"]) / float(inputs["n"])
    tail = Pareto(float(inputs["u"]), float(inputs["beta"]), float(inputs["xi"]), share)
    single = not isinstance(inputs["q"], list)
    levels = [float(each) for each in ([inputs["q"]] if single else inputs["q"])]
    quantiles = [tail.quantile(level) for level in levels]
    shortfalls = [tail.shortfall(level) if tail.shape < 1.0 else None for level in levels]
    named = {f"ES_{100 * level:.10g}": each for level, each in zip(levels, shortfalls, strict=True)}
    named |= {f"VaR_{100 * level:.10g}": each for level, each in zip(levels, quantiles, strict=True)}
    if 0.99 not in levels and share >= 1.0 - 0.99 and tail.shape < 1.0:
        named["ES_99"] = tail.shortfall(0.99)
    return {"VaR": quantiles[0] if single else quantiles, "ES": shortfalls[0] if single else shortfalls, **named}


def _rescaled(inputs: Inputs) -> Any:
    return {"r_star": filtered.rescaled(float(inputs["r_t"]), float(inputs["sigma_t"]), float(inputs["sigma_T"]))}


# Volatility


def _ewma_update(inputs: Inputs) -> Any:
    variance = ewma.ewma_update(*(float(inputs[name]) for name in ("lambda_", "sigma_prev", "u_prev")))
    return {"var": variance, "sigma": math.sqrt(variance)}


def _effective_days(inputs: Inputs) -> Any:
    """Whole days, as the document's tables print them."""
    tolerance = float(inputs.get("tol") or 0.01)
    decays = inputs["lambda_"]
    if isinstance(decays, list):
        return {"days": [round(ewma.effective_days(float(each), tolerance)) for each in decays]}
    return {"days": round(ewma.effective_days(float(decays), tolerance))}


def _garch_update(inputs: Inputs) -> Any:
    omega, alpha, beta = (float(inputs[name]) for name in ("omega", "alpha", "beta"))
    variance = garch.garch_update(omega, alpha, beta, float(inputs["sigma_prev"]), float(inputs["u_prev"]))
    long_run = garch.long_run_variance(omega, alpha, beta) if alpha + beta < 1.0 else None
    return {"var": variance, "sigma": math.sqrt(variance), "long_run_var": long_run}


def _garch_forecast(inputs: Inputs) -> Any:
    persistence, long_run, now = (float(inputs[name]) for name in ("alpha_plus_beta", "V_L", "var_now"))
    variance = garch.garch_forecast(persistence, long_run, now, int(inputs["h"]))
    return {"var_h": variance, "sigma_h": math.sqrt(variance)}


# Estimates


def _garch_published(inputs: Inputs) -> Any:
    """Constant mean, normal, presample variance the mean squared residual; standard errors from the Hessian."""
    found = _presample_of_residuals(percent_returns(inputs["data"]), "garch")
    names = ("mu", "omega", "alpha[1]", "beta[1]")
    values = {name.removesuffix("[1]"): float(found.params[name]) for name in names}
    return {
        **values,
        "se_hessian": [float(found.std_err[name]) for name in names],
        "loglik": float(found.loglikelihood),
    }


def _egarch_published(inputs: Inputs) -> Any:
    """As above; `gamma_sign` multiplies z and `alpha_size` multiplies |z| - E|z|; errors in the order of the values."""
    found = _presample_of_residuals(percent_returns(inputs["data"]), "egarch")
    names = {"mu": "mu", "omega": "omega", "gamma_sign": "gamma[1]", "beta": "beta[1]", "alpha_size": "alpha[1]"}
    values = {name: float(found.params[key]) for name, key in names.items()}
    errors = [float(found.std_err[key]) for key in names.values()]
    return {**values, "se": errors, "loglik": float(found.loglikelihood)}


def _presample_of_residuals(returns: Any, kind: garch.Kind) -> Any:
    """A normal fit whose presample variance is the mean square of its own residuals: a second fit is enough."""
    first = garch.arch_fit(returns, kind, "normal")
    return garch.arch_fit(returns, kind, "normal", backcast=float(np.mean(np.square(first.resid))))


def _arch_published(inputs: Inputs) -> Any:
    """A model as arch's own documentation fits it, by default with arch's own presample variance."""
    returns = percent_returns(inputs["data"])
    spec = _specification(inputs.get("spec") or {})
    own = str(inputs.get("backcast") or "arch default").startswith("arch")
    distribution = spec.pop("dist", "normal")
    found = garch.arch_fit(returns, "garch", distribution, backcast=None if own else float(np.var(returns)), **spec)
    return {"loglik": float(found.loglikelihood), "params": {key: float(each) for key, each in found.params.items()}}


def _specification(spec: Any) -> dict[str, Any]:
    """arch's arguments of a specification in words, such as "GARCH(1,1) const mean normal", or as an object."""
    if isinstance(spec, Mapping):
        found = {key: value for key, value in spec.items() if value is not None}
        if "dist" in found:
            found["dist"] = DISTRIBUTIONS.get(str(found["dist"]).lower(), found["dist"])
        return found
    match = _SPEC.match(str(spec).strip())
    if match is None:
        raise ValueError(f"{spec!r}: a model such as GARCH(1,1) const mean normal")
    name = match["name"].upper()
    if name not in SIZES:
        raise ValueError(f"{name}: one of {', '.join(SIZES)}")
    orders = [int(each) for each in match["orders"].split(",")]
    asymmetric = orders[1] if len(orders) == 3 else SIZES[name]
    words = match["rest"].lower().replace("'", "").split()
    distribution = next((DISTRIBUTIONS[word] for word in words if word in DISTRIBUTIONS), "normal")
    found = {"p": orders[0], "o": asymmetric, "q": orders[-1], "dist": distribution}
    if name == "EGARCH":
        found["vol"] = "EGARCH"
    if name == "TARCH":
        found["power"] = 1.0
    return found


TEXTBOOK: Mapping[str, Function] = {
    "cornish_fisher": _cornish_fisher,
    "lvar_exogenous_spread": _stressed_spread,
    "lvar_constant_spread": _constant_spread,
    "age_weights": _age_weights,
    "var_normal": _var_normal,
    "var_two_assets": _var_portfolio,
    "evt_pot": _evt_pot,
    "hull_white_scaling": _rescaled,
}
VOLATILITY: Mapping[str, Function] = {
    "ewma_update": _ewma_update,
    "ewma_effective_days": _effective_days,
    "garch_update": _garch_update,
    "garch_forecast": _garch_forecast,
    "garch_fit_published": _garch_published,
    "egarch_fit_published": _egarch_published,
    "arch_fit_published": _arch_published,
}
CASES: dict[tuple[str, str], Adapter] = {
    (suite, fn): of_inputs(function)
    for suite, functions in (("var_textbook", TEXTBOOK), ("volatility_models", VOLATILITY))
    for fn, function in functions.items()
}
