"""Gearbox v3: a credit account's threshold-weighted value against its whole debt.

Numeraire: the pool's underlying. Equity is positive: total value less debt, interest and fees. Unsettled
profit: none. Breach is strict: threshold-weighted value below total debt. Rounding: every product down.
Source: Gearbox-protocol/core-v3, contracts/libraries/CreditLogic.sol, CollateralLogic.sol.
"""

from collections.abc import Iterable

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.pools.fixed_point import BPS


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A liquidation threshold that may be moving, basis points and seconds."""

    initial_bps: int
    final_bps: int
    ramp_start_s: int = 2**40 - 1
    """A time far ahead leaves the threshold where it is."""
    ramp_duration_s: int = 0


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Thresholds by asset, and the fees that are part of debt."""

    thresholds: dict[str, Threshold] = {}
    fee_interest_bps: int = 5000
    """Share of interest that the treasury charges on top."""


def threshold_bps_down(threshold: Threshold, now_s: int) -> int:
    """Threshold now: linear between start and end of the ramp."""
    start = threshold.ramp_start_s
    end = start + threshold.ramp_duration_s
    if now_s < start:
        return threshold.initial_bps
    if now_s >= end:
        return threshold.final_bps
    weighted = threshold.initial_bps * (end - now_s) + threshold.final_bps * (now_s - start)
    return weighted // threshold.ramp_duration_s


def interest_down(debt: int, index_then: int, index_now: int) -> int:
    """Interest on a principal since its index was recorded."""
    return mul_div_down(debt, index_now, index_then) - debt


def total_debt(debt: int, interest: int, fee_interest_bps: int) -> int:
    """Principal, interest, and the treasury's fee on interest (rounded down)."""
    return debt + interest + mul_div_down(interest, fee_interest_bps, BPS)


def weighted_value_down(holdings: Iterable[tuple[int, int, int]]) -> int:
    """Sum of min(value x threshold, quota) over (value, threshold in basis points, quota)."""
    return sum(min(mul_div_down(value, threshold, BPS), quota) for value, threshold, quota in holdings)


def is_liquidatable(weighted_value: int, debt: int) -> bool:
    """Weighted value below total debt, strictly."""
    return weighted_value < debt
