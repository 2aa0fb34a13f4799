"""Instrument ids: CCXT's unified symbols, Deribit's names as aliases, and terms read from an id."""

import re
from datetime import UTC, datetime
from decimal import Decimal

from solvent.domain.instruments import STABLECOINS, USD, Future, Instrument, Option, Perpetual, Spot

DECIMALS = {"BTC": 8, "ETH": 18, "USDC": 6, "USDT": 6, USD: 6, "DAI": 18, "SOL": 9}
"""Decimals of well-known assets; every other asset has `DECIMALS_DEFAULT`."""
DECIMALS_DEFAULT = 8
LOT_DECIMALS_MOST = 9
"""A spot lot is 1e-9 coin where an asset has more decimals: 9.2e9 coins fit in 63 bits."""
EXPIRY_HOUR_UTC = 8

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_CCXT = re.compile(
    r"(?P<base>[A-Z0-9]{1,20})/(?P<quote>[A-Z0-9]{1,20}):(?P<settle>[A-Z0-9]{1,20}(@[\w.-]{1,40})?)"
    r"(-(?P<date>\d{6})(-(?P<strike>\d{1,12}(\.\d{1,12})?)-(?P<side>[CP]))?)?"
)
_DERIBIT = re.compile(
    r"(?P<base>[A-Z0-9]{1,20})(_(?P<settle>USDC|USDT))?-"
    r"(PERPETUAL|(?P<day>\d{1,2})(?P<month>[A-Z]{3})(?P<year>\d{2})(-(?P<strike>\d{1,12}([d.]\d{1,12})?)-(?P<side>[CP]))?)"
)
_SPOT = re.compile(r"(?P<asset>[A-Za-z0-9.]{1,20})(@(?P<location>[\w.-]{1,40}))?")


def spot(id: str, asset: str | None = None) -> Spot:
    """A spot instrument with the documented default terms; `BTC@custodian-x` has that location."""
    match = _SPOT.fullmatch(id)
    if match is None:
        raise ValueError("an asset such as BTC or USDC@arbitrum")
    name = asset or match["asset"]
    decimals = DECIMALS.get(name, DECIMALS_DEFAULT)
    return Spot(
        id=id,
        asset=name,
        decimals=decimals,
        lot_atoms=10 ** max(0, decimals - LOT_DECIMALS_MOST),
        location=match["location"] or "house",
    )


def ccxt_id(id: str) -> str:
    """The CCXT symbol of an id that may be Deribit's; other ids come back as they are.

    Deribit's coin-settled `BTC-PERPETUAL` is `BTC/USD:BTC`, `BTC_USDC-PERPETUAL` is `BTC/USDC:USDC`,
    `BTC-27DEC24-60000-C` is `BTC/USD:BTC-241227-60000-C`.
    """
    match = _DERIBIT.fullmatch(id)
    if match is None or (match["month"] is not None and match["month"] not in _MONTHS):
        return id
    settle = match["settle"]
    symbol = f"{match['base']}/{settle or 'USD'}:{settle or match['base']}"
    if match["day"] is None:
        return symbol
    symbol += f"-{match['year']}{_MONTHS.index(match['month']) + 1:02d}{int(match['day']):02d}"
    if match["strike"] is None:
        return symbol
    return f"{symbol}-{match['strike'].replace('d', '.')}-{match['side']}"


def deribit_alias(id: str) -> str | None:
    """Deribit's name of a CCXT symbol, or None where it has none."""
    match = _CCXT.fullmatch(id)
    if match is None or match["settle"] not in (match["base"], "USDC", "USDT"):
        return None
    head = match["base"] + ("" if match["settle"] == match["base"] else f"_{match['settle']}")
    if match["date"] is None:
        return f"{head}-PERPETUAL"
    date = match["date"]
    month = int(date[2:4])
    if not 1 <= month <= 12:
        return None
    name = f"{head}-{int(date[4:])}{_MONTHS[month - 1]}{date[:2]}"
    if match["strike"] is None:
        return name
    return f"{name}-{match['strike'].replace('.', 'd')}-{match['side']}"


def expiry_ns_of(date: str) -> int:
    """Expiry of a `YYMMDD` date: 08:00 UTC, the venues' usual hour."""
    day = datetime.strptime(date, "%y%m%d").replace(hour=EXPIRY_HOUR_UTC, tzinfo=UTC)
    return int(day.timestamp()) * 10**9


def tick_lot(price: float) -> tuple[Decimal, Decimal]:
    """Default tick and lot of a linear contract: six significant digits of price, tick x lot = 1e-6 USD."""
    magnitude = Decimal(str(price)).adjusted() if price > 0 else 4
    tick = Decimal(10) ** (magnitude - 5)
    return tick, Decimal("0.000001") / tick


def instrument(id: str, price: float = 0.0) -> Instrument:
    """An instrument from its id alone, with documented defaults.

    Linear contracts get `tick_lot(price)` (of the underlying's price; BTC's magnitude where it is unknown);
    inverse ones are contracts of 1 USD with a tick of 0.01; options have lots of 0.01 contracts, coin-settled
    ones a tick of 0.0001 coins, the others of 0.01 USD. Raises ValueError saying what an id looks like.
    """
    symbol = ccxt_id(id)
    match = _CCXT.fullmatch(symbol)
    if match is None:
        return spot(symbol)
    base, settle = match["base"], match["settle"]
    inverse = settle.split("@")[0] == base
    if not inverse and settle.split("@")[0] not in STABLECOINS:
        raise ValueError(f"settlement in {base} or a USD asset (quanto settlement is refused)")
    try:
        expiry = expiry_ns_of(match["date"]) if match["date"] else 0
    except ValueError:
        raise ValueError("an expiry date YYMMDD") from None
    if match["strike"]:
        return Option(
            id=symbol,
            underlying=base,
            settlement=settle,
            expiry_ns=expiry,
            strike=Decimal(match["strike"]),
            call=match["side"] == "C",
            tick=Decimal("0.0001") if inverse else Decimal("0.01"),
            inverse=inverse,
        )
    tick, lot = (Decimal("0.01"), Decimal(1)) if inverse else tick_lot(price)
    if expiry:
        return Future(symbol, base, settle, expiry, lot=lot, tick=tick, inverse=inverse)
    return Perpetual(symbol, base, settle, lot=lot, tick=tick, inverse=inverse)
