"""Off-market self-trade: one account sells to the other far from the mark, so that the loss is not its owner's.

Losses to learn from: trades between accounts of one person at a made-up price move the whole margin of the loser into
an account that may withdraw it, and what the loser cannot pay is left with the venue.
"""

from solvent.engine.decide import trading
from solvent.lab.attacks.attack import Attack, off
from solvent.lab.attacks.scene import BTC_PERP, USDC, Scene, default_policy

OFF = 1.45
COINS = 20.0


def play(scene: Scene) -> None:
    """The loser buys at 45 % above the mark from the winner; both withdraw what they can."""
    loser, winner = scene.joins("loser", {USDC: 300_000}), scene.joins("winner", {USDC: 300_000})
    scene.trades(BTC_PERP, loser, winner, COINS, scene.true["BTC"] * OFF)
    scene.leave()
    scene.tick(1.0)
    scene.leave()


ATTACK = Attack(
    name="off-market-trade",
    guard="price band around the guarded mark; both sides of a fill pass the margin gate",
    control="price_band = 0.5, no gate on fills",
    play=play,
    unguarded=lambda: Scene(default_policy(liquidation={"price_band": 0.5})),
    switch=off(trading, "_gate", lambda *_: ()),
)
