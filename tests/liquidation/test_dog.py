"""Maker's Dog: how much goes to auction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.liquidation.dog import Params, bark, room_rad
from solvent.liquidation.reverted import RevertedError
from solvent.pools.fixed_point import RAD, RAY, WAD

PARAMS = Params(chop_wad=11 * WAD // 10, dust_rad=200 * RAD)


@given(
    st.integers(WAD, 10**6 * WAD), st.integers(200 * WAD, 10**6 * WAD), st.integers(RAY, 2 * RAY),
    st.integers(1, 10**6 * RAD),
)  # fmt: skip
def test_neither_vault_nor_auction_is_left_dusty(ink: int, art: int, rate: int, room: int) -> None:
    try:
        sent = bark(PARAMS, ink, art, rate, room)
    except RevertedError:
        sent = None
    if sent is None:
        # only a room that no auction above dust fits into
        assert room < (PARAMS.dust_rad + rate) * PARAMS.chop_wad // WAD + rate
        return
    assert 0 < sent.art <= art
    assert 0 < sent.ink <= ink
    assert sent.tab == sent.art * rate * PARAMS.chop_wad // WAD
    assert sent.ink * art <= ink * sent.art
    left = art - sent.art
    assert left == 0 or left * rate >= PARAMS.dust_rad
    assert left == 0 or sent.art * rate >= PARAMS.dust_rad
    assert sent.tab <= room + PARAMS.dust_rad * PARAMS.chop_wad // WAD


def test_a_part_below_dust_is_refused() -> None:
    with pytest.raises(RevertedError, match="dusty-auction-from-partial-liquidation"):
        bark(PARAMS, WAD, 1000 * WAD, RAY, 100 * RAD)


def test_room_is_the_smaller_of_both_limits() -> None:
    assert room_rad(100, 40, 50, 10) == 40
    assert room_rad(100, 80, 50, 10) == 20
    for limits in ((100, 100, 50, 10), (100, 40, 50, 50)):
        with pytest.raises(RevertedError, match="liquidation-limit-hit"):
            room_rad(*limits)
