"""The one place that changes a state: adds up what an event moves, notes what it says, decides nothing."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from solvent.domain import events as e
from solvent.domain.commands import Command
from solvent.domain.quantities import ATOM_BOUND, LOT_BOUND
from solvent.ledger import adaptive
from solvent.ledger.records import Account, Auction, HeldDeposit, Pool, Receipt
from solvent.ledger.state import State

DAY_NS = 86_400 * 10**9
"""Caps of insurance are by UTC day."""


def apply(state: State, event: e.Event) -> None:
    """Add one decided event to a state; total over everything that `decide` may return.

    No prices, no margins, no randomness: integers in, integers out. Bounds are asserted, because an event
    beyond them should never have been decided.
    """
    if event.postings:
        _post(state, event.postings)
    if event.legs:
        _add_legs(state, event.legs)
    _NOTES[type(event)](state, event)


def apply_entry(state: State, entry: e.Entry) -> None:
    """Apply a command's events and remember its idempotency key; a refusal changes nothing but that key."""
    if entry.key:
        receipt = Receipt(command_digest(entry.command), state.height, state.entries)
        state.receipts[entry.caller, entry.key] = receipt
    for event in entry.events:
        apply(state, event)
    state.entries += 1


def apply_block(state: State, ts_ns: int, entries: Sequence[e.Entry]) -> None:
    """Apply the next block whole."""
    state.begin_block(ts_ns)
    for entry in entries:
        apply_entry(state, entry)


def command_digest(command: Command) -> str:
    """32 hexadecimal digits that tell the body of a command from any other."""
    return hashlib.blake2b(msgspec.json.encode(command, order="sorted"), digest_size=16).hexdigest()


def _post(state: State, postings: Sequence[e.Posting]) -> None:
    """Move balances. Runs once a posting of every event, hence the local names."""
    balances, touched = state.balances, state.touched
    for owner, asset, atoms in postings:
        row = balances.get(owner)
        if row is None:
            row = balances[owner] = {}
        before = row.get(asset, 0)
        after = before + atoms
        assert -ATOM_BOUND < after < ATOM_BOUND, "a balance beyond 128 bits"
        if after:
            row[asset] = after
        else:
            row.pop(asset, None)
        if owner >= 0:
            touched.add(owner)
            if before < 0 or after < 0:
                _owe(state, owner, asset, before, after)


def _owe(state: State, account: int, asset: int, before: int, after: int) -> None:
    """Keep an asset's loans in step with a balance that is or was negative."""
    owed = state.loans.get(asset, 0) + max(0, -after) - max(0, -before)
    if owed:
        state.loans[asset] = owed
    else:
        state.loans.pop(asset, None)
    borrowers = state.borrowers.setdefault(asset, set())
    if after < 0:
        borrowers.add(account)
    else:
        borrowers.discard(account)


def _add_legs(state: State, legs: Sequence[e.Leg]) -> None:
    """Move lots and quote legs. Runs once a leg of every event, hence the local names."""
    positions, holders, touched = state.positions, state.holders, state.touched
    for owner, instrument, lots, quote in legs:
        row = positions.get(owner)
        if row is None:
            row = positions[owner] = {}
        before = row.get(instrument)
        if before is not None:
            lots += before[0]
            quote += before[1]
        assert -LOT_BOUND < lots < LOT_BOUND, "a position beyond 64 bits"
        assert -ATOM_BOUND < quote < ATOM_BOUND, "a quote leg beyond 128 bits"
        if lots or quote:
            row[instrument] = (lots, quote)
            if before is None:
                holders.setdefault(instrument, set()).add(owner)
        elif before is not None:
            del row[instrument]
            holders[instrument].discard(owner)
        if owner >= 0:
            touched.add(owner)


def _only_moves(state: State, event: e.Event) -> None:
    """Everything such an event says is in its postings and legs, or for readers only."""


def _listed(state: State, event: e.InstrumentListed) -> None:
    state.universe = state.universe.listed(event.instrument)


def _delisted(state: State, event: e.InstrumentDelisted) -> None:
    state.delisted.add(event.instrument)


def _opened(state: State, event: e.AccountOpened) -> None:
    assert event.account == len(state.accounts), "accounts are numbered in order of opening"
    state.accounts.append(Account(event.name, event.owner, event.isolated))
    state.index[event.name] = event.account
    state.owned.setdefault(event.owner, []).append(event.account)
    state.touched.add(event.account)


def _deposited(state: State, event: e.Deposited) -> None:
    if event.reference:
        state.references.add(event.reference)
        state.held_deposits.pop(event.reference, None)
    day = state.ts_ns // DAY_NS
    if day != state.deposited_day:
        state.deposited_day = day
        state.deposited = {}
    for owner, asset, atoms in event.postings:
        if owner >= 0:
            state.deposited[asset] = state.deposited.get(asset, 0) + atoms


def _deposit_held(state: State, event: e.DepositHeld) -> None:
    state.held_deposits[event.reference] = HeldDeposit(event.account, event.asset, event.atoms, event.by)


def _deposit_dropped(state: State, event: e.DepositDropped) -> None:
    state.held_deposits.pop(event.reference, None)


def _reconciled(state: State, event: e.Reconciled) -> None:
    if event.custody_atoms != event.ledger_atoms:
        state.withheld.add(event.asset)


def _withdrawals_released(state: State, event: e.WithdrawalsReleased) -> None:
    state.withheld.discard(event.asset)


def _supplied(state: State, event: e.Supplied) -> None:
    pool = state.pools.setdefault(event.asset, Pool())
    pool.total += event.shares
    held = pool.shares.get(event.account, 0) + event.shares
    if held:
        pool.shares[event.account] = held
    else:
        pool.shares.pop(event.account, None)
    if event.account >= 0:
        state.touched.add(event.account)


