"""A portfolio by Monte Carlo: filtered marginals joined by a Student t copula, the same draws at every fit."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvent.models.ewma import Ewma
from solvent.models.filtered import EWMA, Filtered, standardised
from solvent.models.model import LEAST_RETURNS, Scenarios, check_enough

F64 = np.ndarray[Any, np.dtype[np.float64]]

DRAWS = 20_000
SEED = 20_240_601
FREEDOM = 4.0
SHRINKAGE = 0.10
STRESS_RISE, STRESS_MOST = 0.3, 0.95
RETURN_LEAST = -0.999
"""A portfolio may lose more than its value; its log return stops here."""
MARGINAL = Filtered(EWMA)


@dataclass(frozen=True)
class TCopula:
    """Scenarios of a portfolio of several assets."""

    weights: tuple[float, ...]
    """Signed share of the portfolio's value by asset; shorts are negative."""
    marginal: Filtered = MARGINAL
    decay: float = 0.97
    """Of the correlations' exponential weights."""
    freedom: float = FREEDOM
    stressed: bool = False
    """Correlations rise by `STRESS_RISE`, to at most `STRESS_MOST`."""
    draws: int = DRAWS
    seed: int = SEED
    least: int = LEAST_RETURNS
    memory: int = 0

    def fit(self, returns: F64, previous: Any = None) -> Scenarios:
        """returns: log returns (n, assets). The portfolio's log returns over the bar to come, one a draw.

        Raises ValueError where the assets are not as many as the weights.
        """
        check_enough(returns, self.least)
        if returns.ndim != 2 or returns.shape[1] != len(self.weights):
            raise ValueError(f"returns {returns.shape} for {len(self.weights)} weights")
        surprises = np.column_stack([standardised(Ewma(self.decay), column)[0] for column in returns.T])
        correlations = shrunk(ewma_correlations(surprises, self.decay))
        if self.stressed:
            correlations = stress(correlations)
        marginals = [np.sort(self.marginal.fit(column).returns) for column in returns.T]
        levels = uniform_draws(correlations, self.freedom, self.draws, self.seed)
        moves = np.column_stack([_at(each, level) for each, level in zip(marginals, levels.T, strict=True)])
        return Scenarios(portfolio_returns(moves, self.weights))


def portfolio_returns(returns: F64, weights: tuple[float, ...]) -> F64:
    """Log returns of a portfolio held over each bar: ln(1 + sum w (exp(r) - 1)); (n, assets) -> n."""
    return np.asarray(np.log1p(np.maximum(np.expm1(returns) @ np.array(weights), RETURN_LEAST)))


def ewma_correlations(returns: F64, decay: float) -> F64:
    """Correlation matrix (assets, assets) of returns (n, assets) with exponentially fading weights and mean zero."""
    weights = decay ** np.arange(len(returns) - 1, -1, -1.0)
    covariance = (returns * weights[:, None]).T @ returns / weights.sum()
    scale = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    correlations = np.clip(covariance / np.outer(scale, scale), -1.0, 1.0)
    np.fill_diagonal(correlations, 1.0)
    return np.asarray(correlations)


def shrunk(correlations: F64, share: float = SHRINKAGE) -> F64:
    """(1 - share) x the matrix + share x that of one factor, the equally weighted mean (Ledoit and Wolf 2003)."""
    total = max(float(correlations.sum()), 1e-12)
    loadings = np.clip(correlations.sum(axis=0) / math.sqrt(total), -1.0, 1.0)
    factor = np.outer(loadings, loadings)
    np.fill_diagonal(factor, 1.0)
    return np.asarray((1.0 - share) * correlations + share * factor)


def stress(correlations: F64, rise: float = STRESS_RISE, most: float = STRESS_MOST) -> F64:
    """Every correlation higher by `rise`, to at most `most` (one that is higher already stays)."""
    raised = np.maximum(np.minimum(correlations + rise, most), correlations)
    np.fill_diagonal(raised, 1.0)
    return np.asarray(raised)


def uniform_draws(correlations: F64, freedom: float, draws: int, seed: int) -> F64:
    """Draws of a t copula, (draws, assets) in (0, 1). A matrix that is not positive definite is brought there."""
    generator = np.random.default_rng(seed)
    normals = generator.standard_normal((draws, len(correlations)))
    scales = np.sqrt(generator.chisquare(freedom, draws) / freedom)
    return t_levels((normals @ _root(correlations).T) / scales[:, None], freedom)


def t_levels(values: F64, freedom: float) -> F64:
    """Student's t distribution function; in closed form at 4 degrees of freedom, which takes a tenth of the time."""
    if freedom != 4.0:
        from scipy.special import stdtr

        return np.asarray(stdtr(freedom, values))
    squares = np.square(values)
    ratio = 1.0 + squares / 4.0
    return np.asarray(0.5 + 0.375 * values / np.sqrt(ratio) * (1.0 - squares / (12.0 * ratio)))


def _root(correlations: F64) -> F64:
    """L with L L' = the nearest such matrix, by clipped eigenvalues."""
    values, vectors = np.linalg.eigh(correlations)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return np.asarray(root / np.sqrt(np.maximum((root**2).sum(axis=1), 1e-300))[:, None])


def _at(ordered: F64, levels: F64) -> F64:
    """The order statistics at levels in (0, 1)."""
    places = np.minimum((levels * len(ordered)).astype(np.int64), len(ordered) - 1)
    return np.asarray(ordered[places])
