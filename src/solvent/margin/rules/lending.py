"""What the lending rules share: markets that weigh collateral against debt, for a whole book and for one account.

A book's positive balances are collateral, its negative ones debt; an asset both supplied and borrowed is netted,
as in the book. Interest stands in the balances. Equity = held - owed, at the oracle's prices, without haircuts.
MM = held - sum(collateral x liquidation weight), so that equity >= MM exactly where the protocol's own test holds:
headroom = equity - MM = weighted collateral - debt. IM is the same at the weights up to which one can borrow.
A balance that no market takes as collateral counts in equity and, whole, in both margins.

The float form screens a book; the exact form computes the headroom in the protocol's own integers and rounds it to
1e-6 USD without changing its sign.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.book import Book
from solvent.domain.instruments import Spot
from solvent.domain.market import Market
from solvent.domain.policy import Policy, parameters
from solvent.domain.quantities import MICRO, div_up, fraction_down, fraction_up
from solvent.domain.universe import Universe
from solvent.errors import Problem, SolventError, problem, raise_if
from solvent.margin.admissibility import admissibility_problems, toxic_ltv
from solvent.margin.rules import kernel_lending
from solvent.margin.rules.kernel_lending import Tables, Totals
from solvent.margin.rules.rows import Marginable, check_accounts, net, refuse_unmarginable, row_of
from solvent.margin.rules.venue import decimal
from solvent.margin.statement import ExactStatement, Explanation, Statement, Term, ratio
from solvent.pools.fixed_point import WAD

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

VALUE = 10**42
"""Money of one atom: integers of 1e-42 USD."""
MICRO_VALUE = VALUE // MICRO
NOT_COUNTED = "collateral not counted:"
FOREVER_S = 2**40
"""A time after every ramp."""


class LendingParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the parameters of every lending rule have."""

    toxic_allowed: bool = False
    """Take thresholds at which a liquidation cannot lower LTV, as the protocol's own configuration may."""


class Terms(NamedTuple):
    """What one collateral counts for under one loan, as fractions of its value."""

    maintenance: Fraction
    """Up to liquidation."""
    initial: Fraction
    """Up to where more can be borrowed."""
    bonus: Fraction = Fraction(0)
    """What a liquidation takes beyond the debt that it repays, as a fraction of that."""
    cap_usd: Fraction | None = None
    """Most that it counts, weighted."""


class LoanMarket(NamedTuple):
    """Assets that can be owed together, and what backs them."""

    loans: tuple[str, ...]
    collaterals: Mapping[str, Terms]


class Position(NamedTuple):
    """One account as a position of the protocol: (instrument, atoms above 0) each."""

    market: int
    """-1 while nothing is owed."""
    pledged: list[tuple[int, int]]
    idle: list[tuple[int, int]]
    owed: list[tuple[int, int]]


class Weighed(NamedTuple):
    """Both sides of the protocol's test in its own integers: healthy where collateral is not below debt."""

    scale: Fraction
    """USD of one unit."""
    collateral: list[tuple[int, int]]
    """(instrument, weighted value)."""
    debt: list[tuple[int, int]]

    @property
    def headroom(self) -> int:
        """Collateral less debt."""
        return sum(x for _, x in self.collateral) - sum(x for _, x in self.debt)


class Unit(NamedTuple):
    """Terms of a spot instrument as integers."""

    tick: Fraction
    lot_atoms: int
    coin: int
    """Atoms of a coin."""

    @classmethod
    def of(cls, spot: Spot) -> "Unit":
        """Of an instrument."""
        return cls(Fraction(spot.tick), spot.lot_atoms, 10**spot.decimals)


class Fixed(NamedTuple):
    """What universe and policy fix for every market."""

    universe: Universe
    params: Any
    markets: tuple[LoanMarket, ...]
    """Those of which the universe lists an asset."""
    lender: dict[int, int]
    alone: dict[int, int]
    weights: tuple[dict[int, tuple[int, int]], ...]
    """By market and instrument the maintenance and initial weight in the protocol's integers."""
    terms: tuple[dict[int, Terms], ...]
    spots: dict[int, Unit]
    lot_atoms: dict[int, int]
    coin: dict[int, int]
    marginable: Marginable
    tables: Tables
    """Weights; values of lots are of a market."""


