"""Calls, partial liquidations and auctions; semantics 9, steps 0 to 3.

Which lots a partial step closes is the result of an optimisation in floats; it is judged, not computed again: `Plan`.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from math import ceil, floor
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.reference.closing import (
    alone,
    close,
    exposure,
    fill_ticks,
    impact_e9,
    legs_of,
    lot_cost_usd,
)
from tests.reference.gates import (
    acted_on,
    actionable,
    at_least,
    known_account,
    priced,
    row_instruments,
    shut,
    trusted,
    within_bounds,
)
from tests.reference.margin import MICRO, Verdict, assess, row_of, verdict
from tests.reference.parameters import Parameters
from tests.reference.terms import decimal
from tests.reference.trading import coins_paid, payable, trade
from tests.reference.world import (
    AUCTION,
    CALLED,
    HEALTHY,
    INSOLVENT,
    LIQUIDATING,
    OpenedOrder,
    Running,
    World,
    need,
)

from solvent.domain import commands as c
from solvent.domain.owners import FEES, INSURANCE, MARKET

WAD = 10**18
GRAIN_MICRO = 10_000
"""Of lots that are worth less than this none need be given back."""
AUCTION_DEFAULTS = {
    "start": 0.98, "tail_s": 14_400, "cusp": 0.3, "resets_most": 1, "minimum_bid_usd": 10, "dust_usd": 100,
    "fee_rate": 0.01,
}  # fmt: skip
KNEE, FAST_S, SLOW_S = Fraction(4, 5), 900, 43_200
"""Of the default price curve: fast to a knee, then slowly to zero."""


class Plan(NamedTuple):
    """What floats chose: it is checked, then carried out exactly."""

    closed: Mapping[int, int] = MappingProxyType({})
    """Instrument -> signed lots that a partial step closes; of spot the atoms that left, options' premiums included."""
    quotes: Mapping[int, int] = MappingProxyType({})
    """What closing added to the account's quote legs: of an option bought back what it could not pay."""
    notional_micro: int = 0
    price_ticks: int | None = None
    """Of a deleveraging."""
    accepted: bool = True
    verdict: Any = None
    """Of the account that is acted on: counts inside the error of model values."""


class Misjudged(AssertionError):
    """A plan that breaks a rule."""


def judge(good: bool, reason: str) -> None:
    """Raise Misjudged unless `good`."""
    if not good:
        raise Misjudged(reason)


def buffered(found: Verdict, p: Parameters) -> int:
    """E - 1.15 MM, down: below zero there is something to do."""
    return found.equity - found.maintenance - ceil(found.maintenance * p.liquidation["buffer"])


def restored(world: World, found: Verdict) -> bool:
    return buffered(found, world.parameters) >= 0


def stage_of(world: World, account: int, found: Verdict) -> str:
    """Where an account belongs; a running step ends only with the buffer back."""
    stage = world.accounts[account].stage
    if stage in (LIQUIDATING, AUCTION, INSOLVENT) and not restored(world, found):
        return LIQUIDATING if stage == INSOLVENT and found.equity >= 0 else stage
    if found.liquidatable and priced(world, account, found):
        return LIQUIDATING
    let_go = found.equity >= found.initial * (1 + world.parameters.liquidation["release"])
    return CALLED if found.below_initial or (stage != HEALTHY and not let_go) else HEALTHY


def margin_call(world: World, command: c.MarginCall) -> None:
    """Move to the stage; a call cancels orders that add risk, a liquidation all; then it is margined again."""
    account = command.account
    known_account(world, account)
    before = world.accounts[account].stage
    stage = stage_of(world, account, acted_on(world, account))
    orders, changed = world.orders_of(account), False
    if orders and stage != HEALTHY:
        kept = _closing(world, account, orders) if stage == CALLED else []
        for id in orders:
            if id not in kept:
                del world.orders[account, id]
                changed = True
        if changed:
            stage = stage_of(world, account, verdict(world, account))
    need(changed or stage != before, "an account whose stage changes")
    if stage != before:
        world.auctions.pop(account, None)
        world.stage(account, stage)


