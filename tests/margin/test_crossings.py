"""Liquidation prices: exact on both sides, none left out, by hand where a formula exists."""

from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.margin.rules.lending_worlds import MARKET, PRICES, UNIVERSE, market_of

from solvent.domain.book import Book
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.engine.files import read_policy
from solvent.errors import SolventError
from solvent.margin.crossings import HIGHEST, JOINT, LOWEST, STEP_MOST, liquidation_prices
from solvent.margin.rule import rule
from solvent.valuation.shocks import shocked
from solvent.valuation.surfaces import SviSlice, SviSurface

TS_NS = 1_731_000_000_000_000_000
SURFACE = SviSurface((SviSlice(0.1, 0.01, 0.1, -0.2, 0.0, 0.2), SviSlice(1.0, 0.2, 0.2, -0.2, 0.0, 0.3)))
MARKS = {
    "BTC": "60000",
    "ETH": "3000",
    "USDC": "0.999",
    "BTC/USDC:USDC": "60010.5",
    "BTC/USD:BTC": "60020",
    "ETH/USDC:USDC": "3001.25",
    "BTC/USDC:USDC-250328": "61000",
    "BTC/USDC:USDC-250328-60000-C": "5400",
    "BTC/USDC:USDC-241114-60000-P": "1200",
    "BTC/USDC:USDC-241114-66000-C": None,
    "ETH/USDC:USDC-250328-3000-P": "301.5",
}
TRADED = Market.from_frame(
    pl.DataFrame({"instrument": list(MARKS), "price": list(MARKS.values())}),
    surfaces={"BTC": SURFACE, "ETH": SURFACE}, ts_ns=TS_NS,
)  # fmt: skip
PORTFOLIO = read_policy("portfolio")
SIZES = (0.05, 1.0, 5000.0, 0.2, 5000.0, 2.0, 0.2, 0.5, 0.5, 0.5, 2.0)
"""Of each instrument, contracts or coins that are worth some thousands of USD."""


def verdict_at(policy: Policy, market: Market, book: Book, account: int, asset: str, factor: float) -> bool:
    """By the exact form, at a factor on the price."""
    moved = shocked(market, {asset: factor})
    return rule(policy.rule).prepare(moved.universe, moved, policy).exact(book, account).liquidatable


def assert_crosses(policy: Policy, market: Market, book: Book, row: dict[str, Any], shift: int = 0) -> None:
    """Liquidatable at the answer, not one step further to the other side; a step is at most a millionth."""
    account, asset = book.names.index(row["account"]), row["asset"]
    step = row["safe_factor"] - row["factor"]
    assert verdict_at(policy, market, book, account, asset, row["factor"] + shift * step)
    assert not verdict_at(policy, market, book, account, asset, row["safe_factor"] + shift * step)
    assert (step > 0) == (row["direction"] == "down")
    assert 0 < abs(step) < 1.01 * STEP_MOST
    if row["crossing_price"] is not None:
        now = market.index_usd[market.universe.asset_index[asset]]
        assert row["crossing_price"] == pytest.approx(row["factor"] * now, rel=1e-12)


def dense(policy: Policy, market: Market, book: Book, asset: str, factors: np.ndarray) -> np.ndarray:
    """(K, A) verdicts on a fine grid."""
    rows = []
    for factor in factors.tolist():
        moved = shocked(market, {asset: factor})
        prepared = rule(policy.rule).prepare(moved.universe, moved, policy)
        statement = prepared.assess(book)
        rows.append(statement.liquidatable)
    return np.array(rows)


def assert_none_left_out(found: pl.DataFrame, book: Book, verdicts: np.ndarray, factors: np.ndarray) -> None:
    """Between two points of the fine grid a verdict changes iff an odd number of answers lies between them."""
    for account, name in enumerate(book.names):
        mine = found.filter(pl.col("account") == name)["factor"].to_numpy()
        count = np.array([((mine > a) & (mine <= b)).sum() for a, b in pairwise(factors)])
        changes = verdicts[1:, account] != verdicts[:-1, account]
        off = np.flatnonzero(count % 2 != changes)
        near = [
            min(np.abs(mine / factors[k] - 1).min(), np.abs(mine / factors[k + 1] - 1).min()) for k in off if len(mine)
        ]
        assert len(near) == len(off)
        assert all(gap < 1e-6 for gap in near), (name, mine, factors[off])  # the answer is a point of the grid


