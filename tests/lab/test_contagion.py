"""Clearing and DebtRank: the three algorithms agree, and what must hold of any network holds."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from solvent.errors import SolventError
from solvent.lab.contagion import (
    Network,
    clear,
    clear_by_iteration,
    clear_by_linear_programme,
    debtrank,
    debtrank_closed_form,
    is_stable,
    leverage,
    network,
    spectral_radius,
)

F64 = NDArray[np.float64]


def random_network(n: int, seed: int, rich: float, density: float = 0.5) -> Network:
    chance = np.random.default_rng(seed)
    owed = chance.exponential(size=(n, n)) * (chance.random((n, n)) < density)
    np.fill_diagonal(owed, 0)
    return network(owed, chance.exponential(size=n) * rich, chance.exponential(size=n))


networks = st.builds(
    random_network,
    n=st.integers(1, 12),
    seed=st.integers(0, 2**32),
    rich=st.sampled_from([0.0, 0.2, 1.0, 3.0]),
    density=st.sampled_from([0.1, 0.5, 1.0]),
)
recoveries = st.sampled_from([0.0, 0.3, 0.7, 1.0])


@settings(max_examples=40)
@given(networks)
def test_fictitious_default_iteration_and_programme_find_the_same_payments(net: Network) -> None:
    exact = clear(net)
    scale = max(1.0, float(net.obligations.max()))
    for other in (clear_by_iteration(net), clear_by_linear_programme(net)):
        assert np.abs(exact.payments - other.payments).max() <= 1e-9 * scale
    assert (exact.defaulted == clear_by_iteration(net).defaulted).all()
    assert exact.rounds <= len(net.obligations) + 1


@given(networks, recoveries, recoveries)
def test_what_is_paid_solves_the_equations_and_is_never_more_than_owed(net: Network, alpha: float, beta: float) -> None:
    found = clear(net, alpha, beta)
    received = found.payments @ net.relative
    able = net.external_assets + received
    assert (found.payments <= net.obligations + 1e-12).all()
    assert (found.payments >= 0).all()
    assert found.payments[~found.defaulted] == pytest.approx(net.obligations[~found.defaulted])
    expected = (alpha * net.external_assets + beta * received)[found.defaulted]
    assert found.payments[found.defaulted] == pytest.approx(expected, abs=1e-9)
    assert (able[found.defaulted] < net.obligations[found.defaulted]).all()
    assert (able[~found.defaulted] >= net.obligations[~found.defaulted] * (1 - 1e-9)).all()


@given(networks, st.integers(0, 11), st.floats(0, 5))
def test_more_assets_never_make_anybody_pay_less(net: Network, which: int, gift: float) -> None:
    assets = net.external_assets.copy()
    assets[which % len(assets)] += gift
    richer = clear(net._replace(external_assets=assets))
    poorer = clear(net)
    assert (richer.payments >= poorer.payments - 1e-9).all()
    assert (richer.equity >= poorer.equity - 1e-9).all()
    assert not (richer.defaulted & ~poorer.defaulted).any()


@given(networks, recoveries, recoveries)
def test_costs_of_default_never_raise_payments(net: Network, alpha: float, beta: float) -> None:
    costly, free = clear(net, alpha, beta), clear(net)
    assert (costly.payments <= free.payments + 1e-9).all()
    assert not (free.defaulted & ~costly.defaulted).any()


@given(networks)
def test_creditors_are_paid_pro_rata_and_nothing_is_made_or_lost(net: Network) -> None:
    found = clear(net)
    shares = found.payments[:, None] * net.relative
    owing = net.liabilities > 0
    part = np.where(net.obligations > 0, found.payments / np.where(net.obligations > 0, net.obligations, 1.0), 1.0)
    assert (shares / np.where(owing, net.liabilities, 1.0))[owing] == pytest.approx(
        np.broadcast_to(part[:, None], owing.shape)[owing]
    )
    outside = float((found.payments * (1 - net.relative.sum(axis=1))).sum())
    assert found.equity.sum() + outside == pytest.approx(net.external_assets.sum(), abs=1e-9)


def test_two_by_hand_and_a_ring_without_assets() -> None:
    found = clear(network([[0, 10], [0, 0]], [6, 0], [0, 4]))
    assert found.payments.tolist() == [6, 4]
    assert found.equity.tolist() == [0, 2]
    ring = clear(network([[0, 5, 0], [0, 0, 5], [5, 0, 0]], [0, 0, 0]))
    assert ring.payments.tolist() == [5, 5, 5]
    assert not ring.defaulted.any()


def test_without_costs_of_default_the_wrong_recovery_is_seen() -> None:
    """A control: the check of equations tells recoveries apart."""
    net = random_network(8, 3, 0.2)
    found = clear(net, 0.5, 0.5)
    wrong = net.external_assets + found.payments @ net.relative
    assert found.defaulted.any()
    assert np.abs(found.payments - wrong)[found.defaulted].max() > 1e-3


@pytest.mark.parametrize(("alpha", "rich"), [(1.0, 0.3), (1.0, 3.0), (0.5, 6.0)])
def test_a_thousand_institutions_take_less_than_a_second(alpha: float, rich: float) -> None:
    net = random_network(1_000, 1, rich, density=0.02)
    clear(random_network(10, 1, 1.0))
    took = []
    for _ in range(3):
        start = time.process_time()  # of all threads; what else the machine does is not counted
        found = clear(net, alpha, alpha)
        took.append(time.process_time() - start)
    assert found.defaulted.any()
    assert min(took) < 1.0


@pytest.mark.parametrize(
    ("owed", "assets", "outside", "field"),
    [
        ([[0, 1], [1, 0]], [1, 2, 3], None, "liabilities"),
        ([[0, -1], [1, 0]], [1, 2], None, "liabilities"),
        ([[1, 0], [1, 0]], [1, 2], None, "liabilities"),
        ([[0, 1], [1, 0]], [1, math.nan], None, "external_assets"),
        ([[0, 1], [1, 0]], [1, 2], [0, -1], "external_liabilities"),
    ],
)
def test_networks_that_are_none_are_refused(owed: object, assets: object, outside: object, field: str) -> None:
    with pytest.raises(SolventError) as refused:
        network(owed, assets, outside)  # type: ignore[arg-type]
    assert field in {each.field for each in refused.value.problems}


def test_a_recovery_above_one_is_refused() -> None:
    with pytest.raises(SolventError, match="beta"):
        clear(random_network(3, 1, 1.0), beta=1.1)


def leverages(n: int, seed: int, radius: float) -> F64:
    chance = np.random.default_rng(seed)
    matrix = chance.exponential(size=(n, n)) * (chance.random((n, n)) < 0.5)
    np.fill_diagonal(matrix, 0)
    return matrix * (radius / max(spectral_radius(matrix), 1e-9))


@given(st.integers(2, 12), st.integers(0, 2**32), st.sampled_from([0.1, 0.6, 0.95, 0.999]))
def test_small_losses_reach_the_closed_form(n: int, seed: int, radius: float) -> None:
    matrix = leverages(n, seed, radius)
    initial = np.random.default_rng(seed).random(n)
    target = debtrank_closed_form(matrix, initial)
    initial *= 0.9 / max(float(target.max()), 1.0)  # so that nobody fails
    assert np.abs(debtrank(matrix, initial).loss - debtrank_closed_form(matrix, initial)).max() <= 1e-12


@given(st.integers(1, 10), st.integers(0, 2**32), st.sampled_from([0.2, 0.9, 1.0, 1.5, 4.0]))
def test_losses_stay_in_bounds_grow_with_the_shock_and_solve_their_equation(n: int, seed: int, radius: float) -> None:
    matrix = leverages(n, seed, radius)
    initial = np.random.default_rng(seed).random(n) * 0.3
    loss = debtrank(matrix, initial).loss
    assert ((loss >= np.minimum(initial, 1.0) - 1e-12) & (loss <= 1.0)).all()
    assert loss == pytest.approx(np.minimum(1.0, initial + matrix @ loss), abs=1e-9)
    assert (debtrank(matrix, initial * 1.5).loss >= loss - 1e-9).all()


def test_the_stable_and_the_alarming_are_told_apart() -> None:
    for seed in range(20):
        assert is_stable(leverages(8, seed, 0.99))
        assert not is_stable(leverages(8, seed, 1.01))
    with pytest.raises(SolventError, match="spectral radius"):
        debtrank_closed_form(leverages(5, 1, 1.2), np.zeros(5))


def test_the_largest_eigenvalue_of_many_is_that_of_all() -> None:
    matrix = leverages(250, 1, 0.8)
    assert spectral_radius(matrix) == pytest.approx(0.8, rel=1e-9)
    assert spectral_radius(np.zeros((0, 0))) == 0.0


def test_leverage_is_exposure_over_equity_and_nothing_for_the_failed() -> None:
    net = network([[0, 4], [2, 0]], [5, 1])
    assert net.equity.tolist() == [3, 3]
    assert leverage(net) == pytest.approx(np.array([[0, 2 / 3], [4 / 3, 0]]))
    assert leverage(network([[0, 4], [2, 0]], [0, 1]))[0].tolist() == [0, 0]
