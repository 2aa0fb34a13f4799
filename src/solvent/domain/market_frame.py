"""A market from rows of instruments and back: exact marks, terms from ids, all problems of it at once."""

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.columns import I64, Faults, codes, floats, table, texts, times_ns
from solvent.domain.instruments import (
    STABLECOINS,
    USD,
    Future,
    Instrument,
    Option,
    Spot,
    check_instrument,
    contract_lot,
    expiry_ns,
)
from solvent.domain.market import STATES, Market, Surface
from solvent.domain.quantities import decimal_text
from solvent.domain.symbols import spot
from solvent.domain.terms import TERMS, instrument_of, mark_ticks, price_of
from solvent.domain.universe import Universe

if TYPE_CHECKING:
    import polars as pl

F64 = NDArray[np.float64]

MARKET_NUMBERS: Mapping[str, tuple[float, float, str]] = {
    "forward": (0.0, np.inf, "USD above 0"),
    "rate": (-10.0, 10.0, "an annual rate as a fraction, such as 0.05"),
    "vol": (0.0, 10.0, "an annualised volatility as a fraction, such as 0.65"),
    "confidence": (-1e-300, 1.0, "a fraction of the price from 0 to below 1"),
    "age_s": (-1e-300, np.inf, "seconds, 0 or more"),
    "depth_usd": (-1e-300, np.inf, "USD, 0 or more"),
    "volume_usd_daily": (-1e-300, np.inf, "USD a day, 0 or more"),
    "half_spread": (-1e-300, 1.0, "a fraction of the price from 0 to below 1"),
    "slow_price": (0.0, np.inf, "a price above 0"),
}
"""Optional numbers of a market: what lies strictly between the two bounds is accepted."""


def market_from_frame(
    frame: Any,
    *,
    surfaces: Mapping[str, Surface] | None = None,
    ts_ns: int | None = None,
    file: str = "market",
) -> Market:
    """A market from one row an instrument.

    Columns: `instrument, price` and, where it applies, `forward, rate, vol, confidence, age_s, depth_usd,
    volume_usd_daily, half_spread, slow_price, state, ts` and the terms `lot, multiplier, tick, expiry,
    strike, decimals, represents` (`Market` has the units, `terms.instrument_of` the defaults of terms).

    instrument: CCXT symbol (`BTC/USD:BTC-241227-60000-C`), Deribit's name, or an asset. price: above 0; it
    may be empty for an option that has a `vol` or whose underlying is in `surfaces`. A price must be a
    multiple of `tick` where that is given. state: ok, degraded or halted. ts: the market's time is the
    newest of them, and an age that is not given is the lag behind it; without the column it is `ts_ns`
    (needed if anything expires). `USD` is worth exactly 1 and listed if absent; a settlement asset without a
    row of its own is listed too: a stablecoin at 1, a coin at the mark of its first perpetual or future.
    Raises SolventError with all problems.
    """
    faults = Faults(file)
    optional = ("price", *MARKET_NUMBERS, "state", "ts", "expiry", *TERMS)
    rows = table(frame, ("instrument",), optional, faults)
    numbers = _numbers(rows, faults)
    time = _time(rows, numbers, ts_ns, faults)
    instruments, ticks = _listing(rows, faults)
    _check_options(rows, instruments, numbers, ticks, surfaces or {}, faults)
    if time is None and any(each is not None and expiry_ns(each) for each in instruments):
        faults.add(None, "ts", "missing column", "a column ts (UTC), since some instruments expire")
    state = _states(rows, faults)
    listed = [each for each in instruments if each is not None]
    missing, marks = _settlement_assets(listed, ticks, faults)
    _check_terms(instruments, [*listed, *missing], faults)
    faults.stop()
    absent = len(missing)
    columns = {
        {"rate": "rate_annual", "vol": "vol_annual"}.get(name, name): np.append(values, np.full(absent, default))
        for name, (values, default) in numbers.items()
    }
    universe = Universe([*listed, *missing])
    exact = np.append(np.array(ticks, np.int64), np.array(marks, np.int64)).astype(np.int64)
    slow = columns["slow_price"]
    columns["slow_price"] = np.where(np.isnan(slow), exact * universe.terms.tick, slow)
    return Market(
        universe,
        time or 0,
        exact,
        state=np.append(state, np.zeros(absent, np.int64)),
        surfaces=surfaces,
        **columns,
    )


