"""What follows from a command: events, from the ledger's integers and the margins of the moment. Never mutates."""

from collections.abc import Callable
from typing import Any

from solvent.domain import commands as c
from solvent.domain.events import Event, Refused
from solvent.engine.decide import accounts, custody, insolvency, liquidation, markets, policies, trading
from solvent.engine.decide.permission import Sender, permitted
from solvent.engine.decide.refusal import Refusal
from solvent.engine.risk import Risk
from solvent.errors import SolventError
from solvent.ledger.state import State

_DECIDERS: dict[type[Any], Callable[[State, Risk, Any], tuple[Event, ...]]] = {
    c.ListInstrument: markets.list_instrument,
    c.DelistInstrument: markets.delist_instrument,
    c.SetPolicy: markets.set_policy,
    c.Mark: markets.mark,
    c.Settle: markets.settle,
    c.Fund: markets.fund,
    c.Accrue: markets.accrue_interest,
    c.Expire: markets.expire,
    c.Sweep: markets.sweep,
    c.NoteSnapshot: markets.note_snapshot,
    c.Freeze: accounts.freeze,
    c.OpenAccount: accounts.open_account,
    c.Withdraw: accounts.withdraw,
    c.Transfer: accounts.transfer,
    c.Load: custody.load,
    c.Reconcile: custody.reconcile,
    c.Supply: accounts.supply,
    c.Redeem: accounts.redeem,
    c.OpenOrder: trading.open_order,
    c.CancelOrder: trading.cancel_order,
    c.Fill: trading.fill,
    c.MarginCall: liquidation.margin_call,
    c.Liquidate: liquidation.liquidate,
    c.StartAuction: liquidation.start_auction,
    c.ResetAuction: liquidation.reset_auction,
    c.CloseAuction: liquidation.close_auction,
    c.Bid: liquidation.bid,
    c.Insure: insolvency.insure,
    c.Deleverage: insolvency.deleverage,
    c.Socialise: insolvency.socialise,
}

_BY_SENDER: dict[type[Any], Callable[[State, Risk, Any, Sender], tuple[Event, ...]]] = {
    c.Deposit: custody.deposit,
    c.ConfirmDeposit: custody.confirm_deposit,
    c.ReleaseWithdrawals: custody.release_withdrawals,
    c.EnableAdaptive: policies.enable,
    c.ProposePolicy: policies.propose,
    c.ApprovePolicy: policies.approve,
    c.WithdrawProposal: policies.withdraw,
    c.RampPolicy: policies.ramp,
}
"""Those for which it matters who asks."""


def decide(state: State, risk: Risk, command: c.Command, sender: Sender = Sender()) -> tuple[Event, ...]:  # noqa: B008
    """Events of a command at the present state; a refusal is an event too, and moves nothing.

    Who may not issue the command is refused before anything else is looked at.
    """
    try:
        permitted(state, command, sender)
        by_sender = _BY_SENDER.get(type(command))
        if by_sender is not None:
            return by_sender(state, risk, command, sender)
        return _DECIDERS[type(command)](state, risk, command)
    except (Refusal, SolventError) as refusal:
        return (Refused(reason=str(refusal)),)


__all__ = ["Sender", "decide"]
