"""Groups that offset: the lowest correlation of every pair, and what complete linkage makes of it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from solvent.models.offsets import lowest_correlations, offset_groups


def test_the_lowest_window_counts() -> None:
    rng = np.random.default_rng(5)
    common = rng.normal(size=500)
    other = np.where(np.arange(500) < 250, rng.normal(size=500), common)
    found = lowest_correlations(np.array([common, other]), window=250, step=250)
    assert found[0, 1] == np.corrcoef(common[:250], other[:250])[0, 1]
    assert abs(found[0, 1]) < 0.2 < 0.4 < np.corrcoef(common, other)[0, 1], "all days together would hide it"


def test_without_a_common_window_there_is_no_correlation() -> None:
    rng = np.random.default_rng(6)
    returns = np.full((3, 400), np.nan)
    returns[0, :300], returns[1, 200:], returns[2] = rng.normal(size=300), rng.normal(size=200), rng.normal(size=400)
    found = lowest_correlations(returns, window=150, step=1)
    assert found[0, 1] == -1.0
    assert found[0, 2] > -1.0
    still = np.vstack([returns[2], np.zeros(400)])
    assert lowest_correlations(still, window=150)[0, 1] == -1.0, "a price that stands still has none"


def test_the_closest_are_grouped_first() -> None:
    lowest = np.array([[1.0, 0.9, 0.7], [0.9, 1.0, 0.5], [0.7, 0.5, 1.0]])
    (group,) = offset_groups(("BTC", "WBTC", "SOL"), lowest, least=0.6)
    assert group.assets == ("BTC", "WBTC")
    assert group.correlation == 0.9
    (wider,) = offset_groups(("BTC", "WBTC", "SOL"), lowest, least=0.4)
    assert wider.assets == ("BTC", "WBTC", "SOL")
    assert wider.correlation == 0.5
    assert offset_groups(("BTC", "WBTC", "SOL"), lowest, least=0.95) == ()


@given(st.integers(0, 10**6), st.integers(1, 9), st.floats(0.0, 0.9))
def test_groups_are_disjoint_and_every_pair_is_close(seed: int, count: int, least: float) -> None:
    drawn = np.random.default_rng(seed).uniform(-1.0, 1.0, (count, count))
    lowest = np.maximum(drawn, drawn.T)
    names = [f"A{i}" for i in range(count)]
    groups = offset_groups(names, lowest, least)
    grouped = [asset for group in groups for asset in group.assets]
    assert len(grouped) == len(set(grouped))
    for group in groups:
        places = [names.index(asset) for asset in group.assets]
        pairs = [lowest[a, b] for a in places for b in places if a != b]
        assert min(pairs) >= least
        assert group.correlation <= min(pairs)
