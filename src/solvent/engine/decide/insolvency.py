"""Equity below zero: insurance, then deleveraging at the bankruptcy price, then loss sharing; to the atom."""

from fractions import Fraction

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.owners import INSURANCE, MARKET, POOL
from solvent.domain.quantities import div_up
from solvent.domain.universe import INVERSE, OPTION
from solvent.engine.decide.counterparties import counterparties
from solvent.engine.decide.estate import (
    buyable,
    close_positions,
    debts,
    hand_over,
    held_back,
    position_e42,
    sell_balances,
    turn_into_cash,
    worth_e42,
)
from solvent.engine.decide.liquidation import (
    closable,
    discount_e18,
    liquidation_params,
    payment_of,
    refuse_unless_priced,
    swap,
    verdict,
)
from solvent.engine.decide.moves import Moves
from solvent.engine.decide.refusal import known_account, known_instrument, refuse_unless, shut, tradable
from solvent.engine.risk import VALUE, Risk, Row, profit_atoms, trade_quote
from solvent.ledger.apply import DAY_NS
from solvent.ledger.records import HEALTHY, INSOLVENT
from solvent.ledger.state import State
from solvent.liquidation.deleveraging import deleverage as choose
from solvent.liquidation.legs import bankruptcy_price, bankruptcy_price_inverse, bankruptcy_ticks, loss_shares
from solvent.pools.insurance import Claim, Spent, pay


def insure(state: State, risk: Risk, command: c.Insure) -> tuple[e.Event, ...]:
    """Sell the collateral, then let the fund pay what is missing.

    Where the fund can make the account whole at the outside market's prices, everything is closed there.
    Where it cannot, it pays what its caps allow and the account is insolvent: deleveraging comes next.
    An auction whose price fell to zero comes here too, but only if all can be closed.
    """
    account = command.account
    known_account(state, account)
    exact = refuse_unless_priced(state, risk, account)
    unsold = account in state.auctions and discount_e18(state, risk, account) == 0
    refuse_unless(exact.equity < 0 or unsold, "an account with equity below 0")
    refuse_unless(state.accounts[account].stage != INSOLVENT, "an account that insurance has not paid for yet")
    legs = closable(state, risk, account)
    impact = dict(zip(legs.instrument.tolist(), legs.impact.tolist(), strict=True))
    instrument = _worst_position(state, risk, account)

    moves = Moves(state)
    turn_into_cash(state, risk, moves, account, impact)
    before = worth_e42(state, risk, moves, account)
    whole = not held_back(state, account) and _cover(state, risk, moves, account, instrument, debts(moves, account))
    if not whole:  # costs of closing at the market are no part of the shortfall then
        refuse_unless(exact.equity < 0, "a fund that can pay for closing the account")
        moves = Moves(state)
        sell_balances(state, risk, moves, account, impact)
        before = worth_e42(state, risk, moves, account)
        _cover(state, risk, moves, account, instrument, _claims(state, risk, moves, account, -before))
    elif before < 0:
        hand_over(moves, account, INSURANCE)  # what was rounded up
    risk.expect(moves.taken_usd)
    after = risk.exact_after(state, account, moves.row(account))
    insured = e.Insured(
        account=account,
        paid_e42=worth_e42(state, risk, moves, account) - before,
        shortfall_e42=max(0, -before),
        instrument=instrument,
        postings=tuple(moves.postings),
        legs=tuple(moves.legs),
        verdicts=(verdict(account, exact), verdict(account, after)),
    )
    closed = (e.AuctionClosed(account=account),) if account in state.auctions else ()
    stage = HEALTHY if whole else INSOLVENT
    staged = (e.Staged(account=account, stage=stage),) if stage != state.accounts[account].stage else ()
    return (insured, *closed, *staged)


def _worst_position(state: State, risk: Risk, account: int) -> int:
    """The instrument that lost most, which insurance's cap by instrument counts; -1 where none has lost."""
    positions = sorted(state.positions.get(account, {}).items())
    worth = {i: position_e42(state, risk, i, *held) for i, held in positions}
    worst = min(worth, key=lambda i: worth[i], default=-1)
    return worst if worth.get(worst, 0) < 0 else -1


