"""A book from rows of accounts and instruments: exact lots and quote legs, all problems of it at once."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from solvent.domain.book import Book
from solvent.domain.columns import I64, Faults, Mask, codes, decimals, table, texts, whole_lots
from solvent.domain.instruments import Spot, contract_lot, unit
from solvent.domain.market import Market
from solvent.domain.quantities import LOT_BOUND, fraction_down
from solvent.domain.terms import price_of
from solvent.domain.universe import INVERSE, LINEAR, Universe

if TYPE_CHECKING:
    import polars as pl

BOOK_COLUMNS = ("account", "instrument", "quantity", "entry_price", "owner")
_MARK = 63
"""Code of "in ticks of the mark" among the decimal places of entry prices."""


def book_from_frame(frame: Any, universe: Universe, market: Market | None = None, *, file: str = "book") -> Book:
    """A book from rows of `account, instrument, quantity[, entry_price][, owner]`.

    quantity: signed; coins for spot, contracts for derivatives, whole lots. Rows of the same account and
    instrument add up. entry_price: of perpetuals and futures, in the units of the mark; it makes the quote
    leg -q M entry (linear) or q M / entry (inverse) in lots of the settlement asset, rounded down, against
    the account. Where it is empty the position is taken at `market`'s mark, and refused where there is no market.
    Spot and options have none; it is ignored there. owner: who stands behind the account, one an account.
    Raises SolventError with all problems.
    """
    faults = Faults(file)
    rows = table(frame, BOOK_COLUMNS[:3], BOOK_COLUMNS[3:], faults)
    account, names = codes(rows["account"])
    faults.rows(account < 0, "account", texts(rows["account"]), "the name of an account")
    which = _instruments(rows["instrument"], universe, faults)
    lots = whole_lots(rows["quantity"], which, [contract_lot(each) for each in universe], faults)
    cost = _costs(rows, universe, market, which, lots, faults)
    owners = _owners(rows, account, names, faults)
    _check_sums(rows, account, which, lots, cost, faults)
    faults.stop()
    held = (lots != 0) | (cost != 0)
    return Book.from_rows(universe, names, account[held], which[held], lots[held], cost[held], owners)


def _instruments(column: "pl.Series", universe: Universe, faults: Faults) -> I64:
    """Index into the universe of each row, -1 for those that were reported."""
    code, ids = codes(column)
    known = [universe.index(id) if id in universe else -1 for id in ids]
    which = np.array([*known, -1], np.int64)[code]
    faults.rows(
        which < 0,
        "instrument",
        texts(column),
        lambda i: universe.accepted(ids[code[i]] if code[i] >= 0 else ""),
    )
    return which


def _owners(rows: "pl.DataFrame", account: I64, names: list[str], faults: Faults) -> list[str]:
    """The one owner of each account: itself where none is given."""
    if "owner" not in rows.columns:
        return names
    code, found = codes(rows["owner"])
    told = (code >= 0) & (account >= 0)
    owner = np.full(len(names) + 1, -1, np.int64)  # the last: rows without an account
    owner[account[told][::-1]] = code[told][::-1]
    faults.rows(
        told & (owner[account] != code),
        "owner",
        texts(rows["owner"]),
        lambda i: f"{found[owner[account[i]]]}: one owner an account, as in the first row of {names[account[i]]}",
    )
    return [found[each] if each >= 0 else name for each, name in zip(owner[:-1].tolist(), names, strict=True)]


def _costs(
    rows: "pl.DataFrame", universe: Universe, market: Market | None, which: I64, lots: I64, faults: Faults
) -> I64:
    """Quote legs of perpetuals and futures in lots of the settlement asset, rounded down."""
    form = np.array([*universe.terms.form, -1], np.int64)[which]
    dated = ((form == LINEAR) | (form == INVERSE)) & (lots != 0)
    if not dated.any():
        return np.zeros(len(lots), np.int64)
    import polars as pl

    entry = rows["entry_price"] if "entry_price" in rows.columns else pl.Series("entry_price", [None] * len(rows))
    empty = texts(entry).is_null()
    if entry.dtype.is_float():
        empty |= entry.is_nan().fill_null(False)
    read = decimals(entry)
    at_mark = dated & empty.to_numpy().astype(np.bool_)
    marks = np.zeros(len(universe) + 1, np.int64) if market is None else np.array([*market.ticks, 0], np.int64)
    wanted = (
        "an entry price (no market was given whose mark could stand in)"
        if market is None
        else ("an entry price (the market has no mark)")
    )
    faults.rows(at_mark & (marks[which] <= 0), "entry_price", texts(entry), wanted)
    price = np.where(at_mark, marks[which], read.mantissa)
    done, cost = _fast_costs(universe, which, lots, price, np.where(at_mark, _MARK, read.scale), form)
    done &= dated & (price > 0) & (at_mark | read.fast)
    cost = np.where(done, cost, 0)
    refused: dict[int, str] = {}
    for i in np.flatnonzero(dated & ~done & ~(at_mark & (marks[which] <= 0))).tolist():
        try:
            value = Fraction(int(price[i])) * Fraction(universe[which[i]].tick) if at_mark[i] else price_of(entry[i])
            cost[i] = quote_leg_lots(universe, int(which[i]), int(lots[i]), value)
        except (ValueError, OverflowError) as error:
            refused[i] = str(error) if isinstance(error, ValueError) else "a price at which the value fits 63 bits"
    bad = np.zeros(len(lots), np.bool_)
    bad[list(refused)] = True
    faults.rows(bad, "entry_price", texts(entry), lambda i: refused[i])
    return cost


def quote_leg_lots(universe: Universe, which: int, lots: int, price: Fraction) -> int:
    """Quote leg of a fill in lots of the settlement asset, rounded down: -q M price, inverse q M / price.

    Raises ValueError where it needs 64 bits.
    """
    each = universe[which]
    assert not isinstance(each, Spot)
    lot_coins = universe.spot_of(which).lot_coins
    inverse = universe.terms.form[which] == INVERSE
    leg = fraction_down(lots * unit(each) / price / lot_coins if inverse else -lots * unit(each) * price / lot_coins)
    if abs(leg) >= LOT_BOUND:
        raise ValueError(f"a price at which the position is worth less than {LOT_BOUND} lots of {each.settlement}")
    return leg


def _fast_costs(universe: Universe, which: I64, lots: I64, price: I64, scale: I64, form: I64) -> tuple[Mask, I64]:
    """Quote legs in 128-bit integers, and a mask of the rows where those suffice.

    A price is `price` x 10**-scale, or `price` ticks where scale is `_MARK`. Per pair of instrument and scale
    the leg is lots x price x n / d (linear) or lots x n / (price x d) (inverse).
    """
    import polars as pl

    key, inverse = np.unique(np.maximum(which, 0) * 64 + scale, return_inverse=True)
    n, d = np.ones(len(key), np.int64), np.ones(len(key), np.int64)
    for i, (position, digits) in enumerate(zip((key // 64).tolist(), (key % 64).tolist(), strict=True)):
        each = universe[position]
        step = Fraction(each.tick) if digits == _MARK else Fraction(1, 10**digits)
        lot_coins = universe.spot_of(position).lot_coins
        inverted = universe.terms.form[position] == INVERSE
        factor = unit(each) / lot_coins / step if inverted else unit(each) / lot_coins * step
        narrow = max(factor.numerator, factor.denominator) < 2**62
        n[i], d[i] = (factor.numerator, factor.denominator) if narrow else (0, 1)
    n, d = n[inverse], d[inverse]
    coin = form == INVERSE
    size = np.abs(lots.astype(np.float64)) * n * np.where(coin, 1.0, price.astype(np.float64))
    below = np.where(coin, price, 1).astype(np.float64) * d
    fits = (n > 0) & (size < 2.0**126) & (below < 2.0**126) & (size / np.maximum(below, 1) < LOT_BOUND / 2)
    safe = np.where(fits, lots, 0)
    above = pl.Series(np.where(coin, safe, -safe), dtype=pl.Int64).cast(pl.Int128) * pl.Series(n, dtype=pl.Int64)
    above = above * pl.Series(np.where(coin | ~fits, 1, price), dtype=pl.Int64)
    under = pl.Series(np.where(coin & fits, np.maximum(price, 1), 1), dtype=pl.Int64).cast(pl.Int128)
    leg = above // (under * pl.Series(d, dtype=pl.Int64))
    return fits, leg.cast(pl.Int64, strict=False).fill_null(0).to_numpy().astype(np.int64)


def _check_sums(rows: "pl.DataFrame", account: I64, which: I64, lots: I64, cost: I64, faults: Faults) -> None:
    """Rows that add up must still fit 63 bits."""
    if max(np.abs(lots.astype(float)).sum(), np.abs(cost.astype(float)).sum(), 0.0) < LOT_BOUND / 2:
        return
    sums: dict[tuple[int, int], tuple[int, int]] = {}
    bad = np.zeros(len(lots), np.bool_)
    for i, (a, u, q, c) in enumerate(zip(account.tolist(), which.tolist(), lots.tolist(), cost.tolist(), strict=True)):
        before = sums.get((a, u), (0, 0))
        sums[a, u] = before[0] + q, before[1] + c
        bad[i] = max(map(abs, sums[a, u])) >= LOT_BOUND
    faults.rows(
        bad,
        "quantity",
        rows["quantity"],
        f"rows of one account and instrument that add up to less than {LOT_BOUND} lots",
    )