class Shared(NamedTuple):
    """`Fixed` at one market's prices."""

    fixed: Fixed
    lot_atoms: dict[int, int]
    coin: dict[int, int]
    """Atoms of a coin."""
    price: dict[int, Fraction]
    """USD mark of a coin."""
    oracle_down: dict[int, int]
    """USD of a coin in the protocol's oracle decimals, or x VALUE where it has none of its own."""
    oracle_up: dict[int, int]
    down: dict[int, int]
    """USD x VALUE of an atom held."""
    up: dict[int, int]
    """USD x VALUE of an atom owed."""
    tables: Tables


class LendingRule:
    """A protocol's rule. Subclasses say what its markets are and compute both sides in its integers."""

    name: ClassVar[str]
    Params: ClassVar[type[msgspec.Struct]]
    needs: ClassVar[frozenset[str]] = frozenset({"price"})
    margins: ClassVar[frozenset[str]] = frozenset({"cash", "spot", "debt"})
    homogeneous: ClassVar[bool] = True
    """Whether a multiple of a healthy account is healthy."""
    strict: ClassVar[bool] = True
    isolated: ClassVar[bool] = False
    """One collateral a position."""
    ramps: ClassVar[bool] = False
    """Weights move with time."""
    pegged: ClassVar[bool] = False
    """What is owed counts at its target of one USD."""
    oracle_decimals: ClassVar[int | None] = None
    """Of the protocol's USD prices: what is held is rounded down to them, what is owed up."""
    weight_one: ClassVar[int]
    """Scale of the protocol's weights."""
    weight_names: ClassVar[tuple[str, str]]
    """The protocol's names of the maintenance and the initial weight."""
    ratio_name: ClassVar[str] = "health factor"

    def __init__(self) -> None:
        self._fixed: tuple[Universe, Policy, int, Fixed] | None = None

    # What a protocol says

    def markets(self, params: Any, now_s: int) -> list[LoanMarket]:
        """All markets at a time."""
        raise NotImplementedError

    def weighed(self, shared: Shared, position: Position, initial: bool) -> Weighed:
        """Both sides of the test that something is owed in, bit for bit as the protocol computes them."""
        raise NotImplementedError

    def check_own(self, params: Any) -> list[Problem]:
        """What is unsafe beside weights and bonuses."""
        return []

    def weight(self, fraction: Fraction) -> Fraction:
        """A weight in units of `weight_one`; whole where the protocol can hold it."""
        return fraction * self.weight_one

    def grain_usd(self, shared: Shared, market: int) -> float:
        """Most that the protocol's rounding of one row of that market moves, in USD."""
        return 0.0

    def reweighed(self, shared: Shared, sums: Totals) -> Totals:
        """The totals where weights are not all there is."""
        return sums

    def venue_ratio(self, sums: Totals) -> F64:
        """The protocol's own figure, named `ratio_name`."""
        return ratio(sums.maintenance, sums.owed)

    # What follows

    def toxic_ltv(self, params: Any, now_s: int = FOREVER_S) -> dict[str, float]:
        """By collateral (`collateral/loan` where it depends on the loan) the LTV above which liquidation fails.

        Above 1 / (1 + bonus) every liquidation raises LTV.
        """
        markets = self.markets(params, now_s)
        return {
            id if len(markets) == 1 else f"{id}/{','.join(market.loans)}": float(self.toxic(terms))
            for market in markets
            for id, terms in market.collaterals.items()
        }

    def trigger_bonus(self, terms: Terms) -> Fraction:
        """Bonus of a liquidation at the moment that an account becomes liquidatable."""
        return terms.bonus

    def toxic(self, terms: Terms) -> Fraction | float:
        """LTV above which a liquidation at these terms raises LTV."""
        return toxic_ltv(terms.bonus)

    def check(self, params: Any, universe: Universe, where: str = "policy margin") -> list[Problem]:
        """Unsafe parameters: weights that are none, or that liquidations at their bonus cannot keep."""
        found = _check_finite(params, where)
        if found:
            return found
        found = self.check_own(params)
        if found:
            return found
        for now_s in (0, FOREVER_S) if self.ramps else (FOREVER_S,):
            markets = self.markets(params, now_s)
            found += _check_loans(markets, where)
            for market in markets:
                for id, terms in market.collaterals.items():
                    found += self._check_terms(f"{id} for {', '.join(market.loans)}", terms, where)
                rows = [(id, t.maintenance, self.trigger_bonus(t)) for id, t in market.collaterals.items()]
                found += admissibility_problems(rows, where, params.toxic_allowed)
        return list(dict.fromkeys(found))

    def _check_terms(self, what: str, terms: Terms, where: str) -> list[Problem]:
        low, high = self.weight_names[1], self.weight_names[0]
        found = []
        if not 0 <= terms.initial <= terms.maintenance <= 1:
            accepted = f"0 <= {low} <= {high} <= 1"
            found.append(problem(where, None, what, f"{float(terms.initial)}, {float(terms.maintenance)}", accepted))
        elif any(self.weight(x).denominator != 1 for x in terms[:2] if x):
            found.append(
                problem(where, None, what, f"{float(terms.maintenance)}", f"a multiple of 1/{self.weight_one}")
            )
        if terms.bonus < 0:
            found.append(problem(where, None, f"{what} bonus", float(terms.bonus), "at least 0"))
        return found

    def fixed(self, universe: Universe, policy: Policy, now_s: int) -> Fixed:
        """What depends on universe and policy alone; kept while both stay the same objects."""
        now_s = now_s if self.ramps else FOREVER_S
        kept = self._fixed
        if kept is None or kept[0] is not universe or kept[1] is not policy or kept[2] != now_s:
            where = f"policy {policy.name} margin"
            params, found = parameters(self.Params, policy.margin, where, frozenset({"rule"}))
            raise_if(found if params is None else self.check(params, universe, where))
            kept = self._fixed = universe, policy, now_s, self._lay_out(universe, params, now_s)
        return kept[3]

    def _lay_out(self, universe: Universe, params: Any, now_s: int) -> Fixed:
        """Markets by index of the universe."""
        listed = {each.id: i for i, each in enumerate(universe) if isinstance(each, Spot)}
        markets = tuple(m for m in self.markets(params, now_s) if any(id in listed for id in m.loans))
        terms = tuple({listed[id]: t for id, t in m.collaterals.items() if id in listed} for m in markets)
        shape = (len(universe), max(1, len(markets)))
        maintenance, initial, cap = np.zeros(shape), np.zeros(shape), np.full(shape, np.inf)
        lender = {listed[id]: m for m, market in enumerate(markets) for id in market.loans if id in listed}
        alone: dict[int, int] = {}
        for m, rows in enumerate(terms):
            for i, t in rows.items():
                maintenance[i, m], initial[i, m] = float(t.maintenance), float(t.initial)
                cap[i, m] = np.inf if t.cap_usd is None else float(t.cap_usd)
                alone.setdefault(i, m)
        tables = Tables(
            collateral_usd=np.zeros(shape[0]),
            debt_usd=np.zeros(shape[0]),
            lender=np.array([lender.get(i, -1) for i in range(shape[0])], np.int64),
            alone=np.array([alone.get(i, -1) for i in range(shape[0])], np.int64),
            maintenance=maintenance,
            initial=initial,
            cap_usd=cap,
            grain_usd=np.zeros(shape[1]),
            isolated=self.isolated,
        )
        weights = tuple(
            {i: (int(self.weight(t.maintenance)), int(self.weight(t.initial))) for i, t in rows.items()}
            for rows in terms
        )
        spots = {i: Unit.of(each) for i, each in enumerate(universe) if isinstance(each, Spot)}
        lot_atoms, coin = {i: x.lot_atoms for i, x in spots.items()}, {i: x.coin for i, x in spots.items()}
        marginable = Marginable.of(self.name, self.margins, universe, {})
        return Fixed(
            universe, params, markets, lender, alone, weights, terms, spots, lot_atoms, coin, marginable, tables
        )

    def prepare(self, universe: Universe, market: Market, policy: Policy) -> "PreparedLending":
        """Weights and prices in the protocol's integers. Raises SolventError for an unusable policy or market."""
        now_s = market.ts_ns // 10**9
        fixed = self.fixed(universe, policy, now_s)
        found = [
            problem("market", None, f"{universe[i].id}.price", int(market.ticks[i]), "a price above 0")
            for i in fixed.spots
            if market.ticks[i] <= 0
        ]
        raise_if(found)
        return PreparedLending(self, self._at_prices(fixed, market))

    def _at_prices(self, fixed: Fixed, market: Market) -> Shared:
        price, oracle_down, oracle_up, down, up = {}, {}, {}, {}, {}
        held, owed = np.zeros(len(fixed.universe)), np.zeros(len(fixed.universe))
        ticks = market.ticks.tolist()
        one = VALUE if self.oracle_decimals is None else 10**self.oracle_decimals
        for i, each in fixed.spots.items():
            usd = ticks[i] * each.tick.numerator
            price[i] = Fraction(usd, each.tick.denominator)
            low = usd * one // each.tick.denominator
            high = one if self.pegged and i in fixed.lender else div_up(usd * one, each.tick.denominator)
            oracle_down[i], oracle_up[i] = low, high
            down[i], up[i] = low * VALUE // (one * each.coin), div_up(high * VALUE, one * each.coin)
            held[i], owed[i] = down[i] * each.lot_atoms / VALUE, up[i] * each.lot_atoms / VALUE
        shared = Shared(
            fixed,
            fixed.lot_atoms,
            fixed.coin,
            price,
            oracle_down,
            oracle_up,
            down,
            up,
            fixed.tables._replace(collateral_usd=held, debt_usd=owed),
        )
        grain = np.array([self.grain_usd(shared, m) for m in range(len(fixed.markets))] or [0.0])
        return shared._replace(tables=shared.tables._replace(grain_usd=grain))


