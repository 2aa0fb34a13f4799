"""The only place that opens files: books, markets, policies, candles and funding in; frames and JSON out."""

import hashlib
import io
import os
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from solvent.domain.book import Book
from solvent.domain.book_frame import BOOK_COLUMNS
from solvent.domain.frames import book_from_frame, market_frame, market_from_frame
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.domain.universe import Universe
from solvent.engine.candle_table import candle_assets, candle_table, funding_table, is_candle_column, market_cap_table
from solvent.engine.market_json import market_json, market_of_json
from solvent.engine.read import (
    FILE_BYTES_MOST,
    TOML_BYTES_MOST,
    frame_of,
    frame_of_rows,
    inflated,
    json_of,
    refuse,
)
from solvent.engine.venue_json import Reported, is_venue, venue_book
from solvent.errors import Problem, SolventError, problem

KINDS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".json": "json",
}
REPORTED_COLUMNS = ("account", "equity", "initial_margin", "maintenance_margin")


class BookFile(NamedTuple):
    """A book, and what its venue says of it."""

    book: Book
    reported: pl.DataFrame | None
    """`REPORTED_COLUMNS` in USD, null where the venue gives no figure; None for a file without such figures."""


def read_book(path: str | Path, universe: Universe, market: Market | None = None) -> BookFile:
    """A book from CSV, Parquet, Arrow IPC or JSON (also `.gz` and `.zip`).

    Tables and JSON lists of rows: see `book_from_frame`. JSON of ccxt or Deribit: see `venue_json`.
    `market` gives marks where there is no entry price and turns reported figures into USD.
    Raises SolventError with all problems.
    """
    data, kind, file = _content(path)
    if kind != "json":
        return BookFile(book_from_frame(frame_of(data, kind, file, BOOK_COLUMNS), universe, market, file=file), None)
    parsed = json_of(data, file)
    if not is_venue(parsed):
        rows = parsed if isinstance(parsed, list) else refuse(file, "json", type(parsed).__name__, "a list of rows")
        return BookFile(book_from_frame(frame_of_rows(rows, file), universe, market, file=file), None)
    venue = venue_book(parsed, universe, file)
    frame = frame_of_rows(venue.rows, file) if venue.rows else _no_rows()
    book = book_from_frame(frame, universe, market, file=file)
    return BookFile(book, _reported(venue.reported, market) if venue.reported else None)


def book_instruments(path: str | Path) -> list[str]:
    """The instrument ids that a book file names, in order. Raises SolventError."""
    data, kind, file = _content(path)
    if kind != "json":
        frame = frame_of(data, kind, file, BOOK_COLUMNS)
        return [] if "instrument" not in frame.columns else frame["instrument"].unique(maintain_order=True).to_list()
    return list(dict.fromkeys(_ids(json_of(data, file))))


def _ids(value: Any) -> Iterator[str]:
    """Instruments anywhere in a JSON value, by the names that we, ccxt and Deribit give the key."""
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if key in ("instrument", "symbol", "instrument_name") and isinstance(each, str):
            yield each
        yield from _ids(each)


def _no_rows() -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys(BOOK_COLUMNS[:3], pl.String))


def _reported(figures: Sequence[Reported], market: Market | None) -> pl.DataFrame:
    """Reported figures by account in USD, at the market's index prices; null where an asset has no price."""
    rows = []
    for each in figures:
        price = _price_usd(each.asset, market)
        amounts = (each.equity, each.initial_margin, each.maintenance_margin)
        rows.append((each.account, *(None if x is None or price is None else float(x) * price for x in amounts)))
    kinds = [pl.String, pl.Float64, pl.Float64, pl.Float64]
    frame = pl.DataFrame(rows, schema=dict(zip(REPORTED_COLUMNS, kinds, strict=True)), orient="row")
    whole = [pl.when(pl.col(c).null_count() == 0).then(pl.col(c).sum()).alias(c) for c in REPORTED_COLUMNS[1:]]
    return frame.group_by("account", maintain_order=True).agg(whole)


def _price_usd(asset: str, market: Market | None) -> float | None:
    if asset == "USD":
        return 1.0
    if market is None or asset not in market.universe.asset_index:
        return None
    price = float(market.index_usd[market.universe.asset_index[asset]])
    return price if price > 0 else None


def read_market(path: str | Path, ts_ns: int | None = None) -> Market:
    """A market from CSV, Parquet, Arrow IPC or JSON (with surfaces).

    `ts_ns` is its time where the file gives none; by default now. Raises SolventError with all problems.
    """
    data, kind, file = _content(path)
    now = time.time_ns() if ts_ns is None else ts_ns
    if kind == "json":
        return market_of_json(data, file, now)
    return market_from_frame(frame_of(data, kind, file), ts_ns=now, file=file)


