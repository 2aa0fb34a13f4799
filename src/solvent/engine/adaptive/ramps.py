"""How fast a raise comes to existing positions: the next step of all ramps, by plain arithmetic."""

from collections.abc import Sequence

from solvent.domain.adaptive import AdaptiveParams, Change, Ramp

S_NS = 10**9
DAY_S = 86_400
_DIGITS = 9
"""Values are rounded down to so many decimals, so that a step is never too far; the last one is exact."""


def rate_daily(change: Change, params: AdaptiveParams) -> float:
    """Speed of one parameter on its ramp, a fraction a day: the whole change over `ramp_s`, or as fast as allowed."""
    return min(params.ramp_daily_most, (change.after - change.before) * DAY_S / params.ramp_s)


def duration_s(changes: Sequence[Change], params: AdaptiveParams) -> int:
    """How long a ramp takes that nothing holds up."""
    slowest = max((change.after - change.before for change in changes), default=0.0)
    return max(params.ramp_s, -int(-slowest * DAY_S // params.ramp_daily_most))


def started(ramps: Sequence[Ramp], now_ns: int) -> list[Ramp]:
    """Ramps that move at a time."""
    return [ramp for ramp in ramps if ramp.start_ns <= now_ns]


def next_values(
    present: dict[str, float], ramps: Sequence[Ramp], params: AdaptiveParams, since_ns: int, now_ns: int
) -> dict[str, float]:
    """Parameters after one step from their `present` values; those that do not move are left out.

    A step covers the time since the last one, at most a day: after a longer pause the ramp goes on where it was.
    Where several ramps move a parameter the furthest step counts, never their sum.
    """
    found: dict[str, float] = {}
    for ramp in started(ramps, now_ns):
        elapsed_s = min((now_ns - max(since_ns, ramp.start_ns)) / S_NS, DAY_S)
        for change in ramp.changes:
            name = change.parameter
            step = rate_daily(change, params) * elapsed_s / DAY_S
            value = change.after
            if present[name] + step < change.after:
                value = (present[name] + step) * 10**_DIGITS // 1 / 10**_DIGITS
            found[name] = max(value, found.get(name, 0.0), present[name])
    return {name: value for name, value in found.items() if value > present[name]}


def finished(present: dict[str, float], ramps: Sequence[Ramp]) -> tuple[int, ...]:
    """Proposals whose parameters are all where they were to go."""
    return tuple(ramp.proposal for ramp in ramps if all(present[each.parameter] >= each.after for each in ramp.changes))
