"""HAR: log range variance regressed on its means of an hour, four hours, a day and a week, and on the hour of day.

Corsi (2009) at hourly steps. Least squares over all the past, fitted anew at each refit; the normal equations
are running sums, so a history of years is fitted again in microseconds.
"""

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

RIDGE = 1e-8
"""Added to the normalised diagonal: keeps a constant column (an hour that never came) from breaking the solve."""


def design(log_means: F64, hour_of_day: I64 | None = None) -> F64:
    """(T, 1 + K [+ 23]) regressors: a constant, the K log means, dummies of hours 1 to 23 where wanted."""
    columns = [np.ones((len(log_means), 1)), log_means]
    if hour_of_day is not None:
        columns.append((hour_of_day[:, None] == np.arange(1, 24)).astype(np.float64))
    return np.hstack(columns)


def forecasts(X: F64, y: F64, refits: I64, purge: int) -> F64:
    """(T,) forecast of y, each by coefficients of rows that ended `purge` rows before its refit.

    X: (T, K) known before row t. y: (T,) known after row t. refits: ascending rows from which new coefficients
    hold. Rows with a NaN are neither learnt from nor forecast; nothing is forecast before the first refit.
    """
    out = np.full(len(y), np.nan)
    known = np.asarray(np.isfinite(X).all(axis=1))
    usable = known & np.isfinite(y)
    gram, moment = np.zeros((X.shape[1], X.shape[1])), np.zeros(X.shape[1])
    learnt = 0
    for start, stop in zip(refits, np.append(refits[1:], len(y)), strict=True):
        fresh = np.flatnonzero(usable[learnt : max(learnt, start - purge)]) + learnt
        # Sums in the order of rows: the threads of a BLAS add up in another one, and small products wait for them.
        gram += np.einsum("ti,tj->ij", X[fresh], X[fresh])
        moment += np.einsum("ti,t->i", X[fresh], y[fresh])
        learnt = max(learnt, start - purge)
        rows = np.flatnonzero(known[start:stop]) + start
        if gram[0, 0] > X.shape[1]:
            scale = np.eye(len(moment)) * RIDGE * gram[0, 0]
            out[rows] = np.einsum("ti,i->t", X[rows], np.linalg.solve(gram + scale, moment))
    return out