class PreparedLending:
    """A lending rule at one market."""

    def __init__(self, rule: LendingRule, shared: Shared) -> None:
        self.rule = rule
        self.shared = shared

    def digest(self) -> str:
        """Digest of prices and weights."""
        fixed = self.shared.fixed
        shown = (self.rule.name, fixed.markets, fixed.params, sorted(self.shared.down.items()), self.shared.up)
        return hashlib.blake2b(repr(shown).encode(), digest_size=16).hexdigest()

    def assess(self, book: Book, accounts: I64 | None = None) -> Statement:
        """Statement of `accounts` (all by default) from the float kernel; `certain` marks what it may decide.

        Raises SolventError for what the protocol cannot hold, by account and name.
        """
        rule, shared = self.rule, self.shared
        which = check_accounts(book, accounts, shared.fixed.universe)
        rows = net(book, which)
        refuse_unmarginable(shared.fixed.marginable, book, which, rows)
        sums = kernel_lending.totals(shared.tables, rows.size, rows.owner, rows.instrument, rows.lots)
        self._refuse_faults(book, which, sums)
        sums = rule.reweighed(shared, sums)
        equity = sums.held - sums.owed
        maintenance = sums.held - sums.maintenance
        initial = np.maximum(maintenance, sums.held - sums.initial)
        free = sums.owed == 0
        if not rule.strict:  # the protocol asks for a debt first
            maintenance, initial = np.where(free, 0.0, maintenance), np.where(free, 0.0, initial)
        return Statement(
            account=which,
            equity=equity,
            initial_margin=initial,
            maintenance_margin=maintenance,
            collateral_value=sums.maintenance,
            liabilities=sums.owed,
            leverage=np.where(equity > 0, sums.owed / np.where(equity > 0, equity, 1), np.where(free, 0.0, np.inf)),
            worst_scenario=np.full(len(which), -1),
            certain=free | ((np.abs(equity - maintenance) > sums.band) & (np.abs(equity - initial) > sums.band)),
            strict=rule.strict,
            venue_ratio=rule.venue_ratio(sums),
            ratio_name=rule.ratio_name,
            names=tuple(book.names) if accounts is None else tuple(book.names[a] for a in which),
        )

    def _refuse_faults(self, book: Book, accounts: I64, sums: Totals) -> None:
        """Every account, so that the others can be assessed without them."""
        found = (self._fault(book.names[a], _lots(book, a)) for a in accounts[sums.fault != 0].tolist())
        raise_if([each for each in found if each])

    def _fault(self, name: str, balances: Mapping[int, int]) -> Problem | None:
        """Why balances are no position of the protocol, or None."""
        fixed, rule = self.shared.fixed, self.rule
        ids = [each.id for each in fixed.universe]
        owed = [i for i, q in balances.items() if q < 0]
        lenders = {fixed.lender.get(i, -1) for i in owed}
        if -1 in lenders:
            wrong = next(i for i in owed if i not in fixed.lender)
            lent = ", ".join(ids[i] for i in fixed.lender) or "nothing that is listed here"
            return problem("book", None, name, f"{ids[wrong]} (debt)", f"a debt that {rule.name} lends: {lent}")
        if len(lenders) > 1:
            accepted = f"debts of one market of {rule.name}; split the account by market"
            return problem("book", None, name, f"debts in {', '.join(ids[i] for i in owed)}", accepted)
        if rule.isolated and lenders:
            taken = fixed.terms[lenders.pop()]
            pledged = [ids[i] for i, q in balances.items() if q > 0 and i in taken]
            if len(pledged) > 1:
                accepted = f"one collateral: positions of {rule.name} are isolated; split the account by collateral"
                return problem("book", None, name, f"collateral in {', '.join(pledged)}", accepted)
        return None

    def position(self, book: Book, account: int) -> Position:
        """One account as a position. Raises SolventError for what the protocol cannot hold."""
        fixed = self.shared.fixed
        balances = _lots(book, account)
        lot = self.shared.lot_atoms
        if any(i not in lot for i in balances):
            which = np.array([account], dtype=np.int64)
            refuse_unmarginable(fixed.marginable, book, which, net(book, which))
        fault = self._fault(book.names[account], balances)
        if fault:
            raise SolventError(fault)
        owed = [(i, -q * lot[i]) for i, q in balances.items() if q < 0]
        market = fixed.lender[owed[0][0]] if owed else -1
        held = [(i, q * lot[i]) for i, q in balances.items() if q > 0]
        taken: Mapping[int, Any] = fixed.terms[market] if owed else fixed.alone
        return Position(
            market, [row for row in held if row[0] in taken], [row for row in held if row[0] not in taken], owed
        )

    def weighed(self, position: Position, initial: bool) -> Weighed:
        """Both sides in integers; without debt simply the weighted values."""
        if position.owed:
            return self.rule.weighed(self.shared, position, initial)
        fixed, down = self.shared.fixed, self.shared.down
        rows = []
        for i, atoms in position.pledged:
            terms = fixed.terms[fixed.alone[i]][i]
            rows.append((i, fraction_down(down[i] * atoms * (terms.initial if initial else terms.maintenance))))
        return Weighed(Fraction(1, VALUE), rows, [])

    def exact(self, book: Book, account: int) -> ExactStatement:
        """Integers of 1e-6 USD whose verdict is the protocol's own to the last unit.

        Equity is rounded down; the headroom is rounded so that its sign stays, and margins are equity less it.
        """
        position = self.position(book, account)
        equity = self._equity(position) // MICRO_VALUE
        if not self.rule.strict and not position.owed:
            return ExactStatement(equity, 0, 0, strict=False)
        low, high = self.weighed(position, initial=False), self.weighed(position, initial=True)
        least, most = low.headroom * low.scale * MICRO, high.headroom * high.scale * MICRO
        if self.rule.strict:
            maintenance, initial = equity - fraction_down(least), equity - fraction_down(most)
        else:  # no headroom is too little already
            maintenance, initial = equity - fraction_up(least), equity - fraction_up(most) + 1
            if least <= 0 and maintenance == equity == 0:  # of a debt below 1e-6 USD
                maintenance = 1
        return ExactStatement(equity, max(maintenance, initial), maintenance, self.rule.strict)

    def _equity(self, position: Position) -> int:
        """USD x VALUE."""
        down, up = self.shared.down, self.shared.up
        held = sum(down[i] * atoms for i, atoms in (*position.pledged, *position.idle))
        return held - sum(up[i] * atoms for i, atoms in position.owed)

    def explain(self, book: Book, account: int) -> Explanation:
        """Every term of one account; the terms of each total add up to it."""
        position, exact = self.position(book, account), self.exact(book, account)
        down, up = self.shared.down, self.shared.up
        ids = [each.id for each in self.shared.fixed.universe]
        held = [*position.pledged, *position.idle]
        rows = [("equity", "collateral", i, Fraction(down[i] * n, VALUE)) for i, n in held]
        rows += [("equity", "debt", i, -Fraction(up[i] * n, VALUE)) for i, n in position.owed]
        free = not self.rule.strict and not position.owed
        for total, initial in () if free else (("initial_margin", True), ("maintenance_margin", False)):
            name = f"{NOT_COUNTED} {self.rule.weight_names[initial]}"
            weighed = self.weighed(position, initial)
            counted = dict(weighed.collateral)
            rows += [
                (total, name, i, Fraction(down[i] * n, VALUE) - counted[i] * weighed.scale) for i, n in position.pledged
            ]
            rows += [(total, "no collateral", i, Fraction(down[i] * n, VALUE)) for i, n in position.idle]
            due = dict(weighed.debt)
            rows += [
                (total, "debt as tested", i, due[i] * weighed.scale - Fraction(up[i] * n, VALUE))
                for i, n in position.owed
            ]
        terms = [
            Term(total, name, ids[i], decimal(amount), self._detail(position, i, name))
            for total, name, i, amount in rows
            if abs(amount) * 10**9 >= 1
        ]
        totals = {
            total: Decimal(getattr(exact, total)).scaleb(-6)
            for total in ("equity", "initial_margin", "maintenance_margin")
        }
        return Explanation(book.names[account], totals, (*terms, *_rest(totals, terms)))

    def _detail(self, position: Position, i: int, name: str) -> str:
        """The weights behind a term, and the LTV above which liquidating that collateral fails."""
        fixed = self.shared.fixed
        market = position.market if position.owed else fixed.alone.get(i, -1)
        if not name.startswith(NOT_COUNTED) or market < 0:
            return ""
        terms = fixed.terms[market][i]
        weights = zip((terms.maintenance, terms.initial), self.rule.weight_names, strict=True)
        shown = ", ".join(dict.fromkeys(f"{float(weight):.6g} ({name})" for weight, name in weights))
        return f"counts {shown}; toxic LTV {float(self.rule.toxic(terms)):.6g}"


