"""The LTV above which every liquidation raises LTV, for the policies of lending rules."""

from solvent.domain.policy import Policy, parameters
from solvent.errors import raise_if
from solvent.margin.rule import rule


def toxic_ltvs(policy: Policy) -> dict[str, float]:
    """1 / (1 + bonus) by collateral (`collateral/loan` where it depends on the loan); empty for other rules.

    Above it a liquidation takes more value from the collateral than it repays of the debt, in proportion, so that
    each makes the next worse. Source: Warmuz, Chaudhary, Pinna 2022 (arXiv 2212.07306). Raises SolventError for
    a margin table that the rule cannot read.
    """
    found = rule(policy.rule)
    toxic_ltv = getattr(found, "toxic_ltv", None)
    if toxic_ltv is None:
        return {}
    params, problems = parameters(found.Params, policy.margin, f"policy {policy.name} margin", frozenset({"rule"}))
    raise_if(problems)
    ltvs: dict[str, float] = toxic_ltv(params)
    return ltvs
