"""Who may issue which command: every origin with every command, and owners with accounts that are not theirs."""

from typing import Any, get_args

import pytest
from tests.engine.desk import BTC, CALL, PERP, USDC, Desk, policy_with, submission, usdc

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain import origins
from solvent.domain.adaptive import AdaptiveParams, Evidence
from solvent.domain.symbols import instrument
from solvent.engine.decide import Sender, decide
from solvent.engine.engine import Redecider, Submission
from solvent.ledger.image import image_of
from solvent.ledger.recovery import verify

COMMANDS: tuple[c.Command, ...] = (
    c.ListInstrument(instrument("SOL")), c.DelistInstrument(CALL), c.OpenAccount("new", "north"),
    c.Deposit(0, USDC, 5, "wire 1"), c.ConfirmDeposit("wire 0"), c.Withdraw(0, USDC, 5), c.Transfer(0, 1, USDC, 5),
    c.Load(2, ((USDC, 5),)), c.Supply(0, USDC, 5), c.Redeem(0, USDC, 10**6), c.Fill(PERP, 0, 3, 1, 600_000),
    c.OpenOrder(0, PERP, 1, 600_000), c.CancelOrder(0, 0), c.Mark(()), c.Settle(PERP), c.Fund(PERP, 1, 1),
    c.Accrue(USDC, 400_000), c.Expire(CALL, 1), c.SetPolicy(policy_with()), c.EnableAdaptive(AdaptiveParams()),
    c.ProposePolicy((("scan_range.BTC", 0.2),), Evidence("m", "0" * 64, 0, 1, ())), c.ApprovePolicy(1),
    c.WithdrawProposal(1), c.RampPolicy(), c.MarginCall(0), c.Liquidate(0), c.StartAuction(0), c.ResetAuction(0),
    c.CloseAuction(0), c.Bid(3, 0, 10**9), c.Insure(0), c.Deleverage(0, PERP), c.Socialise(0), c.Sweep(USDC),
    c.Freeze(0), c.Reconcile(USDC, 0), c.ReleaseWithdrawals(USDC, "counted again"), c.NoteSnapshot(1, "00"),
)  # fmt: skip
ACCEPTED = (
    c.ListInstrument, c.DelistInstrument, c.OpenAccount, c.Deposit, c.Withdraw, c.Transfer, c.Load, c.Supply, c.Redeem,
    c.Fill, c.OpenOrder, c.CancelOrder, c.Mark, c.Settle, c.SetPolicy, c.EnableAdaptive, c.Freeze, c.Reconcile,
    c.NoteSnapshot, c.Fund,
)  # fmt: skip
"""Those that do something at this venue when one who may sends them."""


@pytest.fixture(scope="module")
def venue() -> Desk:
    """An owner with two accounts, an empty account, a counterparty; an order, shares."""
    desk = Desk()
    for name, owner in (("north", ""), ("north-2", "north"), ("empty", ""), ("south", "")):
        desk.open(name, 0.0 if name == "empty" else 1e6, owner)
    desk.ok(c.Supply(0, USDC, usdc(100)))
    desk.ok(c.OpenOrder(0, PERP, 1, 500_000))
    desk.ok(c.Fill(PERP, 0, 3, 1, 600_000))
    return desk


def test_commands_are_all_there() -> None:
    assert {type(command) for command in COMMANDS} == set(get_args(c.Command))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
@pytest.mark.parametrize("origin", origins.ORIGINS)
def test_every_pair(venue: Desk, command: c.Command, origin: c.Origin) -> None:
    events = decide(venue.state, venue.engine.risk, command, Sender(origin, "north"))
    reason = events[0].reason if isinstance(events[0], e.Refused) else ""
    if origin not in origins.ALLOWED[type(command)]:
        assert reason.startswith(f"origin {origin}: "), events
        assert type(command).__name__ in reason
        return
    assert not reason.startswith("origin "), events
    if type(command) in ACCEPTED:
        assert not reason, events


@pytest.mark.parametrize(
    "command",
    [
        c.Withdraw(0, USDC, 5), c.Transfer(0, 1, USDC, 5), c.Supply(0, USDC, 5), c.Redeem(0, USDC, 10**6),
        c.OpenOrder(0, PERP, 1, 600_000), c.CancelOrder(0, 0), c.Bid(3, 0, 10**9), c.OpenAccount("north-3", "north"),
        c.OpenAccount("north-3"), c.Withdraw(-3, USDC, 5), c.Redeem(-3, USDC, 5),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("caller", ["south", "", "insurance", "North"])
def test_an_owner_acts_for_accounts_of_his_own(venue: Desk, command: c.Command, caller: str) -> None:
    (event,) = decide(venue.state, venue.engine.risk, command, Sender("owner", caller))
    assert isinstance(event, e.Refused)
    assert "caller" in event.reason


def test_the_engine_enforces_it_and_a_refusal_is_an_event() -> None:
    desk = Desk()
    account = desk.open("north", 100.0)
    before = image_of(desk.state)
    steal = Submission(c.Withdraw(account, USDC, usdc(100)), "owner", "south")
    (entry,) = desk.engine.execute([steal], desk.now_ns)
    assert isinstance(entry.events[0], e.Refused)
    assert (entry.origin, entry.caller) == ("owner", "south")
    assert image_of(desk.state).balances == before.balances
    with desk.engine.serve():
        for origin in ("venue", "keeper", "risk", "operator", "engine"):
            answer = desk.engine.submit(steal.command, origin, "north").result().entries[0]
            assert isinstance(answer.events[0], e.Refused), origin
        (event,) = desk.engine.submit(steal.command, "owner", "north").result().entries[0].events
        assert isinstance(event, e.Withdrawn)
    desk.engine.close()
    assert verify(desk.engine.journal, redecide=Redecider()).problems == []


def test_control_without_the_table_a_stranger_withdraws(monkeypatch: pytest.MonkeyPatch) -> None:
    from solvent.engine import decide as decisions

    desk = Desk()
    account = desk.open("north", 100.0)
    monkeypatch.setattr(decisions, "permitted", lambda *_: None)
    steal = Submission(c.Withdraw(account, USDC, usdc(100)), "owner", "south")
    (entry,) = desk.engine.execute([steal], desk.now_ns)
    assert isinstance(entry.events[0], e.Withdrawn)


def test_the_desk_sends_every_command_as_one_who_may(venue: Desk) -> None:
    for command in COMMANDS:
        sent: Any = submission(venue.state, command)
        assert sent.origin in origins.ALLOWED[type(command)]
    assert submission(venue.state, c.Deposit(0, BTC, 1)).origin == "engine"
