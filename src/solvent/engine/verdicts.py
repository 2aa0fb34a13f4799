"""What one policy says of every account of a book: its state, or why the rule refuses it; none is left out."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.book import Book
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.engine.assess import decided
from solvent.engine.toxic import toxic_ltvs
from solvent.errors import Problem, SolventError
from solvent.margin.rule import Prepared, rule
from solvent.margin.rules.rows import net
from solvent.margin.statement import ExactStatement, Explanation, Statement

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
BOOL = NDArray[np.bool_]

HEALTHY, BELOW_INITIAL, LIQUIDATABLE, INSOLVENT, REFUSED = range(5)
ACCOUNT_STATES = ("healthy", "below initial", "liquidatable", "insolvent", "refused")
"""What an account is in, the worst that holds: equity < 0 is insolvent whatever the margins."""
IDS_SHOWN = 4
_MONEY = ("equity", "initial_margin", "maintenance_margin", "collateral_value", "liabilities", "leverage")


class Refusal(NamedTuple):
    """Why a rule says nothing about an account."""

    instruments: tuple[str, ...]
    """What it holds that the rule cannot margin; empty where the reason is another."""
    reason: str


class Verdicts(msgspec.Struct, frozen=True, eq=False):
    """A policy's answer about a book of A accounts at one market."""

    policy: Policy
    label: str
    statement: Statement
    """All A accounts; NaN for those refused. Exact where the float form may not decide."""
    state: I64
    """(A,) index into `ACCOUNT_STATES`."""
    refusals: Mapping[int, Refusal]
    """By account."""
    prepared: Prepared | None
    """The rule at the market; None where it refuses the market."""

    @property
    def liquidatable(self) -> BOOL:
        """(A,) the rule's own inequality; False for those refused."""
        return self.statement.liquidatable

    def counts(self) -> dict[str, int]:
        """How many accounts are in each state."""
        found = np.bincount(self.state, minlength=len(ACCOUNT_STATES))
        return dict(zip(ACCOUNT_STATES, found.tolist(), strict=True))

    def reasons(self) -> dict[str, list[int]]:
        """Accounts by each reason for which they are refused, instruments with the same one named together.

        An account may stand under several.
        """
        groups: dict[str, tuple[dict[str, None], dict[int, None]]] = {}
        for account, refusal in sorted(self.refusals.items()):
            for line in refusal.reason.splitlines():
                id, _, why = line.partition(" (")
                named = id in refusal.instruments
                ids, accounts = groups.setdefault(f" ({why}" if named else line, ({}, {}))
                ids.update({id: None} if named else {})
                accounts[account] = None
        return {_listed(list(ids)) + why: list(accounts) for why, (ids, accounts) in groups.items()}

    def toxic_ltvs(self) -> dict[str, float]:
        """See `solvent.engine.toxic`; empty for policies of no lending rule."""
        return toxic_ltvs(self.policy)

    def explain(self, book: Book, account: int) -> Explanation | None:
        """Every term of an account; None where it is refused."""
        if self.prepared is None or account in self.refusals:
            return None
        return self.prepared.explain(book, account)


def verdicts(book: Book, market: Market, policy: Policy, label: str = "") -> Verdicts:
    """Margin every account that the policy's rule can margin, and say of the others why not.

    label: how to call the policy; its name by default. Raises SolventError for a policy that is unsafe or
    names no rule.
    """
    size = len(book)
    try:
        prepared = rule(policy.rule).prepare(market.universe, market, policy)
    except SolventError as error:
        if any(each.file.startswith("policy") for each in error.problems):
            raise
        refusals = dict.fromkeys(range(size), Refusal((), str(error)))
        nothing = _whole(None, np.zeros(0, np.int64), book)
        return Verdicts(policy, label or policy.name, nothing, np.full(size, REFUSED), refusals, None)
    accounts, found, refusals = _assess(prepared, book)
    statement = decided(prepared, book, _whole(found, accounts, book))
    state = _states(prepared, book, statement, accounts)
    return Verdicts(policy, label or policy.name, statement, state, refusals, prepared)


def labels(policies: Sequence[Policy]) -> list[str]:
    """A name for each policy that tells it from the others: its own, with version or digest where that is shared."""
    found = []
    for position, each in enumerate(policies, 1):
        same = [other for other in policies if other.name == each.name]
        if len(same) == 1:
            found.append(each.name)
        elif len({other.version for other in same}) == len(same):
            found.append(f"{each.name} {'v' * each.version[:1].isdigit()}{each.version}")
        elif len({other.label for other in same}) == len(same):
            found.append(each.label)
        else:
            found.append(f"{each.label} ({position})")
    return found


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - IDS_SHOWN} more" if len(ids) > IDS_SHOWN else ""
    return ", ".join(ids[:IDS_SHOWN]) + more


