"""Controls: each law of the state machine is broken on purpose, and seen to be broken."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.engine.desk import INSURANCE, PERP, USDC, Desk, lots, submission, usdc
from tests.stateful import laws

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.owners import MARKET, POOL
from solvent.engine import decide as decisions
from solvent.engine import engine as engines
from solvent.engine.engine import Submission
from solvent.margin.statement import ExactStatement

Change = Callable[[Any], Any]


@pytest.fixture
def venue() -> tuple[Desk, laws.Follower]:
    """A long of 1 BTC against a rich short, a small pool, a small fund; all laws hold."""
    desk = Desk()
    desk.lend(USDC, usdc(1_000))
    desk.insure(100.0)
    long, short = desk.open("long", 11_000.0), desk.open("short", 1e6)
    desk.ok(desk.trade(PERP, long, short, lots(1)))
    follower = laws.Follower()
    entries = follower.follow(desk)
    laws.adds_up(entries)
    laws.conserved(desk.state)
    laws.float_form_is_certain(desk)
    laws.margins_are_of_the_state(desk)
    laws.nobody_below_zero_is_overlooked(desk)
    laws.the_journal_verifies(desk)
    return desk, follower


def spoil(monkeypatch: pytest.MonkeyPatch, kind: type[Any], change: Change) -> None:
    """Let the engine decide its events of one kind wrongly."""
    right = decisions.decide

    def wrong(state: Any, risk: Any, command: c.Command, *sender: Any) -> tuple[Any, ...]:
        events = right(state, risk, command, *sender)
        return tuple(change(event) if isinstance(event, kind) else event for event in events)

    monkeypatch.setattr(engines, "decide", wrong)


def execute(desk: Desk, command: c.Command) -> e.Entry:
    """As the machine sends commands: the desk's own checks are left out."""
    (entry,) = desk.engine.execute([submission(desk.state, command)], desk.now_ns)
    return entry


Venue = tuple[Desk, laws.Follower]


