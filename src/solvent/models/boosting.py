"""Gradient boosting of log range variance: LightGBM on one thread with a fixed seed, saved as text under a hash.

A model file is LightGBM's own text, named by its BLAKE2b; it is never pickled, and text whose hash is not the one
that a policy names is not loaded.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvent.errors import SolventError, problem

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

ROUNDS = 200
PARAMETERS: dict[str, Any] = {
    "objective": "regression",
    "num_leaves": 15,
    "learning_rate": 0.05,
    "min_data_in_leaf": 100,
    "lambda_l2": 5.0,
    "max_bin": 127,
    "num_threads": 1,
    "deterministic": True,
    "force_col_wise": True,
    "seed": 0,
    "verbosity": -1,
}
ROWS_LEAST = 1_000
"""Fewer rows are not learnt from: with leaves of 100 that would be a table of a few means."""


def fit(X: F64, y: F64, names: Sequence[str] | None = None) -> str:
    """LightGBM's text of a model of y (N,) on X (N, K); the same input gives the same text on a machine.

    names: of the K features, kept in the text.
    """
    import lightgbm

    data = lightgbm.Dataset(X, y, feature_name=list(names) if names else "auto", params=PARAMETERS)
    text: str = lightgbm.train(PARAMETERS, data, num_boost_round=ROUNDS).model_to_string()
    return text


def predict(text: str, X: F64) -> F64:
    """(N,) predictions of a model text."""
    import lightgbm

    return np.asarray(lightgbm.Booster(model_str=text).predict(X, num_threads=1), dtype=np.float64)


def digest(text: str) -> str:
    """BLAKE2b (32 bytes, hexadecimal) of a model text: the name by which a policy knows it."""
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


def loaded(text: str, expected: str, file: str, names: Sequence[str] | None = None) -> str:
    """The text, if it is the one expected and LightGBM reads it. Raises SolventError, naming the file.

    expected: the hash that a policy names. names: of the features that it must have been learnt from.
    """
    import lightgbm

    found = digest(text)
    if found != expected.lower():
        raise SolventError(problem(file, None, "blake2b", found, f"the model that the policy names, {expected}"))
    try:
        features = lightgbm.Booster(model_str=text).feature_name()
    except lightgbm.basic.LightGBMError as error:
        raise SolventError(problem(file, None, "model", str(error), "the text of a LightGBM model")) from None
    if names is not None and features != list(names):
        raise SolventError(problem(file, None, "features", ", ".join(features), f"the frozen list: {', '.join(names)}"))
    return text


def forecasts(X: F64, y: F64, refits: I64, purge: int) -> tuple[F64, dict[int, str]]:
    """(T,) forecast of y, and the model text of every refit: each learns from rows that ended `purge` before it.

    X: (T, K) known before row t; a row with a NaN is neither learnt from nor forecast. y: (T,) known after row t.
    """
    out = np.full(len(y), np.nan)
    known = np.asarray(np.isfinite(X).all(axis=1))
    usable = np.flatnonzero(known & np.isfinite(y))
    texts: dict[int, str] = {}
    for start, stop in zip(refits.tolist(), [*refits[1:].tolist(), len(y)], strict=True):
        past = usable[usable < start - purge]
        rows = np.flatnonzero(known[start:stop]) + start
        if len(past) < ROWS_LEAST or not len(rows):
            continue
        texts[start] = fit(X[past], y[past])
        out[rows] = predict(texts[start], X[rows])
    return out, texts