def policy_names() -> list[str]:
    """The ready-made policies."""
    folder = resources.files("solvent").joinpath("policies")
    return sorted(each.name.removesuffix(".toml") for each in folder.iterdir()) if folder.is_dir() else []


def policy_text(name: str) -> str:
    """TOML of a ready-made policy. Raises SolventError naming those that there are."""
    ready = policy_names()
    if name not in ready:
        raise SolventError(problem("policy", None, "name", name, f"one of {', '.join(ready)}; or a file *.toml"))
    return resources.files("solvent").joinpath("policies", f"{name}.toml").read_text("utf-8")


def read_policy(name_or_path: str | Path) -> Policy:
    """A ready-made policy by name, or one of a TOML file. Raises SolventError."""
    name = str(name_or_path)
    if name in policy_names() or not name.endswith(".toml"):
        return Policy.from_toml(policy_text(name), name)
    data = _bytes(Path(name), TOML_BYTES_MOST)
    try:
        return Policy.from_toml(data.decode("utf-8"), Path(name).name)
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        refuse(Path(name).name, "toml", str(error), "valid TOML in UTF-8")


def read_candles(
    path: str | Path | Sequence[str | Path],
    assets: Sequence[str] | None = None,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> pl.DataFrame:
    """Candles `ts, asset, venue, quote, open, high, low, close, volume_usd`, both ends included.

    Several files add up; each is asked for those of `assets` that it has, and together they must have all.
    See `candle_table` for the shapes. Raises SolventError with all problems.
    """
    paths = [path] if isinstance(path, (str, Path)) else list(path)
    tables = [
        candle_table(*_table(each, is_candle_column), assets, start_ns, end_ns, partial=len(paths) > 1)
        for each in paths
    ]
    table = pl.concat(tables)
    files = ", ".join(Path(each).name for each in paths)
    found = sorted(table["asset"].unique().to_list())
    for name in [] if assets is None else [each for each in assets if each.upper() not in found]:
        refuse(files, "asset", name, f"one of {', '.join(found)} (what the files have in this time)")
    if not len(table):
        refuse(files, "rows", "none", "candles in the wanted time")
    return table.sort("ts", "asset", "venue")


def read_sound_candles(
    path: str | Path, assets: Sequence[str] | None = None, end_ns: int | None = None
) -> tuple[pl.DataFrame, dict[str, Problem]]:
    """As `read_candles` of one file, without the assets that have a faulty row; and the first fault of each.

    Wanted assets that the file does not have are left out. Raises SolventError for faults of the whole file.
    """
    frame, file = _table(path, is_candle_column)
    faulty: dict[str, Problem] = {}
    while True:
        found = candle_assets(frame, file)
        names = [each for each in found if each not in faulty and (assets is None or each in assets)]
        try:
            return candle_table(frame, file, names, None, end_ns, partial=True), faulty
        except SolventError as error:
            rows = {each.row: each for each in error.problems if each.row is not None}
            blamed = candle_assets(frame, file, list(rows))
            if not rows or any(name in faulty for name in blamed):
                raise
            for name, each in zip(blamed, rows.values(), strict=True):
                faulty.setdefault(name, each)


def read_funding(path: str | Path) -> pl.DataFrame:
    """Funding payments `ts, asset, rate, hours`; see `funding_table`. Raises SolventError with all problems."""
    return funding_table(*_table(path, is_candle_column))


def read_rows(path: str | Path) -> tuple[pl.DataFrame, str]:
    """Any table as it stands, and the file's name for what is wrong with it. Raises SolventError."""
    return _table(path, lambda _: True)


def read_market_caps(path: str | Path) -> pl.DataFrame:
    """Values of all units `ts, asset, market_cap_usd` of a candle file; no rows where it has none.

    Raises SolventError with all problems.
    """
    frame, file = _table(path, lambda name: is_candle_column(name) or name == "market_cap_usd")
    return market_cap_table(frame, file)


def read_toml(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises SolventError."""
    try:
        return tomllib.loads(_bytes(Path(path), TOML_BYTES_MOST).decode("utf-8"))
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        refuse(Path(path).name, "toml", str(error), "valid TOML in UTF-8")


def read_own_toml(room: str, name: str) -> dict[str, Any]:
    """The tables of a TOML file that is part of the package: `read_own_toml("models/collateral", "rules")`."""
    return tomllib.loads(resources.files("solvent").joinpath(*room.split("/"), f"{name}.toml").read_text("utf-8"))


def read_text(path: str | Path, bytes_most: int) -> str:
    """A text file in UTF-8 of at most `bytes_most` bytes. Raises SolventError."""
    try:
        return _bytes(Path(path), bytes_most).decode("utf-8")
    except UnicodeDecodeError as error:
        refuse(Path(path).name, "text", str(error), "text in UTF-8")


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes as they lie on disk, in hexadecimal. Raises SolventError."""
    return hashlib.sha256(_bytes(Path(path))).hexdigest()


def _table(path: str | Path, wanted: Callable[[str], bool]) -> tuple[pl.DataFrame, str]:
    """The wanted columns of a table file, and the file's name."""
    data, kind, file = _content(path)
    if kind == "json":
        rows = json_of(data, file)
        if not isinstance(rows, list):
            refuse(file, "json", type(rows).__name__, "a list of rows")
        frame = frame_of_rows(rows, file)
    else:
        frame = frame_of(data, kind, file)
    return frame.select(name for name in frame.columns if wanted(name.strip().lower())), file


def _content(path: str | Path) -> tuple[bytes, str, str]:
    """Bytes of a file without its outer compression, their kind, and the file's name."""
    path = Path(path)
    suffixes = [each.lower() for each in path.suffixes]
    packed = suffixes[-1:] in ([".gz"], [".zip"])
    ending = suffixes[-2 if packed else -1] if len(suffixes) > packed else ""
    if ending not in KINDS:
        refuse(
            path.name or str(path), "file", ending or "no ending", f"one of {', '.join(KINDS)}; also .gz or .zip of it"
        )
    return inflated(_bytes(path), path.name), KINDS[ending], path.name


def _bytes(path: Path, most: int = FILE_BYTES_MOST) -> bytes:
    """All bytes of a regular file of at most `most` bytes."""
    try:
        if not path.is_file():
            found = "no regular file" if path.exists() else "missing"
            refuse(str(path), "file", found, "an existing file")
        if path.stat().st_size > most:
            refuse(path.name, "bytes", path.stat().st_size, f"a file of at most {most} bytes")
        with path.open("rb") as stream:
            data = stream.read(most + 1)
    except (OSError, ValueError) as error:
        refuse(str(path), "file", str(error), "a file that can be read")
    if len(data) > most:
        refuse(path.name, "bytes", f"above {most}", f"a file of at most {most} bytes")
    return data


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all: to a temporary file beside it, made durable, then renamed.

    Raises SolventError where the file system refuses.
    """
    _replace({Path(path): data})


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write several files: all are durable beside their places before the first is renamed, the last one last.

    A folder that is missing is made. Raises SolventError where the file system refuses; as a rule nothing is there
    then, and never a part of a file.
    """
    for path in files:
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            refuse(str(path), "file", str(error), "a place that can be written to")
    _replace(files)


def _replace(files: Mapping[Path, bytes]) -> None:
    staged: dict[Path, str] = {}
    at = Path()
    try:
        for at, data in files.items():
            handle, staged[at] = tempfile.mkstemp(dir=at.parent, prefix=f".{at.name}.")
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(staged[at], 0o666 & ~_umask())
        for at in files:
            os.replace(staged[at], at)
            del staged[at]
    except BaseException as error:
        for temporary in staged.values():
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, (OSError, ValueError)):
            refuse(str(at), "file", str(error), "a place that can be written to")
        raise


def _umask() -> int:
    """The process's mask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def write_frame(path: str | Path, frame: pl.DataFrame) -> None:
    """Write a frame as CSV, Parquet, Arrow IPC or JSON rows, by the path's ending; whole or not at all."""
    suffix = Path(path).suffix.lower()
    buffer = io.BytesIO()
    kind = KINDS.get(suffix)
    if kind == "csv":
        frame.write_csv(buffer)
    elif kind == "parquet":
        frame.write_parquet(buffer)
    elif kind == "arrow":
        frame.write_ipc(buffer)
    elif kind == "json":
        frame.write_json(buffer)
    else:
        refuse(str(path), "file", suffix or "no ending", f"one of {', '.join(KINDS)}")
    write_bytes(path, buffer.getvalue())


def write_market(path: str | Path, market: Market, source: str = "") -> None:
    """Write a market: JSON with its surfaces, or a table where it has none. Raises SolventError."""
    if Path(path).suffix.lower() == ".json":
        write_bytes(path, market_json(market, source))
        return
    if market.surfaces:
        refuse(str(path), "file", Path(path).suffix, ".json for a market with surfaces")
    write_frame(path, market_frame(market))
