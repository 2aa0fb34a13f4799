"""What a liquidator does: how much is worth taking, what a partial step does to a loan, who gets the bonus."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from solvent.valuation.impact import IMPACT_FACTOR


class PartialLiquidation(NamedTuple):
    """A loan before and after one repayment; infinite where nothing is left to divide by."""

    health_before: float
    health_after: float
    ltv_before: float
    ltv_after: float
    is_toxic: bool
    """LTV rises: B (1 + bonus) > C before it."""

    @property
    def health_change(self) -> float:
        """r (HF - LT (1 + b)) / (B - r)."""
        return self.health_after - self.health_before


def partial_liquidation(
    collateral: float, debt: float, liquidation_threshold: float, bonus: float, repay: float
) -> PartialLiquidation:
    """Repay part of a debt and seize 1 + bonus of it.

    Parameters
    ----------
    collateral, debt, repay : float
        In one numeraire. What is seized is at most the collateral.
    liquidation_threshold, bonus : float
        LT and b, fractions: health = LT C / B.

    Notes
    -----
    Z. Warmuz, A. Chaudhary, D. Pinna, "Toxic liquidation spirals" (arXiv 2212.07306): LTV rises iff LTV > 1 / (1 + b),
    health falls iff it is below LT (1 + b).
    """
    left, kept = debt - repay, max(collateral - repay * (1 + bonus), 0.0)
    return PartialLiquidation(
        _ratio(liquidation_threshold * collateral, debt),
        _ratio(liquidation_threshold * kept, left),
        _ratio(debt, collateral),
        _ratio(left, kept),
        debt * (1 + bonus) > collateral,
    )


def _ratio(over: float, under: float) -> float:
    return over / under if under > 0 else math.inf


def toxic_ltv(bonus: float, impact: float = 1.0) -> float:
    """1 / ((1 + bonus) impact): above it every liquidation raises LTV.

    impact: lambda >= 1, by how much a liquidation's own sale lowers the price that values what is left.
    Source: Warmuz, Chaudhary, Pinna 2022 (arXiv 2212.07306).
    """
    return 1 / ((1 + bonus) * impact)


class Optimum(NamedTuple):
    """The repayment that pays a liquidator best, in the unit of volume or reserve."""

    repay: float
    seized: float
    """Value of collateral at the price before."""
    profit: float
    """Before gas."""


def optimum_square_root(
    bonus: float, volume_daily: float, sigma_daily: float, factor: float = IMPACT_FACTOR
) -> Optimum:
    """Largest b R - Y s R sqrt(R / V): R* = V (2 b / (3 Y s))^2.

    bonus: b. volume_daily: V. sigma_daily: s. factor: Y. No impact: as much as there is, infinite.
    """
    if sigma_daily * factor <= 0:
        return Optimum(math.inf, math.inf, math.inf)
    repay = volume_daily * (2 * bonus / (3 * factor * sigma_daily)) ** 2
    cost = factor * sigma_daily * repay * math.sqrt(repay / volume_daily) if volume_daily > 0 else 0.0
    return Optimum(repay, repay * (1 + bonus), bonus * repay - cost)


def optimum_constant_product(bonus: float, reserve: float) -> Optimum:
    """Sold into a pool x y = k: seized x* = X (sqrt(1 + b) - 1), repaid x* / (1 + b).

    reserve: X, the pool's collateral at the price before.
    """
    seized = reserve * (math.sqrt(1 + bonus) - 1)
    repay = seized / (1 + bonus)
    return Optimum(repay, seized, reserve * seized / (reserve + seized) - repay if reserve > 0 else 0.0)


def participates(optimum: Optimum, gas: float, tip: float = 0.0) -> bool:
    """Whether a liquidation happens at all: its best profit is more than gas and tip. Else bad debt may grow."""
    return optimum.profit > gas + tip


def rising_bonus(elapsed_s: float, least: float, most: float, duration_s: float) -> float:
    """b0 + (b_max - b0) min(1, t / tau): the bonus of a Dutch auction."""
    return least + (most - least) * min(1.0, max(0.0, elapsed_s / duration_s))


def clearing_bonus(costs: Sequence[float], repay: float) -> float:
    """What a rising bonus ends at: the second lowest cost of the keepers, over what is repaid.

    The cheapest keeper may wait until the next one would come; a single one waits for the most: infinite.
    """
    return sorted(costs)[1] / repay if len(costs) > 1 else math.inf


def dissipated(prize: float, bidders: int, kind: str = "first_price") -> float:
    """What n like bidders for a prize V that all know pay to whoever orders transactions.

    kind: `first_price` (the bid goes to V as soon as there are two), `all_pay` (expected bids of all add to V), or
    `private_values` (values uniform on [0, V], each its own: (n - 1) / (n + 1) V is expected of the winner).
    Raises ValueError for another kind.

    Notes
    -----
    P. Daian et al., "Flash Boys 2.0" (2020) on priority gas auctions; V. Krishna, "Auction theory", chapters 2 and 3.
    """
    if kind == "private_values":
        return prize * (bidders - 1) / (bidders + 1) if bidders > 1 else 0.0
    if kind not in ("first_price", "all_pay"):
        raise ValueError(f"{kind!r} is none of first_price, all_pay, private_values")
    return prize if bidders > 1 else 0.0


def entry_equilibrium(prize_total: float, win_share: float, fixed_cost: float) -> int:
    """How many keepers can live: floor(V x share that they keep / fixed cost), for one period."""
    return math.floor(prize_total * win_share / fixed_cost)


def latency_option(sigma_annual: float, delay_s: float) -> float:
    """Value of seeing the price so much earlier than the oracle, a fraction of the notional: s sqrt(dt / 2 pi).

    A fee below it pays those who trade against a stale price. Source: at-the-money Bachelier.
    """
    return sigma_annual * math.sqrt(delay_s / 31_536_000.0 / (2 * math.pi))
