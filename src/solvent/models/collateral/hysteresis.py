"""A haircut over time: quick up in bounded steps, slow down after a wait, with notice to those who already borrow."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from solvent.valuation.tiers import F64


class Steps(NamedTuple):
    """How a haircut may move. Points are fractions: 0.01 = 1 point."""

    raise_above: float = 0.01
    """The target must be so much above the haircut."""
    raise_most: float = 0.05
    """A day."""
    lower_below: float = 0.03
    lower_after_days: int = 10
    """The target must have been so far below on so many days on end."""
    lower_most: float = 0.01
    lower_every_days: int = 7
    notice_days: int = 1
    """Existing loans see a raise so much later."""
    ramp_most: float = 0.05
    """And at most so much of it a day."""


class HaircutPath(NamedTuple):
    """Day by day, of the length of the target."""

    haircut: F64
    """For new risk."""
    existing: F64
    """For loans that stood before a raise."""
    reasons: tuple[str, ...]
    """What happened on the day; empty where nothing did."""


def haircut_path(target: ArrayLike, breached: ArrayLike | None = None, steps: Steps | None = None) -> HaircutPath:
    """The haircut in force, from a target a day.

    Raised when the target is above it by a point, in steps of at most 5 points a day; on a breach - a fall larger
    than the haircut - to the whole target on the same day. Lowered after ten days on end on which the target is
    below it by 3 points, by at most a point a week.

    Parameters
    ----------
    target : array_like, shape (n,)
        What the model asks for, known at the start of each day.
    breached : array_like of bool or of float, shape (n,), optional
        Falls of the day before as fractions: a fall above the haircut in force is a breach.
    steps : Steps, optional

    Returns
    -------
    HaircutPath
        The first haircut is the first target.
    """
    wanted, rules = np.asarray(target, np.float64), steps or Steps()
    falls = np.zeros(wanted.size) if breached is None else np.asarray(breached, np.float64)
    haircut, existing, reasons = np.empty(wanted.size), np.empty(wanted.size), []
    below = since_lowered = 0
    now = float(wanted[0]) if wanted.size else 0.0
    for day, aim in enumerate(wanted.tolist()):
        below = below + 1 if aim < now - rules.lower_below else 0
        since_lowered += 1
        reason = ""
        if aim > now and falls[day] > now:
            reason = f"breach: fell {falls[day]:.1%} through {now:.1%}, raised at once to {aim:.1%}"
            now = aim
        elif aim > now + rules.raise_above:
            step = min(aim - now, rules.raise_most)
            reason = f"raised {step * 100:.1f} points towards {aim:.1%}"
            now += step
        elif below >= rules.lower_after_days and since_lowered >= rules.lower_every_days:
            step = min(now - aim, rules.lower_most)
            reason = f"lowered {step * 100:.1f} points after {below} days below"
            now, since_lowered = now - step, 0
        haircut[day] = now
        existing[day] = _existing(haircut, existing, day, rules)
        reasons.append(reason)
    return HaircutPath(haircut, existing, tuple(reasons))


def _existing(haircut: F64, existing: F64, day: int, steps: Steps) -> float:
    """What holds for loans that stood before: announced `notice_days` ago, on a ramp, never above new risk's."""
    if day == 0:
        return float(haircut[0])
    announced = haircut[max(0, day - steps.notice_days)]
    return float(min(haircut[day], max(announced, existing[day - 1]), existing[day - 1] + steps.ramp_most))
