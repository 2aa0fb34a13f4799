"""What open orders add to initial margin: the worst of no fill, all that raise delta and all that lower it."""

from collections.abc import Sequence

import msgspec

from solvent.domain.book import Order
from solvent.domain.quantities import div_up
from solvent.domain.universe import INVERSE, OPTION, SPOT
from solvent.margin.rules.portfolio.exposure import Addend, Exposure, add, losses, scanned_value
from solvent.margin.rules.portfolio.fixed import RATE, rate_up
from solvent.margin.rules.portfolio.tables import MODEL_VALUE, Shared


class Ordered(msgspec.Struct):
    """What replaces or adds to the terms of what is held; money in USD x VALUE."""

    losses: dict[int, list[int]] = {}
    """Worst losses by asset and scenario, USD x VALUE x RATE."""
    close: dict[int, int] = {}
    """To be closed out by asset, orders in full."""
    alone: list[Addend] = []
    """Orders of options: sales margined alone, purchases at their premium."""
    bought: dict[int, int] = {}
    sold: dict[int, int] = {}
    """Atoms that orders of spot would bring or take."""
    payers: set[int] = set()
    """Assets that filled orders would settle in."""


class _Side(msgspec.Struct):
    """All orders of one asset that raise its delta, or all that lower it."""

    delta: int = 0
    profit: int = 0
    """At the mark, of fills at their price."""


def ordered(shared: Shared, held: Exposure, orders: Sequence[Order]) -> Ordered:
    """Add up an account's open orders.

    Linear instruments are exact, and spot too but for what pays for it, which is taken as USD.
    """
    fixed = shared.fixed
    found = Ordered(close=dict(held.close))
    sides: dict[int, tuple[_Side, _Side]] = {}
    for order in orders:
        i, q = order.instrument, order.lots
        place = fixed.places[i]
        found.payers.add(place.payer)
        if place.form == OPTION:
            add(found.close, place.asset, abs(q * shared.money.index_delta[i]))
            found.alone.append(("order", fixed.ids[i], _option_order(shared, order)))
            continue
        side = sides.setdefault(place.asset, (_Side(), _Side()))[0 if q > 0 else 1]
        if place.form == SPOT:
            atoms = q * place.lot_atoms
            add(found.bought if q > 0 else found.sold, i, atoms)
            value = atoms * shared.money.atom[i]
            side.profit += value - div_up(value * order.price_ticks, shared.ticks[i])
        else:
            add(found.close, place.asset, abs(q * shared.money.index_delta[i]))
            side.delta += q * shared.money.delta[i]
            side.profit += _profit(shared, order)
    _add_scanned(shared, held, found, sides)
    for asset, both in sides.items():
        base = losses(shared, held, asset)
        filled = [
            [loss - side.delta * move - side.profit * RATE for loss, move in zip(base, fixed.moves[asset], strict=True)]
            for side in both
        ]
        found.losses[asset] = [max(cell) for cell in zip(base, *filled, strict=True)]
    return found


def _add_scanned(shared: Shared, held: Exposure, found: Ordered, sides: dict[int, tuple[_Side, _Side]]) -> None:
    """Price risk that bought or sold spot would bring into, or take out of, the scan."""
    for moved, side in ((found.bought, 0), (found.sold, 1)):
        for c, atoms in moved.items():
            before = held.balance.get(c, 0)
            change = scanned_value(shared, c, before + atoms) - scanned_value(shared, c, before)
            sides[shared.fixed.places[c].asset][side].delta += change


def _profit(shared: Shared, order: Order) -> int:
    """Profit at the mark of a perpetual's or future's order filled at its price, down."""
    place, mark, price = shared.fixed.places[order.instrument], shared.ticks[order.instrument], order.price_ticks
    value = order.lots * place.numerator * (mark - price)
    if place.form == INVERSE:
        value //= place.denominator * mark * price
    return value * shared.money.atom[place.payer]


def _option_order(shared: Shared, order: Order) -> int:
    """A purchase's premium; a sale's scan, roll and short-option minimum alone, nothing for the premium to come."""
    fixed, money = shared.fixed, shared.money
    i, q = order.instrument, order.lots
    place = fixed.places[i]
    if q > 0:
        return q * place.numerator * order.price_ticks * money.atom[place.payer]
    changes: list[int] = shared.short_value[place.option].tolist()
    worst = max(0, -q * max(changes) * MODEL_VALUE)
    roll = div_up(abs(q * money.index_delta[i]) * shared.rates.roll[place.bucket], RATE)
    least = div_up(-q * money.notional[i] * rate_up(fixed.params.short_option_initial), RATE)
    return max(worst + roll, least)
