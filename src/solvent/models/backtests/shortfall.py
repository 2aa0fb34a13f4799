"""Whether losses beyond the margin are as large as the shortfall forecast says: Acerbi and Szekely's three tests.

All statistics are 0 in expectation under a model that is right and fall below 0 where risk is understated. Their
critical values come from simulation with a fixed seed; only the tail is drawn, as nothing else enters.
`alpha` is the tail's share, 0.025 of a 97.5 % forecast.
Source: C. Acerbi and B. Szekely, "Backtesting expected shortfall", Risk (December 2014).
"""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import quad
from scipy.special import betainc

from solvent.models.backtests.distributions import NORMAL, LossDistribution

F64 = NDArray[np.float64]
Sampler = Callable[[int, float, LossDistribution, int, np.random.Generator], F64]
"""(observations, alpha, distribution, simulations, chance) -> statistics under the null."""

SIMULATIONS_LEAST = 200_000
BEYOND_CRITICAL = 200
"""Simulations that should lie beyond a critical value; a small test level needs more of them in all."""
SIMULATIONS_MOST = 4_000_000
DRAWS_MOST = 25_000_000
SIMULATIONS_OF_LONG = 20_000
"""Samples of many observations are drawn less often, as each costs more."""
CHUNK_DRAWS = 4_000_000
SEED = 20141201


def z1(losses: ArrayLike, margins: ArrayLike, shortfalls: ArrayLike) -> float:
    """1 - mean of L/ES over exceptions: size alone, whatever their number; NaN without exceptions. All (T,)."""
    ratio = _ratios(losses, margins, shortfalls)
    return 1.0 - float(ratio.mean()) if len(ratio) else math.nan


def z2(losses: ArrayLike, margins: ArrayLike, shortfalls: ArrayLike, alpha: float) -> float:
    """1 - sum of L/ES over exceptions / (T alpha): number and size at once; NaN without observations. All (T,)."""
    ratio = _ratios(losses, margins, shortfalls)
    return z2_of_sum(float(ratio.sum()), len(np.asarray(losses)), alpha)


def z2_of_sum(ratios: float, observations: int, alpha: float) -> float:
    """Z2 of what is known of a sample: the sum of L/ES over its exceptions, and its size."""
    return 1.0 - ratios / (observations * alpha) if observations else math.nan


def z2_over_windows(
    losses: ArrayLike, margins: ArrayLike, shortfalls: ArrayLike, alpha: float, window: int = 250
) -> F64:
    """(T - window + 1,) Z2 of every run of `window` neighbouring days; empty where there are fewer days."""
    loss, var, es = (np.asarray(each, np.float64) for each in (losses, margins, shortfalls))
    if len(loss) < window:
        return np.empty(0)
    sums = np.concatenate([[0.0], np.cumsum(np.where(loss > var, loss / es, 0.0))])
    return np.asarray(1.0 - (sums[window:] - sums[:-window]) / (window * alpha))


def z3(losses: ArrayLike, margins: ArrayLike, alpha: float, null: LossDistribution = NORMAL) -> float:
    """Is the tail of all losses as heavy as the model's, rank by rank?

    For models of a scale family: L_t over the scale that VaR_t states is drawn from `null`, so the statistic is
    1 - (mean of the largest floor(T alpha) standardised losses) / (its expectation under the null).
    """
    loss, var = np.asarray(losses, np.float64), np.asarray(margins, np.float64)
    tail = math.floor(len(loss) * alpha)
    if tail < 1:
        return math.nan
    standardised = np.sort(loss / var * float(null.quantile(alpha)))
    return 1.0 - float(standardised[-tail:].mean()) / expected_tail_mean(len(loss), tail, null)


def expected_tail_mean(observations: int, tail: int, null: LossDistribution) -> float:
    """Expected mean of the `tail` largest of T draws, by quadrature.

    (T / k) times the integral over p of I_{1-p}(T - k, k) q(p), q the loss above which a share p lies.
    """

    def density(share: float) -> float:
        return float(betainc(observations - tail, tail, 1.0 - share)) * float(null.quantile(share))

    # beyond some multiples of the tail's share nothing is left; the quantile is endless at 0, but integrable
    share = tail / observations
    ends = [0.0, share / 100.0, share, min(3.0 * share, 0.9), 1.0]
    parts = [quad(density, low, high, limit=200)[0] for low, high in pairwise(ends)]
    return float(sum(parts)) * observations / tail