def _claims(state: State, risk: Risk, moves: Moves, account: int, shortfall_e42: int) -> dict[int, int]:
    """A shortfall as claims in atoms by asset: of what the account owes first, the rest in the payment asset."""
    claims: dict[int, int] = {}
    rest = max(0, shortfall_e42)
    payment = payment_of(state, account)
    for asset, owed in debts(moves, account).items():
        atoms = min(owed, div_up(rest, risk.atom_value(state, asset)))
        claims[asset] = atoms
        rest = max(0, rest - atoms * risk.atom_value(state, asset))
    claims[payment] = claims.get(payment, 0) + div_up(rest, risk.atom_value(state, payment))
    return {asset: atoms for asset, atoms in claims.items() if atoms}


def _cover(state: State, risk: Risk, moves: Moves, account: int, instrument: int, claims: dict[int, int]) -> bool:
    """Let the fund pay claims, each in its own asset first, within its caps; whether it could in full."""
    fund = {asset: held for asset, held in state.balances.get(INSURANCE, {}).items() if held > 0}
    values = {asset: risk.atom_value(state, asset) for asset in {*fund, *claims}}
    day, owner = state.ts_ns // DAY_NS, state.accounts[account].owner
    spent = Spent(day)
    if day == state.insured_day:
        spent = Spent(day, sum(state.insured.values()), dict(state.insured), dict(state.insured_instruments))
    whole = True
    for asset, owed in claims.items():
        claim = Claim(owner, instrument, asset, owed, day)
        payout = pay(fund, values, liquidation_params(risk).insurance, spent, claim, usd=VALUE)
        fund, spent = payout.balances, payout.spent
        for paid, atoms in payout.paid.items():
            moves.pay(INSURANCE, account, paid, atoms)
            if paid != asset:
                moves.pay(account, MARKET, paid, atoms)
                moves.pay(MARKET, account, asset, atoms * values[paid] // values[asset])
        whole &= not payout.rest_atoms
    return whole


def deleverage(state: State, risk: Risk, command: c.Deleverage) -> tuple[e.Event, ...]:
    """Close one leg of an insolvent account against the opposite side at its bankruptcy price."""
    account, i = command.account, command.instrument
    known_account(state, account)
    known_instrument(state, i)
    refuse_unless(state.accounts[account].stage == INSOLVENT, "an account that is insolvent")
    lots = state.position(account, i)[0]
    refuse_unless(lots != 0, "a position to close")
    tradable(state, i)
    exact = refuse_unless_priced(state, risk, account)
    price = _bankruptcy_ticks(state, risk, account, i, exact.equity)
    rows, parties = counterparties(state, risk, account, i, price)
    chosen = choose(liquidation_params(risk).deleveraging, abs(lots), parties)
    moves = Moves(state)
    before = worth_e42(state, risk, moves, account)
    for owner, closed in zip(rows, chosen.closed_lots.tolist(), strict=True):
        if closed:
            buyer, seller = (owner, account) if lots > 0 else (account, owner)
            moves.trade(buyer, seller, i, closed, price, forced=True)
    refuse_unless(bool(moves.legs), "a counterparty to close against")
    return (
        e.Deleveraged(
            account=account, instrument=i, lots=int(chosen.closed_lots.sum()), price_ticks=price,
            overshoot_lots=chosen.overshoot_lots, counterparties=chosen.touched,
            loss_e42=worth_e42(state, risk, moves, account) - before,
            postings=tuple(moves.postings), legs=tuple(moves.legs),
            verdicts=(
                verdict(account, exact),
                verdict(account, risk.exact_after(state, account, moves.row(account))),
            ),
        ),
    )  # fmt: skip


def _bankruptcy_ticks(state: State, risk: Risk, account: int, i: int, equity_micro: int) -> int:
    """Price at which closing the leg uses up its share of the account's equity."""
    universe = state.universe
    positions = {k: q for k, (q, _) in sorted(state.positions.get(account, {}).items()) if q and not shut(state, k)}
    alone = [_margin_alone(state, risk, account, k, q) for k, q in positions.items()]
    share = dict(zip(positions, loss_shares(alone), strict=True))[i]
    lots = positions[i]
    mark = Fraction(state.quotes[i].ticks) * Fraction(universe[i].tick)
    payer = int(universe.terms.settlement[i])
    paid = Fraction(risk.atom_value(state, payer) * 10 ** universe.spot_of(payer).decimals, VALUE)
    equity = Fraction(equity_micro, 10**6)
    numerator, denominator = universe.value_atoms[i]
    per_tick = Fraction(numerator, denominator * 10 ** universe.spot_of(payer).decimals)
    tick = Fraction(universe[i].tick)
    if universe.terms.form[i] == INVERSE:
        found = bankruptcy_price_inverse(mark, lots, per_tick * tick, equity, share, paid)
        return bankruptcy_ticks(found, tick, lots) if found is not None else (1 if lots < 0 else 2**52)
    coins = per_tick / tick
    ticks = bankruptcy_ticks(bankruptcy_price(mark, lots, coins, equity / paid, share), tick, lots)
    return ticks if universe.terms.form[i] == OPTION else max(1, ticks)


def _margin_alone(state: State, risk: Risk, account: int, i: int, lots: int) -> int:
    """Maintenance margin in 1e-6 USD of a position by itself, entered at the mark: in integers, for it sets a price."""
    universe = state.universe
    entered = 0
    if universe.terms.form[i] != OPTION:
        entered = trade_quote(universe, i, lots, state.quotes[i].ticks) // universe.lot_atoms[i]
    return risk.exact_of(state, account, Row([i], [lots], [entered]), []).maintenance_margin


def socialise(state: State, risk: Risk, command: c.Socialise) -> tuple[e.Event, ...]:
    """Close what is left at the mark and share the loss: a derivative's by its winners, a debt by its pool.

    What nobody can pay stays with the account as bad debt, and the account stays insolvent.
    """
    account = command.account
    known_account(state, account)
    refuse_unless(state.accounts[account].stage == INSOLVENT, "an account that is insolvent")
    exact = risk.exact(account)
    if any(lots for lots, _ in state.positions.get(account, {}).values()):
        refuse_unless_priced(state, risk, account)
    reason = held_back(state, account)
    refuse_unless(not reason, f"an account that can be closed: {reason}")
    moves = Moves(state)
    before = worth_e42(state, risk, moves, account)
    close_positions(state, risk, moves, account, {})
    for i, (_, quote) in moves.positions(account).items():
        if quote > 0:
            moves.cash_out(account, i)
    sell_balances(state, risk, moves, account, {})
    for i, (_, quote) in moves.positions(account).items():
        _share_loss(state, risk, moves, account, i, -quote)
    for asset, owed in debts(moves, account).items():
        moves.pay(POOL, account, asset, min(owed, moves.balance(POOL, asset)))
    left = worth_e42(state, risk, moves, account)
    if left >= 0:
        hand_over(moves, account, INSURANCE)
    refuse_unless(left >= 0 or bool(moves.postings or moves.legs), "somebody who can share the loss")
    risk.expect(moves.taken_usd)
    after = risk.exact_after(state, account, moves.row(account))
    shared = e.LossShared(
        account=account,
        shared_e42=left - before,
        bad_debt_e42=max(0, -left),
        surplus_e42=max(0, left),
        postings=tuple(moves.postings),
        legs=tuple(moves.legs),
        verdicts=(verdict(account, exact), verdict(account, after)),
    )
    return (shared, e.Staged(account=account, stage=HEALTHY)) if left >= 0 else (shared,)


def _share_loss(state: State, risk: Risk, moves: Moves, account: int, i: int, loss: int) -> None:
    """Take a loss in settlement atoms from the account's cash, then pro rata from the winners' unsettled profit,
    then (where winners have been paid already) from the asset's pool as a debt."""
    payer = int(state.universe.terms.settlement[i])
    lacking = min(loss - max(0, moves.balance(account, payer)), buyable(state, risk, moves, account, payer))
    if payer != payment_of(state, account) and lacking > 0:
        swap(state, risk, moves, account, payer, -lacking)
    cash = min(loss, max(0, moves.balance(account, payer)))
    _pay_quote(moves, account, i, payer, cash)
    loss -= cash
    if not loss:
        return
    winners = [
        (owner, profit_atoms(state, i, *moves.position(owner, i)))
        for owner in state.holders_of(i)
        if owner >= 0 and owner != account
    ]
    winners = [(owner, v) for owner, v in winners if v > 0]
    total = sum(v for _, v in winners)
    taken = rest = min(loss, total)
    for owner, v in winners:
        part = min(rest, div_up(v * taken, total), v)
        moves.give(account, owner, i, 0, -part)
        rest -= part
    _pay_quote(moves, account, i, payer, min(loss - taken, max(0, moves.pool_cash(payer))))


def _pay_quote(moves: Moves, account: int, i: int, payer: int, atoms: int) -> None:
    """Pay the outside market cash for a part of a losing quote leg."""
    moves.pay(account, MARKET, payer, atoms)
    moves.give(account, MARKET, i, 0, -atoms)
