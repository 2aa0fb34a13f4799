"""The margin view of a state: the book mirrored in rows, the market of its quotes, the policy's rule at both."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from solvent.domain.book import Book, Order
from solvent.domain.commands import Quote
from solvent.domain.instruments import STABLECOINS, Spot
from solvent.domain.market import OK, Market
from solvent.domain.policy import Policy
from solvent.domain.universe import INVERSE, LINEAR, OPTION, Universe
from solvent.engine.params import EngineParams, Limit
from solvent.errors import SolventError, problem
from solvent.ledger.records import STAGES
from solvent.ledger.state import State
from solvent.margin.rule import Prepared, Rule, rule
from solvent.margin.statement import ExactStatement, Statement
from solvent.valuation import black76

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
VALUE = 10**42
"""Money inside decisions: integers of 1e-42 USD."""
MICRO_VALUE = VALUE // 10**6
_NOTHING: dict[int, Any] = {}
Kept = TypeVar("Kept")
_STAGE_CODE = {stage: code for code, stage in enumerate(STAGES)}


class Row(NamedTuple):
    """One account's row of the book: instruments, lots, quote legs in settlement lots."""

    instruments: list[int]
    lots: list[int]
    cost: list[int]


class Risk:
    """What `decide` may look at beside the ledger. It follows the state by `refresh` and never changes it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.universe = Universe()
        """The instruments up to the first that has no mark yet: what can be held and margined."""
        self._book = Book(self.universe)
        self._stale: set[int] = set()
        """Accounts whose row is read again when it is next asked for: a settlement touches all, several times."""
        self._stage: NDArray[np.int8] = np.zeros(16, np.int8)
        self.market: Market | None = None
        self.prepared: Prepared | None = None
        self.params: EngineParams | None = None
        self.taken_usd: dict[int, float] = {}
        """What the outside market has taken of each instrument since the last mark."""
        self.pending_usd: dict[int, float] = {}
        """What it will have taken more once the events being decided are applied; `refresh` counts it."""
        self.target_prepared: Prepared | None = None
        """The rule with the target, while that is another than the policy in effect: new risk satisfies both."""
        self._rule: Rule | None = None
        self._target_rule: Rule | None = None
        self._policy: Policy | None = None
        self._target: Policy | None = None
        self._universe: Universe | None = None
        self._atom_values: dict[int, int] = {}
        self._ahead: tuple[dict[int, Quote], Market, Prepared | None, Prepared | None] | None = None
        self._exposure: F64 | None = None
        self._volume: F64 | None = None
        self._exact: dict[int, ExactStatement] = {}
        self._snapshots: dict[int, Any] = {}
        self._changed: dict[int, set[int]] = {}
        state.touched.update(range(len(state.accounts)))
        self.refresh(state)

    def refresh(self, state: State) -> None:
        """Take over whatever changed in the state: universe, policy, quotes, touched accounts."""
        if state.universe is not self._universe or state.policy is not self._policy or state.target is not self._target:
            self._reload(state)
        for account in range(len(self._book), len(state.accounts)):
            self._book.open(state.accounts[account].name, state.accounts[account].owner)
        while len(self._stage) < len(state.accounts):
            self._stage = np.concatenate([self._stage, np.zeros_like(self._stage)])
        for account in state.touched:
            self._stage[account] = _STAGE_CODE[state.accounts[account].stage]
        self._stale |= state.touched
        for changed in self._changed.values():
            changed |= state.touched
        state.touched.clear()
        for instrument, usd in self.pending_usd.items():
            self.taken_usd[instrument] = self.taken_usd.get(instrument, 0.0) + usd
        self.pending_usd.clear()

    @property
    def book(self) -> Book:
        """Rows and orders of all accounts as they are."""
        for account in self._stale:
            self._reread(account)
        self._stale.clear()
        return self._book

    def snapshot(self, instrument: int, make: Callable[[], Kept]) -> Kept:
        """What `make` gives for an instrument at this mark: made once, kept until the next."""
        if instrument not in self._snapshots:
            self._snapshots[instrument] = make()
            self._changed[instrument] = set()
        kept: Kept = self._snapshots[instrument]
        return kept

    def forget(self, instrument: int) -> None:
        """Let go of an instrument's snapshot."""
        self._snapshots.pop(instrument, None)
        self._changed.pop(instrument, None)

    def changed_since(self, instrument: int) -> set[int]:
        """Accounts that changed since an instrument's snapshot was made or last asked about."""
        changed, self._changed[instrument] = self._changed[instrument], set()
        return changed

    @property
    def stage(self) -> NDArray[np.int8]:
        """(A,) Stage of every account, an index into `STAGES`."""
        return self._stage[: len(self._book)]

    def _reread(self, account: int) -> None:
        """Take over an account's row and orders; its exact statement stands where neither changed."""
        row, orders = row_of(self._state, account), orders_of(self._state, account)
        if account in self._exact and self._row_of_book(account) == (row, orders):
            return
        self._book.set_row(account, *row)
        self._exact.pop(account, None)
        if orders:
            self._book.orders[account] = orders
        else:
            self._book.orders.pop(account, None)

    def _row_of_book(self, account: int) -> tuple[Row, list[Order]]:
        row = Row(*(column.tolist() for column in self._book.row(account)))
        return row, self._book.orders.get(account, [])

    def _reload(self, state: State) -> None:
        self._universe, self._policy, self._target = state.universe, state.policy, state.target
        if state.policy is not None:
            self.params = EngineParams.of(state.policy, state.universe)
            self._rule = rule(state.policy.rule)
        self._target_rule = None if state.target is None else rule(state.target.rule)
        self.remark(state)

    def preview(self, state: State, quotes: Sequence[Quote], seen_ns: int) -> str:
        """Prepare the rule for the state's quotes with `quotes` laid over them; digest of the shared tables.

        The next `remark` takes over what was prepared. Raises SolventError where the rule cannot use them.
        """
        after = {**state.quotes, **{quote.instrument: quote for quote in quotes}}
        market = market_of(self._marked(state, after), after, seen_ns)
        prepared, target = self._prepare(state, market), self._prepare_target(state, market)
        self._ahead = after, market, prepared, target
        return "+".join(each.digest() for each in (prepared, target) if each)

    def _marked(self, state: State, quotes: Mapping[int, Quote]) -> Universe:
        """The universe up to the first instrument without a quote; the same object while that is the same."""
        size = next((i for i in range(len(state.universe)) if i not in quotes), len(state.universe))
        if size == len(state.universe):
            return state.universe
        known = state.universe.instruments[:size]
        return self.universe if self.universe.instruments == known else Universe(known)

    def remark(self, state: State) -> None:
        """Build the market of the state's quotes and prepare the rule for it."""
        self._atom_values.clear()
        self._exact.clear()
        self._snapshots.clear()
        self._changed.clear()
        self.taken_usd.clear()
        if self._ahead is not None and self._ahead[0] == state.quotes:
            _, self.market, self.prepared, self.target_prepared = self._ahead
        else:
            self.market = market_of(self._marked(state, state.quotes), state.quotes, state.marked_ns)
            self.prepared = self._prepare(state, self.market)
            self.target_prepared = self._prepare_target(state, self.market)
        self.universe = self._book.universe = self.market.universe
        self._ahead = None
        self._exposure = self._volume = None

    def _prepare(self, state: State, market: Market) -> Prepared | None:
        if state.policy is None or self._rule is None or not len(market.universe):
            return None
        return self._rule.prepare(market.universe, market, state.policy)

    def _prepare_target(self, state: State, market: Market) -> Prepared | None:
        if state.target is None or self._target_rule is None or not len(market.universe):
            return None
        return self._target_rule.prepare(market.universe, market, state.target)

    def parameters(self) -> EngineParams:
        """What the engine reads from the policy. Raises SolventError before one is set."""
        if self.params is None:
            raise SolventError(problem("engine", None, "policy", "none", "a policy"))
        return self.params

    def exposure_usd(self) -> F64:
        """(I,) USD that one lot is exposed to: notional, for options that of their delta."""
        if self._exposure is None:
            assert self.market is not None
            self._exposure = exposure_usd(self.market)
        return self._exposure

    def volume_usd_daily(self, default: float) -> F64:
        """(I,) USD traded a day in the asset of each instrument; `default` where the market does not say."""
        if self._volume is None:
            assert self.market is not None
            underlying = self.market.universe.terms.underlying
            traded = np.bincount(underlying, np.nan_to_num(self.market.volume_usd_daily))[underlying]
            self._volume = np.where(traded > 0, traded, default)
        return self._volume

    def expect(self, taken_usd: Mapping[int, float]) -> None:
        """Count what the outside market takes once the events being decided are applied."""
        for instrument, usd in taken_usd.items():
            self.pending_usd[instrument] = self.pending_usd.get(instrument, 0.0) + usd

    def limit_of(self, state: State, instrument: int) -> Limit | None:
        """Caps of an instrument's listing."""
        return self.params.limits.get(state.universe[instrument].id) if self.params else None

    def ready(self) -> Prepared:
        """The prepared rule. Raises SolventError before every instrument has a mark and a policy is set."""
        if self.prepared is None:
            raise SolventError(problem("engine", None, "mark", "none", "a policy and a mark"))
        return self.prepared

    def statement(self, accounts: I64 | None = None) -> Statement:
        """Statement from the float kernel."""
        return self.ready().assess(self.book, accounts)

    def exact(self, account: int) -> ExactStatement:
        """The integer form of an account as it is; kept until the account or the market changes."""
        if account in self._stale:
            self._reread(account)
            self._stale.discard(account)
        found = self._exact.get(account)
        if found is None:
            found = self._exact[account] = self.ready().exact(self._book, account)
        return found

    def exact_after(self, state: State, account: int, row: Row) -> ExactStatement:
        """The integer form of an account if its row were `row`; open orders as they are."""
        return self.exact_of(state, account, row, orders_of(state, account))

    def exact_of(self, state: State, account: int, row: Row, orders: list[Order]) -> ExactStatement:
        """The integer form of an account if its row and its open orders were these."""
        return self.ready().exact(self._trial(state, account, row, orders), 0)

    def _trial(self, state: State, account: int, row: Row, orders: list[Order]) -> Book:
        """A book of one account with this row and these orders."""
        trial = Book(self.universe, (state.accounts[account].name,))
        trial.set_row(0, *row)
        if orders:
            trial.orders[0] = orders
        return trial

    def gate(self, state: State, account: int) -> ExactStatement:
        """The integer form of an account as it is for a gate on new risk: see `gate_of`."""
        if self.target_prepared is None:
            return self.exact(account)
        return self.gate_of(state, account, row_of(state, account), orders_of(state, account))

    def gate_after(self, state: State, account: int, row: Row) -> ExactStatement:
        """The same if the account's row were `row`."""
        return self.gate_of(state, account, row, orders_of(state, account))

    def gate_with_order(self, state: State, account: int, order: Order) -> ExactStatement:
        """The same if one more order were open."""
        return self.gate_of(state, account, row_of(state, account), [*orders_of(state, account), order])

    def gate_of(self, state: State, account: int, row: Row, orders: list[Order]) -> ExactStatement:
        """What a gate on new risk compares: initial margin is the larger of policy and target, where there are two."""
        exact = self.exact_of(state, account, row, orders)
        if self.target_prepared is None:
            return exact
        target = self.target_prepared.exact(self._trial(state, account, row, orders), 0)
        return exact._replace(initial_margin=max(exact.initial_margin, target.initial_margin))

    def atom_value(self, state: State, asset: int) -> int:
        """USD x VALUE of one atom at the guarded mark."""
        found = self._atom_values.get(asset)
        if found is None:
            spot = state.universe[asset]
            assert isinstance(spot, Spot)
            quote = state.quotes.get(asset)
            price = spot.tick * (quote.ticks if quote else 0)
            found = int(price.scaleb(42)) // 10**spot.decimals
            self._atom_values[asset] = found
        return found

    def usd_micro_down(self, state: State, asset: int, atoms: int) -> int:
        """Value of atoms in 1e-6 USD, rounded down."""
        return atoms * self.atom_value(state, asset) // MICRO_VALUE


