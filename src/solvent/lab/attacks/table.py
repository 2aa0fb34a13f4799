"""Every attack by its name, in the order that they are listed in."""

from solvent.lab.attacks import (
    deposit_ping_pong,
    dust,
    forged_price,
    future_price,
    long_short,
    off_market,
    own_book,
    parameter_push,
    self_liquidation,
    stuck_price,
    thin_collateral,
    worthless_listing,
)
from solvent.lab.attacks.attack import Attack

ATTACKS: dict[str, Attack] = {
    each.ATTACK.name: each.ATTACK
    for each in (
        off_market,
        long_short,
        thin_collateral,
        own_book,
        worthless_listing,
        stuck_price,
        forged_price,
        future_price,
        dust,
        self_liquidation,
        deposit_ping_pong,
        parameter_push,
    )
}
