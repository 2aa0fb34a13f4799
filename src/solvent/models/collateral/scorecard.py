"""An asset's marks from 0 to 100 by subject, each with the fact that it rests on."""

from collections.abc import Mapping
from typing import NamedTuple

from solvent.models.collateral.rules import Value

REDEMPTION_MARKS = {"open": 100.0, "limited": 60.0, "suspended": 10.0, "none": 0.0}
CUSTODY_MARKS = {"native": 100.0, "contract": 80.0, "qualified": 80.0, "exchange": 30.0, "unknown": 0.0}
WRAPPING_CUT = {"none": 0.0, "canonical": 15.0, "custodial": 20.0, "third_party": 60.0}
ISSUER_MARKS = {"coin": 100.0, "token": 60.0, "venue_token": 20.0}
ISSUER_MARK_OTHER = 70.0
WEIGHTS = {"liquidity": 30, "volatility": 20, "age": 10, "issuer": 15, "custody": 10, "redemption": 15}
AGE_FULL_DAYS = 1460.0
SIGMA_WORST = 0.12


class Mark(NamedTuple):
    """One subject's mark."""

    subject: str
    mark: float
    """From 0 to 100."""
    weight: int
    reason: str


def scorecard(values: Mapping[str, Value]) -> tuple[Mark, ...]:
    """Marks by subject from the same values that rules see; what is unknown has the mark 0."""
    sigma, age = _number(values, "sigma_daily"), _number(values, "age_days")
    redeemed = bool(values.get("represents") or values.get("stablecoin"))
    redemption = str(values.get("redemption"))
    kind, custody, wrapping = (str(values.get(name)) for name in ("kind", "custody", "wrapping"))
    issuer = ISSUER_MARKS.get(kind, ISSUER_MARK_OTHER)
    if quality := _number(values, "reserve_quality"):
        issuer = 100.0 * quality
    marks = {
        "liquidity": (100.0 * (_number(values, "liquidity_score") or 0.0),
                      f"tier {_number(values, 'liquidity_tier') or 0:.0f}, {_usd(values)} a day"),
        "volatility": (0.0 if sigma is None else 100.0 * (1.0 - sigma / SIGMA_WORST),
                       "unknown" if sigma is None else f"{sigma:.2%} a day"),
        "age": (0.0 if age is None else 100.0 * age / AGE_FULL_DAYS, "unknown" if age is None else f"{age:,.0f} days"),
        "issuer": (0.0 if values.get("affiliated") else issuer, f"{kind}, {values.get('issuer') or 'no issuer'}"),
        "custody": (CUSTODY_MARKS.get(custody, 0.0) - WRAPPING_CUT.get(wrapping, 0.0), f"{custody}, {wrapping}"),
        "redemption": (REDEMPTION_MARKS.get(redemption, 0.0) if redeemed else 100.0,
                       redemption if redeemed else "nothing to redeem"),
    }  # fmt: skip
    return tuple(
        Mark(name, min(100.0, max(0.0, mark)), WEIGHTS[name], reason) for name, (mark, reason) in marks.items()
    )


def overall(marks: tuple[Mark, ...]) -> float:
    """The weighted mean of all marks, from 0 to 100."""
    return sum(mark.mark * mark.weight for mark in marks) / sum(mark.weight for mark in marks)


def _number(values: Mapping[str, Value], name: str) -> float | None:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) and value == value else None


def _usd(values: Mapping[str, Value]) -> str:
    volume = _number(values, "volume_usd_daily")
    return "unknown volume" if volume is None else f"{volume:,.0f} USD"
