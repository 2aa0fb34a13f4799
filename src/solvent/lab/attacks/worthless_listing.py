"""Worthless listing: get a coin of one's own listed, bring a mountain of it, borrow what is worth something.

Losses to learn from: FTX lent on its own token; several lenders listed coins whose whole market was one pool.
"""

from solvent.domain import commands as c
from solvent.domain.symbols import instrument
from solvent.lab.attacks.attack import Attack
from solvent.lab.attacks.scene import Scene, default_policy

COIN = "MOON"
COINS = 20_000_000.0


def play(scene: Scene) -> None:
    """All sources quote the coin at a dollar, because its maker trades with himself; nobody would buy any."""
    scene.ok(c.ListInstrument(instrument(COIN)), "operator")
    scene.tick(1.0, MOON=1.0)
    scene.true[COIN] = 1e-9
    issuer = scene.joins("issuer", {scene.engine.state.universe.index(COIN): COINS})
    scene.tick(1.0, MOON=1.0)
    scene.withdraws(issuer)


ATTACK = Attack(
    name="worthless-listing",
    guard="an asset without collateral terms in the policy has weight zero; terms come with caps",
    control="terms like those of a major coin, no cap",
    play=play,
    unguarded=lambda: Scene(
        default_policy(
            margin={
                "collateral": {
                    **default_policy().margin["collateral"],
                    COIN: {"scanned": True, "haircut_initial": 0.05, "haircut_maintenance": 0.04},
                }
            }
        )
    ),
)
