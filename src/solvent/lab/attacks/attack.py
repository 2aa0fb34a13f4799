"""What an attack is, how it is played with and without its guard, and what came of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple
from unittest.mock import patch

from solvent.lab.attacks.scene import Scene

Play = Callable[[Scene], None]
"""An attack from the first deposit to the last withdrawal."""
Switch = Callable[[], AbstractContextManager[Any]]


class Attack(NamedTuple):
    """One script, the guard that it fails on, and that guard taken away."""

    name: str
    guard: str
    """What stands in its way."""
    control: str
    """How that is taken away: a parameter, a source, or a gate that no parameter turns off."""
    play: Play
    unguarded: Callable[[], Scene] = Scene
    """The venue of the control."""
    switch: Switch = nullcontext
    """Turns a gate off while the control is played."""


class Result(NamedTuple):
    """What came of an attack, with its guard and without. In USD at true prices."""

    name: str
    profit_usd: float
    """All that the attackers took out or still own, less what they brought: at most 0 where the guard holds."""
    venue_loss_usd: float
    """What everybody else inside is worth less."""
    control_profit_usd: float
    """The same script without the guard: above 0, or the script proves nothing."""
    control_venue_loss_usd: float

    @property
    def held(self) -> bool:
        """Whether the guard held, and is what held."""
        return self.profit_usd <= 0.0 < self.control_profit_usd


def played(attack: Attack) -> Result:
    """Play an attack against the default venue, then against the one without its guard."""
    guarded = Scene()
    attack.play(guarded)
    with attack.switch():
        control = attack.unguarded()
        attack.play(control)
    return Result(
        attack.name, guarded.profit_usd(), guarded.venue_loss_usd(), control.profit_usd(), control.venue_loss_usd()
    )


def off(module: Any, name: str, instead: Any) -> Switch:
    """A gate replaced while the control is played, where no parameter of a policy turns it off."""
    return lambda: patch.object(module, name, instead)
