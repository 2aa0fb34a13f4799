"""Equity below zero: insurance, deleveraging at the bankruptcy price, loss sharing; semantics 9, steps 4 to 6."""

from fractions import Fraction
from math import ceil, floor

from tests.reference.closing import alone, bought_for, close, impact_e9, legs_of, swap
from tests.reference.gates import actionable, known_account, known_instrument, priced, shut
from tests.reference.margin import MICRO, verdict
from tests.reference.trading import trade
from tests.reference.waterfall import Plan, judge, price_of
from tests.reference.world import DAY_NS, HEALTHY, INSOLVENT, World, need

from solvent.domain import commands as c
from solvent.domain.owners import INSURANCE, MARKET, POOL

EXAMINED = 4
"""Counterparties are looked at for hedges until they hold this many times what is needed."""


def worth(world: World, account: int) -> Fraction:
    """Equity at the marks, to the atom, in USD."""
    unit = world.market.atom_usd
    total = sum((atoms * unit[a] for a, atoms in world.balances(account).items()), Fraction(0))
    return total + sum((_position_usd(world, i, *row) for i, row in world.positions(account).items()), Fraction(0))


def _position_usd(world: World, i: int, lots: int, quote: int) -> Fraction:
    each, mark = world.terms[i], world.quotes[i].ticks
    atoms = each.profit(lots, quote, mark) + (lots * each.factor * mark if each.form == "option" else 0)
    return Fraction(atoms) * world.market.atom_usd[each.payer]


def _held_back(world: World, account: int) -> bool:
    """Something that cannot be traded."""
    held = [i for i, (lots, _) in world.positions(account).items() if lots]
    return any(shut(world, i) for i in [*held, *world.balances(account)])


def debts(world: World, account: int) -> dict[int, int]:
    return {asset: -atoms for asset, atoms in world.balances(account).items() if atoms < 0}


def sell_balances(world: World, account: int, impact: dict[int, int]) -> None:
    """What is owned for the payment asset, then debts back as far as its own cash goes."""
    payment = world.payment_of(account)
    kept = {asset: atoms for asset, atoms in world.balances(account).items() if asset != payment}
    for asset in sorted(kept, key=lambda asset: (kept[asset] < 0, asset)):
        if shut(world, asset):
            continue
        atoms, charge = kept[asset], impact.get(asset, 0)
        if atoms < 0:
            cash = max(0, world.balance(account, payment))
            atoms = -min(-atoms, bought_for(world, account, asset, cash, charge))
        swap(world, account, asset, atoms, charge)


def close_positions(world: World, account: int, impact: dict[int, int]) -> None:
    for i, (lots, _) in world.positions(account).items():
        if lots:
            close(world, account, i, lots, impact.get(i, 0))


def _cash_out(world: World, account: int, i: int) -> None:
    """The outside market takes over a quote leg without lots, for cash."""
    lots, quote = world.position(account, i)
    assert not lots
    world.pay(MARKET, account, world.terms[i].payer, quote)
    world.give(account, MARKET, i, 0, quote)


def _to_insurance(world: World, account: int) -> None:
    for asset, atoms in world.balances(account).items():
        world.pay(account, INSURANCE, asset, max(0, atoms))


