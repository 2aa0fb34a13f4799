"""From margin call to auction: stages by the exact form, partial steps against the outside market, bids."""

from math import fsum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.book import Book, Order
from solvent.domain.market import GONE, OK
from solvent.domain.owners import FEES, INSURANCE, MARKET
from solvent.domain.quantities import div_up, mul_div_up
from solvent.domain.universe import INVERSE, OPTION, SPOT
from solvent.engine.decide.kernel_rows import closed_rows
from solvent.engine.decide.moves import Moves
from solvent.engine.decide.refusal import Refusal, doubt, is_spot, known_account, refuse_unless, shut
from solvent.engine.decide.trading import spot_price_atoms
from solvent.engine.params import LiquidationParams
from solvent.engine.risk import MICRO_VALUE, VALUE, Risk, orders_of, payment_asset, row_of, states_of
from solvent.ledger.records import AUCTION, CALLED, HEALTHY, INSOLVENT, LIQUIDATING, Auction
from solvent.ledger.state import State
from solvent.liquidation import auctions, sizing
from solvent.liquidation.legs import penalty, split_penalty
from solvent.margin.statement import ExactStatement
from solvent.pools.fixed_point import WAD
from solvent.valuation.impact import impact_fraction

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
E9 = 10**9
_SLACK = 1e-9
"""Floats let only those fills through that are sound by more than their error."""


def verdict(account: int, exact: ExactStatement) -> e.Verdict:
    """An exact statement as it stands in an event."""
    return e.Verdict(account, exact.equity, exact.initial_margin, exact.maintenance_margin)


def liquidation_params(risk: Risk) -> LiquidationParams:
    """The policy's liquidation table."""
    return risk.parameters().liquidation


def restored(exact: ExactStatement, params: LiquidationParams) -> bool:
    """Whether equity is back at (1 + buffer) MM: what ends a liquidation."""
    return auctions.buffer_margin(exact.equity, exact.maintenance_margin, params.buffer) >= 0


def breaches(state: State, risk: Risk, account: int, exact: ExactStatement) -> bool:
    """The rule's own inequality, at prices that allow to act on it."""
    return exact.liquidatable and priced(state, risk, account, exact)


def priced(state: State, risk: Risk, account: int, exact: ExactStatement) -> bool:
    """Whether prices allow to act on an account: where one is not ok, only a health below the oracle's limit,
    where one is gone, never."""
    worst = states_of(state, row_of(state, account).instruments)
    if worst == OK:
        return True
    return worst != GONE and exact.equity < risk.parameters().oracle.degraded_health * exact.maintenance_margin


def refuse_unless_priced(state: State, risk: Risk, account: int) -> ExactStatement:
    """The exact statement of an account that prices allow to act on; refuses others."""
    exact = risk.exact(account)
    refuse_unless(priced(state, risk, account, exact), "prices that are ok, or a health far enough below 1")
    return exact


def stage_of(state: State, risk: Risk, account: int, exact: ExactStatement) -> str:
    """The stage that an account belongs in, from its exact statement and the stage it is in."""
    stage = state.accounts[account].stage
    if stage in (LIQUIDATING, AUCTION, INSOLVENT) and not restored(exact, liquidation_params(risk)):
        return LIQUIDATING if stage == INSOLVENT and exact.equity >= 0 else stage
    if breaches(state, risk, account, exact):
        return LIQUIDATING
    released = exact.equity >= exact.initial_margin * (1 + liquidation_params(risk).release)
    return CALLED if exact.below_initial or (stage != HEALTHY and not released) else HEALTHY


def margin_call(state: State, risk: Risk, command: c.MarginCall) -> tuple[e.Event, ...]:
    """Move an account to the stage it belongs in.

    A call cancels the orders that add risk, a liquidation all of them; then the account is margined again.
    """
    account = command.account
    known_account(state, account)
    exact, now = risk.exact(account), state.accounts[account].stage
    stage = stage_of(state, risk, account, exact)
    found: list[e.Event] = []
    orders = orders_of(state, account)
    if orders and stage != HEALTHY:
        kept = closing_orders(state, risk, account, orders) if stage == CALLED else []
        cancelled = tuple(order.id for order in orders if order not in kept)
        if cancelled:
            found.append(e.OrdersCancelled(account=account, orders=cancelled, reason=stage))
            exact = risk.exact_of(state, account, row_of(state, account), kept)
            stage = stage_of(state, risk, account, exact)
    if stage != now:
        if account in state.auctions:
            found.append(e.AuctionClosed(account=account))
        found.append(e.Staged(account=account, stage=stage, verdicts=(verdict(account, exact),)))
    refuse_unless(bool(found), "an account whose stage changes")
    return tuple(found)


