"""Gearbox v3: a credit account's threshold-weighted value against its whole debt.

Numeraire: the pool's underlying. Equity is positive: total value less debt, interest and fees. Unsettled
profit: none. Breach is strict: threshold-weighted value below total debt. Rounding: every product down.
Source: Gearbox-protocol/core-v3, contracts/libraries/CreditLogic.sol, CollateralLogic.sol.
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import msgspec

from solvent.domain.quantities import fraction_down, mul_div_down
from solvent.errors import Problem, problem
from solvent.margin.rules.lending import (
    LendingParams,
    LendingRule,
    LoanMarket,
    Position,
    Shared,
    Terms,
    Weighed,
    atom_usd,
)
from solvent.pools.fixed_point import BPS

PRICE_DECIMALS = 8


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A liquidation threshold that may be moving, basis points and seconds."""

    initial_bps: int
    final_bps: int
    ramp_start_s: int = 2**40 - 1
    """A time far ahead leaves the threshold where it is."""
    ramp_duration_s: int = 0


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One collateral token of a credit manager; thresholds as fractions in whole basis points."""

    liquidation_threshold: Decimal
    final_threshold: Decimal | None = None
    """Where the threshold moves to, if it does."""
    ramp_start_s: int = 2**40 - 1
    """Unix time."""
    ramp_duration_s: int = 0
    quota_usd: Decimal | None = None
    """Most that the token counts, weighted, in USD: an account's quota, as if all had bought the same."""


class Params(LendingParams, frozen=True):
    """By spot id of a credit manager's underlying, its tokens by spot id."""

    managers: dict[str, dict[str, Token]]
    liquidation_premium: Decimal = Decimal("0.04")
    """The liquidator's, of total value."""
    liquidation_fee: Decimal = Decimal("0.015")
    """The treasury's, of total value."""


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


class GearboxV3(LendingRule):
    """The rule; see the module. One threshold serves borrowing and liquidation; a quota breaks homogeneity."""

    name: ClassVar[str] = "gearbox-v3"
    Params: ClassVar[type[msgspec.Struct]] = Params
    homogeneous: ClassVar[bool] = False
    ramps: ClassVar[bool] = True
    oracle_decimals: ClassVar[int | None] = PRICE_DECIMALS
    weight_one: ClassVar[int] = BPS
    weight_names: ClassVar[tuple[str, str]] = ("liquidation threshold", "liquidation threshold")

    def check_own(self, params: Any) -> list[Problem]:
        """What a liquidation takes, and thresholds in whole basis points."""
        found = []
        if not 0 <= params.liquidation_premium + params.liquidation_fee < 1:
            taken = f"{params.liquidation_premium} + {params.liquidation_fee}"
            found.append(problem("policy margin", None, "liquidation_premium + liquidation_fee", taken, "0 to below 1"))
        for loan, tokens in params.managers.items():
            for id, each in tokens.items():
                ends = (each.liquidation_threshold, each.final_threshold or 0)
                if any((x * BPS) % 1 for x in ends) or each.ramp_duration_s < 0 or (each.quota_usd or 0) < 0:
                    accepted = "thresholds in whole basis points, a duration and a quota of at least 0"
                    found.append(problem("policy margin", None, f"managers.{loan}.{id}", str(each), accepted))
        return found

    def markets(self, params: Any, now_s: int) -> list[LoanMarket]:
        """One a credit manager; where a ramp is under way, its threshold now."""
        return [
            LoanMarket((loan,), {id: _terms(each, params, now_s) for id, each in tokens.items()})
            for loan, tokens in params.managers.items()
        ]

    def weighed(self, shared: Shared, position: Position, initial: bool) -> Weighed:
        """In atoms of the underlying."""
        (loan, owed), fixed = position.owed[0], shared.fixed
        worth = Fraction(shared.oracle_up[loan], 10**PRICE_DECIMALS * shared.coin[loan])
        weights, terms = fixed.weights[position.market], fixed.terms[position.market]
        rows = []
        for i, n in position.pledged:
            value = fraction_down(Fraction(n * shared.oracle_down[i], 10**PRICE_DECIMALS * shared.coin[i]) / worth)
            cap = terms[i].cap_usd
            quota = value if cap is None else fraction_down(cap / worth)
            rows.append((i, weighted_value_down([(value, weights[i][initial], quota)])))
        return Weighed(worth, rows, [(loan, owed)])

    def grain_usd(self, shared: Shared, market: int) -> float:
        """Value, product and quota: an atom of the underlying each."""
        return max((float(3 * atom_usd(shared, i)) for i, m in shared.fixed.lender.items() if m == market), default=0.0)


def _terms(token: Token, params: Params, now_s: int) -> Terms:
    final = token.liquidation_threshold if token.final_threshold is None else token.final_threshold
    ends = (int(token.liquidation_threshold * BPS), int(final * BPS))
    now = Fraction(threshold_bps_down(Threshold(*ends, token.ramp_start_s, token.ramp_duration_s), now_s), BPS)
    bonus = 1 / (1 - Fraction(params.liquidation_premium + params.liquidation_fee)) - 1
    return Terms(now, now, bonus, None if token.quota_usd is None else Fraction(token.quota_usd))
