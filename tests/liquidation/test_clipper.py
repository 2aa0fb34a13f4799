"""Maker's Clipper: curves, takings, resets, rewards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.liquidation.clipper import (
    CURVES,
    Params,
    Sale,
    chost_rad_down,
    needs_reset,
    price_ray_down,
    reset_reward_rad_down,
    start_reward_rad_down,
    take,
    top_ray_down,
)
from solvent.liquidation.reverted import RevertedError
from solvent.pools.fixed_point import RAD, RAY, WAD

tops = st.integers(1, 10**9 * RAY)
times = st.integers(0, 10**6)


@pytest.mark.parametrize("curve", sorted(CURVES))
@given(tops, times, st.integers(1, 10**4))
def test_a_price_starts_at_the_top_and_never_rises(curve: str, top: int, elapsed: int, more: int) -> None:
    params = Params(curve=curve)
    price = price_ray_down(params, top, elapsed)
    assert price_ray_down(params, top, 0) == top
    assert 0 <= price <= top
    # half-up powers may differ in the last digit from one second to the next
    assert price_ray_down(params, top, elapsed + more) <= price + top // RAY + 1


@given(
    st.integers(1, 10**6 * WAD), st.integers(1, 10**6 * RAD), st.integers(1, 10**4 * RAY), st.integers(0, 10**6 * WAD)
)
def test_a_taking_conserves_lot_and_tab_and_leaves_no_dust(lot: int, tab: int, price: int, amount: int) -> None:
    chost = 22 * RAD
    try:
        taken = take(Sale(tab, lot), amount, price, price, chost)
    except RevertedError:
        taken = None
    if taken is None:
        assert tab <= chost
        return
    assert taken.paid <= tab
    assert taken.paid >= taken.bought * price
    if taken.closed:
        assert taken.sale == Sale(0, 0)
        assert taken.bought + taken.returned_to_owner == lot
        assert taken.returned_to_owner == 0 or taken.paid == tab
    else:
        assert taken.sale == Sale(tab - taken.paid, lot - taken.bought)
        assert taken.returned_to_owner == 0
        assert taken.sale.tab >= min(chost, tab)


def test_a_taker_pays_at_most_its_price() -> None:
    with pytest.raises(RevertedError, match="too-expensive"):
        take(Sale(RAD, WAD), WAD, 4 * RAY, 5 * RAY, 0)


def test_an_auction_is_reset_after_tail_or_below_cusp_strictly() -> None:
    params = Params(tail_s=3600, cusp_ray=RAY // 2)
    assert not needs_reset(params, 10 * RAY, 5 * RAY, 3600)
    assert needs_reset(params, 10 * RAY, 5 * RAY, 3601)
    assert needs_reset(params, 10 * RAY, 5 * RAY - 10, 0)


def test_rewards() -> None:
    chost = chost_rad_down(20 * RAD, 11 * WAD // 10)
    assert chost == 22 * RAD
    assert top_ray_down(Params(), 4 * RAY) == 5 * RAY
    assert start_reward_rad_down(5 * RAD, WAD // 50, 100 * RAD) == 7 * RAD
    assert reset_reward_rad_down(5 * RAD, WAD // 50, 100 * RAD, WAD * 22, RAY, chost) == 7 * RAD
    assert reset_reward_rad_down(5 * RAD, WAD // 50, 100 * RAD, WAD * 22 - 1, RAY, chost) == 0
    assert reset_reward_rad_down(5 * RAD, WAD // 50, chost - 1, WAD * 99, RAY, chost) == 0
