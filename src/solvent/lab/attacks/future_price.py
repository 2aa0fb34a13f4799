"""Future-stamped price: a stamp far ahead of the clock keeps an old price young.

Losses to learn from: readers of pulled price feeds that compared the stamp with the clock in one direction only.
"""

from solvent.engine.sources.tick import SourcePrice
from solvent.lab.attacks.attack import Attack
from solvent.lab.attacks.scene import DOT, SOURCES, Scene, default_policy

COINS = 500_000.0
FALL = 0.05
AHEAD_S = 590.0
LATER_MINUTES = 4


def play(scene: Scene) -> None:
    """Prices are stamped ten minutes ahead; then the coin loses 95 %, and the stamped prices still are the newest."""
    before = scene.true["DOT"]
    scene.true["DOT"] *= FALL
    for minute in range(1, LATER_MINUTES + 1):
        said = [SourcePrice("DOT", source, before, age_s=60.0 * minute - AHEAD_S) for source in SOURCES]
        scene.tick(1.0, said)
    buyer = scene.joins("buyer", {DOT: COINS})
    scene.withdraws(buyer)
    for _ in range(3):
        scene.tick(1.0)


ATTACK = Attack(
    name="future-price",
    guard="a source stamped further ahead than skew_s is refused",
    control="skew_s = 600",
    play=play,
    unguarded=lambda: Scene(default_policy(oracle={"skew_s": 600.0, "fresh_age_s": 600.0, "halt_age_s": 600.0})),
)
