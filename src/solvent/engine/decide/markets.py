"""What happens to instruments: listing, marks, settlement, funding, interest, expiry; and the policy."""

from fractions import Fraction
from typing import NamedTuple

import msgspec

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.instruments import Future, Option, Spot
from solvent.domain.market import STATES
from solvent.domain.owners import INSURANCE, POOL, ROUNDING
from solvent.domain.quantities import div_up, fraction_down, fraction_up, mul_div_down
from solvent.domain.universe import INVERSE, OPTION
from solvent.engine.decide.accounts import pool_of
from solvent.engine.decide.refusal import Refusal, known_asset, known_instrument, refuse_unless
from solvent.engine.params import EngineParams
from solvent.engine.risk import Risk, profits, trade_quote
from solvent.errors import SolventError
from solvent.ledger.state import State
from solvent.margin.rule import rule
from solvent.pools import shares
from solvent.pools.interest import accrue

HOUR_S = 3600
HOUR_NS = HOUR_S * 10**9
FUNDING_NS = 8 * HOUR_NS
"""Funding and settlement times: 00:00, 08:00 and 16:00 UTC."""
E12 = 10**12
MICRO = 10**6
_NUMBER_BOUND = 2**53


def list_instrument(state: State, risk: Risk, command: c.ListInstrument) -> tuple[e.Event, ...]:
    """Add an instrument whose terms are sound, whose id is new and which the policy's rule can margin."""
    try:
        universe = state.universe.listed(command.instrument)
        for policy in (state.policy, state.target):
            if policy is not None:
                EngineParams.of(policy, universe)
    except SolventError as error:
        raise Refusal(str(error)) from None
    return (e.InstrumentListed(instrument=command.instrument),)


def delist_instrument(state: State, risk: Risk, command: c.DelistInstrument) -> tuple[e.Event, ...]:
    """Only closing from here on."""
    known_instrument(state, command.instrument)
    return (e.InstrumentDelisted(instrument=command.instrument),)


def set_policy(state: State, risk: Risk, command: c.SetPolicy) -> tuple[e.Event, ...]:
    """A policy that the engine and the rule can read, that is safe, and that can margin market and book as they are."""
    try:
        EngineParams.of(command.policy, state.universe)
        if risk.market is not None and len(risk.universe):
            rule(command.policy.rule).prepare(risk.universe, risk.market, command.policy).assess(risk.book)
    except SolventError as error:
        raise Refusal(str(error)) from None
    return (e.PolicySet(policy=command.policy),)


def mark(state: State, risk: Risk, command: c.Mark) -> tuple[e.Event, ...]:
    """New quotes; refused where they are older than the last mark, stamped ahead of the clock, or no price."""
    seen_ns = command.ts_ns or state.ts_ns
    refuse_unless(seen_ns >= state.marked_ns, "a mark that is not older than the last")
    refuse_unless(seen_ns <= state.ts_ns, "a mark that is not ahead of the clock")
    for quote in command.quotes:
        known_instrument(state, quote.instrument)
        instrument = state.universe[quote.instrument]
        least = 0 if isinstance(instrument, Option) else 1
        refuse_unless(quote.ticks >= least, f"{instrument.id}: {quote.ticks} ticks: a mark above 0")
        refuse_unless(0 <= quote.state < len(STATES), f"{instrument.id}: state {quote.state}: 0 to {len(STATES) - 1}")
        numbers = msgspec.structs.astuple(quote)[1:]
        good = min(numbers[:-2]) >= 0 and quote.spread_e9 >= 0 and max(numbers) < _NUMBER_BOUND
        refuse_unless(good, f"{instrument.id}: numbers from 0 to below 2**53")
    try:
        digest = risk.preview(state, command.quotes, seen_ns)
    except SolventError as error:
        raise Refusal(str(error)) from None
    return (e.Marked(quotes=command.quotes, digest=digest, ts_ns=command.ts_ns),)


class _Cash(NamedTuple):
    """What a settlement pays."""

    paid: dict[int, int]
    """Atoms by holder; negative: it pays."""
    unpaid: int
    lent: int
    """What insurance lends the pool for it."""


def _cash(state: State, payer: int, values: list[tuple[int, int]]) -> _Cash:
    """Cash for unsettled values: losers are debited first, and what that brings is credited pro rata.

    A loser pays from its balance, then by a loan as far as the asset's pool has cash, then as far as insurance
    can lend the pool more; the outside market always pays. Whole atoms, ties by owner.
    """
    cash = capacity = state.pool_cash(payer)
    capacity += max(0, state.balance(INSURANCE, payer))
    borrowed = 0
    paid: dict[int, int] = {}
    owed = sum(v for _, v in values if v > 0)
    collected = 0
    for owner, v in values:
        if v >= 0:
            continue
        need = min(-v, owed - collected)
        if owner >= 0:
            have = max(0, state.balance(owner, payer))
            loan = min(max(0, need - have), capacity - borrowed)
            borrowed += loan
            need = min(need, have + loan)
        paid[owner] = -need
        collected += need
    winners = [(owner, v) for owner, v in values if v > 0]
    lent = max(0, borrowed - cash)
    if collected == owed:
        paid.update(winners)
        return _Cash(paid, 0, lent)
    rest = collected
    for owner, v in winners:
        paid[owner] = v * collected // owed
        rest -= paid[owner]
    for owner, v in winners:
        if not rest:
            break
        if paid[owner] < v:
            paid[owner] += 1
            rest -= 1
    return _Cash(paid, owed - collected, lent)


