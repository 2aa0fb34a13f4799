"""Volatility surfaces: implied volatility of one underlying by log-moneyness ln(strike / forward) and time.

Both kinds interpolate total variance w = vol^2 T linearly in time at a fixed log-moneyness, which keeps the
surface free of calendar arbitrage where its expiries are; before the first and after the last expiry the
volatility is that expiry's own. Plain frozen structs that survive JSON.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvent.errors import Problem, problem, raise_if

F64 = NDArray[np.float64]

CHECK_LOG_MONEYNESS = np.linspace(-3.0, 3.0, 121)
"""Where the smiles of neighbouring expiries are compared, from a twentieth of the forward to twenty times."""
SLOPE_MAX = 2.0
"""Largest slope of total variance in log-moneyness that any price allows (R. Lee's moment formula, 2004)."""


class SviSlice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Raw SVI smile of one expiry: total variance w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2)).

    Source: J. Gatheral and A. Jacquier, "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14 (2014).
    """

    years: float
    """Time to expiry."""
    a: float
    """Level of the total variance."""
    b: float
    """Slope of the wings."""
    rho: float
    """Tilt, in (-1, 1)."""
    m: float
    """Log-moneyness of the centre."""
    sigma: float
    """Width of the bend, above 0."""

    def total_variance(self, log_moneyness: F64) -> F64:
        """w(k), of the shape of k; never below zero."""
        distance = log_moneyness - self.m
        w = self.a + self.b * (self.rho * distance + np.sqrt(distance**2 + self.sigma**2))
        return np.asarray(np.maximum(w, 0.0))


class SviSurface(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="svi", tag_field="kind"):
    """Raw SVI smiles, one an expiry."""

    slices: tuple[SviSlice, ...]
    """By rising `years`."""

    def vol(self, log_moneyness: ArrayLike, years: ArrayLike) -> F64:
        """Annualised implied volatility, a fraction; shapes broadcast.

        log_moneyness: ln(strike / forward). years: time to expiry; at or below zero the first expiry's.
        """
        smiles = [smile.total_variance for smile in self.slices]
        return _interpolated([smile.years for smile in self.slices], smiles, log_moneyness, years)

    def check(self, file: str = "surface") -> list[Problem]:
        """Every breach of no arbitrage: negative variance, too steep wings, total variance that falls in time."""
        found = [] if self.slices else [problem(file, None, "slices", 0, "at least one expiry")]
        for row, smile in enumerate(self.slices, 1):
            least = smile.a + smile.b * smile.sigma * math.sqrt(max(1.0 - smile.rho**2, 0.0))
            rules = [
                ("years", smile.years, 0.0 < smile.years < math.inf, "above 0"),
                ("b", smile.b, smile.b >= 0.0, "at least 0"),
                ("rho", smile.rho, abs(smile.rho) < 1.0, "between -1 and 1"),
                ("sigma", smile.sigma, smile.sigma > 0.0, "above 0"),
                ("m", smile.m, math.isfinite(smile.m), "a number"),
                ("a", smile.a, least >= 0.0, "a + b sigma sqrt(1 - rho^2) at least 0"),
                ("b", smile.b, smile.b * (1.0 + abs(smile.rho)) <= SLOPE_MAX, f"b (1 + |rho|) <= {SLOPE_MAX:g}"),
            ]
            found += [problem(file, row, name, value, text) for name, value, safe, text in rules if not safe]
        smiles = [smile.total_variance(CHECK_LOG_MONEYNESS) for smile in self.slices]
        return found or _calendar_problems([smile.years for smile in self.slices], smiles, file)


class GridSurface(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="grid", tag_field="kind"):
    """Quoted volatilities, each expiry with strikes of its own; flat beyond the outermost strikes.

    Between strikes total variance is linear in log-moneyness, so a smile has no bumps that no quote has.
    """

    years: tuple[float, ...]
    """Time to each expiry, rising."""
    log_moneyness: tuple[tuple[float, ...], ...]
    """ln(strike / forward) of each expiry's quotes, rising."""
    vols: tuple[tuple[float, ...], ...]
    """Annualised volatility of each quote."""

    def vol(self, log_moneyness: ArrayLike, years: ArrayLike) -> F64:
        """Annualised implied volatility, a fraction; shapes broadcast.

        log_moneyness: ln(strike / forward). years: time to expiry; at or below zero the first expiry's.
        """
        return _interpolated(self.years, self._smiles(), log_moneyness, years)

    def check(self, file: str = "surface") -> list[Problem]:
        """Every fault: no quotes, lengths that differ, order, volatility not above zero, variance falling in time."""
        sizes = len(self.years), len(self.log_moneyness), len(self.vols)
        if len(set(sizes)) != 1 or not self.years:
            return [problem(file, None, "years, log_moneyness, vols", sizes, "one entry each for every expiry")]
        found = []
        for row, (t, nodes, vols) in enumerate(zip(self.years, self.log_moneyness, self.vols, strict=True), 1):
            if not 0.0 < t < math.inf:
                found.append(problem(file, row, "years", t, "above 0"))
            if not nodes or len(nodes) != len(vols):
                found.append(problem(file, row, "vols", len(vols), f"{max(len(nodes), 1)} values, one a strike"))
            if not _rising(nodes):
                found.append(problem(file, row, "log_moneyness", list(nodes), "finite and rising"))
            if not all(0.0 < vol < math.inf for vol in vols):
                found.append(problem(file, row, "vols", list(vols), "above 0"))
        if found:
            return found
        # Smiles are piecewise linear in w, so comparing them at every strike of any expiry compares them everywhere.
        everywhere = np.unique(np.concatenate([np.asarray(nodes) for nodes in self.log_moneyness]))
        return _calendar_problems(self.years, [smile(everywhere) for smile in self._smiles()], file)

    @classmethod
    def from_quotes(
        cls, strike: ArrayLike, years: ArrayLike, vol: ArrayLike, forward: ArrayLike, file: str = "quotes"
    ) -> "GridSurface":
        """The surface through quotes, in any order; a call and a put of one strike are averaged.

        Parameters
        ----------
        strike, years, vol, forward : array_like, shape (n,) or scalar
            Strike and forward to that expiry in one unit, time to expiry in years, volatility as a fraction.
        file : str
            Where the quotes come from, for problems.

        Raises
        ------
        SolventError
            With every row that is not a finite number above zero.
        """
        columns = np.broadcast_arrays(*(np.asarray(each, np.float64) for each in (strike, years, vol, forward)))
        k, t, v, f = (np.atleast_1d(each) for each in columns)
        found = [] if k.size else [problem(file, None, "rows", 0, "at least one quote")]
        for name, column in zip(("strike", "years", "vol", "forward"), (k, t, v, f), strict=True):
            bad = np.flatnonzero(~((column > 0.0) & np.isfinite(column))).tolist()
            found += [problem(file, row + 1, name, float(column[row]), "a number above 0") for row in bad]
        raise_if(found, "quotes that make no surface")
        expiries = np.unique(t)
        nodes, vols = [], []
        for expiry in expiries:
            at = t == expiry
            places, where = np.unique(np.log(k[at] / f[at]), return_inverse=True)
            nodes.append(tuple(places.tolist()))
            vols.append(tuple((np.bincount(where, v[at]) / np.bincount(where)).tolist()))
        return cls(tuple(expiries.tolist()), tuple(nodes), tuple(vols))

    def _smiles(self) -> list[Callable[[F64], F64]]:
        return [
            _piecewise_linear(np.asarray(nodes), np.square(vols) * t)
            for t, nodes, vols in zip(self.years, self.log_moneyness, self.vols, strict=True)
        ]


