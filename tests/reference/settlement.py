"""Marks, funding, settlement and expiry, and what is listed under which policy; semantics 3 and 4."""

from fractions import Fraction
from math import ceil, floor

from tests.reference.gates import known_instrument
from tests.reference.market import Market
from tests.reference.money import bought, mint
from tests.reference.parameters import Parameters
from tests.reference.world import HOUR_NS, World, need

from solvent.domain import commands as c
from solvent.domain.owners import INSURANCE, POOL, ROUNDING

FUNDING_NS = 8 * HOUR_NS
BOUND = 2**53


def remark(world: World) -> None:
    """All accounts share one market from here on; what the outside market took is forgotten."""
    world.taken_usd.clear()
    world.market = None
    if world.policy is not None:
        world.market = Market(world.terms, world.policy, world.quotes, world.marked_ns)


def list_instrument(world: World, command: c.ListInstrument) -> None:
    need(all(each.id != command.instrument.id for each in world.instruments), "an id listed once")
    world.list(command.instrument)
    remark(world)


def delist_instrument(world: World, command: c.DelistInstrument) -> None:
    known_instrument(world, command.instrument)
    world.delisted.add(command.instrument)


def set_policy(world: World, command: c.SetPolicy) -> None:
    world.policy = Parameters(command.policy)
    remark(world)


def mark(world: World, command: c.Mark) -> None:
    seen_ns = command.ts_ns or world.now_ns
    need(world.marked_ns <= seen_ns <= world.now_ns, "a mark neither older than the last nor ahead of the clock")
    for quote in command.quotes:
        known_instrument(world, quote.instrument)
        option = world.terms[quote.instrument].form == "option"
        need(quote.ticks >= (0 if option else 1) and 0 <= quote.state <= 3, "a mark above 0 and a state")
        numbers = (
            quote.slow_ticks,
            quote.confidence_e9,
            quote.age_ms,
            quote.forward_ticks,
            quote.vol_e9,
            quote.spread_e9,
        )
        need(min(numbers) >= 0 and max(*numbers, quote.ticks, quote.volume_usd_daily) < BOUND, "numbers in bounds")
        need(max(quote.confidence_e9, quote.spread_e9) <= 10**9, "fractions")
    for quote in command.quotes:
        world.quotes[quote.instrument] = quote
    world.marked_ns = seen_ns
    remark(world)


def fund(world: World, command: c.Fund) -> None:
    """Longs pay q M mark x rate on their quote legs, rounded against each holder."""
    i = command.instrument
    known_instrument(world, i)
    each = world.terms[i]
    need(world.instruments[i].kind == 1 and i in world.quotes, "a perpetual with a mark")
    need(world.funded.get(i, -1) < command.interval <= world.now_ns // FUNDING_NS, "an interval not funded yet")
    need(abs(command.rate_e12) <= 10**12, "a rate of at most 1")
    mark_ticks, rate = world.quotes[i].ticks, Fraction(command.rate_e12, 10**12)
    lot = each.factor / mark_ticks if each.form == "inverse" else each.factor * mark_ticks
    for owner in world.holders(i):
        pays = ceil(world.position(owner, i)[0] * lot * rate)
        world.give(owner, ROUNDING, i, 0, pays)
    world.funded[i] = command.interval


def pay_out(world: World, i: int, values: dict[int, int]) -> None:
    """Losers' cash first, then loans within the pool's cash, then what insurance can lend the pool; winners get
    what that brings pro rata, and each quote leg is reset by what was paid."""
    payer = world.terms[i].payer
    owed = sum(v for v in values.values() if v > 0)
    cash = world.cash(payer)
    most = cash + max(0, world.balance(INSURANCE, payer))
    paid: dict[int, int] = {}
    borrowed = 0
    for owner, v in values.items():
        if v < 0:
            need_atoms = min(-v, owed + sum(paid.values()))
            if owner >= 0:
                own = max(0, world.balance(owner, payer))
                loan = min(max(0, need_atoms - own), most - borrowed)
                borrowed += loan
                need_atoms = min(need_atoms, own + loan)
            paid[owner] = -need_atoms
    there = -sum(paid.values())
    winners = [(owner, v) for owner, v in values.items() if v > 0]
    part = {owner: v * there // owed for owner, v in winners} if owed else {}
    for owner, v in winners:
        if sum(part.values()) < there and part[owner] < v:
            part[owner] += 1
    lent = max(0, borrowed - cash)
    if lent:
        shares = bought(world, payer, lent)
        world.pay(INSURANCE, POOL, payer, lent)
        mint(world, INSURANCE, payer, shares)
    for owner, atoms in {**paid, **part}.items():
        # Both sides go through the outside-less middle: the sums over all owners are zero.
        world.atoms[owner, payer] = world.balance(owner, payer) + atoms
        lots, quote = world.position(owner, i)
        world.held[owner, i] = lots, quote - atoms
    world.atoms = {key: atoms for key, atoms in world.atoms.items() if atoms}
    world.held = {key: row for key, row in world.held.items() if row != (0, 0)}


def settle(world: World, command: c.Settle) -> None:
    i = command.instrument
    known_instrument(world, i)
    need(i in world.quotes and world.terms[i].form != "spot", "a derivative with a mark")
    mark_ticks = world.quotes[i].ticks
    pay_out(world, i, {o: world.terms[i].profit(*world.position(o, i), mark_ticks) for o in world.holders(i)})


def expire(world: World, command: c.Expire) -> None:
    """Positions become what they are owed at the settlement price, down; then they settle."""
    i = command.instrument
    known_instrument(world, i)
    each = world.terms[i]
    need(each.expiry_ns > 0 and i not in world.expired, "a future or an option that has not expired yet")
    need(world.now_ns >= each.expiry_ns and command.price_ticks > 0, "its expiry, and a price")
    price = Fraction(command.price_ticks, 10**6)
    if each.form == "option":
        value = max(Fraction(0), price - each.strike if each.call else each.strike - price)
        lot = each.unit * each.payer_atoms * (value / price if each.coin_priced else value)
    elif each.form == "inverse":
        lot = -each.unit * each.payer_atoms / price
    else:
        lot = each.unit * each.payer_atoms * price
    for owner in world.holders(i):
        lots = world.position(owner, i)[0]
        world.give(ROUNDING, owner, i, -lots, floor(lots * lot))
    rounding = world.position(ROUNDING, i)
    assert rounding[0] == 0, "lots add up to zero"
    owners = sorted(world.holders(i), key=lambda owner: (owner == ROUNDING, owner))
    pay_out(world, i, {owner: world.position(owner, i)[1] for owner in owners})
    world.expired.add(i)