def critical_value(
    sampler: Sampler, observations: int, alpha: float, test_level: float, null: LossDistribution = NORMAL
) -> float:
    """The statistic below which a share `test_level` of right models falls, by simulation."""
    return float(np.quantile(null_statistics(sampler, observations, alpha, null, test_level), test_level))


def p_value(
    sampler: Sampler, statistic: float, observations: int, alpha: float, null: LossDistribution = NORMAL
) -> float:
    """The share of right models with a statistic as low, by simulation; never below one simulation's share."""
    if math.isnan(statistic):
        return math.nan
    simulated = null_statistics(sampler, observations, alpha, null)
    return (1.0 + float((simulated <= statistic).sum())) / (1.0 + len(simulated))


def null_statistics(
    sampler: Sampler, observations: int, alpha: float, null: LossDistribution = NORMAL, test_level: float = 1.0
) -> F64:
    """Statistics of many samples of a model that is right; as many as a `test_level` needs. Seeded."""
    wanted = min(SIMULATIONS_MOST, max(SIMULATIONS_LEAST, math.ceil(BEYOND_CRITICAL / test_level)))
    affordable = max(SIMULATIONS_OF_LONG, int(DRAWS_MOST / max(1.0, observations * alpha)))
    chance = np.random.default_rng(SEED)
    sizes = _chunks(min(wanted, affordable), observations * alpha)
    found = [sampler(observations, alpha, null, size, chance) for size in sizes]
    return np.concatenate(found)


def z1_sampler(
    observations: int, alpha: float, null: LossDistribution, simulations: int, chance: np.random.Generator
) -> F64:
    """Z1 of samples of the null, those without exceptions left out."""
    counts, sums = _tail_sums(observations, alpha, null, simulations, chance)
    return 1.0 - sums[counts > 0] / counts[counts > 0] / float(null.shortfall(alpha))


def z2_sampler(
    observations: int, alpha: float, null: LossDistribution, simulations: int, chance: np.random.Generator
) -> F64:
    """Z2 of samples of the null."""
    _, sums = _tail_sums(observations, alpha, null, simulations, chance)
    return 1.0 - sums / (observations * alpha * float(null.shortfall(alpha)))


def z3_sampler(
    observations: int, alpha: float, null: LossDistribution, simulations: int, chance: np.random.Generator
) -> F64:
    """Z3 of samples of the null, from their largest losses alone.

    The smallest of T uniforms follow one another by exponential gaps over what is left (Renyi's representation).
    """
    tail = math.floor(observations * alpha)
    if tail < 1:
        return np.empty(0)
    gaps = chance.exponential(size=(simulations, tail)) / np.arange(observations, observations - tail, -1)
    largest = null.quantile(-np.expm1(-np.cumsum(gaps, axis=1)))
    return np.asarray(1.0 - largest.mean(axis=1) / expected_tail_mean(observations, tail, null))


def _ratios(losses: ArrayLike, margins: ArrayLike, shortfalls: ArrayLike) -> F64:
    loss, var, es = (np.asarray(each, np.float64) for each in (losses, margins, shortfalls))
    hit = loss > var
    return np.asarray(loss[hit] / es[hit])


def _tail_sums(
    observations: int, alpha: float, null: LossDistribution, simulations: int, chance: np.random.Generator
) -> tuple[NDArray[np.int64], F64]:
    """Number and sum of losses in the tail of each sample."""
    counts = chance.binomial(observations, alpha, simulations)
    losses = null.quantile(alpha * (1.0 - chance.random(int(counts.sum()))))
    samples = np.repeat(np.arange(simulations), counts)
    return counts, np.bincount(samples, losses, simulations).astype(np.float64)


def _chunks(simulations: int, draws_each: float) -> Iterator[int]:
    most = max(1, int(CHUNK_DRAWS / max(1.0, draws_each)))
    for start in range(0, simulations, most):
        yield min(most, simulations - start)
