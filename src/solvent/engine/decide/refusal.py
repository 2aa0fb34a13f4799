"""Saying no: the reason that a caller is told, and the checks that most commands share."""

from solvent.domain.instruments import Spot
from solvent.domain.quantities import ATOM_BOUND, LOT_BOUND
from solvent.domain.universe import SPOT
from solvent.ledger.state import State


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error
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
    """Refuse expired, frozen and delisted instruments."""
    known_instrument(state, instrument)
    id = state.universe[instrument].id
    refuse_unless(instrument not in state.expired, f"{id} has expired")
    refuse_unless(instrument not in state.frozen, f"{id} is frozen")


def fits_book(state: State, account: int, asset: int, atoms: int) -> None:
    """Refuse a balance that the book could not hold in 63 bits of lots."""
    lots = abs(state.balance(account, asset) + atoms) // state.universe.spot_of(asset).lot_atoms
    refuse_unless(lots < LOT_BOUND, f"atoms {atoms}: a balance below 2**63 lots")


def is_spot(state: State, instrument: int) -> bool:
    """Whether an instrument is a balance."""
    return bool(state.universe.terms.form[instrument] == SPOT)
