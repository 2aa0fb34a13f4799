"""A universe of every kind of instrument, markets of it, and random books of what a rule margins."""

from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np

from solvent.domain.book import Book
from solvent.domain.instruments import Future, Instrument, Option, Perpetual, Spot
from solvent.domain.market import Market
from solvent.domain.universe import INVERSE, LINEAR, SPOT, Universe
from solvent.engine.files import read_policy
from solvent.margin.rule import BUILT_IN, Prepared, rule
from solvent.margin.rules.rows import KINDS, gain_lots, kind_of
from solvent.margin.rules.venue import VenueRule

DAY_NS = 86_400 * 10**9
NOW_NS = 1_700_000_000 * 10**9
PRICES = {"BTC": 36_000.0, "ETH": 2_000.0, "SOL": 55.0}
STRIKES = {"BTC": (30_000, 36_000, 42_000), "ETH": (1_700, 2_000, 2_300)}
RULES = sorted(name for name in BUILT_IN if isinstance(rule(name), VenueRule) and name != "isda-csa")


def _instruments() -> list[tuple[Instrument, float, float]]:
    """(instrument, mark, volatility)."""
    nan = float("nan")
    found: list[tuple[Instrument, float, float]] = [
        (Spot("USDC", "USDC", 6, 1), 0.9996, nan),
        (Spot("BTC", "BTC", 8, 1), PRICES["BTC"], nan),
        (Spot("ETH", "ETH", 18, 10**9), PRICES["ETH"], nan),
        (Spot("BTC@custodian", "BTC", 8, 1, location="custodian"), 35_990.0, nan),
    ]
    for asset, lot, tick in (("BTC", "0.0001", "0.1"), ("ETH", "0.001", "0.01"), ("SOL", "0.01", "0.001")):
        price, terms = PRICES[asset], {"lot": Decimal(lot), "tick": Decimal(tick)}
        found.append((Perpetual(f"{asset}/USDC:USDC", asset, "USDC", **terms), price * 1.001, nan))
        if asset == "SOL":
            continue
        for days in (20, 75):
            future = Future(f"{asset}/USDC:USDC-{days}", asset, "USDC", NOW_NS + days * DAY_NS, **terms)
            found.append((future, price * (1 + days / 5000), nan))
        inverse = {"lot": Decimal(1), "multiplier": Decimal(10), "tick": Decimal("0.5"), "inverse": True}
        found.append((Perpetual(f"{asset}/USD:{asset}", asset, asset, **inverse), price * 0.9995, nan))
        dated = Future(f"{asset}/USD:{asset}-75", asset, asset, NOW_NS + 75 * DAY_NS, **inverse)
        found.append((dated, price * 1.014, nan))
        for days in (20, 75):
            for strike in STRIKES[asset]:
                for side in "CP":
                    vol = 0.5 + 0.3 * abs(np.log(strike / price)) + days / 1000
                    terms = {"expiry_ns": NOW_NS + days * DAY_NS, "strike": Decimal(strike), "call": side == "C"}
                    linear = Option(f"{asset}/USDC:USDC-{days}-{strike}-{side}", asset, "USDC",
                                    lot=Decimal("0.01"), tick=Decimal("0.01"), **terms)  # fmt: skip
                    found.append((linear, 0.0, vol))
                    coin = Option(f"{asset}/USD:{asset}-{days}-{strike}-{side}", asset, asset, lot=Decimal("0.1"),
                                  tick=Decimal("0.0001"), inverse=True, **terms)  # fmt: skip
                    found.append((coin, 0.0, vol + 0.01))
    return found


TABLE = _instruments()
UNIVERSE = Universe(each for each, _, _ in TABLE)
KIND = [kind_of(each) for each in UNIVERSE]


