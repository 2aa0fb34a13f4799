"""Fills and orders: what a trade moves, and which trades an account may make."""

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.book import Order
from solvent.domain.owners import FEES, MARKET
from solvent.domain.quantities import LOT_BOUND
from solvent.domain.universe import OPTION
from solvent.engine.decide.accounts import borrowable
from solvent.engine.decide.moves import Moves
from solvent.engine.decide.refusal import (
    is_spot,
    known_account,
    known_asset,
    refuse_unless,
    some_lots,
    tradable,
)
from solvent.engine.risk import Risk, payment_asset, row_of, states_of
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
    verdicts = tuple(
        verdict
        for side in (command.buyer, command.seller)
        if side != MARKET
        for verdict in _gate(state, risk, side, trade)
    )
    _open_interest(state, risk, command)
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
    refuse_unless(command.buyer_fee_atoms >= 0 and command.seller_fee_atoms >= 0, "fees of at least 0")
    if command.payment >= 0:
        known_asset(state, command.payment)
        refuse_unless(command.payment != command.instrument, "payment in another asset")
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
        refuse_unless(record.isolated in (-1, payer), f"account {record.name} is isolated in another asset")
        lots = state.position(side, command.instrument)[0]
        refuse_unless(abs(lots) + command.lots < LOT_BOUND, "a position below 2**63 lots")
        owners.append(record.owner)
    refuse_unless(owners[0] != owners[1], "two sides with different owners")
    if command.instrument in state.delisted:
        buyer, seller = (state.position(side, command.instrument)[0] for side in (command.buyer, command.seller))
        refuse_unless(
            (command.buyer == MARKET or -buyer >= command.lots)
            and (command.seller == MARKET or seller >= command.lots),
            "only closing: the instrument is delisted",
        )


def _inside_band(state: State, risk: Risk, command: c.Fill) -> None:
    """Refuse prices too far from the guarded mark; an option's band is a share of its underlying's price."""
    assert risk.params is not None
    quote = state.quotes.get(command.instrument)
    refuse_unless(quote is not None and quote.ticks > 0, "an instrument with a mark")
    assert quote is not None
    universe, i = state.universe, command.instrument
    base = float(quote.ticks)
    if universe.terms.form[i] == OPTION:
        assert risk.market is not None
        index = float(risk.market.index_usd[universe.terms.underlying[i]])
        unit = 1.0 if universe.terms.coin_priced[i] else index
        base = unit / float(universe.terms.tick[i])
    band = risk.params.liquidation.price_band * base
    refuse_unless(
        abs(command.price_ticks - quote.ticks) <= band,
        f"price_ticks {command.price_ticks}: within {band:.0f} ticks of the mark {quote.ticks}",
    )


def _gate(state: State, risk: Risk, account: int, trade: Moves) -> tuple[e.Verdict, ...]:
    """At or above IM after the fill it passes; below, IM must not rise and equity - IM must not fall."""
    before = row_of(state, account)
    for asset in {asset for owner, asset, atoms in trade.postings if owner == account and atoms < 0}:
        borrowable(state, account, asset, state.balance(account, asset) - trade.balance(account, asset))
    after = risk.exact_after(state, account, trade.row(account))
    verdict = (e.Verdict(account, after.equity, after.initial_margin, after.maintenance_margin),)
    worst = states_of(state, [*before.instruments, *(leg[1] for leg in trade.legs)])
    if not after.below_initial and worst == 0:
        return verdict
    now = risk.exact(account)
    reduces = after.initial_margin <= now.initial_margin
    refuse_unless(
        reduces and after.equity - after.initial_margin >= now.equity - now.initial_margin,
        f"account {state.accounts[account].name}: equity {after.equity / 1e6:.2f} USD at or above the initial margin "
        f"{after.initial_margin / 1e6:.2f} USD after it, or a trade that reduces risk",
    )
    return verdict


def _open_interest(state: State, risk: Risk, command: c.Fill) -> None:
    """Owner and open-interest caps of a derivative's listing; trades that close are free."""
    assert risk.params is not None
    universe, i = state.universe, command.instrument
    limit = risk.params.limits.get(universe[i].id)
    if limit is None or universe.terms.form[i] == 0:
        return
    assert risk.market is not None
    usd = float(risk.market.index_usd[universe.terms.underlying[i]] * universe.terms.unit[i])
    usd = float(universe.terms.unit[i]) if universe.terms.form[i] == 2 else usd
    for side, sign in ((command.buyer, 1), (command.seller, -1)):
        if side == MARKET or limit.owner_usd is None:
            continue
        lots = sum(state.position(each, i)[0] for each in state.owned[state.accounts[side].owner])
        grows = abs(lots + sign * command.lots) > abs(lots)
        refuse_unless(
            not grows or abs(lots + sign * command.lots) * usd <= limit.owner_usd, f"owner cap of {limit.owner_usd} USD"
        )
    if limit.total_usd is not None:
        open_lots = sum(max(0, state.position(owner, i)[0]) for owner in state.holders.get(i, ()))
        refuse_unless(
            (open_lots + command.lots) * usd <= limit.total_usd, f"open-interest cap of {limit.total_usd} USD"
        )


def open_order(state: State, risk: Risk, command: c.OpenOrder) -> tuple[e.Event, ...]:
    """An order that the venue accepted, known for margin: equity >= IM with it."""
    known_account(state, command.account)
    tradable(state, command.instrument)
    refuse_unless(command.instrument not in state.delisted, "an instrument that is not delisted")
    refuse_unless(0 < abs(command.lots) < LOT_BOUND, "lots other than 0")
    refuse_unless(0 < command.price_ticks < _PRICE_BOUND, "a price above 0")
    record = state.accounts[command.account]
    refuse_unless(record.stage == HEALTHY and not record.frozen, "an account that is healthy and not frozen")
    held = state.orders.get(command.account, {})
    refuse_unless(len(held) < ORDERS_MOST, f"at most {ORDERS_MOST} open orders")
    order = Order(state.next_order, command.instrument, command.lots, command.price_ticks)
    exact = risk.exact_with_order(state, command.account, order)
    refuse_unless(not exact.below_initial, "equity at or above the initial margin with the order")
    verdict = e.Verdict(command.account, exact.equity, exact.initial_margin, exact.maintenance_margin)
    return (e.OrderOpened(account=command.account, order=order, verdicts=(verdict,)),)


def cancel_order(state: State, risk: Risk, command: c.CancelOrder) -> tuple[e.Event, ...]:
    """Forget an order."""
    known_account(state, command.account)
    refuse_unless(command.order in state.orders.get(command.account, {}), f"order {command.order}: an open order")
    return (e.OrdersCancelled(account=command.account, orders=(command.order,), reason="asked"),)