def closing_orders(state: State, risk: Risk, account: int, orders: list[Order]) -> list[Order]:
    """Orders whose fills, one after another, raise no initial margin and lower no equity beyond it."""
    kept: list[Order] = []
    now = risk.exact_of(state, account, row_of(state, account), [])
    for order in orders:
        after = risk.exact_of(state, account, _filled(state, account, [*kept, order]).row(account), [])
        excess = after.equity - after.initial_margin
        if after.initial_margin <= now.initial_margin and excess >= now.equity - now.initial_margin:
            kept.append(order)
            now = after
    return kept


def _filled(state: State, account: int, orders: list[Order]) -> Moves:
    """Orders filled whole at their prices against the outside market."""
    moves = Moves(state)
    for order in orders:
        i = order.instrument
        if is_spot(state, i):
            payment, atoms = payment_asset(state.universe), order.lots * state.universe.spot_of(i).lot_atoms
            moves.pay(MARKET, account, i, atoms)
            moves.pay(account, MARKET, payment, spot_price_atoms(state, i, payment, atoms, order.price_ticks))
        else:
            sides = (account, MARKET) if order.lots > 0 else (MARKET, account)
            moves.trade(*sides, i, abs(order.lots), order.price_ticks)
    return moves


def payment_of(state: State, account: int) -> int:
    """The asset that an account's liquidation is paid in: its own where it is isolated, else the house's."""
    isolated = state.accounts[account].isolated
    return payment_asset(state.universe) if isolated < 0 else isolated


class Closable(NamedTuple):
    """Legs of an account that can be closed against the outside market."""

    instrument: I64
    lots: I64
    """In lots of the book, signed."""
    exposure_usd: F64
    """Of one lot."""
    impact: F64
    """Share of the price that closing the whole leg now gives up."""


def closable(state: State, risk: Risk, account: int) -> Closable:
    """All positions, and all balances but the one that liquidations are paid in; nothing frozen or expired."""
    params = liquidation_params(risk)
    row = row_of(state, account)
    payment = payment_of(state, account)
    kept = [k for k, i in enumerate(row.instruments) if row.lots[k] and i != payment and not shut(state, i)]
    instrument = np.array([row.instruments[k] for k in kept], dtype=np.int64)
    lots = np.array([row.lots[k] for k in kept], dtype=np.int64)
    exposure = risk.exposure_usd()[instrument]
    taken = np.array([risk.taken_usd.get(row.instruments[k], 0.0) for k in kept])
    size = np.abs(lots) * exposure + taken
    volume = risk.volume_usd_daily(params.volume_usd_daily_default)[instrument]
    impact = impact_fraction(size, volume, params.volatility_daily, params.impact_factor, params.impact_most)
    return Closable(instrument, lots, exposure, impact)


