"""Assessments as the tables of a `portfolio` policy: collateral terms, limits, joint scenarios."""

from collections.abc import Iterable
from math import ceil, floor, isfinite
from typing import Any

from solvent.models.collateral.assess import Assessment

RATE_DIGITS = 4
SALE_INITIAL = 0.10
SALE_MAINTENANCE = 0.08
"""Haircut of a scanned asset that may fall by 90 %: with the scenario it is left next to nothing."""


def collateral_table(assessments: Iterable[Assessment]) -> dict[str, dict[str, Any]]:
    """`[margin.collateral]`: terms of each eligible asset; who is not listed has weight zero.

    Haircuts are full ones: the price's own risk is in them. Only assets of a joint scenario are `scanned`, so that
    the scenario takes what they are worth together with everything else; their haircut is for the sale alone.
    Rates are rounded up, caps down.
    """
    counted = [each for each in assessments if each.eligible]
    joint = {asset for each in counted for asset in each.scenario}
    return {each.asset: _terms(each, each.asset in joint) for each in counted}


def _terms(each: Assessment, scanned: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "haircut_initial": _up(each.haircut),
        "haircut_maintenance": _up(each.haircut_maintenance),
        "borrow_initial": _up(each.borrow_initial),
        "borrow_maintenance": _up(each.borrow_maintenance),
        "tier_edges_usd": list(each.tiers.edges_usd),
        "tier_add": list(each.tiers.add),
        "cap_usd": floor(each.cap.usd),
    }
    if scanned:
        sale = {"haircut_initial": SALE_INITIAL, "haircut_maintenance": SALE_MAINTENANCE}
        found |= {"scanned": True, "tier_edges_usd": [], "tier_add": [], **sale}
    return found


def limits_table(assessments: Iterable[Assessment]) -> dict[str, dict[str, int]]:
    """`[limits]`: deposits of each eligible asset in all, its cap."""
    return {
        each.asset: {"total_usd": floor(each.cap.usd)}
        for each in assessments
        if each.eligible and isfinite(each.cap.usd)
    }


def crashes_table(assessments: Iterable[Assessment]) -> dict[str, dict[str, float]]:
    """`[margin.crashes]`: the joint scenario of each algorithmic coin that is admitted."""
    return {f"{each.asset} depeg": dict(each.scenario) for each in assessments if each.eligible and each.scenario}


def _up(rate: float) -> float:
    scale: int = 10**RATE_DIGITS
    return min(1.0, ceil(rate * scale - 1e-9) / scale)