def _numbers(rows: "pl.DataFrame", faults: Faults) -> dict[str, tuple[F64, float]]:
    """Each optional number as (values, default); empty cells hold the default."""
    found: dict[str, tuple[F64, float]] = {}
    for name, (above, below, accepted) in MARKET_NUMBERS.items():
        default = 0.0 if name in ("rate", "confidence", "age_s", "half_spread") else np.nan
        if name not in rows.columns:
            found[name] = np.full(len(rows), default), default
            continue
        values, bad = floats(rows[name])
        empty = np.isnan(values) & ~bad
        bad |= ~empty & ~((values > above) & (values < below))
        faults.rows(bad, name, rows[name], accepted)
        found[name] = np.where(np.isnan(values), default, values), default
    return found


def _time(rows: "pl.DataFrame", numbers: dict[str, tuple[F64, float]], ts_ns: int | None, faults: Faults) -> int | None:
    """Time of the market; fills ages that are not given from each row's own time."""
    if "ts" not in rows.columns or not len(rows):
        return ts_ns
    times, bad = times_ns(rows["ts"])
    faults.rows(bad, "ts", rows["ts"], "a UTC time: ISO 8601 text or an epoch number")
    newest = int(times[~bad].max(initial=0))
    if "age_s" not in rows.columns:
        numbers["age_s"] = np.where(bad, 0.0, (newest - times) / 1e9), 0.0
    return newest


def _states(rows: "pl.DataFrame", faults: Faults) -> I64:
    """State of each price by name or number; ok where it is empty."""
    if "state" not in rows.columns:
        return np.zeros(len(rows), np.int64)
    code, names = codes(rows["state"])
    known = {name: i for i, name in enumerate(STATES)} | {str(i): i for i in range(len(STATES))}
    state = np.array([*(known.get(name, -1) for name in names), 0], np.int64)[code]
    faults.rows(state < 0, "state", rows["state"], f"one of {', '.join(STATES)}")
    return state


def _listing(rows: "pl.DataFrame", faults: Faults) -> tuple[list[Instrument | None], list[int]]:
    """Instrument and mark in ticks of each row: None where its terms are wrong, 0 where there is no mark."""
    ids = texts(rows["instrument"]).to_list()
    prices = rows["price"].to_list() if "price" in rows.columns else [None] * len(ids)
    terms = [(name, texts(rows[name]).to_list()) for name in TERMS if name in rows.columns]
    expiries, no_expiry = times_ns(rows["expiry"]) if "expiry" in rows.columns else (None, None)
    if expiries is not None and no_expiry is not None:
        no_time = no_expiry & ~texts(rows["expiry"]).is_null().to_numpy()
        faults.rows(no_time, "expiry", rows["expiry"], "a UTC time: ISO 8601 text or an epoch number")
    found: list[Instrument | None] = []
    ticks: list[int] = []
    seen: dict[str, int] = {}
    for i, id in enumerate(ids):
        given = {name: values[i] for name, values in terms if values[i] is not None}
        expiry = None if expiries is None or no_expiry is None or no_expiry[i] else int(expiries[i])
        each, mark = _row(i + 1, id or "", prices[i], given, expiry, faults)
        if each is not None and seen.setdefault(each.id, i) != i:
            faults.add(i + 1, "instrument", id, f"each instrument once; it is row {seen[each.id] + 1} too")
        found.append(each)
        ticks.append(mark)
    return found, ticks


def _row(
    row: int, id: str, price: object, given: Mapping[str, str], expiry: int | None, faults: Faults
) -> tuple[Instrument | None, int]:
    """Instrument and mark of one row of a market."""
    if price is None or (isinstance(price, str) and not price.strip()):
        price = None
    try:
        value = None if price is None else price_of(price)
    except ValueError as error:
        faults.add(row, "price", price, str(error))
        value = price = None
    else:
        if price is None and "-" not in id:
            faults.add(row, "price", "missing", "a price above 0")
    try:
        each = instrument_of(id, value, given, expiry)
    except ValueError as error:
        term, colon, accepted = str(error).partition(": ")
        named = colon and term in (*TERMS, "expiry")
        wanted = accepted if named else f"an asset or a CCXT symbol such as BTC/USD:BTC-241227-60000-C: {error}"
        faults.add(
            row,
            term if named else "instrument",
            given.get(term, expiry) if named else id or "missing",
            wanted,
        )
        return None, 0
    if each.id == USD and value not in (None, 1):
        faults.add(row, "price", price, "1: USD is the numeraire")
    if value is None:
        return each, 0
    try:
        return each, mark_ticks(each, price, "tick" in given)
    except ValueError as error:
        faults.add(row, "price", price, str(error))
        return each, 0


