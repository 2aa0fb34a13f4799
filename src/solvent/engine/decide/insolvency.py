"""Equity below zero: insurance, then deleveraging at the bankruptcy price, then loss sharing; to the atom."""

from fractions import Fraction

import numpy as np

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.owners import INSURANCE, MARKET, POOL
from solvent.domain.quantities import div_up
from solvent.domain.universe import INVERSE, OPTION
from solvent.engine.decide.liquidation import (
    Requirement,
    closable,
    close_at_market,
    liquidation_params,
    swap,
    verdict,
)
from solvent.engine.decide.moves import Moves
from solvent.engine.decide.refusal import known_account, known_instrument, refuse_unless
from solvent.engine.risk import E24, MICRO_E24, Risk, payment_asset, profit_atoms
from solvent.ledger.apply import DAY_NS
from solvent.ledger.records import HEALTHY, INSOLVENT
from solvent.ledger.state import State
from solvent.liquidation.deleveraging import Counterparties
from solvent.liquidation.deleveraging import deleverage as choose
from solvent.liquidation.legs import bankruptcy_price, bankruptcy_price_inverse, bankruptcy_ticks, loss_shares
from solvent.pools.insurance import Claim, Spent, pay

CANDIDATES_FACTOR = 4
"""Counterparties are examined for hedges until they hold this many times the lots that are needed."""


def insure(state: State, risk: Risk, command: c.Insure) -> tuple[e.Event, ...]:
    """Sell the collateral, then let the fund pay what is missing.

    Where the fund can make the account whole at the outside market's prices, everything is closed there.
    Where it cannot, it pays what its caps allow and the account is insolvent: deleveraging comes next.
    """
    account = command.account
    known_account(state, account)
    exact = risk.exact(account)
    refuse_unless(exact.equity < 0, "an account with equity below 0")
    refuse_unless(state.accounts[account].stage != INSOLVENT, "an account that insurance has not paid for yet")
    payment = payment_asset(state.universe)
    legs = closable(state, risk, account)
    impact = dict(zip(legs.instrument.tolist(), legs.impact.tolist(), strict=True))

    sold = Moves(state)
    _sell_balances(state, risk, sold, account, impact)
    short = -risk.exact_after(state, account, sold.row(account)).equity
    flat = Moves(state)
    _sell_balances(state, risk, flat, account, impact)
    _flatten(state, risk, flat, account, impact)
    needed = max(0, -flat.balance(account, payment))
    # Costs of closing at the market belong to the shortfall only if that is what happens.
    paid, paid_atoms = _payout(state, risk, account, needed)
    whole = paid_atoms >= needed
    if not whole:
        needed = div_up(max(0, short) * MICRO_E24, risk.atom_value(state, payment))
        paid, paid_atoms = _payout(state, risk, account, needed)
        whole = paid_atoms >= needed and not state.positions.get(account)
    moves = flat if whole or not state.positions.get(account) else sold
    unit = risk.atom_value(state, payment)
    for asset, atoms in paid.items():
        moves.pay(INSURANCE, account, asset, atoms)
        if asset != payment:
            swap(state, risk, moves, account, asset, atoms)
    after = risk.exact_after(state, account, moves.row(account))
    insured = e.Insured(
        account=account,
        paid_e24=paid_atoms * unit,
        shortfall_e24=needed * unit,
        postings=tuple(moves.postings),
        legs=tuple(moves.legs),
        verdicts=(verdict(account, exact), verdict(account, after)),
    )
    stage = HEALTHY if after.equity >= 0 else INSOLVENT
    found: list[e.Event] = [insured]
    if account in state.auctions:
        found.append(e.AuctionClosed(account=account))
    if stage != state.accounts[account].stage:
        found.append(e.Staged(account=account, stage=stage))
    return tuple(found)


def _sell_balances(state: State, risk: Risk, moves: Moves, account: int, impact: dict[int, float]) -> None:
    """Sell every positive balance for the payment asset and buy back every debt."""
    payment = payment_asset(state.universe)
    for asset, atoms in moves.balances(account).items():
        if asset != payment:
            swap(state, risk, moves, account, asset, atoms, int(np.ceil(impact.get(asset, 0.0) * 1e9)))


def _flatten(state: State, risk: Risk, moves: Moves, account: int, impact: dict[int, float]) -> None:
    """Close every position against the outside market and turn its quote leg into the payment asset."""
    for i, (lots, _) in moves.positions(account).items():
        if lots:
            close_at_market(state, risk, moves, account, i, lots, impact.get(i, 0.0))
    for i in moves.positions(account):
        moves.cash_out(account, i)
    _sell_balances(state, risk, moves, account, {})


