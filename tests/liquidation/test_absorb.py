"""Compound III: absorbing accounts, and selling what was seized."""

from hypothesis import given
from hypothesis import strategies as st

from solvent.liquidation.absorb import (
    Seized,
    absorb,
    credit_down,
    discounted_price_down,
    quote_collateral_down,
    sells_collateral,
)
from solvent.pools.fixed_point import WAD

BASE = (10**8, 10**6)
seized_lists = st.lists(
    st.builds(Seized, st.integers(0, 10**30), st.integers(0, 10**14), st.just(WAD), st.integers(0, WAD)),
    max_size=5,
)


@given(st.integers(-(10**24), -1), seized_lists)
def test_an_absorbed_account_ends_at_0_or_above_and_reserves_pay_the_rise(balance: int, seized: list[Seized]) -> None:
    after, paid = absorb(balance, seized, *BASE)
    assert after == max(0, balance + credit_down(seized, *BASE))
    assert paid == after - balance > 0


@given(seized_lists, seized_lists)
def test_credits_add_up_within_an_atom(one: list[Seized], other: list[Seized]) -> None:
    apart = credit_down(one, *BASE) + credit_down(other, *BASE)
    assert 0 <= credit_down(one + other, *BASE) - apart <= 1


@given(st.integers(1, 10**14), st.integers(0, WAD), st.integers(0, WAD))
def test_the_discount_is_a_share_of_one_less_the_liquidation_factor(price: int, factor: int, share: int) -> None:
    discounted = discounted_price_down(price, factor, share)
    assert discounted_price_down(price, factor, 0) == price
    assert discounted_price_down(price, WAD, share) == price
    assert discounted * WAD * WAD >= (price * (WAD * WAD - share * (WAD - factor))) - 2 * WAD * WAD
    assert discounted <= price


@given(st.integers(0, 10**24), st.integers(1, 10**14))
def test_a_buyer_gets_no_more_than_was_paid_for(amount: int, price: int) -> None:
    bought = quote_collateral_down(amount, *BASE, price, WAD)
    assert bought * price * 10**6 <= amount * 10**8 * WAD


def test_collateral_is_for_sale_below_target_reserves_only() -> None:
    assert sells_collateral(9, 10)
    assert not sells_collateral(10, 10)
