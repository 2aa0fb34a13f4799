"""What would follow: statements before and after a shock of prices and volatility, trades, deposits, another policy."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.book import Book
from solvent.domain.book_frame import quote_leg_lots
from solvent.domain.instruments import Spot, contract_lot, unit
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.domain.quantities import exact, fraction_down, whole
from solvent.domain.universe import INVERSE, LINEAR
from solvent.engine.assess import ArrowStream, inputs
from solvent.engine.risk import payment_asset
from solvent.engine.term_rows import TermRow, term_rows
from solvent.engine.verdicts import ACCOUNT_STATES, Verdicts, labels, verdicts
from solvent.errors import Problem, SolventError, problem, raise_if
from solvent.valuation.shocks import shocked

I64 = NDArray[np.int64]
Number = str | int | Decimal | Fraction


class Trade(NamedTuple):
    """A fill against the outside: what an account would buy (or sell, below zero)."""

    account: str
    instrument: str
    quantity: Number
    """Contracts; coins of spot."""
    price: Number | None = None
    """In settlement units (USD where inverse, coins of the payment asset for spot); None: at the mark."""


class Deposit(NamedTuple):
    """What an account would be given (or withdraw, below zero)."""

    account: str
    asset: str
    quantity: Number
    """Coins."""


class Change(msgspec.Struct, frozen=True):
    """What would happen, in this order: deposits and trades at the present market, then the shock, then the policy."""

    factors: Mapping[str, float] = {}
    """Price factor by asset; `*` for every other asset that is no US dollar."""
    vol_factor: float = 1.0
    trades: tuple[Trade, ...] = ()
    deposits: tuple[Deposit, ...] = ()
    policy: Policy | None = None


class WhatIf(msgspec.Struct, frozen=True, eq=False):
    """A book of A accounts before and after a change."""

    book: Book
    market: Market
    before: Verdicts
    book_after: Book
    market_after: Market
    after: Verdicts

    def changing(self) -> I64:
        """Accounts that are in another state after it, the worst state first, then by what equity lacks of MM."""
        which = np.flatnonzero(self.before.state != self.after.state)
        statement = self.after.statement
        lack = np.nan_to_num(statement.maintenance_margin - statement.equity)[which]
        return which[np.lexsort((which, -lack, -self.after.state[which]))]

    def moving(self) -> I64:
        """Accounts of which any figure changes, those whose equity less MM falls most first."""
        old, new = self.before.statement, self.after.statement
        same = np.ones(len(self.book), np.bool_)
        for name in ("equity", "initial_margin", "maintenance_margin"):
            one, other = getattr(old, name), getattr(new, name)
            same &= (one == other) | (np.isnan(one) & np.isnan(other))
        which = np.flatnonzero(~same | (self.before.state != self.after.state))
        gained = (new.equity - new.maintenance_margin) - (old.equity - old.maintenance_margin)
        return which[np.lexsort((which, np.nan_to_num(gained)[which]))]

    def transitions(self) -> dict[tuple[str, str], int]:
        """How many accounts go from one state to another (or stay), the most first."""
        pairs, counts = np.unique(np.stack([self.before.state, self.after.state]), axis=1, return_counts=True)
        found = {
            (ACCOUNT_STATES[old], ACCOUNT_STATES[new]): count
            for old, new, count in zip(*pairs.tolist(), counts.tolist(), strict=True)
        }
        return dict(sorted(found.items(), key=lambda row: -row[1]))

    def terms(self, account: int) -> tuple[TermRow, ...]:
        """Terms of an account that move, before and after, those that moved most first in each total."""
        return term_rows([self.before.explain(self.book, account), self.after.explain(self.book_after, account)])


def what_if(book: Book | ArrowStream, market: Market | ArrowStream, policy: Policy | str, change: Change) -> WhatIf:
    """Margin a book before and after a change; book, market and policy as `assess` takes them.

    Raises SolventError with every fault of the change.
    """
    book, market, policy = inputs(book, market, policy)
    after = changed_book(book, market, change)
    market_after = shocked(market, change.factors, change.vol_factor)
    policy_after = change.policy or policy
    names = labels([policy, policy_after]) if change.policy else [policy.name] * 2
    return WhatIf(
        book,
        market,
        verdicts(book, market, policy, names[0]),
        after,
        market_after,
        verdicts(after, market_after, policy_after, names[1]),
    )


def changed_book(book: Book, market: Market, change: Change) -> Book:
    """The book after deposits and trades. Raises SolventError with all of their faults."""
    after = book.copy()
    found: list[Problem] = []
    steps = [("deposit", number, partial(_deposit, after, each)) for number, each in enumerate(change.deposits, 1)]
    steps += [("trade", number, partial(_trade, after, market, each)) for number, each in enumerate(change.trades, 1)]
    for what, number, step in steps:
        try:
            step()
        except SolventError as error:
            found += [msgspec.structs.replace(each, file=what, row=number) for each in error.problems]
    raise_if(found)
    return after


def _deposit(book: Book, deposit: Deposit) -> None:
    account, i = book.index(deposit.account), book.universe.index(deposit.asset)
    each = book.universe[i]
    if not isinstance(each, Spot):
        raise SolventError(problem("", None, "asset", deposit.asset, "a spot asset"))
    book.add(account, i, _lots(deposit.quantity, each.lot_coins))


def _trade(book: Book, market: Market, trade: Trade) -> None:
    """Lots for a quote leg, or for cash where it is spot or an option; rounded against the account."""
    account, i = book.index(trade.account), book.universe.index(trade.instrument)
    universe, each = book.universe, book.universe[i]
    lots = _lots(trade.quantity, contract_lot(each))
    payer = payment_asset(universe) if isinstance(each, Spot) else int(universe.terms.settlement[i])
    if payer == i:
        raise SolventError(problem("", None, "instrument", trade.instrument, f"what is not paid in {each.id} itself"))
    price = _price(market, trade, i, payer)
    if universe.terms.form[i] in (LINEAR, INVERSE):
        try:
            book.add(account, i, lots, quote_leg_lots(universe, i, lots, price))
        except ValueError as error:
            raise SolventError(problem("", None, "price", str(trade.price), str(error))) from None
        return
    paid = fraction_down(-lots * unit(each) * price / universe.spot_of(payer).lot_coins)
    book.add(account, payer, paid)
    book.add(account, i, lots)


def _lots(quantity: Number, lot: Fraction) -> int:
    try:
        lots = whole(quantity, lot)
    except ValueError as error:
        raise SolventError(problem("", None, "quantity", str(quantity), str(error))) from None
    if not lots:
        raise SolventError(problem("", None, "quantity", str(quantity), "a quantity other than 0"))
    return lots


def _price(market: Market, trade: Trade, i: int, payer: int) -> Fraction:
    """The price asked for, else the mark; of spot in coins of what it is paid in."""
    if trade.price is not None:
        try:
            price = exact(trade.price) if not isinstance(trade.price, Fraction) else trade.price
        except ValueError as error:
            raise SolventError(problem("", None, "price", str(trade.price), str(error))) from None
    else:
        price = int(market.ticks[i]) * Fraction(market.universe[i].tick)
        if isinstance(market.universe[i], Spot) and market.ticks[payer]:
            price /= int(market.ticks[payer]) * Fraction(market.universe[payer].tick)
    if price <= 0:
        found = "no mark" if trade.price is None else str(trade.price)
        raise SolventError(problem("", None, "price", found, "a price above 0"))
    return price
