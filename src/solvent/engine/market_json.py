"""A market as JSON: `{"ts": ..., "instruments": [rows], "surfaces": {asset: surface}}`; reads back as it was."""

from typing import Any

import msgspec

from solvent.domain.columns import times_ns
from solvent.domain.frames import market_frame, market_from_frame
from solvent.domain.market import Market
from solvent.engine.read import frame_of_rows, json_of
from solvent.errors import Problem, SolventError, problem, raise_if
from solvent.valuation.surfaces import GridSurface, SviSurface

Row = dict[str, str | int | float | None]


class MarketDocument(msgspec.Struct, omit_defaults=True):
    """What a market file holds; other keys are ignored."""

    instruments: list[Row]
    """One row an instrument: the columns of `market_from_frame`."""
    ts: str | int | float = ""
    """Time of rows without a `ts` of their own: ISO 8601 UTC or an epoch number."""
    surfaces: dict[str, SviSurface | GridSurface] = {}
    """Implied volatility by underlying."""
    source: str = ""


def market_of_json(data: bytes, file: str, ts_ns: int | None = None) -> Market:
    """A market from a document, or from a list of rows alone. `ts_ns` holds where the file gives no time.

    Raises SolventError with all problems.
    """
    parsed = json_of(data, file, list[Row] | MarketDocument)
    document = MarketDocument(parsed) if isinstance(parsed, list) else parsed
    raise_if([each for asset, one in document.surfaces.items() for each in _faults(one, f"{file} surfaces.{asset}")])
    if document.ts != "":
        ts_ns = _time(document.ts, file)
    rows = frame_of_rows(document.instruments, file)
    return market_from_frame(rows, surfaces=document.surfaces, ts_ns=ts_ns, file=file)


def _faults(surface: SviSurface | GridSurface, file: str) -> list[Problem]:
    """What makes a surface unusable. Quotes of a real day cross in time here and there: that is not refused."""
    years: tuple[float, ...]
    expiries: list[SviSurface | GridSurface]
    if isinstance(surface, SviSurface):
        years = tuple(each.years for each in surface.slices)
        expiries = [SviSurface((each,)) for each in surface.slices]
    else:
        years = surface.years
        columns = (surface.years, surface.log_moneyness, surface.vols)
        if len({len(each) for each in columns}) != 1:
            return surface.check(file)
        expiries = [GridSurface((t,), (k,), (v,)) for t, k, v in zip(*columns, strict=True)]
    found = [msgspec.structs.replace(each, row=row) for row, one in enumerate(expiries, 1) for each in one.check(file)]
    if list(years) != sorted(set(years)) or not years:
        found.append(problem(file, None, "years", list(years), "at least one expiry, rising"))
    return found


def _time(ts: str | float, file: str) -> int:
    import polars as pl

    time, bad = times_ns(pl.Series("ts", [ts]))
    if bad[0]:
        raise SolventError(problem(file, None, "ts", ts, "a UTC time: ISO 8601 text or an epoch number"))
    return int(time[0])


def market_json(market: Market, source: str = "") -> bytes:
    """The document of a market, one instrument a line. Surfaces must be `SviSurface` or `GridSurface`."""
    rows = market_frame(market).drop("ts", strict=False).to_dicts()
    head: dict[str, Any] = {"ts": market.ts_ns, "source": source} if source else {"ts": market.ts_ns}
    kept = [msgspec.json.encode({key: x for key, x in row.items() if x is not None}) for row in rows]
    surfaces = {asset: msgspec.to_builtins(each) for asset, each in market.surfaces.items()}
    return b'%s,"instruments":[\n%s\n],"surfaces":%s}\n' % (
        msgspec.json.encode(head)[:-1],
        b",\n".join(kept),
        msgspec.json.encode(surfaces),
    )
