"""Fills and orders: what a trade moves, and who may make it; semantics 3 and 8."""

from fractions import Fraction
from math import floor

from tests.reference.gates import (
    ATOMS,
    LOTS,
    at_least,
    known_account,
    known_asset,
    known_instrument,
    marked,
    market_of,
    risk_may_grow,
    row_instruments,
    shut,
    trusted,
    within_bounds,
)
from tests.reference.margin import verdict
from tests.reference.world import CALLED, HEALTHY, OpenedOrder, World, need

from solvent.domain import commands as c
from solvent.domain.owners import FEES, MARKET

PRICE_BOUND, ORDERS_MOST = 2**53, 200


def trade(world: World, buyer: int, seller: int, i: int, lots: int, ticks: int, *, forced: bool = False) -> None:
    """A derivative changes hands; an option for a premium in cash (forced: the rest stands in the quote legs)."""
    each = world.terms[i]
    if each.form != "option":
        world.give(seller, buyer, i, lots, each.quote(lots, ticks))
        return
    premium = int(lots * each.factor * ticks)
    paid = min(premium, payable(world, buyer, each.payer)) if forced else premium
    world.pay(buyer, seller, each.payer, paid)
    world.give(seller, buyer, i, lots, paid - premium)


def payable(world: World, owner: int, asset: int) -> int:
    """Its balance and what the pool could lend; the outside market has no limit."""
    return ATOMS if owner == MARKET else max(0, world.balance(owner, asset)) + max(0, world.cash(asset))


def coins_paid(world: World, i: int, payment: int, atoms: int, ticks: int) -> int:
    """Atoms of the payment asset for atoms of a spot asset at a price in payment coins, down."""
    spot, payer = world.terms[i], world.terms[payment]
    return floor(Fraction(atoms * ticks * payer.payer_atoms, spot.payer_atoms) * spot.tick)


def fill(world: World, command: c.Fill) -> None:
    i, lots, ticks = command.instrument, command.lots, command.price_ticks
    _sane(world, command)
    each, before = world.terms[i], world.copy()
    spot = each.form == "spot"
    payer = each.payer
    if spot:
        payer = command.payment if command.payment >= 0 else world.house_payment
    _inside_band(world, command, payer)
    if spot:
        atoms = lots * each.lot_atoms
        world.pay(command.seller, command.buyer, i, atoms)
        world.pay(command.buyer, command.seller, payer, coins_paid(world, i, payer, atoms, ticks))
    else:
        trade(world, command.buyer, command.seller, i, lots, ticks)
    world.pay(command.buyer, FEES, payer, command.buyer_fee_atoms)
    world.pay(command.seller, FEES, payer, command.seller_fee_atoms)
    within_bounds(world)
    for side in (command.buyer, command.seller):
        if side != MARKET:
            risk_may_grow(before, world, side)
    _caps(before, world, command)


def _sane(world: World, command: c.Fill) -> None:
    i = command.instrument
    known_instrument(world, i)
    need(not shut(world, i), "an instrument that is open")
    need(0 < command.lots < LOTS and 0 < command.price_ticks < PRICE_BOUND, "lots and a price above 0")
    need(min(command.buyer_fee_atoms, command.seller_fee_atoms) >= 0, "fees of at least 0")
    if command.payment >= 0:
        known_asset(world, command.payment)
        need(command.payment != i, "payment in another asset")
    sides = command.buyer, command.seller
    for side in sides:
        if side != MARKET:
            known_account(world, side)
            record = world.accounts[side]
            need(not record.frozen and record.stage in (HEALTHY, CALLED), "an account that may trade")
            _isolation(world, side, i)
    owners = ["" if side == MARKET else world.accounts[side].owner for side in sides]
    need(owners[0] != owners[1], "two sides with different owners")
    if i in world.delisted:
        for side, sign in zip(sides, (1, -1), strict=True):
            need(side == MARKET or -sign * _lots(world, side, i) >= command.lots, "only closing: it is delisted")


