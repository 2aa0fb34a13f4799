"""Deposits name what custody saw, large ones take two persons; where custody and ledger differ nobody withdraws."""

import pytest
from tests.engine.desk import BTC, INSURANCE, MARKET, PERP, USDC, Desk, btc, lots, policy_with, usdc

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.owners import IN_TRANSIT, OUTSIDE
from solvent.engine.decide.custody import custody_of
from solvent.engine.engine import Redecider, Submission
from solvent.ledger.recovery import recover, verify
from solvent.ledger.state import State


@pytest.fixture
def desk() -> Desk:
    """A venue at which more than 10,000 USD take two."""
    return Desk(policy_with(limits={"USDC": {"second_person_usd": 10_000}}))


def by(desk: Desk, command: c.Command, caller: str = "ada", origin: c.Origin = "operator") -> e.Event:
    (entry,) = desk.engine.execute([Submission(command, origin, caller)], desk.now_ns)
    assert desk.state.violations() == []
    return entry.events[0]


def why(event: e.Event) -> str:
    assert isinstance(event, e.Refused), event
    return event.reason


class TestReference:
    def test_every_deposit_names_one(self, desk: Desk) -> None:
        account = desk.open("trader")
        assert "custody reference" in why(by(desk, c.Deposit(account, USDC, 1)))
        assert "custody reference" in why(by(desk, c.Deposit(INSURANCE, USDC, 1)))
        assert "custody reference" in why(by(desk, c.Deposit(account, USDC, 1, "x" * 201)))
        assert isinstance(by(desk, c.Deposit(account, USDC, 1, "wire 1")), e.Deposited)

    def test_it_counts_once_for_ever_whoever_asks(self, desk: Desk) -> None:
        first, second = desk.open("first"), desk.open("second")
        by(desk, c.Deposit(first, USDC, 7, "wire 1"))
        desk.tick(60 * 24 * 30)
        for account, asset, caller in ((first, USDC, "ada"), (second, USDC, "grace"), (INSURANCE, BTC, "ada")):
            assert "never credited" in why(by(desk, c.Deposit(account, asset, 7, "wire 1"), caller))
        again = State.restore(desk.state.snapshot())
        assert again.references == {"wire 1"}
        assert desk.atoms(first) == 7


class TestSecondPerson:
    def test_a_large_deposit_waits_for_another_operator(self, desk: Desk) -> None:
        account = desk.open("trader")
        large = c.Deposit(account, USDC, usdc(10_000) + 1, "wire 1")
        event = by(desk, large)
        assert isinstance(event, e.DepositHeld)
        assert (event.by, event.reference) == ("ada", "wire 1")
        assert desk.atoms(account) == 0
        assert "other than the one" in why(by(desk, c.ConfirmDeposit("wire 1")))
        assert "named operator" in why(by(desk, c.ConfirmDeposit("wire 1"), ""))
        assert "origin risk" in why(by(desk, c.ConfirmDeposit("wire 1"), "grace", "risk"))
        assert "never credited" in why(by(desk, large, "grace"))  # not by reporting it again
        credited = by(desk, c.ConfirmDeposit("wire 1"), "grace")
        assert isinstance(credited, e.Deposited)
        assert credited.confirmed_by == "grace"
        assert desk.atoms(account) == usdc(10_000) + 1
        assert "a deposit that waits" in why(by(desk, c.ConfirmDeposit("wire 1"), "grace"))
        assert "never credited" in why(by(desk, large, "grace"))

    def test_up_to_the_limit_and_in_other_assets_one_is_enough(self, desk: Desk) -> None:
        account = desk.open("trader")
        assert isinstance(by(desk, c.Deposit(account, USDC, usdc(10_000), "wire 1")), e.Deposited)
        assert isinstance(by(desk, c.Deposit(account, BTC, btc(10), "wire 2")), e.Deposited)
        assert "named operator" in why(by(desk, c.Deposit(account, USDC, usdc(10_001), "wire 3"), ""))

    def test_the_fund_is_no_way_round(self, desk: Desk) -> None:
        assert isinstance(by(desk, c.Deposit(INSURANCE, USDC, usdc(20_000), "wire 1")), e.DepositHeld)
        account = desk.open("empty")
        assert "one person" in why(by(desk, c.Load(account, ((USDC, usdc(20_000)),))))
        assert isinstance(by(desk, c.Load(account, ((USDC, usdc(9_000)),))), e.Loaded)

    def test_what_is_dropped_may_be_reported_anew(self, desk: Desk) -> None:
        account = desk.open("trader")
        by(desk, c.Deposit(account, USDC, usdc(90_000), "wire 1"))
        assert isinstance(by(desk, c.ConfirmDeposit("wire 1", accept=False)), e.DepositDropped)
        assert isinstance(by(desk, c.Deposit(account, USDC, usdc(9_000), "wire 1")), e.Deposited)

    def test_caps_hold_when_it_is_confirmed(self) -> None:
        desk = Desk(policy_with(limits={"USDC": {"second_person_usd": 10_000, "daily_usd": 30_000}}))
        account = desk.open("trader")
        for number in (1, 2):
            assert isinstance(by(desk, c.Deposit(account, USDC, usdc(20_000), f"wire {number}")), e.DepositHeld)
        assert isinstance(by(desk, c.ConfirmDeposit("wire 1"), "grace"), e.Deposited)
        assert "daily cap" in why(by(desk, c.ConfirmDeposit("wire 2"), "grace"))

    def test_it_survives_recovery_and_can_be_decided_again(self, desk: Desk) -> None:
        account = desk.open("trader")
        for number in (1, 2, 3):
            by(desk, c.Deposit(account, USDC, usdc(20_000), f"wire {number}"))
        by(desk, c.ConfirmDeposit("wire 1"), "grace")
        assert recover(desk.engine.journal).held_deposits == desk.state.held_deposits
        assert State.restore(desk.state.snapshot()).hash() == desk.state.hash()
        assert verify(desk.engine.journal, redecide=Redecider()).problems == []

    def test_control_without_a_limit_one_person_credits_anything(self) -> None:
        desk = Desk()
        event = by(desk, c.Deposit(desk.open("trader"), USDC, usdc(1e9), "wire 1"))
        assert isinstance(event, e.Deposited)


