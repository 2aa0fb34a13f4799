"""Fills and orders: what a trade moves, and which trades an account may make."""

from fractions import Fraction

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.book import Order
from solvent.domain.instruments import contract_lot, unit
from solvent.domain.owners import FEES, MARKET
from solvent.domain.quantities import ATOM_BOUND, LOT_BOUND
from solvent.domain.universe import INVERSE, OPTION, SPOT
from solvent.engine.decide.moves import Moves
from solvent.engine.decide.refusal import (
    doubt,
    is_spot,
    known_account,
    known_asset,
    marked,
    refuse_unless,
    some_lots,
    tradable,
)
from solvent.engine.risk import Risk, payment_asset, row_of
from solvent.ledger.records import CALLED, HEALTHY
from solvent.ledger.state import State

ORDERS_MOST = 200
"""Open orders of one account."""
_PRICE_BOUND = 2**53


def trade_moves(state: State, command: c.Fill) -> Moves:
    """What a fill moves: both sides of the trade, fees last."""
    moves = Moves(state)
    universe, i = state.universe, command.instrument
    payer = int(universe.terms.settlement[i])
    if is_spot(state, i):
        payer = command.payment if command.payment >= 0 else payment_asset(universe)
        base = command.lots * universe.spot_of(i).lot_atoms
        moves.pay(command.seller, command.buyer, i, base)
        moves.pay(command.buyer, command.seller, payer, spot_price_atoms(state, i, payer, base, command.price_ticks))
    else:
        moves.trade(command.buyer, command.seller, i, command.lots, command.price_ticks)
    moves.pay(command.buyer, FEES, payer, command.buyer_fee_atoms)
    moves.pay(command.seller, FEES, payer, command.seller_fee_atoms)
    return moves


def spot_price_atoms(state: State, instrument: int, payment: int, base_atoms: int, price_ticks: int) -> int:
    """Atoms of the payment asset for `base_atoms` at a price in payment coins, rounded down (for the buyer)."""
    spot, payer = state.universe.spot_of(instrument), state.universe.spot_of(payment)
    numerator, denominator = spot.tick.as_integer_ratio()
    paid: int = base_atoms * price_ticks * numerator * 10**payer.decimals // (denominator * 10**spot.decimals)
    return paid


def fill(state: State, risk: Risk, command: c.Fill) -> tuple[e.Event, ...]:
    """A trade of the venue: inside the price band, between different owners, and both sides pass the margin gate."""
    _sane(state, command)
    _inside_band(state, risk, command)
    trade = trade_moves(state, command)
    trade.refuse_beyond_limits()
    verdicts = tuple(
        verdict
        for side in (command.buyer, command.seller)
        if side != MARKET
        for verdict in _gate(state, risk, side, trade)
    )
    _within_caps(state, risk, command, trade)
    return (
        e.Filled(
            instrument=command.instrument,
            buyer=command.buyer,
            seller=command.seller,
            lots=command.lots,
            price_ticks=command.price_ticks,
            postings=tuple(trade.postings),
            legs=tuple(trade.legs),
            verdicts=verdicts,
        ),
    )


def _sane(state: State, command: c.Fill) -> None:
    tradable(state, command.instrument)
    some_lots(command.lots)
    refuse_unless(0 < command.price_ticks < _PRICE_BOUND, f"price_ticks {command.price_ticks}: above 0")
    fees = command.buyer_fee_atoms, command.seller_fee_atoms
    refuse_unless(min(fees) >= 0 and max(fees) < ATOM_BOUND, "fees of at least 0")
    if command.payment >= 0:
        known_asset(state, command.payment)
        refuse_unless(command.payment != command.instrument, "payment in another asset")
    spot = is_spot(state, command.instrument)
    owners = []
    for side in (command.buyer, command.seller):
        if side == MARKET:
            owners.append("")
            continue
        known_account(state, side)
        record = state.accounts[side]
        refuse_unless(not record.frozen, f"account {record.name} is frozen")
        refuse_unless(record.stage in (HEALTHY, CALLED), f"account {record.name} is {record.stage}")
        payer = int(state.universe.terms.settlement[command.instrument])
        here = record.isolated == -1 or (record.isolated == payer and not spot)
        refuse_unless(here, f"account {record.name} is isolated in another asset")
        owners.append(record.owner)
    refuse_unless(owners[0] != owners[1], "two sides with different owners")
    if command.instrument in state.delisted:
        buyer, seller = (held_lots(state, side, command.instrument) for side in (command.buyer, command.seller))
        refuse_unless(
            (command.buyer == MARKET or -buyer >= command.lots)
            and (command.seller == MARKET or seller >= command.lots),
            "only closing: the instrument is delisted",
        )


def held_lots(state: State, owner: int, instrument: int) -> int:
    """Lots of a position, or whole lots of a balance or a debt."""
    if not is_spot(state, instrument):
        return state.position(owner, instrument)[0]
    atoms, lot = state.balance(owner, instrument), state.universe.spot_of(instrument).lot_atoms
    return atoms // lot if atoms >= 0 else -(-atoms // lot)


