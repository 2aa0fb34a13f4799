"""Deposit ping-pong: small deposits that restart a running liquidation, until the market has moved too far.

Losses to learn from: Maker's auctions of March 2020 that found no bids, and clocks of liquidations that the debtor
could reset (dust deposits against grace periods of several lenders).
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.engine import decide as decisions
from solvent.engine.decide import custody
from solvent.lab.attacks.attack import Attack
from solvent.lab.attacks.scene import DOT_PERP, USDC, Scene
from solvent.lab.attacks.victim import LONG_USD

MARGIN_USD = 420_000.0
FALLS = (0.68, *(1.0 for _ in range(45)), 0.80)
PING_USD = 1.0


def play(scene: Scene) -> None:
    """A long that falls short and a short that gains on it; a dollar a minute keeps the auction at its first price.

    What the long loses to a bidder the short buys back, so that the two never bet on the market.
    """
    long, short = scene.joins("long", {USDC: MARGIN_USD}), scene.joins("short", {USDC: MARGIN_USD})
    scene.trades(DOT_PERP, long, short, LONG_USD / scene.true["DOT"])
    for fall in FALLS:
        scene.true["DOT"] *= fall
        scene.tick(1.0)
        scene.deposits(long, USDC, PING_USD)
        open_coins = scene.position_coins(long, DOT_PERP) + scene.position_coins(short, DOT_PERP)
        if open_coins < 0:
            scene.trades(DOT_PERP, short, scene.maker, -open_coins)
    scene.leave()
    scene.tick(1.0)


def _restarting() -> AbstractContextManager[Any]:
    """Every deposit into an account at auction begins the auction again."""
    honest = custody.deposit

    def deposit(state: Any, risk: Any, command: c.Deposit, sender: Any) -> Iterable[e.Event]:
        events = honest(state, risk, command, sender)
        auction = state.auctions.get(command.account)
        if auction is None:
            return events
        return (*events, e.AuctionStarted(account=command.account, start_ns=state.ts_ns, slice_e9=auction.slice_e9))

    return patch.dict(decisions._BY_SENDER, {c.Deposit: deposit})


ATTACK = Attack(
    name="deposit-ping-pong",
    guard="a liquidation ends at equity of 1.15 MM only; a smaller deposit moves no clock",
    control="a deposit starts the auction again",
    play=play,
    switch=_restarting,
)
