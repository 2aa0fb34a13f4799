"""Cases of clearing, contagion and liquidation dynamics."""

import math
from typing import Any

from solvent.conform.adapters import of_inputs
from solvent.conform.core import Adapter
from solvent.conform.values import Function, Inputs, fractions
from solvent.lab import borrower, cascade, contagion, liquidator
from solvent.liquidation import fixed_spread
from solvent.margin.admissibility import toxic_ltv


def _given(inputs: Inputs, name: str, otherwise: float) -> float:
    """An input that may be left out or null."""
    value = inputs.get(name)
    return otherwise if value is None else float(value)


def _clearing_vector(inputs: Inputs) -> Any:
    net = contagion.network(inputs["L"], inputs["ea"], inputs.get("el"))
    found = contagion.clear(net, _given(inputs, "alpha", 1.0), _given(inputs, "beta", 1.0))
    return {"clearing": found.payments, "default": found.defaulted, "equity": found.equity}


def _debtrank(inputs: Inputs) -> Any:
    found = contagion.debtrank(inputs["leverage"], inputs["h1"])
    radius = contagion.spectral_radius(inputs["leverage"])
    return {"h": found.loss, "spectral_radius": radius, "alarm": radius >= 1.0}


def _toxic_ltv(inputs: Inputs) -> Any:
    (bonus,) = fractions(inputs, "incentive")
    impact = max(_given(inputs, "lambda", 1.0), _given(inputs, "impact", 1.0))
    return {"max_ltv": toxic_ltv(bonus) if impact == 1.0 else liquidator.toxic_ltv(float(bonus), impact)}


def _partial_liquidation(inputs: Inputs) -> Any:
    """Whether it is toxic is told exactly: at the bound itself it is not."""
    collateral, debt, threshold, bonus, repay = fractions(inputs, "C", "B", "LT", "bonus", "repay")
    found = liquidator.partial_liquidation(*(float(x) for x in (collateral, debt, threshold, bonus, repay)))
    at_hand = repay < debt and repay * (1 + bonus) < collateral
    toxic = debt * (1 + bonus) > collateral
    if not at_hand:
        return _named(found, toxic)
    effect = fixed_spread.effect(collateral, debt, bonus, repay)
    before, after = threshold * collateral / debt, fixed_spread.health_after(collateral, debt, threshold, bonus, repay)
    return {
        "HF0": before,
        "HF1": after,
        "delta": after - before,
        "LTV0": debt / collateral,
        "LTV1": effect.ltv_after,
        "toxic": toxic,
    }


def _named(found: liquidator.PartialLiquidation, toxic: bool) -> dict[str, Any]:
    return {
        "HF0": found.health_before,
        "HF1": found.health_after,
        "delta": found.health_change,
        "LTV0": found.ltv_before,
        "LTV1": found.ltv_after,
        "toxic": toxic,
    }


def _first_passage(inputs: Inputs) -> Any:
    names = ("S0", "liq_price", "mu", "sigma_annual", "days")
    return {"prob": borrower.first_passage_probability(*(float(inputs[name]) for name in names))}


def _cascade_amplification(inputs: Inputs) -> Any:
    ratio = cascade.branching(float(inputs["kappa_impact"]), float(inputs["q"]))
    gain = cascade.amplification(ratio)
    shock = next((float(inputs[name]) for name in ("s", "shock") if inputs.get(name) is not None), math.nan)
    return {"amplification": gain, "R": ratio, "total": shock * gain}


FUNCTIONS: dict[str, Function] = {
    "clearing_vector": _clearing_vector,
    "debtrank": _debtrank,
    "toxic_ltv": _toxic_ltv,
    "partial_liquidation_toxic": _partial_liquidation,
    "partial_liquidation_health": _partial_liquidation,
    "first_passage_liquidation": _first_passage,
    "cascade_amplification": _cascade_amplification,
}

CASES: dict[tuple[str, str], Adapter] = {
    ("systemic_liquidation", fn): of_inputs(function) for fn, function in FUNCTIONS.items()
}
"""(suite, fn) -> adapter."""