class Requirement:
    """Equity and maintenance margin of an account with fewer lots of some legs.

    Rows are as closing at the outside market's prices and paying the penalty leaves them, so that what is paid in
    coins is margined as coins; equity is without these costs, `cost_usd`, which sizing charges itself.
    """

    def __init__(self, state: State, risk: Risk, account: int, legs: Closable) -> None:
        self.risk, self.legs = risk, legs
        row = row_of(state, account)
        payment = payment_of(state, account)
        instruments = list(row.instruments)
        if payment not in instruments:
            instruments.append(payment)
        pad = len(instruments) - len(row.instruments)
        self.universe = risk.universe
        self.instruments = np.array(instruments, dtype=np.int64)
        self.lots = np.array([*row.lots, *[0] * pad], dtype=np.int64)
        self.cost = np.array([*row.cost, *[0] * pad], dtype=np.int64)
        self.column = np.array([instruments.index(int(i)) for i in legs.instrument], dtype=np.int64)
        self.payment = instruments.index(payment)
        self._gains(state, risk, payment)

    def _gains(self, state: State, risk: Risk, payment: int) -> None:
        """What closing a lot adds to the leg's own quote leg, or to the payment balance, in its lots; its cost.

        An option's premium is paid in what it settles in, and so stands in its quote leg here.
        """
        universe, legs = state.universe, self.legs
        sign = np.sign(legs.lots)
        self.quote_gain, self.cash_gain, self.quote_at_mark = np.zeros((3, len(legs.lots)))
        self.cost_usd = legs.exposure_usd * legs.impact
        for k, (i, lots) in enumerate(zip(legs.instrument.tolist(), legs.lots.tolist(), strict=True)):
            if is_spot(state, i):
                value = risk.atom_value(state, i) * universe.lot_atoms[i] / VALUE
                self.cash_gain[k] = value * (1.0 - sign[k] * legs.impact[k])
                continue
            ticks = fill_ticks(state, risk, i, lots, int(np.ceil(legs.impact[k] * E9)))
            at_mark, gain = (_lot_atoms(state, i, each) for each in (state.quotes[i].ticks, ticks))
            self.quote_at_mark[k], self.quote_gain[k] = at_mark / universe.lot_atoms[i], gain / universe.lot_atoms[i]
            payer = int(universe.terms.settlement[i])
            self.cost_usd[k] = abs(gain - at_mark) * (risk.atom_value(state, payer) / VALUE)
        penalty_usd = legs.exposure_usd * liquidation_params(risk).penalty_rate
        self.cost_usd += penalty_usd
        self.cash_gain -= sign * penalty_usd
        self.cash_gain /= risk.atom_value(state, payment) * universe.lot_atoms[payment] / VALUE

    def __call__(self, lots: I64) -> tuple[F64, F64]:
        table, cost = closed_rows(
            lots, self.legs.lots, self.column, self.payment, self.quote_gain, self.cash_gain, self.lots, self.cost
        )
        statement = self.risk.ready().assess(Book.of_table(self.universe, self.instruments, table, cost))
        costs = ((self.legs.lots - lots) * np.sign(self.legs.lots) * self.cost_usd).sum(axis=-1)
        return statement.equity + costs, statement.maintenance_margin

    def alone(self) -> F64:
        """Maintenance margin of each leg by itself, perpetuals and futures entered at the mark."""
        count = len(self.column)
        table, cost = np.zeros((2, count, len(self.instruments)), dtype=np.int64)
        table[np.arange(count), self.column] = self.legs.lots
        option = self.universe.terms.form[self.legs.instrument] == OPTION
        cost[np.arange(count), self.column] = np.where(option, 0, np.floor(-self.legs.lots * self.quote_at_mark))
        book = Book.of_table(self.universe, self.instruments, table, cost)
        return self.risk.ready().assess(book).maintenance_margin


def _lot_atoms(state: State, i: int, ticks: int) -> float:
    """What a lot sold at a price adds to its quote leg, in settlement atoms."""
    numerator, denominator = state.universe.value_atoms[i]
    if state.universe.terms.form[i] == INVERSE:
        return -numerator / (denominator * ticks)
    return float(numerator * ticks)


def liquidate(state: State, risk: Risk, command: c.Liquidate) -> tuple[e.Event, ...]:
    """One partial step: the least costly closing that restores the buffer, no leg worse than bankruptcy."""
    account = command.account
    known_account(state, account)
    refuse_unless(state.accounts[account].stage == LIQUIDATING, "an account that is liquidating")
    params = liquidation_params(risk)
    exact = refuse_unless_priced(state, risk, account)
    refuse_unless(not restored(exact, params), "an account that falls short")
    refuse_unless(exact.equity >= 0, "equity of at least 0: insurance comes next")
    legs = closable(state, risk, account)
    refuse_unless(len(legs.lots) > 0, "something to close")
    requirement = Requirement(state, risk, account, legs)
    fillable = _fillable(state, risk, legs, requirement, exact)
    if not len(fillable.lots) or exact.equity < params.auction_below * exact.maintenance_margin:
        return _offer(state, risk, account, exact)
    if len(fillable.lots) < len(legs.lots):
        legs, requirement = fillable, Requirement(state, risk, account, fillable)
    step, cost = PartialStep(state, risk, account, legs), requirement.cost_usd
    sized = sizing.METHODS[params.sizing](legs.lots, requirement, cost, None, params.buffer)
    closed = sized.closed_lots
    if params.sizing != "full":  # which means everything
        closed = sizing.settled(legs.lots, requirement, cost, closed, step.spare_micro, params.buffer)
    if not closed.any():
        return _offer(state, risk, account, exact)
    result = step(_without_dust(legs, closed, params))
    refuse_unless(result.closes, "cash to buy back a debt")
    risk.expect(result.moves.taken_usd)
    done = e.Liquidated(
        account=account,
        notional_micro=result.notional_micro,
        penalty_micro=result.penalty_micro,
        method=params.sizing,
        postings=tuple(result.moves.postings),
        legs=tuple(result.moves.legs),
        verdicts=(verdict(account, exact), verdict(account, result.after)),
    )
    if restored(result.after, params):
        return done, e.Staged(account=account, stage=stage_of(state, risk, account, result.after))
    return (done,)


