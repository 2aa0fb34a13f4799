"""What of a policy is under way, a row a parameter: for people, on the screen and in lists."""

from collections.abc import Iterator
from typing import NamedTuple

from solvent.domain.adaptive import AdaptiveParams, Change, Ramp
from solvent.engine.adaptive.parameters import value_of
from solvent.engine.adaptive.ramps import DAY_S, S_NS, rate_daily
from solvent.ledger.state import State

PERSON, NOTICE, DELAY, RAMP = "a person", "notice", "delay", "ramp"
"""What a change waits for; a ramp runs."""


class Move(NamedTuple):
    """One parameter of one proposal."""

    proposal: int
    parameter: str
    present: float
    """In effect for existing positions."""
    target: float
    waits_for: str
    end_ns: int
    """When existing positions have it in full, if nothing holds it up; 0 where a person decides."""
    by: str
    """Who proposed it; empty for the engine."""
    reason: str


def moves_of(state: State) -> list[Move]:
    """All that is under way, ramps first, by proposal."""
    if state.adaptive is None or state.policy is None:
        return []
    return [*_ramping(state, state.adaptive.params), *_waiting(state)]


def _ramping(state: State, params: AdaptiveParams) -> Iterator[Move]:
    assert state.adaptive is not None
    assert state.policy is not None
    for ramp in state.adaptive.ramps:
        for change in ramp.changes:
            present = value_of(state.policy, change.parameter)
            if present < change.after:
                end_ns = max(ramp.start_ns, state.ts_ns) + _left_ns(change, present, params)
                yield Move(
                    ramp.proposal, change.parameter, present, change.after, _held_by(ramp, state.ts_ns), end_ns,
                    ramp.by, ramp.reason,
                )  # fmt: skip


def _waiting(state: State) -> Iterator[Move]:
    assert state.adaptive is not None
    assert state.policy is not None
    for each in state.adaptive.pending:
        for change in each.changes:
            present = value_of(state.policy, change.parameter)
            yield Move(each.proposal, change.parameter, present, change.after, PERSON, 0, each.by, each.reason)


def _held_by(ramp: Ramp, now_ns: int) -> str:
    if now_ns >= ramp.start_ns:
        return RAMP
    return NOTICE if ramp.start_ns >= ramp.notice_ns else DELAY


def _left_ns(change: Change, present: float, params: AdaptiveParams) -> int:
    return round((change.after - present) / rate_daily(change, params) * DAY_S) * S_NS
