"""What a run came to: counters over its entries, and the figures that `--json` and reports show."""

from typing import Any

import msgspec

from solvent.domain import events as e
from solvent.domain.owners import INSURANCE
from solvent.engine.decide.accounts import pool_of
from solvent.engine.engine import TickReport
from solvent.engine.risk import MICRO_VALUE, Risk
from solvent.ledger.state import State
from solvent.margin.statement import Statement
from solvent.pools.shares import atoms_down


class Summary(msgspec.Struct):
    """Figures of a run so far; money in USD."""

    ticks: int = 0
    accounts: int = 0
    commands: int = 0
    liquidations: int = 0
    """Partial steps and auction takes."""
    accounts_liquidated: int = 0
    liquidated_notional_usd: float = 0.0
    penalties_usd: float = 0.0
    auctions: int = 0
    margin_calls: int = 0
    shortfall_usd: float = 0.0
    """What accounts owed beyond what they owned; insurance + deleveraging + socialised + bad debt - surplus."""
    insurance_start_usd: float = 0.0
    insurance_used_usd: float = 0.0
    insurance_end_usd: float = 0.0
    deleveraged_accounts: int = 0
    deleveraged_loss_usd: float = 0.0
    socialised_loss_usd: float = 0.0
    bad_debt_usd: float = 0.0
    surplus_usd: float = 0.0
    """What deleveraging at whole ticks brought beyond the shortfall; paid into insurance."""
    refused: int = 0
    initial_margin_to_notional: float = 0.0
    """Mean over ticks of initial margin over the notional that it margins."""
    uncovered_accounts_peak: int = 0
    """Most accounts at once with equity below zero at a mark, before liquidations."""
    ticks_degraded: int = 0
    conserved: bool = False
    state_hash: str = ""


class Tally:
    """Adds up entries as they become durable."""

    def __init__(self, state: State, risk: Risk) -> None:
        self.summary = Summary(accounts=len(state.accounts), insurance_start_usd=fund_usd(state, risk))
        self._liquidated: set[int] = set()
        self._bad_micro: dict[int, int] = {}
        """Bad debt of each account, which may be told of more than once."""
        self._margin = 0.0

    def add(self, report: TickReport) -> None:
        """Count one tick."""
        found = self.summary
        found.ticks += 1
        found.ticks_degraded += bool(report.degraded)
        found.commands += len(report.entries)
        for entry in report.entries:
            for event in entry.events:
                self._count(event)
        found.accounts_liquidated = len(self._liquidated)
        statement = report.statement
        if statement is not None:
            self._margin += margin_to_notional(statement)
            found.initial_margin_to_notional = self._margin / found.ticks
            found.uncovered_accounts_peak = max(found.uncovered_accounts_peak, int((statement.equity < 0).sum()))

    def _count(self, event: e.Event) -> None:
        found = self.summary
        match event:
            case e.Liquidated():
                found.liquidations += 1
                found.liquidated_notional_usd += event.notional_micro / 1e6
                found.penalties_usd += event.penalty_micro / 1e6
                self._liquidated.add(event.account)
            case e.AuctionStarted():
                found.auctions += event.resets == 0
            case e.AuctionTaken():
                found.liquidations += 1
                found.liquidated_notional_usd += event.notional_micro / 1e6
                self._liquidated.add(event.account)
            case e.Staged():
                found.margin_calls += event.stage == "called"
            case e.Insured():
                found.shortfall_usd += event.shortfall_micro / 1e6
                found.insurance_used_usd += event.paid_micro / 1e6
                self._liquidated.add(event.account)
            case e.Deleveraged():
                found.deleveraged_accounts += event.counterparties
                found.deleveraged_loss_usd += event.loss_micro / 1e6
            case e.LossShared():
                found.socialised_loss_usd += event.shared_micro / 1e6
                found.bad_debt_usd += (event.bad_debt_micro - self._bad_micro.get(event.account, 0)) / 1e6
                self._bad_micro[event.account] = event.bad_debt_micro
                found.surplus_usd += event.surplus_micro / 1e6
            case e.Refused():
                found.refused += 1

    def finish(self, state: State, risk: Risk) -> Summary:
        """The figures with the state's own: fund, conservation, hash."""
        self.summary.insurance_end_usd = fund_usd(state, risk)
        self.summary.conserved = state.conserved()
        self.summary.state_hash = state.hash().hex()
        return self.summary


def margin_to_notional(statement: Statement) -> float:
    """Initial margin of all accounts over the notional of those with equity above zero; 0 where there is none."""
    solvent = statement.equity > 0
    notional = float((statement.leverage[solvent] * statement.equity[solvent]).sum())
    return float(statement.initial_margin.sum()) / notional if notional else 0.0


def fund_usd(state: State, risk: Risk) -> float:
    """The insurance fund at the guarded marks, what it lends to pools included."""
    held = dict(state.balances.get(INSURANCE, {}))
    for asset in state.pools:
        held[asset] = held.get(asset, 0) + atoms_down(pool_of(state, asset), state.pool_shares(asset, INSURANCE))
    return sum(atoms * risk.atom_value(state, asset) for asset, atoms in held.items()) / MICRO_VALUE / 1e6


def figures(summary: Summary) -> dict[str, Any]:
    """The summary as plain JSON values, USD rounded to cents."""
    return {
        name: round(value, 2) if name.endswith("_usd") else value
        for name, value in msgspec.structs.asdict(summary).items()
    }