class Closed(NamedTuple):
    """What a partial step comes to."""

    moves: Moves
    closes: bool
    """Whether anything is closed: a debt is not without cash."""
    notional_micro: int
    penalty_micro: int
    after: ExactStatement


class PartialStep:
    """Closing some lots of an account's legs against the outside market, penalty paid; answers are kept."""

    def __init__(self, state: State, risk: Risk, account: int, legs: Closable) -> None:
        self.state, self.risk, self.account, self.legs = state, risk, account, legs
        self.debts = (state.universe.terms.form[legs.instrument] == SPOT) & (legs.lots < 0)
        self._known: dict[bytes, Closed] = {}

    def __call__(self, closed_lots: I64) -> Closed:
        """Close so many lots, >= 0, of each leg."""
        key = closed_lots.tobytes()
        if key not in self._known:
            self._known[key] = self._close(closed_lots)
        return self._known[key]

    def spare_micro(self, closed_lots: I64) -> int:
        """Equity above (1 + buffer) MM after it, in 1e-6 USD."""
        after = self(closed_lots).after
        return auctions.buffer_margin(after.equity, after.maintenance_margin, liquidation_params(self.risk).buffer)

    def _close(self, closed_lots: I64) -> Closed:
        legs, moves = self.legs, Moves(self.state)
        closed = np.sign(legs.lots) * closed_lots
        for k in np.argsort(self.debts, kind="stable").tolist():  # what brings cash first, then what needs it
            i, lots, impact = int(legs.instrument[k]), int(closed[k]), float(legs.impact[k])
            if lots:
                closed[k] = close_at_market(self.state, self.risk, moves, self.account, i, lots, impact)
        notional_micro = int(fsum((np.abs(closed) * legs.exposure_usd).tolist()) * 1e6)
        charged, paid, after = _with_penalty(self.state, self.risk, moves, self.account, notional_micro)
        return Closed(charged, bool(moves.postings or moves.legs), notional_micro, paid, after)


def _without_dust(legs: Closable, closed_lots: I64, params: LiquidationParams) -> I64:
    """Everything, where what would be left is dust."""
    whole = np.abs(legs.lots)
    left = fsum(((whole - closed_lots) * legs.exposure_usd).tolist())
    return whole if left < params.dust_usd else closed_lots


def _fillable(state: State, risk: Risk, legs: Closable, requirement: Requirement, exact: ExactStatement) -> Closable:
    """Legs whose fill is no worse than their bankruptcy price: what |q| lots give up is at most E w.

    Prices in whole ticks may be two ticks worse than the impact says; an inverse leg's loss in coins grows as its
    price falls.
    """
    alone = requirement.alone()
    total = float(alone.sum())
    share = alone / total if total > 0 else np.full(len(alone), 1.0 / len(alone))
    room = exact.equity / 1e6 * share
    ticks_usd = np.array([2 * _tick_usd(state, risk, i) for i in legs.instrument.tolist()])
    lost = np.abs(legs.lots) * (legs.impact * legs.exposure_usd + ticks_usd)
    inverse = state.universe.terms.form[legs.instrument] == INVERSE
    good = lost / np.where(inverse, 1.0 - legs.impact, 1.0) * (1 + _SLACK) <= room
    return Closable(legs.instrument[good], legs.lots[good], legs.exposure_usd[good], legs.impact[good])


