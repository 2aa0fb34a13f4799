"""Dust and rounding loops: thousands of the smallest amounts, each hoping to be rounded the right way.

Losses to learn from: share prices of young pools rounded in the redeemer's favour (Hundred Finance, Onyx, Sonne:
about 30 million USD in all).
"""

from solvent.domain import commands as c
from solvent.domain.quantities import mul_div_up
from solvent.lab.attacks.attack import Attack, off
from solvent.lab.attacks.scene import BTC, BTC_PERP, USDC, Scene
from solvent.pools import shares

HOURS = 30
LOOPS = 300


def play(scene: Scene) -> None:
    """Interest makes a share worth no round amount; then one share, one atom, one lot at a time, both ways."""
    borrower = scene.joins("borrower", {USDC: 1_000_000}, honest=True)
    scene.withdraws(borrower, BTC, 5.0)
    for _ in range(HOURS):
        scene.tick(60.0)
    sweeper, partner = scene.joins("sweeper", {BTC: 0.001, USDC: 100}), scene.joins("partner", {USDC: 100})
    scene.send(c.Supply(sweeper, BTC, 1_000), "owner", "sweeper")
    for _ in range(LOOPS):
        scene.send(c.Redeem(sweeper, BTC, 1), "owner", "sweeper")
        scene.send(c.Supply(sweeper, BTC, 1), "owner", "sweeper")
        scene.send(c.Redeem(sweeper, BTC, 1_000_001), "owner", "sweeper")
    for buyer, seller in ((sweeper, partner), (partner, sweeper)) * (LOOPS // 20):
        scene.send(c.Fill(BTC_PERP, buyer, seller, 1, scene.engine.state.quotes[BTC_PERP].ticks), "venue")
        scene.send(c.Settle(BTC_PERP), "venue")
        scene.send(c.Fill(BTC, buyer, seller, 1, scene.engine.state.quotes[BTC].ticks), "venue")
    scene.send(c.Redeem(sweeper, BTC, scene.engine.state.pool_shares(BTC, sweeper)), "owner", "sweeper")
    scene.leave()


def _atoms_up(pool: shares.Pool, given: int) -> int:
    return mul_div_up(given, pool.lenders + shares.VIRTUAL_ATOMS, pool.shares + shares.VIRTUAL_SHARES)


ATTACK = Attack(
    name="dust",
    guard="every rounding is against the account",
    control="shares redeem for atoms rounded up",
    play=play,
    switch=off(shares, "atoms_down", _atoms_up),
)