def _payout(state: State, risk: Risk, account: int, atoms: int) -> tuple[dict[int, int], int]:
    """What the fund pays of `atoms` of the payment asset: atoms by asset, and how much of it that covers."""
    if atoms <= 0:
        return {}, 0
    payment = payment_asset(state.universe)
    fund = {asset: held for asset, held in state.balances.get(INSURANCE, {}).items() if held > 0}
    values = {asset: risk.atom_value(state, asset) for asset in {*fund, payment}}
    day = state.ts_ns // DAY_NS
    used = dict(state.insured) if day == state.insured_day else {}
    claim = Claim(state.accounts[account].owner, -1, payment, atoms, day)
    spent = Spent(day, sum(used.values()), used)
    payout = pay(fund, values, liquidation_params(risk).insurance, spent, claim, usd=E24)
    return payout.paid, payout.covered_atoms


def deleverage(state: State, risk: Risk, command: c.Deleverage) -> tuple[e.Event, ...]:
    """Close one leg of an insolvent account against the opposite side at its bankruptcy price."""
    account, i = command.account, command.instrument
    known_account(state, account)
    known_instrument(state, i)
    refuse_unless(state.accounts[account].stage == INSOLVENT, "an account that is insolvent")
    lots = state.position(account, i)[0]
    refuse_unless(lots != 0, "a position to close")
    exact = risk.exact(account)
    price = _bankruptcy_ticks(state, risk, account, i, exact.equity)
    rows, parties = _counterparties(state, risk, account, i, price)
    chosen = choose(liquidation_params(risk).deleveraging, abs(lots), parties)
    moves = Moves(state)
    loss = 0
    for owner, closed in zip(rows, chosen.closed_lots.tolist(), strict=True):
        if closed:
            buyer, seller = (owner, account) if lots > 0 else (account, owner)
            before = _worth(state, moves, owner, i)
            moves.trade(buyer, seller, i, closed, price)
            loss += before - _worth(state, moves, owner, i)
    refuse_unless(bool(moves.legs), "a counterparty to close against")
    payer = int(state.universe.terms.settlement[i])
    return (
        e.Deleveraged(
            account=account, instrument=i, lots=int(chosen.closed_lots.sum()), price_ticks=price,
            overshoot_lots=chosen.overshoot_lots, counterparties=chosen.touched,
            loss_e24=loss * risk.atom_value(state, payer),
            postings=tuple(moves.postings), legs=tuple(moves.legs),
            verdicts=(
                verdict(account, exact),
                verdict(account, risk.exact_after(state, account, moves.row(account))),
            ),
        ),
    )  # fmt: skip


def _worth(state: State, moves: Moves, owner: int, i: int) -> int:
    """Settlement atoms that a holder's position is worth at the mark after some moves."""
    lots, quote = moves.position(owner, i)
    if state.universe.terms.form[i] == OPTION:
        payer = int(state.universe.terms.settlement[i])
        premium = lots * state.universe.value_atoms[i][0] * state.quotes[i].ticks
        return premium + moves.balance(owner, payer)
    return profit_atoms(state, i, lots, quote)


def _bankruptcy_ticks(state: State, risk: Risk, account: int, i: int, equity_micro: int) -> int:
    """Price at which closing the leg uses up its share of the account's equity."""
    universe = state.universe
    positions = {k: q for k, (q, _) in sorted(state.positions.get(account, {}).items()) if q}
    legs = closable(state, risk, account)
    alone = Requirement(state, risk, account, legs).alone()
    margins = {int(k): int(x * 1e6) for k, x in zip(legs.instrument, alone, strict=True) if int(k) in positions}
    share = dict(zip(margins, loss_shares(list(margins.values())), strict=True))[i]
    lots = positions[i]
    mark = Fraction(state.quotes[i].ticks) * Fraction(universe[i].tick)
    payer = int(universe.terms.settlement[i])
    paid = Fraction(risk.atom_value(state, payer) * 10 ** universe.spot_of(payer).decimals, E24)
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


def _counterparties(
    state: State, risk: Risk, account: int, i: int, price_ticks: int
) -> tuple[list[int], Counterparties]:
    """Accounts that hold the other side, from one snapshot; hedges that their holders need are skipped."""
    lots = state.position(account, i)[0]
    owner = state.accounts[account].owner
    rows = [
        each
        for each in state.holders_of(i)
        if each >= 0
        and state.position(each, i)[0] * lots < 0
        and state.accounts[each].owner != owner
        and state.accounts[each].stage != INSOLVENT
    ]
    exposure = risk.exposure_usd()
    statement = risk.statement(np.array(rows, dtype=np.int64))
    held = np.array([abs(state.position(each, i)[0]) for each in rows], dtype=np.int64)
    notional = (held * float(exposure[i]) * 1e6).astype(np.int64)
    payer = int(state.universe.terms.settlement[i])
    profit = [risk.usd_micro_down(state, payer, profit_atoms(state, i, *state.position(each, i))) for each in rows]
    total = [sum(abs(q) * float(exposure[k]) for k, (q, _) in state.positions[each].items()) * 1e6 for each in rows]
    parties = Counterparties(
        account=np.array(rows, dtype=np.int64),
        lots=held,
        profit=np.array(profit, dtype=np.int64),
        notional=notional,
        account_notional=np.array(total, dtype=np.float64).astype(np.int64),
        equity=(statement.equity * 1e6).astype(np.int64),
        skip=np.zeros(len(rows), dtype=np.bool_),
    )
    _skip_hedges(state, risk, parties, i, lots, price_ticks)
    return rows, parties


