"""Stuck price: the feed stops while the market falls; bring the fallen coin at its old price and borrow.

Losses to learn from: LUNA in May 2022, when a feed stood at its floor of 0.107 USD while the coin traded at a
hundredth of that: Venus was left with 11.2 million USD of bad debt, Blizz Finance with everything.
"""

from solvent.engine.sources.tick import SourcePrice
from solvent.lab.attacks.attack import Attack
from solvent.lab.attacks.scene import DOT, SOURCES, Scene, default_policy

COINS = 500_000.0
FALL = 0.05
STUCK_MINUTES = 5


def play(scene: Scene) -> None:
    """The coin loses 95 %; every source goes on to give the price of five minutes ago, with its true age."""
    before = scene.true["DOT"]
    scene.true["DOT"] *= FALL
    for minute in range(1, STUCK_MINUTES + 1):
        said = [SourcePrice("DOT", source, before, age_s=60.0 * minute) for source in SOURCES]
        scene.tick(1.0, said)
    buyer = scene.joins("buyer", {DOT: COINS})
    scene.withdraws(buyer)
    for _ in range(3):
        scene.tick(1.0)


ATTACK = Attack(
    name="stuck-price",
    guard="a source older than fresh_age_s does not count; without one the price is halted: no withdrawals on it",
    control="fresh_age_s = 600",
    play=play,
    unguarded=lambda: Scene(default_policy(oracle={"fresh_age_s": 600.0, "halt_age_s": 600.0})),
)
