"""Which assets' risks offset one another: groups by the lowest correlation that each pair has shown."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

F64 = np.ndarray[Any, np.dtype[np.float64]]

WINDOW = 250
"""Days of a correlation."""
STEP = 10
"""Days between the windows that are looked at."""
LEAST = 0.6
"""Pairs below it stay apart: less the rule's haircut of 0.3 they offset little, and would cost closer pairs theirs."""


class OffsetGroup(NamedTuple):
    """Assets that may offset one another, and the lowest correlation of any two of them in any window."""

    assets: tuple[str, ...]
    correlation: float


def lowest_correlations(returns: F64, window: int = WINDOW, step: int = STEP) -> F64:
    """The lowest correlation of each pair in any window, shape (A, A); -1 where no window has both.

    returns: shape (A, n), the same days for all, NaN where an asset has none. A window counts for the assets that
    have every day of it; the last one ends with the data.
    """
    count, days = returns.shape
    lowest = np.full((count, count), np.nan)
    for end in range(days, window - 1, -step):
        block = returns[:, end - window : end]
        whole = np.flatnonzero(np.isfinite(block).all(axis=1) & (block.std(axis=1) > 0.0))
        if len(whole) > 1:
            place = np.ix_(whole, whole)
            lowest[place] = np.fmin(lowest[place], np.corrcoef(block[whole]))
    return np.where(np.isfinite(lowest), lowest, -1.0)


def offset_groups(assets: Sequence[str], lowest: F64, least: float = LEAST) -> tuple[OffsetGroup, ...]:
    """Disjoint groups in which every pair has at least `least`; assets without a partner are in none.

    The two groups whose least correlated pair is the most correlated are merged first (complete linkage), so that
    the closest assets get the largest offset. lowest: shape (A, A), from `lowest_correlations`.
    """
    groups = [[place] for place in range(len(assets))]
    linkage = np.array(lowest, np.float64)
    np.fill_diagonal(linkage, -np.inf)
    while len(groups) > 1:
        a, b = sorted(divmod(int(linkage.argmax()), len(groups)))
        if not linkage[a, b] >= least:
            break
        groups[a] += groups.pop(b)
        joined = np.minimum(linkage[a], linkage[b])
        linkage[a], linkage[:, a] = joined, joined
        linkage[a, a] = -np.inf
        linkage = np.delete(np.delete(linkage, b, axis=0), b, axis=1)
    return tuple(
        OffsetGroup(tuple(assets[place] for place in sorted(group)), float(lowest[np.ix_(group, group)].min()))
        for group in groups
        if len(group) > 1
    )
