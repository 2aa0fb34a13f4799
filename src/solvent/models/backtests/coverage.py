"""Whether losses exceed the margin as often as promised, and at no particular time: tests of exceptions.

An exception is a loss above its margin; `probability` is its promised frequency, 0.01 of a 99 % margin.
Every test is a likelihood ratio or a quadratic form with a chi-squared limit; `0 ln 0` is 0, so that no exceptions
and nothing but exceptions have a statistic too.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy
from scipy.stats import chi2

F64 = NDArray[np.float64]
Hits = NDArray[np.bool_]

DQ_LAGS = 4


class Significance(NamedTuple):
    """A statistic and the probability of one as large under a model that is right."""

    statistic: float
    """NaN where the observations say nothing."""
    p_value: float


class Transitions(NamedTuple):
    """How often a day of the first kind was followed by one of the second; 1 is an exception."""

    n00: int
    n01: int
    n10: int
    n11: int


def promised(level: float) -> float:
    """The promised frequency of exceptions of a level, 0.01 of 0.99: without the noise of 1 - 0.99 in doubles."""
    return round(1.0 - level, 12)


def hits(losses: ArrayLike, margins: ArrayLike) -> Hits:
    """(T,) whether each loss is above its margin; both positive fractions of price."""
    return np.asarray(losses, np.float64) > np.asarray(margins, np.float64)


def kupiec(observations: int, exceptions: int, probability: float) -> Significance:
    """Proportion of failures: is the frequency of exceptions the promised one? chi2(1).

    LR = -2 ln[((1-p)^(T-x) p^x) / ((1-x/T)^(T-x) (x/T)^x)].
    Source: P. Kupiec, "Techniques for verifying the accuracy of risk measurement models", J. of Derivatives 3 (1995).
    """
    if observations <= 0:
        return Significance(math.nan, math.nan)
    calm = observations - exceptions
    stated = _log_likelihood(calm, exceptions, probability)
    observed = _log_likelihood(calm, exceptions, exceptions / observations)
    return _chi_squared(2.0 * (observed - stated), 1)


def kupiec_region(observations: int, probability: float, test_level: float = 0.95) -> tuple[int, int]:
    """The fewest and the most exceptions that `kupiec` accepts at a test's confidence.

    The statistic falls to the promised count and rises from there, so the region has no holes. Where not even
    the count nearest to the promise is accepted, that count stands for both ends.
    """
    counts = np.arange(observations + 1)
    stated = xlogy(counts, probability) + xlogy(observations - counts, 1.0 - probability)
    share = counts / observations
    observed = xlogy(counts, share) + xlogy(observations - counts, 1.0 - share)
    accepted = np.flatnonzero(2.0 * (observed - stated) <= chi2.ppf(test_level, 1))
    if not len(accepted):
        nearest = round(observations * probability)
        return nearest, nearest
    return int(accepted[0]), int(accepted[-1])


def time_until_first_failure(first_failure: int | None, probability: float) -> Significance:
    """TUFF: is the day of the first exception, counted from 1, a likely one? chi2(1); NaN where there was none.

    LR = -2 ln[p (1-p)^(n-1)] + 2 ln[(1/n) (1-1/n)^(n-1)]. Source: Kupiec (1995), as above.
    """
    if first_failure is None or first_failure < 1:
        return Significance(math.nan, math.nan)
    stated = _log_likelihood(first_failure - 1, 1, probability)
    observed = _log_likelihood(first_failure - 1, 1, 1.0 / first_failure)
    return _chi_squared(2.0 * (observed - stated), 1)


def first_failure(hit: Hits) -> int | None:
    """The day of the first exception, counted from 1; None where there is none."""
    days = np.flatnonzero(hit)
    return int(days[0]) + 1 if len(days) else None


def transitions(hit: Hits) -> Transitions:
    """The T - 1 transitions between days of (T,) hits."""
    before, after = np.asarray(hit[:-1], np.bool_), np.asarray(hit[1:], np.bool_)
    return Transitions(
        int((~before & ~after).sum()), int((~before & after).sum()),
        int((before & ~after).sum()), int((before & after).sum()),
    )  # fmt: skip


def independence(counts: Transitions) -> Significance:
    """Is an exception as likely after an exception as after a calm day? chi2(1).

    Source: P. Christoffersen, "Evaluating interval forecasts", International Economic Review 39 (1998).
    """
    n00, n01, n10, n11 = counts
    if n00 + n01 + n10 + n11 <= 0:
        return Significance(math.nan, math.nan)
    alike = _log_likelihood(n00 + n10, n01 + n11, _share(n01 + n11, n00 + n10))
    apart = _log_likelihood(n00, n01, _share(n01, n00)) + _log_likelihood(n10, n11, _share(n11, n10))
    return _chi_squared(2.0 * (apart - alike), 1)


def conditional_coverage(observations: int, exceptions: int, probability: float, counts: Transitions) -> Significance:
    """The promised frequency and independence at once: the sum of both statistics, chi2(2). Christoffersen (1998)."""
    frequency, order = kupiec(observations, exceptions, probability), independence(counts)
    return _chi_squared(frequency.statistic + order.statistic, 2)


def dynamic_quantile(hit: Hits, margins: ArrayLike, probability: float, lags: int = DQ_LAGS) -> Significance:
    """DQ: can exceptions be told from earlier exceptions or from the margin itself? chi2(lags + 2).

    Regresses h_t - p on a constant, `lags` of itself and the margin: b'X'X b / (p (1-p)). Regressors that say
    the same (a margin that never changes) count once. hit, margins: shape (T,); NaN where T is too small.
    Source: R. Engle and S. Manganelli, "CAViaR", J. of Business & Economic Statistics 22 (2004).
    """
    surprise = np.asarray(hit, np.float64) - probability
    size = len(surprise) - lags
    if size <= lags + 2:
        return Significance(math.nan, math.nan)
    margin = np.asarray(margins, np.float64)[lags:]
    lagged = [surprise[lags - lag : len(surprise) - lag] for lag in range(1, lags + 1)]
    columns = np.column_stack([np.ones(size), *lagged, margin])
    coefficients, _, rank, _ = np.linalg.lstsq(columns, surprise[lags:], rcond=1e-10)
    fitted = columns @ coefficients
    return _chi_squared(float(fitted @ fitted) / (probability * (1.0 - probability)), int(rank))


def _log_likelihood(calm: float, exceptional: float, probability: float) -> float:
    return float(xlogy(calm, 1.0 - probability) + xlogy(exceptional, probability))


def _share(part: int, rest: int) -> float:
    return part / (part + rest) if part + rest else 0.0


def _chi_squared(statistic: float, degrees: int) -> Significance:
    """What cancels below zero in doubles is zero."""
    at_least = max(statistic, 0.0) if not math.isnan(statistic) else statistic
    return Significance(at_least, float(chi2.sf(at_least, degrees)))
