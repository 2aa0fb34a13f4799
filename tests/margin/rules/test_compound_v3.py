"""Compound III's two collateral tests."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.conform.vectors import faults, report_of

from solvent.margin.rules.compound_v3 import Holding, is_borrow_collateralized, is_liquidatable, liquidity
from solvent.pools.fixed_point import WAD

BASE = (10**8, 10**6)
balances = st.integers(-(10**20), 10**20)
holdings = st.lists(
    st.builds(Holding, st.integers(0, 10**30), st.integers(0, 10**14), st.just(WAD), st.integers(0, WAD)),
    max_size=4,
)


def test_reference_vectors(shared: Path) -> None:
    report = report_of(shared, "compound_v3")
    assert len(report.rows) >= 14
    assert faults(report) == []


@given(balances, holdings)
def test_an_account_is_collateralized_or_liquidatable_at_equal_factors(balance: int, rows: list[Holding]) -> None:
    assert is_liquidatable(balance, *BASE, rows) != is_borrow_collateralized(balance, *BASE, rows)


@given(st.integers(0, 10**20), holdings)
def test_without_debt_nothing_is_liquidatable(balance: int, rows: list[Holding]) -> None:
    assert not is_liquidatable(balance, *BASE, rows)


@given(balances, holdings, st.integers(0, 10**30))
def test_more_collateral_never_lowers_liquidity(balance: int, rows: list[Holding], more: int) -> None:
    added = [*rows, Holding(more, 10**8, WAD, WAD // 2)]
    assert liquidity(balance, *BASE, added) >= liquidity(balance, *BASE, rows)


def test_a_debt_is_valued_toward_zero() -> None:
    assert liquidity(-1, 10**8 + 1, 10**6, []) == -100
    assert liquidity(1, 10**8 + 1, 10**6, []) == 100


def test_exactly_covered_debt_is_not_liquidatable() -> None:
    covered = [Holding(WAD, 10**8, WAD, WAD)]
    assert not is_liquidatable(-(10**6), *BASE, covered)
    assert is_liquidatable(-(10**6) - 1, *BASE, covered)
