"""Liquity v2's split of a trove."""

from hypothesis import given
from hypothesis import strategies as st

from solvent.liquidation.troves import Params, split
from solvent.pools.fixed_point import WAD

amounts = st.integers(1, 10**27)


@given(amounts, amounts, st.integers(0, 10**27), st.integers(1, 10**24))
def test_debt_and_collateral_are_conserved_and_penalties_kept(
    debt: int, collateral: int, pool: int, price: int
) -> None:
    found = split(Params(), debt, collateral, pool, price)
    assert found.debt_offset + found.debt_redistributed == debt
    seized = found.collateral_to_pool + found.collateral_redistributed
    assert seized + found.gas_compensation + found.surplus == collateral
    assert found.gas_compensation <= min(collateral // 200, 2 * WAD)
    assert found.collateral_to_pool * price * 100 <= found.debt_offset * 105 * WAD
    assert found.collateral_redistributed * price * 100 <= found.debt_redistributed * 110 * WAD


@given(amounts, amounts, st.integers(1, 10**24))
def test_without_a_pool_all_is_redistributed(debt: int, collateral: int, price: int) -> None:
    found = split(Params(), debt, collateral, 0, price)
    assert (found.debt_offset, found.collateral_to_pool, found.gas_compensation) == (0, 0, 0)
    assert found.surplus == 0 or found.collateral_redistributed == debt * 11 * WAD // (10 * price)
