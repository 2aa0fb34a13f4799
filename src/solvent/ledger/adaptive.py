"""How events move the record of policy changes under way: records in, records out, nothing decided."""

from collections.abc import Iterable

from msgspec.structs import replace

from solvent.domain import events as e
from solvent.domain.adaptive import LOOSEN, Adaptive, Change, PendingChange, Ramp

DAY_NS = 86_400 * 10**9


def enabled(adaptive: Adaptive | None, event: e.AdaptiveEnabled) -> Adaptive:
    """Bounds for what comes; what is under way goes on."""
    return Adaptive(event.params) if adaptive is None else replace(adaptive, params=event.params)


def proposed(adaptive: Adaptive, event: e.PolicyProposed, ts_ns: int) -> Adaptive:
    """A loosening waits; a raise moves the target and begins a ramp."""
    assert event.proposal == adaptive.next_proposal, "proposals are numbered in order"
    numbered = replace(adaptive, next_proposal=event.proposal + 1)
    if event.direction == LOOSEN:
        waiting = PendingChange(event.proposal, event.changes, event.by, ts_ns, event.evidence.reason)
        return replace(numbered, pending=(*adaptive.pending, waiting))
    ramp = Ramp(event.proposal, event.ramp, event.by, event.start_ns, event.notice_ns, event.evidence.reason)
    return replace(
        numbered,
        target=event.target_policy,
        ramps=(*adaptive.ramps, ramp),
        ramped_ns=adaptive.ramped_ns if adaptive.ramps else ts_ns,
        moved=_moved(adaptive, event.changes, ts_ns),
    )


def approved(adaptive: Adaptive, event: e.PolicyApproved, ts_ns: int) -> Adaptive:
    """A raise may go on at once; a loosening has moved the target, and no ramp goes beyond it any more."""
    if event.policy is None:
        ramps = tuple(
            replace(ramp, start_ns=min(ramp.start_ns, ts_ns), notice_ns=min(ramp.notice_ns, ts_ns))
            if ramp.proposal == event.proposal
            else ramp
            for ramp in adaptive.ramps
        )
        return replace(adaptive, ramps=ramps)
    lowered = {change.parameter: change.after for change in event.changes}
    kept = [replace(ramp, changes=_capped(ramp.changes, lowered)) for ramp in adaptive.ramps]
    ramps = tuple(ramp for ramp in kept if ramp.changes)
    return replace(
        adaptive,
        target=event.target_policy if ramps else None,
        pending=tuple(each for each in adaptive.pending if each.proposal != event.proposal),
        ramps=ramps,
        moved=_moved(adaptive, event.changes, ts_ns),
    )


def withdrawn(adaptive: Adaptive, event: e.ProposalWithdrawn) -> Adaptive:
    """The proposal is gone."""
    return replace(adaptive, pending=tuple(each for each in adaptive.pending if each.proposal != event.proposal))


def ramped(adaptive: Adaptive, event: e.PolicyRamped, ts_ns: int) -> Adaptive:
    """Ramps that came to their end are dropped; with the last of them target and policy are one."""
    ramps = tuple(ramp for ramp in adaptive.ramps if ramp.proposal not in event.finished)
    return replace(adaptive, ramps=ramps, ramped_ns=ts_ns, target=adaptive.target if ramps else None)


def held(adaptive: Adaptive, event: e.RampHeld) -> Adaptive:
    """The ramps begin (again) when their notice is over."""
    ramps = tuple(
        replace(ramp, start_ns=ramp.notice_ns) if ramp.proposal in event.proposals else ramp for ramp in adaptive.ramps
    )
    return replace(adaptive, ramps=ramps)


def overruled(adaptive: Adaptive | None) -> Adaptive | None:
    """A policy set by order: what was under way was relative to another one."""
    return adaptive and replace(adaptive, target=None, pending=(), ramps=())


def _moved(adaptive: Adaptive, changes: Iterable[Change], ts_ns: int) -> tuple[tuple[int, str, float], ...]:
    """The last day's changes of the target, with these."""
    fresh = [row for row in adaptive.moved if row[0] > ts_ns - DAY_NS]
    return (*fresh, *((ts_ns, change.parameter, change.after - change.before) for change in changes))


def _capped(changes: tuple[Change, ...], lowered: dict[str, float]) -> tuple[Change, ...]:
    """A ramp's changes, none further than the lowered target."""
    cut = [replace(each, after=min(each.after, lowered.get(each.parameter, each.after))) for each in changes]
    return tuple(each for each in cut if each.after > each.before)
