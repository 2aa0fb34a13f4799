"""What every venue's rule does alike: read its parameters, net rows, value balances, decide and explain.

A venue's rule is a class with `Params`, `margins` and `prepared`; its prepared form gives figures of a block of
accounts (numpy over netted rows) and the addends of one account (the venue's own reference function). The rest
is here: equity is net value at marks; the margins are what makes `equity < maintenance margin` the venue's own
inequality. Verdicts are integers of 1e-6 USD that keep that inequality exactly; addends that the venue computes in
reals are taken as the exact rationals that their floats are. Open orders are not margined: what venues publish of
them is in their functions, whose arguments a book does not have.
"""

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.book import Book
from solvent.domain.instruments import STABLECOINS, USD, Spot
from solvent.domain.market import Market
from solvent.domain.policy import Policy, parameters
from solvent.domain.quantities import MICRO, fraction_down, fraction_up
from solvent.domain.universe import INVERSE, OPTION, SPOT, Universe
from solvent.errors import Problem, problem, raise_if
from solvent.margin.rules.rows import (
    Groups,
    Held,
    Marginable,
    Rows,
    blocks,
    check_accounts,
    exact_price,
    found_in,
    gain_lots,
    net,
    refuse_unmarginable,
    sums,
)
from solvent.margin.statement import ExactStatement, Explanation, Statement, Term
from solvent.valuation import black76

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
BOOL = NDArray[np.bool_]

Amount = Fraction | float | int
Addend = tuple[str, str, Amount]
"""The venue's name for a term, the instrument or asset that it comes from, USD."""

BLOCK_ROWS = 1 << 15
"""Rows valued at once: a grid's scenario values of a block stay in the processor's cache."""
RELATIVE_ERROR = 1e-12
"""Bound on the error of either form relative to the gross of all that an account adds up: 4,500 units of 2**-52."""
ERROR_FLOOR = 4e-6
"""USD: the exact form rounds to 1e-6 against the account."""
NANOSECONDS = 10**9


class Addends(NamedTuple):
    """What each total of one account is the sum of."""

    equity: Sequence[Addend]
    initial_margin: Sequence[Addend]
    maintenance_margin: Sequence[Addend]


class Figures(NamedTuple):
    """What a venue says of a block of A accounts, USD."""

    initial: F64
    maintenance: F64
    gross: F64
    """Gross of what the margins add up: scale of rounding errors."""
    venue_ratio: F64 | None = None
    worst: I64 | None = None
    """Index into the rule's scenarios, -1 where none is worst."""
    slack: F64 | float = 0.0
    """USD by which the venue's integers may be rounded, beside 1e-6 of each total."""


class Balances(NamedTuple):
    """Balances of A accounts with the unsettled profit that is paid in them: one entry an account and asset."""

    owner: I64
    spot: I64
    coins: F64
    usd: F64


class Block(NamedTuple):
    """A block of accounts, netted and valued at the marks."""

    rows: Rows
    payers: Groups
    """All entries but options by (account, asset that they pay in), for `PreparedVenue.paid`."""
    balances: Balances
    options: F64
    """(A,) value of options."""
    equity: F64
    gross: F64

    @property
    def size(self) -> int:
        """Accounts in it."""
        return self.rows.size


class Columns(NamedTuple):
    """Columns of a statement."""

    equity: F64
    initial_margin: F64
    maintenance_margin: F64
    collateral_value: F64
    liabilities: F64
    leverage: F64
    worst_scenario: I64
    certain: BOOL
    venue_ratio: F64

    @classmethod
    def none(cls) -> "Columns":
        """Of no accounts."""
        empty = np.zeros(0)
        return cls(*(empty,) * 6, np.zeros(0, np.int64), np.zeros(0, np.bool_), empty)