@st.composite
def lending_books(draw: st.DrawFn) -> Book:
    book = Book(UNIVERSE, ["a", "b", "c"])
    assets = st.sampled_from(["ETH", "BTC", "WSTETH", "LINK", "USDC", "USDT"])
    for account in range(3):
        for id in draw(st.sets(assets, min_size=2, max_size=5)):
            i = UNIVERSE.index(id)
            usd = draw(st.integers(-9_000, 10_000).filter(lambda x: abs(x) > 10))
            book.add(account, i, int(usd / float(PRICES[id]) / float(UNIVERSE.terms.lot_coins[i])))
    return book


@st.composite
def trading_books(draw: st.DrawFn) -> Book:
    universe = TRADED.universe
    rows = []
    for account in ("a", "b"):
        ids = st.sampled_from([id for id in MARKS if id != "USDC"])
        held = {"USDC": draw(st.integers(1, 40))}
        held |= draw(st.dictionaries(ids, st.integers(-12, 12).filter(bool), max_size=5))
        for id, count in held.items():
            if id in ("BTC", "ETH"):
                count = abs(count)
            rows.append((account, id, count * SIZES[list(MARKS).index(id)]))
    frame = pl.DataFrame(rows, schema=["account", "instrument", "quantity"], orient="row")
    return Book.from_frame(frame, universe, TRADED)


@settings(max_examples=6)
@given(lending_books())
def test_lending_answers_hold_on_both_sides_and_are_all(book: Book) -> None:
    policy = read_policy("aave-v3")
    factors = np.exp(np.linspace(np.log(LOWEST), np.log(HIGHEST), 150))
    for asset in ("ETH", "USDC"):
        found = liquidation_prices(policy, book, MARKET, asset)
        for row in found.iter_rows(named=True):
            assert_crosses(policy, MARKET, book, row)
        assert_none_left_out(found, book, dense(policy, MARKET, book, asset, factors), factors)
        assert found.group_by("account").len()["len"].max() in (None, 1)  # a line crosses once


@settings(max_examples=8)
@given(trading_books(), st.sampled_from(["BTC", "ETH", "USDC", JOINT]))
def test_trading_answers_hold_on_both_sides_and_are_all(book: Book, asset: str) -> None:
    found = liquidation_prices(PORTFOLIO, book, TRADED, asset)
    for row in found.iter_rows(named=True):
        assert_crosses(PORTFOLIO, TRADED, book, row)
    factors = np.exp(np.linspace(np.log(LOWEST), np.log(HIGHEST), 150))
    assert_none_left_out(found, book, dense(PORTFOLIO, TRADED, book, asset, factors), factors)


@settings(max_examples=6)
@given(trading_books(), st.sampled_from(["BTC", JOINT]))
def test_interpolated_answers_are_close(book: Book, asset: str) -> None:
    exact = liquidation_prices(PORTFOLIO, book, TRADED, asset)
    close = liquidation_prices(PORTFOLIO, book, TRADED, asset, exact=False)
    assert exact.select("account", "asset", "direction").equals(close.select("account", "asset", "direction"))
    assert (exact["factor"] / close["factor"] - 1).abs().max() in (None, pytest.approx(0, abs=2e-3))


@pytest.mark.parametrize("name", ["compound-v3", "morpho-blue", "euler-v2", "silo-v2", "gearbox-v3", "crvusd", "maker"])
def test_other_lending_rules(name: str) -> None:
    loan = {"crvusd": "CRVUSD", "maker": "DAI"}.get(name, "USDC")
    policy = read_policy(name)
    book = Book(UNIVERSE, ["ann"])
    book.add(0, UNIVERSE.index("ETH"), 3 * 10**9)
    i = UNIVERSE.index(loan)
    book.add(0, i, -int(5000 / float(UNIVERSE.terms.lot_coins[i])))
    found = liquidation_prices(policy, book, MARKET)
    assert set(found["asset"]) == ({"ETH"} if name == "maker" else {"ETH", loan})  # DAI counts one USD
    for row in found.iter_rows(named=True):
        assert row["direction"] == ("down" if row["asset"] == "ETH" else "up")
        assert_crosses(policy, MARKET, book, row)