def _assess(prepared: Prepared, book: Book) -> tuple[I64, Statement | None, dict[int, Refusal]]:
    """Assess what can be: whoever holds what the rule names in its refusal is set aside, then again."""
    rest = np.arange(len(book), dtype=np.int64)
    refusals: dict[int, Refusal] = {}
    while len(rest):
        try:
            return rest, prepared.assess(book, rest), refusals
        except SolventError as error:
            named = _named(book, rest, error.problems) or _alone(prepared, book, rest)
            if not named:
                raise
            refusals |= named
            rest = rest[~np.isin(rest, list(named))]
    return rest, None, refusals


def _named(book: Book, accounts: I64, problems: Sequence[Problem]) -> dict[int, Refusal]:
    """Accounts that a rule's problems are about, with all their reasons.

    A problem of the book names an instrument (`ID` or `ID (kind)`) as its value, and then means all who hold it
    (or owe it, where the kind is `debt`); else the account that stands as its field. One of the market names an
    instrument as its field.
    """
    rows = net(book, accounts)
    account_of = {book.names[i]: i for i in accounts.tolist()}
    about: dict[tuple[str, str], list[int]] = {}
    for each in problems:
        named, _, kind = (each.field if each.file == "market" else each.value).partition(" (")
        is_held = named in book.universe
        id = book.universe[book.universe.index(named)].id if is_held else ""
        key = id, f"{each.value}: {each.accepted}"
        if is_held and key not in about:  # a rule may say it again of every holder
            here = rows.instrument == book.universe.index(id)
            owed = kind == "debt)"
            about[key] = accounts[rows.owner[here & ((rows.lots < 0) | (not owed))]].tolist()
        elif each.field in account_of and not is_held:
            about.setdefault(key, []).append(account_of[each.field])
    found: dict[int, Refusal] = {}
    for (id, line), who in about.items():
        for account in who:
            ids, reason = found.get(account, ((), ""))
            found[account] = Refusal((*ids, id) if id else ids, f"{reason}\n{line}" if reason else line)
    return found


def _alone(prepared: Prepared, book: Book, accounts: I64) -> dict[int, Refusal]:
    """Accounts that the rule refuses for what they hold together, found by halving."""
    try:
        prepared.assess(book, accounts)
        return {}
    except SolventError as error:
        if len(accounts) == 1:
            return {int(accounts[0]): Refusal((), str(error))}
    half = len(accounts) // 2
    return {**_alone(prepared, book, accounts[:half]), **_alone(prepared, book, accounts[half:])}


def _whole(found: Statement | None, accounts: I64, book: Book) -> Statement:
    """A statement of every account of the book, with NaN where `found` has none."""
    size = len(book)

    def spread(name: str, empty: object) -> NDArray[Any]:
        column = np.full(size, empty)
        if found is not None:
            column[accounts] = getattr(found, name)
        return column

    columns: dict[str, Any] = {name: spread(name, np.nan) for name in _MONEY}
    columns |= {"worst_scenario": spread("worst_scenario", -1), "certain": spread("certain", True)}
    if found is not None:
        columns |= {"strict": found.strict, "ratio_name": found.ratio_name, "scenarios": found.scenarios}
        columns["venue_ratio"] = None if found.venue_ratio is None else spread("venue_ratio", np.nan)
    return Statement(account=np.arange(size, dtype=np.int64), names=tuple(book.names), **columns)


def _states(prepared: Prepared, book: Book, statement: Statement, accounts: I64) -> I64:
    """State of each account; uncertain ones are decided by the exact form."""
    state = np.full(len(book), REFUSED)
    state[accounts] = HEALTHY
    state[statement.equity < statement.initial_margin] = BELOW_INITIAL
    state[statement.liquidatable] = LIQUIDATABLE
    state[statement.equity < 0] = INSOLVENT
    for account in np.flatnonzero(~statement.certain).tolist():
        state[account] = _exact_state(prepared.exact(book, account))
    return state


def _exact_state(exact: ExactStatement) -> int:
    if exact.equity < 0:
        return INSOLVENT
    if exact.liquidatable:
        return LIQUIDATABLE
    return BELOW_INITIAL if exact.below_initial else HEALTHY
