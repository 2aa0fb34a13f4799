"""Snapshots give back the same state, and the hash depends on what happened alone."""

import os
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from tests.ledger import samples
from tests.ledger.samples import balanced_legs, balanced_postings, legs, postings, state_of_the_day

from solvent.domain import events as e
from solvent.errors import SolventError
from solvent.ledger.apply import apply, apply_block
from solvent.ledger.image import Image
from solvent.ledger.state import State


def same(one: State, other: State) -> bool:
    """Equal in every field but `touched` and the empty rows that old movements leave."""

    def plain(state: State, name: str) -> object:
        value = getattr(state, name)
        if name == "universe":
            return value.instruments
        filled = name in ("balances", "positions", "holders", "borrowers")
        return {key: row for key, row in value.items() if row} if filled else value

    names = [name for name in State.__slots__ if name not in ("touched", "entries")]
    return all(plain(one, name) == plain(other, name) for name in names)


@pytest.mark.parametrize("upto", range(6))
def test_a_snapshot_gives_back_the_same_state(upto: int) -> None:
    state = state_of_the_day(upto)
    restored = State.restore(state.snapshot())
    assert same(state, restored)
    assert restored.hash() == state.hash()
    assert restored.snapshot() == state.snapshot()
    assert restored.touched == set()


@given(postings, legs)
def test_snapshots_hold_integers_of_any_size(rows, moved) -> None:
    state = State()
    apply(state, e.Swept(asset=0, postings=balanced_postings(rows), legs=balanced_legs(moved)))
    restored = State.restore(state.snapshot())
    assert same(state, restored)
    assert restored.hash() == state.hash()


def test_a_restored_state_goes_on_as_the_first_would() -> None:
    straight, resumed = state_of_the_day(), state_of_the_day(3)
    resumed = State.restore(resumed.snapshot())
    for ts_ns, entries in samples.day()[3:]:
        apply_block(resumed, ts_ns, entries)
    assert same(straight, resumed)
    assert straight.hash() == resumed.hash()


def test_the_hash_does_not_depend_on_how_blocks_were_cut() -> None:
    whole, cut = State(), State()
    for ts_ns, entries in samples.day():
        apply_block(whole, ts_ns, entries)
        for entry in entries:
            apply_block(cut, ts_ns, [entry])
    assert cut.height > whole.height
    assert cut.hash() == whole.hash()


@pytest.mark.parametrize("name", [name for name in Image.__struct_fields__ if name not in ("version", "height")])
def test_the_hash_covers_every_field(name: str) -> None:
    state = state_of_the_day(4)
    data = msgspec.json.decode(state.snapshot())
    if isinstance(data[name], list):
        assert data[name], "the sample day leaves something in every field"
        data[name] = data[name][:-1]
    else:
        data[name] = data[name] + 1 if isinstance(data[name], int) else None
    other = State.restore(msgspec.json.encode(data))
    assert other.hash() != state.hash()


def test_the_hash_does_not_depend_on_the_order_of_dicts() -> None:
    forward, backward = state_of_the_day(), state_of_the_day()
    for state in (backward,):
        for name in ("balances", "positions", "quotes", "quoted_ns", "receipts", "funded", "accrued"):
            setattr(state, name, dict(reversed(getattr(state, name).items())))
        margin = state.policy.margin
        state.policy = msgspec.structs.replace(state.policy, margin=dict(reversed(margin.items())))
    assert forward.hash() == backward.hash()
    assert forward.snapshot() == backward.snapshot()


def test_the_hash_does_not_depend_on_the_interpreters_hash_seed() -> None:
    program = (
        "from tests.ledger.samples import state_of_the_day as day; s = day();"
        "print(s.hash().hex(), s.snapshot().hex(), list(s.references))"
    )
    paths = os.pathsep.join(path for path in ("src", ".", os.environ.get("PYTHONPATH", "")) if path)
    prints = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.split()
        for seed in ("1", "4")
    ]
    assert prints[0][:2] == prints[1][:2]
    assert prints[0][0] == state_of_the_day().hash().hex()
    assert prints[0][2:] != prints[1][2:], "control: these seeds do order the set of references differently"


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b'{"version": 1}', b"\xff\xfe", b"[" * 100_000, b'{"height": NaN}'],
    ids=["empty", "no fields", "list", "one field", "not text", "nested", "not a number"],
)
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(SolventError, match="snapshot"):
        State.restore(data)


def test_a_snapshot_of_another_version_is_refused() -> None:
    data = msgspec.json.decode(state_of_the_day().snapshot())
    with pytest.raises(SolventError, match="version = 2"):
        State.restore(msgspec.json.encode(data | {"version": 2}))
    with pytest.raises(SolventError, match="unknown field"):
        State.restore(msgspec.json.encode(data | {"more": 1}))