def test_by_hand() -> None:
    """2 ETH and 0.1 BTC against 5,000 USDC: 2 p 0.83 + 0.1 x 60,000 x 0.78 = 5,000 gives p = 192.771..."""
    market = market_of(UNIVERSE, {**PRICES, "ETH": "3000", "BTC": "60000", "USDC": "1"})
    book = Book(UNIVERSE, ["ann"])
    for id, lots in (("ETH", 2 * 10**9), ("BTC", 10**7), ("USDC", -5000 * 10**6)):
        book.add(0, UNIVERSE.index(id), lots)
    policy = read_policy("aave-v3")
    eth = liquidation_prices(policy, book, market, "ETH").row(0, named=True)
    assert eth["crossing_price"] == pytest.approx((5000 - 0.1 * 60000 * 0.78) / 2 / 0.83, abs=1.01e-6)
    assert eth["direction"] == "down"
    usdc = liquidation_prices(policy, book, market, "USDC").row(0, named=True)
    assert usdc["crossing_price"] == pytest.approx((2 * 3000 * 0.83 + 0.1 * 60000 * 0.78) / 5000, abs=1.01e-6)
    assert usdc["direction"] == "up"
    joint = liquidation_prices(policy, book, market, JOINT).row(0, named=True)
    assert joint["crossing_price"] is None
    assert joint["factor"] == pytest.approx(5000 / (2 * 3000 * 0.83 + 0.1 * 60000 * 0.78), abs=STEP_MOST)
    assert liquidation_prices(policy, book, market, "BTC").is_empty()  # at 256 USD: below a hundredth


def option_book(rows: dict[str, float]) -> Book:
    frame = pl.DataFrame(
        [("ann", id, quantity) for id, quantity in rows.items()],
        schema=["account", "instrument", "quantity"], orient="row",
    )  # fmt: skip
    return Book.from_frame(frame, TRADED.universe, TRADED)


CALL, NEAR_PUT, NEAR_CALL = (
    "BTC/USDC:USDC-250328-60000-C",
    "BTC/USDC:USDC-241114-60000-P",
    "BTC/USDC:USDC-241114-66000-C",
)


def test_a_short_strangle_crosses_on_either_side() -> None:
    book = option_book({"USDC": 40_000, NEAR_PUT: -2, NEAR_CALL: -2})
    found = liquidation_prices(PORTFOLIO, book, TRADED, "BTC")
    assert found["direction"].to_list() == ["down", "up"]
    for row in found.iter_rows(named=True):
        assert_crosses(PORTFOLIO, TRADED, book, row)


def test_a_dip_within_a_cell_of_the_grid_is_found() -> None:
    """Two calls against a short perpetual: short of margin in a valley only, and there by a dollar."""
    book = option_book({"USDC": 1, CALL: 2, "BTC/USDC:USDC": -1})
    factors, gaps = np.exp(np.linspace(-0.3, 0.3, 201)), []
    for factor in factors.tolist():
        moved = shocked(TRADED, {"BTC": factor})
        statement = rule("portfolio").prepare(moved.universe, moved, PORTFOLIO).assess(book)
        gaps.append(float(statement.equity[0] - statement.maintenance_margin[0]))
    lowest = min(gaps)
    assert lowest < min(gaps[0], gaps[-1]) - 1000
    book.add(0, TRADED.universe.index("USDC"), int((-lowest - 1) / 0.999 * 10**6))
    found = liquidation_prices(PORTFOLIO, book, TRADED, "BTC").filter(pl.col("factor").is_between(0.8, 1.2))
    assert found["direction"].to_list() == ["up", "down"]
    assert found["factor"][1] / found["factor"][0] < 1.02  # less than one cell apart
    for row in found.iter_rows(named=True):
        assert_crosses(PORTFOLIO, TRADED, book, row)


def test_control_one_step_beside_the_answer_is_not_a_crossing() -> None:
    book = Book(UNIVERSE, ["ann"])
    for id, lots in (("ETH", 2 * 10**9), ("USDC", -4000 * 10**6)):
        book.add(0, UNIVERSE.index(id), lots)
    policy = read_policy("aave-v3")
    (row,) = liquidation_prices(policy, book, MARKET, "ETH").iter_rows(named=True)
    assert_crosses(policy, MARKET, book, row)
    for shift in (-1, 1):
        with pytest.raises(AssertionError):
            assert_crosses(policy, MARKET, book, row, shift)


def test_only_the_accounts_asked_for_and_only_known_assets() -> None:
    book = Book(UNIVERSE, ["ann", "bob"])
    for account in (0, 1):
        for id, lots in (("ETH", 2 * 10**9), ("USDC", -4000 * 10**6)):
            book.add(account, UNIVERSE.index(id), lots)
    policy = read_policy("aave-v3")
    assert liquidation_prices(policy, book, MARKET, "ETH", accounts=np.array([1]))["account"].to_list() == ["bob"]
    assert liquidation_prices(policy, book, MARKET, "LINK").is_empty()
    for wrong in ("DOGE", "USD"):
        with pytest.raises(SolventError, match=r"one of ETH, .*; or \*"):
            liquidation_prices(policy, book, MARKET, wrong)
