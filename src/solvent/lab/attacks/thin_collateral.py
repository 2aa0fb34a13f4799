"""Pumped thin collateral: lift the price of what one holds, borrow everything against it, let it fall.

Losses to learn from: Mango Markets in October 2022 (MNGO lifted by a factor of several within minutes, 114 million
USD borrowed out), CREAM, Venus and others.
"""

from solvent.lab.attacks.attack import Attack
from solvent.lab.attacks.scene import DOT, Scene, default_policy

COINS = 200_000.0
PUMP = 1.9


def play(scene: Scene) -> None:
    """Every source shows the lifted price for most of an hour: it is the true one while it lasts."""
    pumper = scene.joins("pumper", {DOT: COINS})
    for _ in range(55):
        scene.tick(1.0, DOT=scene.true["DOT"] * PUMP)
    scene.withdraws(pumper)
    scene.tick(1.0)
    scene.tick(1.0)


ATTACK = Attack(
    name="thin-collateral",
    guard="the slow price: withdrawals count collateral at the lower of price and slow price; caps and tiers by size",
    control="slow_rate_hourly = 1, slow_delay_s = 1: the slow price follows within the hour",
    play=play,
    unguarded=lambda: Scene(default_policy(oracle={"slow_rate_hourly": 1.0, "slow_delay_s": 1.0})),
)
