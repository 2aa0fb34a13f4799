"""Accounts and their cash: open, withdraw, transfer, lend, freeze; and the gates on taking money out."""

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.owners import OUTSIDE, POOL
from solvent.domain.quantities import div_up
from solvent.engine.decide.moves import Moves
from solvent.engine.decide.refusal import (
    Refusal,
    doubt,
    fits_book,
    known_account,
    known_asset,
    known_instrument,
    marked,
    positive_atoms,
    refuse_unless,
)
from solvent.engine.risk import MICRO_VALUE, Risk, profit_atoms, row_of
from solvent.ledger.records import HEALTHY
from solvent.ledger.state import State
from solvent.pools import shares

NAME_MOST = 200


def open_account(state: State, risk: Risk, command: c.OpenAccount) -> tuple[e.Event, ...]:
    """A new account; its name is unique, an isolated one names its settlement asset."""
    refuse_unless(0 < len(command.name) <= NAME_MOST, f"name: 1 to {NAME_MOST} characters")
    refuse_unless(command.name not in state.index, f"name {command.name!r}: a name that no account has")
    if command.isolated >= 0:
        known_asset(state, command.isolated)
    owner = command.owner or command.name
    return (e.AccountOpened(account=len(state.accounts), name=command.name, owner=owner, isolated=command.isolated),)


def withdraw(state: State, risk: Risk, command: c.Withdraw) -> tuple[e.Event, ...]:
    """Money to outside: equity >= IM after it, good prices, no liquidation under way, cash that is there."""
    withheld = command.asset in state.withheld
    refuse_unless(not withheld, "an asset of which custody and ledger agree: withdrawals of it are stopped")
    after = _outflow(state, risk, command.account, command.asset, command.atoms)
    postings = ((command.account, command.asset, -command.atoms), (OUTSIDE, command.asset, command.atoms))
    return (e.Withdrawn(account=command.account, postings=postings, verdicts=after),)


def transfer(state: State, risk: Risk, command: c.Transfer) -> tuple[e.Event, ...]:
    """Between accounts of one owner; the source passes the gates of a withdrawal."""
    known_account(state, command.target)
    known_account(state, command.source)
    source, target = state.accounts[command.source], state.accounts[command.target]
    refuse_unless(command.source != command.target, "two different accounts")
    refuse_unless(source.owner == target.owner, "accounts of one owner")
    refuse_unless(target.isolated in (-1, command.asset), "the settlement asset of the isolated account")
    fits_book(state, command.target, command.asset, command.atoms)
    after = _outflow(state, risk, command.source, command.asset, command.atoms)
    postings = (
        (command.source, command.asset, -command.atoms),
        (command.target, command.asset, command.atoms),
    )
    return (e.Transferred(source=command.source, target=command.target, postings=postings, verdicts=after),)


def supply(state: State, risk: Risk, command: c.Supply) -> tuple[e.Event, ...]:
    """Lend own cash to the asset's pool for shares, rounded down."""
    balance = state.balance(command.account, command.asset) if command.account >= 0 else 0
    refuse_unless(command.atoms <= balance, f"atoms {command.atoms}: at most the balance of {balance}")
    after = _outflow(state, risk, command.account, command.asset, command.atoms)
    minted = shares.shares_down(pool_of(state, command.asset), command.atoms)
    refuse_unless(minted > 0, "an amount that buys at least one share")
    postings = ((command.account, command.asset, -command.atoms), (POOL, command.asset, command.atoms))
    return (e.Supplied(account=command.account, asset=command.asset, shares=minted, postings=postings, verdicts=after),)


def redeem(state: State, risk: Risk, command: c.Redeem) -> tuple[e.Event, ...]:
    """Give shares back for the asset, rounded down, as far as the pool has cash."""
    known_account(state, command.account)
    known_asset(state, command.asset)
    held = state.pool_shares(command.asset, command.account)
    refuse_unless(0 < command.shares <= held, f"shares {command.shares}: 1 to {held}")
    atoms = shares.atoms_down(pool_of(state, command.asset), command.shares)
    cash = state.pool_cash(command.asset)
    refuse_unless(0 < atoms <= cash, f"shares worth 1 to {cash} atoms: the pool's cash")
    postings = ((POOL, command.asset, -atoms), (command.account, command.asset, atoms))
    return (e.Supplied(account=command.account, asset=command.asset, shares=-command.shares, postings=postings),)


def freeze(state: State, risk: Risk, command: c.Freeze) -> tuple[e.Event, ...]:
    """Stop an account or an instrument from new risk, or lift that."""
    refuse_unless((command.account >= 0) != (command.instrument >= 0), "an account or an instrument")
    if command.account >= 0:
        known_account(state, command.account)
    else:
        known_instrument(state, command.instrument)
    return (e.Frozen(account=command.account, instrument=command.instrument, on=command.on),)


def pool_of(state: State, asset: int) -> shares.Pool:
    """The pool of an asset as the share arithmetic sees it: its value is the balance of owner POOL."""
    lenders, loans = state.balance(POOL, asset), state.loans.get(asset, 0)
    pool = state.pools.get(asset)
    return shares.Pool(cash=lenders - loans, loans=loans, lenders=lenders, shares=pool.total if pool else 0)


def borrowable(state: State, account: int, asset: int, atoms: int) -> None:
    """Refuse a payment of `atoms` that would borrow more than the asset's pool has in cash."""
    balance = state.balance(account, asset)
    loan = max(0, atoms - max(0, balance))
    cash = state.pool_cash(asset)
    refuse_unless(
        loan <= cash, f"{state.universe[asset].id}: {atoms} atoms of a balance of {balance} and pool cash of {cash}"
    )


def _unsettled_micro(state: State, risk: Risk, account: int) -> int:
    """Positive unsettled profits in 1e-6 USD, up: what counts in equity but cannot be taken out, nor lent against."""
    worth = 0
    for i, (lots, quote) in state.positions.get(account, {}).items():
        payer = int(state.universe.terms.settlement[i])
        worth += max(0, profit_atoms(state, i, lots, quote)) * risk.atom_value(state, payer)
    return div_up(worth, MICRO_VALUE)


def _outflow(state: State, risk: Risk, account: int, asset: int, atoms: int) -> tuple[e.Verdict, ...]:
    """The gates on money that leaves an account; the verdict after it."""
    known_account(state, account)
    spot = known_asset(state, asset)
    positive_atoms(atoms)
    marked(state, risk, asset)
    record = state.accounts[account]
    refuse_unless(record.isolated in (-1, asset), "the settlement asset of the isolated account")
    refuse_unless(not record.frozen, "an account that is not frozen")
    refuse_unless(record.stage == HEALTHY, f"an account that is healthy, not {record.stage}")
    borrowable(state, account, asset, atoms)
    reason = doubt(state, risk, [*row_of(state, account).instruments, asset])
    refuse_unless(not reason, reason)
    moves = Moves(state)
    moves.pay(account, OUTSIDE, asset, atoms)
    exact = risk.gate_after(state, account, moves.row(account))
    unsettled = _unsettled_micro(state, risk, account) if moves.balance(account, asset) < 0 else 0
    if exact.equity - unsettled < exact.initial_margin:
        raise Refusal(
            f"{spot.id}: equity after it {exact.equity / 1e6:.6f} USD, of which unsettled profit "
            f"{unsettled / 1e6:.6f} USD backs no loan, at least the initial margin {exact.initial_margin / 1e6:.6f} USD"
        )
    return (e.Verdict(account, exact.equity, exact.initial_margin, exact.maintenance_margin),)