def _lend(state: State, asset: int, atoms: int) -> tuple[e.Event, ...]:
    """Insurance lends an asset's pool what forced loans need beyond its cash, for shares like any lender's."""
    if not atoms:
        return ()
    minted = shares.shares_down(pool_of(state, asset), atoms)
    postings = ((INSURANCE, asset, -atoms), (POOL, asset, atoms))
    return (e.Supplied(account=INSURANCE, asset=asset, shares=minted, postings=postings),)


def _moves(instrument: int, payer: int, paid: dict[int, int]) -> tuple[tuple[e.Posting, ...], tuple[e.Leg, ...]]:
    """Cash postings and the quote legs that they reset."""
    rows = [(owner, atoms) for owner, atoms in paid.items() if atoms]
    return (
        tuple((owner, payer, atoms) for owner, atoms in rows),
        tuple((owner, instrument, 0, -atoms) for owner, atoms in rows),
    )


def settle(state: State, risk: Risk, command: c.Settle) -> tuple[e.Event, ...]:
    """Read every unsettled profit of one instrument at the mark and pay it in cash."""
    i = command.instrument
    known_instrument(state, i)
    refuse_unless(i in state.quotes and not isinstance(state.universe[i], Spot), "a derivative with a mark")
    payer = int(state.universe.terms.settlement[i])
    cash = _cash(state, payer, profits(state, i))
    postings, legs = _moves(i, payer, cash.paid)
    ticks = state.quotes[i].ticks
    settled = e.Settled(instrument=i, price_ticks=ticks, unpaid_atoms=cash.unpaid, postings=postings, legs=legs)
    return (*_lend(state, payer, cash.lent), settled)


