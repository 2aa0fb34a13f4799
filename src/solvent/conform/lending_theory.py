"""Cases of bilateral margin and of papers: ISDA credit support annex, fixed-spread liquidation."""

from typing import Any

from solvent.conform.values import Function, Inputs, fraction, fractions
from solvent.liquidation import fixed_spread
from solvent.margin import admissibility
from solvent.margin.rules import isda_csa

# ISDA credit support annex


def _isda_call(inputs: Inputs) -> Any:
    """Amounts that are left out or null are 0; an independent amount that is given is a floor."""
    names = ("value", "haircut", "fx_haircut", "additional_haircut", "disputed")
    independent = inputs.get("independent_amount")
    return isda_csa.margin_call(
        fraction(inputs["margin_amount"]),
        fraction(inputs.get("threshold") or 0),
        [isda_csa.Posted(*(fraction(row.get(name) or 0) for name in names)) for row in inputs["posted"]],
        fraction(inputs.get("mta") or 0),
        fraction(inputs.get("rounding") or 0),
        None if independent is None else fraction(independent),
        fraction(inputs.get("disputed_delivery") or 0),
        fraction(inputs.get("disputed_return") or 0),
    )


def _isda_schedule(inputs: Inputs) -> Any:
    duration = fraction(inputs["duration_years"])
    return {"percent": isda_csa.schedule_percent(inputs["asset_class"], duration)}


def _isda_net(inputs: Inputs) -> Any:
    gross, values = ([fraction(each) for each in inputs[name]] for name in ("gross_im", "mtm"))
    return {"net_im": isda_csa.net_initial_margin(gross, values, floored=False)}


# Papers


def _paper_two_step_given(inputs: Inputs) -> Any:
    first, second = fixed_spread.two_steps(*fractions(inputs, "debt", "r1", "ls", "cf"))
    return {
        "receive1": first.receive,
        "repay2": second.repay,
        "receive2": second.receive,
        "profit": first.profit + second.profit,
    }


def _paper_two_step(inputs: Inputs) -> Any:
    collateral, debt, threshold, spread, factor = fractions(inputs, "collateral", "debt", "lt", "ls", "cf")
    repay = fixed_spread.first_repay(collateral, debt, threshold, spread)
    first, second = fixed_spread.two_steps(debt, repay, spread, factor)
    return {
        "r1": first.repay,
        "r2": second.repay,
        "profit": first.profit + second.profit,
        "hf_after_step1": fixed_spread.health_after(collateral, debt, threshold, spread, repay),
    }


def _paper_one_step(inputs: Inputs) -> Any:
    return fixed_spread.close_factor_step(*fractions(inputs, "debt", "ls", "cf"))


def _paper_one_step_amount(inputs: Inputs) -> Any:
    return fixed_spread.step(*fractions(inputs, "repay", "ls"))


def _paper_toxic_bound(inputs: Inputs) -> Any:
    threshold, bonus = fractions(inputs, "lt", "bonus")
    return {
        "product": admissibility.trigger_product(threshold, bonus),
        "admissible": admissibility.is_admissible(threshold, bonus),
        "toxic_ltv": admissibility.toxic_ltv(bonus),
    }


def _paper_step_effect(inputs: Inputs) -> Any:
    return fixed_spread.effect(*fractions(inputs, "collateral", "debt", "bonus", "repay"))


FUNCTIONS: dict[str, dict[str, Function]] = {
    "isda_cdm_margin": {
        "margin_call": _isda_call,
        "schedule_rate": _isda_schedule,
        "net_im": _isda_net,
    },
    "papers_liquidation_theory": {
        "two_step_given_r1": _paper_two_step_given,
        "two_step": _paper_two_step,
        "one_step": _paper_one_step,
        "one_step_amount": _paper_one_step_amount,
        "toxic_bound": _paper_toxic_bound,
        "liquidation_step": _paper_step_effect,
    },
}
"""suite -> fn -> function of a vector's inputs."""