class PreparedVenue:
    """A venue's rule at one market. Subclasses give `figures` and `addends`."""

    strict: ClassVar[bool] = True
    ratio_name: ClassVar[str] = "health"
    cash_at_par: ClassVar[bool] = False
    """Whether the venue counts USD assets as one USD each, whatever their price."""

    def __init__(self, rule: "VenueRule", universe: Universe, market: Market, params: Any) -> None:
        self.rule, self.universe, self.market, self.params = rule, universe, market, params
        terms = universe.terms
        self.missing = {**rule.missing(params, universe), **_unmarked(universe, market)}
        self.marginable = Marginable.of(rule.name, rule.margins, universe, self.missing)
        raise_if(self._check_market())
        self.price_usd = np.where(terms.form == SPOT, market.price, 0.0)
        self.at_par = np.array([_at_par(each, self.cash_at_par) for each in universe], dtype=np.bool_)
        self.price_usd[self.at_par] = 1.0
        self.gain = gain_lots(market)
        self.payer_usd = self.price_usd[terms.settlement] * terms.lot_coins
        """USD of one lot of the settlement asset."""
        self.notional = self._notional()
        self.option_usd = self._option_values()
        self.collateral_weight = self.weights()
        self.scenarios: tuple[str, ...] = ()
        self.build()

    def build(self) -> None:
        """Tables of the venue that all accounts share."""

    def weights(self) -> F64:
        """(I,) part of a positive balance that counts in maintenance margin; for the column `collateral_value`."""
        return np.ones(len(self.universe))

    def figures(self, block: Block) -> Figures:
        """Margins of a block of accounts."""
        raise NotImplementedError

    def addends(self, held: Held) -> Addends:
        """Every term of one account by the venue's name, from its reference function."""
        raise NotImplementedError

    def _notional(self) -> F64:
        """(I,) USD of one lot at the mark: price x coins; of an option at the index price."""
        terms, market = self.universe.terms, self.market
        paid = self.price_usd[terms.settlement]
        found = np.where(terms.form == SPOT, self.price_usd, terms.unit * market.price * paid)
        found = np.where(terms.form == SPOT, found * terms.unit, found)
        found = np.where(terms.form == INVERSE, terms.unit, found)
        return np.where(terms.form == OPTION, terms.unit * self.index_usd[terms.underlying], found)

    @property
    def index_usd(self) -> F64:
        """(U,) index price of each asset, one for cash at par."""
        index = np.array(self.market.index_usd)
        if self.cash_at_par:
            index[[asset in STABLECOINS for asset in self.universe.assets]] = 1.0
        return index

    def _option_values(self) -> F64:
        """(I,) USD of one lot of an option: its mark, else the model's value; 0 for what is none."""
        terms, market = self.universe.terms, self.market
        found = np.zeros(len(self.universe))
        rows = np.flatnonzero(terms.form == OPTION)
        if len(rows):
            quoted = market.price[rows] * terms.unit[rows] * self.price_usd[terms.settlement[rows]]
            found[rows] = np.where(market.ticks[rows] > 0, quoted, self.model_usd(rows))
        return found

    def model_usd(self, rows: I64) -> F64:
        """Black-76 value of one lot of options at the market, discounted, USD."""
        terms, market = self.universe.terms, self.market
        years = market.years[rows]
        vol = np.nan_to_num(market.vol()[rows])
        discount = np.exp(-market.rate_annual[rows] * years)
        value = black76.price(market.forward_usd[rows], terms.strike[rows], years, terms.call[rows], vol, discount)
        return np.asarray(value * terms.unit[rows])

    def _check_market(self) -> list[Problem]:
        """What the market lacks of what the rule needs, of every live instrument that it margins."""
        market, terms = self.market, self.universe.terms
        mine = ~self.marginable.refused
        mine &= (terms.expiry_ns == 0) | (terms.expiry_ns > market.ts_ns)
        option = terms.form == OPTION
        checks: list[tuple[str, BOOL, NDArray[Any], str]] = [
            ("price", mine & ~option & ~(market.price > 0), market.price, "a mark above 0"),
        ]
        if "vol" in self.rule.needs:
            vol = market.vol()
            checks.append(("vol", mine & option & ~((vol >= 0) & (vol <= 100)), vol, "a volatility, or a surface"))
            forward = market.forward_usd
            checks.append(("forward", mine & option & ~(forward > 0), forward, "a forward or index price above 0"))
        else:
            unpriced = mine & option & (market.ticks <= 0)
            checks.append(("price", unpriced, market.price, "a mark above 0"))
        return [
            problem("market", None, f"{self.universe[i].id}.{field}", float(values[i]), f"{accepted}: {why}")
            for field, bad, values, accepted in checks
            for i in np.flatnonzero(bad).tolist()
            for why in [f"{self.rule.name} needs it"]
        ]

    def digest(self) -> str:
        """Digest of what verdicts are computed from: parameters and the market's numbers."""
        market = self.market
        state = hashlib.blake2b(f"{self.rule.name} {market.ts_ns} ".encode(), digest_size=16)
        state.update(msgspec.json.encode(self.params, order="sorted", enc_hook=str))
        for array in (market.ticks, market.forward_usd, market.vol(), market.rate_annual, market.confidence,
                      market.slow_price):  # fmt: skip
            state.update(np.ascontiguousarray(array).tobytes())
        return state.hexdigest()

    def paid(self, payers: Groups, amounts: F64) -> Balances:
        """Sum one amount an entry, in coins of what it pays in, by account and asset."""
        width = max(1, len(self.universe))
        owner, spot = payers.key // width, payers.key % width
        coins = payers.sums(amounts)
        return Balances(owner, spot, coins, coins * self.price_usd[spot])

    def profit_coins(self, rows: Rows) -> F64:
        """(N,) coins that an entry pays: a balance itself, unsettled profit of a perpetual or future."""
        terms, i = self.universe.terms, rows.instrument
        profit = (rows.lots * self.gain[i] + rows.cost) * terms.lot_coins[i]
        return np.where(terms.form[i] == SPOT, rows.lots * terms.lot_coins[i], profit)

    def _block(self, book: Book, accounts: I64) -> Block:
        rows = net(book, accounts)
        refuse_unmarginable(self.marginable, book, accounts, rows)
        terms, i = self.universe.terms, rows.instrument
        cashflow = terms.form[i] != OPTION
        payers = Groups.of(rows.owner * max(1, len(self.universe)) + terms.settlement[i], cashflow)
        balances = self.paid(payers, self.profit_coins(rows))
        lots = rows.lots.astype(np.float64)
        options = rows.total(np.where(cashflow, 0.0, lots * self.option_usd[i]))
        equity = sums(balances.owner, balances.usd, rows.size) + options
        largest = np.abs(lots) * np.maximum(self.notional[i], np.abs(self.option_usd[i]))
        gross = rows.total(largest + np.abs(rows.cost * self.payer_usd[i]))
        return Block(rows, payers, balances, options, equity, gross)

    def assess(self, book: Book, accounts: I64 | None = None) -> Statement:
        """Statement of `accounts` (all by default); `certain` marks what the float form may decide.

        Raises SolventError for accounts that are not in the book and for what the rule cannot margin.
        """
        which = check_accounts(book, accounts, self.universe)
        parts = [self._columns(book, which[cut]) for cut in blocks(book.length[which], BLOCK_ROWS)]
        columns = Columns(*map(np.concatenate, zip(*parts, strict=True))) if parts else Columns.none()
        return Statement(
            account=which,
            strict=self.strict,
            ratio_name=self.ratio_name,
            names=tuple(book.names) if accounts is None else tuple(book.names[a] for a in which),
            scenarios=self.scenarios,
            equity=columns.equity,
            initial_margin=columns.initial_margin,
            maintenance_margin=columns.maintenance_margin,
            collateral_value=columns.collateral_value,
            liabilities=columns.liabilities,
            leverage=columns.leverage,
            worst_scenario=columns.worst_scenario,
            certain=columns.certain,
            venue_ratio=None if self.ratio_name == "health" else columns.venue_ratio,
        )

    def _columns(self, book: Book, accounts: I64) -> "Columns":
        """The statement's columns of one block of accounts."""
        block = self._block(book, accounts)
        found, equity, size = self.figures(block), block.equity, block.size
        usd, owner = block.balances.usd, block.balances.owner
        weight = self.collateral_weight[block.balances.spot]
        liabilities = sums(owner, np.maximum(-usd, 0.0), size)
        form = self.universe.terms.form[block.rows.instrument]
        notional = np.abs(block.rows.lots) * self.notional[block.rows.instrument]
        exposed = block.rows.total(np.where(form == SPOT, 0.0, notional)) + liabilities
        with np.errstate(divide="ignore", invalid="ignore"):
            leverage = np.where(equity > 0, exposed / equity, np.where(exposed > 0, np.inf, 0.0))
        band = RELATIVE_ERROR * (block.gross + found.gross) + found.slack + ERROR_FLOOR
        headroom = np.minimum(np.abs(equity - found.initial), np.abs(equity - found.maintenance))
        return Columns(
            equity=equity,
            initial_margin=found.initial,
            maintenance_margin=found.maintenance,
            collateral_value=sums(owner, np.maximum(usd, 0.0) * weight, size),
            liabilities=liabilities,
            leverage=leverage,
            worst_scenario=np.full(size, -1, np.int64) if found.worst is None else found.worst,
            certain=headroom > band,
            venue_ratio=np.zeros(size) if found.venue_ratio is None else found.venue_ratio,
        )

    def exact(self, book: Book, account: int) -> ExactStatement:
        """Integers of 1e-6 USD that decide about one account: as the venue decides, to the last bit.

        Equity is rounded down; what it exceeds a margin by is rounded so that its sign stays, and the margin is
        equity less that.
        """
        return verdict(self._addends(book, account), self.strict)

    def explain(self, book: Book, account: int) -> Explanation:
        """Every term of one account by the venue's name; the terms of each total add up to it."""
        addends = self._addends(book, account)
        return explanation(book.names[account], addends, verdict(addends, self.strict))

    def _addends(self, book: Book, account: int) -> Addends:
        held = Held.of(book, account, self.market)
        refused, positive = self.marginable.refused, self.marginable.positive
        if any(refused[i] for i in (*held.coins, *held.lots)) or any(
            positive[i] and x < 0 for i, x in held.coins.items()
        ):
            which = np.array([account], dtype=np.int64)
            refuse_unmarginable(self.marginable, book, which, net(book, which))
        return self.addends(held)

    def exact_price_usd(self, i: int) -> Fraction:
        """USD price of a spot instrument."""
        return Fraction(1) if self.at_par[i] else exact_price(self.market, i)

    def haircuts(self, block: Block) -> F64:
        """(A,) what positive balances lose by `weights`: equity less this is the venue's adjusted equity."""
        usd, spot = block.balances.usd, block.balances.spot
        return sums(block.balances.owner, np.maximum(usd, 0.0) * (1.0 - self.collateral_weight[spot]), block.size)

    def haircut_addends(self, held: Held, weight: F64 | None = None) -> list[Addend]:
        """The same of one account; `weight` in place of `weights`."""
        weight = self.collateral_weight if weight is None else weight
        return [
            ("collateral haircut", self.universe[i].id, usd * (1 - Fraction(float(weight[i]))))
            for i, usd in self.balances_usd(held).items()
            if usd > 0
        ]

    def value_addends(self, held: Held) -> list[Addend]:
        """Net value at marks: balances, unsettled profit, options."""
        settlement = self.universe.terms.settlement
        rows: list[Addend] = [
            ("balance", self.universe[i].id, coins * self.exact_price_usd(i)) for i, coins in held.coins.items()
        ]
        rows += [
            ("unsettled profit", self.universe[i].id, profit * self.exact_price_usd(int(settlement[i])))
            for i, profit in held.profit.items()
        ]
        rows += [
            ("option value", self.universe[i].id, lots * Fraction(float(self.option_usd[i])))
            for i, lots in held.lots.items()
            if i not in held.profit
        ]
        return rows

    def balances_usd(self, held: Held) -> dict[int, Fraction]:
        """USD of each balance with the unsettled profit that is paid in it."""
        return {i: coins * self.exact_price_usd(i) for i, coins in held.balances(self.universe).items()}

    def coins_of(self, i: int, lots: int) -> float:
        """Signed coins (USD where inverse) of lots of a derivative."""
        return lots * float(self.universe.terms.unit[i])


