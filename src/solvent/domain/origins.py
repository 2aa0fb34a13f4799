"""Who may issue which command: one row a command, and the account that a command acts for.

An *origin* is a role, the caller is who plays it. `engine` is the writer itself: what follows from a tick, and money
that a generated book makes up. `owner` stands behind accounts, `venue` matches trades, `keeper` looks for liquidations,
`risk` sets parameters within bounds, `operator` runs the venue and speaks for its custody.
"""

from typing import Any, get_args

from solvent.domain import commands as c

ORIGINS: tuple[c.Origin, ...] = get_args(c.Origin)

ALLOWED: dict[type[Any], tuple[c.Origin, ...]] = {
    c.ListInstrument: ("operator",),
    c.DelistInstrument: ("risk", "operator"),
    c.OpenAccount: ("owner", "venue", "operator"),
    c.Deposit: ("engine", "operator"),
    c.ConfirmDeposit: ("operator",),
    c.Withdraw: ("owner",),
    c.Transfer: ("owner",),
    c.Load: ("operator",),
    c.Supply: ("owner",),
    c.Redeem: ("owner",),
    c.Fill: ("venue",),
    c.OpenOrder: ("owner", "venue"),
    c.CancelOrder: ("owner", "venue"),
    c.Mark: ("engine",),
    c.Settle: ("engine", "venue", "operator"),
    c.Fund: ("engine",),
    c.Accrue: ("engine",),
    c.Expire: ("engine",),
    c.SetPolicy: ("operator",),
    c.EnableAdaptive: ("operator",),
    c.ProposePolicy: ("engine", "risk", "operator"),
    c.ApprovePolicy: ("risk", "operator"),
    c.WithdrawProposal: ("engine", "risk", "operator"),
    c.RampPolicy: ("engine",),
    c.MarginCall: ("engine", "keeper"),
    c.Liquidate: ("engine", "keeper"),
    c.StartAuction: ("engine", "keeper"),
    c.ResetAuction: ("engine", "keeper"),
    c.CloseAuction: ("engine", "keeper"),
    c.Bid: ("engine", "owner", "keeper"),
    c.Insure: ("engine",),
    c.Deleverage: ("engine",),
    c.Socialise: ("engine",),
    c.Sweep: ("engine", "operator"),
    c.Freeze: ("risk", "operator"),
    c.Reconcile: ("operator",),
    c.ReleaseWithdrawals: ("operator",),
    c.NoteSnapshot: ("engine",),
}
"""Command -> origins that may issue it; nobody else may. What the outside decides (a price, a funding rate, what is
owed at expiry) reaches the ledger through the engine's own sources only, so nobody may claim it in a command."""

FOR_THEMSELVES: tuple[c.Origin, ...] = ("owner", "keeper")
"""Origins that act for accounts of their own: the caller is who stands behind the account."""

_ACCOUNT: dict[type[Any], str] = {
    c.Withdraw: "account",
    c.Transfer: "source",
    c.Supply: "account",
    c.Redeem: "account",
    c.OpenOrder: "account",
    c.CancelOrder: "account",
    c.Bid: "bidder",
}


def account_of(command: c.Command) -> int | None:
    """The account whose money or risk a command moves, so that its owner has to ask; None where there is none."""
    field = _ACCOUNT.get(type(command))
    return None if field is None else getattr(command, field)