def _closing(world: World, account: int, orders: dict[int, OpenedOrder]) -> list[int]:
    """Orders whose fills, one after another, raise no IM and lower no equity - IM."""
    kept: list[int] = []
    filled = world.copy()
    now = assess(world.market, row_of(filled, account), [])
    for id, order in orders.items():
        trial = filled.copy()
        _fill_whole(trial, account, order)
        then = assess(world.market, row_of(trial, account), [])
        if then.initial <= now.initial and then.equity - then.initial >= now.equity - now.initial:
            kept.append(id)
            filled, now = trial, then
    return kept


def _fill_whole(world: World, account: int, order: OpenedOrder) -> None:
    i = order.instrument
    if world.terms[i].form == "spot":
        atoms, payment = order.lots * world.terms[i].lot_atoms, world.house_payment
        world.pay(MARKET, account, i, atoms)
        world.pay(account, MARKET, payment, coins_paid(world, i, payment, atoms, order.price_ticks))
    else:
        buyer, seller = (account, MARKET) if order.lots > 0 else (MARKET, account)
        trade(world, buyer, seller, i, abs(order.lots), order.price_ticks)


# ---- partial steps


def fillable(world: World, account: int, legs: dict[int, int], found: Verdict) -> dict[int, int]:
    """Legs whose fill costs no more than their share of equity: no worse than the bankruptcy price b_i.

    Whole ticks may cost two more; what an inverse leg loses in coins grows as its price falls.
    """
    margins = alone(world, account, legs)
    total = sum(margins.values())
    kept = {}
    for i, lots in legs.items():
        share = Fraction(margins[i], total) if total else Fraction(1, len(legs))
        each, market = world.terms[i], world.market
        tick_usd = Fraction(0)
        if each.form == "inverse":
            tick_usd = exposure(world, i) / market.quotes[i].ticks
        elif each.form != "spot":
            tick_usd = each.factor * market.atom_usd[each.payer]
        impact = Fraction(impact_e9(world, i, lots), 10**9)
        lost = (
            abs(lots) * (impact * exposure(world, i) + 2 * tick_usd) / ((1 - impact) if each.form == "inverse" else 1)
        )
        if lost <= Fraction(found.equity, MICRO) * share:
            kept[i] = lots
    return kept


def liquidate(world: World, command: c.Liquidate, plan: Plan) -> None:
    account, p = command.account, world.parameters.liquidation
    known_account(world, account)
    need(world.accounts[account].stage == LIQUIDATING, "an account that is liquidating")
    found = actionable(world, account)
    need(not restored(world, found) and found.equity >= 0, "an account that falls short and is not insolvent")
    every = legs_of(world, account)
    need(bool(every), "something to close")
    legs = fillable(world, account, every, found)
    if not legs or found.equity < p["auction_below"] * found.maintenance:
        _offer(world, account, found)
        return
    impacts = {i: impact_e9(world, i, lots) for i, lots in legs.items()}
    plan = plan._replace(closed=_without_premiums(world, account, impacts, plan))
    closed = _judged(world, account, every, legs, impacts, plan)
    _close_all(world, account, every, impacts, closed)
    _penalty(world, account, plan.notional_micro)
    after = verdict(world, account)
    if restored(world, after):
        world.stage(account, stage_of(world, account, after))


