"""Liquidation cascades of a real book: what each price sells, how far that moves the price, and where it runs away."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvent.domain.book import Book
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.engine.verdicts import verdicts
from solvent.errors import Problem, problem, raise_if
from solvent.margin.crossings import liquidation_prices
from solvent.margin.rule import rule
from solvent.valuation.impact import IMPACT_FACTOR, impact_fraction
from solvent.valuation.shocks import shocked

if TYPE_CHECKING:
    import polars as pl

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

MOVE_MOST = 0.6
"""Falls beyond it are not looked at; rises go as far in the logarithm."""
STEP = 0.01
"""Width of a bin in logarithms of the price."""
EDGES: F64 = np.asarray(np.arange(round(-math.log(1 - MOVE_MOST) / STEP) + 1) * STEP, np.float64)
"""Of the bins."""
SHOCKS = (0.05, 0.1, 0.2, 0.3)
"""First moves, parts of the price, that are followed to their end."""
REFERENCE_SHARE = 0.01
"""Of a day's volume: the size at which the square-root law is made a straight line."""
SIGMA_DAILY = 0.05
"""Volatility of a day where nothing better is known."""
LIQUIDITY_LEFT = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02)
"""Depth that remains in a crash, as a part of the usual; 0.02 was seen on 10 October 2025."""
RUNAWAY = 1.0
"""Branching ratio from which each liquidation sets off more than itself."""


class Ladder(NamedTuple):
    """What one asset's fall (or rise) sells: bins of equal width in the logarithm of its price, n in all."""

    asset: str
    direction: str
    """`down`: forced sales as the price falls. `up`: forced purchases as it rises."""
    move: F64
    """(n,) signed return at the far edge of each bin, nearest first."""
    liquidated_usd: F64
    """(n,) USD of the asset closed by accounts whose liquidation price lies in the bin."""
    accounts: I64
    """(n,) of them."""

    @property
    def density_usd(self) -> F64:
        """(n,) q(P): USD closed per unit return."""
        return self.liquidated_usd / STEP


def branching(kappa: float, density_usd: float) -> float:
    """R = kappa q: what one unit of return sets off in further return.

    kappa: return per USD sold. density_usd: q, USD closed per unit return.
    """
    return kappa * density_usd


def amplification(ratio: float) -> float:
    """Total move over the first one, 1 / (1 - R); infinite from R = 1: the runaway zone."""
    return 1 / (1 - ratio) if ratio < RUNAWAY else math.inf


def kappa_of_volume(volume_usd_daily: float, sigma_daily: float = SIGMA_DAILY, factor: float = IMPACT_FACTOR) -> float:
    """Return per USD sold: the square-root law's at `REFERENCE_SHARE` of a day's volume, taken as a straight line.

    A line is what the branching ratio needs; the law's own slope is steeper for less and flatter for more.
    """
    size = REFERENCE_SHARE * volume_usd_daily
    return float(impact_fraction(size, volume_usd_daily, sigma_daily, factor, most=math.inf)) / size


def market_kappas(market: Market, assets: Sequence[str], volume_default_usd: float) -> dict[str, float]:
    """`kappa_of_volume` of all that is traded of each asset; `volume_default_usd` where a market does not say."""
    terms, universe = market.universe.terms, market.universe
    found = {}
    for asset in assets:
        of_asset = terms.underlying == universe.asset_index[asset]
        volume = float(np.nansum(market.volume_usd_daily[of_asset]))
        found[asset] = kappa_of_volume(volume if volume > 0 else volume_default_usd)
    return found


def options_problems(closed_share: float, kappa: float | None, volume_usd_daily: float) -> list[Problem]:
    """What is wrong with the figures that a person may state, all at once."""
    rows = (
        ("closed_share", closed_share, 0 < closed_share <= 1, "above 0, at most 1"),
        ("kappa", kappa, kappa is None or 0 <= kappa < math.inf, "a return per USD of 0 or more"),
        ("volume", volume_usd_daily, 0 < volume_usd_daily < math.inf, "USD a day above 0"),
    )
    return [problem("cascade", None, name, value, accepted) for name, value, ok, accepted in rows if not ok]


