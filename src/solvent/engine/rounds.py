"""One tick's waterfall: who is looked at, in which order, and which command comes next for each."""

from functools import cmp_to_key
from typing import TYPE_CHECKING

import numpy as np

from solvent.domain import commands as c
from solvent.domain.events import Deleveraged, Entry, LossShared, Refused
from solvent.domain.owners import MARKET
from solvent.engine.decide.liquidation import closable, discount_e18, liquidation_params
from solvent.ledger.records import AUCTION, INSOLVENT, LIQUIDATING, STAGES
from solvent.liquidation import auctions
from solvent.margin.statement import ExactStatement, Statement
from solvent.pools.fixed_point import WAD

if TYPE_CHECKING:
    from solvent.engine.engine import Engine

E9 = 10**9
ECHOES_MOST = 8
"""Bound on how often a tick looks again at those whom its shared losses have left below zero."""
_SLACK = 1e-6
"""The float screen lets accounts through this much early; the exact form decides."""


def run_waterfall(engine: "Engine", statement: Statement) -> list[Entry]:
    """Calls, partial liquidations worst first, auctions, insurance, deleveraging, loss sharing."""
    entries = [engine.run(c.MarginCall(account)) for account in candidates(engine, statement)]
    for account in worst_first(engine, in_stage(engine, LIQUIDATING)):
        entries += _liquidate(engine, account)
    for account in in_stage(engine, AUCTION):
        entries += _auction(engine, account)
    for account in worst_first(engine, in_stage(engine, INSOLVENT)):
        entries += _insolvent(engine, account)
    added = entries
    for _ in range(ECHOES_MOST):
        added = _echo(engine, added)
        if not added:
            break
        entries += added
    return entries


def _echo(engine: "Engine", entries: list[Entry]) -> list[Entry]:
    """What follows where sharing a loss has left somebody else below zero."""
    shared = (event for entry in entries for event in entry.events if isinstance(event, (Deleveraged, LossShared)))
    harmed = sorted({owner for event in shared for owner, *_ in event.legs if owner >= 0})
    found: list[Entry] = []
    for account in worst_first(engine, [each for each in harmed if engine.risk.exact(each).equity < 0]):
        if engine.state.accounts[account].stage != INSOLVENT:
            found += [engine.run(c.MarginCall(account)), *_insolvent(engine, account)]
    return [entry for entry in found if not _refused(entry)]


def in_stage(engine: "Engine", stage: str) -> list[int]:
    """Accounts of a stage, ascending."""
    found: list[int] = np.flatnonzero(engine.risk.stage == STAGES.index(stage)).tolist()
    return found


def candidates(engine: "Engine", statement: Statement) -> list[int]:
    """Accounts whose stage may have to change: by the float kernel, or because it is not certain of them."""
    stage, equity, maintenance = engine.risk.stage, statement.equity, statement.maintenance_margin
    below = equity < statement.initial_margin
    buffer = liquidation_params(engine.risk).buffer
    changes = (stage == 0) & (below | statement.liquidatable)
    released = equity >= (1 + liquidation_params(engine.risk).release * (1 - _SLACK)) * statement.initial_margin
    changes |= (stage == 1) & (released | statement.liquidatable)
    changes |= (stage > 1) & (equity >= (1 + buffer * (1 - _SLACK)) * maintenance)
    changes |= (stage == STAGES.index(INSOLVENT)) & (equity >= 0)
    unsure = (stage <= 1) & ~statement.certain & (statement.initial_margin > 0)
    found: list[int] = np.flatnonzero(changes | unsure).tolist()
    return found


def worst_first(engine: "Engine", accounts: list[int]) -> list[int]:
    """Equity below zero by shortfall, then equity over MM by cross-multiplication, ties by account."""
    exact = {account: engine.risk.exact(account) for account in accounts}

    def compare(a: int, b: int) -> int:
        return _order(exact[a], exact[b]) or a - b

    return sorted(accounts, key=cmp_to_key(compare))


def _order(a: ExactStatement, b: ExactStatement) -> int:
    if a.equity < 0 or b.equity < 0:
        return min(a.equity, 0) - min(b.equity, 0)
    return a.equity * b.maintenance_margin - b.equity * a.maintenance_margin


def _refused(entry: Entry) -> bool:
    return isinstance(entry.events[0], Refused)


def _liquidate(engine: "Engine", account: int) -> list[Entry]:
    """Partial steps until restored, at most as many as the policy allows in a tick."""
    entries: list[Entry] = []
    for _ in range(liquidation_params(engine.risk).steps_a_tick):
        if engine.risk.exact(account).equity < 0:
            return entries + _insolvent(engine, account)
        entries.append(engine.run(c.Liquidate(account)))
        if _refused(entries[-1]) or engine.state.accounts[account].stage != LIQUIDATING:
            break
    return entries


def _auction(engine: "Engine", account: int) -> list[Entry]:
    """Close, hand to insurance, reset, or bid for the outside market where that pays."""
    exact = engine.risk.exact(account)
    params = liquidation_params(engine.risk)
    if exact.equity < 0:
        return _insolvent(engine, account)
    if auctions.buffer_margin(exact.equity, exact.maintenance_margin, params.buffer) >= 0:
        return [engine.run(c.CloseAuction(account))]
    auction = engine.state.auctions[account]
    elapsed = (engine.state.ts_ns - auction.start_ns) // E9
    if auctions.needs_reset(params.auction, elapsed, auction.resets):
        return [engine.run(c.ResetAuction(account))]
    if discount_e18(engine.state, engine.risk, account) == 0:
        return [engine.run(c.Insure(account))]
    if not market_bids(engine, account, exact):
        return []
    entries = [engine.run(c.Bid(account, MARKET, E9))]
    if not _refused(entries[0]):
        entries.append(engine.run(c.CloseAuction(account)))
    return entries


def market_bids(engine: "Engine", account: int, exact: ExactStatement) -> bool:
    """Whether the discount pays the outside market for the impact of taking the whole account over."""
    price = discount_e18(engine.state, engine.risk, account)
    legs = closable(engine.state, engine.risk, account)
    cost = float((np.abs(legs.lots) * legs.exposure_usd * legs.impact).sum())
    return exact.equity / 1e6 * (WAD - price) / WAD >= cost


def _insolvent(engine: "Engine", account: int) -> list[Entry]:
    """Insurance, then deleveraging leg by leg, then sharing: nothing is left at the end of the tick."""
    entries: list[Entry] = []
    if engine.state.accounts[account].stage != INSOLVENT:
        entries.append(engine.run(c.Insure(account)))
    if engine.state.accounts[account].stage != INSOLVENT:
        return entries
    for instrument in sorted(engine.state.positions.get(account, {})):
        if engine.state.position(account, instrument)[0]:
            entries.append(engine.run(c.Deleverage(account, instrument)))
    entries.append(engine.run(c.Socialise(account)))
    return entries
