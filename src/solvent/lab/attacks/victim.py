"""An honest trader in a thin contract whom several attacks try to have liquidated, to buy what he has below value."""

from solvent.domain import commands as c
from solvent.lab.attacks.scene import DOT_PERP, Scene
from solvent.ledger.records import AUCTION

LONG_USD = 1_000_000.0
WAIT_MINUTES = 4
"""The outside market bids as soon as the discount pays for its impact; who attacks takes less."""


def victim(scene: Scene, asset: int, equity_usd: float) -> int:
    """Long of 1,000,000 USD in the thin contract on collateral in one asset."""
    account = scene.joins("victim", {asset: equity_usd / scene.price(asset)}, honest=True)
    scene.accepted(scene.trades(DOT_PERP, account, scene.maker, LONG_USD / scene.true["DOT"]))
    return account


def buy_out(scene: Scene, account: int, bidder: int) -> None:
    """Take as much of an auctioned account as can be had; nothing happens where there is no auction."""
    if scene.stage(account) == AUCTION:
        name = scene.engine.state.accounts[bidder].owner
        scene.send(c.Bid(account, bidder, 10**9), "keeper", name)
