"""Lenders' shares: the pool's identity after any steps, rounding against the lender, inflation."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.pools.interest import KinkedCurve, accrue
from solvent.pools.shares import (
    Pool,
    accrued,
    atoms_down,
    forced_loan,
    lend,
    may_borrow,
    pay_reserve,
    redeem,
    repay,
    shares_down,
    shares_up,
    supply,
    write_down,
)

amounts = st.integers(1, 10**27)
STEPS = ("supply", "redeem", "lend", "forced", "repay", "accrue", "pay_reserve", "write_down")


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """A pool that any history could have left."""
    cash, loans = draw(st.integers(0, 10**27)), draw(st.integers(0, 10**27))
    reserve = draw(st.integers(0, cash + loans))
    return Pool(cash, loans, cash + loans - reserve, reserve, draw(st.integers(0, 10**33)))


@given(st.lists(st.tuples(st.sampled_from(STEPS), amounts), max_size=30))
def test_cash_and_loans_are_lenders_and_reserve_after_any_steps(steps: list[tuple[str, int]]) -> None:
    """`Pool` asserts its identity each time it is made, so reaching the end is the claim."""
    pool = Pool()
    for name, amount in steps:
        before = pool
        if name == "supply":
            pool, bought = supply(pool, amount)
            assert atoms_down(pool, bought) <= amount
        elif name == "redeem":
            shares = amount % (pool.shares + 1)
            if may_borrow(pool, atoms_down(pool, shares)):
                pool, paid = redeem(pool, shares)
                assert before.cash - pool.cash == before.lenders - pool.lenders == paid
        elif name == "lend" and may_borrow(pool, amount):
            pool = lend(pool, amount)
        elif name == "forced":
            pool = lend(pool, forced_loan(pool, amount))
            assert pool.cash == max(before.cash - amount, 0)
        elif name == "repay":
            pool = repay(pool, amount % (pool.loans + 1))
        elif name == "accrue":
            result = accrue(KinkedCurve(), pool.cash, [pool.loans], 3600)
            pool = accrued(pool, result.lenders_atoms, result.reserve_atoms)
            assert pool.loans - before.loans == sum(result.interest_atoms)
        elif name == "pay_reserve":
            pool, paid = pay_reserve(pool)
            assert paid == min(before.reserve, before.cash)
        elif name == "write_down":
            pool = write_down(pool, amount % (pool.loans + 1))
            assert pool.cash == before.cash
            assert pool.lenders <= before.lenders
    assert pool.cash + pool.loans == pool.lenders + pool.reserve


@given(pools(), amounts)
def test_a_round_trip_never_pays(pool: Pool, amount: int) -> None:
    after, bought = supply(pool, amount)
    assert atoms_down(after, bought) <= amount
    assert shares_down(pool, amount) <= shares_up(pool, amount)


@given(pools(), amounts, st.integers(0, 10**33))
def test_nobody_else_loses_by_a_supply_or_a_redemption(pool: Pool, amount: int, shares: int) -> None:
    held = pool.shares
    assert atoms_down(supply(pool, amount)[0], held) >= atoms_down(pool, held)
    given_back = shares % (pool.shares + 1)
    if may_borrow(pool, atoms_down(pool, given_back)):
        left = pool.shares - given_back
        assert atoms_down(redeem(pool, given_back)[0], left) >= atoms_down(pool, left)


@given(pools(), amounts)
def test_enough_shares_are_asked_for_an_exact_withdrawal(pool: Pool, amount: int) -> None:
    assert atoms_down(pool, shares_up(pool, amount)) >= amount


@given(st.integers(1, 10**6), st.integers(1, 10**24), st.integers(1, 10**24))
def test_a_gift_that_inflates_the_share_costs_more_than_it_takes(first: int, gift: int, victim: int) -> None:
    """The attacker supplies little, gives the pool a gift, and waits for a lender whose shares round down."""
    pool, own = supply(Pool(), first)
    pool = msgspec.structs.replace(pool, cash=pool.cash + gift, lenders=pool.lenders + gift)
    pool, bought = supply(pool, victim)
    assert atoms_down(pool, own) <= first + gift
    assert victim - atoms_down(pool, bought) <= (first + gift + victim) // 10**6 + 2


def test_without_virtual_shares_the_same_gift_would_take_the_deposit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solvent.pools.shares.VIRTUAL_SHARES", 1)
    pool, _ = supply(Pool(), 1)
    pool = msgspec.structs.replace(pool, cash=pool.cash + 10**18, lenders=pool.lenders + 10**18)
    pool, bought = supply(pool, 10**17)
    assert bought == 0, "the control: the victim's whole deposit rounds away"


def test_a_loss_is_the_lenders_before_the_reserves() -> None:
    pool = Pool(cash=10, loans=90, lenders=95, reserve=5, shares=95_000_000)
    assert write_down(pool, 40) == Pool(cash=10, loans=50, lenders=55, reserve=5, shares=95_000_000)
    full = Pool(cash=0, loans=100, lenders=95, reserve=5, shares=95_000_000)
    assert write_down(full, 100) == Pool(shares=95_000_000)


def test_a_pool_that_does_not_add_up_cannot_be_made() -> None:
    with pytest.raises(AssertionError):
        Pool(cash=1)
    with pytest.raises(AssertionError):
        lend(Pool(cash=1, lenders=1), 2)


def test_borrowing_beyond_cash_is_refused() -> None:
    pool = Pool(cash=10, loans=5, lenders=15)
    assert may_borrow(pool, 10)
    assert not may_borrow(pool, 11)
    assert forced_loan(pool, 11) == 10