def test_a_posting_of_one_atom_too_many(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, _ = venue
    spoil(monkeypatch, e.Deposited, lambda event: msgspec.structs.replace(event, postings=((0, USDC, 1),)))
    execute(desk, c.Deposit(0, USDC, 5))
    with pytest.raises(AssertionError, match="sum of USDC"):
        laws.conserved(desk.state)


def test_a_quote_leg_rounded_twice(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, _ = venue

    def change(event: e.Filled) -> e.Filled:
        owner, i, size, quote = event.legs[0]
        return msgspec.structs.replace(event, legs=((owner, i, size, quote - 1), event.legs[1]))

    spoil(monkeypatch, e.Filled, change)
    execute(desk, desk.trade(PERP, 1, 2, 1))
    with pytest.raises(AssertionError, match="quote legs of BTC/USDC:USDC"):
        laws.conserved(desk.state)


def test_lots_out_of_nothing(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, _ = venue
    spoil(monkeypatch, e.Filled, lambda event: msgspec.structs.replace(event, legs=event.legs[:1]))
    execute(desk, desk.trade(PERP, 1, 2, 1))
    with pytest.raises(AssertionError, match="lots of BTC/USDC:USDC"):
        laws.conserved(desk.state)


def test_a_pool_that_lends_more_than_it_has(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, _ = venue
    loan = ((1, USDC, -usdc(20_000)), (2, USDC, usdc(20_000)))
    spoil(monkeypatch, e.Deposited, lambda event: msgspec.structs.replace(event, postings=loan))
    execute(desk, c.Deposit(2, USDC, 5))
    with pytest.raises(AssertionError, match="pool cash of USDC"):
        laws.conserved(desk.state)


def test_a_fund_below_zero(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, _ = venue
    paid = ((INSURANCE, USDC, -usdc(200)), (2, USDC, usdc(200)))
    spoil(monkeypatch, e.Deposited, lambda event: msgspec.structs.replace(event, postings=paid))
    execute(desk, c.Deposit(2, USDC, 5))
    with pytest.raises(AssertionError, match="insurance of USDC"):
        laws.conserved(desk.state)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (e.Insured, "shortfall_e42"),
        (e.Insured, "paid_e42"),
        (e.Deleveraged, "loss_e42"),
        (e.LossShared, "shared_e42"),
        (e.LossShared, "surplus_e42"),
    ],
)
def test_a_loss_told_wrong_by_the_smallest_amount(
    venue: Venue, monkeypatch: pytest.MonkeyPatch, kind: type[Any], field: str
) -> None:
    desk, follower = venue
    spoil(monkeypatch, kind, lambda event: msgspec.structs.replace(event, **{field: getattr(event, field) + 1}))
    desk.tick(1, BTC=45_000.0)
    with pytest.raises(AssertionError):
        laws.adds_up(follower.follow(desk))


def test_an_atom_that_vanishes_between_insurance_and_account(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """The events say the same; what moves does not: the next step's own account of it gives it away."""
    desk, follower = venue

    def change(event: e.Insured) -> e.Insured:
        return msgspec.structs.replace(event, postings=(*event.postings, (event.account, USDC, -1), (MARKET, USDC, 1)))

    spoil(monkeypatch, e.Insured, change)
    desk.tick(1, BTC=45_000.0)
    with pytest.raises(AssertionError):
        laws.adds_up(follower.follow(desk))


def test_a_block_altered_in_the_journal(venue: Venue) -> None:
    desk, follower = venue
    execute(desk, c.Deposit(2, USDC, 5))
    blocks = desk.engine.journal.blocks
    blocks[-1] = msgspec.structs.replace(blocks[-1], payload=blocks[-1].payload.replace(b'"atoms":5', b'"atoms":6'))
    with pytest.raises(AssertionError, match="the block was altered"):
        follower.follow(desk)
    with pytest.raises(AssertionError, match="altered"):
        laws.the_journal_verifies(desk)


def test_a_block_cut_off_the_journal(venue: Venue) -> None:
    desk, follower = venue
    execute(desk, c.Deposit(2, USDC, 5))
    desk.engine.journal.blocks.pop()
    with pytest.raises(AssertionError):
        follower.follow(desk)


def test_what_was_applied_and_not_journalled(venue: Venue) -> None:
    desk, follower = venue
    event = e.Frozen(account=1)
    engines.apply_entry(desk.state, e.Entry(c.Freeze(account=1), (event,)))
    execute(desk, c.Deposit(2, USDC, 5))
    with pytest.raises(AssertionError, match="another state"):
        follower.follow(desk)


def test_an_answer_journalled_twice(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """What happened before a repeated key was told from a new one."""
    desk, follower = venue
    deposit = Submission(c.Deposit(2, USDC, 5), "engine", "desk", "k")
    desk.engine.execute([deposit], desk.now_ns)
    forget = msgspec.structs.replace
    monkeypatch.setattr(engines.msgspec.structs, "replace", lambda entry, **_: forget(entry))
    desk.engine.execute([deposit], desk.now_ns)
    monkeypatch.undo()
    with pytest.raises(AssertionError, match="another state"):
        follower.follow(desk)


def test_a_refusal_that_moves_something(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, _ = venue
    moved = ((2, USDC, -1), (POOL, USDC, 1))
    spoil(monkeypatch, e.Refused, lambda event: msgspec.structs.replace(event, postings=moved))
    before = laws.image(desk)
    entry = execute(desk, c.Sweep(USDC))
    with pytest.raises(AssertionError):
        laws.refusals_change_nothing(before, laws.image(desk), entry)


@pytest.mark.parametrize("field", ["equity", "initial_margin", "maintenance_margin"])
def test_an_exact_form_that_differs_from_the_float_form(
    venue: Venue, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    desk, _ = venue
    right = desk.engine.risk.exact

    def wrong(account: int) -> ExactStatement:
        found = right(account)
        return found._replace(**{field: getattr(found, field) + 10_000})  # a cent

    monkeypatch.setattr(desk.engine.risk, "exact", wrong)
    with pytest.raises(AssertionError):
        laws.float_form_is_certain(desk)


def test_a_float_form_that_is_certain_of_the_wrong_verdict(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, _ = venue
    right = desk.engine.risk.statement()
    desk.ok(c.Withdraw(1, USDC, desk.exact(1).equity - desk.exact(1).initial_margin))
    sure = msgspec.structs.replace(desk.engine.risk.statement(), certain=right.certain | True)
    sure.equity[1] -= 2e-6  # within what the exact form may round by, and on the other side of IM
    monkeypatch.setattr(desk.engine.risk, "statement", lambda: sure)
    with pytest.raises(AssertionError):
        laws.float_form_is_certain(desk)


def test_a_margin_view_that_missed_a_change(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, _ = venue
    desk.engine.risk.exact(2)
    monkeypatch.setattr(desk.engine.risk, "refresh", lambda state: None)
    execute(desk, c.Deposit(2, USDC, 1))
    with pytest.raises(AssertionError):
        laws.margins_are_of_the_state(desk)


def test_an_account_below_zero_that_the_waterfall_forgot(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, _ = venue
    monkeypatch.setattr(engines, "run_waterfall", lambda engine, statement: [])
    desk.tick(1, BTC=45_000.0)
    assert desk.exact(1).equity < 0
    with pytest.raises(AssertionError):
        laws.nobody_below_zero_is_overlooked(desk)


def test_an_insolvent_account_whose_position_was_left_open(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, _ = venue
    desk.mark(1, BTC=45_000.0)
    desk.ok(c.Insure(1))
    assert desk.stage(1) == "insolvent"
    with pytest.raises(AssertionError, match="left open"):
        laws.nobody_below_zero_is_overlooked(desk)
