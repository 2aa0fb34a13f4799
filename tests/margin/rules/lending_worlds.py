"""Universes, prices and random books for the lending rules: accounts about their thresholds, isolated where asked."""

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from solvent.domain.book import Book
from solvent.domain.market import Market
from solvent.domain.symbols import spot
from solvent.domain.universe import Universe
from solvent.engine.files import read_policy
from solvent.margin.rule import rule
from solvent.margin.rules.lending import PreparedLending

PRICES = {
    "ETH": "3000.25", "WETH": "3001.5", "BTC": "60123.456789", "WBTC": "60000", "WSTETH": "3521.07", "LINK": "17.3",
    "USDC": "0.9998", "USDT": "1.0003", "DAI": "0.9991", "LUSD": "1.002", "BOLD": "0.998", "CRVUSD": "0.9987",
    "XYZ": "0.37",
}  # fmt: skip
RULES = (
    "aave-v3", "aave-v4", "compound-v3", "morpho-blue", "euler-v2", "maker", "liquity-v1", "liquity-v2", "crvusd",
    "silo-v2", "gearbox-v3",
)  # fmt: skip
NOW_NS = 1_800_000_000 * 10**9
UNIVERSE = Universe([spot(id) for id in PRICES])


def market_of(universe: Universe, prices: Mapping[str, str] = PRICES) -> Market:
    """A market at prices that are whole ticks."""
    ticks = [Fraction(prices[each.id]) / Fraction(each.tick) for each in universe]
    assert all(x.denominator == 1 for x in ticks)
    return Market(universe, NOW_NS, np.array([int(x) for x in ticks]))


MARKET = market_of(UNIVERSE)


def prepared_of(name: str, market: Market = MARKET) -> PreparedLending:
    """A ready-made policy at a market."""
    found = rule(name).prepare(market.universe, market, read_policy(name))
    assert isinstance(found, PreparedLending)
    return found


def random_book(prepared: PreparedLending, seed: int, accounts: int) -> Book:
    """Accounts of one market each, most owing about what their collateral bears; some owe or hold nothing."""
    rng = np.random.default_rng(seed)
    fixed = prepared.shared.fixed
    book = Book(fixed.universe, [f"account {a}" for a in range(accounts)])
    for account in range(accounts):
        m = int(rng.integers(len(fixed.terms)))
        taken = list(fixed.terms[m])
        count = 1 if prepared.rule.isolated else int(rng.integers(1, min(4, len(taken)) + 1))
        pledged = [int(i) for i in rng.choice(taken, count, replace=False)]
        bears = 0.0
        for i in pledged:
            lots = int(10 ** rng.uniform(0, 12))
            bears += lots * prepared.shared.tables.collateral_usd[i] * prepared.shared.tables.maintenance[i, m]
            book.add(account, i, lots)
        loans = [i for i, lender in fixed.lender.items() if lender == m and i not in pledged]
        if loans and rng.random() < 0.9:
            loan = int(rng.choice(loans))
            factor = rng.choice([1.0, 1 + 1e-9 * rng.normal(), 1 + 0.2 * rng.normal()])
            owed = int(bears * factor / prepared.shared.tables.debt_usd[loan])
            book.add(account, loan, -max(1, owed + int(rng.integers(-2, 3))))
        elif rng.random() < 0.5:
            book.add(account, UNIVERSE.index("XYZ"), int(rng.integers(1, 10**9)))
    return book