def _tick_usd(state: State, risk: Risk, instrument: int) -> float:
    """USD that a lot gains or loses by one tick of price; 0 for spot, which is swapped at its value."""
    form = state.universe.terms.form[instrument]
    if form == SPOT:
        return 0.0
    if form == INVERSE:
        return float(risk.exposure_usd()[instrument]) / state.quotes[instrument].ticks
    payer = int(state.universe.terms.settlement[instrument])
    return state.universe.value_atoms[instrument][0] * risk.atom_value(state, payer) / VALUE


def close_at_market(
    state: State, risk: Risk, moves: Moves, account: int, instrument: int, lots: int, impact: float
) -> int:
    """Close signed book `lots` of a leg against the outside market at the mark worsened by `impact`.

    Returns the lots that were closed: a debt is bought back only as far as there is cash.
    """
    impact_e9 = int(np.ceil(impact * E9))
    if is_spot(state, instrument):
        lot = state.universe.spot_of(instrument).lot_atoms
        atoms = lots * lot
        if lots < 0:
            cash = affordable(state, risk, moves, account, instrument, impact_e9)
            atoms = -min(-atoms, -moves.balance(account, instrument), cash)
        swap(state, risk, moves, account, instrument, atoms, impact_e9)
        lots = atoms // lot if atoms >= 0 else -(-atoms // lot)
    else:
        ticks = fill_ticks(state, risk, instrument, lots, impact_e9)
        buyer, seller = (MARKET, account) if lots > 0 else (account, MARKET)
        moves.trade(buyer, seller, instrument, abs(lots), ticks, forced=True)
    taken = abs(lots) * float(risk.exposure_usd()[instrument])
    moves.taken_usd[instrument] = moves.taken_usd.get(instrument, 0.0) + taken
    return lots


def affordable(state: State, risk: Risk, moves: Moves, account: int, asset: int, impact_e9: int = 0) -> int:
    """Atoms of a debt that an account could buy back with its payment asset, loans of it included."""
    payment = payment_of(state, account)
    value, unit = risk.atom_value(state, asset), risk.atom_value(state, payment)
    return moves.payable(account, payment) * E9 * unit // (value * (E9 + impact_e9))


def fill_ticks(state: State, risk: Risk, instrument: int, lots: int, impact_e9: int) -> int:
    """Price in ticks at which the outside market takes `lots` (> 0: buys them from the account)."""
    mark = state.quotes[instrument].ticks
    universe = state.universe
    base = mark
    if universe.terms.form[instrument] == OPTION:
        payer = int(universe.terms.settlement[instrument])
        lot_usd = float(risk.exposure_usd()[instrument])
        tick_usd = universe.value_atoms[instrument][0] * risk.atom_value(state, payer) / VALUE
        base = int(np.ceil(lot_usd / tick_usd)) if tick_usd > 0 else mark
    worse = mul_div_up(base, impact_e9, E9)
    return max(0 if universe.terms.form[instrument] == OPTION else 1, mark - worse if lots > 0 else mark + worse)


def swap(state: State, risk: Risk, moves: Moves, account: int, asset: int, atoms: int, impact_e9: int = 0) -> None:
    """Sell atoms of an asset (negative: buy back a debt) for the payment asset, value less impact."""
    payment = payment_of(state, account)
    value, unit = risk.atom_value(state, asset), risk.atom_value(state, payment)
    if atoms > 0:
        paid = atoms * value * (E9 - impact_e9) // (E9 * unit)
    else:
        paid = -div_up(-atoms * value * (E9 + impact_e9), E9 * unit)
    moves.pay(account, MARKET, asset, atoms)
    moves.pay(MARKET, account, payment, paid)


def _with_penalty(
    state: State, risk: Risk, moves: Moves, account: int, notional_micro: int
) -> tuple[Moves, int, ExactStatement]:
    """The moves with the penalty charged and split, the penalty in 1e-6 USD, and the account after it.

    It is at most what leaves equity >= 0 and what cash can pay; mostly the whole penalty does.
    """
    rate = liquidation_params(risk).penalty_rate
    whole, paid = _charged(state, risk, moves, account, penalty(notional_micro, rate, notional_micro))
    after = risk.exact_after(state, account, whole.row(account))
    if after.equity >= 0:
        return whole, paid, after
    equity = risk.exact_after(state, account, moves.row(account)).equity
    part, paid = _charged(state, risk, moves, account, penalty(notional_micro, rate, equity))
    return part, paid, risk.exact_after(state, account, part.row(account))


