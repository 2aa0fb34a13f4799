"""What ccxt's `fetch_positions` and `fetch_balance` and Deribit's own methods return, as rows of a book.

Accepted, alone or together under the keys `positions` and `balance` (also `summary`), for one account or for
several in a list (each with its `account`):

- ccxt: a list of unified positions; a unified balance. `contracts` x `contractSize` with `side` is the quantity.
- Deribit: the answer of `get_positions`; of `get_account_summary` or `get_account_summaries`, with or without
  the JSON-RPC envelope.

A venue's `total` is not always cash: Deribit's and OKX's is equity, profit included. There the raw `info` is
read instead, so that profit is not counted twice. Deribit pays out a future's profit every day, so that its
entry here is the price at which the profit still unpaid (`floating_profit_loss`) is what Deribit says.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from solvent.domain.columns import Faults
from solvent.domain.instruments import Option, Spot, contract_lot
from solvent.domain.quantities import decimal_text, exact
from solvent.domain.universe import Universe

ACCOUNT_DEFAULT = "main"
_PARTS = ("positions", "balance", "summary", "summaries")
_NEAR = Fraction(1, 10**9)


class Reported(NamedTuple):
    """Figures of the venue for one account in one asset; USD for totals."""

    account: str
    asset: str
    equity: Fraction | None
    initial_margin: Fraction | None
    maintenance_margin: Fraction | None


class VenueBook(NamedTuple):
    """Rows `account, instrument, quantity, entry_price` as text, and what the venue reports."""

    rows: list[dict[str, str | None]]
    reported: list[Reported]


def is_venue(parsed: Any) -> bool:
    """Whether a JSON value is one of the accepted answers rather than plain rows of a book."""
    first = parsed[0] if isinstance(parsed, list) and parsed else parsed
    keys = {"instrument_name", "symbol", "result", "accounts", "total", "currency", "error", *_PARTS}
    return isinstance(first, Mapping) and bool(keys & first.keys()) and "quantity" not in first


def venue_book(parsed: Any, universe: Universe, file: str) -> VenueBook:
    """Rows and reported margins of every account of a JSON value. Raises SolventError with all problems."""
    faults = Faults(file)
    if isinstance(parsed, Mapping) and "error" in parsed and "result" not in parsed:
        faults.add(None, "error", parsed["error"], "an answer without an error")
        faults.stop()
    book = VenueBook([], [])
    seen: set[str] = set()
    for number, (name, document) in enumerate(_accounts(parsed), 1):
        if name in seen:
            faults.add(number, "account", name, "each account once")
        seen.add(name)
        one = _Account(name, universe, faults, book)
        for position in _list(document.get("positions")):
            one.position(position)
        for part in ("balance", "summary", "summaries"):
            one.balance(_unwrapped(document.get(part)))
    faults.stop()
    return book


def _accounts(parsed: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """The accounts of a JSON value by name, each as an object with some of the keys of `_PARTS`."""
    parsed = _unwrapped(parsed)
    if isinstance(parsed, Mapping) and "accounts" in parsed:
        named = parsed["accounts"]
        parsed = (
            [{"account": key, **_object(value)} for key, value in named.items()]
            if isinstance(named, Mapping)
            else named
        )
    if isinstance(parsed, Mapping):
        parsed = [parsed if _is_document(parsed) else {"balance": parsed}]
    if not (isinstance(parsed, list) and any(map(_is_document, parsed))):
        balances = isinstance(parsed, list) and parsed and "currency" in _object(parsed[0])
        parsed = [{"summaries" if balances else "positions": parsed}]
    return [(str(_object(each).get("account") or ACCOUNT_DEFAULT), _object(each)) for each in parsed]


def _is_document(value: Any) -> bool:
    """Whether a value holds answers of one account; a Deribit summary has a `balance` too, but a currency."""
    return bool(_object(value).keys() & set(_PARTS)) and "currency" not in value


def _unwrapped(value: Any) -> Any:
    """What a JSON-RPC answer holds."""
    return value["result"] if isinstance(value, Mapping) and "result" in value else value


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    value = _unwrapped(value)
    return value if isinstance(value, list) else [] if value is None else [value]


class _Account:
    """Reads the parts of one account into a book."""

    def __init__(self, name: str, universe: Universe, faults: Faults, book: VenueBook) -> None:
        self.name, self.universe, self.faults, self.book = name, universe, faults, book
        self.number = 0
        self.margins: dict[str, list[Fraction | None]] = {}

    def _fault(self, field: str, value: object, accepted: str) -> None:
        found = "missing" if value is None else format(value, "f") if isinstance(value, Decimal) else value
        self.faults.add(self.number or None, f"{self.name}.{field}", found, accepted)

    def _number(self, source: Mapping[str, Any], field: str, needed: bool = False) -> Fraction | None:
        """A number of an answer; None where it is absent, empty or (reported) no number."""
        value = source.get(field)
        if value is None or value == "":
            if needed:
                self._fault(field, None, "a number")
            return None
        try:
            return exact(value)
        except ValueError as error:
            self._fault(field, value, str(error))
            return None

    def position(self, position: Any) -> None:
        """One position, Deribit's or ccxt's; of zero size it is left out."""
        self.number += 1
        info = _object(_object(position).get("info"))
        raw = info if "instrument_name" in info else _object(position)
        if "instrument_name" in raw:
            self._deribit_position(raw)
        elif "symbol" in raw:
            self._ccxt_position(raw)
        else:
            self._fault("position", position, "a position with symbol (ccxt) or instrument_name (Deribit)")

    def _deribit_position(self, raw: Mapping[str, Any]) -> None:
        size = self._number(raw, "size", needed=True)
        if not size:
            return
        sign = {"buy": 1, "sell": -1}.get(raw.get("direction", ""), 1 if size > 0 else -1)
        quantity = sign * abs(size)
        entry = self._number(raw, "average_price")
        unpaid, mark = self._number(raw, "floating_profit_loss"), self._number(raw, "mark_price")
        settled = self._number(raw, "settlement_price")
        if unpaid is not None and mark and settled:
            entry = _entry_of_profit(self._is_inverse(raw["instrument_name"]), quantity, mark, unpaid) or entry
        self._row(raw["instrument_name"], quantity, entry)

    def _ccxt_position(self, raw: Mapping[str, Any]) -> None:
        contracts = self._number(raw, "contracts", needed=True)
        if not contracts:
            return
        size = self._number(raw, "contractSize")
        side = str(raw.get("side") or "").lower()
        if side not in ("", "long", "short"):
            self._fault("side", raw["side"], "long or short")
        sign = -1 if side == "short" or contracts < 0 else 1
        self._row(raw["symbol"], sign * abs(contracts) * (1 if size is None else size), self._number(raw, "entryPrice"))
        asset = str(raw["symbol"]).partition(":")[2].partition("-")[0]
        self._add(asset, None, self._number(raw, "initialMargin"), self._number(raw, "maintenanceMargin"))

    def _add(self, asset: str, *figures: Fraction | None) -> None:
        """Add equity, initial and maintenance margin of a position or currency to the account's."""
        sums = self.margins.setdefault(asset, [None, None, None])
        for i, figure in enumerate(figures):
            if figure is not None:
                sums[i] = (sums[i] or Fraction(0)) + figure

    def balance(self, balance: Any) -> None:
        """Cash, from a ccxt balance or Deribit summaries; and what the venue reports."""
        self.number = 0
        info = _object(_unwrapped(_object(balance).get("info")))
        raw = info if "summaries" in info or "equity" in info else balance
        summaries = _object(raw).get("summaries", raw)
        if isinstance(summaries, Mapping) and "currency" in summaries:
            summaries = [summaries]
        if isinstance(summaries, list):
            self.margins.clear()
            self._deribit_summaries([_object(each) for each in summaries])
        elif isinstance(summaries, Mapping):
            self._ccxt_balance(summaries, info)
        elif balance is not None:
            self._fault("balance", balance, "a ccxt balance or Deribit account summaries")
        for asset, (equity, initial, maintenance) in self.margins.items():
            self.book.reported.append(Reported(self.name, asset, equity, initial, maintenance))
        self.margins.clear()

    def _deribit_summaries(self, summaries: Sequence[Mapping[str, Any]]) -> None:
        """Cash of each currency is its equity less unpaid futures profit and the value of options."""
        figures = ("equity", "initial_margin", "maintenance_margin")
        for each in summaries:
            self.number += 1
            currency = str(each.get("currency") or "")
            if not currency:
                self._fault("currency", None, "an account summary with its currency")
                continue
            equity = self._number(each, "equity")
            profit = self._number(each, "futures_session_upl")
            if profit is None:
                profit = self._number(each, "session_upl")
            cash = self._number(each, "balance")
            if equity is not None and profit is not None:
                cash = equity - profit - (self._number(each, "options_value") or 0)
            if cash is None:
                self._fault("balance", None, "a number")
            elif cash:
                self._row(currency, cash, None, cash=True)
            self._add(currency, *(self._number(each, name) for name in figures))
        totals = next((each for each in summaries if each.get("total_equity_usd") is not None), None)
        if totals is not None:  # with cross collateral each currency repeats the sum of all
            self.margins.clear()
            self._add("USD", *(self._number(totals, f"total_{name}_usd") for name in figures))

    def _ccxt_balance(self, balance: Mapping[str, Any], info: Mapping[str, Any]) -> None:
        """Cash is `total` less `debt`; OKX's raw `cashBal` where that is what the balance was made of."""
        details = _list(info.get("data"))
        okx = _object(details[0]) if details else {}
        if "details" in okx:
            for each in map(_object, _list(okx["details"])):
                self._row(str(each.get("ccy")), self._number(each, "cashBal") or Fraction(0), None, cash=True)
            self.margins.clear()
            self._add("USD", *(self._number(okx, name) for name in ("totalEq", "imr", "mmr")))
            return
        if "totalMarginBalance" in info:  # Binance's futures account
            self.margins.clear()
            names = ("totalMarginBalance", "totalInitialMargin", "totalMaintMargin")
            self._add("USD", *(self._number(info, name) for name in names))
        total, debt = balance.get("total"), _object(balance.get("debt"))
        if not isinstance(total, Mapping):
            self._fault("balance.total", total, "an object of amounts by asset")
            return
        for asset in total:
            amount = (self._number(total, asset) or Fraction(0)) - (self._number(debt, asset) or Fraction(0))
            if amount:
                self._row(asset, amount, None, cash=True)

    def _is_inverse(self, id: object) -> bool:
        if str(id) not in self.universe:
            return False
        each = self.universe[self.universe.index(str(id))]
        return not isinstance(each, Spot) and each.inverse

    def _row(self, id: object, quantity: Fraction, entry: Fraction | None, cash: bool = False) -> None:
        """A row of the book: coins or USD become contracts; cash is rounded down to whole lots."""
        text = decimal_text(quantity)
        if str(id) in self.universe:
            each = self.universe[self.universe.index(str(id))]
            multiplier = Fraction(1) if isinstance(each, Spot) else Fraction(each.multiplier)
            text = decimal_text(_lots(quantity / multiplier, contract_lot(each), cash), 24)
            entry = None if isinstance(each, (Spot, Option)) else entry
        price = decimal_text(entry) if entry else None
        self.book.rows.append({"account": self.name, "instrument": str(id), "quantity": text, "entry_price": price})


def _lots(quantity: Fraction, lot: Fraction, cash: bool) -> Fraction:
    """Cash rounded down to whole lots, against the account; a position within 1e-9 of whole lots made whole."""
    count = quantity / lot
    if cash:
        return count.numerator // count.denominator * lot
    nearest = round(count)
    return nearest * lot if abs(count - nearest) <= _NEAR * abs(count) else quantity


def _entry_of_profit(inverse: bool, quantity: Fraction, mark: Fraction, profit: Fraction) -> Fraction | None:
    """The entry price at which a position has a profit: mark - v / q, inverse 1 / (1 / mark + v / q).

    quantity: coins, or USD where inverse. profit: in the settlement asset. None where there is no such price.
    """
    entry = 1 / mark + profit / quantity if inverse else mark - profit / quantity
    if entry <= 0:
        return None
    return 1 / entry if inverse else entry