def _unmarked(universe: Universe, market: Market) -> dict[int, str]:
    """Futures that expired and have no mark: nobody may hold them."""
    terms = universe.terms
    expired = (terms.expiry_ns > 0) & (terms.expiry_ns <= market.ts_ns)
    gone = expired & (market.ticks <= 0) & (terms.form != OPTION)
    return {int(i): "a mark: it expired without one" for i in np.flatnonzero(gone)}


def _at_par(instrument: Any, cash_at_par: bool) -> bool:
    """USD itself is always worth one."""
    if not isinstance(instrument, Spot):
        return False
    return instrument.asset == USD or (cash_at_par and instrument.asset in STABLECOINS)


class VenueRule:
    """A venue's rule: stateless. Subclasses name their parameters, what they margin and their prepared form."""

    name: ClassVar[str]
    Params: ClassVar[type[msgspec.Struct]]
    needs: ClassVar[frozenset[str]] = frozenset({"price"})
    margins: ClassVar[frozenset[str]]
    """Of `rows.KINDS`."""
    homogeneous: ClassVar[bool] = True
    """Whether k times an account has k times its margins."""
    prepared: ClassVar[type[PreparedVenue]]

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Everything unsafe in the parameters."""
        return []

    def missing(self, params: Any, universe: Universe) -> dict[int, str]:
        """Instruments of a kind that the rule margins, but that the policy says nothing of: what it would take."""
        return {}

    def prepare(self, universe: Universe, market: Market, policy: Policy) -> PreparedVenue:
        """The rule at a market. Raises SolventError for unsafe parameters and fields that the market lacks."""
        return self.prepared(self, universe, market, self.params(policy, universe))

    def params(self, policy: Policy, universe: Universe) -> Any:
        """The policy's margin table as `Params`. Raises SolventError with all problems."""
        where = f"policy {policy.name} margin"
        params, found = parameters(self.Params, policy.margin, where, frozenset({"rule"}))
        if params is not None:
            found += self.check(params, universe)
        raise_if(found)
        assert params is not None
        return params