def _charged(state: State, risk: Risk, moves: Moves, account: int, due_micro: int) -> tuple[Moves, int]:
    """The moves and a penalty, as far as cash can pay it, split; and how much of it that is in 1e-6 USD."""
    payment = payment_of(state, account)
    unit = risk.atom_value(state, payment)
    found = moves.copy()
    atoms = min(due_micro * MICRO_VALUE // unit, moves.payable(account, payment))
    liquidator, insurance, venue = split_penalty(atoms, liquidation_params(risk).split)
    for owner, part in ((MARKET, liquidator), (INSURANCE, insurance), (FEES, venue)):
        found.pay(account, owner, payment, part)
    return found, atoms * unit // MICRO_VALUE


def start_auction(state: State, risk: Risk, command: c.StartAuction) -> tuple[e.Event, ...]:
    """Offer an account whose equity is below the policy's part of MM, or that no partial step could be filled for."""
    account = command.account
    known_account(state, account)
    refuse_unless(account not in state.auctions, "an account without an auction")
    refuse_unless(state.accounts[account].stage == LIQUIDATING, "an account that is liquidating")
    exact = refuse_unless_priced(state, risk, account)
    refuse_unless(exact.equity >= 0, "equity of at least 0: insurance comes next")
    if exact.equity >= liquidation_params(risk).auction_below * exact.maintenance_margin:
        legs = closable(state, risk, account)
        if len(legs.lots):
            legs = _fillable(state, risk, legs, Requirement(state, risk, account, legs), exact)
        refuse_unless(not len(legs.lots), "an account that partial steps cannot help")
    return _offer(state, risk, account, exact)


def _offer(state: State, risk: Risk, account: int, exact: ExactStatement) -> tuple[e.Event, ...]:
    """Start the auction of the slice that restores margin; its fee goes to insurance."""
    params, payment = liquidation_params(risk), payment_of(state, account)
    start_e18 = int(params.auction.start * WAD)
    fraction = auctions.slice_fraction_e18(exact.equity, exact.maintenance_margin, params.buffer, start_e18)
    refuse_unless(fraction > 0, "an account that falls short")
    fee = auctions.start_fee(exact.equity, exact.maintenance_margin, params.buffer, params.auction.fee_rate)
    moves = Moves(state)
    atoms = min(fee * MICRO_VALUE // risk.atom_value(state, payment), moves.payable(account, payment))
    moves.pay(account, INSURANCE, payment, atoms)
    return (
        e.AuctionStarted(
            account=account, start_ns=state.ts_ns, slice_e9=div_up(fraction, E9), postings=tuple(moves.postings),
            verdicts=(verdict(account, exact),),
        ),
        e.Staged(account=account, stage=AUCTION),
    )  # fmt: skip


def reset_auction(state: State, risk: Risk, command: c.ResetAuction) -> tuple[e.Event, ...]:
    """Start an auction over whose price fell too far or that ran too long."""
    auction = _auction(state, command.account)
    params, exact = liquidation_params(risk), refuse_unless_priced(state, risk, command.account)
    elapsed = (state.ts_ns - auction.start_ns) // 10**9
    refuse_unless(auctions.needs_reset(params.auction, elapsed, auction.resets), "an auction that needs a reset")
    fraction = auctions.slice_fraction_e18(
        exact.equity, exact.maintenance_margin, params.buffer, int(params.auction.start * WAD)
    )
    refuse_unless(fraction > 0, "an account that falls short")
    return (
        e.AuctionStarted(
            account=command.account, start_ns=state.ts_ns, slice_e9=div_up(fraction, E9), resets=auction.resets + 1,
            verdicts=(verdict(command.account, exact),),
        ),
    )  # fmt: skip


def close_auction(state: State, risk: Risk, command: c.CloseAuction) -> tuple[e.Event, ...]:
    """End an auction whose account is restored, or has nothing left to sell."""
    _auction(state, command.account)
    exact = risk.exact(command.account)
    refuse_unless(restored(exact, liquidation_params(risk)), "an account that is restored")
    return (
        e.AuctionClosed(account=command.account),
        e.Staged(
            account=command.account,
            stage=stage_of(state, risk, command.account, exact),
            verdicts=(verdict(command.account, exact),),
        ),
    )


def _auction(state: State, account: int) -> Auction:
    known_account(state, account)
    auction = state.auctions.get(account)
    if auction is None:
        raise Refusal("an account in auction")
    return auction


def discount_e18(state: State, risk: Risk, account: int) -> int:
    """Present price of an auction as a part of value, x 1e18."""
    auction = _auction(state, account)
    params = liquidation_params(risk).auction
    elapsed = (state.ts_ns - auction.start_ns) // 10**9
    return auctions.price_e18(params.curve, int(params.start * WAD), elapsed)


def bid(state: State, risk: Risk, command: c.Bid) -> tuple[e.Event, ...]:
    """Take a share of an auctioned account at the present price; bidders stay funded above IM."""
    account, bidder = command.account, command.bidder
    _auction(state, account)
    params = liquidation_params(risk)
    if bidder != MARKET:
        known_account(state, bidder)
        record = state.accounts[bidder]
        refuse_unless(record.owner != state.accounts[account].owner, "a bidder other than the account's owner")
        refuse_unless(record.stage == HEALTHY and not record.frozen, "a bidder that is healthy and not frozen")
        here = record.isolated in (-1, state.accounts[account].isolated)
        refuse_unless(here, "a bidder that is not isolated in another asset")
        reason = doubt(state, risk, [*row_of(state, account).instruments, *row_of(state, bidder).instruments])
        refuse_unless(not reason, reason)
    held = [i for i, (lots, _) in state.positions.get(account, {}).items() if lots]
    refuse_unless(not any(shut(state, i) for i in held), "an account without frozen or expired instruments")
    refuse_unless(0 < command.share_e9 <= E9, "share_e9 from 1 to 1e9")
    exact = refuse_unless_priced(state, risk, account)
    price = discount_e18(state, risk, account)
    refuse_unless(exact.equity > 0 and price > 0, "an auction with a price: insurance comes next")
    fraction = auctions.slice_fraction_e18(exact.equity, exact.maintenance_margin, params.buffer, price)
    refuse_unless(fraction > 0, "an account that falls short")
    offered = max(1, exact.equity * fraction // WAD)
    got = auctions.take(
        max(1, offered * command.share_e9 // E9), offered,
        minimum=params.auction.minimum_bid_usd * 10**6, dust=params.auction.dust_usd * 10**6,
    )  # fmt: skip
    refuse_unless(got > 0, "a bid above the minimum that leaves no dust")
    fraction = min(WAD, mul_div_up(fraction, got, offered))
    moves, notional = _hand_over(state, risk, account, bidder, fraction)
    paid = auctions.cash_up(fraction, exact.equity, price)
    payment = payment_of(state, account)
    moves.pay(bidder, account, payment, div_up(paid * MICRO_VALUE, risk.atom_value(state, payment)))
    moves.refuse_beyond_limits()
    verdicts = [verdict(account, exact), verdict(account, risk.exact_after(state, account, moves.row(account)))]
    if bidder != MARKET:
        after = risk.gate_after(state, bidder, moves.row(bidder))
        refuse_unless(not after.below_initial, "a bidder with equity at or above initial margin after it")
        verdicts.append(verdict(bidder, after))
    taken = e.AuctionTaken(
        account=account, bidder=bidder, share_e9=fraction // E9, price_micro=paid, notional_micro=notional,
        postings=tuple(moves.postings), legs=tuple(moves.legs), verdicts=tuple(verdicts),
    )  # fmt: skip
    return (taken,)


def _hand_over(state: State, risk: Risk, account: int, bidder: int, fraction: int) -> tuple[Moves, int]:
    """Move a fraction (x 1e18) of every position and balance to the bidder; USD notional x 1e6 of it."""
    moves, notional = Moves(state), 0.0
    exposure = risk.exposure_usd()
    for i, (lots, quote) in sorted(state.positions.get(account, {}).items()):
        cut = min(abs(lots), mul_div_up(abs(lots), fraction, WAD))
        sign = 1 if lots > 0 else -1
        part = quote * cut // abs(lots) if lots else quote * fraction // WAD
        moves.give(account, bidder, i, sign * cut, part)
        notional += cut * float(exposure[i])
    for asset, atoms in sorted(state.balances.get(account, {}).items()):
        moves.pay(account, bidder, asset, atoms * fraction // WAD)
    return moves, int(notional * 1e6)
