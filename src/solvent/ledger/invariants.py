"""The laws that hold after every event, whatever the prices were; checked by full sums."""

from collections import Counter
from typing import TYPE_CHECKING

from solvent.domain.owners import INSURANCE, POOL
from solvent.errors import Problem, problem

if TYPE_CHECKING:
    from solvent.ledger.state import State


def violations(state: "State") -> list[Problem]:
    """Every law that does not hold, as problems of `ledger`; empty where the state is conserved.

    Per asset balances sum to zero; per instrument lots and quote legs do; a pool lends no more than it has;
    insurance is never negative; shares add up; and the sums and sets that `apply` keeps are what they say.
    """
    return [*_balances(state), *_positions(state), *_pools(state)]


def _wrong(field: str, value: object, accepted: str) -> Problem:
    return problem("ledger", None, field, value, accepted)


def _instrument(state: "State", index: int) -> str:
    return state.universe[index].id if 0 <= index < len(state.universe) else str(index)


def _balances(state: "State") -> list[Problem]:
    total: Counter[int] = Counter()
    loans: Counter[int] = Counter()
    borrowers: dict[int, set[int]] = {}
    for owner, row in state.balances.items():
        for asset, atoms in row.items():
            total[asset] += atoms
            if owner >= 0 and atoms < 0:
                loans[asset] -= atoms
                borrowers.setdefault(asset, set()).add(owner)
    found = [
        _wrong(f"sum of {_instrument(state, asset)}", atoms, "0 over all owners")
        for asset, atoms in total.items()
        if atoms
    ]
    found += [
        _wrong(f"insurance of {_instrument(state, asset)}", atoms, "0 or more")
        for asset, atoms in state.balances.get(INSURANCE, {}).items()
        if atoms < 0
    ]
    for asset in sorted(
        loans.keys() | state.loans.keys() | state.borrowers.keys() | state.balances.get(POOL, {}).keys()
    ):
        kept, name = state.loans.get(asset, 0), _instrument(state, asset)
        if kept != loans[asset]:
            found.append(_wrong(f"loans of {name}", kept, f"{loans[asset]}, the sum of negative balances"))
        if state.borrowers.get(asset, set()) != borrowers.get(asset, set()):
            found.append(_wrong(f"borrowers of {name}", state.borrowers.get(asset), "accounts with a negative balance"))
        cash = state.balance(POOL, asset) - loans[asset]
        if cash < 0:
            found.append(_wrong(f"pool cash of {name}", cash, "0 or more"))
    return found


def _positions(state: "State") -> list[Problem]:
    lots: Counter[int] = Counter()
    quotes: Counter[int] = Counter()
    holders: dict[int, set[int]] = {}
    for owner, row in state.positions.items():
        for instrument, (held, quote) in row.items():
            lots[instrument] += held
            quotes[instrument] += quote
            holders.setdefault(instrument, set()).add(owner)
    found = []
    for instrument in sorted(holders.keys() | state.holders.keys()):
        name = _instrument(state, instrument)
        if lots[instrument]:
            found.append(_wrong(f"lots of {name}", lots[instrument], "0 over all owners"))
        if quotes[instrument]:
            found.append(_wrong(f"quote legs of {name}", quotes[instrument], "0 over all owners"))
        if state.holders.get(instrument, set()) != holders.get(instrument, set()):
            found.append(_wrong(f"holders of {name}", state.holders.get(instrument), "owners with a position"))
    return found


def _pools(state: "State") -> list[Problem]:
    found = []
    for asset, pool in state.pools.items():
        held = sum(pool.shares.values())
        if pool.total != held or any(shares <= 0 for shares in pool.shares.values()):
            found.append(
                _wrong(
                    f"shares of {_instrument(state, asset)}",
                    pool.total,
                    f"{held}, the sum of positive shares",
                )
            )
    return found
