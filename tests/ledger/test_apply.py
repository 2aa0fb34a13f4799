"""Events add up: conservation, bounds, what each event notes, and who was touched."""

from itertools import chain
from time import perf_counter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger import samples
from tests.ledger.samples import (
    BTC,
    HOUR_NS,
    LENDER,
    MAKER,
    OPTION,
    PERPETUAL,
    TAKER,
    USDC,
    balanced_legs,
    balanced_postings,
    legs,
    postings,
    state_of_the_day,
)

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.book import Order
from solvent.domain.owners import INSURANCE, MARKET, OUTSIDE, POOL
from solvent.ledger.apply import _NOTES, apply, apply_entry, command_digest
from solvent.ledger.records import Auction, Receipt
from solvent.ledger.state import State


def fields(violations: list[object]) -> list[str]:
    return [each.field for each in violations]  # type: ignore[attr-defined]


@given(st.lists(st.tuples(postings, legs), max_size=8))
def test_random_movements_conserve_and_add_up(movements: list[tuple[list[e.Posting], list[e.Leg]]]) -> None:
    state = State()
    model: dict[tuple[int, int], int] = {}
    model_legs: dict[tuple[int, int], tuple[int, int]] = {}
    for rows, moved in movements:
        event = e.Swept(asset=0, postings=balanced_postings(rows), legs=balanced_legs(moved))
        apply(state, event)
        for owner, asset, amount in event.postings:
            model[owner, asset] = model.get((owner, asset), 0) + amount
        for owner, instrument, lots, quote in event.legs:
            before = model_legs.get((owner, instrument), (0, 0))
            model_legs[owner, instrument] = (before[0] + lots, before[1] + quote)
    assert {(o, a): x for o, row in state.balances.items() for a, x in row.items()} == {
        key: amount for key, amount in model.items() if amount
    }
    assert {(o, i): x for o, row in state.positions.items() for i, x in row.items()} == {
        key: leg for key, leg in model_legs.items() if leg != (0, 0)
    }
    unfounded = [each for each in fields(state.violations()) if not each.startswith(("pool cash", "insurance"))]
    assert unfounded == []
    for asset in range(4):
        owed = {account: -x for (account, a), x in model.items() if a == asset and account >= 0 and x < 0}
        assert state.loans.get(asset, 0) == sum(owed.values())
        assert state.borrowers_of(asset) == sorted(owed)
        assert state.pool_cash(asset) == model.get((POOL, asset), 0) - sum(owed.values())


@given(postings, legs, st.randoms(use_true_random=False))
def test_order_of_movements_does_not_matter(rows, moved, random) -> None:
    first, second = State(), State()
    events = [e.Swept(asset=0, postings=balanced_postings([row])) for row in rows]
    events += [e.Swept(asset=0, legs=balanced_legs([row])) for row in moved]
    for event in events:
        apply(first, event)
    random.shuffle(events)
    for event in events:
        apply(second, event)
    assert first.hash() == second.hash()


def test_an_unbalanced_event_is_seen() -> None:
    state = State()
    apply(state, e.Swept(asset=0, postings=((MAKER, USDC, 7),), legs=((MAKER, PERPETUAL, 1, 2),)))
    assert fields(state.violations()) == ["sum of 0", "lots of 2", "quote legs of 2"]
    assert not state.conserved()


def test_negative_funds_are_seen() -> None:
    state = State()
    apply(state, e.Swept(asset=0, postings=((INSURANCE, USDC, -1), (MAKER, USDC, 1))))
    apply(state, e.Swept(asset=0, postings=((TAKER, BTC, -5), (POOL, BTC, 4), (MAKER, BTC, 1))))
    assert fields(state.violations()) == ["insurance of 0", "pool cash of 1"]


@pytest.mark.parametrize("field", ["loans", "borrowers", "holders"])
def test_sums_that_are_kept_wrongly_are_seen(field: str) -> None:
    state = state_of_the_day()
    getattr(state, field).clear()
    assert any(each.startswith(field) for each in fields(state.violations()))


def test_shares_that_do_not_add_up_are_seen() -> None:
    state = state_of_the_day()
    state.pools[BTC].total += 1
    assert fields(state.violations()) == ["shares of BTC"]


def test_bounds_are_asserted() -> None:
    state = State()
    apply(state, e.Swept(asset=0, postings=((0, 0, 2**127 - 1),)))
    with pytest.raises(AssertionError, match="128 bits"):
        apply(state, e.Swept(asset=0, postings=((0, 0, 1),)))
    with pytest.raises(AssertionError, match="64 bits"):
        apply(state, e.Swept(asset=0, legs=((0, 0, 2**63, 0),)))
    with pytest.raises(AssertionError, match="128 bits"):
        apply(state, e.Swept(asset=0, legs=((0, 0, 0, -(2**127)),)))


def test_every_event_has_a_note() -> None:
    assert set(_NOTES) == set(get_args(e.Event))


def test_the_samples_hold_every_command_and_event() -> None:
    entries = list(chain.from_iterable(entries for _, entries in samples.day()))
    assert {type(entry.command) for entry in entries} == set(get_args(c.Command))
    assert {type(event) for entry in entries for event in entry.events} == set(get_args(e.Event))


