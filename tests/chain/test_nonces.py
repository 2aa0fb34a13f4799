"""Nonces: each given out once, gaps filled first, reorgs and other programs noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.chain.nonces import Nonces


def test_nonces_rise_and_what_comes_back_goes_out_first() -> None:
    nonces = Nonces(7)
    assert [nonces.take() for _ in range(3)] == [7, 8, 9]
    nonces.give_back(8)
    assert nonces.take() == 8
    assert nonces.take() == 10


def test_what_was_not_out_cannot_come_back() -> None:
    nonces = Nonces(7)
    nonces.take()
    for wrong in (6, 8):
        with pytest.raises(ValueError, match="not out"):
            nonces.give_back(wrong)
    nonces.give_back(7)
    with pytest.raises(ValueError, match="not out"):
        nonces.give_back(7)


def test_another_program_moves_it_on_and_a_reorg_does_not_move_it_back() -> None:
    nonces = Nonces(0)
    nonces.take()
    nonces.confirm(5)
    assert nonces.take() == 5
    nonces.confirm(3)
    assert nonces.take() == 6
    assert nonces.outstanding == 4


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=60))
def test_no_nonce_is_out_twice(steps: list[tuple[bool, int]]) -> None:
    nonces, out = Nonces(0), set[int]()
    for take, pick in steps:
        if take or not out:
            given_out = nonces.take()
            assert given_out not in out
            assert given_out <= len(out), "no gap stays behind"
            out.add(given_out)
        else:
            back = sorted(out)[pick % len(out)]
            nonces.give_back(back)
            out.remove(back)
    assert nonces.outstanding == len(out)
