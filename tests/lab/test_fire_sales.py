"""Fire sales: the matrix formula, its bounds, and an equilibrium by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvent.errors import SolventError
from solvent.lab.contagion import clear, network
from solvent.lab.fire_sales import fire_sale_equilibrium, vulnerability


def test_one_round_is_the_formula_of_the_paper() -> None:
    """AV = 1'A M L M' B A M F / E with plain matrix products, where nobody runs out of assets."""
    A, M = np.diag([100.0, 50.0, 80.0]), np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]])
    B, L, F = np.diag([3.0, 2.0, 4.0]), np.diag([1e-3, 2e-3]), np.array([-0.05, -0.01])
    equity = float((np.diag(A) / (1 + np.diag(B))).sum())
    wanted = -(np.ones(3) @ A @ M @ L @ M.T @ B @ A @ M @ F) / equity
    found = vulnerability(np.diag(A), M, np.diag(B), np.diag(L), F)
    assert found.aggregate == pytest.approx(wanted, rel=1e-12)
    assert found.sales_usd == pytest.approx(-(B @ A @ M @ F), rel=1e-12)
    assert found.second_loss_usd.sum() == pytest.approx(wanted * equity, rel=1e-12)


def test_cash_is_not_sold_twice_and_nothing_more_than_there_is() -> None:
    found = vulnerability([100.0], [[0.4]], [50.0], [1e-3], [-0.5])
    assert found.sales_usd.tolist() == [20.0]
    assert found.price_move.tolist() == [pytest.approx(-0.02)]


@given(st.floats(0, 1), st.floats(0, 20))
def test_more_leverage_and_a_deeper_shock_cost_more_until_nothing_is_left(depth: float, leverage: float) -> None:
    def cost(depth: float, leverage: float) -> float:
        return float(vulnerability([100.0, 60.0], [[1.0], [0.5]], [leverage, 1.0], [1e-4], [-depth]).price_move[0])

    assert cost(depth, leverage) <= cost(depth, leverage / 2) <= 0
    left = 130 * (1 - depth)
    assert cost(depth, leverage) >= -1e-4 * left - 1e-12
    assert cost(-depth, leverage) == 0  # a gain sells nothing


def test_one_seller_by_hand() -> None:
    """Owes 80, holds 100 units: at price p it must keep p x kept <= (100 p - 80) / r, and p = exp(-a sold)."""
    net = network([[0.0]], [0.0], [80.0])
    found = fire_sale_equilibrium(net, [100.0], 0.25, 1e-3)
    kept = (100 * found.price - 80) / 0.25 / found.price
    assert found.sold[0] == pytest.approx(100 - kept, rel=1e-9)
    assert found.price == pytest.approx(math.exp(-1e-3 * found.sold[0]), rel=1e-9)
    assert not found.defaulted.any()


def test_a_sale_can_bring_down_another_who_holds_the_same() -> None:
    net = network([[0.0, 0.0], [0.0, 0.0]], [0.0, 0.0], [79.0, 90.0])
    calm = fire_sale_equilibrium(net, [80.0, 100.0], 0.01, 0.0)
    crowded = fire_sale_equilibrium(net, [80.0, 100.0], 0.1, 2e-3)
    assert calm.price == 1.0
    assert calm.sold.tolist() == [0.0, 0.0]
    assert crowded.price < 1
    assert crowded.defaulted.all()


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.floats(0, 0.01))
def test_the_price_falls_with_impact_and_payments_with_it(seed: int, impact: float) -> None:
    chance = np.random.default_rng(seed)
    owed = chance.exponential(size=(5, 5)) * (1 - np.eye(5))
    net = network(owed, chance.exponential(size=5), chance.exponential(size=5) * 3)
    units = chance.exponential(size=5) * 5
    mild, hard = (fire_sale_equilibrium(net, units, 0.1, x) for x in (impact, 2 * impact))
    assert 0 < hard.price <= mild.price <= 1
    assert (hard.payments <= mild.payments + 1e-9).all()
    priced = net._replace(external_assets=net.external_assets + mild.price * units)
    assert mild.payments == pytest.approx(clear(priced).payments, abs=1e-9)


def test_what_cannot_be_is_refused_all_at_once() -> None:
    with pytest.raises(SolventError) as refused:
        vulnerability([-1.0], [[1.0]], [1.0, 2.0], [1.0], [-2.0])
    assert {each.field for each in refused.value.problems} == {"assets", "leverage", "shock"}
    with pytest.raises(SolventError) as ratios:
        fire_sale_equilibrium(network([[0.0]], [1.0]), [1.0], 0.0, -1.0)
    assert len(ratios.value.problems) == 2