def fund(state: State, risk: Risk, command: c.Fund) -> tuple[e.Event, ...]:
    """Funding of one interval on the quote legs, each rounded against its holder; the settlement that follows
    moves the cash. The remainder is the owner `rounding`'s."""
    i = command.instrument
    known_instrument(state, i)
    instrument = state.universe[i]
    refuse_unless(instrument.kind == 1 and i in state.quotes, "a perpetual with a mark")
    refuse_unless(command.interval > state.funded.get(i, -1), "an interval that was not funded yet")
    refuse_unless(command.interval <= state.ts_ns // FUNDING_NS, "an interval that is not in the future")
    refuse_unless(abs(command.rate_e12) <= E12, "a rate of at most 1")
    notional = -trade_quote(state.universe, i, 1, state.quotes[i].ticks)
    if state.universe.terms.form[i] == INVERSE:
        numerator, denominator = state.universe.value_atoms[i]
        rows = [
            (owner, div_up(q * numerator * command.rate_e12, denominator * state.quotes[i].ticks * E12))
            for owner, q in ((each, state.position(each, i)[0]) for each in state.holders_of(i))
        ]
    else:
        factor = notional * command.rate_e12
        rows = [(owner, div_up(state.position(owner, i)[0] * factor, E12)) for owner in state.holders_of(i)]
    legs = tuple((owner, i, 0, -pays) for owner, pays in rows if pays)
    rounding = sum(pays for _, pays in rows)
    if rounding:
        legs += ((ROUNDING, i, 0, rounding),)
    return (e.Funded(instrument=i, interval=command.interval, rate_e12=command.rate_e12, legs=legs),)


def accrue_interest(state: State, risk: Risk, command: c.Accrue) -> tuple[e.Event, ...]:
    """Interest on an asset's loans since the last accrual: loans up, lenders down, the reserve to insurance.

    What the pool has no cash for of the reserve, insurance gets in shares.
    """
    spot = known_asset(state, command.asset)
    last = state.accrued.get(command.asset, command.interval - 1)
    refuse_unless(command.interval > last, "an hour that was not accrued yet")
    refuse_unless(command.interval <= state.ts_ns // HOUR_NS, "an hour that is not in the future")
    borrowers = state.borrowers_of(command.asset)
    loans = [-state.balance(account, command.asset) for account in borrowers]
    cash = state.pool_cash(command.asset)
    curve = risk.parameters().pools.curve_of(spot.id)
    accrual = accrue(curve, cash, loans, (command.interval - last) * HOUR_S)
    reserve = min(accrual.reserve_atoms, cash)
    postings = [(a, command.asset, -x) for a, x in zip(borrowers, accrual.interest_atoms, strict=True) if x]
    total = sum(accrual.interest_atoms)
    postings += [(owner, command.asset, x) for owner, x in ((POOL, total - reserve), (INSURANCE, reserve)) if x]
    accrued = e.Accrued(
        asset=command.asset, interval=command.interval, rate_e18=accrual.rate_e18, postings=tuple(postings)
    )
    pool = shares.accrued(pool_of(state, command.asset), accrual.lenders_atoms, accrual.reserve_atoms)
    pool, unpaid = shares.pay_reserve(pool)[0], accrual.reserve_atoms - reserve
    if not unpaid:
        return (accrued,)
    return accrued, e.Supplied(account=INSURANCE, asset=command.asset, shares=shares.shares_down(pool, unpaid))


def expire(state: State, risk: Risk, command: c.Expire) -> tuple[e.Event, ...]:
    """Turn every position of an expired instrument into what it is owed, and pay that like a settlement."""
    i = command.instrument
    known_instrument(state, i)
    instrument = state.universe[i]
    if not isinstance(instrument, (Future, Option)):
        raise Refusal(f"{instrument.id}: a future or an option")
    refuse_unless(i not in state.expired, f"{instrument.id} has expired already")
    refuse_unless(state.ts_ns >= instrument.expiry_ns, f"{instrument.id}: its expiry, settlement is never before")
    refuse_unless(command.price_ticks > 0, "a settlement price above 0")
    price = Fraction(command.price_ticks, MICRO)
    closing: list[e.Leg] = []
    for owner in state.holders_of(i):
        lots = state.position(owner, i)[0]
        closing.append((owner, i, -lots, _expiry_quote(state, instrument, i, lots, price)))
    rounding = -sum(quote for _, _, _, quote in closing)
    if rounding:
        closing.append((ROUNDING, i, 0, rounding))
    values = [(owner, state.position(owner, i)[1] + quote) for owner, _, _, quote in closing]
    payer = int(state.universe.terms.settlement[i])
    cash = _cash(state, payer, values)
    postings, legs = _moves(i, payer, cash.paid)
    expired = e.Expired(
        instrument=i,
        price_ticks=command.price_ticks,
        unpaid_atoms=cash.unpaid,
        postings=postings,
        legs=tuple(closing) + legs,
    )
    return (*_lend(state, payer, cash.lent), expired)


def _expiry_quote(state: State, instrument: Future | Option, i: int, lots: int, price: Fraction) -> int:
    """Settlement atoms that `lots` are owed at expiry, rounded down (a short owes up)."""
    numerator, denominator = state.universe.value_atoms[i]
    tick = Fraction(instrument.tick)
    if state.universe.terms.form[i] == OPTION:
        strike = Fraction(instrument.strike) if isinstance(instrument, Option) else Fraction(0)
        gain = price - strike if isinstance(instrument, Option) and instrument.call else strike - price
        payoff = max(gain, Fraction(0)) / (price if instrument.inverse else 1)
        return fraction_down(lots * numerator * payoff / (denominator * tick))
    if instrument.inverse:
        return -fraction_up(lots * Fraction(numerator, denominator) * tick / price)
    return fraction_down(lots * Fraction(numerator, denominator) * price / tick)


def note_snapshot(state: State, risk: Risk, command: c.NoteSnapshot) -> tuple[e.Event, ...]:
    """A snapshot of the past may be noted; whether it is one is seen when it is used."""
    if not 0 < command.height <= state.height:
        raise Refusal(f"height {command.height}: of a block up to {state.height}")
    return (e.SnapshotNoted(height=command.height, digest=command.digest),)


def sweep(state: State, risk: Risk, command: c.Sweep) -> tuple[e.Event, ...]:
    """What rounding left over goes to insurance, and what the pool can give back of what insurance lent it."""
    asset = command.asset
    known_asset(state, asset)
    found: list[e.Event] = []
    atoms = state.balance(ROUNDING, asset)
    if atoms > 0:
        found.append(e.Swept(asset=asset, postings=((ROUNDING, asset, -atoms), (INSURANCE, asset, atoms))))
    pool, held = pool_of(state, asset), state.pool_shares(asset, INSURANCE)
    given = min(held, mul_div_down(pool.cash, pool.shares + shares.VIRTUAL_SHARES, pool.lenders + shares.VIRTUAL_ATOMS))
    back = shares.atoms_down(pool, given)
    if back > 0:
        postings = ((POOL, asset, -back), (INSURANCE, asset, back))
        found.append(e.Supplied(account=INSURANCE, asset=asset, shares=-given, postings=postings))
    refuse_unless(bool(found), "nothing to sweep")
    return tuple(found)
