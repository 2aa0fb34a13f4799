"""The second opinion: a slow venue in fractions that performs the same commands, written from the model's text."""

from collections.abc import Callable
from typing import Any

from tests.reference import insolvency, money, settlement, trading, waterfall
from tests.reference.margin import Verdict, verdict
from tests.reference.waterfall import Plan
from tests.reference.world import Refusal, World

from solvent.domain import commands as c

PERFORMERS: dict[type[Any], Callable[[World, Any], None]] = {
    c.ListInstrument: settlement.list_instrument,
    c.DelistInstrument: settlement.delist_instrument,
    c.SetPolicy: settlement.set_policy,
    c.Mark: settlement.mark,
    c.Settle: settlement.settle,
    c.Fund: settlement.fund,
    c.Expire: settlement.expire,
    c.Accrue: money.accrue,
    c.Sweep: money.sweep,
    c.Freeze: money.freeze,
    c.OpenAccount: money.open_account,
    c.Deposit: money.deposit,
    c.Withdraw: money.withdraw,
    c.Transfer: money.transfer,
    c.Load: money.load,
    c.Supply: money.supply,
    c.Redeem: money.redeem,
    c.Fill: trading.fill,
    c.OpenOrder: trading.open_order,
    c.CancelOrder: trading.cancel_order,
    c.MarginCall: waterfall.margin_call,
    c.StartAuction: waterfall.start_auction,
    c.ResetAuction: waterfall.reset_auction,
    c.CloseAuction: waterfall.close_auction,
    c.Bid: waterfall.bid,
}
PLANNED: dict[type[Any], Callable[[World, Any, Plan], None]] = {
    c.Liquidate: waterfall.liquidate,
    c.Insure: insolvency.insure,
    c.Deleverage: insolvency.deleverage,
    c.Socialise: insolvency.socialise,
}
"""Those of which floats may choose a part."""


class Reference:
    """A world and the commands that change it."""

    def __init__(self) -> None:
        self.world = World()

    def perform(self, command: c.Command, now_ns: int, plan: Plan = Plan()) -> str:  # noqa: B008
        """Perform a command; why it is refused, empty where it is accepted."""
        world = self.world.copy()
        world.now_ns, world.told, world.lean = now_ns, plan.verdict, plan.accepted
        kind = type(command)
        try:
            if kind in PLANNED:
                PLANNED[kind](world, command, plan)
            else:
                PERFORMERS[kind](world, command)
        except Refusal as refusal:
            self.world.now_ns, self.world.leaned = now_ns, world.leaned
            return str(refusal) or "refused"
        self.world = world
        return ""

    def verdict(self, account: int) -> Verdict:
        """Equity, IM and MM of an account with its orders."""
        return verdict(self.world, account)