Surface = SviSurface | GridSurface
"""Either kind; decodes from JSON by its `kind`."""


def _piecewise_linear(nodes: F64, values: F64) -> Callable[[F64], F64]:
    return lambda at: np.asarray(np.interp(at, nodes, values))


def _interpolated(
    expiries: Sequence[float], smiles: Sequence[Callable[[F64], F64]], log_moneyness: ArrayLike, years: ArrayLike
) -> F64:
    """Volatility at each point from the total variances of the expiries on either side of it."""
    k, t = np.broadcast_arrays(np.asarray(log_moneyness, np.float64), np.asarray(years, np.float64))
    nodes = np.asarray(expiries, np.float64)
    after = np.searchsorted(nodes, t)
    vol = np.full(t.shape, np.nan)
    # An interval at a time, so that each point costs two smiles whatever the number of expiries.
    for j in range(len(nodes) + 1):
        here = (after == j) & ~np.isnan(t)
        if not here.any():
            continue
        if j in (0, len(nodes)):
            edge = min(j, len(nodes) - 1)
            vol[here] = np.sqrt(smiles[edge](k[here]) / nodes[edge])
            continue
        share = (t[here] - nodes[j - 1]) / (nodes[j] - nodes[j - 1])
        w = (1.0 - share) * smiles[j - 1](k[here]) + share * smiles[j](k[here])
        vol[here] = np.sqrt(w / t[here])
    return vol


def _rising(values: Sequence[float]) -> bool:
    return all(map(math.isfinite, values)) and all(low < high for low, high in pairwise(values))


def _calendar_problems(years: Sequence[float], variances: Sequence[F64], file: str) -> list[Problem]:
    """Expiries out of order, and those whose total variance is below the one before at some log-moneyness."""
    if not _rising(years):
        return [problem(file, None, "years", list(years), "finite and rising")]
    accepted = "total variance at least that of the expiry before, at every log-moneyness"
    return [
        problem(file, row, "years", years[row - 1], accepted)
        for row, (before, after) in enumerate(pairwise(variances), 2)
        if np.any(after < before * (1.0 - 1e-12))
    ]
