"""The same accounts under several policies, side by side: states, figures, and the terms that make the difference."""

from collections.abc import Sequence
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.book import Book
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.engine.assess import ArrowStream, inputs
from solvent.engine.term_rows import TermRow, term_rows
from solvent.engine.verdicts import ACCOUNT_STATES, REFUSED, Verdicts, labels, verdicts
from solvent.errors import SolventError, problem

if TYPE_CHECKING:
    import polars as pl

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
BOOL = NDArray[np.bool_]

POLICIES_MOST = 16


class Flip(NamedTuple):
    """Accounts on which two policies disagree."""

    liquidates: str
    """Label of the policy under which they would be liquidated."""
    spares: str
    """Label of the one that margins them too and would not."""
    accounts: I64


class Comparison(msgspec.Struct, frozen=True, eq=False):
    """Several policies' answers about one book at one market; A accounts, P policies."""

    book: Book
    market: Market
    answers: tuple[Verdicts, ...]
    """One a policy, each about every account."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What each policy is called here."""
        return tuple(each.label for each in self.answers)

    def states(self) -> I64:
        """(P, A) indices into `ACCOUNT_STATES`."""
        return np.stack([each.state for each in self.answers])

    def changing(self) -> I64:
        """Accounts that are in different states under policies that margin them; those furthest apart first."""
        states = self.states()
        low = states.min(axis=0)
        high = np.where(states == REFUSED, -1, states).max(axis=0)
        which = np.flatnonzero(high > low)
        gap = self.margin_gap()[which]
        return which[np.lexsort((which, -gap, -high[which]))]

    def common(self) -> BOOL:
        """(A,) accounts that every policy margins, but for policies that margin none."""
        margined = self.states() != REFUSED
        return np.asarray(margined[margined.any(axis=1)].all(axis=0))

    def margin_gap(self) -> F64:
        """(A,) largest less smallest maintenance margin among the policies that margin an account; 0 where none do."""
        margins = np.stack([each.statement.maintenance_margin for each in self.answers])
        none = np.isnan(margins)
        gap = np.where(none, -np.inf, margins).max(axis=0) - np.where(none, np.inf, margins).min(axis=0)
        return np.where(none.all(axis=0), 0.0, gap)

    def notable(self, count: int) -> list[int]:
        """Accounts to look at: those that change state, then those with the widest gap of maintenance margin."""
        gap = self.margin_gap()
        widest = [i for i in np.argsort(-gap, kind="stable")[: 2 * count].tolist() if gap[i] > 0]
        return list(dict.fromkeys([*self.changing().tolist(), *widest]))[:count]

    def flips(self) -> list[Flip]:
        """For every two policies the accounts that the one would liquidate and the other, margining them, not."""
        found = []
        for one, other in permutations(self.answers, 2):
            accounts = np.flatnonzero(one.liquidatable & ~other.liquidatable & (other.state != REFUSED))
            if len(accounts):
                found.append(Flip(one.label, other.label, accounts))
        return found

    def terms(self, account: int) -> tuple[TermRow, ...]:
        """Every term of an account that differs between the policies, the largest difference of each total first.

        Terms stand by their rules' own names; see `term_rows`.
        """
        return term_rows([each.explain(self.book, account) for each in self.answers])

    def to_frame(self) -> "pl.DataFrame":
        """A row an account and policy, P rows an account; figures are null where the rule refuses the account."""
        import polars as pl

        size = len(self.book)
        parts = [_frame(each).with_columns(place=pl.int_range(size), order=pl.lit(n)) for n, each in
                 enumerate(self.answers)]  # fmt: skip
        return pl.concat(parts).sort("place", "order").drop("place", "order")


def compare(book: Book | ArrowStream, market: Market | ArrowStream, policies: Sequence[Policy | str]) -> Comparison:
    """Every account of a book under every policy; book, market and policies as `assess` takes them.

    An account that a rule cannot margin is `refused` there, with reason and instruments; the other rules still
    answer. Raises SolventError for fewer than two policies and for an unsafe policy.
    """
    if not 2 <= len(policies) <= POLICIES_MOST:
        given = ", ".join(each if isinstance(each, str) else each.name for each in policies) or "none"
        raise SolventError(problem("compare", None, "policies", given, f"2 to {POLICIES_MOST} policies"))
    rows, prices, first = inputs(book, market, policies[0])
    read = [first, *(inputs(rows, prices, each)[2] for each in policies[1:])]
    answers = [verdicts(rows, prices, policy, label) for policy, label in zip(read, labels(read), strict=True)]
    return Comparison(rows, prices, tuple(answers))


def _frame(answer: Verdicts) -> "pl.DataFrame":
    import polars as pl

    size = len(answer.state)
    statement = answer.statement
    plain = statement.to_frame().drop("certain")
    refused = pl.Series(answer.state == REFUSED)
    numbers = [name for name in plain.columns if name not in ("account", "liquidatable", "worst_scenario")]
    reasons = [answer.refusals.get(i) for i in range(size)]
    return plain.with_columns(
        pl.when(~refused).then(pl.col(name)).alias(name) for name in [*numbers, "liquidatable"]
    ).select(
        "account",
        pl.lit(answer.label).alias("policy"),
        pl.Series("state", np.array(ACCOUNT_STATES, dtype=object)[answer.state], pl.String),
        *(each for each in plain.columns if each != "account"),
        pl.lit(statement.ratio_name).alias("ratio_name"),
        pl.Series(
            "refused_instruments", [", ".join(each.instruments) if each else None for each in reasons], pl.String
        ),
        pl.Series("refused_reason", [each.reason if each else None for each in reasons], pl.String),
    )