def _skip_hedges(state: State, risk: Risk, parties: Counterparties, i: int, lots: int, price_ticks: int) -> None:
    """Mark holders whose initial margin would exceed their equity without the leg.

    Looks at the most profitable first, as the queue does, until they hold enough.
    """
    needed = CANDIDATES_FACTOR * abs(lots)
    score = parties.profit / np.maximum(parties.notional, 1) * parties.account_notional / np.maximum(parties.equity, 1)
    seen = 0
    for k in np.argsort(-score, kind="stable"):
        if seen >= needed:
            break
        owner = int(parties.account[k])
        closed = min(int(parties.lots[k]), abs(lots))
        moves = Moves(state)
        moves.trade(owner, MARKET, i, closed, price_ticks) if lots > 0 else moves.trade(
            MARKET, owner, i, closed, price_ticks
        )
        after = risk.exact_after(state, owner, moves.row(owner))
        now = risk.exact(owner)
        parties.skip[k] = after.below_initial and not now.below_initial
        if not parties.skip[k]:
            seen += int(parties.lots[k])


def socialise(state: State, risk: Risk, command: c.Socialise) -> tuple[e.Event, ...]:
    """Close what is left at the mark and share the loss: a derivative's by its winners, a debt by its pool."""
    account = command.account
    known_account(state, account)
    refuse_unless(state.accounts[account].stage == INSOLVENT, "an account that is insolvent")
    exact = risk.exact(account)
    payment = payment_asset(state.universe)
    moves = Moves(state)
    for i, (lots, _) in moves.positions(account).items():
        if lots:
            close_at_market(state, risk, moves, account, i, lots, 0.0)
    for i, (_, quote) in moves.positions(account).items():
        if quote > 0:
            moves.cash_out(account, i)
    _sell_balances(state, risk, moves, account, {})
    shared = 0
    for i, (_, quote) in moves.positions(account).items():
        shared += _share_loss(state, risk, moves, account, i, -quote)
    debt = max(0, -moves.balance(account, payment))
    written = min(debt, max(0, state.balance(POOL, payment)))
    moves.pay(POOL, account, payment, written)
    unit = risk.atom_value(state, payment)
    shared += written * unit
    left = moves.balance(account, payment)
    bad = max(0, -left) * unit + sum(
        -quote * risk.atom_value(state, int(state.universe.terms.settlement[i]))
        for i, (_, quote) in moves.positions(account).items()
    )
    surplus = max(0, left) if not moves.positions(account) else 0
    moves.pay(account, INSURANCE, payment, surplus)
    after = risk.exact_after(state, account, moves.row(account))
    return (
        e.LossShared(
            account=account, shared_e24=shared, bad_debt_e24=max(0, bad), surplus_e24=surplus * unit,
            postings=tuple(moves.postings), legs=tuple(moves.legs),
            verdicts=(verdict(account, exact), verdict(account, after)),
        ),
        e.Staged(account=account, stage=HEALTHY),
    )  # fmt: skip


def _share_loss(state: State, risk: Risk, moves: Moves, account: int, i: int, loss: int) -> int:
    """Take a loss in settlement atoms from cash first, then pro rata from the winners' unsettled profit, then
    (where winners have been paid already) from the asset's pool as a debt. Returns USD x 1e24 shared."""
    payer = int(state.universe.terms.settlement[i])
    cash = min(loss, max(0, moves.balance(account, payer)))
    loss -= cash
    moves.pay(account, MARKET, payer, cash)
    moves.give(account, MARKET, i, 0, -cash)
    winners = [
        (owner, profit_atoms(state, i, *moves.position(owner, i)))
        for owner in state.holders_of(i)
        if owner >= 0 and owner != account
    ]
    winners = [(owner, v) for owner, v in winners if v > 0]
    total = sum(v for _, v in winners)
    taken = min(loss, total)
    rest = taken
    for owner, v in winners:
        part = min(rest, div_up(v * taken, total), v)
        moves.give(account, owner, i, 0, -part)
        rest -= part
    loss -= taken
    shared = taken * risk.atom_value(state, payer)
    borrowed = min(loss, max(0, state.pool_cash(payer)))
    moves.pay(account, MARKET, payer, borrowed)
    moves.give(account, MARKET, i, 0, -borrowed)
    return shared