def _inside_band(state: State, risk: Risk, command: c.Fill) -> None:
    """Refuse prices too far from the guarded mark; an option's band is a share of its underlying's price.

    The price of spot is in coins of what pays for it.
    """
    universe, i = state.universe, command.instrument
    marked(state, risk, i)
    assert risk.market is not None
    mark = base = float(state.quotes[i].ticks)
    if universe.terms.form[i] == OPTION:
        index = float(risk.market.index_usd[universe.terms.underlying[i]])
        base = (1.0 if universe.terms.coin_priced[i] else index) / float(universe.terms.tick[i])
    elif universe.terms.form[i] == SPOT:
        payment = command.payment if command.payment >= 0 else payment_asset(universe)
        marked(state, risk, payment)
        mark = base = mark / float(risk.market.price[payment])
    band = risk.parameters().liquidation.price_band * base
    refuse_unless(
        abs(command.price_ticks - mark) <= band,
        f"price_ticks {command.price_ticks}: within {band:.0f} ticks of the mark {mark:.0f}",
    )


def _gate(state: State, risk: Risk, account: int, trade: Moves) -> tuple[e.Verdict, ...]:
    """At or above IM after the fill it passes; below, IM must not rise and equity - IM must not fall."""
    row = trade.row(account)
    after = risk.gate_after(state, account, row)
    verdict = (e.Verdict(account, after.equity, after.initial_margin, after.maintenance_margin),)
    reason = doubt(state, risk, {*row_of(state, account).instruments, *row.instruments})
    if not after.below_initial and not reason:
        return verdict
    now = risk.gate(state, account)
    reduces = after.initial_margin <= now.initial_margin
    refuse_unless(
        reduces and after.equity - after.initial_margin >= now.equity - now.initial_margin,
        f"account {state.accounts[account].name}: equity {after.equity / 1e6:.2f} USD at or above the initial margin "
        f"{after.initial_margin / 1e6:.2f} USD after it" + (f" and {reason}" if reason else "")
        + ", or a trade that reduces risk",
    )  # fmt: skip
    return verdict


def _within_caps(state: State, risk: Risk, command: c.Fill, trade: Moves) -> None:
    """Caps of the instrument's listing on what an owner holds and on open interest; what shrinks them is free."""
    universe, i = state.universe, command.instrument
    limit = risk.limit_of(state, i)
    if limit is None:
        return
    assert risk.market is not None
    inverse = universe.terms.form[i] == INVERSE
    index = Fraction(float(risk.market.index_usd[universe.terms.underlying[i]]))
    lot_usd = unit(universe[i]) * (1 if inverse else index)
    contracts = contract_lot(universe[i])

    def refuse_above(before: int, after: int, usd: int | None, units: int | None, name: str) -> None:
        if after > before:
            refuse_unless(usd is None or after * lot_usd <= usd, f"{name} of {usd} USD")
            refuse_unless(units is None or after * contracts <= units, f"{name} of {units} coins or contracts")

    nothing = Moves(state)
    for side in {command.buyer, command.seller} - {MARKET}:
        accounts = state.owned[state.accounts[side].owner]
        before, after = (_owner_lots(moves, accounts, i) for moves in (nothing, trade))
        refuse_above(before, after, limit.owner_usd, limit.owner_units, "owner cap")
    if not is_spot(state, i):
        holders = {*state.holders.get(i, ()), command.buyer, command.seller}
        before, after = (sum(max(0, moves.position(each, i)[0]) for each in holders) for moves in (nothing, trade))
        refuse_above(before, after, limit.total_usd, limit.total_units, "open-interest cap")


def _owner_lots(moves: Moves, accounts: list[int], i: int) -> int:
    """Size of what an owner's accounts hold together: the net position, or all balances above zero."""
    universe = moves.state.universe
    if universe.terms.form[i] == SPOT:
        return sum(max(0, moves.balance(each, i)) for each in accounts) // universe.spot_of(i).lot_atoms
    return abs(sum(moves.position(each, i)[0] for each in accounts))


def open_order(state: State, risk: Risk, command: c.OpenOrder) -> tuple[e.Event, ...]:
    """An order that the venue accepted, known for margin: equity >= IM with it, at good prices."""
    known_account(state, command.account)
    tradable(state, command.instrument)
    marked(state, risk, command.instrument)
    refuse_unless(command.instrument not in state.delisted, "an instrument that is not delisted")
    refuse_unless(0 < abs(command.lots) < LOT_BOUND, "lots other than 0")
    refuse_unless(0 < command.price_ticks < _PRICE_BOUND, "a price above 0")
    record = state.accounts[command.account]
    refuse_unless(record.stage == HEALTHY and not record.frozen, "an account that is healthy and not frozen")
    settles = int(state.universe.terms.settlement[command.instrument])
    here = record.isolated == -1 or (record.isolated == settles and not is_spot(state, command.instrument))
    refuse_unless(here, f"account {record.name} is isolated in another asset")
    reason = doubt(state, risk, [*row_of(state, command.account).instruments, command.instrument])
    refuse_unless(not reason, reason)
    held = state.orders.get(command.account, {})
    refuse_unless(len(held) < ORDERS_MOST, f"at most {ORDERS_MOST} open orders")
    order = Order(state.next_order, command.instrument, command.lots, command.price_ticks)
    exact = risk.gate_with_order(state, command.account, order)
    refuse_unless(not exact.below_initial, "equity at or above the initial margin with the order")
    verdict = e.Verdict(command.account, exact.equity, exact.initial_margin, exact.maintenance_margin)
    return (e.OrderOpened(account=command.account, order=order, verdicts=(verdict,)),)


def cancel_order(state: State, risk: Risk, command: c.CancelOrder) -> tuple[e.Event, ...]:
    """Forget an order."""
    known_account(state, command.account)
    refuse_unless(command.order in state.orders.get(command.account, {}), f"order {command.order}: an open order")
    return (e.OrdersCancelled(account=command.account, orders=(command.order,), reason="asked"),)
