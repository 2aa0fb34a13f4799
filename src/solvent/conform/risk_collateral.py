"""Cases of haircuts and of liquidity: Basel and EMIR, Almgren-Chriss, impact, optimal sizes."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from solvent.conform.core import Adapter
from solvent.conform.values import Inputs, fraction
from solvent.models import regulation
from solvent.models.collateral import basel
from solvent.models.liquidity import almgren_chriss, horizon, sizes, volume
from solvent.valuation.impact import IMPACT_FACTOR

_SEARCHED_MOST = 1e12
"""Times its scale an optimum is looked for; a profit that still grows there has none."""


def _number(inputs: Inputs, name: str, otherwise: float | None = None) -> float:
    """An input as a float; `otherwise`, where there is one, for what is left out or null."""
    value = inputs.get(name)
    if value is None and otherwise is not None:
        return otherwise
    return float(fraction(value))


# Haircuts


def _scaling(inputs: Inputs) -> Any:
    """Haircuts of one period (`H10`) at 5, 10 and 20 days, and at any that `days` asks for."""
    given = next(name for name in inputs if name[:1] == "H" and name[1:].isdigit())
    asked = {5, 10, 20} | {int(fraction(each)) for each in inputs.get("days") or ()}
    return {f"H{days}": basel.scaled_haircut(inputs[given], int(given[1:]), days) for days in sorted(asked)}


def _remargining(inputs: Inputs) -> Any:
    haircut, days, period = (_number(inputs, name) for name in ("H_M", "N_R", "T_M"))
    return {"H": float(basel.remargined_haircut(haircut, days, period))}


def _exposure(inputs: Inputs) -> Any:
    rates = [_number(inputs, name, 0.0) for name in ("He", "Hc", "Hfx")]
    return {"E_star": float(basel.comprehensive_exposure(_number(inputs, "E"), _number(inputs, "C"), *rates))}


# Liquidity


def _execution(inputs: Inputs) -> almgren_chriss.Execution:
    return almgren_chriss.Execution(
        _number(inputs, "X"), _number(inputs, "T"), int(_number(inputs, "N")),
        _number(inputs, "gamma", 0.0), _number(inputs, "eta"), _number(inputs, "epsilon", 0.0),
        _number(inputs, "sigma", 0.0),
    )  # fmt: skip


def _frontier(inputs: Inputs) -> Any:
    """A drift that the inputs name is left out, as in the published run: schedules are those without a view."""
    (point,) = almgren_chriss.frontier(_execution(inputs), [_number(inputs, "lam", 0.0)])
    return {
        "E_musd": point.cost / 1e6,
        "V_e12": point.variance / 1e12,
        "utility_musd": point.utility / 1e6,
        "half_life_days": point.half_life,
    }


def _holdings(inputs: Inputs) -> Any:
    execution, aversion = _execution(inputs), _number(inputs, "lam", 0.0)
    held = almgren_chriss.holdings(execution, aversion)
    cost, variance = almgren_chriss.cost_and_variance(execution, held)
    return {
        "kappa": almgren_chriss.kappa(execution, aversion),
        "holdings": held,
        "E": cost,
        "V": variance,
        "E_minus_twap": cost - almgren_chriss.minimum_impact_cost(execution),
    }


def _square_root(inputs: Inputs) -> Any:
    size = sizes.square_root_size(*_market(inputs))
    return {"R_star": size.repay_usd, "profit": size.profit_usd}


def _market(inputs: Inputs) -> tuple[float, float, float, float]:
    """sigma, volume, bonus and Y."""
    sigma, adv, bonus = (_number(inputs, name) for name in ("sigma_daily", "adv", "bonus"))
    return sigma, adv, bonus, _number(inputs, "Y", IMPACT_FACTOR)


def _pool(inputs: Inputs) -> Any:
    return sizes.constant_product_size(_number(inputs, "pool_side"), _number(inputs, "bonus"))._asdict()


def _numeric(inputs: Inputs, others: Mapping[str, Mapping[str, Any]]) -> Any:
    """The optima of the two objectives by search, of the cases that `same_as` names, or of these inputs."""
    found: dict[str, float] = {}
    for each in [others[name]["inputs"] for name in inputs.get("same_as") or ()] or [inputs]:
        if "adv" in each:
            market = _market(each)
            found["R_star"] = _searched(partial(_profit_last, sizes.square_root_profit_usd, market), market[1])
        if "pool_side" in each:
            pool = _number(each, "pool_side"), _number(each, "bonus")
            found["seized"] = _searched(partial(_profit_last, sizes.constant_product_profit, pool), pool[0])
    return found


def _profit_last(profit: Callable[..., float], market: tuple[float, ...], size: float) -> float:
    return profit(size, *market)


def _searched(profit: Callable[[float], float], scale: float) -> float:
    """Where a concave profit that starts at 0 is largest, by bracketing and search."""
    from scipy.optimize import minimize_scalar

    most = scale
    while profit(most) > 0.0 and most < _SEARCHED_MOST * scale:
        most *= 2.0
    found = minimize_scalar(lambda x: -profit(x), bounds=(0.0, most), method="bounded", options={"xatol": 1e-9 * most})
    return float(found.x)


def _slices(inputs: Inputs) -> Any:
    return {"factor": horizon.slice_factor(np.asarray(inputs["days"], np.float64))}


def _with_inputs(function: Callable[[Inputs], Any]) -> Adapter:
    return lambda vector, tables: function(vector["inputs"])


CASES: dict[tuple[str, str], Adapter] = {
    ("haircuts_regulatory", "haircut_horizon_scaling"): _with_inputs(_scaling),
    ("haircuts_regulatory", "haircut_remargining"): _with_inputs(_remargining),
    ("haircuts_regulatory", "comprehensive_exposure"): _with_inputs(_exposure),
    ("haircuts_regulatory", "auth066_fields"): _with_inputs(lambda _: {"fields": list(regulation.AUTH_066_FIELDS)}),
    ("haircuts_regulatory", "emir_constants"): _with_inputs(lambda _: regulation.EMIR._asdict()),
    ("liquidity_execution", "almgren_chriss_frontier"): _with_inputs(_frontier),
    ("liquidity_execution", "almgren_chriss_min_impact"): _with_inputs(
        lambda inputs: {"E": almgren_chriss.minimum_impact_cost(_execution(inputs))}
    ),
    ("liquidity_execution", "almgren_chriss_holdings"): _with_inputs(_holdings),
    ("liquidity_execution", "sqrt_impact_optimal_size"): _with_inputs(_square_root),
    ("liquidity_execution", "constant_product_optimal_size"): _with_inputs(_pool),
    ("liquidity_execution", "sqrt_impact_optimal_size_numeric"): (
        lambda vector, tables: _numeric(vector["inputs"], tables["vectors"])
    ),
    ("liquidity_execution", "linear_liquidation_scale"): _with_inputs(_slices),
    ("liquidity_execution", "amihud"): _with_inputs(
        lambda inputs: {"illiq": volume.amihud(inputs["ret"], inputs["dollar_volume"])}
    ),
}
"""(suite, fn) -> adapter."""