def row_of(state: State, account: int) -> Row:
    """An account's ledger entries as whole lots, rounded against it."""
    lot_atoms = state.universe.lot_atoms
    balances, positions = state.balances.get(account, _NOTHING), state.positions.get(account, _NOTHING)
    assets, held = sorted(balances), sorted(positions)
    return Row(
        assets + held,
        [balances[a] // lot_atoms[a] for a in assets] + [positions[i][0] for i in held],
        [0] * len(assets) + [positions[i][1] // lot_atoms[i] for i in held],
    )


def orders_of(state: State, account: int) -> list[Order]:
    """An account's open orders, oldest first."""
    orders = state.orders.get(account, _NOTHING)
    return [orders[id] for id in sorted(orders)]


def market_of(universe: Universe, quotes: Mapping[int, Quote], ts_ns: int) -> Market:
    """The market that some quotes describe; the guards have grown the confidence with age already."""
    size = len(universe)
    ticks, slow, status = np.zeros(size, np.int64), np.zeros(size, np.int64), np.full(size, OK, np.int64)
    confidence = np.zeros(size)
    forward, vol, volume, spread = np.full(size, np.nan), np.full(size, np.nan), np.full(size, np.nan), np.zeros(size)
    for i, quote in quotes.items():
        if i >= size:
            continue
        ticks[i], slow[i], status[i] = quote.ticks, quote.slow_ticks or quote.ticks, quote.state
        confidence[i], spread[i] = quote.confidence_e9 / 1e9, quote.spread_e9 / 1e9
        if quote.forward_ticks:
            forward[i] = quote.forward_ticks / 1e6
        if quote.vol_e9:
            vol[i] = quote.vol_e9 / 1e9
        if quote.volume_usd_daily >= 0:
            volume[i] = quote.volume_usd_daily
    return Market(
        universe,
        ts_ns,
        ticks,
        confidence=confidence,
        forward=forward,
        volume_usd_daily=volume,
        half_spread=spread,
        vol_annual=vol,
        slow_price=slow * universe.terms.tick,
        state=status,
    )


def exposure_usd(market: Market) -> F64:
    """(I,) USD exposure of one lot at a market: price x coins, an option's times the size of its delta, to 1e-9."""
    universe = market.universe
    terms = universe.terms
    index = market.index_usd[terms.underlying]
    paid = market.price[terms.settlement]
    found = np.where(
        terms.form == INVERSE, terms.unit, terms.unit * market.price * np.where(terms.form == LINEAR, paid, 1)
    )
    rows = np.flatnonzero(terms.form == OPTION)
    if len(rows):
        vol = np.nan_to_num(market.vol()[rows])
        delta = black76.greeks(
            market.forward_usd[rows], terms.strike[rows], market.years[rows], terms.call[rows], vol
        ).delta
        found[rows] = np.rint(np.abs(delta) * index[rows] * terms.unit[rows] * 1e9) / 1e9
    return found


def payment_asset(universe: Universe) -> int:
    """The spot instrument that liquidations are paid in: the first USD asset at the house.

    Raises SolventError where there is none.
    """
    for i, each in enumerate(universe):
        if isinstance(each, Spot) and each.asset in STABLECOINS and each.location == "house":
            return i
    raise SolventError(problem("universe", None, "instrument", "no USD asset", "a spot instrument such as USDC"))


def profit_atoms(state: State, instrument: int, lots: int, quote: int) -> int:
    """Unsettled profit v of (lots, quote leg) at the mark in settlement atoms, rounded down.

    Of an option only the quote leg: what is unpaid of a premium or of its intrinsic value.
    """
    universe = state.universe
    form = universe.terms.form[instrument]
    mark = state.quotes[instrument].ticks
    return quote + trade_quote(universe, instrument, -lots, mark) if form in (LINEAR, INVERSE) else quote


def profits(state: State, instrument: int) -> list[tuple[int, int]]:
    """(owner, unsettled profit at the mark in settlement atoms, rounded down) of every holder, by owner."""
    held = [(owner, state.positions[owner][instrument]) for owner in state.holders_of(instrument)]
    if state.universe.terms.form[instrument] == LINEAR:
        atoms = state.universe.value_atoms[instrument][0] * state.quotes[instrument].ticks
        return [(owner, quote + lots * atoms) for owner, (lots, quote) in held]
    return [(owner, profit_atoms(state, instrument, lots, quote)) for owner, (lots, quote) in held]


def trade_quote(universe: Universe, instrument: int, lots: int, price_ticks: int) -> int:
    """Quote leg of the buyer of `lots` at a price: -q M P (linear), +q M / P rounded down (inverse)."""
    numerator, denominator = universe.value_atoms[instrument]
    if universe.terms.form[instrument] == INVERSE:
        return lots * numerator // (denominator * price_ticks)
    return -lots * numerator * price_ticks


def states_of(state: State, instruments: Iterable[int]) -> int:
    """The worst price state of what the instruments depend on: their own quotes, payers and index."""
    universe = state.universe
    worst = OK
    for i in instruments:
        index = int(universe.house_spot[universe.terms.underlying[i]])
        for each in (i, int(universe.terms.settlement[i]), index):
            quote = state.quotes.get(each)
            if quote is not None and each not in state.expired:
                worst = max(worst, quote.state)
    return worst
