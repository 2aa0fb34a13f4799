"""One decision: which jobs to do in the next block, how large, and how each is sold."""

import math
from collections.abc import Collection, Mapping, Sequence

import msgspec
import numpy as np

from solvent.chain.keeper.amm import FEE_LEFT, FEE_ONE, Reserves
from solvent.chain.keeper.fill import fill
from solvent.chain.keeper.kernel_price import best_rows, price_rows
from solvent.chain.keeper.venue import F64, I64, Asset, Job, Opportunities, Venue

ROUNDS_MOST = 3
"""How often the room that is left is filled again."""


class Prices(msgspec.Struct, frozen=True):
    """What a decision is made at."""

    gas_price: float
    """Base currency of one unit of gas."""
    profit_least: float
    """Behind gas, base currency."""
    keep_collateral: bool
    """Whether collateral that no pair buys may be kept."""


class Choice(msgspec.Struct, frozen=True):
    """Rows of opportunities to do in one block, dearest first."""

    rows: I64
    repay: F64
    """Value to repay, by row of opportunities."""
    profit: F64
    """Behind gas, by row of opportunities."""
    profitable: int
    """Accounts that could be liquidated with a profit."""


def choose(
    found: Opportunities,
    assets: Sequence[Asset],
    exits: Mapping[tuple[str, str], Reserves],
    funds: Mapping[str, int],
    prices: Prices,
    gas_limit: int,
    busy: Collection[str] = (),
) -> Choice:
    """The best way to liquidate each account, and of these the set that is worth most within the gas limit.

    Parameters
    ----------
    exits, funds : mapping
        Pairs by (collateral, debt), and atoms to pay with, by address of the asset.
    gas_limit : int
        Room in the block.
    busy : collection
        Accounts with a job under way.
    """
    sold, bought = depths(assets, exits)
    repay, profit = np.zeros(len(found)), np.full(len(found), -np.inf)
    price_rows(
        found.repay_most, found.received, found.collateral, found.debt, found.gas, sold, bought,
        FEE_LEFT / FEE_ONE, np.array([each.value(funds.get(each.address, 0)) for each in assets]),
        prices.gas_price, prices.keep_collateral, repay, profit,
    )  # fmt: skip
    if busy:
        is_busy = np.array([each in busy for each in found.accounts], np.bool_)
        profit[is_busy[found.account]] = -np.inf
    best = best_rows(found.account, profit - prices.profit_least, len(found.accounts))
    rows = best[best >= 0]
    # One that cannot be sold at a profit later, or loses its bonus, goes first.
    urgency = np.clip((1.0 - found.health[rows]) / np.maximum(1.0 - found.last_health[rows], 1e-9), 0.0, 1.0)
    chosen = rows[fill(profit[rows], found.gas[rows], urgency, gas_limit)]
    return Choice(chosen[np.argsort(-profit[chosen], kind="stable")], repay, profit, len(rows))


def depths(assets: Sequence[Asset], exits: Mapping[tuple[str, str], Reserves]) -> tuple[F64, F64]:
    """Both sides of each pair as values, shape (assets, assets) by [collateral, debt]; 0 where there is no pair."""
    sold, bought = np.zeros((len(assets), len(assets))), np.zeros((len(assets), len(assets)))
    index = {each.address: i for i, each in enumerate(assets)}
    for (collateral, debt), pair in exits.items():
        if collateral in index and debt in index:
            c, d = index[collateral], index[debt]
            sold[c, d], bought[c, d] = assets[c].value(pair.sold), assets[d].value(pair.bought)
    return sold, bought


def plan(
    venue: Venue,
    found: Opportunities,
    exits: Mapping[tuple[str, str], Reserves],
    funds: Mapping[str, int],
    prices: Prices,
    gas_limit: int,
    busy: Collection[str] = (),
) -> tuple[list[Job], int]:
    """Jobs of the next block, in the order in which they are sent, and how many accounts would pay.

    A pair that many would sell on pays only the first of them: what room is left then goes to other jobs, at the
    prices that the chosen ones leave behind. Arguments as of `choose`.
    """
    pairs, left, tried = dict(exits), dict(funds), set(busy)
    jobs: list[Job] = []
    profitable = 0
    for number in range(ROUNDS_MOST):
        room = gas_limit - sum(job.gas for job in jobs)
        choice = choose(found, venue.assets(), pairs, left, prices, room, tried)
        if number == 0:
            profitable = choice.profitable
        if not len(choice.rows):
            break
        jobs += exact_jobs(venue, found, choice, pairs, left, prices)
        tried |= {found.accounts[row] for row in found.account[choice.rows].tolist()}
    return jobs, profitable


def best_size(sold: float, bought: float, rate: float) -> float:
    """Value to repay on a pair of these values: the liquidator's optimum, as in `price_rows`."""
    fee_left = FEE_LEFT / FEE_ONE
    return max((math.sqrt(sold * bought * fee_left * rate) - sold) / (fee_left * rate), 0.0)


def exact_jobs(
    venue: Venue,
    found: Opportunities,
    choice: Choice,
    pairs: dict[tuple[str, str], Reserves],
    left: dict[str, int],
    prices: Prices,
) -> list[Job]:
    """Chosen rows as exact jobs, each sized for the pair as those before leave it; what no longer pays is left out.

    With an exit a job returns more of the debt asset than it took, so the same funds serve the next one; without one
    they are gone. `pairs` and `left` are changed to what is behind the jobs.
    """
    assets, jobs = venue.assets(), []
    for row in choice.rows.tolist():
        sold, bought = assets[int(found.collateral[row])], assets[int(found.debt[row])]
        pair = pairs.get((sold.address, bought.address))
        value = min(float(choice.repay[row]), bought.value(left.get(bought.address, 0)))
        if pair is not None:
            value = min(value, best_size(sold.value(pair.sold), bought.value(pair.bought), found.received[row]))
        job = venue.job(found, row, value, pair) if value > 0 else None
        if job is None or job.repay > left.get(bought.address, 0):
            continue
        if job.gross_profit - job.gas * prices.gas_price < prices.profit_least:
            continue
        if pair is not None:
            moved = pair.after(job.received)
            pairs[sold.address, bought.address] = moved
            # The same pair seen from the other side.
            pairs[bought.address, sold.address] = Reserves(pair.address, moved.bought, moved.sold)
        else:
            left[bought.address] -= job.repay
        jobs.append(job)
    return jobs
