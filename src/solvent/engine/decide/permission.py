"""Who sends a command, and whether he may: by the table of origins, and by whose account it is."""

from typing import NamedTuple

from solvent.domain import commands as c
from solvent.domain import origins
from solvent.engine.decide.refusal import Refusal, refuse_unless
from solvent.ledger.state import State


class Sender(NamedTuple):
    """Who issued a command, as its entry says."""

    origin: c.Origin = "engine"
    caller: str = ""


def permitted(state: State, command: c.Command, sender: Sender) -> None:
    """Refuse a command that its sender may not issue; owners and keepers act for accounts of their own only."""
    allowed = origins.ALLOWED[type(command)]
    if sender.origin not in allowed:
        raise Refusal(f"origin {sender.origin}: {' or '.join(allowed)} for {type(command).__name__}")
    if sender.origin not in origins.FOR_THEMSELVES:
        return
    if isinstance(command, c.OpenAccount):
        owner = command.owner or command.name
        refuse_unless(owner == sender.caller, f"owner {owner!r}: the caller, {sender.caller!r}")
    account = origins.account_of(command)
    if account is not None and account < len(state.accounts):
        own = account >= 0 and state.accounts[account].owner == sender.caller
        refuse_unless(own, f"account {account}: an account of the caller, {sender.caller!r}")
