"""Marginal tiers: a charge whose rate rises with size, like a tax; in floats and in exact integers."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvent.domain.quantities import div_up
from solvent.errors import Problem, problem

F64 = NDArray[np.float64]

RATE_ONE = 10**9
"""The integer that stands for a rate of 1 in the exact forms: rates are whole numbers of 1e-9."""


def marginal_charge(size: ArrayLike, edges: ArrayLike, rates: ArrayLike) -> F64:
    """Charge on `size`: each tier's rate on the part of the size that lies in that tier.

    Continuous, convex and piecewise linear where the rates rise. A negative size is charged nothing.

    Parameters
    ----------
    size : array_like, any shape
    edges : array_like, shape (..., n - 1)
        Upper edges of all tiers but the last, which is open; rising. Leading axes broadcast against `size`,
        so that each size can have edges of its own.
    rates : array_like, shape (n,)
        Marginal rates, 0.05 = 5 %.

    Returns
    -------
    ndarray, shape of `size` broadcast against the leading axes of `edges`
        In the unit of `size`.
    """
    upper = np.asarray(edges, np.float64)
    rate = np.asarray(rates, np.float64)
    amount = np.maximum(np.asarray(size, np.float64), 0.0)
    # rate_0 * size + sum of (rate_j - rate_{j-1}) * what exceeds edge j: the same sum without a lower edge.
    excess = np.maximum(amount[..., None] - upper, 0.0)
    return np.asarray(rate[0] * amount + (excess * np.diff(rate)).sum(axis=-1))


def marginal_charge_up(size: int, edges: Sequence[int], rates_e9: Sequence[int]) -> int:
    """The exact mirror of `marginal_charge`: whole units of `size`, rounded up, once.

    edges: n - 1 whole numbers in the unit of size. rates_e9: n whole numbers of 1e-9.
    """
    return div_up(marginal_charge_e9(size, edges, rates_e9), RATE_ONE)


def marginal_charge_e9(size: int, edges: Sequence[int], rates_e9: Sequence[int]) -> int:
    """The exact charge before rounding, in 1e-9 of the unit of `size`."""
    lower = (0, *edges)
    upper = (*edges, max(size, 0))
    parts = (max(min(size, top) - bottom, 0) for bottom, top in zip(lower, upper, strict=True))
    return sum(part * rate for part, rate in zip(parts, rates_e9, strict=True))


def check_tiers(
    edges: Sequence[float],
    rates: Sequence[float],
    *,
    most: float,
    file: str = "policy",
    field: str = "tiers",
) -> list[Problem]:
    """What makes tiers unsafe: another number of rates than of tiers, edges or rates that fall, rates outside
    [0, most]. A falling rate would make the charge non-convex, so that splitting a position would pay."""
    problems = []
    if len(rates) != len(edges) + 1:
        accepted = f"{len(edges) + 1} rates, one more than the {len(edges)} edges"
        problems.append(problem(file, None, f"{field}.rates", list(rates), accepted))
    if not all(edge > 0.0 for edge in edges) or not all(low < high for low, high in pairwise(edges)):
        problems.append(problem(file, None, f"{field}.edges", list(edges), "above 0 and rising"))
    if not all(0.0 <= rate <= most for rate in rates):
        problems.append(problem(file, None, f"{field}.rates", list(rates), f"each from 0 to {most:g}"))
    if not all(low <= high for low, high in pairwise(rates)):
        problems.append(problem(file, None, f"{field}.rates", list(rates), "marginal rates that never fall"))
    return problems