def insure(world: World, command: c.Insure, plan: Plan) -> None:
    """Where the fund can make the account whole at the outside market's prices everything is closed there; else
    its collateral is sold and the fund pays what its caps allow: deleveraging comes next."""
    account = command.account
    known_account(world, account)
    found = actionable(world, account)
    worthless = account in world.auctions and price_of(world, account) == 0
    need(found.equity < 0 or worthless, "equity below 0")
    need(world.accounts[account].stage != INSOLVENT, "an account that insurance has not paid for yet")
    impact = {i: impact_e9(world, i, lots) for i, lots in legs_of(world, account).items()}
    lost_by = _worst(world, account)
    trial = world.copy()
    sell_balances(trial, account, impact)
    close_positions(trial, account, impact)
    for i in trial.positions(account):
        _cash_out(trial, account, i)
    sell_balances(trial, account, {})
    before = worth(trial, account)
    whole = not _held_back(world, account) and _cover(trial, account, lost_by, debts(trial, account))
    if not whole:
        need(found.equity < 0, "a fund that can pay for closing the account")
        trial = world.copy()
        sell_balances(trial, account, impact)
        before = worth(trial, account)
        _cover(trial, account, lost_by, _claims(trial, account, -before))
    elif before < 0:
        _to_insurance(trial, account)  # what was rounded up
    paid = worth(trial, account) - before
    if paid:
        key = world.now_ns // DAY_NS, world.accounts[account].owner, lost_by
        trial.insured[key] = trial.insured.get(key, Fraction(0)) + paid
    trial.auctions.pop(account, None)
    trial.stage(account, HEALTHY if whole else INSOLVENT)
    vars(world).update(vars(trial))


def _worst(world: World, account: int) -> int:
    """The instrument that lost most; -1 where none did."""
    rows = {i: _position_usd(world, i, *row) for i, row in world.positions(account).items()}
    worst = min(rows, key=lambda i: (rows[i], i), default=-1)
    return worst if rows.get(worst, Fraction(0)) < 0 else -1


def _claims(world: World, account: int, shortfall: Fraction) -> dict[int, int]:
    """Of what it owes first, the rest in the payment asset."""
    claims: dict[int, int] = {}
    unit, rest = world.market.atom_usd, max(Fraction(0), shortfall)
    for asset, owed in debts(world, account).items():
        claims[asset] = min(owed, ceil(rest / unit[asset]))
        rest = max(Fraction(0), rest - claims[asset] * unit[asset])
    payment = world.payment_of(account)
    claims[payment] = claims.get(payment, 0) + ceil(rest / unit[payment])
    return {asset: atoms for asset, atoms in claims.items() if atoms}


def _cover(world: World, account: int, lost_by: int, claims: dict[int, int]) -> bool:
    """Each claim in its own asset first, then in those of which the fund has most; within the day's caps."""
    unit, whole = world.market.atom_usd, True
    fund = {asset: atoms for asset, atoms in world.balances(INSURANCE).items() if atoms > 0}
    used = Fraction(0)
    for asset, owed in claims.items():
        rest = start = min(owed, floor(_allowance(world, account, lost_by, used, owed * unit[asset]) / unit[asset]))
        order = sorted(fund, key=lambda a: (a != asset, -fund[a] * unit[a], a))
        for each in (a for a in order if fund[a] > 0 and unit[a] > 0):
            if not rest:
                break
            atoms = min(ceil(rest * unit[asset] / unit[each]), fund[each])
            covers = rest if atoms == ceil(rest * unit[asset] / unit[each]) else floor(atoms * unit[each] / unit[asset])
            if not covers:
                continue
            fund[each] -= atoms
            rest -= covers
            world.pay(INSURANCE, account, each, atoms)
            if each != asset:
                world.pay(account, MARKET, each, atoms)
                world.pay(MARKET, account, asset, floor(atoms * unit[each] / unit[asset]))
        used += (start - rest) * unit[asset]
        whole &= start - rest == owed
    return whole


def _allowance(world: World, account: int, lost_by: int, used: Fraction, wanted: Fraction) -> Fraction:
    """What all caps of the day still allow."""
    day, owner = world.now_ns // DAY_NS, world.accounts[account].owner
    rows = [(who, what, usd) for (then, who, what), usd in world.insured.items() if then == day]
    spent = {
        "owner_cap_usd_daily": sum(usd for who, _, usd in rows if who == owner),
        "instrument_cap_usd_daily": sum(usd for _, what, usd in rows if what == lost_by),
        "cap_usd_daily": sum(usd for _, _, usd in rows),
    }
    caps = world.parameters.insurance
    left = [max(Fraction(0), caps[name] - usd - used) for name, usd in spent.items() if caps.get(name) is not None]
    return min(left, default=wanted)


