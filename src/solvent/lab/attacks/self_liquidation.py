"""Self-liquidation: be one's own liquidator and keep the bonus.

Losses to learn from: Euler in March 2023 (197 million USD: a discount of up to a fifth on an account made insolvent
on purpose), Venus and others whose bonus did not look at what the account still had.
"""

from solvent.lab.attacks.attack import Attack, off
from solvent.lab.attacks.scene import DOT_PERP, USDC, Scene
from solvent.lab.attacks.victim import LONG_USD, WAIT_MINUTES, buy_out
from solvent.liquidation import auctions

MARGIN_USD = 420_000.0
FALL = 0.68
BONUS_USD = 200_000


def play(scene: Scene) -> None:
    """One account falls short on purpose, another of the same person under another name bids for it."""
    debtor = scene.joins("debtor", {USDC: MARGIN_USD})
    bidder = scene.joins("bidder", {USDC: 5_000_000})
    hedge = scene.joins("hedge", {USDC: MARGIN_USD})
    scene.trades(DOT_PERP, debtor, hedge, LONG_USD / scene.true["DOT"])
    scene.true["DOT"] *= FALL
    for _ in range(WAIT_MINUTES):
        scene.tick(1.0)
    buy_out(scene, debtor, bidder)
    for _ in range(2):
        scene.tick(1.0)
    scene.leave()


def _bonus(fraction_e18: int, *_: object) -> int:
    """A bonus by size, whatever the account still has: the fund pays for it in the end."""
    return -BONUS_USD * 10**6 * fraction_e18 // 10**18


ATTACK = Attack(
    name="self-liquidation",
    guard="whoever takes an account over pays for it: a discount comes out of its owner's equity, never the fund's",
    control="a bonus by size in place of a price",
    play=play,
    switch=off(auctions, "cash_up", _bonus),
)