def unlisted(universe: Universe, table: Mapping[str, Any], field: str, forms: Sequence[int]) -> dict[int, str]:
    """Instruments of some forms that a policy's table has no entry for."""
    return {
        i: f"parameters in the policy's {field}: {each.id}, {each.underlying} or *"
        for i, each in enumerate(universe)
        if universe.terms.form[i] in forms and found_in(table, each) is None
    }


def total(rows: Sequence[Addend]) -> Fraction:
    """Exact sum of addends."""
    return sum((Fraction(x) for _, _, x in rows), Fraction(0))


def at_least(initial: Sequence[Addend], maintenance: Sequence[Addend]) -> list[Addend]:
    """Initial margin with a term that lifts it to the maintenance margin where it is less."""
    lacking = total(maintenance) - total(initial)
    return [*initial, ("maintenance margin is more", "", lacking)] if lacking > 0 else list(initial)


def verdict(addends: Addends, strict: bool) -> ExactStatement:
    """Equity and margins in integers of 1e-6 USD whose comparison is that of the exact sums."""
    equity, initial, maintenance = map(total, addends)
    micro = fraction_down(equity, MICRO)
    round_headroom = fraction_down if strict else fraction_up
    return ExactStatement(
        micro,
        micro - fraction_down(equity - initial, MICRO),
        micro - round_headroom(equity - maintenance, MICRO),
        strict,
    )


