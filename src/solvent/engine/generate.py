"""A book to try things on: seeded accounts with stated distributions, zero-sum in every perpetual.

Collateral: 60 % hold only the USD asset, 25 % a coin, 15 % both; values are log-normal with median 5,000 USD and
σ = 1.4, at most 5 M. Side: long with probability 0.58, as crowds are. Leverage: equity over initial margin is
1.05 plus an exponential with mean 5: a twentieth stands within a third of its call. 30 % hold a second perpetual,
on either side; 6 % also owe the USD asset against a coin. The imbalance that is left is taken by market-making
accounts, one for each 500, with large collateral.
"""

from collections.abc import Iterator

import numpy as np

from solvent.domain import commands as c
from solvent.domain.instruments import Perpetual
from solvent.domain.owners import INSURANCE
from solvent.domain.universe import Universe
from solvent.engine.engine import Submission
from solvent.engine.risk import payment_asset, trade_quote
from solvent.errors import SolventError, problem

COLLATERAL_MEDIAN_USD = 5_000.0
COLLATERAL_SIGMA = 1.4
COLLATERAL_MOST_USD = 5_000_000.0
LONG_SHARE = 0.58
INITIAL_RATES = {"BTC": 0.17, "ETH": 0.17}
"""Rough initial margin per notional that positions are sized by; others 0.26."""
ACCOUNTS_A_MAKER = 500
ACCOUNTS_LEAST = 3
"""One account and two market makers."""
POOL_SHARE = 0.5
"""Cash of the lending pool over all generated USD collateral."""


def generate(
    universe: Universe, prices: dict[str, float], accounts: int, seed: int, insurance_usd: float
) -> Iterator[Submission]:
    """Commands that open, fund and position a generated book, seed the pool and the insurance fund.

    prices: USD by asset. Raises SolventError where the universe has no perpetual, or for fewer than 3 accounts.
    """
    random = np.random.default_rng([seed, 0x50_4C])
    payment = payment_asset(universe)
    perpetuals = [(i, each) for i, each in enumerate(universe) if isinstance(each, Perpetual) and not each.inverse]
    if not perpetuals:
        raise SolventError(problem("universe", None, "perpetual", "none", "at least one linear perpetual"))
    if accounts < ACCOUNTS_LEAST:
        raise SolventError(problem("book", None, "accounts", accounts, f"{ACCOUNTS_LEAST} or more"))
    coins = [i for i, each in enumerate(universe) if each.kind == 0 and i != payment and each.underlying in prices]
    makers = max(2, accounts // ACCOUNTS_A_MAKER)
    drawn = accounts - makers
    equity = np.minimum(
        COLLATERAL_MEDIAN_USD * np.exp(COLLATERAL_SIGMA * random.standard_normal(drawn)), COLLATERAL_MOST_USD
    )
    unit = universe.terms.lot_coins
    yield Submission(c.OpenAccount("lender"))
    pool = round(POOL_SHARE * equity.sum() / unit[payment])
    yield Submission(c.Deposit(0, payment, pool * _lot_atoms(universe, payment)), "engine")
    yield Submission(c.Supply(0, payment, pool * _lot_atoms(universe, payment)), "owner", "lender")
    if insurance_usd > 0:
        fund = round(insurance_usd * 10 ** universe.spot_of(payment).decimals)
        yield Submission(c.Deposit(INSURANCE, payment, fund), "engine")
    net = dict.fromkeys((i for i, _ in perpetuals), 0)
    weight = np.array([1.0 / (k + 1) for k in range(len(perpetuals))])
    for account in range(drawn):
        load = _account(
            random, universe, prices, payment, coins, perpetuals, weight / weight.sum(), float(equity[account])
        )
        for instrument, lots, _ in load.positions:
            net[instrument] += lots
        yield Submission(c.OpenAccount(f"a{account + 1:05d}"))
        yield Submission(c.Load(account + 1, *load))
    yield from _makers(universe, prices, payment, net, makers, drawn + 1)


class _Drawn(tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int, int], ...]]):
    """Balances and positions of one generated account."""

    @property
    def positions(self) -> tuple[tuple[int, int, int], ...]:
        return self[1]


def _lot_atoms(universe: Universe, asset: int) -> int:
    return universe.spot_of(asset).lot_atoms


def _atoms(universe: Universe, asset: int, usd: float, price: float) -> int:
    """Whole lots of an asset worth about `usd`, in atoms."""
    return int(usd / price / universe.terms.lot_coins[asset]) * _lot_atoms(universe, asset)


def _account(
    random: np.random.Generator,
    universe: Universe,
    prices: dict[str, float],
    payment: int,
    coins: list[int],
    perpetuals: list[tuple[int, Perpetual]],
    weight: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    equity: float,
) -> _Drawn:
    kind = random.random()
    share = 0.0 if kind < 0.60 else (1.0 if kind < 0.85 else 0.5)
    borrows = random.random() < 0.06
    balances: list[tuple[int, int]] = []
    if share and coins:
        coin = coins[int(random.integers(len(coins)))]
        usd = equity * share * (1.5 if borrows else 1.0)
        balances.append((coin, _atoms(universe, coin, usd, prices[universe[coin].underlying])))
        equity *= 0.55 if borrows else 0.75  # what is left once the coins' own margin is covered
        if borrows:
            balances.append((payment, -_atoms(universe, payment, usd / 3, 1.0)))
    if share < 1.0:
        balances.append((payment, _atoms(universe, payment, equity * (1 - share), 1.0)))
    room = equity / (1.05 + random.exponential(5.0))
    legs = 2 if random.random() < 0.3 else 1
    positions = []
    chosen = random.choice(len(perpetuals), size=min(legs, len(perpetuals)), replace=False, p=weight)
    for k in chosen:
        i, perpetual = perpetuals[int(k)]
        price = prices[perpetual.underlying]
        notional = room / legs / INITIAL_RATES.get(perpetual.underlying, 0.26)
        side = 1 if random.random() < LONG_SHARE else -1
        lots = side * int(notional / price / universe.terms.unit[i])
        if lots:
            positions.append((i, lots, trade_quote(universe, i, lots, round(price / universe.terms.tick[i]))))
    merged: dict[int, int] = {}
    for asset, atoms in balances:
        merged[asset] = merged.get(asset, 0) + atoms
    return _Drawn((tuple((a, x) for a, x in sorted(merged.items()) if x), tuple(sorted(positions))))


def _makers(
    universe: Universe, prices: dict[str, float], payment: int, net: dict[int, int], makers: int, first: int
) -> Iterator[Submission]:
    """Market makers share the imbalance of every perpetual and hold half of its notional in cash."""
    for k in range(makers):
        positions, notional = [], 0.0
        for i, total in net.items():
            lots = -(total * (k + 1) // makers - total * k // makers)
            price = prices[universe[i].underlying]
            if lots:
                positions.append((i, lots, trade_quote(universe, i, lots, round(price / universe.terms.tick[i]))))
                notional += abs(lots) * float(universe.terms.unit[i]) * price
        cash = _atoms(universe, payment, 100_000.0 + 0.5 * notional, 1.0)
        yield Submission(c.OpenAccount(f"maker{k + 1:03d}"))
        yield Submission(c.Load(first + k, ((payment, cash),), tuple(positions)))
