"""What would follow: order of the change, exact quantities, states before and after, faults all at once."""

from decimal import Decimal
from fractions import Fraction

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import solvent as sv
from solvent.domain.book import Book
from solvent.domain.market import Market
from solvent.engine.files import read_policy
from solvent.engine.verdicts import ACCOUNT_STATES
from solvent.engine.what_if import Change, Deposit, Trade, WhatIf, changed_book, what_if
from solvent.errors import SolventError

PRICES = {
    "BTC": "60000",
    "ETH": "3000",
    "USDC": "0.999",
    "BTC/USDC:USDC": "60010",
    "BTC/USD:BTC": "59990",
    "BTC/USD:BTC-250328-60000-C": "0.1",
    "BTC/USD:BTC-250328-70000-C": None,
}
ROWS = [
    ("long", "USDC", "90000", None),
    ("long", "BTC/USDC:USDC", "5", "60000"),
    ("hodl", "BTC", "2", None),
    ("writer", "BTC", "1", None),
    ("writer", "BTC/USD:BTC-250328-60000-C", "-1", None),
]
PORTFOLIO = read_policy("portfolio")


def market() -> Market:
    rows = {"instrument": list(PRICES), "price": list(PRICES.values()), "vol": [None] * 5 + [0.6, 0.6]}
    return Market.from_frame(pl.DataFrame(rows), ts_ns=1_731_000_000_000_000_000)


def book(prices: Market) -> Book:
    columns = ["account", "instrument", "quantity", "entry_price"]
    return Book.from_frame(pl.DataFrame(ROWS, schema=columns, orient="row"), prices.universe, prices)


def run(**change: object) -> WhatIf:
    prices = market()
    return what_if(book(prices), prices, PORTFOLIO, Change(**change))


def held(of: Book, account: str, instrument: str) -> tuple[Fraction, int]:
    """Coins or contracts, and the quote leg in lots of the settlement asset."""
    from solvent.domain.instruments import contract_lot

    i = of.universe.index(instrument)
    instruments, lots, cost = of.row(of.index(account))
    at = instruments == i
    return int(lots[at].sum()) * contract_lot(of.universe[i]), int(cost[at].sum())


def test_nothing_changes_nothing() -> None:
    found = run()
    assert found.changing().tolist() == found.moving().tolist() == []
    assert found.terms(0) == ()
    assert found.after.statement.equity.tolist() == found.before.statement.equity.tolist()


def test_a_shock_is_the_statement_at_the_shocked_market() -> None:
    found = run(factors={"BTC": 0.8}, vol_factor=1.5)
    again = sv.assess(book(market()), found.market_after, PORTFOLIO)
    assert found.after.statement.equity.tolist() == again.equity.tolist()
    assert found.after.statement.maintenance_margin.tolist() == again.maintenance_margin.tolist()
    assert found.market_after.price[0] == 48000
    expected = 0.999 * (5 * (0.8 * 60010 - 60000) + 90000)
    assert found.after.statement.equity[0] == pytest.approx(expected)


def test_who_changes_state_and_which_terms_moved() -> None:
    found = run(factors={"BTC": 0.8})
    assert [ACCOUNT_STATES[i] for i in found.after.state] == ["liquidatable", "healthy", "healthy"]
    assert found.changing().tolist() == [0]
    assert found.moving()[0] == 0
    assert found.transitions() == {("healthy", "healthy"): 2, ("healthy", "liquidatable"): 1}
    first = found.terms(0)[0]
    assert (first.total, first.name, first.instrument) == ("equity", "unsettled profit", "BTC/USDC:USDC")
    moved = sum((row.amounts[1] or Decimal(0)) - (row.amounts[0] or Decimal(0)) for row in found.terms(0)
                if row.total == "equity")  # fmt: skip
    difference = found.after.statement.equity[0] - found.before.statement.equity[0]
    assert float(moved) == pytest.approx(difference, abs=2e-6)


def test_a_linear_trade_leaves_its_quote_leg() -> None:
    after = run(trades=(Trade("hodl", "BTC/USDC:USDC", "-1.5", "60100"),)).book_after
    assert held(after, "hodl", "BTC/USDC:USDC") == (Fraction("-1.5"), 90_150_000_000)
    assert held(after, "long", "BTC/USDC:USDC")[0] == 5