def _close_all(
    world: World, account: int, every: dict[int, int], impacts: dict[int, int], closed: dict[int, int]
) -> None:
    """Close lots, of spot atoms: what brings cash first, then what needs it."""
    for i in sorted(closed, key=lambda i: (world.terms[i].form == "spot" and closed[i] < 0, list(every).index(i))):
        spot = world.terms[i].form == "spot"
        lots = -(-closed[i] // world.terms[i].lot_atoms) if spot else closed[i]
        lots = closed[i] // world.terms[i].lot_atoms if spot and closed[i] > 0 else lots
        close(world, account, i, lots or -1, impacts[i], closed[i] if spot else None)


def _without_premiums(world: World, account: int, impacts: dict[int, int], plan: Plan) -> dict[int, int]:
    """Of coins only what was sold or bought: options paid in coins move them too."""
    net = Counter(plan.closed)
    for i, lots in plan.closed.items():
        each = world.terms[i]
        if each.form == "option" and each.payer != world.payment_of(account):
            premium = int(lots * each.factor * fill_ticks(world, i, lots, impacts.get(i, 0)))
            net[each.payer] += premium - plan.quotes.get(i, 0)
    return {i: x for i, x in net.items() if x}


def _judged(
    world: World, account: int, every: dict[int, int], legs: dict[int, int], impacts: dict[int, int], plan: Plan
) -> dict[int, int]:
    """Toward zero, of legs that can be filled, enough, no leg a lot too much, no dearer than a simple search finds."""
    p = world.parameters.liquidation
    judge(bool(plan.closed), "something is closed")
    lots = {}
    for i, size in plan.closed.items():
        judge(i in legs and size * legs[i] > 0, f"leg {i} toward zero")
        lot = _lot(world, i)
        judge(abs(size) <= abs(legs[i]) * lot, f"leg {i} no further than zero")
        lots[i] = (1 if size > 0 else -1) * ceil(Fraction(abs(size), lot))
    notional = sum((abs(q) * exposure(world, i) for i, q in lots.items()), Fraction(0)) * MICRO
    slack = sum(exposure(world, i) for i in lots if world.terms[i].form == "spot") * MICRO
    judge(abs(plan.notional_micro - notional) <= 1 + slack + notional / 10**12, "the notional of what is closed")
    whole = lots == legs
    debt_left = any(world.terms[i].form == "spot" and q < 0 for i, q in legs.items())
    if whole or debt_left:  # a debt is bought back as far as there is cash: the sizing cannot be read off the moves
        return plan.closed
    left = sum(abs(legs[i] - lots.get(i, 0)) * exposure(world, i) for i in legs)
    judge(left >= p["dust_usd"], "no dust is left")

    def spare(closed: dict[int, int]) -> tuple[int, int]:
        trial = world.trial(lambda w: _close_all(w, account, every, impacts, closed))
        paid = sum(Fraction(abs(x), _lot(world, i)) * exposure(world, i) for i, x in closed.items())
        _penalty(trial, account, floor(paid * MICRO))
        then = verdict(trial, account)
        return buffered(then, world.parameters), 3 * then.doubt

    _least(world, spare, dict(plan.closed))
    rates = {i: lot_cost_usd(world, i, q, impacts[i]) + exposure(world, i) * p["penalty_rate"] for i, q in legs.items()}
    cost = sum(abs(q) * rates[i] for i, q in lots.items())
    found = {i: _single(spare, i, legs[i], _lot(world, i)) for i in legs}
    best = min((q * rates[i] for i, q in found.items() if q), default=cost)
    judge(cost <= best + sum(rates.values()), "no single leg does it for less")
    return plan.closed


Spare = Callable[[dict[int, int]], tuple[int, int]]
"""What is above the buffer once some legs are closed and paid for, and its doubt, both in 1e-6 USD."""


def _least(world: World, spare: Spare, closed: dict[int, int]) -> None:
    """The buffer is back with everything paid, and with a lot less of any leg it would not be."""
    above, doubt = spare(closed)
    judge(above >= -doubt, "the buffer is back")
    for i, size in closed.items():
        lot = _lot(world, i) if size > 0 else -_lot(world, i)
        if above - doubt >= GRAIN_MICRO and abs(size) > abs(lot):
            after, doubt = spare({**closed, i: size - lot})
            judge(after <= doubt, f"no leg could be a lot less: {i}")


def _lot(world: World, i: int) -> int:
    """What a whole lot is in atoms of spot, in lots of anything else."""
    return world.terms[i].lot_atoms if world.terms[i].form == "spot" else 1


def _single(spare: Spare, i: int, lots: int, lot: int) -> int:
    """The least lots of one leg alone that bring the buffer back, to a part in 2000; 0 where it cannot."""
    low, high = 0, abs(lots)
    lot = lot if lots > 0 else -lot
    if spare({i: high * lot})[0] < 0:
        return 0
    while high - low > max(1, abs(lots) // 2000):
        middle = (low + high) // 2
        if spare({i: middle * lot})[0] >= 0:
            high = middle
        else:
            low = middle
    return high


def _penalty(world: World, account: int, notional_micro: int) -> None:
    """min(rate x notional, what leaves E >= 0), as far as cash can pay; split, insurance takes the rounding."""
    p = world.parameters
    rate = ceil(notional_micro * p.liquidation["penalty_rate"])
    trial = world.trial(lambda w: _charge(w, account, min(rate, notional_micro)))
    due = min(rate, notional_micro)
    if verdict(trial, account).equity < 0:
        due = min(rate, max(0, verdict(world, account).equity))
    _charge(world, account, due)


def _charge(world: World, account: int, due_micro: int) -> None:
    payment, split = world.payment_of(account), world.parameters.split
    atoms = min(floor(Fraction(due_micro, MICRO) / world.market.atom_usd[payment]), payable(world, account, payment))
    liquidator, venue = floor(atoms * split["liquidator"]), floor(atoms * split["venue"])
    for owner, part in ((MARKET, liquidator), (INSURANCE, atoms - liquidator - venue), (FEES, venue)):
        world.pay(account, owner, payment, part)


# ---- auctions


def _auction_parameter(world: World, name: str) -> Fraction:
    assert name in AUCTION_DEFAULTS
    return decimal(AUCTION_DEFAULTS[name])


def slice_of(found: Verdict, p: Parameters, price: Fraction) -> Fraction:
    """f_max = B / (B + E d), up to 1e-18: it takes f B off what is missing and brings f E d; all where worthless."""
    missing = -buffered(found, p)
    if missing <= 0:
        return Fraction(0)
    if found.equity < 0 or not price:
        return Fraction(1)
    return Fraction(ceil(missing * WAD / (missing + found.equity * price)), WAD)


def _offer(world: World, account: int, found: Verdict) -> None:
    """The auction begins; its fee goes to insurance."""
    p, payment = world.parameters, world.payment_of(account)
    need(slice_of(found, p, _auction_parameter(world, "start")) > 0, "an account that falls short")
    size = ceil(abs(found.equity) * slice_of(found, p, Fraction(1)))
    fee = min(ceil(size * _auction_parameter(world, "fee_rate")), max(0, found.equity))
    atoms = min(floor(Fraction(fee, MICRO) / world.market.atom_usd[payment]), payable(world, account, payment))
    world.pay(account, INSURANCE, payment, atoms)
    world.auctions[account] = Running(world.now_ns, 0)
    world.stage(account, AUCTION)


def start_auction(world: World, command: c.StartAuction) -> None:
    account = command.account
    known_account(world, account)
    need(account not in world.auctions and world.accounts[account].stage == LIQUIDATING, "one that is liquidating")
    found = actionable(world, account)
    need(found.equity >= 0, "equity of at least 0")
    if found.equity >= world.parameters.liquidation["auction_below"] * found.maintenance:
        legs = legs_of(world, account)
        need(not legs or not fillable(world, account, legs, found), "an account that partial steps cannot help")
    _offer(world, account, found)


def _running(world: World, account: int) -> Running:
    known_account(world, account)
    need(account in world.auctions, "an account in auction")
    return world.auctions[account]


def _factor(elapsed_s: int) -> Fraction:
    """Price over start price, down to 1e-18."""
    late = elapsed_s - FAST_S
    if late <= 0:
        return 1 - Fraction(ceil((1 - KNEE) * WAD * elapsed_s / FAST_S), WAD)
    return Fraction(floor(KNEE * WAD * max(SLOW_S - late, 0) / SLOW_S), WAD)


def price_of(world: World, account: int) -> Fraction:
    """The auction's present price as a part of value, down to 1e-18."""
    elapsed = (world.now_ns - _running(world, account).start_ns) // 10**9
    return Fraction(floor(_auction_parameter(world, "start") * _factor(elapsed) * WAD), WAD)


def reset_auction(world: World, command: c.ResetAuction) -> None:
    auction = _running(world, command.account)
    found = actionable(world, command.account)
    elapsed = (world.now_ns - auction.start_ns) // 10**9
    need(auction.resets < _auction_parameter(world, "resets_most"), "resets left")
    old = elapsed > _auction_parameter(world, "tail_s")
    need(old or _factor(elapsed) < _auction_parameter(world, "cusp"), "an auction that needs a reset")
    need(not restored(world, found), "an account that falls short")
    world.auctions[command.account] = Running(world.now_ns, auction.resets + 1)


def close_auction(world: World, command: c.CloseAuction) -> None:
    _running(world, command.account)
    found = verdict(world, command.account)
    need(restored(world, found), "an account that is restored")
    del world.auctions[command.account]
    world.stage(command.account, stage_of(world, command.account, found))


def bid(world: World, command: c.Bid) -> None:
    """Take a share of the slice at the present price; the bidder stays above IM and is not the owner."""
    account, bidder = command.account, command.bidder
    _running(world, account)
    if bidder != MARKET:
        known_account(world, bidder)
        mine, theirs = world.accounts[bidder], world.accounts[account]
        need(mine.owner != theirs.owner, "a bidder other than the owner")
        need(mine.stage == HEALTHY and not mine.frozen, "a bidder that is healthy and not frozen")
        need(mine.isolated in (-1, theirs.isolated), "a bidder not isolated in another asset")
        need(trusted(world, [*row_instruments(world, account), *row_instruments(world, bidder)]), "prices that are ok")
    need(not any(shut(world, i) for i, (q, _) in world.positions(account).items() if q), "nothing frozen or expired")
    need(0 < command.share_e9 <= 10**9, "a share")
    found = actionable(world, account)
    price = price_of(world, account)
    need(found.equity > 0 and price > 0, "an auction with a price")
    part = slice_of(found, world.parameters, price)
    need(part > 0, "an account that falls short")
    offered = max(1, floor(found.equity * part))
    got = _taken(world, max(1, offered * command.share_e9 // 10**9), offered)
    need(got > 0, "a bid above the minimum that leaves no dust")
    part = min(Fraction(1), Fraction(ceil(part * WAD * got / offered), WAD))
    _hand_over(world, account, bidder, part)
    payment = world.payment_of(account)
    paid = ceil(found.equity * price * part)
    world.pay(bidder, account, payment, ceil(Fraction(paid, MICRO) / world.market.atom_usd[payment]))
    within_bounds(world)
    if bidder != MARKET:
        then = verdict(world, bidder)
        need(at_least(world, then.equity, then.initial, then.doubt), "a bidder above IM after it")


def _taken(world: World, wanted: int, offered: int) -> int:
    """Everything, or what leaves at least the dust and is above the minimum."""
    if wanted >= offered:
        return offered
    got = min(wanted, offered - int(_auction_parameter(world, "dust_usd")) * MICRO)
    return got if got > 0 and got >= int(_auction_parameter(world, "minimum_bid_usd")) * MICRO else 0


def _hand_over(world: World, account: int, bidder: int, part: Fraction) -> None:
    """A part of every position, lots up, and of every balance, down."""
    for i, (lots, quote) in world.positions(account).items():
        cut = min(abs(lots), ceil(abs(lots) * part))
        share = floor(Fraction(quote * cut, abs(lots))) if lots else floor(quote * part)
        world.give(account, bidder, i, cut if lots > 0 else -cut, share)
    for asset, atoms in world.balances(account).items():
        world.pay(account, bidder, asset, floor(atoms * part))
