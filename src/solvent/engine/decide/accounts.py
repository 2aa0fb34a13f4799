"""Accounts and their cash: open, deposit, withdraw, transfer, lend, freeze; and the gates on taking money out."""

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.owners import INSURANCE, MARKET, OUTSIDE, POOL
from solvent.domain.quantities import div_up
from solvent.engine.decide.moves import Moves
from solvent.engine.decide.refusal import (
    Refusal,
    doubt,
    fits_book,
    is_spot,
    known_account,
    known_asset,
    known_instrument,
    marked,
    positive_atoms,
    refuse_unless,
    tradable,
)
from solvent.engine.risk import MICRO_VALUE, VALUE, Risk, profit_atoms, row_of
from solvent.ledger.apply import DAY_NS
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


def deposit(state: State, risk: Risk, command: c.Deposit) -> tuple[e.Event, ...]:
    """Money from outside, to an account or to the insurance fund; within the listing's caps."""
    spot = known_asset(state, command.asset)
    positive_atoms(command.atoms)
    refuse_unless(
        not command.reference or command.reference not in state.references,
        f"reference {command.reference!r}: a custody reference that was never credited",
    )
    if command.account != INSURANCE:
        known_account(state, command.account)
        isolated = state.accounts[command.account].isolated
        refuse_unless(isolated in (-1, command.asset), f"{spot.id}: the settlement asset of the isolated account")
        marked(state, risk, command.asset)
        fits_book(state, command.account, command.asset, command.atoms)
        _within_caps(state, risk, command)
    moves = Moves(state)
    moves.pay(OUTSIDE, command.account, command.asset, command.atoms)
    if command.account != INSURANCE:
        risk.exact_after(state, command.account, moves.row(command.account))  # refused where it cannot be margined
    return (e.Deposited(account=command.account, reference=command.reference, postings=tuple(moves.postings)),)


def _within_caps(state: State, risk: Risk, command: c.Deposit) -> None:
    """Owner, total and daily caps of the asset's listing."""
    limit = risk.limit_of(state, command.asset)
    if limit is None:
        return
    asset, value = command.asset, risk.atom_value(state, command.asset)
    unit = 10 ** state.universe.spot_of(asset).decimals
    held = owner_atoms(state, state.accounts[command.account].owner, asset) + command.atoms
    total = command.atoms - state.balance(OUTSIDE, asset) - state.balance(INSURANCE, asset)
    today = state.deposited.get(asset, 0) if state.deposited_day == state.ts_ns // DAY_NS else 0
    for amount, usd, units, name in (
        (held, limit.owner_usd, limit.owner_units, "owner cap"),
        (total, limit.total_usd, limit.total_units, "total cap"),
        (today + command.atoms, limit.daily_usd, None, "daily cap"),
    ):
        refuse_unless(usd is None or amount * value <= usd * VALUE, f"{name} of {usd} USD")
        refuse_unless(units is None or amount <= units * unit, f"{name} of {units} coins")


def owner_atoms(state: State, owner: str, asset: int) -> int:
    """What all accounts of an owner hold of an asset, debts left out."""
    return sum(max(0, state.balance(each, asset)) for each in state.owned[owner])


def withdraw(state: State, risk: Risk, command: c.Withdraw) -> tuple[e.Event, ...]:
    """Money to outside: equity >= IM after it, good prices, no liquidation under way, cash that is there."""
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


def load(state: State, risk: Risk, command: c.Load) -> tuple[e.Event, ...]:
    """Take over an account from another system."""
    account = command.account
    known_account(state, account)
    risk.ready()
    refuse_unless(
        not state.balances.get(account) and not state.positions.get(account), "an account that has nothing yet"
    )
    isolated = state.accounts[account].isolated
    moves = Moves(state)
    for asset, atoms in command.balances:
        known_asset(state, asset)
        marked(state, risk, asset)
        refuse_unless(isolated in (-1, asset), "balances in the settlement asset of the isolated account")
        moves.pay(OUTSIDE, account, asset, atoms)
    for instrument, lots, quote in command.positions:
        tradable(state, instrument)
        marked(state, risk, instrument)
        refuse_unless(not is_spot(state, instrument), "positions in derivatives")
        settles = int(state.universe.terms.settlement[instrument])
        refuse_unless(isolated in (-1, settles), "positions that settle in the asset of the isolated account")
        moves.give(MARKET, account, instrument, lots, quote)
    moves.refuse_beyond_limits()
    risk.exact_after(state, account, moves.row(account))  # refused where it cannot be margined
    return (e.Loaded(account=account, postings=tuple(moves.postings), legs=tuple(moves.legs)),)


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