def test_an_inverse_trade_rounds_its_coins_down() -> None:
    after = run(trades=(Trade("hodl", "BTC/USD:BTC", "7", "60100"),)).book_after
    assert held(after, "hodl", "BTC/USD:BTC") == (7, 7 * 10**8 // 60100)
    after = run(trades=(Trade("hodl", "BTC/USD:BTC", "-7", "60100"),)).book_after
    assert held(after, "hodl", "BTC/USD:BTC") == (-7, -(7 * 10**8 // 60100) - 1)


def test_an_option_is_paid_in_cash_and_a_trade_at_the_mark_moves_no_equity() -> None:
    found = run(trades=(Trade("hodl", "BTC-28MAR25-60000-C", Decimal(3)),))
    assert held(found.book_after, "hodl", "BTC") == (Fraction("1.7"), 0)
    assert held(found.book_after, "hodl", "BTC/USD:BTC-250328-60000-C")[0] == 3
    assert found.after.statement.equity[1] == pytest.approx(found.before.statement.equity[1])


def test_spot_is_paid_in_the_first_dollar_asset_at_its_price() -> None:
    found = run(trades=(Trade("hodl", "BTC", "-0.5"),))
    assert held(found.book_after, "hodl", "BTC")[0] == Fraction("1.5")
    assert float(held(found.book_after, "hodl", "USDC")[0]) == pytest.approx(30000 / 0.999)
    assert found.after.statement.equity[1] == pytest.approx(found.before.statement.equity[1], abs=1e-5)


def test_deposits_and_trades_come_before_the_shock() -> None:
    found = run(
        deposits=(Deposit("hodl", "USDC", "10000"), Deposit("hodl", "BTC", "-1")),
        trades=(Trade("hodl", "BTC/USDC:USDC", "1"),),
        factors={"BTC": 0.9},
    )
    expected = 54000 + 0.999 * (10000 - 6001)
    assert found.after.statement.equity[1] == pytest.approx(expected, abs=0.01)


def test_another_policy() -> None:
    wide = msgspec.structs.replace(PORTFOLIO, version="2", margin={**PORTFOLIO.margin, "margin_scale": 2.0})
    found = run(policy=wide)
    assert (found.before.label, found.after.label) == ("portfolio v1", "portfolio v2")
    assert (found.after.statement.maintenance_margin > found.before.statement.maintenance_margin).all()
    assert found.after.statement.equity.tolist() == found.before.statement.equity.tolist()


def test_the_book_itself_stays_as_it_was() -> None:
    prices = market()
    mine = book(prices)
    before = [tuple(column.tolist() for column in mine.row(i)) for i in range(len(mine))]
    changed_book(mine, prices, Change(trades=(Trade("hodl", "ETH", "1"),), deposits=(Deposit("long", "BTC", "1"),)))
    assert [tuple(column.tolist() for column in mine.row(i)) for i in range(len(mine))] == before


def test_every_fault_of_a_change_is_told_at_once() -> None:
    change = Change(
        deposits=(Deposit("nobody", "BTC", "1"), Deposit("hodl", "BTC/USDC:USDC", "1"), Deposit("hodl", "BTC", "1e3")),
        trades=(
            Trade("hodl", "DOGE", "1"),
            Trade("hodl", "BTC", "0"),
            Trade("hodl", "BTC", "1", "-5"),
            Trade("hodl", "USDC", "1"),
            Trade("hodl", "BTC/USD:BTC-250328-70000-C", "1"),
            Trade("hodl", "BTC/USDC:USDC", "1", "x"),
        ),
    )
    prices = market()
    with pytest.raises(SolventError) as caught:
        changed_book(book(prices), prices, change)
    found = [(each.file, each.row, each.field) for each in caught.value.problems]
    assert found == [
        ("deposit", 1, "account"),
        ("deposit", 2, "asset"),
        ("deposit", 3, "quantity"),
        ("trade", 1, "instrument"),
        ("trade", 2, "quantity"),
        ("trade", 3, "price"),
        ("trade", 4, "instrument"),
        ("trade", 5, "price"),
        ("trade", 6, "price"),
    ]


@given(st.integers(-500, 500).filter(bool), st.integers(30_000, 90_000))
def test_there_and_back_at_one_price_costs_at_most_rounding(quantity: int, price: int) -> None:
    there = Trade("hodl", "BTC/USDC:USDC", str(quantity), str(price))
    back = Trade("hodl", "BTC/USDC:USDC", str(-quantity), str(price))
    found = run(trades=(there, back))
    assert -1e-6 <= found.after.statement.equity[1] - found.before.statement.equity[1] <= 0
    assert np.isclose(found.after.statement.maintenance_margin[1], found.before.statement.maintenance_margin[1])
