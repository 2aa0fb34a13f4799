"""The whole book under another policy: whom the policy alone would make liquidatable."""

import numpy as np

from solvent.domain.policy import Policy
from solvent.engine.risk import Risk
from solvent.margin.rule import rule
from solvent.margin.statement import Statement


def made_liquidatable(risk: Risk, policy: Policy) -> tuple[int, ...]:
    """Accounts, ascending, that are liquidatable at the present marks under `policy` and not under the one in effect.

    The float kernel screens, the exact form decides. Empty before there is a mark. Raises SolventError where the
    rule cannot be prepared.
    """
    if risk.prepared is None or risk.market is None:
        return ()
    after = rule(policy.rule).prepare(risk.universe, risk.market, policy)
    suspects = np.flatnonzero(_maybe_liquidatable(after.assess(risk.book)) & _maybe_sound(risk.statement()))
    return tuple(
        account
        for account in suspects.tolist()
        if after.exact(risk.book, account).liquidatable and not risk.exact(account).liquidatable
    )


def _maybe_liquidatable(statement: Statement) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = statement.liquidatable | (
        ~statement.certain & (statement.initial_margin > 0)
    )
    return found


def _maybe_sound(statement: Statement) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = ~statement.liquidatable | ~statement.certain
    return found