def _isolation(world: World, account: int, i: int) -> None:
    isolated = world.accounts[account].isolated
    here = isolated == world.terms[i].payer and world.terms[i].form != "spot"
    need(isolated == -1 or here, "an account that is not isolated in another asset")


def _lots(world: World, owner: int, i: int) -> int:
    """Lots of a position; whole lots of a balance or debt."""
    if world.terms[i].form != "spot":
        return world.position(owner, i)[0]
    atoms, lot = world.balance(owner, i), world.terms[i].lot_atoms
    return atoms // lot if atoms >= 0 else -(-atoms // lot)


def _inside_band(world: World, command: c.Fill, payer: int) -> None:
    """Around the guarded mark; an option's band is a share of its underlying's price."""
    i = command.instrument
    marked(world, i)
    market = market_of(world)
    each = market.terms[i]
    mark = base = Fraction(market.quotes[i].ticks)
    if each.form == "option":
        base = (Fraction(1) if each.coin_priced else market.index[each.asset]) / each.tick
    elif each.form == "spot":
        marked(world, payer)
        mark = base = mark / market.price[payer]
    band = world.parameters.liquidation["price_band"] * base
    need(abs(command.price_ticks - mark) <= band, "a price inside the band around the mark")


def _caps(before: World, world: World, command: c.Fill) -> None:
    """Of the listing: what an owner holds, and open interest; what shrinks them is free."""
    i = command.instrument
    limit = world.parameters.limits.get(world.terms[i].id)
    if not limit:
        return
    each = world.terms[i]
    lot_usd = each.unit * (1 if each.form == "inverse" else world.market.index[each.asset])
    contracts = (
        Fraction(1, each.payer_atoms) * each.lot_atoms if each.form == "spot" else Fraction(world.instruments[i].lot)
    )

    def within(was: int, now: int, name: str) -> None:
        usd, units = limit.get(f"{name}_usd"), limit.get(f"{name}_units")
        if now > was:
            need(usd is None or now * lot_usd <= usd, f"{name} cap")
            need(units is None or now * contracts <= units, f"{name} cap")

    for side in {command.buyer, command.seller} - {MARKET}:
        mine = world.accounts_of(world.accounts[side].owner)
        within(*(_owned(each_world, mine, i) for each_world in (before, world)), "owner")
    if each.form != "spot":
        within(*(sum(max(0, w.position(o, i)[0]) for o in w.holders(i)) for w in (before, world)), "total")


def _owned(world: World, accounts: list[int], i: int) -> int:
    if world.terms[i].form == "spot":
        return sum(max(0, world.balance(each, i)) for each in accounts) // world.terms[i].lot_atoms
    return abs(sum(world.position(each, i)[0] for each in accounts))


def open_order(world: World, command: c.OpenOrder) -> None:
    account, i = command.account, command.instrument
    known_account(world, account)
    known_instrument(world, i)
    need(not shut(world, i) and i not in world.delisted, "an instrument that is open and not delisted")
    marked(world, i)
    need(0 < abs(command.lots) < LOTS and 0 < command.price_ticks < PRICE_BOUND, "lots and a price")
    record = world.accounts[account]
    need(record.stage == HEALTHY and not record.frozen, "an account that is healthy and not frozen")
    _isolation(world, account, i)
    need(trusted(world, [*row_instruments(world, account), i]), "prices that are ok")
    need(len(world.orders_of(account)) < ORDERS_MOST, "not too many orders")
    market_of(world)
    world.orders[account, world.next_order] = OpenedOrder(i, command.lots, command.price_ticks)
    world.next_order += 1
    found = verdict(world, account)
    need(at_least(world, found.equity, found.initial, found.doubt), "equity at or above initial margin with the order")


def cancel_order(world: World, command: c.CancelOrder) -> None:
    known_account(world, command.account)
    need((command.account, command.order) in world.orders, "an open order")
    del world.orders[command.account, command.order]
