"""An account's estate: what it is worth to the atom, and how all of it is turned into cash."""

import numpy as np

from solvent.domain.universe import OPTION
from solvent.engine.decide.liquidation import close_at_market, payment_of, swap
from solvent.engine.decide.moves import Moves
from solvent.engine.decide.refusal import shut
from solvent.engine.risk import Risk, profit_atoms
from solvent.ledger.state import State


def worth_e42(state: State, risk: Risk, moves: Moves, account: int) -> int:
    """Equity at the marks after some moves, in integers of 1e-42 USD: what the steps of a waterfall change."""
    worth = sum(atoms * risk.atom_value(state, asset) for asset, atoms in moves.balances(account).items())
    return worth + sum(position_e42(state, risk, i, *held) for i, held in moves.positions(account).items())


def position_e42(state: State, risk: Risk, i: int, lots: int, quote: int) -> int:
    """A position's unsettled profit, an option with its value at the mark, in integers of 1e-42 USD."""
    universe = state.universe
    atoms = profit_atoms(state, i, lots, quote)
    if universe.terms.form[i] == OPTION:
        atoms += lots * universe.value_atoms[i][0] * state.quotes[i].ticks
    return atoms * risk.atom_value(state, int(universe.terms.settlement[i]))


def held_back(state: State, account: int) -> str:
    """Why an estate cannot be closed whole: something in it cannot be traded. Empty where it can."""
    held = [i for i, (lots, _) in state.positions.get(account, {}).items() if lots]
    for i in sorted({*held, *state.balances.get(account, {})}):
        reason = shut(state, i)
        if reason:
            return f"{state.universe[i].id} {reason}"
    return ""


def sell_balances(state: State, risk: Risk, moves: Moves, account: int, impact: dict[int, float]) -> None:
    """Sell every balance for the payment asset, then buy back debts of others as far as that goes."""
    payment = payment_of(state, account)
    kept = {asset: atoms for asset, atoms in moves.balances(account).items() if asset != payment}
    for asset in sorted(kept, key=lambda asset: kept[asset] < 0):
        if shut(state, asset):
            continue
        impact_e9 = int(np.ceil(impact.get(asset, 0.0) * 1e9))
        atoms = kept[asset]
        if atoms < 0:
            atoms = -min(-atoms, buyable(state, risk, moves, account, asset, impact_e9))
        swap(state, risk, moves, account, asset, atoms, impact_e9)


def buyable(state: State, risk: Risk, moves: Moves, account: int, asset: int, impact_e9: int = 0) -> int:
    """Atoms of an asset that an account's own balance of the payment asset buys."""
    payment = payment_of(state, account)
    value, unit = risk.atom_value(state, asset), risk.atom_value(state, payment)
    return max(0, moves.balance(account, payment)) * 10**9 * unit // (value * (10**9 + impact_e9))


def close_positions(state: State, risk: Risk, moves: Moves, account: int, impact: dict[int, float]) -> None:
    """Close every position against the outside market."""
    for i, (lots, _) in moves.positions(account).items():
        if lots:
            close_at_market(state, risk, moves, account, i, lots, impact.get(i, 0.0))


def turn_into_cash(state: State, risk: Risk, moves: Moves, account: int, impact: dict[int, float]) -> None:
    """Sell, close and settle everything; what then is below zero is what the account owes."""
    sell_balances(state, risk, moves, account, impact)
    close_positions(state, risk, moves, account, impact)
    for i in moves.positions(account):
        moves.cash_out(account, i)
    sell_balances(state, risk, moves, account, {})


def debts(moves: Moves, account: int) -> dict[int, int]:
    """What an account owes, in atoms by asset."""
    return {asset: -atoms for asset, atoms in moves.balances(account).items() if atoms < 0}


def hand_over(moves: Moves, account: int, heir: int) -> None:
    """Give every balance above zero to another owner."""
    for asset, atoms in moves.balances(account).items():
        if atoms > 0:
            moves.pay(account, heir, asset, atoms)
