"""Who holds the other side of a bankrupt leg: one snapshot a mark, kept in step with what changes after it."""

import numpy as np
from numpy.typing import NDArray

from solvent.domain.owners import MARKET
from solvent.engine.decide.moves import Moves
from solvent.engine.risk import Risk, profit_atoms
from solvent.ledger.records import INSOLVENT, STAGES
from solvent.ledger.state import State
from solvent.liquidation.deleveraging import Counterparties
from solvent.margin.statement import ExactStatement

I64 = NDArray[np.int64]

CANDIDATES_FACTOR = 4
"""Counterparties are examined for hedges until they hold this many times the lots that are needed."""


_MICRO_MOST = 2**62
"""Scores are compared in 63 bits: who has more than 4e12 USD is ranked as if it were that."""


def _fits(micro: float) -> int:
    return int(max(-_MICRO_MOST, min(_MICRO_MOST, micro)))


class Holders:
    """Every account with a position in one instrument, as arrays; rows of accounts that change are read again."""

    def __init__(self, state: State, risk: Risk, i: int) -> None:
        self.instrument = i
        accounts = [each for each in state.holders_of(i) if each >= 0]
        self.account = np.array(accounts, dtype=np.int64)
        self.row = {account: k for k, account in enumerate(accounts)}
        self.lots, self.profit, self.account_notional, self.equity = (
            np.zeros(len(accounts), dtype=np.int64) for _ in range(4)
        )
        self.read(state, risk, accounts)

    def read(self, state: State, risk: Risk, accounts: list[int]) -> None:
        """Read some accounts again. Money in 1e-6 USD, equity from the float kernel."""
        known = [account for account in accounts if account in self.row]
        if not known:
            return
        i, exposure = self.instrument, risk.exposure_usd().tolist()
        payer = int(state.universe.terms.settlement[i])
        at = [self.row[account] for account in known]
        held = [state.position(account, i) for account in known]
        self.lots[at] = [lots for lots, _ in held]
        self.profit[at] = [_fits(risk.usd_micro_down(state, payer, profit_atoms(state, i, *each))) for each in held]
        self.account_notional[at] = [
            _fits(sum(abs(q) * exposure[k] for k, (q, _) in state.positions.get(account, {}).items()) * 1e6)
            for account in known
        ]
        equity = risk.statement(np.array(known, dtype=np.int64)).equity * 1e6
        self.equity[at] = np.clip(equity, -_MICRO_MOST, _MICRO_MOST).astype(np.int64)


def counterparties(
    state: State, risk: Risk, account: int, i: int, price_ticks: int
) -> tuple[list[int], Counterparties]:
    """Accounts that hold the other side of an account's position; hedges that their holders need are skipped."""
    holders = risk.snapshot(i, lambda: Holders(state, risk, i))
    changed = sorted(risk.changed_since(i))
    if any(each not in holders.row and state.position(each, i)[0] for each in changed):
        risk.forget(i)
        holders = risk.snapshot(i, lambda: Holders(state, risk, i))
    else:
        holders.read(state, risk, changed)
    lots = state.position(account, i)[0]
    own = state.owned[state.accounts[account].owner]
    opposite = (holders.lots > 0) == (lots < 0)
    sound = risk.stage[holders.account] != STAGES.index(INSOLVENT)
    rows = np.flatnonzero(opposite & (holders.lots != 0) & sound & ~np.isin(holders.account, own))
    held = np.abs(holders.lots[rows])
    parties = Counterparties(
        account=holders.account[rows],
        lots=held,
        profit=holders.profit[rows],
        notional=np.minimum(held * float(risk.exposure_usd()[i]) * 1e6, _MICRO_MOST).astype(np.int64),
        account_notional=holders.account_notional[rows],
        equity=holders.equity[rows],
        skip=np.zeros(len(rows), dtype=np.bool_),
    )
    _skip_hedges(state, risk, parties, i, lots, price_ticks)
    return parties.account.tolist(), parties


def harmed(now: ExactStatement, after: ExactStatement) -> bool:
    """Whether closing a leg leaves its holder insolvent, or further below its initial margin than it was: a hedge."""
    excess, was = after.equity - after.initial_margin, now.equity - now.initial_margin
    return after.equity < 0 or excess < min(0, was)


def _skip_hedges(state: State, risk: Risk, parties: Counterparties, i: int, lots: int, price_ticks: int) -> None:
    """Mark holders whose initial margin would exceed their equity without the leg.

    Looks at the most profitable first, as the queue does, until they hold enough.
    """
    needed = CANDIDATES_FACTOR * abs(lots)
    score = parties.profit / np.maximum(parties.notional, 1) * parties.account_notional / np.maximum(parties.equity, 1)
    seen = 0
    for k in np.argsort(-score, kind="stable"):
        if seen >= needed:
            break
        owner = int(parties.account[k])
        closed = min(int(parties.lots[k]), abs(lots))
        moves = Moves(state)
        moves.trade(*((owner, MARKET) if lots > 0 else (MARKET, owner)), i, closed, price_ticks, forced=True)
        after = risk.exact_after(state, owner, moves.row(owner))
        now = risk.exact(owner)
        parties.skip[k] = harmed(now, after)
        if not parties.skip[k]:
            seen += int(parties.lots[k])
