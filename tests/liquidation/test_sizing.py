"""Sizing: the buffer is back, nothing cheaper does it, hedges stay where closing them raises margin."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from solvent.liquidation import sizing
from solvent.liquidation.sizing import METHODS, Requirement, closed_form, full, least, linear_programme, settled

BUFFER = 0.15


class Rule:
    """A margin rule made of scenarios: MM = sum over groups of (worst loss)+ + a charge a lot + a constant.

    Its pieces are known, so one linear programme over all of them gives the true least cost.
    """

    def __init__(self, lots: np.ndarray, groups: list[np.ndarray], charge: np.ndarray, equity: float) -> None:
        self.lots, self.groups, self.charge, self.equity = lots, groups, charge, equity
        self.largest = np.zeros_like(lots)

    def maintenance(self, lots: np.ndarray) -> np.ndarray:
        worst = sum(np.maximum(-(lots @ group), 0).max(axis=1) for group in self.groups)
        return worst + np.abs(lots) @ self.charge

    def __call__(self, lots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.largest = np.maximum(self.largest, np.abs(lots).max(axis=0))
        return np.full(len(lots), self.equity), self.maintenance(lots)

    def surplus(self, closed: np.ndarray, cost: np.ndarray) -> np.ndarray:
        left = self.lots - np.sign(self.lots) * closed
        return self.equity - closed @ cost - (1 + BUFFER) * self.maintenance(left)

    def least_cost(self, cost: np.ndarray) -> float | None:
        """Over real amounts, by one linear programme with a variable for each group's worst loss."""
        legs, groups, size, sign = len(self.lots), len(self.groups), np.abs(self.lots), np.sign(self.lots)
        price = np.concatenate([cost * size, np.zeros(groups)])
        margin = (cost - (1 + BUFFER) * self.charge) * size
        rows = [np.concatenate([margin, np.full(groups, 1 + BUFFER)])]
        bounds = [self.equity - (1 + BUFFER) * float(size @ self.charge)]
        for index, group in enumerate(self.groups):
            for scenario in group.T:
                worst = np.zeros(groups)
                worst[index] = -1
                rows.append(np.concatenate([sign * size * scenario, worst]))
                bounds.append(float(self.lots @ scenario))
        limits = [(0, 1)] * legs + [(0, None)] * groups
        found = linprog(price, A_ub=np.array(rows), b_ub=np.array(bounds), bounds=limits, method="highs")
        return float(found.fun) if found.status == 0 else None


MOVES = np.array([0, 0.05, 0.1, 0.16, -0.05, -0.1, -0.16])


