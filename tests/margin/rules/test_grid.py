"""Options valued together, sums of scenario values, the scenario that is worst."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.venue_worlds import MARKET, UNIVERSE, random_book

from solvent.domain.universe import INVERSE, LINEAR, OPTION, SPOT
from solvent.margin.rules.grid import Chain, delta_coins, padded, scenario_names, scenario_sums, worst_scenarios
from solvent.margin.rules.kernel_payoff import worst_payoffs
from solvent.margin.rules.rows import Groups, net
from solvent.valuation import black76

CHAIN = Chain.of(MARKET)


def test_a_chain_values_each_option_as_black_76_does() -> None:
    moves, vols = np.array([0.8, 1.0, 1.3]), CHAIN.vol[:, None] * np.array([1.2, 1.0, 0.7])
    found = CHAIN.values(moves, vols)
    for o in range(len(CHAIN.rows)):
        for s in range(3):
            wanted = black76.price(
                CHAIN.forward[o] * moves[s], CHAIN.strike[o], CHAIN.years[o], CHAIN.call[o], vols[o, s],
                CHAIN.discount[o],
            )  # fmt: skip
            assert found[o, s] == pytest.approx(float(wanted) * CHAIN.unit[o], rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(CHAIN.now(), CHAIN.values(np.ones(1), CHAIN.vol[:, None])[:, 0])


def test_deltas_are_coins_of_the_underlying() -> None:
    found, form = delta_coins(MARKET, CHAIN), UNIVERSE.terms.form
    assert (found[form == SPOT] == 0).all()
    assert (found[form == LINEAR] == UNIVERSE.terms.unit[form == LINEAR]).all()
    inverse = form == INVERSE
    np.testing.assert_allclose(found[inverse], UNIVERSE.terms.unit[inverse] / MARKET.price[inverse])
    options, call = found[form == OPTION], UNIVERSE.terms.call[form == OPTION]
    assert (options[call] > 0).all()
    assert (options[~call] < 0).all()


def test_scenario_sums_are_rows_times_values() -> None:
    book = random_book("portfolio", 4, 30)
    rows = net(book, np.arange(30))
    values = np.random.default_rng(0).normal(size=(len(UNIVERSE), 5))
    groups = Groups.of(rows.owner)
    found = scenario_sums(rows, groups, values)
    dense = np.zeros((30, len(UNIVERSE)))
    dense[rows.owner, rows.instrument] = rows.lots
    np.testing.assert_allclose(found, (dense @ values)[groups.key], rtol=1e-9)


def test_the_worst_scenario_is_of_the_group_that_needs_most() -> None:
    owner, need = np.array([0, 0, 2]), np.array([1.0, 5.0, 2.0])
    losses = np.array([[9.0, 1.0], [1.0, 5.0], [-1.0, -2.0]])
    assert worst_scenarios(3, owner, np.array([4, 7, 4]), need, losses).tolist() == [15, -1, -1]


def test_scenarios_are_named_with_what_they_move() -> None:
    assert scenario_names(["A", "B"], [["up"], ["up", "down"]]) == ("A up", "", "B up", "B down")


def test_padding_adds_zeros() -> None:
    assert padded([np.array([1.0]), np.array([2.0, 3.0])], 3).tolist() == [[1, 0, 0], [2, 3, 0]]


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(1, 9), st.booleans()), min_size=1, max_size=8))
def test_no_settlement_pays_less_than_the_worst_payoff_below_the_highest_strike(
    options: list[tuple[int, int, bool]],
) -> None:
    coins, strike, call = (np.array(column) for column in zip(*options, strict=True))
    ends = np.array([len(options)])
    found = worst_payoffs(np.array([0]), ends, coins.astype(float), strike.astype(float), call)[0]
    paid = [
        (coins * np.maximum(np.where(call, price - strike, strike - price), 0)).sum()
        for price in np.linspace(0, strike.max(), 10 * int(strike.max()) + 1)
    ]
    assert found == pytest.approx(min(0.0, *paid), abs=1e-9)