# ---- deleveraging


def deleverage(world: World, command: c.Deleverage, plan: Plan) -> None:
    account, i = command.account, command.instrument
    known_account(world, account)
    known_instrument(world, i)
    need(world.accounts[account].stage == INSOLVENT, "an account that is insolvent")
    lots = world.position(account, i)[0]
    need(lots != 0 and not shut(world, i), "a position to close in an open instrument")
    found = actionable(world, account)
    ticks = _bankruptcy_ticks(world, account, i, lots, found.equity)
    if plan.price_ticks is not None:  # in doubt only where the margins rest on model values of options
        off = verdict(world, account).doubt
        range_ = [_bankruptcy_ticks(world, account, i, lots, found.equity, each) for each in (-off, off)]
        good = min(range_) <= plan.price_ticks <= max(range_)
        judge(good, f"bankruptcy price {plan.price_ticks}: from {min(range_)} to {max(range_)}")
        ticks = plan.price_ticks
    closed = _chosen(world, account, i, lots, ticks)
    need(any(closed.values()), "a counterparty")
    for owner, size in closed.items():
        if size:
            buyer, seller = (owner, account) if lots > 0 else (account, owner)
            trade(world, buyer, seller, i, size, ticks, forced=True)


def _bankruptcy_ticks(world: World, account: int, i: int, lots: int, equity_micro: int, off: int = 0) -> int:
    """b_i = mark_i - sign(q_i) E w_i / (|q_i| M_i), w_i its share of the margins of the legs alone; for the account."""
    held = {k for k, (q, _) in world.positions(account).items() if q}
    legs = {k: q for k, q in legs_of(world, account).items() if k in held}
    margins = alone(world, account, legs)
    total = max(0, sum(margins.values()) - off * (len(margins) - 1))
    share = Fraction(max(0, margins[i] + off), total) if total else Fraction(1, len(legs))
    share = min(share, Fraction(1))
    each, market = world.terms[i], world.market
    mark = Fraction(market.quotes[i].ticks)
    loss_atoms = Fraction(equity_micro, MICRO) / market.atom_usd[each.payer] * share
    if each.form == "inverse":
        reciprocal = 1 / mark + loss_atoms / (lots * each.factor)
        if reciprocal <= 0:
            return 1 if lots < 0 else 2**52
        price = 1 / reciprocal
    else:
        price = mark - loss_atoms / (lots * each.factor)
    ticks = max(0, ceil(price) if lots > 0 else floor(price))
    return ticks if each.form == "option" else max(1, ticks)


def _chosen(world: World, account: int, i: int, lots: int, ticks: int) -> dict[int, int]:
    """Who closes how much: by profit / notional x leverage, or pro rata; hedges and the insolvent are left alone."""
    own = world.accounts_of(world.accounts[account].owner)
    sides = [
        who for who in world.holders(i)
        if who >= 0 and world.position(who, i)[0] * lots < 0 and who not in own
        and world.accounts[who].stage != INSOLVENT
    ]  # fmt: skip
    score = {who: _score(world, who, i) for who in sides}
    free, seen = [], 0
    for who in sorted(sides, key=lambda who: (-score[who], who)):
        hedge = seen < EXAMINED * abs(lots) and _harmed(world, who, i, lots, ticks)
        if not hedge:
            seen += abs(world.position(who, i)[0])
            if verdict(world, who).equity > 0:
                free.append(who)
    size = {who: abs(world.position(who, i)[0]) for who in free}
    needed = min(abs(lots), sum(size.values()))
    if world.parameters.deleveraging == "pro_rata":
        return _pro_rata(size, needed)
    closed = {}
    for who in free:
        closed[who] = min(size[who], needed - sum(closed.values()))
    return closed