def test_the_day_adds_up() -> None:
    state = state_of_the_day()
    assert state.conserved(), state.violations()
    assert [each.name for each in state.accounts] == ["maker", "taker", "lender"]
    assert state.owned == {"desk": [MAKER, TAKER, LENDER]}
    assert state.balance(TAKER, BTC) == -(10**8) - 10 + 1000
    assert state.loans == {BTC: 10**8 - 990}
    assert state.borrowers_of(BTC) == [TAKER]
    assert state.pool_shares(BTC, LENDER) == state.pools[BTC].total == 9 * 10**14
    assert state.position(MAKER, PERPETUAL) == (9, -42_000_000 + 9 + 4_200_000)
    assert state.holders_of(PERPETUAL) == [MARKET, MAKER, TAKER]
    assert state.position(MAKER, OPTION) == (0, 0)
    assert state.balance(TAKER, PERPETUAL) == 0
    assert state.quotes[BTC].ticks == 42_000_000_000
    assert state.quoted_ns[BTC] == state.marked_ns == 2 * HOUR_NS
    assert (state.funded, state.accrued) == ({PERPETUAL: 8}, {BTC: 480_000})
    assert state.delisted == state.frozen == state.expired == {OPTION}
    assert state.orders == {TAKER: {8: Order(8, PERPETUAL, -5, 4_300_000)}}
    assert state.next_order == 9
    assert state.references == {"wire-1", "wire-2"}
    assert (state.height, state.ts_ns) == (5, 5 * HOUR_NS)
    assert state.policy == samples.POLICY


def test_stages_and_auctions_come_and_go() -> None:
    running, over = state_of_the_day(4), state_of_the_day(5)
    assert running.accounts[TAKER].stage == "auction"
    assert running.auctions == {TAKER: Auction(2 * HOUR_NS, 5 * 10**8, 1)}
    assert running.accounts[MAKER].frozen
    assert over.accounts[TAKER].stage == "healthy"
    assert over.auctions == {}
    assert not over.accounts[MAKER].frozen


def test_insurance_is_counted_by_owner_and_day() -> None:
    state = state_of_the_day()
    assert (state.insured_day, state.insured) == (0, {"desk": 2 * 10**36})
    apply(state, e.Insured(account=MAKER, paid_e42=5, shortfall_e42=9))
    assert state.insured == {"desk": 2 * 10**36 + 5}
    assert state.insured_instruments == {samples.PERPETUAL: 2 * 10**36, -1: 5}
    state.begin_block(24 * HOUR_NS)
    apply(state, e.Insured(account=MAKER, paid_e42=1, shortfall_e42=1))
    assert (state.insured_day, state.insured, state.insured_instruments) == (1, {"desk": 1}, {-1: 1})


def test_frozen_instruments_thaw() -> None:
    state = state_of_the_day()
    apply(state, e.Frozen(instrument=OPTION, on=False))
    assert state.frozen == set()


def test_a_refusal_changes_nothing_but_its_key() -> None:
    state = state_of_the_day()
    before = state.hash()
    apply_entry(state, e.Entry(c.Sweep(USDC), (e.Refused(reason="no"),)))
    assert state.hash() == before
    apply_entry(state, e.Entry(c.Sweep(USDC), (e.Refused(reason="no"),), caller="desk", key="k"))
    assert state.hash() != before
    del state.receipts["desk", "k"]
    assert state.hash() == before


def test_receipts_say_where_the_answer_stands() -> None:
    state = state_of_the_day()
    command = samples.trading()[1].command
    assert state.receipts["custodian", "key-2"] == Receipt(command_digest(command), 2, 1)
    assert command_digest(c.Sweep(USDC)) != command_digest(c.Sweep(BTC)) != command_digest(c.Settle(BTC))


def test_touched_holds_accounts_until_it_is_cleared() -> None:
    state = state_of_the_day(1)
    assert state.touched == {MAKER, TAKER, LENDER}
    state.touched.clear()
    apply_entry(state, samples.deposit(TAKER, USDC, 1))
    apply(state, e.Swept(asset=0, postings=((INSURANCE, USDC, 1), (OUTSIDE, USDC, -1))))
    assert state.touched == {TAKER}
    state.touched.clear()
    apply(
        state,
        e.Filled(instrument=2, buyer=MAKER, seller=MARKET, lots=1, price_ticks=1, legs=((MAKER, 2, 1, 1),)),
    )
    assert state.touched == {MAKER}


def test_time_never_decreases() -> None:
    state = state_of_the_day()
    state.begin_block(state.ts_ns)
    with pytest.raises(AssertionError, match="time"):
        state.begin_block(state.ts_ns - 1)


def test_ten_thousand_postings_apply_in_milliseconds() -> None:
    state = State()
    event = e.Funded(
        instrument=PERPETUAL,
        interval=1,
        rate_e12=1,
        postings=tuple((account, USDC, 1 - 2 * (account % 2)) for account in range(10_000)),
    )
    apply(state, event)
    best = min(_timed(state, event) for _ in range(5))
    assert state.balance(1, USDC) == -6
    assert best < 0.05, "about 4 ms on one core; the bound leaves room for a busy machine"


def _timed(state: State, event: e.Event) -> float:
    start = perf_counter()
    apply(state, event)
    return perf_counter() - start
