"""Liquity's stability pool: what depositors hold adds up to what the pool holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.liquidation.reverted import RevertedError
from solvent.liquidation.stability_pool import (
    SCALE,
    Deposit,
    Params,
    Pool,
    collateral_gain_down,
    compounded_down,
    deposit,
    liquidate,
    offset,
    offset_most,
    withdraw,
)
from solvent.pools.fixed_point import WAD

PARAMS = Params()


def pool_of(*amounts: int) -> tuple[Pool, list[Deposit]]:
    pool, held = Pool(), []
    for amount in amounts:
        pool, mine = deposit(pool, amount)
        held.append(mine)
    return pool, held


@given(
    st.lists(st.integers(100 * WAD, 10**9 * WAD), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(2000 * WAD, 10**8 * WAD), st.integers(0, 10**6 * WAD)), max_size=6),
)
def test_deposits_and_gains_never_exceed_the_pool(amounts: list[int], troves: list[tuple[int, int]]) -> None:
    pool, held = pool_of(*amounts)
    shared = 0
    for debt, collateral in troves:
        before = pool.total
        pool, debt_left, collateral_left = liquidate(PARAMS, pool, debt, collateral)
        shared += collateral - collateral // 200 - collateral_left
        assert before - pool.total == debt - debt_left
        assert pool.total >= min(WAD, before)
    # the error that is carried forward may be given back once too much: an atom a unit deposited
    slack = len(troves) * (sum(amounts) // WAD + 1)
    assert sum(compounded_down(pool, mine) for mine in held) <= pool.total + slack
    assert sum(collateral_gain_down(pool, mine) for mine in held) <= shared


@given(st.integers(100, 10**6), st.integers(100, 10**6), st.integers(1, 99))
def test_losses_and_gains_are_pro_rata(one: int, other: int, percent: int) -> None:
    pool, held = pool_of(one * WAD, other * WAD)
    debt, collateral = pool.total * percent // 100, 1000 * WAD
    pool = offset(pool, debt, collateral)
    for amount, mine in zip((one, other), held, strict=True):
        left = amount * WAD * (100 - percent) // 100
        gain = collateral * amount // (one + other)
        assert -(10**12) <= compounded_down(pool, mine) - left <= 0
        assert -(10**12) <= collateral_gain_down(pool, mine) - gain <= 0


def test_the_product_survives_deep_losses_by_rescaling() -> None:
    pool, _ = pool_of(10**10 * WAD)
    pool = liquidate(PARAMS, pool, 10**10 * WAD, WAD)[0]
    assert pool.total == WAD
    assert pool.scale == 1
    assert pool.product >= SCALE
    pool, mine = deposit(pool, 10**10 * WAD)
    pool = liquidate(PARAMS, pool, 5 * 10**9 * WAD, WAD)[0]
    assert abs(compounded_down(pool, mine) - 5 * 10**9 * WAD) <= 10 * WAD


def test_one_unit_always_stays() -> None:
    pool, held = pool_of(100 * WAD)
    assert offset_most(PARAMS, pool) == 99 * WAD
    assert offset_most(PARAMS, Pool(total=WAD // 2)) == 0
    with pytest.raises(RevertedError, match="MIN_LUSD_IN_SP"):
        withdraw(PARAMS, pool, held[0], 100 * WAD)
    pool, left, paid = withdraw(PARAMS, pool, held[0], 99 * WAD)
    assert (pool.total, left.amount, paid) == (WAD, WAD, 99 * WAD)


def test_a_second_deposit_starts_from_what_is_left() -> None:
    pool, (mine,) = pool_of(1000 * WAD)
    pool = offset(pool, 500 * WAD, 0)
    pool, mine = deposit(pool, 100 * WAD, mine)
    assert abs(mine.amount - 600 * WAD) <= 10**6
    assert pool.total == 600 * WAD


def test_nothing_happens_in_an_empty_pool() -> None:
    assert offset(Pool(), 5, 5) == Pool()
    assert liquidate(PARAMS, Pool(), 2000 * WAD, 200) == (Pool(), 2000 * WAD, 199)
