"""Bytes of a file as a frame or as JSON, within stated limits that hold before the work is done."""

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, TypeVar

import msgspec
import numpy as np
import polars as pl

from solvent.engine.headers import ARROW_MAGIC, Size, arrow_size, parquet_size
from solvent.errors import SolventError, problem

FILE_BYTES_MOST = 512 << 20
INFLATED_BYTES_MOST = 1 << 30
"""Of compressed files, and of what Parquet and Arrow files hold."""
ROWS_MOST = 20_000_000
COLUMNS_MOST = 256
CELLS_MOST = 100_000_000
"""Rows x columns: an empty cell is one byte of a file and sixteen of memory."""
HEADER_BYTES_MOST = 1 << 16
"""First line of a CSV file."""
JSON_BYTES_MOST = 32 << 20
JSON_DEPTH_MOST = 32
JSON_CONTAINERS_MOST = 1_000_000
"""Objects and lists of one JSON file."""
TOML_BYTES_MOST = 1 << 20

_CHUNK = 1 << 20
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""A JSON string, or an unfinished one to the end; possessive, so that no input makes it slow."""
Parsed = TypeVar("Parsed")


def refuse(file: str, field: str, value: object, accepted: str) -> NoReturn:
    """Raise one problem of a whole file."""
    raise SolventError(problem(file, None, field, value, accepted))


def inflated(data: bytes, file: str, most: int = INFLATED_BYTES_MOST) -> bytes:
    """What a gzip or a zip of one file holds; other bytes as they are. Never makes more than `most` bytes."""
    if data[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            return _bounded(stream, file, most)
    if data[:4] == b"PK\x03\x04":
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = [each for each in archive.infolist() if not each.is_dir()]
                if len(members) != 1:
                    refuse(file, "zip", f"{len(members)} files", "one file in the archive")
                with archive.open(members[0]) as stream:
                    return _bounded(stream, file, most)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError) as error:
            refuse(file, "zip", str(error), "a whole archive without a password")
    if data[:4] == b"\x28\xb5\x2f\xfd":
        refuse(file, "compression", "zstd", "gzip, zip or none (Parquet may be compressed inside)")
    return data


def _bounded(stream: Any, file: str, most: int) -> bytes:
    """Read a stream to its end in pieces, and no further than `most` bytes."""
    parts = bytearray()
    try:
        while piece := stream.read(_CHUNK):
            parts += piece
            if len(parts) > most:
                refuse(file, "decompressed size", f"above {most} bytes", f"at most {most} bytes")
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        refuse(file, "compression", str(error), "a whole compressed file")
    return bytes(parts)


def frame_of(data: bytes, kind: str, file: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """A table from bytes of a `kind` (csv, parquet, arrow); those of `columns` that are there, or all.

    CSV columns come as text. Raises SolventError for anything that is no such table or above the limits.
    """
    if kind == "csv":
        _check(_csv_size(data, file), file)
        source: Callable[[], pl.DataFrame] = lambda: _csv(data)  # noqa: E731
    elif kind == "parquet":
        _check(_attempt(lambda: parquet_size(memoryview(data)), file, "Parquet"), file)
        source = lambda: pl.read_parquet(io.BytesIO(data), columns=_wanted(data, columns))  # noqa: E731
    else:
        _check(_attempt(lambda: arrow_size(memoryview(data)), file, "Arrow IPC"), file)
        read = pl.read_ipc if data[:6] == ARROW_MAGIC else pl.read_ipc_stream
        source = lambda: read(io.BytesIO(data))  # noqa: E731
    frame = _attempt(source, file, kind)
    if columns is None:
        return frame
    return frame.select(name for name in frame.columns if name.strip() in columns)


def _wanted(data: bytes, columns: Sequence[str] | None) -> list[str] | None:
    """Columns to read of a Parquet file; all where none is named or found."""
    if columns is None:
        return None
    return [name for name in pl.read_parquet_schema(io.BytesIO(data)) if name.strip() in columns] or None


def _attempt(work: Callable[[], Parsed], file: str, kind: str) -> Parsed:
    """Run a reader of foreign bytes; whatever it raises is one problem of the file."""
    try:
        return work()
    except SolventError:
        raise
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # polars' readers panic on some broken files, beneath Exception
        lines = str(error).splitlines()
        raise SolventError(problem(file, None, "bytes", lines[0] if lines else kind, f"a {kind} file")) from None


def _check(size: Size, file: str) -> None:
    """Refuse a table that is larger than what is stated above."""
    for field, value, most in (
        ("rows", size.rows, ROWS_MOST),
        ("columns", size.columns, COLUMNS_MOST),
        ("cells", size.cells, CELLS_MOST),
        ("decompressed size", size.uncompressed_bytes, INFLATED_BYTES_MOST),
    ):
        if value > most:
            refuse(file, field, value, f"at most {most}")


def _csv_size(data: bytes, file: str) -> Size:
    """Lines and columns of a CSV file, counted without parsing it."""
    line = data[: data.find(b"\n") if b"\n" in data[:HEADER_BYTES_MOST] else len(data)]
    if not line.strip():
        refuse(file, "header", "missing", "a first line of column names")
    if len(line) > HEADER_BYTES_MOST:
        refuse(file, "header", f"{len(line)} bytes", f"a first line of at most {HEADER_BYTES_MOST} bytes")
    rows, columns = data.count(b"\n"), line.count(_separator(line)) + 1
    return Size(rows, columns, rows * columns, len(data))


def _separator(line: bytes) -> bytes:
    return max((b",", b";", b"\t"), key=line.count)


def _csv(data: bytes) -> pl.DataFrame:
    header = data[: data.find(b"\n")] if b"\n" in data else data
    return pl.read_csv(
        io.BytesIO(data),
        infer_schema=False,
        separator=_separator(header).decode(),
        try_parse_dates=False,
    )


def json_of(data: bytes, file: str, kind: Any = Any) -> Any:
    """JSON of a type; where that is open, numbers with a point come as exact Decimals.

    Raises SolventError for anything malformed, too deep or too large.
    """
    if len(data) > JSON_BYTES_MOST:
        refuse(file, "bytes", len(data), f"at most {JSON_BYTES_MOST} bytes of JSON")
    brackets = np.frombuffer(_STRING.sub(b"", data), np.uint8)
    opened = (brackets == ord("[")) | (brackets == ord("{"))
    steps = opened.astype(np.int32) - ((brackets == ord("]")) | (brackets == ord("}")))
    depth = int(np.cumsum(steps, dtype=np.int64).max(initial=0))
    if depth > JSON_DEPTH_MOST:
        refuse(file, "nesting", depth, f"at most {JSON_DEPTH_MOST} levels of JSON")
    if int(opened.sum()) > JSON_CONTAINERS_MOST:
        refuse(file, "objects and lists", int(opened.sum()), f"at most {JSON_CONTAINERS_MOST}")
    hook: Callable[[str], Any] | None = _decimal if kind is Any else None
    decoder = msgspec.json.Decoder(kind, float_hook=hook)
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:
        refuse(file, "json", str(error), "valid JSON of the stated form")


def _decimal(text: str) -> Decimal:
    """A JSON number as it is written. Raises ValueError beyond 1e±60, whose digits could not be written out."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError("numbers between 1e-60 and 1e60") from None
    if len(text) > 100 or (value and abs(value.adjusted()) > 60):
        raise ValueError("numbers between 1e-60 and 1e60")
    return value


def frame_of_rows(rows: Sequence[Any], file: str) -> pl.DataFrame:
    """A table from JSON objects: a column a key, as text unless all its values are numbers."""
    if len(rows) > ROWS_MOST:
        refuse(file, "rows", len(rows), f"at most {ROWS_MOST}")
    names: dict[str, None] = {}
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            raise SolventError(problem(file, i + 1, "row", row, "an object with named values"))
        names.update(dict.fromkeys(row))
        if len(names) > COLUMNS_MOST:
            refuse(file, "columns", len(names), f"at most {COLUMNS_MOST}")
    if len(names) * len(rows) > CELLS_MOST:
        refuse(file, "cells", len(names) * len(rows), f"at most {CELLS_MOST}")
    return pl.DataFrame({name: _column([row.get(name) for row in rows]) for name in names})


def _column(values: list[Any]) -> pl.Series:
    if all(each is None or (isinstance(each, (int, float)) and not isinstance(each, bool)) for each in values):
        try:
            return pl.Series(values, strict=False)
        except (OverflowError, TypeError, pl.exceptions.PolarsError):
            pass
    return pl.Series([None if each is None else _text(each) for each in values], dtype=pl.String)


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    return value if isinstance(value, str) else repr(value)
