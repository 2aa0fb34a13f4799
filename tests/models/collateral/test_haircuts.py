"""Haircuts: their formula, their floors, Basel's numbers, and how they may move."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.models.collateral.basel import comprehensive_exposure, remargined_haircut, scaled_haircut
from solvent.models.collateral.haircuts import looked_through, maintenance_haircut, market_haircut
from solvent.models.collateral.hysteresis import Steps, haircut_path
from solvent.models.collateral.tail import LEAST_DAYS, downside_tail
from solvent.models.collateral.weights import size_tiers, sized_haircut
from solvent.models.collateral.wrong_way import issuer_weight, joint_haircut, wrong_way_haircut
from solvent.valuation.collateral import check_haircuts, weighted_value_usd

FRACTIONS = st.floats(0.0, 1.0)


def test_the_formula_by_hand() -> None:
    assert float(market_haircut(0.1, 4.0, 0.02, 0.01)) == pytest.approx(1 - np.exp(-0.2) * (1 - 0.01 - 0.01))
    assert float(market_haircut(0.1, 1.0, multiplier=1.6)) == pytest.approx(1 - np.exp(-0.16))
    assert float(market_haircut(0.0, 1.0)) == 0.0


@given(st.floats(0, 2), st.floats(0, 30), FRACTIONS, FRACTIONS, st.floats(0, 1))
def test_a_haircut_is_a_fraction_that_rises_with_each_risk(
    quantile: float, days: float, spread: float, impact: float, more: float
) -> None:
    base = float(market_haircut(quantile, days, spread, impact))
    assert 0.0 <= base <= 1.0
    worse = [(quantile + more, days, spread, impact), (quantile, days + more, spread, impact),
             (quantile, days, spread + more, impact), (quantile, days, spread, impact + more)]  # fmt: skip
    assert all(float(market_haircut(*each)) >= base - 1e-12 for each in worse)


def test_claims_and_maintenance() -> None:
    assert looked_through([0.1, 0.3], [0.2, 0.2]).tolist() == [0.2, 0.3]
    assert maintenance_haircut(0.2, 0.01, 0.02, 0.0) == pytest.approx(0.16)
    assert maintenance_haircut(0.02, 0.05, 0.01, 0.0) == 0.02


def test_regulators_haircuts_to_their_printed_digits() -> None:
    """Article 224 prints 15 % at ten days as 21.213 % at twenty and 10.607 % at five."""
    assert scaled_haircut(15.0, 10, [20, 5]) == pytest.approx([21.213, 10.607], abs=6e-4)
    assert float(remargined_haircut(15.0, 1, 10)) == 15.0
    assert float(remargined_haircut(15.0, 11, 10)) == pytest.approx(15 * np.sqrt(2))
    assert float(comprehensive_exposure(100, 120, 0, 0.15, 0.08)) == pytest.approx(7.6)
    assert float(comprehensive_exposure(100, 200, 0, 0.15, 0.08)) == 0.0


def test_the_tail_uses_nothing_of_its_own_day_or_later() -> None:
    returns = np.random.default_rng(1).standard_t(4, 1500) * 0.03
    whole = downside_tail(returns, 0.99, 600)
    assert len(whole.quantile) == 601
    for cut in (1000, 1400):
        altered = np.append(returns[:cut], -returns[cut:] * 5)
        same = downside_tail(altered, 0.99, 600).quantile[: cut - 900 + 1]
        assert np.array_equal(same, whole.quantile[: cut - 900 + 1])
    assert not np.array_equal(downside_tail(-returns, 0.99, 600).quantile, whole.quantile), "the control"
    assert np.array_equal(downside_tail(returns[:1400], 0.99, 0).quantile, whole.quantile[500:501])


def test_the_tail_covers_and_a_short_history_gives_none() -> None:
    returns = np.random.default_rng(2).normal(0, 0.03, 3000)
    tail = downside_tail(returns, 0.99, 1000)
    exceptions = (-returns[-1000:] > tail.quantile[:-1]).mean()
    assert exceptions <= 0.02
    assert len(downside_tail(returns[: LEAST_DAYS - 1], 0.99, 10).sigma) == 0
    assert len(downside_tail([], 0.99, 10).sigma) == 0


@given(st.lists(FRACTIONS, min_size=1, max_size=60), st.lists(FRACTIONS, min_size=60, max_size=60))
def test_steps_are_bounded_whatever_the_target(target: list[float], falls: list[float]) -> None:
    steps = Steps()
    path = haircut_path(target, falls[: len(target)], steps)
    change = np.diff(path.haircut)
    assert np.all((path.haircut >= 0) & (path.haircut <= 1))
    assert np.all(path.existing <= path.haircut + 1e-12)
    assert np.all(np.diff(path.existing) <= steps.ramp_most + 1e-12)
    assert np.all(change >= -steps.lower_most - 1e-12)
    for day, rise in enumerate(change, start=1):
        if rise > steps.raise_most + 1e-12:
            assert path.reasons[day].startswith("breach")
            assert falls[day] > path.haircut[day - 1]
    lowered = np.flatnonzero(change < 0)
    assert np.all(np.diff(lowered) >= steps.lower_every_days)


def test_a_haircut_is_raised_in_steps_and_lowered_after_a_wait() -> None:
    path = haircut_path([0.10, 0.22, 0.22, 0.22, 0.22, *[0.10] * 30])
    assert path.haircut[:5] == pytest.approx([0.10, 0.15, 0.20, 0.22, 0.22])
    assert path.existing[:5] == pytest.approx([0.10, 0.10, 0.15, 0.20, 0.22])
    assert path.haircut[13] == pytest.approx(0.22)
    assert path.haircut[14:22] == pytest.approx([0.21] * 7 + [0.20])
    assert path.reasons[14] == "lowered 1.0 points after 10 days below"


def test_inside_the_band_nothing_moves_and_a_breach_moves_at_once() -> None:
    assert set(haircut_path([0.10, 0.109, 0.071, 0.105] * 20).haircut.tolist()) == {0.10}
    calm = haircut_path([0.02, 0.18])
    breach = haircut_path([0.02, 0.18], [0.0, 0.12])
    assert calm.haircut[1] == pytest.approx(0.07)
    assert breach.haircut[1] == 0.18
    assert breach.existing[1] == 0.02
    assert haircut_path([]).reasons == ()


@given(st.floats(0.01, 0.3), st.floats(0.005, 0.1), st.floats(1, 10), st.floats(1e6, 1e11), st.floats(0.05, 3))
def test_size_tiers_are_convex_and_charge_at_their_edges_what_the_whole_needs(
    quantile: float, sigma: float, days: float, volume: float, cap_share: float
) -> None:
    haircut = sized_haircut(quantile, sigma, days, 0.001, volume)
    tiers = size_tiers(haircut, volume, cap_share * volume)
    edges, base = (*tiers.edges_usd, cap_share * volume), float(haircut(np.array([tiers.edges_usd[0]]))[0])
    rates = [min(1.0, base + add) for add in (0.0, *tiers.add)]
    assert check_haircuts(edges, rates) == []
    sizes = np.array(edges)
    worth = weighted_value_usd(sizes, edges, rates)
    assert np.all(worth <= sizes * (1 - haircut(sizes)) + 1e-6 * sizes)


def test_without_room_for_tiers_there_are_none() -> None:
    haircut = sized_haircut(0.1, 0.03, 1.0, 0.001, 1e9)
    assert size_tiers(haircut, 1e9, 1e6) == ((), ())
    assert size_tiers(haircut, 0.0, 0.0) == ((), ())
    assert size_tiers(haircut, float("nan"), 0.0) == ((), ())


def draws(rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Losses and collateral returns with a correlation of rho between loss and fall, 4 degrees of freedom."""
    draw = np.random.default_rng(5)
    normal = draw.multivariate_normal([0, 0], [[1, rho], [rho, 1]], 200_000)
    t = normal * np.sqrt(4 / draw.chisquare(4, 200_000))[:, None]
    return 0.03 * t[:, 0], np.expm1(-0.02 * t[:, 1])


def test_joint_haircuts_cover_jointly_and_rise_with_correlation() -> None:
    found = []
    for rho in (-0.5, 0.0, 0.5, 0.95):
        losses, returns = draws(rho)
        haircut = joint_haircut(losses, returns)
        cover = np.quantile(losses, 0.99) / (1 - haircut) * (1 + returns)
        assert (losses > cover).mean() <= 0.0101
        found.append(haircut)
    assert found == sorted(found)
    assert found[1] < 0.02 < found[3]


def test_wrong_way_at_its_ends() -> None:
    assert wrong_way_haircut(0.1, -0.5, 0.3) == pytest.approx(0.1)
    assert wrong_way_haircut(0.1, 1.0, 0.3) == pytest.approx(1 - 0.9 * 0.7)
    assert joint_haircut([-1.0, -2.0], [0.0, 0.0]) == 0.0
    assert joint_haircut([1.0, 1.0], [-1.0, -1.0]) == 1.0
    assert issuer_weight(0.9, frozenset({"FTX"}), "FTX") == 0.0
    assert issuer_weight(0.9, frozenset({"FTX"}), "Circle") == 0.9
