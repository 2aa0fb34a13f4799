"""Hyperliquid's ladder: printed rank, sizes and times."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.liquidation.hyperliquid_ladder import LadderParams, close_fraction, deleverage_index, goes_to_vault

PARAMS = LadderParams()


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "venues_published_examples", "adl_rank_index"))


def test_large_positions_go_in_part_first() -> None:
    assert close_fraction(100_000.0, None, PARAMS) == 1.0
    assert close_fraction(100_001.0, None, PARAMS) == 0.2
    assert close_fraction(80_000.0, 29.9, PARAMS) == 0.0
    assert close_fraction(80_000.0, 30.0, PARAMS) == 1.0


def test_the_vault_takes_what_is_far_below() -> None:
    assert not goes_to_vault(200.0, 300.0, PARAMS)
    assert goes_to_vault(199.9, 300.0, PARAMS)


@given(st.floats(1, 1000), st.floats(1, 1000), st.floats(1, 1e6))
def test_rank_rises_with_profit_and_leverage(mark: float, entry: float, notional: float) -> None:
    rank = deleverage_index(mark, entry, notional, 1_000.0)
    assert deleverage_index(mark * 2, entry, notional, 1_000.0) > rank
    assert deleverage_index(mark, entry, notional, 500.0) > rank
