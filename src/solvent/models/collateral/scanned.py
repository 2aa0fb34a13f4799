"""Terms of collateral whose price the `portfolio` rule scans: the haircut is for the sale, so that risk counts once.

A coin that hedges a short is then charged by the scenarios, where both stand together, and not by its haircut again.
"""

from typing import Any

from solvent.models.collateral.assess import Assessment
from solvent.models.collateral.terms import RATE_DIGITS
from solvent.models.collateral.weights import EDGE_SHARES
from solvent.valuation.impact import impact_fraction

SALE_INITIAL = 0.03
SALE_MAINTENANCE = 0.02
"""Least haircuts of a sale, as the rule's own defaults."""
MAINTENANCE_SHARE = 0.8
CLAIMS = ("custody", "wrapping", "claim")
"""Parts of a full haircut that no price tells of."""


def sale_cost(each: Assessment) -> float:
    """What a small sale loses besides the price's moves: half the spread and its impact."""
    spread, sigma = (float(each.values.get(name) or 0.0) for name in ("spread", "sigma_daily"))
    return 0.5 * spread + float(impact_fraction(EDGE_SHARES[0], 1.0, sigma))


def claim_cost(each: Assessment) -> float:
    """What is added for who stands behind the asset, of which no price tells."""
    return sum(part.fraction for part in each.parts if part.name in CLAIMS)


def scanned_terms(each: Assessment, room: float, close_out: float) -> dict[str, Any]:
    """What replaces haircuts, rates on debts and size tiers in an eligible asset's terms.

    room: what the scenarios leave of its value in maintenance margin; haircut and tiers stay within it. close_out:
    penalty and half spread of a liquidation, which maintenance must pay for. Rates are rounded up, to the room down.
    """
    cost, claim = sale_cost(each), claim_cost(each)
    most = _down(room)
    maintenance = min(most, _up(max(SALE_MAINTENANCE, MAINTENANCE_SHARE * cost, close_out) + claim))
    initial = max(maintenance, _up(max(SALE_INITIAL, cost) + claim))
    left = _down(most - maintenance)
    return {
        "scanned": True,
        "haircut_initial": initial,
        "haircut_maintenance": maintenance,
        "borrow_initial": initial,
        "borrow_maintenance": maintenance,
        "tier_add": [min(left, add) for add in each.tiers.add],
    }


def _up(rate: float) -> float:
    return min(1.0, -_down(-rate))


def _down(rate: float) -> float:
    scale: int = 10**RATE_DIGITS
    return float((rate * scale + 1e-9) // 1 / scale)
