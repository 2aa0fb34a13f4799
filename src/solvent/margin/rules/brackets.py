"""Progressive brackets by size, as income tax has them: what several venues call tiers, brackets or risk limits.

Each bracket's rate applies to the part of a size inside it. Venues print the same thing as a rate on the whole
size less a deduction ("cumulative amount"); both forms are here.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.errors import Problem
from solvent.valuation.tiers import check_tiers, marginal_charge

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Bracket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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


class Tiers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Brackets as policies state them: upper limits, and a rate more than there are limits."""

    uppers: tuple[float, ...]
    rates: tuple[float, ...]

    @property
    def brackets(self) -> tuple[Bracket, ...]:
        """The same from lower limits."""
        return from_uppers(self.uppers, self.rates)


class BracketTable(NamedTuple):
    """Brackets of I instruments, padded to one width, for whole books."""

    lower: F64
    """(I, T) lower limits, inf where there is no further bracket."""
    step: F64
    """(I, T) by how much a bracket's rate exceeds the one's before."""

    @classmethod
    def of(cls, size: int, brackets: Mapping[int, Sequence[Bracket]]) -> "BracketTable":
        """Table of `size` instruments; those without brackets are charged nothing."""
        width = max((len(each) for each in brackets.values()), default=1)
        lower, step = np.full((size, width), np.inf), np.zeros((size, width))
        for i, each in brackets.items():
            lower[i, : len(each)] = [bracket.lower for bracket in each]
            step[i, : len(each)] = np.diff([bracket.rate for bracket in each], prepend=0.0)
        return cls(lower, step)

    def charge(self, size: F64, which: I64) -> F64:
        """Marginal charge on each size >= 0 by the brackets of instrument `which`."""
        total = np.zeros(len(size))
        for t in range(self.lower.shape[1]):
            total += self.step[which, t] * np.maximum(size - self.lower[which, t], 0.0)
        return total


def check_brackets(brackets: Sequence[Bracket], field: str, most: float = 1.0) -> list[Problem]:
    """Brackets that do not start at zero, limits that do not rise, rates that fall or lie outside [0, most]."""
    return check_tiers(
        [bracket.lower for bracket in brackets[1:]],
        [bracket.rate for bracket in brackets],
        most=most,
        file="policy margin",
        field=field,
    )
