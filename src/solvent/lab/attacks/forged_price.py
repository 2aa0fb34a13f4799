"""Forged price: one of the sources lies, so that an honest account is liquidated into the liar's bid.

Losses to learn from: Compound in November 2020, where a single exchange's DAI at 1.30 USD liquidated 89 million USD;
Synthetix in June 2019, where one feed of a currency was off by a factor of 1,000.
"""

from solvent.engine.sources.tick import SourcePrice
from solvent.lab.attacks.attack import Attack
from solvent.lab.attacks.scene import SOURCES, USDC, Scene
from solvent.lab.attacks.victim import WAIT_MINUTES, buy_out, victim

EQUITY_USD = 500_000.0
FORGED = 0.54


def play(scene: Scene) -> None:
    """The last source shows the coin 46 % lower until the victim is at auction; what is bought is worth more."""
    trader = victim(scene, USDC, EQUITY_USD)
    forger = scene.joins("forger", {USDC: 5_000_000})
    liar = scene.sources[-1]
    for _ in range(WAIT_MINUTES):
        said = [
            SourcePrice("DOT", source, scene.true["DOT"] * (FORGED if source == liar else 1.0))
            for source in scene.sources
        ]
        scene.tick(1.0, said)
    buy_out(scene, trader, forger)
    scene.tick(1.0)


ATTACK = Attack(
    name="forged-price",
    guard="the median of several sources, each held to a band around the others",
    control="one source",
    play=play,
    unguarded=lambda: Scene(sources=SOURCES[:1]),
)
