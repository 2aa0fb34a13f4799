"""How much a liquidator takes at once: where the bonus on one more unit no longer pays for its impact."""

from math import inf, sqrt
from typing import NamedTuple

from solvent.valuation.impact import IMPACT_FACTOR


class SquareRootSize(NamedTuple):
    """The best repayment in a market of square-root impact, USD."""

    repay_usd: float
    profit_usd: float


class PoolSize(NamedTuple):
    """The best liquidation through a constant-product pool, in units of the debt."""

    seized: float
    repay: float
    profit: float


def square_root_profit_usd(
    repay_usd: float, sigma_daily: float, volume_usd_daily: float, bonus: float, factor: float = IMPACT_FACTOR
) -> float:
    """bonus R - Y sigma R sqrt(R / V): the bonus on a repayment less what selling it costs, USD."""
    return bonus * repay_usd - factor * sigma_daily * repay_usd * sqrt(repay_usd / volume_usd_daily)


def square_root_size(
    sigma_daily: float, volume_usd_daily: float, bonus: float, factor: float = IMPACT_FACTOR
) -> SquareRootSize:
    """The repayment that earns most: R* = V (2 bonus / (3 Y sigma))^2; profit bonus R* / 3.

    Nothing without a bonus or a volume; without bounds where selling has no impact.
    """
    if bonus <= 0.0 or volume_usd_daily <= 0.0:
        return SquareRootSize(0.0, 0.0)
    if factor * sigma_daily <= 0.0:
        return SquareRootSize(inf, inf)
    repay = volume_usd_daily * (2.0 * bonus / (3.0 * factor * sigma_daily)) ** 2
    return SquareRootSize(repay, square_root_profit_usd(repay, sigma_daily, volume_usd_daily, bonus, factor))


def constant_product_profit(seized: float, pool_side: float, bonus: float) -> float:
    """x X / (X + x) - x / (1 + bonus): what a pool pays for what was seized, less the repayment."""
    return seized * pool_side / (pool_side + seized) - seized / (1.0 + bonus)


def constant_product_size(pool_side: float, bonus: float) -> PoolSize:
    """The seizure that earns most: x* = X (sqrt(1 + bonus) - 1), repaid x* / (1 + bonus).

    pool_side: X, the value of one side of a pool without fees, in units of the debt.
    """
    if bonus <= 0.0 or pool_side <= 0.0:
        return PoolSize(0.0, 0.0, 0.0)
    seized = pool_side * (sqrt(1.0 + bonus) - 1.0)
    return PoolSize(seized, seized / (1.0 + bonus), constant_product_profit(seized, pool_side, bonus))
