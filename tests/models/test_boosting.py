"""Boosting: the same text from the same data, loaded by its hash alone, learning from the past alone."""

import numpy as np
import pytest

from solvent.errors import SolventError
from solvent.models import boosting

pytest.importorskip("lightgbm", reason="needs the extra `models`")


@pytest.fixture(scope="module")
def learnt() -> tuple[np.ndarray, np.ndarray, str]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2_500, 3))
    y = np.sign(X[:, 0]) + 0.1 * rng.normal(size=2_500)
    return X, y, boosting.fit(X, y)


def test_it_learns_and_is_the_same_every_time(learnt: tuple[np.ndarray, np.ndarray, str]) -> None:
    X, y, text = learnt
    assert np.corrcoef(boosting.predict(text, X), y)[0, 1] > 0.95
    assert boosting.fit(X, y) == text
    assert text.startswith("tree\n"), "LightGBM's own text"


def test_a_model_is_loaded_by_its_hash_alone(learnt: tuple[np.ndarray, np.ndarray, str]) -> None:
    text = learnt[2]
    name = boosting.digest(text)
    assert boosting.loaded(text, name, "model.txt") == text
    with pytest.raises(SolventError, match=r"model\.txt: blake2b .* the model that the policy names"):
        boosting.loaded(text.replace("leaf_value=", "leaf_value=9", 1), name, "model.txt")


def test_a_model_of_other_features_is_refused(learnt: tuple[np.ndarray, np.ndarray, str]) -> None:
    X, y, _ = learnt
    text = boosting.fit(X, y, ["a", "b", "c"])
    assert boosting.loaded(text, boosting.digest(text), "model.txt", ["a", "b", "c"]) == text
    with pytest.raises(SolventError, match="features = a, b, c: the frozen list: a, b, d"):
        boosting.loaded(text, boosting.digest(text), "model.txt", ["a", "b", "d"])


def test_what_is_no_model_is_refused_even_under_its_own_hash() -> None:
    with pytest.raises(SolventError, match="the text of a LightGBM model"):
        boosting.loaded("no model", boosting.digest("no model"), "model.txt")


def test_rows_after_a_refit_change_nothing_before_the_next() -> None:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(2_600, 2))
    y = X[:, 0] + rng.normal(0.0, 0.1, 2_600)
    refits = np.array([1_500, 2_100])
    first, texts = boosting.forecasts(X, y, refits, purge=1)
    other = y.copy()
    other[2_099:] = -50.0
    second, _ = boosting.forecasts(X, other, refits, purge=1)
    np.testing.assert_array_equal(first, second)
    assert sorted(texts) == [1_500, 2_100]
    assert np.isnan(first[:1_500]).all()
    assert np.isfinite(first[1_500:]).all()
