"""Joint moves of prices and volatilities that a book is valued under: grids, history, named crashes."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

MOVE_LOWEST = -0.9
"""Moves are clipped here: no scenario values an asset at less than a tenth."""


class ScenarioSet(msgspec.Struct, frozen=True, eq=False):
    """S scenarios over A assets."""

    names: tuple[str, ...]
    moves: F64
    """(A, S) relative price moves."""
    vol_shift: F64
    """(S,) +1 volatility up, -1 down, 0 as it is; fractions scale the shift."""
    damp: F64
    """(S,) factor on the change of value."""

    def __len__(self) -> int:
        return len(self.names)

    def joined(self, other: "ScenarioSet") -> "ScenarioSet":
        """Both sets, `self` first; they have the same assets."""
        return ScenarioSet(
            self.names + other.names,
            np.hstack([self.moves, other.moves]),
            np.concatenate([self.vol_shift, other.vol_shift]),
            np.concatenate([self.damp, other.damp]),
        )


def grid(
    scan_range: F64,
    steps: Sequence[float],
    tails: Sequence[float] = (),
    tail_damp: float = 1.0,
    vol_shifts: Sequence[float] = (1.0, 0.0, -1.0),
) -> ScenarioSet:
    """Steps x volatility shifts at full weight, then the tails with volatility up and damp tail_damp / |step|.

    scan_range: (A,) largest regular move of each asset. steps, tails: multiples of the range; moves are
    clipped at `MOVE_LOWEST`.
    """
    cells = [(step, shift, 1.0) for step in steps for shift in vol_shifts]
    cells += [(step, 1.0, tail_damp / abs(step)) for step in tails]
    step, shift, damp = (np.array(column) for column in zip(*cells, strict=True))
    names = tuple(f"{s:+.2f}R {_VOL.get(v, f'vol {v:+.2f}')}" for s, v, _ in cells)
    return ScenarioSet(names, np.maximum(np.outer(scan_range, step), MOVE_LOWEST), shift, damp)


_VOL = {1.0: "vol up", 0.0: "vol same", -1.0: "vol down"}


def historical(returns: F64, names: Sequence[str] | None = None) -> ScenarioSet:
    """Past joint returns as scenarios: returns is (A, S) of relative price moves; volatility as it is."""
    size = returns.shape[1]
    names = [f"history {i}" for i in range(size)] if names is None else names
    return ScenarioSet(tuple(names), np.maximum(returns, MOVE_LOWEST), np.zeros(size), np.ones(size))


def named(
    assets: Sequence[str],
    crashes: Mapping[str, Mapping[str, float]],
    vol_shift: float = 1.0,
    otherwise: str = "*",
) -> ScenarioSet:
    """Named joint crashes: for each name the move of each asset; `otherwise` keys the move of all others."""
    moves = [[crash.get(asset, crash.get(otherwise, 0.0)) for crash in crashes.values()] for asset in assets]
    size = len(crashes)
    shape = np.array(moves, dtype=float).reshape(len(assets), size)
    return ScenarioSet(tuple(crashes), np.maximum(shape, MOVE_LOWEST), np.full(size, vol_shift), np.ones(size))


def vol_factor(years: F64, shift: F64, up: float, down: float, power_short: float, power_long: float) -> F64:
    """(I, S) multipliers of volatility: 1 + up t or 1 - down t, t = (30 d / max(T, 1 d))^p.

    p is power_short to 30 days and power_long beyond: short expiries move more.
    """
    days = np.maximum(years * 365.0, 1.0)
    tenor = (30.0 / days) ** np.where(days <= 30.0, power_short, power_long)
    swing = np.where(shift > 0, up * shift, down * shift)
    return np.maximum(1.0 + np.outer(tenor, swing), 0.0)
