"""Money that enters, and whether it is there: deposits, a second person's word, books taken over, reconciliation."""

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.owners import IN_TRANSIT, INSURANCE, MARKET, OUTSIDE
from solvent.engine.decide.moves import Moves
from solvent.engine.decide.permission import Sender
from solvent.engine.decide.refusal import (
    Refusal,
    fits_book,
    is_spot,
    known_account,
    known_asset,
    marked,
    positive_atoms,
    refuse_unless,
    tradable,
)
from solvent.engine.risk import VALUE, Risk
from solvent.ledger.apply import DAY_NS
from solvent.ledger.state import State

REFERENCE_MOST = 200
REASON_MOST = 500
HELD_MOST = 10_000


def deposit(state: State, risk: Risk, command: c.Deposit, sender: Sender) -> tuple[e.Event, ...]:
    """Money from outside, to an account or to the insurance fund; within the listing's caps.

    It names the transfer that custody saw, which counts once; a large one waits for a second person. Only money that
    the engine itself makes up, for a generated book, has no reference and no size.
    """
    event = _credited(state, risk, command)
    if sender.origin == "engine":
        return (event,)
    refuse_unless(0 < len(command.reference) <= REFERENCE_MOST, f"a custody reference of 1 to {REFERENCE_MOST}")
    if not _needs_two(state, risk, command.asset, command.atoms):
        return (event,)
    refuse_unless(bool(sender.caller), "a named operator: a deposit of this size takes two")
    refuse_unless(len(state.held_deposits) < HELD_MOST, f"at most {HELD_MOST} deposits that wait")
    return (
        e.DepositHeld(
            account=command.account, asset=command.asset, atoms=command.atoms, reference=command.reference,
            by=sender.caller,
        ),
    )  # fmt: skip


def confirm_deposit(state: State, risk: Risk, command: c.ConfirmDeposit, sender: Sender) -> tuple[e.Event, ...]:
    """Another operator credits a deposit that waits, or drops it; who reported it may drop it too."""
    held = state.held_deposits.get(command.reference)
    if held is None:
        raise Refusal(f"reference {command.reference!r}: a deposit that waits")
    refuse_unless(bool(sender.caller), "a named operator")
    if not command.accept:
        return (e.DepositDropped(reference=command.reference, by=sender.caller),)
    refuse_unless(sender.caller != held.by, "an operator other than the one who reported it")
    plain = c.Deposit(held.account, held.asset, held.atoms, command.reference)
    return (_credited(state, risk, plain, confirmed_by=sender.caller),)


def _credited(state: State, risk: Risk, command: c.Deposit, confirmed_by: str = "") -> e.Deposited:
    """What crediting a deposit moves; refused where it may not be."""
    spot = known_asset(state, command.asset)
    positive_atoms(command.atoms)
    new = command.reference not in state.references
    new &= bool(confirmed_by) or command.reference not in state.held_deposits
    refuse_unless(
        not command.reference or new, f"reference {command.reference!r}: a custody reference that was never credited"
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
    return e.Deposited(
        account=command.account, reference=command.reference, confirmed_by=confirmed_by,
        postings=tuple(moves.postings),
    )  # fmt: skip


def _needs_two(state: State, risk: Risk, asset: int, atoms: int) -> bool:
    """Whether so much of an asset takes a second person to bring in."""
    limit = risk.limit_of(state, asset)
    if limit is None or limit.second_person_usd is None:
        return False
    return atoms * risk.atom_value(state, asset) > limit.second_person_usd * VALUE


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
        two = atoms > 0 and _needs_two(state, risk, asset, atoms)
        refuse_unless(not two, "balances that take one person: a larger one is a deposit")
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


def reconcile(state: State, risk: Risk, command: c.Reconcile) -> tuple[e.Event, ...]:
    """Compare custody with the ledger; from an atom of difference on withdrawals of the asset stop.

    More in custody than in the ledger is a difference too: somebody's deposit was not credited.
    """
    known_asset(state, command.asset)
    refuse_unless(command.custody_atoms >= 0, f"custody_atoms {command.custody_atoms}: 0 or more")
    ledger = custody_of(state, command.asset)
    return (e.Reconciled(asset=command.asset, custody_atoms=command.custody_atoms, ledger_atoms=ledger),)


def custody_of(state: State, asset: int) -> int:
    """Atoms that custody should hold: what everybody inside has together.

    Not the outside market's, which has paid for what it took, and not what is in transit.
    """
    return -sum(state.balance(owner, asset) for owner in (OUTSIDE, MARKET, IN_TRANSIT))


def release_withdrawals(state: State, risk: Risk, command: c.ReleaseWithdrawals, sender: Sender) -> tuple[e.Event, ...]:
    """A named operator says why an asset may be withdrawn again."""
    known_asset(state, command.asset)
    refuse_unless(command.asset in state.withheld, "an asset whose withdrawals are stopped")
    refuse_unless(bool(sender.caller), "a named operator")
    refuse_unless(0 < len(command.reason) <= REASON_MOST, f"a reason of 1 to {REASON_MOST} characters")
    return (e.WithdrawalsReleased(asset=command.asset, by=sender.caller, reason=command.reason),)