def market_of(*, factor: float = 1.0, confidence: float = 0.0, slow: float = 1.0, quoted: bool = False) -> Market:
    """The market with all but cash moved by a factor; options at the model, or quoted some ticks off it."""
    price = np.array([mark * (factor if i else 1.0) for i, (_, mark, _) in enumerate(TABLE)])
    ticks = np.rint(price / UNIVERSE.terms.tick).astype(np.int64)
    if quoted:
        options = np.array([isinstance(each, Option) for each in UNIVERSE])
        ticks[options] = np.arange(options.sum()) % 7 * 50 + 40
    vol = np.array([vol for _, _, vol in TABLE])
    return Market(
        UNIVERSE,
        NOW_NS,
        ticks,
        vol_annual=vol,
        rate_annual=0.02,
        confidence=confidence,
        slow_price=ticks * UNIVERSE.terms.tick * slow,
    )


MARKET = market_of()
QUOTED = market_of(quoted=True)


@cache
def prepared_of(name: str) -> Prepared:
    """A ready-made policy at `MARKET`, with quotes of options where the rule needs them."""
    needs_quotes = "vol" not in rule(name).needs and name != "portfolio"
    return rule(name).prepare(UNIVERSE, QUOTED if needs_quotes else MARKET, read_policy(name))


def kinds_of(name: str) -> frozenset[str]:
    """What a rule margins."""
    return getattr(rule(name), "margins", KINDS)


def held_by(name: str, prepared: Any) -> tuple[list[int], list[int]]:
    """(spot other than cash, derivatives) that a rule margins in `UNIVERSE`."""
    refused = prepared.marginable.refused if hasattr(prepared, "marginable") else np.zeros(len(UNIVERSE), bool)
    fine = [i for i, kind in enumerate(KIND) if kind in kinds_of(name) and not refused[i] and kind != "cash"]
    return [i for i in fine if KIND[i] == "spot"], [i for i in fine if KIND[i] != "spot"]


def random_book(name: str, seed: int, accounts: int, rows: int = 8, market: Market = MARKET) -> Book:
    """Accounts of cash, collateral (debts too where the rule has them) and derivatives, some short of margin."""
    rng = np.random.default_rng(seed)
    terms, book = UNIVERSE.terms, Book(UNIVERSE, [f"account {a}" for a in range(accounts)])
    prepared = prepared_of(name)
    spots, derivatives = held_by(name, prepared)
    gain = gain_lots(market)
    unit_usd = np.where(terms.form == SPOT, market.price, market.index_usd[terms.underlying]) * terms.unit
    unit_usd[terms.form == INVERSE] = terms.unit[terms.form == INVERSE]
    for account in range(accounts):
        size = np.exp(rng.normal(9.0, 1.5))
        chosen = [int(i) for i in rng.choice(derivatives, min(len(derivatives), int(rng.integers(0, rows))))]
        for i in chosen:
            lots = int(size * rng.exponential() / unit_usd[i]) * int(rng.choice([-1, 1]))
            cost = 0
            if terms.form[i] in (LINEAR, INVERSE):
                cost = -round(lots * gain[i] * rng.normal(1.0, 0.03))
            book.add(account, i, lots, cost)
        for i in rng.choice(spots, int(rng.integers(0, 3))).tolist() if spots else []:
            sign = -1 if "debt" in kinds_of(name) and rng.random() < 0.3 else 1
            book.add(account, int(i), sign * int(size * rng.exponential() / unit_usd[i]))
        if rng.random() < 0.95:
            book.add(account, 0, int(size * rng.normal(0.6, 0.5) * max(1, len(chosen)) * 1e6 / 2))
    return book


def at_threshold(prepared: Prepared, book: Book, rng: np.random.Generator) -> None:
    """Move each account's cash so that its equity is within some millionths of a USD of its maintenance margin."""
    for account in range(len(book)):
        for _ in range(3):
            found = prepared.exact(book, account)
            book.add(account, 0, int(found.maintenance_margin - found.equity))
        book.add(account, 0, int(rng.integers(-3, 4)))