class TestReconciliation:
    def test_what_agrees_stays_open(self, desk: Desk) -> None:
        account = desk.open("trader", 5_000.0)
        desk.insure(100.0)
        assert custody_of(desk.state, USDC) == usdc(5_100)
        event = by(desk, c.Reconcile(USDC, usdc(5_100)))
        assert event == e.Reconciled(asset=USDC, custody_atoms=usdc(5_100), ledger_atoms=usdc(5_100))
        assert isinstance(by(desk, c.Withdraw(account, USDC, 1), "trader", "owner"), e.Withdrawn)

    @pytest.mark.parametrize("off", [-1, 1, -usdc(5_000)])
    def test_an_atom_of_difference_stops_withdrawals_of_that_asset(self, desk: Desk, off: int) -> None:
        account = desk.open("trader", 5_000.0, BTC=1.0)
        by(desk, c.Reconcile(USDC, usdc(5_000) + off))
        assert "withdrawals of it are stopped" in why(by(desk, c.Withdraw(account, USDC, 1), "trader", "owner"))
        assert isinstance(by(desk, c.Withdraw(account, BTC, 1), "trader", "owner"), e.Withdrawn)
        desk.open("newcomer", 10.0)  # deposits go on
        by(desk, c.Reconcile(USDC, usdc(5_010)))  # agreement alone opens nothing: somebody has to say why
        assert desk.state.withheld == {USDC}
        assert State.restore(desk.state.snapshot()).withheld == {USDC}
        assert recover(desk.engine.journal).withheld == {USDC}

    def test_a_named_operator_releases_it_with_a_reason(self, desk: Desk) -> None:
        account = desk.open("trader", 5_000.0)
        assert "stopped" in why(by(desk, c.ReleaseWithdrawals(USDC, "no need")))
        by(desk, c.Reconcile(USDC, 0))
        assert "named operator" in why(by(desk, c.ReleaseWithdrawals(USDC, "counted again"), ""))
        assert "a reason" in why(by(desk, c.ReleaseWithdrawals(USDC, "")))
        assert "origin risk" in why(by(desk, c.ReleaseWithdrawals(USDC, "please"), "ada", "risk"))
        event = by(desk, c.ReleaseWithdrawals(USDC, "counted again"))
        assert event == e.WithdrawalsReleased(asset=USDC, by="ada", reason="counted again")
        assert isinstance(by(desk, c.Withdraw(account, USDC, 1), "trader", "owner"), e.Withdrawn)

    def test_the_outside_market_and_transit_are_not_in_custody(self, desk: Desk) -> None:
        desk.open("winner", 10_000.0)
        winner = desk.load("winner-2", {USDC: usdc(9_000)}, {PERP: lots(0.1)})
        desk.tick(BTC=61_000.0)
        desk.ok(c.Settle(PERP))
        assert desk.atoms(MARKET) < 0
        assert desk.atoms(winner) == usdc(9_100)
        assert custody_of(desk.state, USDC) == usdc(19_100)  # the market has paid its loss
        assert custody_of(desk.state, USDC) == -sum(desk.atoms(each) for each in (OUTSIDE, MARKET, IN_TRANSIT))

    def test_refusals(self, desk: Desk) -> None:
        assert "a spot instrument" in why(by(desk, c.Reconcile(PERP, 0)))
        assert "0 or more" in why(by(desk, c.Reconcile(USDC, -1)))
        assert "origin owner" in why(by(desk, c.Reconcile(USDC, 1), "north", "owner"))