def atom_usd(shared: Shared, i: int) -> Fraction:
    """USD of one atom at the mark."""
    return shared.price[i] / shared.coin[i]


def wad_down(shared: Shared, i: int, atoms: int) -> int:
    """An amount in 18 decimals, floor."""
    return atoms * WAD // shared.coin[i]


def wad_up(shared: Shared, i: int, atoms: int) -> int:
    """An amount in 18 decimals, ceiling."""
    return -(-atoms * WAD // shared.coin[i])


def loan_to_value(sums: Totals) -> F64:
    """Debt over what is pledged; 0 without debt."""
    return np.where(sums.owed > 0, ratio(sums.owed, sums.pledged), 0.0)


def collateral_ratio(sums: Totals) -> F64:
    """What is pledged over debt; +inf without debt."""
    return ratio(sums.pledged, sums.owed)


def _lots(book: Book, account: int) -> dict[int, int]:
    """Lots of each instrument, netted."""
    return {i: lots for i, (lots, _) in row_of(book, account).items()}


def _rest(totals: Mapping[str, Decimal], terms: Sequence[Term]) -> Iterable[Term]:
    """What the terms of each total lack to it."""
    for total, amount in totals.items():
        rest = amount - sum((each.amount for each in terms if each.total == total), Decimal(0))
        if rest:
            yield Term(total, "rounding", "", rest)


def _check_loans(markets: Sequence[LoanMarket], where: str) -> list[Problem]:
    """Assets that two markets lend: a debt in them would not say of which it is."""
    lent = [id for market in markets for id in market.loans]
    return [
        problem(where, None, id, "lent by two markets", "one market for each loan asset: the book does not say which")
        for id in sorted(set(lent))
        if lent.count(id) > 1
    ]


def _check_finite(value: Any, where: str, path: str = "") -> list[Problem]:
    """Decimals that are no numbers, wherever they stand."""
    if isinstance(value, Decimal):
        return [] if value.is_finite() else [problem(where, None, path, str(value), "a finite number")]
    rows: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, msgspec.Struct):
        rows = ((name, getattr(value, name)) for name in value.__struct_fields__)
    elif isinstance(value, Mapping):
        rows = value.items()
    elif isinstance(value, list | tuple):
        rows = enumerate(value, 1)
    return [each for key, below in rows for each in _check_finite(below, where, f"{path}.{key}" if path else str(key))]
