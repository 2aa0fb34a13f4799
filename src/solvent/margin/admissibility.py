"""Which bonus a liquidation threshold can bear: above LTV 1 / (1 + bonus) every liquidation raises LTV."""

from collections.abc import Sequence
from fractions import Fraction

from solvent.errors import Problem, problem


def trigger_product(liquidation_threshold: Fraction, bonus: Fraction) -> Fraction:
    """threshold x (1 + bonus): the collateral seized per unit of threshold-weighted debt at the trigger."""
    return liquidation_threshold * (1 + bonus)


def is_admissible(liquidation_threshold: Fraction, bonus: Fraction) -> bool:
    """Whether threshold x (1 + bonus) <= 1.

    Source: aave-dao/aave-v3-origin, PoolConfigurator (threshold x bonus at most 100 %); Warmuz, Chaudhary,
    Pinna 2022 (arXiv 2212.07306).
    """
    return trigger_product(liquidation_threshold, bonus) <= 1


def toxic_ltv(bonus: Fraction) -> Fraction:
    """1 / (1 + bonus): above it every liquidation raises LTV and leaves debt uncovered."""
    return 1 / (1 + bonus)


def admissibility_problems(
    rows: Sequence[tuple[str, Fraction, Fraction]], where: str, flagged: bool = False
) -> list[Problem]:
    """Every (asset, threshold, bonus) whose product reaches 1, unless the policy's flag allows it.

    A policy is held to the strict inequality: at exactly 1 a liquidation only keeps LTV where it is.
    """
    return [
        problem(where, None, asset, f"{float(trigger_product(threshold, bonus)):.6g}", _accepted(bonus))
        for asset, threshold, bonus in rows
        if trigger_product(threshold, bonus) >= 1 and not flagged
    ]


def _accepted(bonus: Fraction) -> str:
    return f"liquidation_threshold x (1 + bonus) < 1: a threshold below {float(toxic_ltv(bonus)):.6g}"