def _pro_rata(size: dict[int, int], needed: int) -> dict[int, int]:
    """Largest remainder, ties to the lower account."""
    total = sum(size.values())
    if not total:
        return {}
    closed = {who: size[who] * needed // total for who in size}
    order = sorted(size, key=lambda who: (-(size[who] * needed % total), who))
    for who in order[: needed - sum(closed.values())]:
        closed[who] += 1
    return closed


def _score(world: World, who: int, i: int) -> Fraction:
    """Unsettled profit / notional x leverage."""
    market, (lots, quote) = world.market, world.position(who, i)
    each = world.terms[i]
    profit = floor(each.profit(lots, quote, market.quotes[i].ticks) * market.atom_usd[each.payer] * MICRO)
    notional = max(1, floor(abs(lots) * market.exposure[i] * MICRO))
    whole = floor(sum(abs(q) * market.exposure[k] for k, (q, _) in world.positions(who).items()) * MICRO)
    return Fraction(profit, notional) * whole / max(1, verdict(world, who).equity)


def _harmed(world: World, who: int, i: int, lots: int, ticks: int) -> bool:
    """Closing would leave it insolvent, or further below its initial margin than it is."""
    size = min(abs(world.position(who, i)[0]), abs(lots))
    buyer, seller = (who, MARKET) if lots > 0 else (MARKET, who)
    trial = world.trial(lambda w: trade(w, buyer, seller, i, size, ticks, forced=True))
    now, then = verdict(world, who), verdict(trial, who)
    return then.equity < 0 or then.equity - then.initial < min(0, now.equity - now.initial)


# ---- sharing


def socialise(world: World, command: c.Socialise, plan: Plan) -> None:
    """A derivative's loss by its winners, a debt by its pool; what nobody can pay the account still owes."""
    account = command.account
    known_account(world, account)
    need(world.accounts[account].stage == INSOLVENT, "an account that is insolvent")
    if any(lots for lots, _ in world.positions(account).values()):
        need(priced(world, account, verdict(world, account)), "prices that are ok, or a health far below 1")
    need(not _held_back(world, account), "an account that can be closed")
    before = dict(world.atoms), dict(world.held)
    close_positions(world, account, {})
    for i, (_, quote) in world.positions(account).items():
        if quote > 0:
            _cash_out(world, account, i)
    sell_balances(world, account, {})
    for i, (_, quote) in world.positions(account).items():
        _share_loss(world, account, i, -quote)
    for asset, owed in debts(world, account).items():
        world.pay(POOL, account, asset, min(owed, world.balance(POOL, asset)))
    left = worth(world, account)
    if left >= 0:
        _to_insurance(world, account)
        world.stage(account, HEALTHY)
    need(left >= 0 or before != (world.atoms, world.held), "somebody who can share the loss")


def _share_loss(world: World, account: int, i: int, loss: int) -> None:
    """From the account's cash, then pro rata from winners' unsettled profit, then from the pool as a debt."""
    payer = world.terms[i].payer
    payment = world.payment_of(account)
    if payer != payment:
        cash = max(0, world.balance(account, payment))
        lacking = min(loss - max(0, world.balance(account, payer)), bought_for(world, account, payer, cash))
        if lacking > 0:
            swap(world, account, payer, -lacking)
    cash = min(loss, max(0, world.balance(account, payer)))
    _pay_quote(world, account, i, cash)
    loss -= cash
    mark = world.quotes[i].ticks
    profits = {
        who: world.terms[i].profit(*world.position(who, i), mark)
        for who in world.holders(i)
        if who >= 0 and who != account
    }
    winners = {who: v for who, v in profits.items() if v > 0}
    total = sum(winners.values())
    taken = rest = min(loss, total)
    for who, v in winners.items():
        part = min(rest, ceil(Fraction(v * taken, total)), v)
        world.give(account, who, i, 0, -part)
        rest -= part
    _pay_quote(world, account, i, min(loss - taken, max(0, world.cash(payer))))


def _pay_quote(world: World, account: int, i: int, atoms: int) -> None:
    """Cash to the outside market for a part of a losing quote leg."""
    world.pay(account, MARKET, world.terms[i].payer, atoms)
    world.give(account, MARKET, i, 0, -atoms)