def ladders(book: Book, market: Market, policy: Policy, asset: str, closed_share: float = 1.0) -> list[Ladder]:
    """What falls and rises of one asset liquidate.

    An account counts in the bin of its first liquidation price on each side, all its other positions unmoved, with
    what its equity loses there per unit of return: its exposure by its own rule's figures, options included. Those
    that are liquidatable now stand in the first bin of the side that hurts them.

    Parameters
    ----------
    book, market, policy
        As for `assess`; accounts that the rule refuses are left out.
    asset : str
        Whose price moves.
    closed_share : float
        Part of the exposure that is closed; 1, all of it, bounds every rule from above.

    Returns
    -------
    list of Ladder
        Down, then up.

    Raises
    ------
    SolventError
        As `liquidation_prices` does; for a share outside (0, 1].
    """
    raise_if(options_problems(closed_share, None, 1.0))
    answer = verdicts(book, market, policy)
    margined = np.array([i for i in range(len(book)) if i not in answer.refusals], dtype=np.int64)
    crossings = liquidation_prices(policy, book, market, asset, accounts=margined, exact=False)
    place = {book.names[i]: k for k, i in enumerate(margined.tolist())}
    found = []
    for side, direction in ((-1, "down"), (1, "up")):
        first = np.where(answer.statement.liquidatable[margined], 0.0, np.inf)
        for row in crossings.filter(crossings["direction"] == direction).iter_rows(named=True):
            away = side * math.log(row["factor"])
            if away >= 0:
                k = place[row["account"]]
                first[k] = min(first[k], away)
        sold, accounts = _sold(book, market, policy, asset, side, margined, first)
        found.append(Ladder(asset, direction, np.exp(side * EDGES[1:]) - 1, closed_share * sold, accounts))
    return found


def _sold(
    book: Book, market: Market, policy: Policy, asset: str, side: int, accounts: I64, first: F64
) -> tuple[F64, I64]:
    """(n,) exposure and number of accounts that are first liquidated in each bin.

    side: -1 down, 1 up. first: (A,) how far in logarithms each account's liquidation price lies on that side.
    """
    bins = np.searchsorted(EDGES, first, side="right") - 1
    size = len(EDGES) - 1
    sold, count = np.zeros(size), np.zeros(size, np.int64)
    for k in np.unique(bins[bins < size]).tolist():
        edges = (side * float(EDGES[k]), side * float(EDGES[k + 1]))
        gain = side * _exposure(book, market, policy, asset, accounts[bins == k], *edges)
        hurt = gain < 0  # a fall forces sales of those who are long, a rise purchases of the short
        sold[k], count[k] = -gain[hurt].sum(), int(hurt.sum())
    return sold, count


def _exposure(book: Book, market: Market, policy: Policy, asset: str, accounts: I64, start: float, end: float) -> F64:
    """(A,) what equity gains per unit of return between two logarithms of the price factor, USD."""
    chosen = rule(policy.rule)
    equity = []
    for log_factor in (start, end):
        moved = shocked(market, {asset: math.exp(log_factor)}) if log_factor else market
        equity.append(chosen.prepare(moved.universe, moved, policy).assess(book, accounts).equity)
    return np.asarray((equity[1] - equity[0]) / (end - start))


class Total(NamedTuple):
    """Where a shock ends once what it liquidates has moved the price too."""

    shock: float
    """First move, as a positive part of the price."""
    total: float
    """With all that follows; infinite where it leaves the ladder."""
    liquidated_usd: float

    @property
    def amplification(self) -> float:
        """Total over shock."""
        return self.total / self.shock


