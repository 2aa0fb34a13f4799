"""Own-book mark in a depeg: sell a stablecoin on the venue's own thin book, so that collateral in it counts less.

Losses to learn from: 10 October 2025, when USDe fell to 0.65 USD on the one book that a large venue marked its
collateral by, and nowhere else.
"""

from solvent.engine.sources.tick import SourcePrice
from solvent.lab.attacks.attack import Attack
from solvent.lab.attacks.scene import USDC, USDT, Scene
from solvent.lab.attacks.victim import WAIT_MINUTES, buy_out, victim

EQUITY_USD = 420_000.0
DEPEG, ON_OWN_BOOK = 0.98, 0.55
OWN = "own book"
DIP = 0.9


def play(scene: Scene) -> None:
    """The stablecoin is at 0.98 outside and at 0.55 on the own book, in a market that has fallen by a tenth."""
    trader = victim(scene, USDT, EQUITY_USD)
    seller = scene.joins("seller", {USDC: 5_000_000})
    scene.true["USDT"] = DEPEG
    scene.true["DOT"] *= DIP
    for _ in range(WAIT_MINUTES):
        outside = [SourcePrice("USDT", source, DEPEG) for source in scene.sources if source != OWN]
        own = SourcePrice("USDT", OWN, ON_OWN_BOOK, own_book=OWN not in scene.sources)
        scene.tick(1.0, [*outside, own])
    buy_out(scene, trader, seller)
    scene.tick(1.0)


ATTACK = Attack(
    name="own-book-mark",
    guard="the own book counts nothing in prices of collateral",
    control="the own book is taken for an outside source, and the only one",
    play=play,
    unguarded=lambda: Scene(sources=[OWN]),
)
