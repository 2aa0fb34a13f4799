"""A margin put together from named terms: tail, horizon, spread, impact, concentration, wrong way."""

from typing import NamedTuple

from solvent.models.liquidity.concentration import concentration_add_on
from solvent.models.liquidity.horizon import PARTICIPATION, liquidation_days, slice_factor
from solvent.valuation.impact import impact_fraction

MAINTENANCE_SHARE = 0.8
"""Maintenance margin as a share of initial margin, where its floor is not higher."""


class Position(NamedTuple):
    """What a margin depends on besides the tail model."""

    size_usd: float
    volume_usd_daily: float
    """The lower of several sources over weeks."""
    sigma_daily: float
    spread: float
    """Stressed, as a fraction of the price."""
    period_days: float = 1.0
    """Margin period of risk, the least horizon."""
    delay_days: float = 0.0
    """Before a defaulter's first slice is sold."""
    open_interest_usd: float | None = None
    float_usd: float | None = None
    correlation_stress: float = 0.0
    """Of the position's loss with its holder's default; only what is above 0 is charged."""


class MarginTerm(NamedTuple):
    """One addend of a margin."""

    name: str
    fraction: float
    """Of the price."""
    detail: str


def margin_terms(quantile: float, position: Position, participation: float = PARTICIPATION) -> tuple[MarginTerm, ...]:
    """Initial margin by its terms; their sum is the margin, a fraction of the price that may exceed 1.

    quantile x horizon factor + stressed spread / 2 + impact + concentration + wrong way. The horizon is that of
    equal daily slices; a margin period above the days that the sale takes delays the first slice.

    Parameters
    ----------
    quantile : float
        One-day loss at the margin's confidence from a tail model, a fraction of the price.
    position : Position
    participation : float
        Share of a day's volume that may be sold.
    """
    at = position
    selling = float(liquidation_days(at.size_usd, at.volume_usd_daily, 1.0, participation))
    delay = at.delay_days + max(0.0, at.period_days - selling)
    factor = float(slice_factor(selling, delay))
    core = quantile * factor
    impact = float(impact_fraction(at.size_usd, at.volume_usd_daily, at.sigma_daily))
    crowd = float(concentration_add_on(quantile, at.size_usd, at.volume_usd_daily, at.open_interest_usd, at.float_usd))
    wrong_way = max(0.0, at.correlation_stress) * quantile
    return (
        MarginTerm("core", quantile, "one-day quantile of the tail model"),
        MarginTerm("horizon", core - quantile, f"x {factor:.3f}: {selling:.2f} days of sales after {delay:.2f} days"),
        MarginTerm("spread", 0.5 * at.spread, "half of the stressed spread"),
        MarginTerm("impact", impact, f"square-root law on {_share(at):.2%} of a day's volume"),
        MarginTerm("concentration", crowd, "core x (multiplier - 1)"),
        MarginTerm("wrong way", wrong_way, f"core x stressed correlation {max(0.0, at.correlation_stress):.2f}"),
    )


def _share(position: Position) -> float:
    size = abs(position.size_usd)
    return size / position.volume_usd_daily if position.volume_usd_daily > 0.0 else float("inf") if size else 0.0


def total(terms: tuple[MarginTerm, ...]) -> float:
    """The margin: the sum of its terms."""
    return sum(term.fraction for term in terms)


def maintenance_margin(initial: float, fee: float, latency_move: float, impact: float) -> float:
    """Maintenance margin, a fraction of the price: a share of initial, with the floor that a liquidation needs.

    The floor is the liquidation fee, the 99 % move over the time that a liquidation takes, and its impact;
    never above initial margin.
    """
    return min(initial, max(MAINTENANCE_SHARE * initial, fee + latency_move + impact))
