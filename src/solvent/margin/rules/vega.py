"""Vega: four margin levels from one maintenance requirement, risk factors from a lognormal expected shortfall.

Numeraire: the settlement asset's smallest unit, integers. Equity is the margin plus general account; profit is
settled to cash at every mark, so none is unsettled. Breach: closed out iff collateral < maintenance level
after topping up from the general account (strict). Rounding: the maintenance level rounds up, the others are
its multiples rounded down; inputs are exact decimals. Unpublished: nothing.
Source: vegaprotocol/vega, core/risk, protocol spec 0019-MCAL.
"""

import math
from fractions import Fraction

import msgspec

from solvent.domain.quantities import fraction_down, fraction_up


class Params(msgspec.Struct, frozen=True):
    """Slippage, risk factors and scaling of one market; exact fractions."""

    linear_slippage: Fraction = Fraction(1, 10)
    quadratic_slippage: Fraction = Fraction(0)
    risk_factor_long: Fraction = Fraction(1, 10)
    risk_factor_short: Fraction = Fraction(1, 10)
    search_scale: Fraction = Fraction(11, 10)
    initial_scale: Fraction = Fraction(12, 10)
    release_scale: Fraction = Fraction(14, 10)


class MarginLevels(msgspec.Struct, frozen=True):
    """Maintenance: closed out below. Search: topped up below. Initial: for new positions. Release: freed above."""

    maintenance: int
    search: int
    initial: int
    release: int


def slippage(mark: int, open_size: int, params: Params) -> Fraction:
    """Cost of closing the open volume: mark |v| (linear + quadratic |v|)."""
    size = abs(open_size)
    return mark * size * (params.linear_slippage + params.quadratic_slippage * size)


def side_requirement(mark: int, open_size: int, orders: int, params: Params, is_long: bool) -> Fraction:
    """Requirement if all of one side's orders fill: slippage of the open part, risk factor on all of it.

    `open_size` is signed, `orders` the unsigned size of that side's orders. A position on the other side that
    the orders cannot turn requires nothing on this one.
    """
    signed = open_size if is_long else -open_size
    volume = max(0, signed + orders)
    factor = params.risk_factor_long if is_long else params.risk_factor_short
    held = max(0, signed) if volume > 0 else 0
    return slippage(mark, held, params) + mark * volume * factor


def margin_levels(mark: int, position: int, params: Params, buy_orders: int = 0, sell_orders: int = 0) -> MarginLevels:
    """Levels of one position with its orders at the riskier side, in units of the settlement asset."""
    need = max(
        side_requirement(mark, position, buy_orders, params, is_long=True),
        side_requirement(mark, position, sell_orders, params, is_long=False),
    )
    maintenance = fraction_up(need)
    return MarginLevels(
        maintenance,
        fraction_down(maintenance * params.search_scale),
        fraction_down(maintenance * params.initial_scale),
        fraction_down(maintenance * params.release_scale),
    )


def liquidation_price(collateral: Fraction, mark: int, position: int, params: Params) -> Fraction | None:
    """Mark at which collateral, with the profit from `mark` to there, equals the maintenance requirement.

    (C - v P) / (|v| (lin + quad |v|) + |v| rf - v), None where no price does that. Orders are not counted.
    """
    size = abs(position)
    factor = params.risk_factor_long if position > 0 else params.risk_factor_short
    slope = size * (params.linear_slippage + params.quadratic_slippage * size) + size * factor - position
    return (collateral - position * mark) / slope if slope != 0 else None


def normal_cdf(x: float) -> float:
    """Standard normal distribution function."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def normal_quantile(p: float) -> float:
    """Inverse of `normal_cdf` by bisection, 0 < p < 1."""
    low, high = -40.0, 40.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if normal_cdf(middle) < p else (low, middle)
    return 0.5 * (low + high)


def lognormal_risk_factors(tail: float, horizon_years: float, drift: float, vol: float) -> tuple[float, float]:
    """(long, short) risk factors: expected shortfall of one unit at mark one, at tail probability `tail`.

    With the log price normal of mean (drift - vol^2 / 2) T and deviation s = vol sqrt(T), z = quantile(tail):
    long 1 - e^(drift T) Phi(z - s) / tail, short e^(drift T) Phi(s + z') / tail - 1 with z' the same quantile.
    Source: protocol spec 0018-RSKM.
    """
    deviation = vol * math.sqrt(horizon_years)
    growth = math.exp(drift * horizon_years)
    z = normal_quantile(tail)
    return 1.0 - growth * normal_cdf(z - deviation) / tail, growth * normal_cdf(z + deviation) / tail - 1.0
