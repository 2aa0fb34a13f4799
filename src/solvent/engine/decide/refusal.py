"""Saying no: the reason that a caller is told, and the checks that most commands share."""

from collections.abc import Iterable

from solvent.domain.instruments import Spot
from solvent.domain.market import OK, STATES
from solvent.domain.quantities import ATOM_BOUND, LOT_BOUND
from solvent.domain.universe import SPOT
from solvent.engine.risk import Risk, states_of
from solvent.ledger.state import State


class Refusal(Exception):
    """Why a command does nothing."""


def refuse_unless(good: bool, reason: str) -> None:
    """Raise Refusal with `reason` unless `good`."""
    if not good:
        raise Refusal(reason)


def known_account(state: State, account: int) -> None:
    """Refuse an account that was never opened."""
    refuse_unless(
        0 <= account < len(state.accounts), f"account {account}: an account from 0 to {len(state.accounts) - 1}"
    )


def known_instrument(state: State, instrument: int) -> None:
    """Refuse an instrument that is not listed."""
    size = len(state.universe)
    refuse_unless(0 <= instrument < size, f"instrument {instrument}: an instrument from 0 to {size - 1}")


def known_asset(state: State, asset: int) -> Spot:
    """The spot instrument of an asset; refuses others."""
    known_instrument(state, asset)
    spot = state.universe[asset]
    if not isinstance(spot, Spot):
        raise Refusal(f"instrument {spot.id}: a spot instrument")
    return spot


def positive_atoms(atoms: int) -> None:
    """Refuse amounts that are not above zero or do not fit."""
    refuse_unless(0 < atoms < ATOM_BOUND, f"atoms {atoms}: an amount above 0 and below 2**127")


def some_lots(lots: int) -> None:
    """Refuse lots that are not above zero or do not fit."""
    refuse_unless(0 < lots < LOT_BOUND, f"lots {lots}: whole lots above 0 and below 2**63")


def tradable(state: State, instrument: int) -> None:
    """Refuse expired and frozen instruments."""
    known_instrument(state, instrument)
    reason = shut(state, instrument)
    refuse_unless(not reason, f"{state.universe[instrument].id} {reason}")


def shut(state: State, instrument: int) -> str:
    """Why nobody may trade an instrument, forced or not; empty where it is open."""
    if instrument in state.expired or 0 < state.universe.terms.expiry_ns[instrument] <= state.ts_ns:
        return "has expired"
    return "is frozen" if instrument in state.frozen else ""


def marked(state: State, risk: Risk, instrument: int) -> None:
    """Refuse what has no mark yet: it cannot be margined."""
    good = instrument < len(risk.universe)
    refuse_unless(good, f"{state.universe[instrument].id}: an instrument with a mark, and all listed before it too")


def doubt(state: State, risk: Risk, instruments: Iterable[int]) -> str:
    """Why there is no new risk in what depends on these instruments; empty where their prices are good.

    A clock that runs ahead of the marks is as bad as a price that is not ok.
    """
    most_s = risk.parameters().oracle.halt_age_s
    ahead_s = (state.ts_ns - state.marked_ns) / 1e9
    if ahead_s > most_s:
        return f"marks of the last {most_s:g} s: the clock is {ahead_s:.0f} s ahead of them"
    worst = states_of(state, instruments)
    return "" if worst == OK else f"prices that are ok: one that the account depends on is {STATES[worst]}"


def fits_book(state: State, account: int, asset: int, atoms: int) -> None:
    """Refuse a balance that the book could not hold in 63 bits of lots."""
    lots = abs(state.balance(account, asset) + atoms) // state.universe.spot_of(asset).lot_atoms
    refuse_unless(lots < LOT_BOUND, f"atoms {atoms}: a balance below 2**63 lots")


def is_spot(state: State, instrument: int) -> bool:
    """Whether an instrument is a balance."""
    return bool(state.universe.terms.form[instrument] == SPOT)
