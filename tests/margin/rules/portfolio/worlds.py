"""Markets, policies and books for tests of the `portfolio` rule: everything that it knows occurs in them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
from hypothesis import strategies as st
from tests.margin.rules.portfolio.reference import Reference

from solvent.domain.book import Book, Order
from solvent.domain.instruments import Future, Instrument, Option, Perpetual, Spot
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.domain.universe import Universe
from solvent.margin.rules.portfolio import Portfolio, PreparedPortfolio
from solvent.margin.rules.portfolio.params import penalty_rate, portfolio_params

DAY_NS = 24 * 3600 * 10**9
NOW_NS = 1_735_689_600 * 10**9
SOON_NS, LATE_NS = NOW_NS + 12 * DAY_NS, NOW_NS + 90 * DAY_NS

D = Decimal
INSTRUMENTS: tuple[Instrument, ...] = (
    Spot("USD", "USD", decimals=6),
    Spot("USDC", "USDC", decimals=6),
    Spot("USDT", "USDT", decimals=6),
    Spot("BTC", "BTC", decimals=8, tick=D("0.01")),
    Spot("ETH", "ETH", decimals=18, lot_atoms=10**9, tick=D("0.01")),
    Spot("BTC@custodian-x", "BTC", decimals=8, location="custodian-x", tick=D("0.01")),
    Spot("DUST", "DUST", decimals=24, lot_atoms=10**20, tick=D("0.000000001")),
    Perpetual("BTC/USDC:USDC", "BTC", "USDC", lot=D("0.001"), tick=D("0.1")),
    Perpetual("ETH/USDT:USDT", "ETH", "USDT", lot=D("0.01"), tick=D("0.01"), multiplier=D("0.1")),
    Perpetual("DUST/USDC:USDC", "DUST", "USDC", lot=D("1000"), tick=D("0.000001")),
    Perpetual("BTC/USD:BTC", "BTC", "BTC", lot=D("1"), tick=D("0.5"), multiplier=D("10"), inverse=True),
    Future("BTC/USDC:USDC-250331", "BTC", "USDC", LATE_NS, lot=D("0.001"), tick=D("0.1")),
    Future("ETH/USD:ETH-250112", "ETH", "ETH", SOON_NS, lot=D("1"), tick=D("0.01"), inverse=True),
    Option("BTC/USDC:USDC-250112-60000-C", "BTC", "USDC", SOON_NS, D("60000"), True, tick=D("0.01")),
    Option("BTC/USDC:USDC-250331-55000-P", "BTC", "USDC", LATE_NS, D("55000"), False, tick=D("0.01")),
    Option("ETH/USD:ETH-250112-3000-C", "ETH", "ETH", SOON_NS, D("3000"), True, inverse=True),
    Option("ETH/USD:ETH-250331-2500-P", "ETH", "ETH", LATE_NS, D("2500"), False, inverse=True),
    Option("BTC/USDC:USDC-241231-58000-C", "BTC", "USDC", NOW_NS - DAY_NS, D("58000"), True, tick=D("0.01")),
)
UNIVERSE = Universe(INSTRUMENTS)
PRICES = {
    "USD": 1.0, "USDC": 0.9985, "USDT": 0.975, "BTC": 59_876.54, "ETH": 3012.34, "BTC@custodian-x": 59_700.0,
    "DUST": 0.000012345, "BTC/USDC:USDC": 59_912.3, "ETH/USDT:USDT": 3015.07, "DUST/USDC:USDC": 0.000012,
    "BTC/USD:BTC": 59_850.5, "BTC/USDC:USDC-250331": 61_000.1, "ETH/USD:ETH-250112": 3040.2,
    "BTC/USDC:USDC-250112-60000-C": 2100.25, "ETH/USD:ETH-250112-3000-C": 0.0451,
}  # fmt: skip
"""Of what has a mark; the other options are valued by the model."""
USD_ROW = UNIVERSE.index("USD")

MARGIN: Mapping[str, Any] = {
    "rule": "portfolio",
    "scan_range": {"BTC": 0.16, "ETH": 0.18},
    "groups": [{"assets": ["BTC", "ETH", "SOL"], "correlation": 0.8}],
    "collateral": {
        "USDC": {"haircut_initial": 0.0, "haircut_maintenance": 0.0, "borrow_initial": 0.0, "borrow_maintenance": 0.0},
        "USDT": {"haircut_initial": 0.02, "haircut_maintenance": 0.01, "borrow_initial": 0.03,
                 "borrow_maintenance": 0.02, "cap_usd": 2_000_000},
        "BTC": {"scanned": True, "haircut_initial": 0.03, "haircut_maintenance": 0.02, "borrow_initial": 0.04,
                "borrow_maintenance": 0.02, "tier_edges_usd": [100_000, 500_000], "tier_add": [0.05, 0.2],
                "cap_usd": 3_000_000},
        "BTC@custodian-x": {"haircut_initial": 0.3, "haircut_maintenance": 0.25, "borrow_initial": 0.3,
                            "borrow_maintenance": 0.25},
        "ETH": {"scanned": True, "haircut_initial": 0.03, "haircut_maintenance": 0.02, "borrow_initial": 0.03,
                "borrow_maintenance": 0.02},
    },
}  # fmt: skip


class World:
    """A market under a policy, prepared."""

    def __init__(self, market: Market, policy: Policy, label: str = "") -> None:
        self.market, self.policy, self.label = market, policy, label

    def __repr__(self) -> str:
        return f"World({self.label})"

    @cached_property
    def prepared(self) -> PreparedPortfolio:
        return Portfolio().prepare(UNIVERSE, self.market, self.policy)

    @cached_property
    def reference(self) -> Reference:
        params = portfolio_params(self.policy, UNIVERSE)
        return Reference(self.market, params, penalty_rate(self.policy.liquidation))


Rows = dict[int, tuple[int, int]]
"""Instrument -> (lots, quote leg in settlement lots)."""


def policy(**margin: Any) -> Policy:
    """The test policy with some parameters of its margin table replaced."""
    return Policy("test", "1", "2025-01-01", "tests", margin={**MARGIN, **margin}, liquidation={"penalty_rate": 0.004})


def market(**columns: Any) -> Market:
    """The test market with some of its columns replaced."""
    volume = np.full(len(UNIVERSE), np.nan)
    volume[[UNIVERSE.index("BTC"), UNIVERSE.index("BTC/USDC:USDC")]] = 4e6, 6e6
    volume[UNIVERSE.index("DUST")] = 0.0
    given = {"volume_usd_daily": volume, "vol_annual": 0.65, "rate_annual": 0.03, "half_spread": 0.0002, **columns}
    return Market(UNIVERSE, NOW_NS, ticks_of(PRICES), **given)


def ticks_of(prices: Mapping[str, float]) -> np.ndarray:
    return np.array([round(prices.get(each.id, 0) / float(each.tick)) for each in UNIVERSE])


def book_of(*accounts: Rows, orders: Mapping[int, Sequence[Order]] | None = None) -> Book:
    book = Book(UNIVERSE, [f"account {k}" for k in range(len(accounts))])
    for account, rows in enumerate(accounts):
        for instrument, (lots, cost) in rows.items():
            book.add(account, instrument, lots, cost)
    book.orders = {account: list(each) for account, each in (orders or {}).items()}
    return book


def lots_worth(i: int, usd: float) -> int:
    """About so many USD in whole lots, at least one and few enough for 63 bits."""
    lots = round(usd / lot_usd(i))
    return max(-(2**59), min(2**59, lots)) or 1


def lot_usd(i: int) -> float:
    """Rough USD of one lot."""
    each = UNIVERSE[i]
    if isinstance(each, Spot):
        return float(each.lot_coins) * PRICES[each.id]
    unit = float(each.lot * each.multiplier)
    return unit if each.inverse and not isinstance(each, Option) else unit * PRICES[each.underlying]


@st.composite
def positions(draw: st.DrawFn, largest_usd: float = 1e7) -> Rows:
    """Up to eight positions of any kind, from dust to `largest_usd` of notional, with entries near the mark."""
    rows: Rows = {}
    for i in draw(st.lists(st.integers(0, len(UNIVERSE) - 1), max_size=8, unique=True)):
        usd = draw(st.floats(-5, np.log10(largest_usd))) if draw(st.booleans()) else draw(st.floats(3, 6))
        lots = lots_worth(i, 10**usd) * draw(st.sampled_from((1, -1)))
        rows[i] = lots, draw(st.floats(0.7, 1.4).map(lambda x, i=i, lots=lots: quote_leg(i, lots, x)))
    return rows


def quote_leg(i: int, lots: int, entry: float) -> int:
    """Quote leg in settlement lots of a position entered at `entry` marks; 0 for spot; what is unpaid of an option."""
    each = UNIVERSE[i]
    if isinstance(each, Spot):
        return 0
    if isinstance(each, Option):
        payer = UNIVERSE.spot_of(i)
        return round((entry - 1) * abs(lots) * lot_usd(i) / PRICES[payer.id] / float(payer.lot_coins))
    price, unit, coins = PRICES[each.id] * entry, float(each.lot * each.multiplier), UNIVERSE.spot_of(i).lot_coins
    coins_of = lots * unit / price if each.inverse else -lots * unit * price
    return round(coins_of / float(coins))


@st.composite
def orders_of(draw: st.DrawFn) -> list[Order]:
    """Up to four open orders within 10 % of the mark."""
    found = []
    for k in range(draw(st.integers(0, 4))):
        i = draw(st.integers(0, len(UNIVERSE) - 2))
        usd = draw(st.floats(1, 6))
        lots = lots_worth(i, 10**usd) * draw(st.sampled_from((1, -1)))
        ticks = PRICES.get(UNIVERSE[i].id, 0.05 * lot_usd(i)) * draw(st.floats(0.9, 1.1)) / float(UNIVERSE[i].tick)
        found.append(Order(k, i, lots, max(1, round(ticks))))
    return found


def _policies() -> list[dict[str, Any]]:
    history = {"BTC": [-0.3, 0.1, 0.05, -0.02], "ETH": [-0.4, 0.2, -0.1, 0.0], "DUST": [0.5, -0.95, 0.0, 0.1]}
    crashes = {"black": {"BTC": -0.45, "ETH": -0.5, "USDT": -0.05, "*": -0.6}, "melt up": {"BTC": 0.6, "*": 0.3}}
    return [
        {},
        {"expected_shortfall_count": 3},
        {"groups": [], "margin_scale": 2.0},
        {"history": history, "expected_shortfall_count": 2},
        {"crashes": crashes, "option_long_weight": 0.8},
        {"history": history, "crashes": crashes, "correlation_haircut": 0.0},
        {"steps": [0.0, 1.0, -1.0, 0.5], "tails": [], "short_option_initial": 0.2, "short_option_maintenance": 0.1},
        {"roll_annual": 0.9, "maintenance_factor": 1.0, "participation_rates": [0.2, 0.5, 1.0, 3.0]},
    ]


def _markets() -> list[dict[str, Any]]:
    size = len(UNIVERSE)
    prices = ticks_of(PRICES) * np.array([float(each.tick) for each in UNIVERSE])
    slow = prices * np.where(np.arange(size) % 2, 1.04, 0.93)
    slow[USD_ROW] = 1.0
    stale = np.zeros(size)
    stale[UNIVERSE.index("ETH")] = 4000.0
    confidence = np.where(np.arange(size) % 3 == 1, 0.004, 0.0)
    assert UNIVERSE[USD_ROW].id == "USD", "cash is the numeraire: its price is sure and 1"
    return [
        {},
        {"slow_price": slow},
        {"confidence": confidence, "age_s": stale},
        {
            "slow_price": np.where(prices == 1, 1, 0.97 * prices),
            "confidence": confidence,
            "volume_usd_daily": 1e6,
            "half_spread": 0.003,
        },
    ]


WORLDS = [
    World(market(**columns), policy(**margin), f"market {sorted(columns)} policy {sorted(margin)}")
    for columns in _markets()
    for margin in _policies()
]
"""Every market under every policy; prepared when used."""
worlds = st.sampled_from(WORLDS)
