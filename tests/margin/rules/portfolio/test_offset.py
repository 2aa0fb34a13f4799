"""φ J + (1 - φ) Sep bounds sqrt(x'Cx) for every C whose opposite-sign pairs correlate by at least ρ."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.margin.rules.portfolio.worlds import UNIVERSE, WORLDS, World, book_of, market, policy

from solvent.margin.rules.portfolio.params import PortfolioParams

F64 = NDArray[np.float64]
PARAMS = PortfolioParams(correlation_haircut=0.0)


def bound(x: F64, phi: float) -> float:
    """Scan of linear risks x (each asset's own worst loss, signed): all move together, or each against us."""
    return phi * abs(float(x.sum())) + (1 - phi) * float(np.abs(x).sum())


@st.composite
def correlated(draw: st.DrawFn) -> tuple[F64, F64, float]:
    """Risks, a correlation matrix and the least correlation of its opposite-sign pairs, at least 0."""
    size = draw(st.integers(2, 6))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(size, draw(st.integers(1, size)))) + draw(st.floats(0, 4))
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    matrix = factors @ factors.T
    x = rng.normal(size=size) * 10 ** rng.uniform(-2, 4, size)
    opposite = np.sign(x)[:, None] * np.sign(x) < 0
    rho = float(matrix[opposite].min(initial=1.0))
    if rho < 0:  # the rule takes no correlation below 0: mix with what moves alike until none is
        matrix = (matrix - rho) / (1 - rho)
        rho = 0.0
    return x, matrix, rho


@given(correlated())
def test_scan_bounds_the_quadratic_form(given_risks: tuple[F64, F64, float]) -> None:
    x, matrix, rho = given_risks
    spread = math.sqrt(max(0.0, float(x @ matrix @ x)))
    assert bound(x, PARAMS.offset_of(rho)) >= spread * (1 - 1e-9)


def test_control_more_offset_would_not_bound_it() -> None:
    """A long and an equal short at correlation ρ: the bound is met exactly, so nothing is left to give away."""
    x = np.array([1.0, -1.0])
    for rho in (0.0, 0.3, 0.5, 0.7):
        spread = math.sqrt(float(x @ np.array([[1, rho], [rho, 1]]) @ x))
        assert math.isclose(bound(x, PARAMS.offset_of(rho)), spread)
        assert bound(x, PARAMS.offset_of(rho) + 0.01) < spread


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_the_rule_scans_linear_risks_as_the_bound_says(btc_usd: float, eth_usd: float) -> None:
    world = LINEAR
    shared = world.prepared.shared
    perpetuals = [UNIVERSE.index(id) for id in ("BTC/USDC:USDC", "ETH/USDT:USDT")]
    lot = [shared.money.delta[i] / 1e42 for i in perpetuals]
    rows = {i: (round(usd / one), 0) for i, usd, one in zip(perpetuals, (btc_usd, eth_usd), lot, strict=True)}
    rows = {i: row for i, row in rows.items() if row[0]}
    x = np.array([rows.get(i, (0, 0))[0] * one * 0.2 for i, one in zip(perpetuals, lot, strict=True)])
    terms = world.prepared.explain(book_of(rows), 0).terms
    scan = sum(float(t.amount) for t in terms if (t.total, t.name) == ("initial_margin", "scan"))
    assert math.isclose(scan, bound(x, PARAMS.offset_of(0.5)), rel_tol=1e-7, abs_tol=1e-5)


LINEAR = World(
    market(),
    policy(scan_range={"BTC": 0.2, "ETH": 0.2}, groups=[{"assets": ["BTC", "ETH"], "correlation": 0.8}]),
)


def test_groups_of_what_is_not_listed_or_alone_offset_nothing() -> None:
    fixed = WORLDS[0].prepared.shared.fixed
    assert fixed.group_names[fixed.group[UNIVERSE.asset_index["BTC"]]] == "BTC+ETH"
    alone = World(market(), policy(groups=[{"assets": ["BTC", "SOL"], "correlation": 0.9}])).prepared.shared.fixed
    assert set(alone.offset_e9) == {0}
