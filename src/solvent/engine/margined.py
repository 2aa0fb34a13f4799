"""A book under its policy as reports need it: statements, what is held in each asset, the insurance fund, changes."""

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.book import Book
from solvent.domain.events import PolicyApproved, PolicySet
from solvent.domain.market import Market
from solvent.domain.owners import INSURANCE
from solvent.domain.policy import Policy
from solvent.domain.universe import SPOT
from solvent.engine.risk import Risk, exposure_usd
from solvent.engine.verdicts import Verdicts, verdicts
from solvent.errors import problem, raise_if
from solvent.ledger.journal import Journal
from solvent.ledger.recovery import recover

F64 = NDArray[np.float64]


class PolicyChange(NamedTuple):
    """A policy that came into effect."""

    ts_ns: int
    policy: str
    """Its label: name and digest."""
    by: str
    """Who ordered it; empty where the journal does not say."""


class Margined(msgspec.Struct, frozen=True, eq=False):
    """A book of A accounts at one market under one policy."""

    book: Book
    market: Market
    policy: Policy
    answer: Verdicts
    held_usd: dict[str, F64]
    """asset -> (A,) value of what each account holds of it in spot at marks, before haircuts; debts are not in it."""
    insurance_usd: float | None = None
    """The insurance fund at marks; None where a book alone is known."""
    changes: tuple[PolicyChange, ...] | None = None
    """Policies in the order in which they came into effect; None where a book alone is known."""


def margined(book: Book, market: Market, policy: Policy) -> Margined:
    """A book at a market. Raises SolventError as `verdicts` does."""
    return Margined(book, market, policy, verdicts(book, market, policy), held_usd(book, market))


def margined_of_journal(journal: Journal) -> Margined:
    """What a journal holds at its end, and the policies that were in effect in it.

    Raises SolventError where it is damaged, or has no policy or no mark.
    """
    state = recover(journal)
    risk = Risk(state)
    there = {"policy": state.policy is not None, "mark": risk.market is not None and len(risk.universe) > 0}
    missing = [name for name, is_there in there.items() if not is_there]
    raise_if([problem(journal.name, None, name, "none", "a journal with a policy and marks") for name in missing])
    assert state.policy is not None
    assert risk.market is not None
    rates = exposure_usd(risk.market)
    fund = sum(
        atoms / risk.universe.lot_atoms[asset] * float(rates[asset])
        for asset, atoms in state.balances.get(INSURANCE, {}).items()
        if asset < len(risk.universe)
    )
    found = margined(risk.book, risk.market, state.policy)
    return msgspec.structs.replace(found, insurance_usd=fund, changes=policy_changes(journal))


def policy_changes(journal: Journal) -> tuple[PolicyChange, ...]:
    """Every policy of a journal that came into effect by order or approval."""
    found = []
    for block in journal.read():
        for entry in block.entries():
            for event in entry.events:
                if isinstance(event, PolicySet):
                    found.append(PolicyChange(block.ts_ns, event.policy.label, entry.caller))
                elif isinstance(event, PolicyApproved) and event.policy is not None:
                    found.append(PolicyChange(block.ts_ns, event.policy.label, event.by))
    return tuple(found)


def held_usd(book: Book, market: Market) -> dict[str, F64]:
    """asset -> (A,) USD of positive spot balances at marks, all locations of an asset together."""
    terms, assets, rates = market.universe.terms, market.universe.assets, exposure_usd(market)
    found: dict[str, F64] = {}
    for account in range(len(book)):
        instruments, lots, _ = book.row(account)
        for i, q in zip(instruments.tolist(), lots.tolist(), strict=True):
            if q > 0 and terms.form[i] == SPOT:
                column = found.setdefault(assets[terms.underlying[i]], np.zeros(len(book)))
                column[account] += q * float(rates[i])
    return found