def _check_options(
    rows: "pl.DataFrame",
    instruments: list[Instrument | None],
    numbers: Mapping[str, tuple[F64, float]],
    ticks: list[int],
    surfaces: Mapping[str, Surface],
    faults: Faults,
) -> None:
    """Options need a volatility; dated futures a price."""
    reported = {each.row for each in faults.found if each.field in ("price", "vol")}
    for i, each in enumerate(instruments):
        if i + 1 in reported:
            continue
        if isinstance(each, Option) and np.isnan(numbers["vol"][0][i]) and each.underlying not in surfaces:
            wanted = f"a volatility, or a surface of {each.underlying}"
            faults.add(i + 1, "vol", "missing", wanted)
        if isinstance(each, Future) and not ticks[i]:
            faults.add(i + 1, "price", "missing", "a price above 0")


def _settlement_assets(listed: list[Instrument], ticks: list[int], faults: Faults) -> tuple[list[Spot], list[int]]:
    """Spot instruments that are settled in but have no row, and USD; with marks."""
    ids = {each.id for each in listed}
    wanted = [each.settlement for each in listed if not isinstance(each, Spot)]
    missing: list[Spot] = []
    marks: list[int] = []
    for id in dict.fromkeys([*wanted, USD]):
        if id in ids:
            continue
        each = spot(id)
        price = Fraction(1)
        if each.asset not in STABLECOINS:
            found = next(
                (
                    Fraction(other.tick) * mark
                    for other, mark in zip(listed, ticks, strict=False)
                    if mark and not isinstance(other, (Spot, Option)) and other.underlying == each.asset
                ),
                None,
            )
            if found is None:
                faults.add(None, "instrument", "missing", f"a row for {id}, in which others settle")
                continue
            price = found
        each = instrument_of(id, price, {}, None)  # type: ignore[assignment]
        missing.append(each)
        marks.append(round(price / Fraction(each.tick)))
    return missing, marks


def _check_terms(instruments: list[Instrument | None], listed: list[Instrument], faults: Faults) -> None:
    """Terms that do not go together, by row."""
    spots = {each.id: each for each in listed if isinstance(each, Spot)}
    for i, each in enumerate(instruments):
        if each is None:
            continue
        settlement = each if isinstance(each, Spot) else spots.get(each.settlement)
        if settlement is None:
            continue
        for found in check_instrument(each, settlement):
            field = found.field.rpartition(".")[2]
            faults.found.append(msgspec.structs.replace(found, file=faults.file, row=i + 1, field=field))


def market_frame(market: Market) -> "pl.DataFrame":
    """A market as rows that `market_from_frame` reads back as they were: exact prices and terms as text."""
    import polars as pl

    universe = market.universe

    def given(values: F64, default: float) -> list[float | None]:
        return [None if np.isnan(x) or x == default else x for x in values.tolist()]

    rows = list(universe)
    price = [
        decimal_text(Fraction(each.tick) * mark, 36) if mark else None
        for each, mark in zip(rows, market.ticks.tolist(), strict=True)
    ]
    slow = np.where(market.slow_price == market.price, np.nan, market.slow_price)
    columns: dict[str, list[Any]] = {
        "instrument": [each.id for each in rows],
        "price": price,
        "forward": given(market.forward, np.nan),
        "rate": given(market.rate_annual, 0.0),
        "vol": given(market.vol_annual, np.nan),
        "confidence": given(market.confidence, 0.0),
        "age_s": given(market.age_s, 0.0),
        "depth_usd": given(market.depth_usd, np.nan),
        "volume_usd_daily": given(market.volume_usd_daily, np.nan),
        "half_spread": given(market.half_spread, 0.0),
        "slow_price": given(slow, np.nan),
        "state": [STATES[each] for each in market.state.tolist()],
        "ts": [market.ts_ns] * len(rows),
        "tick": [format(each.tick, "f") for each in rows],
        "lot": [decimal_text(contract_lot(each), 36) for each in rows],
        "multiplier": [None if isinstance(each, Spot) else format(each.multiplier, "f") for each in rows],
        "expiry": [expiry_ns(each) or None for each in rows],
        "strike": [format(each.strike, "f") if isinstance(each, Option) else None for each in rows],
        "decimals": [each.decimals if isinstance(each, Spot) else None for each in rows],
        "represents": [each.represents or None if isinstance(each, Spot) else None for each in rows],
    }
    frame = pl.DataFrame(columns, strict=False)
    kept = [name for name in columns if name in ("instrument", "price") or frame[name].null_count() < len(frame)]
    return frame.select(kept)
