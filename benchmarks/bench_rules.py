"""Claim: every rule margins 100,000 accounts of 10 positions in one call in under 2 s (grids of scenarios 5 s) on two
processors, at 50 times the speed of a loop over the accounts in its exact form.

Same book, same market, same process. Positions are what the rule margins: an isolated loan has two, a rule of three
perpetuals ten at most. `python benchmarks/bench_rules.py [--quick] [--rules a,b] [--json] [--rounds N]`; --quick
takes 10,000 accounts. Exits with 1 where a rule takes longer.
"""

import argparse
import json
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray
from paired import machine, paired

from solvent.domain.book import Book
from solvent.domain.instruments import Future, Instrument, Option, Perpetual
from solvent.domain.market import Market
from solvent.domain.symbols import spot
from solvent.domain.universe import INVERSE, LINEAR, SPOT, Universe
from solvent.engine.files import read_policy
from solvent.margin.rule import BUILT_IN, Prepared, rule
from solvent.margin.rules.rows import KINDS, gain_lots, kind_of

I64 = NDArray[np.int64]

ACCOUNTS, POSITIONS, LOOPED = 100_000, 10, 200
SECONDS_MOST, SECONDS_MOST_GRID = 2.0, 5.0
RATIO_GOAL = 50.0
GRIDS = {"portfolio", "derive-pmrm", "derive-pmrm2", "deribit-pme", "okx-pm", "paradex", "span16"}
NOW_NS = 1_735_689_600 * 10**9
DAY_NS = 24 * 3600 * 10**9
SPOTS = {
    "USDC": 1.0, "BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0, "WETH": 3_000.0, "WBTC": 60_000.0, "WSTETH": 3_500.0,
    "LINK": 17.0, "USDT": 1.0, "DAI": 1.0, "LUSD": 1.0, "BOLD": 1.0, "CRVUSD": 1.0,
}  # fmt: skip
COINS = {"BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0, **{f"C{i}": 10.0 for i in range(30)}}


def world() -> tuple[Universe, Market]:
    """Spot, 33 perpetuals, futures and 200 options on BTC and ETH, linear and inverse."""
    made: list[tuple[Instrument, float]] = [(spot(name), price) for name, price in SPOTS.items()]
    made += [(Perpetual(f"{name}/USDC:USDC", name, "USDC"), price) for name, price in COINS.items()]
    for name in ("BTC", "ETH"):
        coin: dict[str, Any] = {"lot": Decimal(1), "multiplier": Decimal(10), "tick": Decimal("0.5"), "inverse": True}
        made.append((Perpetual(f"{name}/USD:{name}", name, name, **coin), COINS[name]))
        for days in (7, 28, 91, 182, 364):
            expiry = NOW_NS + days * DAY_NS
            made.append((Future(f"{name}/USDC:USDC-{days}", name, "USDC", expiry), COINS[name] * (1 + days / 5000)))
            made.append((Future(f"{name}/USD:{name}-{days}", name, name, expiry, **coin), COINS[name]))
            for strike in (COINS[name] * np.linspace(0.6, 1.6, 10)).round(2).tolist():
                terms = (expiry, Decimal(str(strike)), strike > COINS[name])
                linear = Option(f"{name}/USDC:USDC-{days}-{strike}", name, "USDC", *terms, tick=Decimal("0.01"))
                inverse = Option(f"{name}/USD:{name}-{days}-{strike}", name, name, *terms, inverse=True)
                made += [(linear, 0.03 * COINS[name]), (inverse, 0.03)]
    universe = Universe(each for each, _ in made)
    ticks = np.rint(np.array([price for _, price in made]) / universe.terms.tick).astype(np.int64)
    return universe, Market(universe, NOW_NS, ticks, vol_annual=0.6)


UNIVERSE, MARKET = world()


def venue_book(name: str, prepared: Any, accounts: int) -> Book:
    """Cash, one collateral and derivatives of every kind that the rule margins."""
    rng = np.random.default_rng(1)
    terms, taken = UNIVERSE.terms, getattr(rule(name), "margins", KINDS)
    known = ~prepared.marginable.refused if hasattr(prepared, "marginable") else np.ones(len(UNIVERSE), np.bool_)
    kinds = np.array([kind_of(each) for each in UNIVERSE])
    mine = known & np.isin(kinds, list(taken))
    derivatives, spots = np.flatnonzero(mine & (terms.form != SPOT)), np.flatnonzero(mine & (kinds == "spot"))
    chosen = np.concatenate([rng.choice(derivatives, (accounts, 1)) for _ in range(POSITIONS)], axis=1)
    if len(derivatives) > POSITIONS:  # distinct: a random run of a random order
        order, first = rng.permutation(derivatives), rng.integers(0, len(derivatives), (accounts, 1))
        step = 1 + len(derivatives) // (3 * POSITIONS)
        chosen = order[(first + step * np.arange(POSITIONS)) % len(derivatives)]
    chosen[:, 0] = 0
    if len(spots):
        chosen[:, 1] = rng.choice(spots, accounts)
    which = chosen.ravel()
    price = np.where(terms.form == SPOT, MARKET.price, MARKET.index_usd[terms.underlying]) * terms.unit
    lot_usd = np.where(terms.form == INVERSE, terms.unit, price)[which]
    lots = np.rint(rng.exponential(10_000.0, len(which)) / lot_usd).astype(np.int64)
    lots *= np.where(terms.form[which] == SPOT, 1, rng.choice([-1, 1], len(which)))
    contract = (terms.form[which] == LINEAR) | (terms.form[which] == INVERSE)
    cost = np.where(contract, -np.rint(lots * gain_lots(MARKET)[which] * rng.normal(1, 0.02, len(which))), 0)
    owner = np.repeat(np.arange(accounts), POSITIONS)
    return Book.from_rows(UNIVERSE, names(accounts), owner, which, lots, cost.astype(np.int64))


def lending_book(name: str, prepared: Any, accounts: int) -> Book:
    """Collaterals of one market and a debt of about what they bear."""
    rng = np.random.default_rng(1)
    fixed, lot_usd = prepared.shared.fixed, UNIVERSE.terms.unit * MARKET.price
    columns: list[tuple[I64, I64, I64]] = []
    markets = [m for m in range(len(fixed.terms)) if m in fixed.lender.values()]
    for m, owners in zip(markets, np.array_split(np.arange(accounts), len(markets)), strict=True):
        loans = np.array([i for i, lender in fixed.lender.items() if lender == m])
        pledged = np.setdiff1d(list(fixed.terms[m]), loans[:1])[: 1 if prepared.rule.isolated else POSITIONS - 1]
        usd = rng.exponential(10_000.0, (len(owners), len(pledged)))
        owed = 0.7 * usd.sum(axis=1) * rng.uniform(0.5, 1.3, len(owners)) / lot_usd[loans[0]]
        lots = np.hstack([np.rint(usd / lot_usd[pledged]), -np.rint(owed)[:, None]]).astype(np.int64)
        which = np.tile(np.append(pledged, loans[0]), len(owners))
        columns.append((np.repeat(owners, lots.shape[1]), which, lots.ravel()))
    owner, which, lots = (np.concatenate(column) for column in zip(*columns, strict=True))
    return Book.from_rows(UNIVERSE, names(accounts), owner, which, lots)


def names(accounts: int) -> list[str]:
    return [f"a{i}" for i in range(accounts)]


BOOKS: dict[str, Callable[[str, Any, int], Book]] = dict.fromkeys(
    ("aave-v3", "aave-v4", "compound-v3", "morpho-blue", "euler-v2", "maker", "liquity-v1", "liquity-v2", "crvusd",
     "silo-v2", "gearbox-v3"), lending_book,
)  # fmt: skip
"""How to make a book of a rule; `venue_book` where nothing else is said."""


def measure(name: str, accounts: int, rounds: int) -> dict[str, Any]:
    """Seconds of one call for the whole book, and how much faster than the loop that is per account."""
    prepared: Prepared = rule(name).prepare(UNIVERSE, MARKET, read_policy(name))
    book = BOOKS.get(name, venue_book)(name, prepared, accounts)
    looped = range(0, accounts, accounts // LOOPED)

    def loop() -> None:
        for account in looped:
            prepared.exact(book, account)

    timings = paired({"loop": loop, "book": lambda: prepared.assess(book)}, rounds=rounds)
    loop_s, book_s = (timing.median_ms / 1e3 for timing in timings)
    most = (SECONDS_MOST_GRID if name in GRIDS else SECONDS_MOST) * accounts / ACCOUNTS
    return {
        "rule": name,
        "positions": round(book.positions / accounts, 1),
        "seconds": book_s,
        "seconds_most": most,
        "loop_us": 1e6 * loop_s / len(looped),
        "ratio": accounts / len(looped) / timings[1].ratio,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10,000 accounts")
    parser.add_argument("--rules", help="names, with commas (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=3, help="how often each form runs (default 3)")
    given = parser.parse_args()
    accounts = ACCOUNTS // 10 if given.quick else ACCOUNTS
    rows = [measure(name, accounts, given.rounds) for name in (given.rules.split(",") if given.rules else BUILT_IN)]
    if given.json:
        print(json.dumps({"machine": machine(), "accounts": accounts, "rules": rows}))
    else:
        print(f"{accounts:,} accounts   {', '.join(f'{key} {value}' for key, value in machine().items())}")
        print(f"{'rule':<16}{'positions':>10}{'seconds':>9}{'most':>7}{'loop us':>9}{'ratio':>8}")
        for row in rows:
            short = "" if row["ratio"] >= RATIO_GOAL else f"  below {RATIO_GOAL:.0f}"
            print(f"{row['rule']:<16}{row['positions']:>10}{row['seconds']:>9.3f}{row['seconds_most']:>7.1f}"
                  f"{row['loop_us']:>9.0f}{row['ratio']:>8.0f}{short}")  # fmt: skip
    slow = [row["rule"] for row in rows if row["seconds"] > row["seconds_most"]]
    if slow:
        sys.exit(f"slower than claimed: {', '.join(slow)}")


if __name__ == "__main__":
    main()
