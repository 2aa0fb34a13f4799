"""Progressive brackets by size, as income tax has them: what several venues call tiers, brackets or risk limits.

Each bracket's rate applies to the part of a size inside it. Venues print the same thing as a rate on the whole
size less a deduction ("cumulative amount"); both forms are here.
"""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from solvent.valuation.tiers import marginal_charge


class Bracket(msgspec.Struct, frozen=True):
    """From `lower` (inclusive) up to the next bracket's `lower`."""

    lower: float
    rate: float


def from_uppers(uppers: Sequence[float], rates: Sequence[float]) -> tuple[Bracket, ...]:
    """Brackets from upper limits; the last rate also holds beyond the last limit."""
    return tuple(Bracket(lower, rate) for lower, rate in zip((0.0, *uppers), rates, strict=False))


def deductions(brackets: Sequence[Bracket]) -> list[float]:
    """Deduction of each bracket: d_n = d_(n-1) + lower_n (rate_n - rate_(n-1)), the first is zero."""
    amounts = [0.0]
    for before, here in pairwise(brackets):
        amounts.append(amounts[-1] + here.lower * (here.rate - before.rate))
    return amounts


def bracket_of(size: float, brackets: Sequence[Bracket]) -> int:
    """Index of the bracket that holds `size` >= 0; at a limit the form is continuous, either would do."""
    return max(0, sum(1 for bracket in brackets if bracket.lower <= size) - 1)


def charge(size: float, brackets: Sequence[Bracket]) -> float:
    """Sum of each bracket's rate times the part of `size` >= 0 inside it."""
    edges = [bracket.lower for bracket in brackets[1:]]
    return float(marginal_charge(size, edges, [bracket.rate for bracket in brackets]))
