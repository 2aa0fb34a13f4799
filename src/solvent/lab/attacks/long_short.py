"""Long and short in two accounts of one person: after a move one has won, and the other's loss is the fund's.

Losses to learn from: XPL and JELLY on Hyperliquid in 2025, where a position was built against oneself at the most
leverage the venue gave, and the losing side was left to the venue's vault.
"""

from solvent.lab.attacks.attack import Attack
from solvent.lab.attacks.scene import BTC_PERP, USDC, Scene, default_policy

COINS = 50.0
MOVE = 0.85


def play(scene: Scene) -> None:
    """As little margin as the venue takes on both sides, a fall of 15 % within a tick, and out with the winner's."""
    notional = COINS * scene.true["BTC"]
    for part in (0.05, 0.10, 0.15, 0.20, 0.25):
        scene.joins(f"long-{part}", {USDC: part * notional})
        scene.joins(f"short-{part}", {USDC: part * notional})
        long, short = scene.attackers[-2:]
        if not scene.refused(scene.trades(BTC_PERP, long, short, COINS)):
            break
        scene.leave()
    scene.true["BTC"] *= MOVE
    scene.tick(1.0)
    scene.leave()
    scene.tick(1.0)


ATTACK = Attack(
    name="long-short",
    guard="margin of the scan range, charged to each account by itself; liquidation within the tick",
    control="margin_scale = 0.2: leverage that a day's move overtakes",
    play=play,
    unguarded=lambda: Scene(default_policy(margin={"margin_scale": 0.2})),
)