def explanation(account: str, addends: Addends, exact: ExactStatement) -> Explanation:
    """Addends as Decimals of 1e-9 USD with a term `rounding`, adding up to the exact totals of 1e-6 USD."""
    totals, terms = {}, []
    for which, rows in addends._asdict().items():
        shown = [Term(which, name, source, decimal(x)) for name, source, x in rows if x]
        totals[which] = Decimal(getattr(exact, which)).scaleb(-6)
        rest = totals[which] - sum((each.amount for each in shown), Decimal(0))
        if rest:
            shown.append(Term(which, "rounding", "", rest))
        terms += shown
    return Explanation(account, totals, tuple(terms))


def decimal(amount: Amount) -> Decimal:
    """USD as a Decimal of 1e-9, rounded to the nearest."""
    return Decimal(round(Fraction(amount) * NANOSECONDS)).scaleb(-9)


def listed_rates(universe: Universe, rates: Mapping[str, float]) -> F64:
    """(I,) a policy's collateral rate of each spot instrument; what it does not list counts nothing."""
    found = [found_in(rates, each) if isinstance(each, Spot) else None for each in universe]
    return np.array([0.0 if rate is None else rate for rate in found])


def check_rates(rates: Mapping[str, float], field: str) -> list["Check"]:
    """Collateral rates from 0 to 1."""
    return [(f"{field}.{name}", rate, 0 <= rate <= 1, "a rate from 0 to 1") for name, rate in rates.items()]


class Required(NamedTuple):
    """Maintenance margin of a venue that liquidates at equality, and where its float form cannot tell."""

    maintenance: F64
    slack: F64


def required_margin(block: Block, adjusted: F64, requirement: F64) -> Required:
    """MM = equity - adjusted equity + requirement; of an account that nothing is required of only a deficit counts.

    Without that, an account at adjusted equity 0 that owes nothing would count as liquidatable.
    """
    maintenance = block.equity - adjusted + requirement
    free = requirement == 0
    doubt = free & (np.abs(adjusted) <= RELATIVE_ERROR * block.gross + ERROR_FLOOR)
    return Required(np.where(free & (adjusted >= 0), 0.0, maintenance), np.where(doubt, np.inf, 0.0))


def required_addends(haircuts: Sequence[Addend], requirement: Sequence[Addend], equity: Fraction) -> list[Addend]:
    """The same of one account."""
    if not any(x for _, _, x in requirement) and equity >= total(haircuts):
        return []
    return [*haircuts, *requirement]


Check = tuple[str, object, bool, str]
"""Field, what was found, whether it is good, what would be accepted. Written as "good if": a NaN is in no interval."""


def checked(rows: Sequence[Check], where: str = "policy margin") -> list[Problem]:
    """A problem for every row that is not good."""
    return [problem(where, None, field, value, accepted) for field, value, good, accepted in rows if not good]


def digits(x: Decimal) -> tuple[int, int]:
    """(mantissa, exponent) of a positive decimal: x = mantissa x 10**exponent."""
    _, figures, exponent = x.normalize().as_tuple()
    return int("".join(map(str, figures))), int(exponent)