def book(seed: int, legs: int, size: int, hedged: bool) -> tuple[Rule, np.ndarray]:
    """A liquidatable account with legs in a few underlyings, and its cost per lot."""
    rng = np.random.default_rng(seed)
    lots = rng.integers(size // 2, size, legs) * rng.choice([-1, 1], legs)
    notional = np.exp(rng.normal(10, 1, legs))
    underlying = rng.integers(0, max(legs // 2, 1), legs)
    if hedged and legs > 1:
        lots[1], notional[1], underlying[1] = -lots[0], notional[0], underlying[0]
    price = notional / np.abs(lots)
    bend = rng.choice([0.0, 1.0], legs) * rng.normal(0, 2, legs)
    moves = MOVES[None, :] + bend[:, None] * MOVES[None, :] ** 2
    groups = [(underlying == each)[:, None] * price[:, None] * moves for each in range(max(legs // 2, 1))]
    rule = Rule(lots, groups, price * 0.01, 0.0)
    rule.equity = float(rule.maintenance(lots[None, :])[0] * rng.uniform(0.4, 1.14))
    return rule, price * rng.uniform(0.003, 0.02, legs)


@pytest.mark.parametrize("legs", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("hedged", [False, True])
def test_the_programme_finds_the_true_least_cost(legs: int, hedged: bool) -> None:
    restored = 0
    for seed in range(40):
        rule, cost = book(seed, legs, 10**9, hedged)
        true, result = rule.least_cost(cost), linear_programme(rule.lots, rule, cost)
        assert result.restored == (true is not None)
        if true is not None:
            restored += 1
            assert rule.surplus(result.closed_lots[None, :], cost)[0] >= 0
            assert result.cost_usd == pytest.approx(true, rel=1e-6)
        assert np.all((result.closed_lots >= 0) & (result.closed_lots <= np.abs(rule.lots)))
    assert restored, "the control: some of the accounts can be restored"


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_restores_what_the_programme_restores_and_costs_no_less(method: str) -> None:
    for seed in range(40):
        rule, cost = book(seed, 4, 10**9, False)
        best = linear_programme(rule.lots, rule, cost)
        result = METHODS[method](rule.lots, rule, cost, None, BUFFER)
        assert result.cost_usd >= best.cost_usd * (1 - 1e-6)
        assert result.surplus_usd == pytest.approx(rule.surplus(result.closed_lots[None, :], cost)[0], abs=1e-6)
        assert result.restored == (result.surplus_usd >= 0)


@given(st.integers(0, 10**6), st.sampled_from([1, 1000, 10**9, 10**15]), st.integers(1, 7))
def test_one_leg_closes_the_least_amount_to_the_lot(seed: int, size: int, minimum: int) -> None:
    rule, cost = book(seed, 1, 2 * size, False)
    unit = np.array([minimum])
    result = closed_form(rule.lots, rule, cost, unit)
    closed, whole = int(result.closed_lots[0]), abs(int(rule.lots[0]))
    assert closed % minimum == 0 or closed == whole
    assert result.restored
    if closed:
        less = (closed - 1) // minimum * minimum
        assert rule.surplus(np.array([[less]]), cost)[0] < 0, "a unit less would not do"


small_legs = st.lists(st.integers(-5, 5).filter(bool), min_size=1, max_size=3)


def brute_force(rule: Rule, cost: np.ndarray) -> float | None:
    grid = np.indices(np.abs(rule.lots) + 1).reshape(len(rule.lots), -1).T
    good = grid[rule.surplus(grid, cost) >= 0]
    return float((good @ cost).min()) if len(good) else None


def small_book(lots: list[int], draw: np.random.Generator, level: float) -> tuple[Rule, np.ndarray]:
    legs = len(lots)
    groups = [draw.integers(-9, 10, (legs, 5)).astype(float) for _ in range(2)]
    rule = Rule(np.array(lots), groups, draw.integers(0, 3, legs).astype(float), 0.0)
    rule.equity = level * float(rule.maintenance(rule.lots[None, :])[0])
    return rule, draw.integers(0, 4, legs) / 4


@given(small_legs, st.integers(0, 10**6), st.floats(0.1, 1.2))
@settings(max_examples=200)
def test_nothing_cheaper_exists_on_a_small_lattice(lots: list[int], seed: int, level: float) -> None:
    rule, cost = small_book(lots, np.random.default_rng(seed), level)
    best, result = brute_force(rule, cost), linear_programme(rule.lots, rule, cost)
    assert result.restored == (best is not None or result.surplus_usd >= 0)
    if best is not None:
        assert result.restored
        assert result.cost_usd == pytest.approx(best)
    else:
        assert np.array_equal(result.closed_lots, np.abs(rule.lots))


@given(st.lists(st.integers(6, 12), min_size=3, max_size=4), st.integers(0, 10**6), st.floats(0.5, 1.1))
@settings(max_examples=60)
def test_planes_and_neighbours_come_within_a_lot_a_leg_of_brute_force(lots: list[int], seed: int, level: float) -> None:
    """The path that large lattices take, on lattices that brute force can still check."""
    rule, cost = small_book(lots, np.random.default_rng(seed), level)
    best = brute_force(rule, cost)
    assume(best is not None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizing, "LATTICE_SMALL", 0)
        result = linear_programme(rule.lots, rule, cost)
    assert result.restored
    assert best - 1e-9 <= result.cost_usd <= best + cost.sum() + 1e-9


def spare_of(rule: Rule, cost: np.ndarray, missed_micro: int = 0) -> Callable[[np.ndarray], int]:
    """An exact form that is a little stricter than the floats."""
    return lambda closed: int(np.floor(rule.surplus(closed[None, :], cost)[0] * sizing.MICRO)) - missed_micro


@given(st.lists(st.integers(6, 12), min_size=2, max_size=4), st.integers(0, 10**6), st.floats(0.5, 1.1))
@settings(max_examples=100)
def test_what_is_settled_is_enough_and_no_leg_could_be_a_lot_less(lots: list[int], seed: int, level: float) -> None:
    rule, cost = small_book(lots, np.random.default_rng(seed), level)
    assume(brute_force(rule, cost) is not None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizing, "LATTICE_SMALL", 0)
        sized = linear_programme(rule.lots, rule, cost)
    spare = spare_of(rule, cost)
    for closed in (sized.closed_lots, np.abs(rule.lots), np.zeros_like(rule.lots)):
        found = settled(rule.lots, rule, cost, closed, spare, BUFFER)
        if spare(found) < 0:  # whole legs alone do not restore it from here: left as it was
            assert np.array_equal(found, closed)
        elif spare(found) >= sizing.GRAIN_USD * sizing.MICRO:
            fewer = found - np.eye(len(found), dtype=np.int64)[found > 0]
            assert all(spare(row) < 0 for row in fewer)


def test_what_floats_miss_is_closed_where_it_costs_least() -> None:
    """A few hundred millionths of a dollar missing: floats close nothing, the exact form says that it is not enough."""
    rule, cost = book(0, 3, 10**9, False)
    rule.equity = (1 + BUFFER) * float(rule.maintenance(rule.lots[None, :])[0])
    spare = spare_of(rule, cost, missed_micro=300)
    nothing = np.zeros(3, dtype=np.int64)
    assert linear_programme(rule.lots, rule, cost).closed_lots.tolist() == [0, 0, 0]
    found = settled(rule.lots, rule, cost, nothing, spare, BUFFER)
    assert spare(nothing) < 0 <= spare(found)
    assert found @ cost < 1e-3


def test_where_nothing_is_enough_all_stays_as_it_was() -> None:
    rule, cost = book(1, 3, 10**9, False)
    rule.equity = -1.0
    some = np.abs(rule.lots) // 2
    assert settled(rule.lots, rule, cost, some, spare_of(rule, cost), BUFFER) is some
    whole = np.abs(rule.lots)
    assert settled(rule.lots, rule, cost, whole, spare_of(rule, cost), BUFFER) is whole


def test_the_dear_leg_is_given_back_before_the_cheap_one() -> None:
    """Two legs of the same risk, one of them dear: of ten lots each, what suffices is left in the cheap one."""
    lots = np.array([10, 10])
    rule = Rule(lots, [np.array([[-1.0], [0.0]]), np.array([[0.0], [-1.0]])], np.zeros(2), 0.0)
    cost = np.array([0.3, 0.1])
    rule.equity = 17.0  # of 23 with the buffer
    found = settled(lots, rule, cost, np.array([8, 8]), spare_of(rule, cost), BUFFER)
    assert found.tolist() == [0, 6]


def smooth(seed: int, legs: int) -> tuple[np.ndarray, Requirement, np.ndarray]:
    """A rule without a straight piece: a multiple of portfolio deviation, and a charge a lot."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(legs, legs))
    covariance = root @ root.T + 0.1 * np.eye(legs)
    lots = rng.integers(10**8, 10**9, legs) * rng.choice([-1, 1], legs)
    price = np.exp(rng.normal(10, 1, legs)) / np.abs(lots)

    def maintenance(rows: np.ndarray) -> np.ndarray:
        value = rows * price
        risk = np.sqrt(np.einsum("ki,ij,kj->k", value, covariance, value))
        return 0.05 * risk + 0.005 * np.abs(value).sum(axis=1)

    equity = float(maintenance(lots[None, :])[0]) * rng.uniform(0.6, 1.1)
    return (
        lots,
        lambda rows: (np.full(len(rows), equity), maintenance(rows)),
        price * rng.uniform(0.003, 0.02, legs),
    )


@pytest.mark.parametrize("seed", range(12))
def test_random_search_finds_nothing_cheaper_under_a_smooth_rule(seed: int) -> None:
    lots, requirement, cost = smooth(seed, 2 + seed % 3)
    result = linear_programme(lots, requirement, cost)
    assert result.restored
    rng, size = np.random.default_rng(seed), np.abs(lots)
    around = result.closed_lots * (1 + 0.05 * rng.normal(size=(4000, len(lots))))
    tried = np.vstack([around, rng.random((4000, len(lots))) * size]).clip(0, size).astype(np.int64)
    equity, maintenance = requirement(lots - np.sign(lots) * tried)
    restores = equity - tried @ cost >= (1 + BUFFER) * maintenance
    assert restores.any(), "the control: the search does find closings that restore the buffer"
    assert (tried[restores] @ cost).min() >= result.cost_usd * (1 - 1e-6)


def hedged_account() -> tuple[Rule, np.ndarray]:
    """A long and a short that hedge each other, and a naked leg beside them, cheap to close everywhere."""
    lots = np.array([10**6, -(10**6), 4 * 10**5])
    shared_moves = np.outer([1.0, 1.0, 0.0], MOVES)
    own_moves = np.outer([0.0, 0.0, 1.0], MOVES)
    rule = Rule(lots, [shared_moves, own_moves], np.full(3, 0.001), 0.0)
    rule.equity = float(rule.maintenance(lots[None, :])[0]) * 0.8
    return rule, np.array([0.001, 0.001, 0.004])


@pytest.mark.parametrize("method", ["closed_form", "linear_programme"])
def test_hedges_stay_where_closing_a_leg_of_them_raises_margin(method: str) -> None:
    rule, cost = hedged_account()
    start = rule.maintenance(rule.lots[None, :])[0]
    for leg in (0, 1):
        without = rule.lots.copy()
        without[leg] = 0
        assert rule.maintenance(without[None, :])[0] > start, "the legs do hedge each other"
    result = METHODS[method](rule.lots, rule, cost, None, BUFFER)
    assert result.restored
    assert result.closed_lots[:2].tolist() == [0, 0]
    assert 0 < result.closed_lots[2] < rule.lots[2]
    assert full(rule.lots, rule, cost).closed_lots.tolist() == np.abs(rule.lots).tolist()


def test_both_legs_of_a_hedge_close_together_when_nothing_else_can() -> None:
    both, cost = hedged_account()
    rule, cost = Rule(both.lots[:2], [both.groups[0][:2]], np.full(2, 0.01), 0.0), cost[:2]
    rule.equity = 0.9 * float(rule.maintenance(rule.lots[None, :])[0])
    result = linear_programme(rule.lots, rule, cost)
    assert result.restored
    one, other = result.closed_lots.tolist()
    assert one == pytest.approx(other, abs=2)
    assert 0 < one < 10**6


def test_a_healthy_account_closes_nothing_and_a_hopeless_one_everything() -> None:
    for method in ("closed_form", "linear_programme"):
        rule, cost = book(1, 3, 10**9, False)
        rule.equity = 2 * float(rule.maintenance(rule.lots[None, :])[0])
        healthy = METHODS[method](rule.lots, rule, cost, None, BUFFER)
        assert (healthy.cost_usd, healthy.restored) == (0, True)
        rule.equity = -1.0
        hopeless = METHODS[method](rule.lots, rule, cost, None, BUFFER)
        assert hopeless.closed_lots.tolist() == np.abs(rule.lots).tolist()
        assert not hopeless.restored


def test_amounts_are_whole_minimums_or_the_whole_leg() -> None:
    for seed in range(20):
        rule, cost = book(seed, 3, 2000, False)
        unit = np.array([7, 100, 1])
        result = linear_programme(rule.lots, rule, cost, unit)
        whole = result.closed_lots == np.abs(rule.lots)
        assert np.all((result.closed_lots % unit == 0) | whole)


def test_a_requirement_is_asked_for_nothing_far_outside_the_account() -> None:
    rule, cost = book(3, 4, 10**9, True)
    linear_programme(rule.lots, rule, cost)
    assert np.all(rule.largest <= np.abs(rule.lots) * 1.001)


def test_a_requirement_that_gives_no_number_is_a_programming_error() -> None:
    def broken(lots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full(len(lots), np.nan), np.zeros(len(lots))

    with pytest.raises(AssertionError, match="no number"):
        closed_form(np.array([5]), broken, np.array([1.0]))


def counted(function: Callable[[int], float]) -> tuple[Callable[[list[int]], np.ndarray], list[int]]:
    calls: list[int] = []

    def at(points: list[int]) -> np.ndarray:
        calls.append(len(points))
        return np.array([function(point) for point in points])

    return at, calls


@given(
    st.integers(0, 2**40),
    st.lists(st.tuples(st.integers(-(10**6), 10**6), st.integers(-(10**15), 10**15)), min_size=1, max_size=6),
)
@example(top=128, lines=[(1, -1), (-1, 1)])
def test_the_least_root_of_a_concave_function_is_exact(top: int, lines: list[tuple[int, int]]) -> None:
    def function(x: int) -> float:
        return min(slope * x + height for slope, height in lines)

    at, calls = counted(function)
    root, found = least(at, top)
    assert 0 <= root <= top
    assert len(calls) < 60
    if found:
        assert function(root) >= 0
        assert root == 0 or function(root - 1) < 0
    else:
        nearby = range(max(root - 2, 0), min(root + 2, top) + 1)
        assert function(root) < 0
        assert function(root) == max(map(function, nearby)), "it is the peak, so no root exists"


def test_a_straight_piece_takes_a_handful_of_calls() -> None:
    at, calls = counted(lambda x: min(3 * x - 7 * 10**17 - 5, 10**18))
    root, found = least(at, 2**62)
    assert (root, found) == (-(-(7 * 10**17 + 5) // 3), True)
    assert len(calls) <= 8
