"""Liquidation prices: where an account's own rule starts or ceases to liquidate it as one price, or all, move.

No formula of a rule is used: accounts are margined at shocked markets, with all their positions, collaterals and
debts. A grid of factors, common to all accounts, brackets every change of verdict; a cell in which headroom could
turn on the other side of zero, as the cells beside it suggest, is cut finer. Within its bracket each change is then
found by the exact form: at one step of the price the account is liquidatable, at the next it is not. A step is the
coarsest tick among the marks that move, relative to its mark, and at most a millionth of the price: within it marks
are only rounded differently.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvent.domain.book import Book
from solvent.domain.instruments import STABLECOINS, USD
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.domain.quantities import LOT_BOUND, MICRO
from solvent.domain.universe import OPTION, SPOT
from solvent.errors import SolventError, problem
from solvent.margin.rule import Prepared, rule
from solvent.margin.rules.rows import check_accounts, net
from solvent.valuation.shocks import OTHERS, shocked

if TYPE_CHECKING:
    import polars as pl

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
BOOL = NDArray[np.bool_]

JOINT = OTHERS
"""In place of an asset: one factor on the price of every asset that is no US dollar."""
JOINT_STEPS = 10**9
"""Of a joint factor of 1."""
STEP_MOST = 1e-6
"""Of the price."""
LOWEST, HIGHEST = 0.01, 100.0
"""Factors between which crossings are looked for."""
FINE_STEP, FINE_REACH, COARSE_STEP = 0.02, 0.7, 0.08
"""Grid in logarithms of the factor: fine from half to double the price, coarser beyond."""
PARTS = 16
"""A cell is cut into this many."""
DEPTH_MOST = 5
"""How often a cell is cut in which headroom could turn."""
NOISE = 1e-6
"""Headroom below this part of an account's size is taken to move by the rounding of marks to ticks: no cell is cut for
it. Changes of verdict are found however small."""
OVERSHOOT = 4
"""Each step past a guess is so many times the last."""
OVERSHOOTS_MOST = 6
"""Steps past a guess before a bracket is halved instead."""
ACCOUNTS_AT_ONCE = 50_000


class Cells(NamedTuple):
    """Brackets, n in all: verdicts at `low` and `high` steps of the price differ."""

    account: I64
    low: I64
    high: I64
    headroom_low: F64
    """Equity less maintenance margin at `low`, USD."""
    headroom_high: F64
    liquidatable_low: BOOL


class Path:
    """Markets along which one price, or all, move in whole steps, and the rule at each of them."""

    def __init__(self, market: Market, policy: Policy, asset: str) -> None:
        """Raises SolventError for an asset that has no price, for the numeraire, for an unknown rule."""
        self.market, self.policy, self.asset = market, policy, asset
        self.rule = rule(policy.rule)
        self.now, self.tick = (JOINT_STEPS, np.nan) if asset == JOINT else _reference(market, asset)
        """Ticks of the price, and the tick in USD."""
        terms, assets = market.universe.terms, market.universe.assets
        moves = [name not in STABLECOINS if asset == JOINT else name == asset for name in assets]
        self.moves: BOOL = np.array(moves, dtype=np.bool_)
        """(U,) assets whose price moves."""
        marks = market.ticks[self.moves[terms.underlying] & (terms.form != OPTION) & (market.ticks > 0)]
        coarsest = 1 / float(marks.min(initial=self.now))
        self.step = max(1, round(min(coarsest, STEP_MOST) * self.now))
        """Ticks in a step."""
        self.zero = (self.now - 1) // self.step
        """The step of the price now; step 0 is the lowest price above 0."""

    def ticks(self, step: int) -> int:
        """Ticks of the price at a step."""
        return self.now + (step - self.zero) * self.step

    def prepared(self, step: int) -> Prepared:
        """The rule at a step."""
        ticks = self.ticks(step)
        market = self.market if ticks == self.now else shocked(self.market, {self.asset: ticks / self.now})
        return self.rule.prepare(market.universe, market, self.policy)

    def grid(self) -> I64:
        """Steps to look at first: factors from lowest to highest, the price now, strikes of options."""
        fine = np.arange(-FINE_REACH, FINE_REACH, FINE_STEP)
        low, high = (
            -np.arange(FINE_REACH, -np.log(LOWEST), COARSE_STEP),
            np.arange(FINE_REACH, np.log(HIGHEST), COARSE_STEP),
        )
        terms = self.market.universe.terms
        options = (terms.form == OPTION) & self.moves[terms.underlying]
        strikes = terms.strike[options] / self.market.forward_usd[options]
        highest = min(HIGHEST, LOT_BOUND / 2 / float(self.market.ticks.max(initial=1)))
        factors = np.concatenate([np.exp(low), np.exp(fine), np.exp(high), strikes, [LOWEST, 1.0]])
        factors = factors[(factors >= LOWEST) & (factors <= highest)]
        return np.unique(np.maximum(0, self.zero + np.rint((factors - 1) * self.now / self.step)).astype(np.int64))

    def depend(self, book: Book, accounts: I64) -> I64:
        """Those of `accounts` that hold or settle in what moves."""
        terms = self.market.universe.terms
        moving = self.moves[terms.underlying] | self.moves[terms.underlying[terms.settlement]]
        rows = net(book, accounts)
        return accounts[np.unique(rows.owner[moving[rows.instrument]])]

    def look(self, book: Book, accounts: I64, steps: I64) -> tuple[F64, BOOL, BOOL]:
        """(K, n) headroom, verdict, and whether headroom is more than noise, at each step.

        The exact form decides where the float form may not.
        """
        headroom = np.empty((len(steps), len(accounts)))
        verdict, clear = np.empty(headroom.shape, np.bool_), np.empty(headroom.shape, np.bool_)
        for k, step in enumerate(steps.tolist()):
            prepared = self.prepared(step)
            found = prepared.assess(book, accounts)
            headroom[k], verdict[k] = found.equity - found.maintenance_margin, found.liquidatable
            size = np.abs(found.equity) + np.abs(found.maintenance_margin) + found.liabilities
            clear[k] = np.abs(headroom[k]) > NOISE * size
            for n in np.flatnonzero(~found.certain).tolist():
                verdict[k, n] = prepared.exact(book, int(accounts[n])).liquidatable
        return headroom, verdict, clear

    def brackets(
        self, book: Book, accounts: I64, steps: I64, low: int, high: int, fine: bool, depth: int = 0
    ) -> Iterator[Cells]:
        """Every change of verdict from `low` to `high`, both among `steps`, which may go a little beyond them.

        fine: also cut cells that hold one change.
        """
        headroom, verdict, clear = self.look(book, accounts, steps)
        inside = (steps[:-1] >= low) & (steps[1:] <= high)
        change = (verdict[1:] != verdict[:-1]) & inside[:, None]
        turn = _could_turn(steps, headroom, verdict) & (clear[1:] | clear[:-1]) & inside[:, None]
        for k in np.flatnonzero((change | turn).any(axis=1)).tolist():
            a, b = int(steps[k]), int(steps[k + 1])
            again = depth == 0 or ~change[k]  # a cell with a change is cut once: deeper, ticks alone make it zigzag
            finer = (turn[k] | (change[k] & fine)) & again & (depth < DEPTH_MOST) & (b - a > 1)
            if finer.any():
                yield from self.brackets(book, accounts[finer], _cut(a, b), a, b, fine, depth + 1)
            n = np.flatnonzero(change[k] & ~finer)
            yield Cells(
                accounts[n], np.full(len(n), a), np.full(len(n), b), headroom[k, n], headroom[k + 1, n], verdict[k, n]
            )

    def narrow(self, book: Book, account: int, low: int, high: int, left: float, right: float, below: bool) -> int:
        """The step at which the account is liquidatable, next to one at which it is not.

        left, right: headroom at low and high. below: verdict at low. Regula falsi, which steps past its guess ever
        further while that moves the same end, so that the bracket closes from both sides.
        """
        moved_low, repeats = False, 0
        while high - low > 1:
            share = left / (left - right) if (left < 0) != (right < 0) else 0.5
            guess = low + (high - low) * share
            if repeats:
                guess += OVERSHOOT ** (repeats - 1) * (1 if moved_low else -1)
            at = (low + high) // 2 if repeats > OVERSHOOTS_MOST else min(max(round(guess), low + 1), high - 1)
            exact = self.prepared(at).exact(book, account)
            same = exact.liquidatable == below
            repeats = repeats + 1 if same == moved_low else 1
            moved_low = same
            headroom = (exact.equity - exact.maintenance_margin) / MICRO
            if same:
                low, left = at, headroom
            else:
                high, right = at, headroom
        return low if below else high


def liquidation_prices(
    policy: Policy,
    book: Book,
    market: Market,
    asset: str | None = None,
    *,
    accounts: I64 | None = None,
    exact: bool = True,
) -> "pl.DataFrame":
    """Every price, from a hundredth to a hundred times today's, at which accounts turn liquidatable or cease to be.

    Parameters
    ----------
    policy, book, market
        As for a rule's `prepare` and `assess`.
    asset : str, optional
        Whose price moves, with its perpetuals, futures and options (`solvent.valuation.shocks`); `JOINT` for a common
        factor on all assets that are no US dollar. By default every asset of the market, one after another.
    accounts : (A,) int64, optional
        All by default.
    exact : bool
        Whether each answer is found by the exact form, to one step of the price (about five preparations of the rule
        each). Otherwise it is interpolated between two markets that are about 0.1 % apart: all accounts at once.

    Returns
    -------
    polars.DataFrame
        A row a crossing: `account`; `asset`; `crossing_price` in USD, the first price at which the account is
        liquidatable (null for a joint shock); `direction`, `down` where it is below that price and `up` where it is
        above; `factor` of the price now; `safe_factor`, one step to the other side. An account that does not depend on
        the asset has none.

    Raises
    ------
    SolventError
        As the rule does; for an asset without a price.

    Notes
    -----
    Several crossings within one cell of the grid (2 % near today's price) are found where headroom beside the cell runs
    otherwise than a single crossing has it, as it does about a kink; every strike is a point of the grid. Far below
    today's price ticks are coarse: where their rounding moves headroom to and fro across zero, one crossing stands for
    all of them.
    """
    import polars as pl

    which = check_accounts(book, accounts, market.universe)
    assets = [asset] if asset is not None else [name for name in market.universe.assets if name != USD]
    rows: list[tuple[int, str, float | None, str, float, float]] = []
    for name in assets:
        path = Path(market, policy, name)
        for account, step, below in _crossings(path, book, which, exact):
            ticks, safe = path.ticks(step), path.ticks(step + 1 if below else step - 1)
            price = None if name == JOINT else ticks * path.tick
            rows.append((account, name, price, "down" if below else "up", ticks / path.now, safe / path.now))
    order = {name: place for place, name in enumerate(assets)}
    rows.sort(key=lambda row: (row[0], order[row[1]], row[4]))
    named = [(book.names[account], *rest) for account, *rest in rows]
    kinds = {"account": pl.String, "asset": pl.String, "crossing_price": pl.Float64, "direction": pl.String}
    return pl.DataFrame(named, schema={**kinds, "factor": pl.Float64, "safe_factor": pl.Float64}, orient="row")


def _crossings(path: Path, book: Book, accounts: I64, exact: bool) -> Iterator[tuple[int, int, bool]]:
    """Account, first liquidatable step, and whether it is liquidatable below."""
    mine = path.depend(book, accounts)
    steps = path.grid()
    for first in range(0, len(mine), ACCOUNTS_AT_ONCE):
        some = mine[first : first + ACCOUNTS_AT_ONCE]
        for cells in path.brackets(book, some, steps, int(steps[0]), int(steps[-1]), fine=not exact):
            for row in zip(*(column.tolist() for column in cells), strict=True):
                yield row[0], path.narrow(book, *row) if exact else _interpolated(*row[1:]), row[-1]


def _interpolated(low: int, high: int, left: float, right: float, below: bool) -> int:
    """The step on the liquidatable side of where a straight line crosses zero."""
    share = left / (left - right) if (left < 0) != (right < 0) else 0.5
    at = low + (high - low) * share
    return max(low, int(np.floor(at))) if below else min(high, int(np.ceil(at)))


def _could_turn(steps: I64, headroom: F64, verdict: BOOL) -> BOOL:
    """(K - 1, n) cells in which headroom could turn on the other side of zero, judged by the slopes beside them.

    With one verdict at both ends: where the lines of the cells beside meet beyond zero (a convex headroom lies
    above both, so that where they meet before zero no change can be inside; likewise a concave one of a
    liquidatable account). With a change: where headroom beside the cell runs the other way than across it.
    """
    found = np.zeros((max(0, len(steps) - 1), headroom.shape[1]), np.bool_)
    if len(steps) < 4:
        return found
    width = np.diff(steps).astype(float)[:, None]
    slope = np.diff(headroom, axis=0) / width
    before, after = slope[:-2], slope[2:]
    left, right, cell = headroom[1:-2], headroom[2:-1], width[1:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        at = (right - left - after * cell) / (before - after)
        meets = left + before * at
    within = (at > 0) & (at < cell)
    safe = ~verdict[1:-2] & ~verdict[2:-1] & (before < 0) & (after > 0) & (meets <= 0)
    short = verdict[1:-2] & verdict[2:-1] & (before > 0) & (after < 0) & (meets >= 0)
    change = verdict[1:-2] != verdict[2:-1]
    turns = (before * slope[1:-1] < 0) | (after * slope[1:-1] < 0)
    found[1:-1] = (within & (safe | short)) | (change & turns)
    return found


def _cut(low: int, high: int) -> I64:
    """Steps that cut a cell into parts, with one more on either side."""
    inner = np.linspace(low, high, min(PARTS, high - low) + 1)
    part = max(1.0, (high - low) / PARTS)
    steps = np.rint(np.concatenate([[low - part], inner, [high + part]])).astype(np.int64)
    return np.unique(steps[steps >= 0])


def _reference(market: Market, asset: str) -> tuple[int, float]:
    """Ticks and tick of the mark that gives an asset's index: its house spot, else its first priced contract."""
    universe, terms = market.universe, market.universe.terms
    position = universe.asset_index.get(asset)
    if position is None or asset == USD:
        known = ", ".join(name for name in universe.assets[:12] if name != USD)
        raise SolventError(problem("liquidation_prices", None, "asset", asset, f"one of {known}; or {JOINT}"))
    contracts = np.flatnonzero((terms.underlying == position) & (terms.form != SPOT) & (terms.form != OPTION))
    for i in (int(universe.house_spot[position]), *contracts.tolist()):
        if i >= 0 and market.ticks[i] > 0:
            return int(market.ticks[i]), float(terms.tick[i])
    raise SolventError(problem("market", None, f"{asset}.price", "missing", "a price of its spot or of a contract"))