def total_move(ladder: Ladder, kappa: float, shock: float) -> Total:
    """The least fixed point of x = s + kappa x (USD liquidated up to x), reached from the shock outward.

    shock: a positive logarithmic return in the ladder's direction. Beyond the first-order 1 / (1 - R) it sees that
    liquidations lie at some prices and not at others; within a bin they lie evenly.
    """
    edges = np.arange(len(ladder.move) + 1) * STEP
    sold = np.concatenate([[0.0], np.cumsum(ladder.liquidated_usd)])
    total = shock
    while total < edges[-1]:
        further = shock + kappa * float(np.interp(total, edges, sold))
        if further - total <= 1e-12:
            return Total(shock, total, float(np.interp(total, edges, sold)))
        total = max(further, total)
    return Total(shock, math.inf, float(sold[-1]))


def distance(ladder: Ladder, kappa: float) -> float:
    """The least move, as a positive part of the price, at which R reaches 1; NaN where it never does."""
    over = np.flatnonzero(kappa * ladder.density_usd >= RUNAWAY)
    return float(abs(ladder.move[over[0]])) if len(over) else math.nan


def cascade_frame(found: Sequence[Ladder], kappas: dict[str, float]) -> "pl.DataFrame":
    """q(P) and R(P): a row a bin of each ladder.

    Columns `asset, direction, move` (signed return), `accounts, liquidated_usd, density_usd, branching,
    amplification` (infinite in the runaway zone).
    """
    import polars as pl

    frames = []
    for each in found:
        ratio = kappas[each.asset] * each.density_usd
        columns = {
            "move": each.move,
            "accounts": each.accounts,
            "liquidated_usd": each.liquidated_usd,
            "density_usd": each.density_usd,
            "branching": ratio,
            "amplification": [amplification(x) for x in ratio.tolist()],
        }
        named = pl.DataFrame(columns).with_columns(asset=pl.lit(each.asset), direction=pl.lit(each.direction))
        frames.append(named.select("asset", "direction", *columns))
    return pl.concat(frames)


def totals_frame(found: Sequence[Ladder], kappas: dict[str, float]) -> "pl.DataFrame":
    """Where first moves end: a row a ladder and shock.

    Columns `asset, direction, shock, total` (signed returns, total null where it runs away), `amplification` of the
    logarithms (null likewise), `liquidated_usd`, `distance`: the least signed move at which R reaches 1, null where
    it never does, `branching_most`.
    """
    import polars as pl

    rows = []
    for each in found:
        side = -1 if each.direction == "down" else 1
        nearest = distance(each, kappas[each.asset])
        most = kappas[each.asset] * float(each.density_usd.max(initial=0.0))
        for shock in SHOCKS:
            end = total_move(each, kappas[each.asset], abs(math.log(1 + side * shock)))
            runs = math.isinf(end.total)
            total = None if runs else math.exp(side * end.total) - 1
            gain = None if runs else end.amplification
            away = None if math.isnan(nearest) else side * nearest
            rows.append((each.asset, each.direction, side * shock, total, gain, end.liquidated_usd, away, most))
    columns = ["asset", "direction", "shock", "total", "amplification", "liquidated_usd", "distance", "branching_most"]
    kinds = [pl.String, pl.String, *[pl.Float64] * 6]
    return pl.DataFrame(rows, dict(zip(columns, kinds, strict=True)), orient="row")


def heat_frame(found: Sequence[Ladder], kappas: dict[str, float]) -> "pl.DataFrame":
    """R over moves and liquidity left: columns `asset, direction, liquidity, move, branching`.

    With a part of the depth gone the same sale moves the price by 1 / liquidity times as much.
    """
    import polars as pl

    rows = [
        (each.asset, each.direction, left, move, kappas[each.asset] * density / left)
        for each in found
        for left in LIQUIDITY_LEFT
        for move, density in zip(each.move.tolist(), each.density_usd.tolist(), strict=True)
    ]
    return pl.DataFrame(rows, ["asset", "direction", "liquidity", "move", "branching"], orient="row")
