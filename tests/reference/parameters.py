"""A policy's tables as fractions, with the defaults that semantics 5 to 9 state."""

from fractions import Fraction
from math import inf, isqrt
from typing import Any

from tests.reference.terms import RATE, decimal, rate_up

from solvent.domain.instruments import STABLECOINS
from solvent.domain.policy import Policy

MARGIN = {
    "margin_scale": 1.0, "scan_range_default": 0.25, "scan_range_stablecoin": 0.02, "tail_damp": 0.75,
    "vol_up": 0.5, "vol_down": 0.3, "vol_power_short": 0.30, "vol_power_long": 0.13, "option_long_weight": 0.95,
    "correlation_haircut": 0.3, "offset_most": 0.8, "roll_least": 0.002, "roll_annual": 0.05,
    "short_option_initial": 0.005, "short_option_maintenance": 0.003, "maintenance_factor": 0.8,
    "half_spread_least": 0.0005, "confidence_factor": 2.0, "depeg_threshold": 0.99, "depeg_factor": 4.0,
}  # fmt: skip
COLLATERAL = {"haircut_initial": 1.0, "haircut_maintenance": 1.0, "borrow_initial": 1.0, "borrow_maintenance": 1.0}
LIQUIDATION = {
    "buffer": 0.15, "penalty_rate": 0.005, "release": 0.02, "dust_usd": 500.0, "auction_below": 0.5,
    "price_band": 0.03, "impact_factor": 0.8, "volatility_daily": 0.05, "impact_most": 0.2,
    "volume_usd_daily_default": 5e7,
}  # fmt: skip
CURVE = {
    "base_annual": 0.0, "slope_low_annual": 0.04, "slope_high_annual": 0.75, "kink_utilisation": 0.8,
    "reserve_factor": 0.1,
}  # fmt: skip
SPLIT = {"liquidator": 0.5, "insurance": 0.4, "venue": 0.1}


def _fractions(defaults: dict[str, float], table: dict[str, Any]) -> dict[str, Fraction]:
    return {name: decimal(float(table.get(name, default))) for name, default in defaults.items()}


class Parameters:
    """What the reference reads from a policy."""

    def __init__(self, policy: Policy) -> None:
        margin, liquidation = policy.margin, policy.liquidation
        self.margin = _fractions(MARGIN, margin)
        self.range = {name: decimal(x) for name, x in margin.get("scan_range", {"BTC": 0.16, "ETH": 0.16}).items()}
        self.steps = [decimal(x) for x in margin.get("steps", (0.0, 1 / 3, -1 / 3, 2 / 3, -2 / 3, 1.0, -1.0))]
        self.tails = [decimal(x) for x in margin.get("tails", (2.0, -2.0, 3.0, -3.0, 5.0))]
        self.worst = int(margin.get("expected_shortfall_count", 1))
        self.groups = [
            (tuple(each["assets"]), self._offset(each["correlation"]))
            for each in margin.get("groups", [{"assets": ("BTC", "ETH"), "correlation": 0.8}])
        ]
        self.participation = (
            (Fraction(1, 10), Fraction(3, 10), Fraction(1)),
            (Fraction(0), Fraction(1, 2), Fraction(1), Fraction(2)),
        )
        self._read: dict[str, dict[str, Any]] = {}
        self._collateral = dict(margin.get("collateral", {}))
        self.liquidation = _fractions(LIQUIDATION, liquidation)
        self.split = _fractions(SPLIT, liquidation.get("split", {}))
        self.deleveraging = liquidation.get("deleveraging", "queue")
        self.insurance: dict[str, Any] = liquidation.get("insurance", {})
        self.halt_age_s = decimal(float(policy.oracle.get("halt_age_s", 600.0)))
        self.degraded_health = decimal(float(policy.oracle.get("degraded_health", 0.9)))
        self._pools = policy.pools
        self.limits: dict[str, dict[str, int]] = dict(policy.limits)

    def _offset(self, correlation: float) -> Fraction:
        """φ = min(most, max(0, 1 - sqrt((1 - ρ) / 2))), ρ less the haircut, at least 0; down to 1e-9."""
        stressed = max(Fraction(0), decimal(correlation) - self.margin["correlation_haircut"])
        half = (1 - stressed) / 2 * RATE**2
        root = isqrt(int(half)) + (isqrt(int(half)) ** 2 != half)
        return min(self.margin["offset_most"], max(Fraction(0), 1 - Fraction(root, RATE)))

    def range_of(self, asset: str) -> Fraction:
        """Largest regular move of an asset."""
        if asset == "USD":
            return Fraction(0)
        kind = "scan_range_stablecoin" if asset in STABLECOINS else "scan_range_default"
        return self.margin["margin_scale"] * self.range.get(asset, self.margin[kind])

    def collateral(self, id: str) -> dict[str, Any]:
        """Rates of a balance; an asset that is not listed has weight zero, USD is cash."""
        if id not in self._read:
            self._read[id] = self._collateral_of(id)
        return self._read[id]

    def _collateral_of(self, id: str) -> dict[str, Any]:
        default: dict[str, Any] = dict.fromkeys(COLLATERAL, 0.0) if id == "USD" else {}
        table = self._collateral.get(id, default)
        found: dict[str, Any] = _fractions(COLLATERAL, table)
        found["scanned"] = bool(table.get("scanned", False))
        cap = table.get("cap_usd", inf)
        found["cap"] = None if cap == inf else Fraction(int(cap))
        edges = [Fraction(int(x)) for x in table.get("tier_edges_usd", ())]
        adds = [decimal(float(x)) for x in table.get("tier_add", ())]
        found["tiers"] = [(e, a) for e, a in zip(edges, adds, strict=True) if found["cap"] is None or e < found["cap"]]
        return found

    def curve(self, id: str) -> dict[str, Fraction]:
        """Interest curve of a pool."""
        return _fractions(CURVE, self._pools.get("assets", {}).get(id, self._pools.get("curve", {})))

    def rate(self, name: str) -> Fraction:
        """A margin parameter as a charge rate."""
        return rate_up(self.margin[name])