def _order_opened(state: State, event: e.OrderOpened) -> None:
    state.orders.setdefault(event.account, {})[event.order.id] = event.order
    state.next_order = max(state.next_order, event.order.id + 1)
    state.touched.add(event.account)


def _orders_cancelled(state: State, event: e.OrdersCancelled) -> None:
    row = state.orders.get(event.account, {})
    for id in event.orders:
        row.pop(id, None)
    if not row:
        state.orders.pop(event.account, None)
    state.touched.add(event.account)


def _marked(state: State, event: e.Marked) -> None:
    state.marked_ns = event.ts_ns or state.ts_ns
    for quote in event.quotes:
        state.quotes[quote.instrument] = quote
        state.quoted_ns[quote.instrument] = state.ts_ns


def _funded(state: State, event: e.Funded) -> None:
    state.funded[event.instrument] = event.interval


def _accrued(state: State, event: e.Accrued) -> None:
    state.accrued[event.asset] = event.interval


def _expired(state: State, event: e.Expired) -> None:
    state.expired.add(event.instrument)


def _policy_set(state: State, event: e.PolicySet) -> None:
    state.policy = event.policy
    state.adaptive = adaptive.overruled(state.adaptive)


def _adaptive_enabled(state: State, event: e.AdaptiveEnabled) -> None:
    state.adaptive = adaptive.enabled(state.adaptive, event)


def _policy_proposed(state: State, event: e.PolicyProposed) -> None:
    assert state.adaptive is not None, "enabled first"
    state.adaptive = adaptive.proposed(state.adaptive, event, state.ts_ns)


def _policy_approved(state: State, event: e.PolicyApproved) -> None:
    assert state.adaptive is not None, "enabled first"
    state.adaptive = adaptive.approved(state.adaptive, event, state.ts_ns)
    state.policy = event.policy or state.policy


def _proposal_withdrawn(state: State, event: e.ProposalWithdrawn) -> None:
    assert state.adaptive is not None, "enabled first"
    state.adaptive = adaptive.withdrawn(state.adaptive, event)


def _policy_ramped(state: State, event: e.PolicyRamped) -> None:
    assert state.adaptive is not None, "enabled first"
    state.adaptive = adaptive.ramped(state.adaptive, event, state.ts_ns)
    state.policy = event.policy


def _ramp_held(state: State, event: e.RampHeld) -> None:
    assert state.adaptive is not None, "enabled first"
    state.adaptive = adaptive.held(state.adaptive, event)


def _staged(state: State, event: e.Staged) -> None:
    state.accounts[event.account].stage = event.stage
    state.touched.add(event.account)


def _auction_started(state: State, event: e.AuctionStarted) -> None:
    state.auctions[event.account] = Auction(event.start_ns, event.slice_e9, event.resets)
    state.touched.add(event.account)


def _auction_closed(state: State, event: e.AuctionClosed) -> None:
    state.auctions.pop(event.account, None)
    state.touched.add(event.account)


def _insured(state: State, event: e.Insured) -> None:
    day = state.ts_ns // DAY_NS
    if day != state.insured_day:
        state.insured_day = day
        state.insured, state.insured_instruments = {}, {}
    if event.paid_e42:
        owner, instrument = state.accounts[event.account].owner, event.instrument
        state.insured[owner] = state.insured.get(owner, 0) + event.paid_e42
        state.insured_instruments[instrument] = state.insured_instruments.get(instrument, 0) + event.paid_e42


def _frozen(state: State, event: e.Frozen) -> None:
    if event.account >= 0:
        state.accounts[event.account].frozen = event.on
        state.touched.add(event.account)
    if event.instrument >= 0:
        (state.frozen.add if event.on else state.frozen.discard)(event.instrument)


_NOTES: dict[type[Any], Callable[[State, Any], None]] = {
    e.Refused: _only_moves,
    e.InstrumentListed: _listed,
    e.InstrumentDelisted: _delisted,
    e.AccountOpened: _opened,
    e.Deposited: _deposited,
    e.DepositHeld: _deposit_held,
    e.DepositDropped: _deposit_dropped,
    e.Withdrawn: _only_moves,
    e.Transferred: _only_moves,
    e.Loaded: _only_moves,
    e.Supplied: _supplied,
    e.Filled: _only_moves,
    e.OrderOpened: _order_opened,
    e.OrdersCancelled: _orders_cancelled,
    e.Marked: _marked,
    e.Settled: _only_moves,
    e.Funded: _funded,
    e.Accrued: _accrued,
    e.Expired: _expired,
    e.PolicySet: _policy_set,
    e.AdaptiveEnabled: _adaptive_enabled,
    e.PolicyProposed: _policy_proposed,
    e.PolicyApproved: _policy_approved,
    e.ProposalWithdrawn: _proposal_withdrawn,
    e.PolicyRamped: _policy_ramped,
    e.RampHeld: _ramp_held,
    e.Staged: _staged,
    e.Liquidated: _only_moves,
    e.AuctionStarted: _auction_started,
    e.AuctionTaken: _only_moves,
    e.AuctionClosed: _auction_closed,
    e.Insured: _insured,
    e.Deleveraged: _only_moves,
    e.LossShared: _only_moves,
    e.Swept: _only_moves,
    e.Reconciled: _reconciled,
    e.WithdrawalsReleased: _withdrawals_released,
    e.SnapshotNoted: _only_moves,
    e.Frozen: _frozen,
}
"""What an event says beyond what it moves."""
